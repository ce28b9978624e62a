// GGUF files of the Llama family, seen as checkpoints: the configuration out of the metadata, and the tensors under the names
// that checkpoints use. Follows the names of ggml-org/llama.cpp (gguf-py/gguf/constants.py, tensor_mapping.py).
// One difference cannot be renamed away: architecture "llama" stores the rows of q and k with the rotary halves of each head
// interleaved; LlamaConfig::interleaved_rope_rows tells load_llama to undo it.
#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/formats/gguf.hpp"
#include "morsel/models/llama_config.hpp"

namespace morsel {

// The tensors of a GGUF file under checkpoint names. The file must outlive it.
class GgufLlamaWeights final : public TensorSource {
  public:
    explicit GgufLlamaWeights(const GgufFile& file) : file_(&file) {}

    const TensorView* find(std::string_view name) const override {
        const std::string stored = gguf_name(name);
        return stored.empty() ? nullptr : file_->find(stored);
    }
    std::vector<std::string> names() const override {
        std::vector<std::string> names;
        for (const std::string& stored : file_->names()) names.push_back(checkpoint_name(stored));
        return names;
    }
    std::filesystem::path path() const override { return file_->path(); }
    void release(const TensorView& view) const override { file_->release(view); }

  private:
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 3> whole_ = {{
        {"model.embed_tokens.", "token_embd."}, {"model.norm.", "output_norm."}, {"lm_head.", "output."}}};
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 13> in_layer_ = {{
        {"input_layernorm.", "attn_norm."}, {"self_attn.q_proj.", "attn_q."}, {"self_attn.k_proj.", "attn_k."}, {"self_attn.v_proj.", "attn_v."},
        {"self_attn.qkv_proj.", "attn_qkv."}, {"self_attn.o_proj.", "attn_output."}, {"self_attn.q_norm.", "attn_q_norm."},
        {"self_attn.k_norm.", "attn_k_norm."}, {"post_attention_layernorm.", "ffn_norm."}, {"mlp.gate_proj.", "ffn_gate."},
        {"mlp.up_proj.", "ffn_up."}, {"mlp.gate_up_proj.", "ffn_up."}, {"mlp.down_proj.", "ffn_down."}}};

    // "model.layers.3.mlp.up_proj.weight" → "blk.3.ffn_up.weight"; empty where there is no such name.
    static std::string gguf_name(std::string_view name) {
        for (const auto& [checkpoint, stored] : whole_)
            if (name.starts_with(checkpoint)) return std::string(stored) + std::string(name.substr(checkpoint.size()));
        constexpr std::string_view layers = "model.layers.";
        if (!name.starts_with(layers)) return {};
        const std::string_view rest = name.substr(layers.size());
        const std::size_t dot = rest.find('.');
        if (dot == rest.npos) return {};
        for (const auto& [checkpoint, stored] : in_layer_)
            if (rest.substr(dot + 1).starts_with(checkpoint))
                return "blk." + std::string(rest.substr(0, dot + 1)) + std::string(stored) + std::string(rest.substr(dot + 1 + checkpoint.size()));
        return {};
    }

    std::string checkpoint_name(const std::string& stored) const {
        for (const auto& [checkpoint, name] : whole_)
            if (stored.starts_with(name)) return std::string(checkpoint) + stored.substr(name.size());
        if (!stored.starts_with("blk.")) return stored;
        const std::size_t dot = stored.find('.', 4);
        if (dot == stored.npos) return stored;
        const std::string_view rest = std::string_view(stored).substr(dot + 1);
        const bool fused = file_->find("blk.0.attn_qkv.weight") != nullptr;
        for (const auto& [checkpoint, name] : in_layer_)
            if (rest.starts_with(name) && (name != "ffn_up." || (checkpoint == "mlp.gate_up_proj.") == fused))
                return "model.layers." + stored.substr(4, dot - 3) + std::string(checkpoint) + std::string(rest.substr(name.size()));
        return stored;
    }

