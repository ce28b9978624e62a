// The Llama family of decoders: Llama (Touvron et al. 2023), SmolLM2, Mistral, Phi-3, Qwen2 and Qwen3, which differ by switches
// of LlamaConfig only. Pre-norm blocks x + attention(norm(x)), x + mlp(norm(x)); RMSNorm, rotary positions, grouped-query
// attention, gated MLP. Follows modeling_llama.py, modeling_phi3.py and modeling_qwen3.py of Hugging Face transformers, in f32.
// Written once against the Device operations (ops/device.hpp); weight names are those of the checkpoints.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/models/llama_config.hpp"
#include "morsel/models/decoder_input.hpp"
#include "morsel/models/observer.hpp"
#include "morsel/models/weights.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

template <class D>
struct LlamaLayer {
    typename D::Buffer input_layernorm;           // [hidden_size]
    typename D::Matrix qkv_proj;                  // [(n_heads + 2 n_kv_heads) · head_dim, hidden_size]
    typename D::Buffer qkv_bias;                  // [(n_heads + 2 n_kv_heads) · head_dim], or empty
    typename D::Buffer q_norm, k_norm;            // [head_dim], or empty
    typename D::Matrix o_proj;                    // [hidden_size, n_heads · head_dim]
    typename D::Buffer o_bias;                    // [hidden_size], or empty
    typename D::Buffer post_attention_layernorm;  // [hidden_size]
    typename D::Matrix gate_up_proj;              // [2 intermediate_size, hidden_size]: gate rows, then up rows
    typename D::Buffer gate_up_bias;              // [2 intermediate_size], or empty
    typename D::Matrix down_proj;                 // [hidden_size, intermediate_size]
    typename D::Buffer down_bias;                 // [hidden_size], or empty
};

// Weights and sizes; immutable after load_llama, so one may be shared by threads that each have their own device and state.
template <class D>
struct Llama {
    LlamaConfig config;
    typename D::Matrix embed_tokens;         // [vocab_size, hidden_size]
    std::vector<LlamaLayer<D>> layers;
    typename D::Buffer norm;                 // [hidden_size]
    typename D::Matrix lm_head;              // [vocab_size, hidden_size]; unused where the embeddings are tied
    std::vector<std::string> unused_tensors;  // what the file holds beyond the model

    const typename D::Matrix& output_weights() const { return config.tie_word_embeddings ? embed_tokens : lm_head; }
};

// What grows while sequences are decoded: keys and values, the tokens so far, and work space. One per conversation or batch.
template <class D>
struct LlamaState {
    KvCache<D> cache;                             // one slot per sequence
    std::vector<std::vector<TokenId>> tokens;     // [sequence]: all tokens in the cache
    RopeTable<D> rope, long_rope;                 // long_rope: longrope's factors beyond the original length
    typename D::Buffer hidden, normed, qkv, context, mlp;  // [rows, …], grown on demand
    std::size_t rows = 0;                         // capacity of the work space
};

