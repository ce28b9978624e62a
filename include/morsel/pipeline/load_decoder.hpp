// A causal language model from a Hugging Face directory or a GGUF file, whichever it is: configuration, weights and generation
// defaults. Here the file formats and the models meet. The functions below give every decoder one face, that of models/llama.hpp.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/progress.hpp"
#include "morsel/formats/gguf.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/open_weights.hpp"
#include "morsel/generation/generation_config.hpp"
#include "morsel/models/gguf_llama.hpp"
#include "morsel/models/gpt2.hpp"
#include "morsel/models/llama.hpp"

namespace morsel {

// One of the decoders. Immutable after load_decoder, so one may be shared by threads that each have their own device and state.
template <class D>
struct DecoderModel {
    std::variant<Llama<D>, Gpt2<D>> model;

    // f(config) of the model there is.
    template <class F> auto with_config(F&& f) const {
        return std::visit([&](const auto& m) { return f(m.config); }, model);
    }
    std::size_t vocab_size() const {
        return with_config([](const auto& c) { return c.vocab_size; });
    }
    std::size_t hidden_size() const {
        return with_config([](const auto& c) { return c.hidden_size; });
    }
    std::size_t num_layers() const {
        return with_config([](const auto& c) { return c.num_hidden_layers; });
    }
    // The longest sequence, in tokens.
    std::size_t max_tokens() const {
        return with_config([](const auto& c) { return c.max_position_embeddings; });
    }
    // What the file holds beyond the model.
    const std::vector<std::string>& unused_tensors() const {
        return std::visit([](const auto& m) -> const std::vector<std::string>& { return m.unused_tensors; }, model);
    }
};

// The state of the same kind of decoder.
template <class D>
struct DecoderState {
    std::variant<LlamaState<D>, Gpt2State<D>> state;

    std::size_t sequences() const {
        return std::visit([](const auto& s) { return s.tokens.size(); }, state);
    }
    // All tokens of a sequence that are in the cache. Shortening it forgets the last of them.
    std::vector<TokenId>& tokens(std::size_t sequence) {
        return std::visit([&](auto& s) -> std::vector<TokenId>& { return s.tokens.at(sequence); }, state);
    }
};

template <class D>
DecoderState<D> make_decoder_state(D& device, const DecoderModel<D>& decoder, std::size_t sequences = 1) {
    if (const auto* gpt2 = std::get_if<Gpt2<D>>(&decoder.model)) return {make_gpt2_state(device, *gpt2, sequences)};
    return {make_llama_state(device, std::get<Llama<D>>(decoder.model), sequences)};
}

// As the model's own: final hidden states [input_ids.size(), hidden_size] of new tokens behind those of the state.
template <class D, class Observe = NoObserver>
const float* forward(D& device, const DecoderModel<D>& decoder, DecoderState<D>& state, std::size_t sequence, std::span<const TokenId> input_ids, Observe&& observe = {}) {
    if (const auto* gpt2 = std::get_if<Gpt2<D>>(&decoder.model))
        return forward(device, *gpt2, std::get<Gpt2State<D>>(state.state), sequence, input_ids, observe);
    return forward(device, std::get<Llama<D>>(decoder.model), std::get<LlamaState<D>>(state.state), sequence, input_ids, observe);
}

// How many of these sequences, from the first on, forward_each can take together.
template <class D>
std::size_t rows_together(const DecoderModel<D>& decoder, const DecoderState<D>& state, std::span<const std::size_t> sequences) {
    const auto* llama = std::get_if<Llama<D>>(&decoder.model);
    return llama == nullptr ? sequences.size() : rows_together(*llama, std::get<LlamaState<D>>(state.state), sequences);
}

// As the model's own: final hidden states [input_ids.size(), hidden_size] of one new token of each of several sequences.
template <class D>
const float* forward_each(D& device, const DecoderModel<D>& decoder, DecoderState<D>& state, std::span<const std::size_t> sequences, std::span<const TokenId> input_ids) {
    if (const auto* gpt2 = std::get_if<Gpt2<D>>(&decoder.model)) return forward_each(device, *gpt2, std::get<Gpt2State<D>>(state.state), sequences, input_ids);
    return forward_each(device, std::get<Llama<D>>(decoder.model), std::get<LlamaState<D>>(state.state), sequences, input_ids);
}

// Logits [rows, vocab_size] of final hidden states [rows, hidden_size], both on the device.
template <class D>
void logits(D& device, const DecoderModel<D>& decoder, const float* hidden_states, std::size_t rows, float* out) {
    std::visit([&](const auto& m) { logits(device, m, hidden_states, rows, out); }, decoder.model);
}

// Forgets a sequence's tokens, so that its slot can serve another.
template <class D>
void reset(DecoderState<D>& state, std::size_t sequence = 0) {
    state.tokens(sequence).clear();
}

// Whether the first tokens of a sequence may stay in the cache when it is to have `length` tokens and has `cached`: longrope's keys
// depend on the length of the whole sequence.
template <class D>
bool cache_reusable(const DecoderModel<D>& decoder, std::size_t cached, std::size_t length) {
    const auto* llama = std::get_if<Llama<D>>(&decoder.model);
    return llama == nullptr || llama->config.rope.is_long(cached) == llama->config.rope.is_long(length);
}

template <class D>
struct LoadedDecoder {
    std::shared_ptr<const DecoderModel<D>> model;  // shareable between threads
    GenerationConfig generation;              // of generation_config.json; end tokens of config.json where that has none
};

// `path`: a directory with config.json and weights, a GGUF file, or a directory with one. Throws Error.
template <class D>
LoadedDecoder<D> load_decoder(D& device, const std::filesystem::path& path, const ProgressCallback& progress = {}) {
    const std::unique_ptr<TensorSource> weights = open_weights(path);
    LoadedDecoder<D> loaded;
    DecoderModel<D> decoder;
    if (const auto* gguf = dynamic_cast<const GgufFile*>(weights.get())) {
        decoder.model = load_llama(device, llama_config(*gguf), GgufLlamaWeights(*gguf), progress);
    } else {
        const std::filesystem::path directory = std::filesystem::is_directory(path) ? path : path.parent_path();
        const Json parsed = parse_json_file(directory / "config.json");
        const JsonObject json(parsed, directory / "config.json");
        if (json.template get<std::string>("model_type") == "gpt2") decoder.model = load_gpt2(device, gpt2_config(json), *weights, progress);
        else decoder.model = load_llama(device, llama_config(json), *weights, progress);
        if (std::filesystem::exists(directory / "generation_config.json")) loaded.generation = load_generation_config(directory / "generation_config.json");
    }
    decoder.with_config([&](const auto& config) {
        if (!loaded.generation.eos_token_id && !config.eos_token_id.empty()) loaded.generation.eos_token_id = config.eos_token_id;
        if (!loaded.generation.bos_token_id) loaded.generation.bos_token_id = config.bos_token_id;
        if (!loaded.generation.pad_token_id) loaded.generation.pad_token_id = config.pad_token_id;
    });
    loaded.model = std::make_shared<const DecoderModel<D>>(std::move(decoder));
    return loaded;
}

}  // namespace morsel
