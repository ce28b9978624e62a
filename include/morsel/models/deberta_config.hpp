// The sizes and switches of DeBERTa (v1) and DeBERTa-v2 and v3, named as in config.json; the names of their tensors; and which row of
// the relative embeddings a distance takes. Follows configuration_deberta.py, configuration_deberta_v2.py and make_log_bucket_position of
// Hugging Face transformers. Reading checks every value, so that a hostile file is refused before anything is allocated.
// Left out, and refused: talking heads, grouped convolution, position terms other than c2p and p2c.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/formats/json.hpp"
#include "morsel/models/config_values.hpp"
#include "morsel/models/encoder_block.hpp"
#include "morsel/models/mlm_head.hpp"

namespace morsel {

struct DebertaConfig {
    std::string model_type = "deberta";
    bool v2 = false;  // "deberta-v2", which v3 checkpoints have, too
    std::size_t vocab_size = 0, hidden_size = 0, num_hidden_layers = 0, num_attention_heads = 0, intermediate_size = 0;
    std::size_t embedding_size = 0;           // of the tables; another than hidden_size needs embed_proj
    std::size_t max_position_embeddings = 0;
    std::size_t type_vocab_size = 0;          // 0: no token types
    Activation hidden_act = Activation::gelu;
    float layer_norm_eps = 1e-7f;
    bool position_biased_input = true;        // absolute positions in the embeddings
    bool relative_attention = false;
    bool c2p = false, p2c = false;            // pos_att_type: which terms of distance scores have
    std::size_t max_relative_positions = 0;   // distances from here on are all alike
    std::size_t position_buckets = 0;         // v2: 0, or half the number of distances told apart
    bool share_att_key = false;               // v2: distances are projected by the layer's query and key projections
    bool norm_rel_ebd = false;                // v2: LayerNorm over the relative embeddings
    std::size_t conv_kernel_size = 0;         // v2: a convolution beside the first block; 0: none
    Activation conv_act = Activation::tanh;
    bool tie_word_embeddings = true;          // the masked-language head multiplies by the word embeddings

    // Half the rows of the relative embeddings.
    std::size_t span() const { return position_buckets > 0 ? position_buckets : max_relative_positions; }
    // The longest sequence, in tokens; without absolute positions nothing but work limits it.
    std::size_t max_tokens() const { return position_biased_input ? max_position_embeddings : std::size_t{1} << 20; }
    BlockShape block() const { return {hidden_size, intermediate_size, num_attention_heads, hidden_act, layer_norm_eps}; }
    MlmHeadShape mlm_head() const { return {hidden_size, embedding_size, vocab_size, hidden_act, layer_norm_eps}; }
    // Scores are divided by sqrt(head_dim · (1 + number of terms)).
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(hidden_size / num_attention_heads * (1u + c2p + p2c))); }
};

namespace detail {

// pos_att_type: "c2p|p2c", or a list of the two.
inline void read_position_terms(const JsonObject& json, DebertaConfig& c) {
    constexpr std::string_view key = "pos_att_type";
    if (!json.has(key)) return;
    std::vector<std::string> terms;
    if (const Json& value = json.at(key); value.is_array()) {
        for (const Json& one : value) terms.push_back(json_value<std::string>(one, json.file(), json.path_of(key)));
    } else {
        std::string text = json.get<std::string>(key);
        for (std::size_t bar; (bar = text.find('|')) != text.npos; text.erase(0, bar + 1)) terms.push_back(text.substr(0, bar));
        if (!text.empty() || !terms.empty()) terms.push_back(text);
    }
    for (std::string& term : terms) {
        std::erase(term, ' ');
        std::transform(term.begin(), term.end(), term.begin(), [](char x) { return x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x; });
        bool& has = term == "c2p" ? c.c2p : c.p2c;
        if ((term != "c2p" && term != "p2c") || has) throw json.error(key, "not supported", "c2p, p2c or both", json_text(json.at(key)));
        has = true;
    }
}

}  // namespace detail

