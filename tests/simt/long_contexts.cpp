// Whole decoders on the emulated GPU whose head size the fast kernels have, over more than one chunk of keys and past their window, and of
// quantised weights: the CPU's logits; and the captured step chooses there what the host chooses.
#include "morsel/cuda.cuh"
#include "morsel/ops/cpu.hpp"
#include "support/catch.hpp"
#include "support/cuda_schedules.hpp"
#include "support/random_gpt2.hpp"
#include "support/random_llama.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

enum class LongModel { llama_with_window, gpt2 };
constexpr LongModel long_models[] = {LongModel::llama_with_window, LongModel::gpt2};

template <class D>
DecoderModel<D> load_long(D& device, LongModel kind) {
    DecoderModel<D> model;
    if (kind == LongModel::gpt2) {
        const Gpt2Config c = small_gpt2_config();
        model.model = load_gpt2(device, c, RandomGpt2(c, DType::bf16));
    } else {
        LlamaConfig c = small_llama_config();
        c.sliding_window = 100;
        model.model = load_llama(device, c, RandomWeights(c, DType::bf16));
    }
    return model;
}

std::vector<TokenId> long_prompt(std::size_t length) {
    std::vector<TokenId> prompt;
    for (TokenId i = 0; i < length; ++i) prompt.push_back((i * i + 3 * i) % 47);
    return prompt;
}

// Logits of the last position after the prompt, and after each of a few tokens one by one.
template <class D>
std::vector<std::vector<float>> stepwise_logits(D& device, const DecoderModel<D>& model, std::size_t length, std::size_t steps) {
    DecoderState<D> state = make_decoder_state(device, model);
    typename D::Buffer out = allocate(device, model.vocab_size());
    std::vector<std::vector<float>> all;
    std::vector<TokenId> ids = long_prompt(length);
    for (std::size_t step = 0; step <= steps; ++step) {
        const float* hidden = forward(device, model, state, 0, ids) + (ids.size() - 1) * model.hidden_size();
        logits(device, model, hidden, 1, out.data());
        download(device, out.data(), all.emplace_back(model.vocab_size()));
        ids = {static_cast<TokenId>(step % 47)};
    }
    return all;
}

}  // namespace

TEST_CASE("decoders through the fast kernels give the CPU's logits over several chunks of keys") {
    Cpu cpu({.threads = 1, .precision = MatrixPrecision::f32});
    for (const LongModel kind : long_models) {
        const auto expected = stepwise_logits(cpu, load_long(cpu, kind), 260, 3);
        for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) {
            Cuda device({.precision = precision});
            const auto found = stepwise_logits(device, load_long(device, kind), 260, 3);
            for (std::size_t step = 0; step < expected.size(); ++step) {
                INFO("model " << int(kind) << (precision == CudaPrecision::f32 ? ", f32" : ", bf16") << ", step " << step);
                const double tolerance = precision == CudaPrecision::f32 ? decoder_tolerance(expected[step]) : bf16_product_tolerance(expected[step]);
                CHECK(largest_difference(found[step], expected[step]) <= tolerance);
            }
        }
    }
    CHECK(host_fault().empty());
}

TEST_CASE("decoders of quantised weights give the CPU's logits") {
    LlamaConfig c = small_llama_config();
    c.hidden_size = c.intermediate_size = 256, c.num_attention_heads = 4, c.num_key_value_heads = 2, c.head_dim = 64, c.num_hidden_layers = 1;
    Cpu cpu({.threads = 1, .precision = MatrixPrecision::f32});
    // As GGUF files have them: all of one type, or with value and down projections of another.
    for (const auto& [type, values] : {std::pair{DType::q4_0, DType::q4_0}, {DType::q8_0, DType::q8_0}, {DType::q4_k, DType::q6_k}}) {
        INFO(std::string(dtype_info(type).name));
        const RandomWeights weights(c, type, values);
        const auto load = [&]<class D>(D& device) {
            DecoderModel<D> model;
            model.model = load_llama(device, c, weights);
            return model;
        };
        const auto expected = stepwise_logits(cpu, load(cpu), 9, 2);
        for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) {
            Cuda device({.precision = precision});
            const auto found = stepwise_logits(device, load(device), 9, 2);
            for (std::size_t step = 0; step < expected.size(); ++step)
                CHECK(largest_difference(found[step], expected[step]) <= (precision == CudaPrecision::f32 ? decoder_tolerance(expected[step]) : bf16_product_tolerance(expected[step])));
        }
    }
    CHECK(host_fault().empty());
}

TEST_CASE("a captured step goes on into the next chunk of keys, and past the window") {
    for (const LongModel kind : long_models) {
        Cuda device({.precision = kind == LongModel::gpt2 ? CudaPrecision::bf16 : CudaPrecision::f32});
        const DecoderModel<Cuda> model = load_long(device, kind);
        DecodeWork<Cuda> work;
        GenerationSettings settings;
        settings.max_new_tokens = 14, settings.context_limit = 600;
        std::vector<std::vector<TokenId>> found;
        for (const bool on_device : {true, false}) {
            DecoderState<Cuda> state = make_decoder_state(device, model);
            if (!on_device) settings.processing.no_repeat_ngram_size = 500;  // never applies, but only the host knows it
            std::vector<DecodedSequence> one;
            one.push_back({.continuation = Continuation(long_prompt(248), settings), .on_token = [](TokenId) { return std::nullopt; },
                           .on_done = [&](GenerationResult r) { found.push_back(std::move(r.ids)); }});
            decode_tokens(device, model, state, work, std::span(one));
        }
        REQUIRE(found.size() == 2);
        CHECK(found[0].size() == 14);
        CHECK(found[0] == found[1]);
    }
    CHECK(host_fault().empty());
}
