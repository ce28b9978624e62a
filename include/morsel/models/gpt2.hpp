// GPT-2 (Radford et al. 2019): word and position embeddings, pre-norm blocks x + attention(norm(x)), x + mlp(norm(x)) with biases
// everywhere, a last norm, and the word embeddings again as output. Follows modeling_gpt2.py of Hugging Face transformers in f32.
// Its matrices are stored as Conv1D, [in_features, out_features]. As a decoder it is used like Llama (models/llama.hpp): load_gpt2,
// make_gpt2_state, forward, logits; as an encoder of whole sequences like Bert (models/bert.hpp): add_sequence, forward.
#pragma once
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/models/config_values.hpp"
#include "morsel/models/decoder_input.hpp"
#include "morsel/models/encoder_batch.hpp"
#include "morsel/models/encoder_block.hpp"
#include "morsel/models/observer.hpp"
#include "morsel/models/weights.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

struct Gpt2Config {
    std::string model_type = "gpt2";
    std::size_t vocab_size = 0;
    std::size_t hidden_size = 0;              // n_embd
    std::size_t num_hidden_layers = 0;        // n_layer
    std::size_t num_attention_heads = 0;      // n_head
    std::size_t intermediate_size = 0;        // n_inner; 4 n_embd where that is null
    std::size_t max_position_embeddings = 0;  // n_positions: tokens, rows of the position table
    Activation hidden_act = Activation::gelu_tanh;  // activation_function
    float layer_norm_eps = 1e-5f;             // layer_norm_epsilon
    bool scale_attn_weights = true, scale_attn_by_inverse_layer_idx = false;
    bool tie_word_embeddings = true;
    std::optional<TokenId> bos_token_id = {}, pad_token_id = {};
    std::vector<TokenId> eos_token_id = {};

    std::size_t max_tokens() const { return max_position_embeddings; }
    BlockShape block() const { return {hidden_size, intermediate_size, num_attention_heads, hidden_act, layer_norm_eps}; }
    float scale(std::size_t layer) const {
        const float scale = scale_attn_weights ? 1.0f / std::sqrt(static_cast<float>(hidden_size / num_attention_heads)) : 1.0f;
        return scale_attn_by_inverse_layer_idx ? scale / static_cast<float>(layer + 1) : scale;
    }
};

// Reads config.json. Throws Error naming the key.
inline Gpt2Config gpt2_config(const JsonObject& json) {
    using namespace detail;
    Gpt2Config c;
    c.model_type = json.get<std::string>("model_type");
    if (c.model_type != "gpt2") throw json.error("model_type", "not a GPT-2 model", "gpt2", c.model_type);
    if (json.get_or<bool>("add_cross_attention", false)) throw json.error("add_cross_attention", "not supported", "false", "true");
    c.vocab_size = size_of(json, "vocab_size");
    c.hidden_size = size_of(json, "n_embd");
    c.num_hidden_layers = size_of(json, "n_layer", 1, 4096);
    c.num_attention_heads = heads_of(json, "n_head", "n_embd", c.hidden_size);
    c.intermediate_size = size_or(json, "n_inner", 4 * c.hidden_size);
    c.max_position_embeddings = size_or(json, "n_positions", 1024);
    c.hidden_act = activation_of(json, "activation_function", "gelu_new");
    c.layer_norm_eps = epsilon_of(json, "layer_norm_epsilon", 1e-5f);
    c.scale_attn_weights = json.get_or<bool>("scale_attn_weights", true);
    c.scale_attn_by_inverse_layer_idx = json.get_or<bool>("scale_attn_by_inverse_layer_idx", false);
    c.tie_word_embeddings = json.get_or<bool>("tie_word_embeddings", true);
    c.bos_token_id = json.find<TokenId>("bos_token_id");
    c.pad_token_id = json.find<TokenId>("pad_token_id");
    c.eos_token_id = token_ids_of(json, "eos_token_id");
    for (const TokenId id : c.eos_token_id)
        if (id >= c.vocab_size) throw json.error("eos_token_id", "outside the vocabulary", "below " + std::to_string(c.vocab_size), std::to_string(id));
    return c;
}

