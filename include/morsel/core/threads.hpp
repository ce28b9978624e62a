// One explicit pool of threads, owned by whoever needs it and passed by reference; no global pool, no OpenMP.
// The calling thread takes part, so a pool of 1 starts no thread. Work is split statically: the same split, hence the same
// floating-point results, on every run with the same number of threads. Between two calls workers spin briefly (a decode step
// has some 150 short parallel sections) and then park, so an idle pool costs nothing and a container's quota is not burnt.
#pragma once
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "morsel/core/error.hpp"

namespace morsel {

// Processors this process may use: its affinity mask, limited by the cgroup's CPU quota (a container's limit). At least 1.
inline unsigned available_processors() {
    unsigned count = std::max(1u, std::thread::hardware_concurrency());
    cpu_set_t affinity;
    CPU_ZERO(&affinity);
    if (sched_getaffinity(0, sizeof affinity, &affinity) == 0) count = static_cast<unsigned>(std::max(1, CPU_COUNT(&affinity)));
    if (std::ifstream quota("/sys/fs/cgroup/cpu.max"); quota) {  // cgroup v2: "max 100000" or "150000 100000"
        std::string limit;
        double period = 0;
        if (quota >> limit >> period && period > 0) {
            double allowed = 0;
            const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), allowed);
            if (error == std::errc{} && allowed > 0) count = std::min(count, static_cast<unsigned>(std::max(1.0, std::ceil(allowed / period))));
        }
    }
    return count;
}

class ThreadPool {
  public:
    // `threads` counts the caller; 0 means available_processors(). Throws Error beyond 1024.
    explicit ThreadPool(unsigned threads = 0) : size_(threads > 0 ? threads : available_processors()) {
        if (size_ > 1024) throw Error("too many threads", {.key = "threads", .expected = "at most 1024", .found = std::to_string(size_)});
        workers_.reserve(size_ - 1);
        for (unsigned i = 1; i < size_; ++i) workers_.emplace_back([this, i] { work(i); });
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() {
        stop_.store(true, std::memory_order_relaxed);
        generation_.fetch_add(1, std::memory_order_release);
        generation_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    unsigned size() const noexcept { return size_; }

    // Calls f(thread) once on every thread, thread = 0 … size()-1, and returns when all have. Not reentrant, and one caller at a
    // time. The first exception is rethrown here after all threads have finished.
    template <class F> void run(F&& f) {
        if (size_ == 1) {
            f(0u);
            return;
        }
        using Function = std::remove_reference_t<F>;
        task_ = [](void* function, unsigned thread) { (*static_cast<Function*>(function))(thread); };
        function_ = const_cast<void*>(static_cast<const void*>(std::addressof(f)));
        failure_ = nullptr;
        pending_.store(size_ - 1, std::memory_order_relaxed);
        generation_.fetch_add(1, std::memory_order_seq_cst);  // ordered before the look at parked_, as a worker's is after it
        if (parked_.load(std::memory_order_seq_cst) > 0) generation_.notify_all();
        call(0);
        spin_until([this] { return pending_.load(std::memory_order_acquire) == 0; });
        for (unsigned left; (left = pending_.load(std::memory_order_acquire)) != 0;) pending_.wait(left, std::memory_order_acquire);
        if (failure_) std::rethrow_exception(failure_);
    }

    // Splits [0, n) into size() contiguous parts, each a multiple of `grain` but the last, and calls f(begin, end, thread).
    template <class F> void split(std::size_t n, std::size_t grain, F&& f) {
        const std::size_t grains = (n + grain - 1) / grain;
        if (size_ == 1 || grains <= 1) {
            if (n > 0) f(std::size_t{0}, n, 0u);
            return;
        }
        run([&](unsigned thread) {
            const std::size_t begin = std::min(n, grains * thread / size_ * grain), end = std::min(n, grains * (thread + 1) / size_ * grain);
            if (begin < end) f(begin, end, thread);
        });
    }

  private:
    static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }

    // True when `done` became true within some 30 microseconds.
    template <class Done> static bool spin_until(Done done) {
        for (int i = 0; i < 16; ++i) {
            for (int j = 0; j < 32; ++j) {
                if (done()) return true;
                pause();
            }
        }
        return done();
    }

    void call(unsigned thread) noexcept {
        try {
            task_(function_, thread);
        } catch (...) {
            const std::lock_guard lock(failure_mutex_);
            if (!failure_) failure_ = std::current_exception();
        }
    }

    void work(unsigned thread) {
        std::uint32_t seen = 0;
        for (;;) {
            if (!spin_until([&] { return generation_.load(std::memory_order_acquire) != seen; })) {
                parked_.fetch_add(1, std::memory_order_seq_cst);
                generation_.wait(seen, std::memory_order_seq_cst);
                parked_.fetch_sub(1, std::memory_order_relaxed);
            }
            const std::uint32_t now = generation_.load(std::memory_order_acquire);
            if (now == seen) continue;
            seen = now;
            if (stop_.load(std::memory_order_relaxed)) return;
            call(thread);
            if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
        }
    }

    unsigned size_;
    std::vector<std::thread> workers_;
    std::atomic<std::uint32_t> generation_{0};  // one more for each run
    std::atomic<unsigned> pending_{0};          // workers that have not finished
    std::atomic<unsigned> parked_{0};
    std::atomic<bool> stop_{false};
    void (*task_)(void*, unsigned) = nullptr;
    void* function_ = nullptr;
    std::mutex failure_mutex_;
    std::exception_ptr failure_;
};

}  // namespace morsel
