// Generation on the emulated GPU: the captured decode step, replayed with its state in device memory, chooses what the host would choose
// from the same model's logits, stops where it would, and leaves the cache as it would; for one sequence, and for several at once.
#include "morsel/cuda.cuh"
#include "support/catch.hpp"
#include "support/cuda_schedules.hpp"
#include "support/random_gpt2.hpp"
#include "support/random_llama.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

enum class Model { llama, gpt2 };
constexpr Model all_models[] = {Model::llama, Model::gpt2};

struct Generation {
    Cuda device;
    DecoderModel<Cuda> model;
    DecoderState<Cuda> state;
    DecodeWork<Cuda> work;
    std::size_t graph_launches = 0;

    explicit Generation(CudaPrecision precision, Model kind = Model::llama, std::size_t most_tokens = 600)
        : device({.precision = precision, .on_launch = [this](const CudaLaunch&) { ++graph_launches; }}) {
        if (kind == Model::llama) {
            LlamaConfig c = small_llama_config();
            c.max_position_embeddings = most_tokens;
            model.model = load_llama(device, c, RandomWeights(c, DType::bf16));
        } else {
            Gpt2Config c = small_gpt2_config();
            c.max_position_embeddings = most_tokens;
            model.model = load_gpt2(device, c, RandomGpt2(c, DType::bf16));
        }
        state = make_decoder_state(device, model);
    }
    GenerationResult run(bool on_host, const std::vector<TokenId>& prompt, const GenerationSettings& settings, std::size_t stop_after = 1000) {
        reset(state);
        std::size_t seen = 0;
        const auto on_token = [&](TokenId) { return ++seen < stop_after; };
        const auto step = [&](std::span<const TokenId> ids) {
            const float* hidden = forward(device, model, state, 0, ids) + (ids.size() - 1) * model.hidden_size();
            logits(device, model, hidden, 1, morsel::detail::reserve_logits(device, model, work, 1));
            return morsel::detail::fetch_logits(device, model, work, 1);
        };
        if (on_host) return generate_tokens(step, prompt, settings, on_token);
        GenerationResult result;
        std::vector<DecodedSequence> one;
        one.push_back({.continuation = Continuation(prompt, settings), .on_token = [&](TokenId id) { return on_token(id) ? std::nullopt : std::optional(StopReason::cancelled); },
                       .on_done = [&](GenerationResult r) { result = std::move(r); }});
        decode_tokens(device, model, state, work, std::span(one));
        return result;
    }
};

}  // namespace

