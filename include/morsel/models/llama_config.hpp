// The sizes and switches of a decoder of the Llama family (Llama, SmolLM2, Mistral, Phi-3, Qwen2, Qwen3), named as in config.json.
// Reading checks every value against the others, so that a hostile file is refused before anything is allocated.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/models/config_values.hpp"
#include "morsel/models/rope.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

struct LlamaConfig {
    std::string model_type = "llama";
    std::size_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
    std::size_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
    std::size_t max_position_embeddings = 2048;  // tokens
    float rms_norm_eps = 1e-6f;
    Activation hidden_act = Activation::silu;
    RopeConfig rope = {};
    std::size_t sliding_window = 0;      // tokens a query sees, itself included; 0: all
    std::size_t first_window_layer = 0;  // layers before it see everything (Qwen2's max_window_layers)
    bool attention_bias = false;         // o_proj has one; q, k and v have one where the file has it
    bool mlp_bias = false;
    bool qk_norm = false;                // Qwen3: RMSNorm of each query and key head
    bool fused_weights = false;          // Phi-3: qkv_proj and gate_up_proj
    bool interleaved_rope_rows = false;  // GGUF, llama architecture: rotary halves of q and k rows are interleaved
    bool tie_word_embeddings = false;
    std::optional<TokenId> bos_token_id = {}, pad_token_id = {};
    std::vector<TokenId> eos_token_id = {};

    std::size_t window(std::size_t layer) const { return layer < first_window_layer ? 0 : sliding_window; }
};

// Throws Error where sizes contradict one another or exceed what any file could hold.
inline void check_llama_config(const LlamaConfig& c, const std::string& file) {
    const auto require = [&](bool right, std::string key, std::string expected, std::size_t found) {
        if (!right) throw Error("wrong value", {.file = file, .key = std::move(key), .expected = std::move(expected), .found = std::to_string(found)});
    };
    constexpr std::size_t limit = std::size_t{1} << 24;  // no published model comes near; keeps products far from overflow
    const auto sane = [&](std::string key, std::size_t value) { require(value >= 1 && value <= limit, std::move(key), "1 to " + std::to_string(limit), value); };
    sane("vocab_size", c.vocab_size);
    sane("hidden_size", c.hidden_size);
    sane("intermediate_size", c.intermediate_size);
    require(c.num_hidden_layers >= 1 && c.num_hidden_layers <= 4096, "num_hidden_layers", "1 to 4096", c.num_hidden_layers);
    require(c.num_attention_heads >= 1 && c.num_attention_heads <= 65536, "num_attention_heads", "1 to 65536", c.num_attention_heads);
    require(c.num_key_value_heads >= 1 && c.num_attention_heads % c.num_key_value_heads == 0, "num_key_value_heads",
            "a divisor of num_attention_heads", c.num_key_value_heads);
    require(c.head_dim >= 2 && c.head_dim % 2 == 0 && c.head_dim <= 4096, "head_dim", "an even number of 2 to 4096", c.head_dim);
    require(c.max_position_embeddings >= 1 && c.max_position_embeddings <= (std::size_t{1} << 40), "max_position_embeddings", "1 to 2^40", c.max_position_embeddings);
    if (!(c.rms_norm_eps > 0) || !(c.rms_norm_eps < 1))
        throw Error("wrong value", {.file = file, .key = "rms_norm_eps", .expected = "above 0 and below 1", .found = std::to_string(c.rms_norm_eps)});
    for (const TokenId id : c.eos_token_id)
        if (id >= c.vocab_size) throw Error("outside the vocabulary", {.file = file, .key = "eos_token_id", .expected = "below " + std::to_string(c.vocab_size), .found = std::to_string(id)});
}

// Reads config.json. Throws Error naming the key: unknown model_type, missing sizes, unsupported activation or RoPE.
inline LlamaConfig llama_config(const JsonObject& json) {
    LlamaConfig c;
    c.model_type = json.get<std::string>("model_type");
    const bool phi3 = c.model_type == "phi3", qwen2 = c.model_type == "qwen2", qwen3 = c.model_type == "qwen3", mistral = c.model_type == "mistral";
    if (!phi3 && !qwen2 && !qwen3 && !mistral && c.model_type != "llama")
        throw json.error("model_type", "not a supported causal language model", "llama, mistral, phi3, qwen2 or qwen3", c.model_type);
    c.vocab_size = json.get<std::size_t>("vocab_size");
    c.hidden_size = json.get<std::size_t>("hidden_size");
    c.intermediate_size = json.get<std::size_t>("intermediate_size");
    c.num_hidden_layers = json.get<std::size_t>("num_hidden_layers");
    c.num_attention_heads = json.get<std::size_t>("num_attention_heads");
    c.num_key_value_heads = json.get_or<std::size_t>("num_key_value_heads", c.num_attention_heads);
    if (c.num_attention_heads == 0) throw json.error("num_attention_heads", "wrong value", "at least 1", "0");
    if (!json.has("head_dim") && !qwen3 && c.hidden_size % c.num_attention_heads != 0)
        throw json.error("hidden_size", "wrong value", "a multiple of num_attention_heads, " + std::to_string(c.num_attention_heads), std::to_string(c.hidden_size));
    c.head_dim = json.get_or<std::size_t>("head_dim", qwen3 ? 128 : c.hidden_size / c.num_attention_heads);
    c.max_position_embeddings = json.get_or<std::size_t>("max_position_embeddings", 2048);
    c.rms_norm_eps = json.get_or<float>("rms_norm_eps", phi3 ? 1e-5f : 1e-6f);
    c.hidden_act = detail::activation_of(json, "hidden_act", "silu");
    if (json.get_or<bool>("rope_interleaved", false)) throw json.error("rope_interleaved", "not supported", "false", "true");
    if (phi3 || mistral || json.get_or<bool>("use_sliding_window", false)) c.sliding_window = json.get_or<std::size_t>("sliding_window", 0);
    if (qwen2 || qwen3) c.first_window_layer = json.get_or<std::size_t>("max_window_layers", 0);
    c.attention_bias = json.get_or<bool>("attention_bias", false);
    c.mlp_bias = json.get_or<bool>("mlp_bias", false);
    c.qk_norm = qwen3;
    c.fused_weights = phi3;
    c.tie_word_embeddings = json.get_or<bool>("tie_word_embeddings", false);
    c.bos_token_id = json.find<TokenId>("bos_token_id");
    c.pad_token_id = json.find<TokenId>("pad_token_id");
    c.eos_token_id = detail::token_ids_of(json, "eos_token_id");
    check_llama_config(c, json.file().string());
    c.rope = rope_config(json, c.head_dim, c.max_position_embeddings);
    return c;
}

}  // namespace morsel
