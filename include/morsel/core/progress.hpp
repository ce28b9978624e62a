// How long work tells its caller where it stands and asks whether to go on. The library itself never prints.
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace morsel {

struct Progress {
    std::string_view phase = {};  // "weights"
    std::size_t done = 0;         // units, bytes or items, of `total`
    std::size_t total = 0;        // 0: not known
};

// Called now and then on the calling thread; false asks to stop, which throws Error("cancelled").
using ProgressCallback = std::function<bool(const Progress&)>;

// How fast a phase goes and how long it will still take, for a callback to tell. A new phase begins anew.
class ProgressMeter {
  public:
    struct Rate {
        double per_second = 0;                     // units
        std::optional<double> seconds_left = {};  // where the total is known
    };
    Rate update(const Progress& progress, std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now()) {
        if (phase_ != progress.phase || progress.done < first_) phase_ = progress.phase, start_ = now, first_ = progress.done;
        const double seconds = std::chrono::duration<double>(now - start_).count();
        Rate rate;
        if (seconds > 0) rate.per_second = static_cast<double>(progress.done - first_) / seconds;
        if (progress.total >= progress.done && progress.total > 0 && rate.per_second > 0) rate.seconds_left = static_cast<double>(progress.total - progress.done) / rate.per_second;
        return rate;
    }

  private:
    std::string phase_;
    std::chrono::steady_clock::time_point start_ = {};
    std::size_t first_ = 0;
};

}  // namespace morsel
