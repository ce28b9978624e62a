// The sampling kernel chooses the token that the host chooses, for random and hostile logits and every option; and two blocks choose as
// each does alone.
#include <random>

#include "morsel/cuda/sampling.cuh"
#include "morsel/generation/sampling.hpp"
#include "support/cuda_floats.hpp"
#include "support/cuda_schedules.hpp"
#include "support/stored_matrix.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

struct Result {
    TokenId token = 0;
    CudaStep step = {};
};

kernels::Sampling sampling_of(const LogitsProcessing& p, std::uint64_t seed) {
    kernels::Sampling s;
    s.repetition_penalty = p.repetition_penalty, s.temperature = p.temperature, s.top_p = p.top_p, s.min_p = p.min_p, s.top_k = static_cast<unsigned>(p.top_k), s.do_sample = p.do_sample;
    s.seed = seed;
    return s;
}

// Of one sequence or several, each with logits of the same size: the tokens chosen, with the state after it.
std::vector<Result> on_device(Cuda& device, const std::vector<std::vector<float>>& logits, const std::vector<std::vector<TokenId>>& histories, const std::vector<kernels::Sampling>& samplings,
                              const std::vector<std::uint32_t>& produced) {
    const std::size_t count = logits.size(), vocab = logits[0].size();
    std::size_t capacity = 0;
    for (const auto& history : histories) capacity = std::max(capacity, history.size() + 1);
    std::vector<float> all;
    std::vector<TokenId> ids(count * capacity);
    std::vector<CudaStep> steps;
    for (std::size_t i = 0; i < count; ++i) {
        all.insert(all.end(), logits[i].begin(), logits[i].end());
        std::copy(histories[i].begin(), histories[i].end(), ids.begin() + static_cast<std::ptrdiff_t>(i * capacity));
        steps.push_back({.past = 7, .produced = produced[i], .history = static_cast<std::uint32_t>(histories[i].size())});
    }
    CudaBuffer x = to_device(device, all), past(ids.size()), state(count * sizeof(CudaStep) / 4), options(count * sizeof(kernels::Sampling) / 4);
    cudaMemcpyAsync(past.data(), ids.data(), ids.size() * 4, cudaMemcpyHostToDevice, device.stream());
    cudaMemcpyAsync(state.data(), steps.data(), count * sizeof(CudaStep), cudaMemcpyHostToDevice, device.stream());
    cudaMemcpyAsync(options.data(), samplings.data(), count * sizeof(kernels::Sampling), cudaMemcpyHostToDevice, device.stream());
    sample(device, x.data(), count, vocab, vocab, reinterpret_cast<const kernels::Sampling*>(options.data()), reinterpret_cast<TokenId*>(past.data()), capacity, reinterpret_cast<CudaStep*>(state.data()));
    cudaMemcpyAsync(steps.data(), state.data(), count * sizeof(CudaStep), cudaMemcpyDeviceToHost, device.stream());
    cudaMemcpyAsync(ids.data(), past.data(), ids.size() * 4, cudaMemcpyDeviceToHost, device.stream());
    device.synchronize();
    std::vector<Result> results;
    for (std::size_t i = 0; i < count; ++i) {
        const CudaStep& step = steps[i];
        CHECK(ids[i * capacity + histories[i].size()] == step.token);
        CHECK((step.past == 8 && step.produced == produced[i] + 1 && step.history == histories[i].size() + 1));
        results.push_back({step.token, step});
    }
    return results;
}
Result on_device(Cuda& device, const std::vector<float>& logits, const std::vector<TokenId>& history, const kernels::Sampling& sampling, std::uint32_t produced) {
    return on_device(device, std::vector<std::vector<float>>(1, logits), std::vector<std::vector<TokenId>>(1, history), std::vector(1, sampling), std::vector(1, produced))[0];
}

TokenId on_host(std::vector<float> logits, const std::vector<TokenId>& history, const LogitsProcessing& options, std::uint64_t seed, std::uint32_t step) {
    LogitsWorkspace workspace;
    process_logits(logits, history, options, workspace);
    return options.do_sample ? sample_token(logits, seed, {.step = step}) : argmax(std::span<const float>(logits));
}

}  // namespace

