// The sizes and switches of the BERT family (BERT, RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT), named as in BERT's config.json, and
// the names of their tensors. RoBERTa differs by its position numbers, DistilBERT by names and by having no token types.
// Reading checks every value, so that a hostile file is refused before anything is allocated. Left out: relative position
// embeddings (position_embedding_type other than "absolute") and cross-attention, which are refused.
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "morsel/formats/json.hpp"
#include "morsel/models/config_values.hpp"
#include "morsel/models/encoder_block.hpp"
#include "morsel/models/mlm_head.hpp"

namespace morsel {

struct BertConfig {
    std::string model_type = "bert";
    std::size_t vocab_size = 0, hidden_size = 0, num_hidden_layers = 0, num_attention_heads = 0, intermediate_size = 0;
    std::size_t max_position_embeddings = 0;  // rows of the position table
    std::size_t type_vocab_size = 0;          // 0: no token types
    Activation hidden_act = Activation::gelu;
    float layer_norm_eps = 1e-12f;
    TokenId pad_token_id = 0;
    // RoBERTa: positions start at pad_token_id + 1, counted over the tokens that are not pad_token_id, which have that position itself.
    bool positions_skip_padding = false;
    bool tie_word_embeddings = true;  // the masked-language head multiplies by the word embeddings

    // The longest sequence, in tokens.
    std::size_t max_tokens() const { return max_position_embeddings - (positions_skip_padding ? pad_token_id + 1 : 0); }
    BlockShape block() const { return {hidden_size, intermediate_size, num_attention_heads, hidden_act, layer_norm_eps}; }
    // RoBERTa's head has gelu whatever hidden_act says.
    MlmHeadShape mlm_head() const { return {hidden_size, hidden_size, vocab_size, positions_skip_padding ? Activation::gelu : hidden_act, layer_norm_eps}; }
};

// Reads config.json. Throws Error naming the key.
inline BertConfig bert_config(const JsonObject& json) {
    using namespace detail;
    BertConfig c;
    c.model_type = json.get<std::string>("model_type");
    const bool distil = c.model_type == "distilbert";
    c.positions_skip_padding = c.model_type == "roberta" || c.model_type == "xlm-roberta" || c.model_type == "camembert";
    if (!distil && !c.positions_skip_padding && c.model_type != "bert")
        throw json.error("model_type", "not a model of the BERT family", "bert, roberta, xlm-roberta, camembert or distilbert", c.model_type);
    for (const char* key : {"is_decoder", "add_cross_attention"})
        if (json.get_or<bool>(key, false)) throw json.error(key, "not supported", "false", "true");
    if (const auto kind = json.get_or<std::string>("position_embedding_type", "absolute"); kind != "absolute")
        throw json.error("position_embedding_type", "not supported", "absolute", kind);
    c.vocab_size = size_of(json, "vocab_size");
    c.hidden_size = size_of(json, distil ? "dim" : "hidden_size");
    c.num_hidden_layers = size_of(json, distil ? "n_layers" : "num_hidden_layers", 1, 4096);
    c.num_attention_heads = heads_of(json, distil ? "n_heads" : "num_attention_heads", distil ? "dim" : "hidden_size", c.hidden_size);
    c.intermediate_size = size_of(json, distil ? "hidden_dim" : "intermediate_size");
    c.max_position_embeddings = size_or(json, "max_position_embeddings", 512);
    c.type_vocab_size = distil ? 0 : size_or(json, "type_vocab_size", 2, 0);
    c.hidden_act = activation_of(json, distil ? "activation" : "hidden_act", "gelu");
    c.layer_norm_eps = distil ? 1e-12f : epsilon_of(json, "layer_norm_eps", 1e-12f);
    c.pad_token_id = json.get_or<TokenId>("pad_token_id", c.positions_skip_padding ? 1 : 0);
    if (c.pad_token_id >= c.vocab_size) throw json.error("pad_token_id", "outside the vocabulary", "below " + std::to_string(c.vocab_size), std::to_string(c.pad_token_id));
    if (c.positions_skip_padding && c.max_position_embeddings < std::size_t{c.pad_token_id} + 2)
        throw json.error("max_position_embeddings", "wrong value", "at least " + std::to_string(c.pad_token_id + 2), std::to_string(c.max_position_embeddings));
    c.tie_word_embeddings = json.get_or<bool>("tie_word_embeddings", true);
    return c;
}

// BERT's name for a tensor of any checkpoint of the family: without the model's prefix, LayerNorm.weight and .bias for .gamma and
// .beta, DistilBERT's and RoBERTa's own names turned into BERT's. "" for buffers of numbers 0, 1, 2 ….
inline std::string bert_tensor_name(std::string_view stored) {
    for (const std::string_view prefix : {"bert.", "roberta.", "distilbert."})
        if (stored.starts_with(prefix)) {
            stored.remove_prefix(prefix.size());
            break;
        }
    if (stored == "embeddings.position_ids" || stored == "embeddings.token_type_ids") return {};
    std::string name(stored);
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> heads = {{
        {"lm_head.dense.", "cls.predictions.transform.dense."}, {"lm_head.layer_norm.", "cls.predictions.transform.LayerNorm."},
        {"lm_head.", "cls.predictions."}, {"vocab_transform.", "cls.predictions.transform.dense."},
        {"vocab_layer_norm.", "cls.predictions.transform.LayerNorm."}, {"vocab_projector.", "cls.predictions.decoder."}}};
    for (const auto& [theirs, ours] : heads)
        if (name.starts_with(theirs)) {
            name.replace(0, theirs.size(), ours);
            break;
        }
    if (name.starts_with("transformer.layer.")) {
        static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> in_layer = {{
            {".attention.q_lin.", ".attention.self.query."}, {".attention.k_lin.", ".attention.self.key."}, {".attention.v_lin.", ".attention.self.value."},
            {".attention.out_lin.", ".attention.output.dense."}, {".sa_layer_norm.", ".attention.output.LayerNorm."}, {".ffn.lin1.", ".intermediate.dense."},
            {".ffn.lin2.", ".output.dense."}, {".output_layer_norm.", ".output.LayerNorm."}}};
        name.replace(0, std::string_view("transformer").size(), "encoder");
        for (const auto& [theirs, ours] : in_layer)
            if (const std::size_t at = name.find(theirs); at != name.npos) {
                name.replace(at, theirs.size(), ours);
                break;
            }
    }
    return detail::modern_norm_name(std::move(name));
}

}  // namespace morsel