TEST_CASE("the device chooses what the host chooses") {
    std::vector<TokenId> prompt;
    for (TokenId i = 0; i < 10; ++i) prompt.push_back(i * 7 % 50);
    for (const auto& [precision, kind] : {std::pair{CudaPrecision::f32, Model::llama}, {CudaPrecision::bf16, Model::llama}, {CudaPrecision::f32, Model::gpt2}, {CudaPrecision::bf16, Model::gpt2}}) {
        Generation g(precision, kind);
        INFO("precision " << int(precision) << ", model " << int(kind));
        GenerationSettings settings;
        settings.max_new_tokens = 8, settings.context_limit = 600;
        under_every_schedule([&] {
            const GenerationResult device = g.run(false, prompt, settings);
            const std::vector<TokenId> tokens = g.state.tokens(0);
            const GenerationResult host = g.run(true, prompt, settings);
            CHECK(device.ids == host.ids);
            CHECK(device.ids.size() == 8);
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
    for (const Model kind : all_models) {
        Generation g(CudaPrecision::bf16, kind);
        GenerationSettings settings;
        settings.max_new_tokens = 4;
        g.graph_launches = 0, g.run(false, {1, 2, 3}, settings);
        const std::size_t few = g.graph_launches;
        settings.max_new_tokens = 40;
        g.graph_launches = 0, g.run(false, {1, 2, 3}, settings);
        CHECK(g.graph_launches == few);
    }
}

TEST_CASE("the last position of a model is used, and none behind it") {
    for (const Model kind : all_models) {
        Generation g(CudaPrecision::f32, kind, 20);
        GenerationSettings settings;
        settings.max_new_tokens = 11;  // of 21 tokens the last is not run
        const std::vector<TokenId> prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
        const std::vector<TokenId> ids = g.run(false, prompt, settings).ids;
        CHECK(ids.size() == 11);
        CHECK(ids == g.run(true, prompt, settings).ids);
        settings.max_new_tokens = 12;
        CHECK_THROWS_AS(g.run(false, prompt, settings), Error);
    }
    CHECK(host_fault().empty());
}

TEST_CASE("several sequences at once give what each gives alone") {
    const std::vector<std::vector<TokenId>> prompts = {{7}, {3, 1, 4, 1, 5}, {2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5}, {1, 6, 1, 8}, {30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47}, {9, 9}};
    std::vector<GenerationSettings> settings(prompts.size());
    for (std::size_t i = 0; i < settings.size(); ++i) settings[i].max_new_tokens = 5 + i, settings[i].seed = i, settings[i].context_limit = 600;
    settings[1].processing = {.repetition_penalty = 1.3f, .do_sample = true, .temperature = 1.5f, .top_k = 20};
    settings[2].processing = {.do_sample = true, .temperature = 1.2f, .top_k = 0, .top_p = 0.8f};
    settings[3].min_new_tokens = 3, settings[3].eos_token_ids = {1, 8};
    settings[5].processing = {.do_sample = true, .min_p = 0.05f};
    for (const auto& [precision, kind] : {std::pair{CudaPrecision::f32, Model::llama}, {CudaPrecision::bf16, Model::llama}, {CudaPrecision::bf16, Model::gpt2}}) {
        Generation g(precision, kind);
        std::vector<GenerationResult> alone;
        for (std::size_t i = 0; i < prompts.size(); ++i) alone.push_back(g.run(false, prompts[i], settings[i], i == 4 ? 2 : 1000));
        REQUIRE(alone[4].stop_reason == StopReason::cancelled);
        std::size_t schedule = 0;
        for (const std::size_t slots : {2u, 3u, 4u, 6u}) {  // six rows are cuBLAS's
            if (precision == CudaPrecision::bf16 && slots > 4) continue;
            INFO(slots << " at once, precision " << int(precision) << ", model " << int(kind));
            use_schedule(schedule++);
            DecoderState<Cuda> state = make_decoder_state(g.device, g.model, slots);
            std::vector<GenerationResult> results(prompts.size());
            std::size_t seen = 0;
            std::vector<DecodedSequence> sequences;
            for (std::size_t i = 0; i < prompts.size(); ++i)
                sequences.push_back({.continuation = Continuation(prompts[i], settings[i]),
                                     .on_token = [&, i](TokenId) { return i == 4 && ++seen == 2 ? std::optional(StopReason::cancelled) : std::nullopt; },
                                     .on_done = [&, i](GenerationResult r) { results[i] = std::move(r); }});
            decode_tokens(g.device, g.model, state, g.work, std::span(sequences));
            for (std::size_t i = 0; i < prompts.size(); ++i) {
                INFO("sequence " << i);
                CHECK(results[i].ids == alone[i].ids);
                CHECK(results[i].stop_reason == alone[i].stop_reason);
            }
        }
        use_schedule(0);
        // One whose options the kernel does not do makes the host choose for all that are with it.
        settings[0].processing.no_repeat_ngram_size = 2;
        DecoderState<Cuda> state = make_decoder_state(g.device, g.model, 4);
        std::vector<std::vector<TokenId>> ids(4);
        std::vector<DecodedSequence> sequences;
        for (std::size_t i = 0; i < 4; ++i)
            sequences.push_back({.continuation = Continuation(prompts[i], settings[i]), .on_token = [](TokenId) { return std::nullopt; }, .on_done = [&, i](GenerationResult r) { ids[i] = r.ids; }});
        decode_tokens(g.device, g.model, state, g.work, std::span(sequences));
        CHECK(ids[0] == g.run(true, prompts[0], settings[0]).ids);
        for (std::size_t i = 1; i < 4; ++i) CHECK(ids[i] == alone[i].ids);
        settings[0].processing.no_repeat_ngram_size = 0;
    }
    CHECK(host_fault().empty());
}