namespace detail {

// q, k and v biases and the like, one after another on the device; empty where the file has none of them.
template <class D>
typename D::Buffer stacked_bias(D& device, WeightReader& weights, const std::vector<std::pair<std::string, std::size_t>>& parts) {
    std::vector<std::string> names;
    std::size_t total = 0;
    bool any = false;
    for (const auto& [name, size] : parts) names.push_back(name), total += size, any = any || weights.has(name);
    if (!any) return {};
    weights.require(names);
    typename D::Buffer stacked = allocate(device, total);
    std::size_t at = 0;
    for (const auto& [name, size] : parts) {
        const typename D::Buffer part = prepare_vector(device, weights.take(name, {size}));
        copy(device, part.data(), stacked.data() + at, size);
        at += size;
    }
    return stacked;
}

// Row order that undoes GGUF's interleaving: stored row 2j+h of a head is rotary half h, element j.
inline std::vector<std::uint32_t> halves_together(std::size_t heads, std::size_t head_dim) {
    std::vector<std::uint32_t> order(heads * head_dim);
    for (std::size_t head = 0; head < heads; ++head)
        for (std::size_t i = 0; i < head_dim; ++i) {
            const std::size_t half = i / (head_dim / 2), j = i % (head_dim / 2);
            order[head * head_dim + i] = static_cast<std::uint32_t>(head * head_dim + 2 * j + half);
        }
    return order;
}

inline std::vector<std::string> llama_tensor_names(const LlamaConfig& c, bool tied) {
    std::vector<std::string> names = {"model.embed_tokens.weight", "model.norm.weight"};
    if (!tied) names.push_back("lm_head.weight");
    std::vector<std::string> each = {"input_layernorm.weight", "self_attn.o_proj.weight", "post_attention_layernorm.weight", "mlp.down_proj.weight"};
    if (c.fused_weights) each.insert(each.end(), {"self_attn.qkv_proj.weight", "mlp.gate_up_proj.weight"});
    else each.insert(each.end(), {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight", "mlp.gate_proj.weight", "mlp.up_proj.weight"});
    if (c.qk_norm) each.insert(each.end(), {"self_attn.q_norm.weight", "self_attn.k_norm.weight"});
    if (c.attention_bias) each.push_back("self_attn.o_proj.bias");
    if (c.mlp_bias) each.push_back("mlp.down_proj.bias");
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i)
        for (const std::string& name : each) names.push_back("model.layers." + std::to_string(i) + "." + name);
    return names;
}

}  // namespace detail

// Reads all weights. Throws Error naming every missing tensor, or the first of a wrong shape or dtype; `progress` may cancel.
template <class D>
Llama<D> load_llama(D& device, const LlamaConfig& config, const TensorSource& source, const ProgressCallback& progress = {}) {
    const LlamaConfig& c = config;
    WeightReader weights(source);
    // Some files tie without saying so, some say so and store the head all the same.
    weights.require(detail::llama_tensor_names(c, c.tie_word_embeddings));
    const std::size_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
    std::size_t done = 0;
    const auto matrix = [&](std::vector<MatrixPart> parts) {
        typename D::Matrix prepared = prepare_matrix(device, std::span<const MatrixPart>(parts));
        for (const MatrixPart& part : parts) source.release(part.view);
        if (progress && !progress({.phase = "weights", .done = ++done, .total = 4 * c.num_hidden_layers + (c.tie_word_embeddings ? 1 : 2)}))
            throw Error("cancelled", {.file = source.path().string()});
        return prepared;
    };
    const auto vector = [&](const std::string& name, std::size_t size) {
        return prepare_vector(device, weights.take(name, {size}));
    };
    const auto rotated = [&](const TensorView& view, std::size_t heads) {
        return MatrixPart{.view = view, .row_order = c.interleaved_rope_rows ? detail::halves_together(heads, c.head_dim) : std::vector<std::uint32_t>{}};
    };

    Llama<D> model;
    model.config = c;
    model.embed_tokens = matrix({{.view = weights.take("model.embed_tokens.weight", {c.vocab_size, c.hidden_size})}});
    if (!c.tie_word_embeddings) model.lm_head = matrix({{.view = weights.take("lm_head.weight", {c.vocab_size, c.hidden_size})}});
    model.norm = vector("model.norm.weight", c.hidden_size);
    model.layers.resize(c.num_hidden_layers);
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
        LlamaLayer<D>& layer = model.layers[i];
        const std::string at = "model.layers." + std::to_string(i) + ".", attention = at + "self_attn.", mlp = at + "mlp.";
        layer.input_layernorm = vector(at + "input_layernorm.weight", c.hidden_size);
        layer.post_attention_layernorm = vector(at + "post_attention_layernorm.weight", c.hidden_size);
        if (c.fused_weights) {
            layer.qkv_proj = matrix({{.view = weights.take(attention + "qkv_proj.weight", {q + 2 * kv, c.hidden_size})}});
            layer.gate_up_proj = matrix({{.view = weights.take(mlp + "gate_up_proj.weight", {2 * c.intermediate_size, c.hidden_size})}});
            layer.qkv_bias = detail::stacked_bias(device, weights, {{attention + "qkv_proj.bias", q + 2 * kv}});
        } else {
            layer.qkv_proj = matrix({rotated(weights.take(attention + "q_proj.weight", {q, c.hidden_size}), c.num_attention_heads),
                                     rotated(weights.take(attention + "k_proj.weight", {kv, c.hidden_size}), c.num_key_value_heads),
                                     {.view = weights.take(attention + "v_proj.weight", {kv, c.hidden_size})}});
            layer.gate_up_proj = matrix({{.view = weights.take(mlp + "gate_proj.weight", {c.intermediate_size, c.hidden_size})},
                                         {.view = weights.take(mlp + "up_proj.weight", {c.intermediate_size, c.hidden_size})}});
            layer.qkv_bias = detail::stacked_bias(device, weights, {{attention + "q_proj.bias", q}, {attention + "k_proj.bias", kv}, {attention + "v_proj.bias", kv}});
            layer.gate_up_bias = detail::stacked_bias(device, weights, {{mlp + "gate_proj.bias", c.intermediate_size}, {mlp + "up_proj.bias", c.intermediate_size}});
        }
        layer.o_proj = matrix({{.view = weights.take(attention + "o_proj.weight", {c.hidden_size, q})}});
        layer.down_proj = matrix({{.view = weights.take(mlp + "down_proj.weight", {c.hidden_size, c.intermediate_size})}});
        layer.o_bias = detail::stacked_bias(device, weights, {{attention + "o_proj.bias", c.hidden_size}});
        layer.down_bias = detail::stacked_bias(device, weights, {{mlp + "down_proj.bias", c.hidden_size}});
        if (c.qk_norm) {
            layer.q_norm = vector(attention + "q_norm.weight", c.head_dim);
            layer.k_norm = vector(attention + "k_norm.weight", c.head_dim);
        }
    }
    model.unused_tensors = weights.unused();
    return model;
}

