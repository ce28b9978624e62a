// How long work tells its caller where it stands and asks whether to go on. The library itself never prints.
#pragma once
#include <cstddef>
#include <functional>
#include <string_view>

namespace morsel {

struct Progress {
    std::string_view phase = {};  // "weights"
    std::size_t done = 0;         // units, bytes or items, of `total`
    std::size_t total = 0;        // 0: not known
};

// Called now and then on the calling thread; false asks to stop, which throws Error("cancelled").
using ProgressCallback = std::function<bool(const Progress&)>;

}  // namespace morsel
