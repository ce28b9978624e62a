// Generation on the emulated GPU: the captured decode step, replayed with its state in device memory, chooses what the host would choose
// from the same model's logits, stops where it would, and leaves the cache as it would.
#include "morsel/cuda.cuh"
#include "support/catch.hpp"
#include "support/cuda_schedules.hpp"
#include "support/random_llama.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

struct Generation {
    Cuda device;
    DecoderModel<Cuda> model;
    DecoderState<Cuda> state;
    DecodeWork<Cuda> work;
    std::size_t graph_launches = 0;

    explicit Generation(CudaPrecision precision) : device({.precision = precision, .on_launch = [this](const CudaLaunch&) { ++graph_launches; }}) {
        const LlamaConfig c = small_llama_config();
        model.model = load_llama(device, c, RandomWeights(c, DType::bf16));
        state = make_decoder_state(device, model);
    }
    GenerationResult run(bool on_host, const std::vector<TokenId>& prompt, const GenerationSettings& settings, std::size_t stop_after = 1000) {
        reset(state);
        std::size_t seen = 0;
        const auto on_token = [&](TokenId) { return ++seen < stop_after; };
        return on_host ? decode_tokens_on_host(device, model, state, work, prompt, settings, on_token) : decode_tokens(device, model, state, work, prompt, settings, on_token);
    }
};

}  // namespace

TEST_CASE("the device chooses what the host chooses") {
    std::vector<TokenId> prompt;
    for (TokenId i = 0; i < 30; ++i) prompt.push_back(i * 7 % 50);
    for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) {
        Generation g(precision);
        GenerationSettings settings;
        settings.max_new_tokens = 12, settings.context_limit = 600;
        under_every_schedule([&] {
            const GenerationResult device = g.run(false, prompt, settings);
            const std::vector<TokenId> tokens = g.state.tokens(0);
            const GenerationResult host = g.run(true, prompt, settings);
            CHECK(device.ids == host.ids);
            CHECK(device.ids.size() == 12);
            CHECK(tokens == g.state.tokens(0));
        });
        settings.processing = {.repetition_penalty = 1.2f, .do_sample = true, .temperature = 1.5f, .top_k = 20, .top_p = 0.9f};
        for (const std::uint64_t seed : {1u, 2u}) {
            settings.seed = seed;
            CHECK(g.run(false, prompt, settings).ids == g.run(true, prompt, settings).ids);
        }
    }
}

TEST_CASE("a stop is noticed, and the tokens behind it are dropped") {
    Generation g(CudaPrecision::f32);
    const std::vector<TokenId> prompt = {3, 1, 4};
    GenerationSettings settings;
    settings.max_new_tokens = 9;
    const std::vector<TokenId> all = g.run(true, prompt, settings).ids;
    for (const std::size_t after : {1u, 2u, 3u, 5u}) {
        const GenerationResult result = g.run(false, prompt, settings, after);
        CHECK(result.stop_reason == StopReason::cancelled);
        CHECK(result.ids == std::vector<TokenId>(all.begin(), all.begin() + std::ptrdiff_t(after)));
        CHECK(g.state.tokens(0).size() == prompt.size() + after - 1);
    }
    settings.eos_token_ids = {all[4]};
    const GenerationResult device = g.run(false, prompt, settings), host = g.run(true, prompt, settings);
    CHECK(device.stop_reason == StopReason::eos);
    CHECK(device.ids == host.ids);
    settings.min_new_tokens = 7;
    CHECK(g.run(false, prompt, settings).ids == g.run(true, prompt, settings).ids);
    settings.context_limit = 6, settings.min_new_tokens = 0, settings.eos_token_ids = {};
    CHECK(g.run(false, prompt, settings).ids.size() == 3);
    CHECK_THROWS_AS(g.run(false, {}, settings), Error);
}

TEST_CASE("one captured step serves all the others: the host launches kernels for three tokens only") {
    Generation g(CudaPrecision::bf16);
    GenerationSettings settings;
    settings.max_new_tokens = 4;
    g.graph_launches = 0, g.run(false, {1, 2, 3}, settings);
    const std::size_t few = g.graph_launches;
    settings.max_new_tokens = 40;
    g.graph_launches = 0, g.run(false, {1, 2, 3}, settings);
    CHECK(g.graph_launches == few);
}