// The model's name for a stored one: without "transformer."; "" for the causal masks that old files carry.
inline std::string gpt2_tensor_name(std::string_view stored) {
    constexpr std::string_view prefix = "transformer.";
    if (stored.starts_with(prefix)) stored.remove_prefix(prefix.size());
    if (stored.starts_with("h.") && (stored.ends_with(".attn.bias") || stored.ends_with(".attn.masked_bias"))) return {};
    return std::string(stored);
}

template <class D>
struct Gpt2Layer {
    LayerNorm<D> ln_1;  // [hidden_size]
    Dense<D> c_attn;    // [3 hidden_size, hidden_size]: query rows, key rows, value rows
    Dense<D> attn_c_proj;  // [hidden_size, hidden_size]
    LayerNorm<D> ln_2;  // [hidden_size]
    Dense<D> c_fc;      // [intermediate_size, hidden_size]
    Dense<D> mlp_c_proj;  // [hidden_size, intermediate_size]
};

// Weights and sizes; immutable after load_gpt2.
template <class D>
struct Gpt2 {
    Gpt2Config config;
    typename D::Matrix wte;  // [vocab_size, hidden_size]
    typename D::Matrix wpe;  // [max_position_embeddings, hidden_size]
    std::vector<Gpt2Layer<D>> layers;
    LayerNorm<D> ln_f;            // [hidden_size]
    typename D::Matrix lm_head;   // [vocab_size, hidden_size]; unused where the embeddings are tied
    std::vector<std::string> unused_tensors;
};

// What grows while sequences are decoded: keys and values, the tokens so far, and work space. One per conversation or batch.
template <class D>
struct Gpt2State {
    KvCache<D> cache;                          // one slot per sequence
    std::vector<std::vector<TokenId>> tokens;  // [sequence]: all tokens in the cache
    EncoderWork<D> work;
};

// Reads all weights. Throws Error naming every missing tensor, or the first of a wrong shape or dtype; `progress` may cancel.
template <class D>
Gpt2<D> load_gpt2(D& device, const Gpt2Config& config, const TensorSource& source, const ProgressCallback& progress = {}) {
    const Gpt2Config& c = config;
    const std::size_t width = c.hidden_size;
    WeightReader weights(source, gpt2_tensor_name);
    std::vector<std::string> names = {"wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias"};
    if (!c.tie_word_embeddings) names.push_back("lm_head.weight");
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i)
        for (const char* name : {"ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"})
            for (const char* part : {".weight", ".bias"}) names.push_back("h." + std::to_string(i) + "." + name + part);
    weights.require(names);
    if (c.tie_word_embeddings) weights.ignore("lm_head.weight");

    detail::WeightLoader<D> load(device, weights, progress);
    const auto conv1d = [&](const std::string& name, std::size_t in, std::size_t out) -> Dense<D> {
        return {load.matrix({{.view = load.view(name + ".weight", {in, out}), .transposed = true}}), load.vector(name + ".bias", out)};
    };
    Gpt2<D> model;
    model.config = c;
    model.wte = load.matrix("wte.weight", c.vocab_size, width);
    model.wpe = load.matrix("wpe.weight", c.max_position_embeddings, width);
    model.layers.resize(c.num_hidden_layers);
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
        Gpt2Layer<D>& layer = model.layers[i];
        const std::string at = "h." + std::to_string(i) + ".";
        layer.ln_1 = load.layer_norm(at + "ln_1", width);
        layer.c_attn = conv1d(at + "attn.c_attn", width, 3 * width);
        layer.attn_c_proj = conv1d(at + "attn.c_proj", width, width);
        layer.ln_2 = load.layer_norm(at + "ln_2", width);
        layer.c_fc = conv1d(at + "mlp.c_fc", width, c.intermediate_size);
        layer.mlp_c_proj = conv1d(at + "mlp.c_proj", c.intermediate_size, width);
    }
    model.ln_f = load.layer_norm("ln_f", width);
    if (!c.tie_word_embeddings) model.lm_head = load.matrix("lm_head.weight", c.vocab_size, width);
    model.unused_tensors = weights.unused();
    return model;
}