// Reads config.json. Throws Error naming the key.
inline DebertaConfig deberta_config(const JsonObject& json) {
    using namespace detail;
    DebertaConfig c;
    c.model_type = json.get<std::string>("model_type");
    c.v2 = c.model_type == "deberta-v2";
    if (!c.v2 && c.model_type != "deberta") throw json.error("model_type", "not a DeBERTa model", "deberta or deberta-v2", c.model_type);
    c.vocab_size = size_of(json, "vocab_size");
    c.hidden_size = size_of(json, "hidden_size");
    c.num_hidden_layers = size_of(json, "num_hidden_layers", 1, 4096);
    c.num_attention_heads = heads_of(json, "num_attention_heads", "hidden_size", c.hidden_size);
    c.intermediate_size = size_of(json, "intermediate_size");
    c.embedding_size = size_or(json, "embedding_size", c.hidden_size);
    c.max_position_embeddings = size_or(json, "max_position_embeddings", 512);
    c.type_vocab_size = size_or(json, "type_vocab_size", 0, 0);
    c.hidden_act = activation_of(json, "hidden_act", "gelu");
    c.layer_norm_eps = epsilon_of(json, "layer_norm_eps", 1e-7f);
    c.position_biased_input = json.get_or<bool>("position_biased_input", true);
    c.tie_word_embeddings = json.get_or<bool>("tie_word_embeddings", true);
    c.relative_attention = json.get_or<bool>("relative_attention", false);
    read_position_terms(json, c);
    if (json.get_or<bool>("talking_head", false)) throw json.error("talking_head", "not supported", "false", "true");
    if (const auto size = json.find<std::size_t>("attention_head_size"); size && *size != c.hidden_size / c.num_attention_heads)
        throw json.error("attention_head_size", "not supported", std::to_string(c.hidden_size / c.num_attention_heads), std::to_string(*size));
    if (!c.relative_attention) return c;
    const auto distances = json.get_or<std::int64_t>("max_relative_positions", -1);
    c.max_relative_positions = distances < 1 ? c.max_position_embeddings : size_of(json, "max_relative_positions");
    if (!c.v2) return c;
    const auto buckets = json.get_or<std::int64_t>("position_buckets", -1);
    c.position_buckets = buckets < 1 ? 0 : size_of(json, "position_buckets", 2);
    if (c.position_buckets > 0 && c.max_relative_positions < c.position_buckets / 2 + 2)
        throw json.error("position_buckets", "wrong value", "less than twice the " + std::to_string(c.max_relative_positions) + " relative positions", std::to_string(buckets));
    c.share_att_key = json.get_or<bool>("share_att_key", false);
    c.norm_rel_ebd = json.get_or<std::string>("norm_rel_ebd", "none").find("layer_norm") != std::string::npos;
    c.conv_kernel_size = size_or(json, "conv_kernel_size", 0, 0, 255);
    if (c.conv_kernel_size > 0 && c.conv_kernel_size % 2 == 0) throw json.error("conv_kernel_size", "not supported", "an odd number", std::to_string(c.conv_kernel_size));
    if (json.get_or<std::size_t>("conv_groups", 1) != 1) throw json.error("conv_groups", "not supported", "1", json_text(json.at("conv_groups")));
    c.conv_act = activation_of(json, "conv_act", "tanh");
    return c;
}

// The row of the relative embeddings for each distance -(longest - 1) … longest - 1 of a query behind a key.
// Far distances share rows: log buckets in v2 (f32, since the reference rounds in f32), and everything beyond the last row.
inline std::vector<std::uint32_t> relative_rows(const DebertaConfig& c, std::size_t longest) {
    const auto span = static_cast<std::int64_t>(c.span());
    const auto mid = static_cast<std::int64_t>(c.position_buckets / 2);
    const float log_range = mid > 0 ? std::log(static_cast<float>(static_cast<double>(c.max_relative_positions - 1) / static_cast<double>(mid))) : 1.0f;
    std::vector<std::uint32_t> rows;
    rows.reserve(2 * longest - 1);
    for (std::int64_t distance = 1 - static_cast<std::int64_t>(longest); distance < static_cast<std::int64_t>(longest); ++distance) {
        std::int64_t bucket = distance;
        if (const std::int64_t far = distance < 0 ? -distance : distance; c.position_buckets > 0 && far > mid) {
            const float log_far = std::log(static_cast<float>(far) / static_cast<float>(mid)) / log_range * static_cast<float>(mid - 1);
            bucket = (static_cast<std::int64_t>(std::ceil(log_far)) + mid) * (distance < 0 ? -1 : 1);
        }
        rows.push_back(static_cast<std::uint32_t>(std::clamp<std::int64_t>(bucket + span, 0, 2 * span - 1)));
    }
    return rows;
}

// Where a checkpoint's masked-language head is the later one, which is always tied to the word embeddings, its names begin so.
inline constexpr std::string_view deberta_later_head = "lm_predictions.lm_head.";

// The model's name for a stored one: without "deberta.", LayerNorm.weight and .bias for .gamma and .beta, BERT's names for the later
// head; "" for position numbers.
inline std::string deberta_tensor_name(std::string_view stored) {
    constexpr std::string_view prefix = "deberta.";
    if (stored.starts_with(prefix)) stored.remove_prefix(prefix.size());
    if (stored == "embeddings.position_ids") return {};
    std::string name(stored);
    if (stored.starts_with(deberta_later_head)) name.replace(0, deberta_later_head.size(), stored.ends_with(".bias") && stored.size() == deberta_later_head.size() + 4 ? "cls.predictions." : "cls.predictions.transform.");
    return detail::modern_norm_name(std::move(name));
}

}  // namespace morsel