// An empty state for `sequences` sequences. The cache grows as they do.
template <class D>
LlamaState<D> make_llama_state(D& device, const Llama<D>& model, std::size_t sequences = 1) {
    const LlamaConfig& c = model.config;
    LlamaState<D> state;
    state.cache = make_kv_cache(device, c.num_hidden_layers, sequences, 0, c.num_key_value_heads, c.head_dim);
    state.tokens.resize(sequences);
    state.rope = make_rope_table(device, inverse_frequencies(c.rope, c.head_dim, false), c.rope.attention_factor);
    if (c.rope.kind == RopeKind::longrope) state.long_rope = make_rope_table(device, inverse_frequencies(c.rope, c.head_dim, true), c.rope.attention_factor);
    return state;
}

namespace detail {

template <class D>
void reserve_rows(D& device, const LlamaConfig& c, LlamaState<D>& state, std::size_t rows) {
    if (rows <= state.rows) return;
    state.hidden = allocate(device, rows * c.hidden_size);
    state.normed = allocate(device, rows * c.hidden_size);
    state.qkv = allocate(device, rows * (c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim);
    state.context = allocate(device, rows * c.num_attention_heads * c.head_dim);
    state.mlp = allocate(device, rows * c.intermediate_size);
    state.rows = rows;
}

// All blocks over the rows of `segments`; leaves the normalised hidden states in state.normed.
// observe(i, hidden) sees the input of block i, and after the last block the normalised result as number num_hidden_layers.
template <class D, class Observe>
void run_blocks(D& device, const Llama<D>& model, LlamaState<D>& state, std::span<const TokenId> input_ids,
                std::span<const Segment> segments, const RopeTable<D>& rope, Observe&& observe) {
    const LlamaConfig& c = model.config;
    const std::size_t rows = input_ids.size();
    reserve_rows(device, c, state, rows);
    float* hidden = state.hidden.data();    // [rows, hidden_size]
    float* normed = state.normed.data();    // [rows, hidden_size]
    float* qkv = state.qkv.data();          // [rows, (n_heads + 2 n_kv_heads) · head_dim]
    float* context = state.context.data();  // [rows, n_heads · head_dim]
    float* mlp = state.mlp.data();          // [rows, intermediate_size]

    embed(device, model.embed_tokens, input_ids, hidden);
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
        const LlamaLayer<D>& layer = model.layers[i];
        const AttentionShape shape{.n_heads = c.num_attention_heads, .n_kv_heads = c.num_key_value_heads, .head_dim = c.head_dim,
                                   .scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim)), .window = c.window(i), .eps = c.rms_norm_eps,
                                   .q_norm = layer.q_norm.data(), .k_norm = layer.k_norm.data()};
        observe(i, hidden);
        norm_linear(device, hidden, layer.input_layernorm.data(), c.rms_norm_eps, rows, layer.qkv_proj, {.bias = layer.qkv_bias.data()}, normed, qkv);
        attend(device, qkv, shape, rope, segments, state.cache, i, context);
        linear(device, context, rows, layer.o_proj, {.bias = layer.o_bias.data(), .accumulate = true}, hidden);
        norm_linear(device, hidden, layer.post_attention_layernorm.data(), c.rms_norm_eps, rows, layer.gate_up_proj,
                    {.bias = layer.gate_up_bias.data(), .activation = c.hidden_act, .gated = true}, normed, mlp);
        linear(device, mlp, rows, layer.down_proj, {.bias = layer.down_bias.data(), .accumulate = true}, hidden);
    }
    rms_norm(device, hidden, model.norm.data(), c.rms_norm_eps, rows, c.hidden_size, normed);
    observe(model.layers.size(), normed);
}

}  // namespace detail

