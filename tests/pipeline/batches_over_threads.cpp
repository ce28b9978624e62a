// Batches of texts on several threads: every batch runs once, the vectors are the bits of one thread, progress is told on the calling
// thread and may cancel, and what a batch throws arrives there.
#include <atomic>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/pipeline/batch_runner.hpp"
#include "support/catch.hpp"
#include "support/embedders.hpp"

using namespace morsel_test;

TEST_CASE("every batch runs once, whole or shared") {
    const std::thread::id caller = std::this_thread::get_id();
    for (const unsigned threads : {1u, 2u, 3u}) {
        Cpu device({.threads = threads, .precision = MatrixPrecision::bf16, .isa = Isa::generic});
        BatchRunner<Cpu> runner;
        for (const std::size_t count : {0u, 1u, 2u, 3u, 5u, 100u}) {
            INFO(count << " batches, " << threads << " threads");
            std::vector<std::atomic<int>> runs(count);
            std::atomic<int> alone = 0, wrong = 0;
            std::size_t told = 0;
            const auto run = [&](Cpu& on, EncoderWork<Cpu>& work, std::size_t i) {
                ++runs[i];
                work.hidden = allocate(on, 1);
                if (&on != &device) ++alone;
                wrong += &on != &device && on.pool().size() != 1;
                wrong += on.precision() != MatrixPrecision::bf16 || on.isa() != Isa::generic;
                return i + 1;
            };
            runner.run(device, count, run, [&](std::size_t texts) { told += texts, wrong += std::this_thread::get_id() != caller || texts == 0; });
            for (std::size_t i = 0; i < count; ++i) CHECK(runs[i] == 1);
            CHECK(told == count * (count + 1) / 2);
            CHECK(wrong == 0);
            CHECK(alone == (threads == 1 ? 0 : static_cast<int>(count / threads * threads)));
        }
        const auto failing = [&](Cpu&, EncoderWork<Cpu>&, std::size_t i) { return i == 7 ? throw Error("broken") : i; };
        CHECK_THROWS_WITH(runner.run(device, 100, failing, [](std::size_t) {}), Catch::Contains("broken"));
        const auto good = [&](Cpu&, EncoderWork<Cpu>&, std::size_t) { return std::size_t{1}; };
        std::size_t told = 0;
        CHECK_THROWS_WITH(runner.run(device, 10'000, good, [&](std::size_t texts) { if ((told += texts) >= 3) throw Error("enough"); }), Catch::Contains("enough"));
        told = 0;
        runner.run(device, 10, good, [&](std::size_t texts) { told += texts; });  // afterwards it runs as before
        CHECK(told == 10);
    }
}

TEST_CASE("vectors of many batches are the same bits on any number of threads") {
    std::vector<std::string> all = texts();
    for (std::size_t i = 0; i < 60; ++i) all.push_back(std::string("the cat sat on a mat and a dog ran to the moon ").substr(i % 40, 3 + i % 7) + std::string(i % 5, 'x'));
    const std::span<const std::string> input(all);
    const std::vector<std::string_view> views(all.begin(), all.end());
    for (const auto precision : {MatrixPrecision::f32, CpuOptions().precision, MatrixPrecision::bf16})
        for (const std::size_t batch_tokens : {1u, 20u, 100u}) {
            Embedder one = open<Embedder>(data("dense"), {.device = {.threads = 1, .precision = precision}});
            Contextual contextual = open<Contextual>(data("encoder"), {.device = {.threads = 1, .precision = precision}});
            const auto vectors = one.embed(input, {.batch_tokens = batch_tokens}).values;
            const auto tokens = contextual.encode(views, {.layer = 1, .batch_tokens = batch_tokens});
            for (const unsigned threads : {2u, 3u}) {
                INFO(threads << " threads, batches of " << batch_tokens);
                std::size_t done = 0;
                const ProgressCallback progress = [&](const Progress& p) { return done = p.done, p.total == all.size(); };
                CHECK(one.share({.threads = threads, .precision = precision}).embed(input, {.progress = progress, .batch_tokens = batch_tokens}).values == vectors);
                CHECK(done == all.size());
                Contextual other = contextual.share({.threads = threads, .precision = precision});
                const auto got = other.encode(views, {.layer = 1, .progress = progress, .batch_tokens = batch_tokens});
                CHECK(done == all.size());
                for (std::size_t i = 0; i < all.size(); ++i) CHECK((got[i].values == tokens[i].values && got[i].encoding.ids == tokens[i].encoding.ids));
            }
        }
    Embedder embedder = open<Embedder>(data("dense"), {.device = {.threads = 3}});
    std::size_t calls = 0;
    CHECK_THROWS_WITH(embedder.embed(input, {.progress = [&](const Progress&) { return ++calls < 2; }, .batch_tokens = 1}), "cancelled");
    CHECK(calls == 2);
    CHECK(embedder.embed(input).size() == all.size());
}