// An empty state for `sequences` sequences. The cache grows as they do.
template <class D>
Gpt2State<D> make_gpt2_state(D& device, const Gpt2<D>& model, std::size_t sequences = 1) {
    const Gpt2Config& c = model.config;
    Gpt2State<D> state;
    state.cache = make_kv_cache(device, c.num_hidden_layers, sequences, 0, c.num_attention_heads, c.hidden_size / c.num_attention_heads);
    state.tokens.resize(sequences);
    return state;
}

namespace detail {

// All blocks over the rows of `segments`, final hidden states in work.hidden. Where no later call needs the keys (`keep` false) a
// cache of one layer serves every layer in turn.
template <class D, class Observe>
const float* run_gpt2(D& device, const Gpt2<D>& model, EncoderWork<D>& work, KvCache<D>& cache, bool keep, std::span<const TokenId> input_ids,
                      std::span<const TokenId> position_ids, std::span<const Segment> segments, Observe&& observe) {
    const Gpt2Config& c = model.config;
    const std::size_t rows = input_ids.size(), width = c.hidden_size;
    reserve_rows(device, c.block(), work, rows);
    float* hidden = work.hidden.data();              // [rows, hidden_size]
    float* qkv = work.qkv.data();                    // [rows, 3 hidden_size]
    float* context = work.context.data();            // [rows, hidden_size]: what attention gives, and normalised rows before it
    float* intermediate = work.intermediate.data();  // [rows, intermediate_size]
    const RopeTable<D> no_rotation = make_rope_table(device, std::span<const float>());
    const auto norm = [&](const LayerNorm<D>& n, float* out) { layer_norm(device, hidden, n.weight.data(), n.bias.data(), c.layer_norm_eps, rows, width, out); };

    const EmbeddingRows<D> embeddings[] = {{&model.wte, input_ids}, {&model.wpe, position_ids, true}};
    const LayerNorm<D>& first = model.layers.empty() ? model.ln_f : model.layers[0].ln_1;
    embed_sum_layer_norm(device, std::span<const EmbeddingRows<D>>(embeddings), first.weight.data(), first.bias.data(), c.layer_norm_eps, hidden, context);
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
        const Gpt2Layer<D>& layer = model.layers[i];
        const std::size_t in_cache = keep ? i : 0;
        const AttentionShape shape{.n_heads = c.num_attention_heads, .n_kv_heads = c.num_attention_heads, .head_dim = width / c.num_attention_heads, .scale = c.scale(i)};
        observe(i, hidden);
        if (i > 0) norm(layer.ln_1, context);
        linear(device, context, rows, layer.c_attn.weight, {.bias = layer.c_attn.bias.data()}, qkv);
        attend(device, qkv, shape, no_rotation, segments, cache, in_cache, context);
        linear(device, context, rows, layer.attn_c_proj.weight, {.bias = layer.attn_c_proj.bias.data(), .accumulate = true}, hidden);
        norm(layer.ln_2, context);
        linear(device, context, rows, layer.c_fc.weight, {.bias = layer.c_fc.bias.data(), .activation = c.hidden_act}, intermediate);
        linear(device, intermediate, rows, layer.mlp_c_proj.weight, {.bias = layer.mlp_c_proj.bias.data(), .accumulate = true}, hidden);
    }
    norm(model.ln_f, hidden);
    observe(model.layers.size(), hidden);
    return hidden;
}

}  // namespace detail