    const GgufFile* file_;  // never null
};

namespace detail {

// A small tensor of factors as floats, [count]; throws Error on another size or type.
inline std::vector<float> gguf_factors(const GgufFile& file, std::string_view name, std::size_t count) {
    const TensorView& view = file.at(name);
    if (view.dtype != DType::f32 || view.bytes.size() != count * sizeof(float))
        throw Error("wrong factors", {.file = file.path().string(), .key = std::string(name), .expected = "F32 [" + std::to_string(count) + "]",
                                      .found = std::string(dtype_info(view.dtype).name) + " " + shape_text(view.shape)});
    std::vector<float> values(count);
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    for (const float value : values)
        if (!(value > 0)) throw Error("wrong factors", {.file = file.path().string(), .key = std::string(name), .expected = "numbers above 0"});
    return values;
}

}  // namespace detail

// The configuration that the metadata describes. Throws Error on an architecture or scaling that is not supported.
inline LlamaConfig llama_config(const GgufFile& file) {
    const auto arch = file.get<std::string>("general.architecture");
    if (arch != "llama" && arch != "phi3" && arch != "qwen2" && arch != "qwen3")
        throw Error("not a supported causal language model", {.file = file.path().string(), .key = "general.architecture",
                                                              .expected = "llama, phi3, qwen2 or qwen3", .found = arch});
    const auto key = [&](std::string_view name) { return arch + "." + std::string(name); };
    LlamaConfig c;
    c.model_type = arch;
    c.num_hidden_layers = file.get<std::size_t>(key("block_count"));
    c.hidden_size = file.get<std::size_t>(key("embedding_length"));
    c.intermediate_size = file.get<std::size_t>(key("feed_forward_length"));
    c.num_attention_heads = file.get<std::size_t>(key("attention.head_count"));
    c.num_key_value_heads = file.get_or<std::size_t>(key("attention.head_count_kv"), c.num_attention_heads);
    c.max_position_embeddings = file.get_or<std::size_t>(key("context_length"), 2048);
    c.rms_norm_eps = file.get_or<float>(key("attention.layer_norm_rms_epsilon"), 1e-6f);
    if (c.num_attention_heads == 0) throw Error("wrong value", {.file = file.path().string(), .key = key("attention.head_count"), .expected = "at least 1", .found = "0"});
    c.head_dim = file.get_or<std::size_t>(key("attention.key_length"), c.hidden_size / c.num_attention_heads);
    if (const auto value_length = file.get_if<std::size_t>(key("attention.value_length")); value_length && *value_length != c.head_dim)
        throw Error("not supported", {.file = file.path().string(), .key = key("attention.value_length"), .expected = std::to_string(c.head_dim), .found = std::to_string(*value_length)});
    const TensorView& embeddings = file.at("token_embd.weight");
    if (embeddings.shape.size() != 2) throw Error("wrong shape", {.file = file.path().string(), .key = "token_embd.weight", .expected = "2 dimensions", .found = shape_text(embeddings.shape)});
    c.vocab_size = embeddings.shape[0];
    c.tie_word_embeddings = file.find("output.weight") == nullptr;
    c.fused_weights = file.find("blk.0.attn_qkv.weight") != nullptr;
    c.qk_norm = file.find("blk.0.attn_q_norm.weight") != nullptr;
    c.attention_bias = file.find("blk.0.attn_output.bias") != nullptr;
    c.mlp_bias = file.find("blk.0.ffn_down.bias") != nullptr;
    c.interleaved_rope_rows = arch == "llama";
    c.sliding_window = file.get_or<std::size_t>(key("attention.sliding_window"), 0);
    c.bos_token_id = file.get_if<TokenId>("tokenizer.ggml.bos_token_id");
    c.pad_token_id = file.get_if<TokenId>("tokenizer.ggml.padding_token_id");
    for (const char* name : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
        if (const auto id = file.get_if<TokenId>(name); id && std::find(c.eos_token_id.begin(), c.eos_token_id.end(), *id) == c.eos_token_id.end())
            c.eos_token_id.push_back(*id);
    check_llama_config(c, file.path().string());

    RopeConfig& rope = c.rope;
    rope.theta = file.get_or<float>(key("rope.freq_base"), 10000.0f);
    if (!(rope.theta > 0)) throw Error("wrong value", {.file = file.path().string(), .key = key("rope.freq_base"), .expected = "above 0", .found = std::to_string(rope.theta)});
    const std::size_t rotary = file.get_or<std::size_t>(key("rope.dimension_count"), c.head_dim);
    if (rotary == 0 || rotary > c.head_dim || rotary % 2 != 0 || (c.interleaved_rope_rows && rotary != c.head_dim))
        throw Error("rotates a wrong part of each head", {.file = file.path().string(), .key = key("rope.dimension_count"), .expected = std::to_string(c.head_dim), .found = std::to_string(rotary)});
    rope.partial_rotary_factor = static_cast<float>(rotary) / static_cast<float>(c.head_dim);
    const auto scaling = file.get_or<std::string>(key("rope.scaling.type"), "none");
    if (scaling == "linear") {
        rope.kind = RopeKind::linear;
        rope.factor = file.get<float>(key("rope.scaling.factor"));
        if (!(rope.factor >= 1)) throw Error("wrong value", {.file = file.path().string(), .key = key("rope.scaling.factor"), .expected = "at least 1", .found = std::to_string(rope.factor)});
    } else if (scaling != "none" && scaling != "longrope") {
        throw Error("not supported", {.file = file.path().string(), .key = key("rope.scaling.type"), .expected = "none, linear or longrope", .found = scaling});
    }
    if (file.find("rope_freqs.weight") != nullptr) rope.frequency_divisors = detail::gguf_factors(file, "rope_freqs.weight", rotary / 2);
    if (file.find("rope_factors_long.weight") != nullptr) {
        rope.kind = RopeKind::longrope;
        rope.short_factor = detail::gguf_factors(file, "rope_factors_short.weight", rotary / 2);
        rope.long_factor = detail::gguf_factors(file, "rope_factors_long.weight", rotary / 2);
        rope.original_max_position_embeddings = file.get<std::size_t>(key("rope.scaling.original_context_length"));
        rope.attention_factor = file.get_or<float>(key("rope.scaling.attn_factor"), 1.0f);
    }
    return c;
}

}  // namespace morsel