// Runs new tokens of one sequence behind those it already has, and gives their final hidden states [input_ids.size(),
// hidden_size] on the device; they stay valid until the next call with this state.
// Throws Error, with the state unchanged, on an empty input, an id outside the vocabulary, or more tokens than positions.
template <class D, class Observe = NoObserver>
const float* forward(D& device, const Llama<D>& model, LlamaState<D>& state, std::size_t sequence, std::span<const TokenId> input_ids, Observe&& observe = {}) {
    const LlamaConfig& c = model.config;
    std::vector<TokenId>& tokens = state.tokens.at(sequence);
    const std::size_t past = tokens.size(), total = past + input_ids.size();
    detail::check_decoder_input(input_ids, past, c.vocab_size, c.max_position_embeddings);

    tokens.insert(tokens.end(), input_ids.begin(), input_ids.end());
    try {
        const bool is_long = c.rope.is_long(total);
        const RopeTable<D>& rope = is_long ? state.long_rope : state.rope;
        if (is_long && past > 0 && !c.rope.is_long(past)) {
            // Longrope has just switched its factors: all keys are computed anew, as the reference does.
            const Segment whole{.row_begin = 0, .row_count = total, .past = 0, .slot = sequence};
            detail::run_blocks(device, model, state, tokens, std::span(&whole, 1), rope, observe);
            return state.normed.data() + past * c.hidden_size;
        }
        const Segment added{.row_begin = 0, .row_count = input_ids.size(), .past = past, .slot = sequence};
        detail::run_blocks(device, model, state, input_ids, std::span(&added, 1), rope, observe);
        return state.normed.data();
    } catch (...) {
        tokens.resize(past);
        throw;
    }
}

// How many of these sequences, from the first on, forward_each can take together: those whose next token needs the same rotary factors. One
// for which longrope is about to switch them goes alone.
template <class D>
std::size_t rows_together(const Llama<D>& model, const LlamaState<D>& state, std::span<const std::size_t> sequences) {
    const auto past = [&](std::size_t i) { return state.tokens.at(sequences[i]).size(); };
    const auto factors = [&](std::size_t length) { return model.config.rope.is_long(length); };
    const auto switches = [&](std::size_t i) { return factors(past(i)) != factors(past(i) + 1); };
    std::size_t count = 1;
    while (count < sequences.size() && !switches(0) && !switches(count) && factors(past(count)) == factors(past(0))) ++count;
    return count;
}

// One new token of each of several sequences, through the model together: final hidden states [input_ids.size(), hidden_size]. No more of
// them than rows_together says, none twice. Otherwise as forward.
template <class D>
const float* forward_each(D& device, const Llama<D>& model, LlamaState<D>& state, std::span<const std::size_t> sequences, std::span<const TokenId> input_ids) {
    if (sequences.size() == 1) return forward(device, model, state, sequences[0], input_ids);
    const LlamaConfig& c = model.config;
    const std::vector<Segment> segments = detail::one_row_each(state.tokens, sequences, input_ids, c.vocab_size, c.max_position_embeddings);
    detail::run_blocks(device, model, state, input_ids, segments, c.rope.is_long(segments[0].past + 1) ? state.long_rope : state.rope, NoObserver{});
    for (std::size_t i = 0; i < sequences.size(); ++i) state.tokens[sequences[i]].push_back(input_ids[i]);
    return state.normed.data();
}

// Logits [rows, vocab_size] of final hidden states [rows, hidden_size], both on the device.
template <class D>
void logits(D& device, const Llama<D>& model, const float* hidden_states, std::size_t rows, float* out) {
    linear(device, hidden_states, rows, model.output_weights(), {}, out);
}

// Forgets a sequence's tokens, so that its slot can serve another.
template <class D>
void reset(LlamaState<D>& state, std::size_t sequence = 0) {
    state.tokens.at(sequence).clear();
}

}  // namespace morsel