TEST_CASE("the kernel chooses the token that the host chooses") {
    Cuda device;
    std::mt19937_64 random(5);
    const auto uniform = [&] { return static_cast<float>(random() % 1000) / 1000; };
    std::size_t trials = 0;
    for (const std::size_t count : {1u, 2u, 31u, 33u, 1000u, 1025u, 3001u}) {
        for (int kind = 0; kind < 5; ++kind) {
            std::vector<float> logits = random_floats(count, random());
            for (std::size_t i = 0; i < count; ++i) {
                float& x = logits[i];
                if (kind == 1) x = std::round(x * 2);                      // many ties
                if (kind == 2) x = 3;                                      // nothing but ties
                if (kind == 3) x *= 30;                                    // masses from 1 to 0
                if (kind == 4 && i > 0 && random() % 3 == 0) x = -INFINITY;  // ruled out already
            }
            std::vector<TokenId> history;
            for (int i = 0; i < 20; ++i) history.push_back(static_cast<TokenId>(random() % (count + 5)));
            for (int trial = 0; trial < 4; ++trial) {
                LogitsProcessing p;
                p.do_sample = trial > 0;
                if (random() % 2 != 0) p.repetition_penalty = 0.5f + uniform() * 1.5f;
                if (random() % 2 != 0) p.temperature = 0.3f + uniform();
                if (random() % 2 != 0) p.top_k = random() % 2 != 0 ? 1 + random() % 50 : random() % (count + 2);
                if (random() % 3 != 0) p.top_p = random() % 5 == 0 ? 1e-9f : 0.05f + 0.95f * uniform();
                if (random() % 3 == 0) p.min_p = uniform() * 0.5f;
                const std::uint64_t seed = random();
                const auto step = static_cast<std::uint32_t>(trial * 3);
                use_schedule(trials++);
                INFO(count << " logits of kind " << kind << ", penalty " << p.repetition_penalty << ", temperature " << p.temperature << ", top_k " << p.top_k << ", top_p " << p.top_p
                           << ", min_p " << p.min_p << (p.do_sample ? "" : ", greedy"));
                CHECK(on_device(device, logits, history, sampling_of(p, seed), step).token == on_host(logits, history, p, seed, step));
            }
        }
    }
    use_schedule(0);
}

TEST_CASE("logits are sampled in shared memory where they fit, and else where they are") {
    Cuda device;
    const LogitsProcessing p{.repetition_penalty = 1.3f, .do_sample = true, .temperature = 0.7f, .top_k = 60, .top_p = 0.9f};
    for (const std::size_t count : {10000u, 11500u, 32064u, 52000u, 54000u, 70001u}) {  // 32064: Phi-3's; more than 48 KB in all must be asked for
        INFO(count << " logits");
        const std::vector<float> logits = random_floats(count, 3);
        CHECK(on_device(device, logits, {5, 6, 7}, sampling_of(p, 9), 4).token == on_host(logits, {5, 6, 7}, p, 9, 4));
    }
}

TEST_CASE("blocks choose as each does alone, with its own options, history and step") {
    Cuda device;
    std::vector<std::vector<float>> logits;
    std::vector<std::vector<TokenId>> histories = {{1, 2, 3}, {}, {4, 4, 4, 4, 9}, {300}};
    std::vector<kernels::Sampling> samplings = {sampling_of({.repetition_penalty = 1.5f, .do_sample = true, .top_k = 7}, 1), sampling_of({}, 2),
                                                sampling_of({.do_sample = true, .temperature = 2.0f, .top_k = 0, .top_p = 0.6f}, 3), sampling_of({.do_sample = true, .min_p = 0.1f}, 4)};
    samplings[1].min_new_tokens = 5, samplings[1].end_token_count = 1, samplings[1].end_tokens[0] = 17;
    for (std::uint64_t i = 0; i < 4; ++i) logits.push_back(random_floats(301, i));
    logits[1][17] = 50;
    const std::vector<std::uint32_t> produced = {0, 4, 9, 2};
    under_every_schedule([&] {
        const std::vector<Result> together = on_device(device, logits, histories, samplings, produced);
        for (std::size_t i = 0; i < 4; ++i) CHECK(together[i].token == on_device(device, logits[i], histories[i], samplings[i], produced[i]).token);
    });
}

TEST_CASE("end tokens are held back, and unusable logits are reported") {
    Cuda device;
    kernels::Sampling s;
    s.min_new_tokens = 2, s.end_token_count = 2, s.end_tokens[0] = 1, s.end_tokens[1] = 99;
    const std::vector<float> logits = {0, 5, 3};
    CHECK(on_device(device, logits, {0}, s, 1).token == 2);
    CHECK(on_device(device, logits, {0}, s, 2).token == 1);
    CHECK(on_device(device, logits, {0}, s, 2).step.failed == 0);
    s.min_new_tokens = 0;
    for (const bool do_sample : {false, true}) {
        s.do_sample = do_sample;
        for (const float bad : {std::nanf(""), INFINITY}) CHECK(on_device(device, {1, bad, 2}, {0}, s, 0).step.failed == 1);
        CHECK(on_device(device, {-INFINITY, -INFINITY}, {0}, s, 0).step.failed == 1);
    }
}
