// Batches of sequences over the threads of a device. Threads that share every operation wait for one another some forty times in a pass
// through a small model; so as long as there are batches for all, each thread takes whole ones, on a device of its own with one
// thread, and only what is left over is run by all threads together. Batches do not depend on the threads, nor do the operations' results on
// how they are shared, so the vectors are the same bits either way. A device without threads runs one batch after another.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "morsel/models/encoder_block.hpp"

namespace morsel {

template <class D>
class BatchRunner {
  public:
    // Tokens of a batch: what was asked for, or where that is 0 some that suit the device. A processor does 512 tokens at the speed of 8192, and
    // smaller batches leave none of its threads waiting, but weights that each product splits into parts want rows to share that; a GPU wants many.
    static std::size_t batch_tokens(std::size_t asked) {
        if (asked > 0) return asked;
        return requires(D& device) { device.pool(); } ? 2048 : 4096;
    }

    // Calls f(device, work, i) for every i of 0 … count − 1, on any thread, in any order; it gives how many texts that finished. after(texts) is
    // called by the calling thread alone, and what it has been told adds up to all texts. What either throws ends the run.
    template <class F, class After>
    void run(D& device, std::size_t count, F&& f, After&& after) {
        std::size_t begin = 0;
        if constexpr (requires { device.pool(); }) {
            const unsigned threads = device.pool().size();
            if (threads > 1) begin = count / threads * threads;
            if (begin > 0) run_whole(device, begin, f, after);
        }
        for (; begin < count; ++begin) after(f(device, work_, begin));
    }

  private:
    struct Worker {
        explicit Worker(const typename D::Options& options) : device(options) {}
        D device;
        EncoderWork<D> work = {};
    };

    template <class F, class After>
    void run_whole(D& device, std::size_t count, F& f, After& after) {
        while (workers_.size() < device.pool().size())
            workers_.push_back(std::make_unique<Worker>(typename D::Options{.threads = 1, .precision = device.precision(), .isa = device.isa()}));
        std::atomic<std::size_t> next = 0, finished = 0;
        device.pool().run([&](unsigned thread) {
            try {
                for (std::size_t i; (i = next.fetch_add(1)) < count;) {
                    finished += f(workers_[thread]->device, workers_[thread]->work, i);
                    if (thread == 0) after(finished.exchange(0));
                }
            } catch (...) {
                next = count;  // the others stop, too
                throw;
            }
        });
        if (const std::size_t rest = finished.exchange(0); rest > 0) after(rest);
    }

    EncoderWork<D> work_;                           // of all threads together
    std::vector<std::unique_ptr<Worker>> workers_;  // one a thread, made when first needed
};

}  // namespace morsel