// Runs new tokens of one sequence behind those it already has, and gives their final hidden states [input_ids.size(),
// hidden_size] on the device; they stay valid until the next call with this state.
// Throws Error, with the state unchanged, on an empty input, an id outside the vocabulary, or more tokens than positions.
template <class D, class Observe = NoObserver>
const float* forward(D& device, const Gpt2<D>& model, Gpt2State<D>& state, std::size_t sequence, std::span<const TokenId> input_ids, Observe&& observe = {}) {
    std::vector<TokenId>& tokens = state.tokens.at(sequence);
    const std::size_t past = tokens.size();
    detail::check_decoder_input(input_ids, past, model.config.vocab_size, model.config.max_position_embeddings);
    std::vector<TokenId> positions(input_ids.size());
    for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<TokenId>(past + i);
    const Segment added{.row_begin = 0, .row_count = input_ids.size(), .past = past, .slot = sequence};
    const float* hidden = detail::run_gpt2(device, model, state.work, state.cache, true, input_ids, positions, std::span(&added, 1), observe);
    tokens.insert(tokens.end(), input_ids.begin(), input_ids.end());
    return hidden;
}

// One new token of each of several sequences, none twice, through the model together: final hidden states [input_ids.size(), hidden_size].
// Otherwise as forward.
template <class D>
const float* forward_each(D& device, const Gpt2<D>& model, Gpt2State<D>& state, std::span<const std::size_t> sequences, std::span<const TokenId> input_ids) {
    const std::vector<Segment> segments = detail::one_row_each(state.tokens, sequences, input_ids, model.config.vocab_size, model.config.max_position_embeddings);
    std::vector<TokenId> positions;
    for (const Segment& s : segments) positions.push_back(static_cast<TokenId>(s.past));
    const float* hidden = detail::run_gpt2(device, model, state.work, state.cache, true, input_ids, positions, segments, NoObserver{});
    for (std::size_t i = 0; i < sequences.size(); ++i) state.tokens[sequences[i]].push_back(input_ids[i]);
    return hidden;
}

// Logits [rows, vocab_size] of final hidden states [rows, hidden_size], both on the device.
template <class D>
void logits(D& device, const Gpt2<D>& model, const float* hidden_states, std::size_t rows, float* out) {
    linear(device, hidden_states, rows, model.config.tie_word_embeddings ? model.wte : model.lm_head, {}, out);
}

// Forgets a sequence's tokens, so that its slot can serve another.
template <class D>
void reset(Gpt2State<D>& state, std::size_t sequence = 0) {
    state.tokens.at(sequence).clear();
}

// Appends one sequence, whose positions count the tokens that the mask shows. token_type_ids must be empty or 0.
// Throws Error, with the batch unchanged.
inline void add_sequence(EncoderBatch& batch, const Gpt2Config& config, std::span<const TokenId> input_ids,
                         std::span<const TokenId> token_type_ids = {}, std::span<const TokenId> attention_mask = {}) {
    detail::check_sequence(input_ids, token_type_ids, attention_mask, config.vocab_size, 0, config.max_tokens());
    std::size_t next = 0;
    detail::append_sequence(batch, input_ids, token_type_ids, attention_mask,
                            [&](std::size_t i) { return attention_mask.empty() || attention_mask[i] != 0 ? next++ : std::size_t{0}; });
}

// Final hidden states [batch.rows(), hidden_size] of whole sequences, each token seeing those before it.
template <class D, class Observe = NoObserver>
const float* forward(D& device, const Gpt2<D>& model, EncoderWork<D>& work, const EncoderBatch& batch, Observe&& observe = {}) {
    const Gpt2Config& c = model.config;
    KvCache<D> cache = make_kv_cache(device, 1, batch.sequences(), 0, c.num_attention_heads, c.hidden_size / c.num_attention_heads);
    return detail::run_gpt2(device, model, work, cache, false, batch.input_ids, batch.position_ids, batch.segments, observe);
}

}  // namespace morsel
