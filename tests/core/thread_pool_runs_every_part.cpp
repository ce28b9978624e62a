// The thread pool: every thread takes part once, a split covers each index once and always in the same way, exceptions arrive.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "morsel/core/threads.hpp"
#include "support/catch.hpp"

using namespace morsel;

TEST_CASE("a run calls every thread once, and the caller is thread 0") {
    for (const unsigned threads : {1u, 2u, 3u, 8u}) {
        ThreadPool pool(threads);
        CHECK(pool.size() == threads);
        for (int round = 0; round < 300; ++round) {
            std::vector<int> calls(threads, 0);  // one writer each: the pool itself must order them before the return
            const auto caller = std::this_thread::get_id();
            bool caller_is_first = false;
            pool.run([&](unsigned thread) {
                ++calls[thread];
                if (thread == 0) caller_is_first = std::this_thread::get_id() == caller;
            });
            CHECK(calls == std::vector<int>(threads, 1));
            CHECK(caller_is_first);
        }
    }
}

TEST_CASE("a split covers every index once, in parts of whole grains") {
    for (const unsigned threads : {1u, 2u, 5u}) {
        ThreadPool pool(threads);
        for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{64}, std::size_t{1000}})
            for (const std::size_t grain : {std::size_t{1}, std::size_t{16}, std::size_t{2000}}) {
                std::vector<int> seen(n, 0);
                std::atomic<bool> whole{true};
                pool.split(n, grain, [&](std::size_t begin, std::size_t end, unsigned thread) {
                    if (begin % grain != 0 || (end % grain != 0 && end != n) || begin >= end || thread >= threads) whole = false;
                    for (std::size_t i = begin; i < end; ++i) ++seen[i];
                });
                INFO(n << " by " << grain << " on " << threads);
                CHECK(seen == std::vector<int>(n, 1));
                CHECK(whole);
            }
    }
}

TEST_CASE("runs that wait long between each other wake the workers that parked") {
    ThreadPool pool(4);
    std::atomic<int> calls{0};
    for (int round = 0; round < 20; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        pool.run([&](unsigned) { ++calls; });
    }
    CHECK(calls == 80);
}

TEST_CASE("an exception of any thread reaches the caller after all have finished, and the pool goes on") {
    ThreadPool pool(4);
    for (unsigned thrower = 0; thrower < 4; ++thrower) {
        std::atomic<int> finished{0};
        CHECK_THROWS_AS(pool.run([&](unsigned thread) {
            if (thread == thrower) throw std::runtime_error("no");
            ++finished;
        }), std::runtime_error);
        CHECK(finished == 3);
    }
    std::atomic<int> calls{0};
    pool.run([&](unsigned) { ++calls; });
    CHECK(calls == 4);
}

TEST_CASE("what a run wrote is seen by the caller and by the next run") {
    ThreadPool pool(3);
    std::vector<std::size_t> from(3, 0), to(3, 0);  // not atomic: the thread sanitizer would see a missing order
    for (std::size_t round = 1; round <= 500; ++round) {
        pool.run([&](unsigned thread) { to[thread] = from[(thread + 1) % 3] + 1; });  // reads what another thread wrote in the last run
        from.swap(to);
        CHECK(from == std::vector<std::size_t>(3, round));
    }
}

TEST_CASE("an absurd number of threads is refused") {
    CHECK_THROWS_AS(ThreadPool(1025), Error);
    CHECK(available_processors() >= 1);
}
