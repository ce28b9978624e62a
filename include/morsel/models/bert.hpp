// BERT (Devlin et al. 2018, arXiv:1810.04805), and as configurations of it RoBERTa (Liu et al. 2019) and DistilBERT (Sanh et al.
// 2019): embeddings, post-norm blocks with bidirectional attention, and where the file has them the pooler and the
// masked-language head. Follows modeling_bert.py, modeling_roberta.py and modeling_distilbert.py of Hugging Face transformers in f32.
//
//   Bert<D> model = load_bert(device, bert_config(json), weights);
//   EncoderBatch batch;                                      // sequences one after another, no padding
//   add_sequence(batch, model.config, input_ids, token_type_ids, attention_mask);   // any number of times; throws Error on bad input
//   EncoderWork<D> work;                                     // scratch, kept between calls
//   const float* hidden = forward(device, model, work, batch);                      // [batch.rows(), hidden_size]; rows of sequence s are
//                                                                                   // batch.segments[s].row_begin … + row_count
//   pooler_output(device, model, batch, hidden, out);        // [batch.sequences(), hidden_size], if model.has_pooler
//   mlm_logits(device, model, hidden, rows, out);            // [rows, vocab_size], if model.has_mlm_head; any rows of hidden
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/models/bert_config.hpp"
#include "morsel/models/encoder_batch.hpp"
#include "morsel/models/encoder_block.hpp"
#include "morsel/models/mlm_head.hpp"
#include "morsel/models/observer.hpp"
#include "morsel/models/weights.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

// Weights and sizes; immutable after load_bert, so one may be shared by threads that each have their own device and work space.
template <class D>
struct Bert {
    BertConfig config;
    typename D::Matrix word_embeddings;        // [vocab_size, hidden_size]
    typename D::Matrix position_embeddings;    // [max_position_embeddings, hidden_size]
    typename D::Matrix token_type_embeddings;  // [type_vocab_size, hidden_size], or none
    LayerNorm<D> embeddings_norm;              // [hidden_size]
    std::vector<EncoderBlock<D>> layers;
    bool has_pooler = false;
    Dense<D> pooler;                           // [hidden_size, hidden_size]
    bool has_mlm_head = false;
    MlmHead<D> mlm_head;
    std::vector<std::string> unused_tensors;   // what the file holds beyond the model
};

// Reads all weights. Throws Error naming every missing tensor, or the first of a wrong shape or dtype; `progress` may cancel.
template <class D>
Bert<D> load_bert(D& device, const BertConfig& config, const TensorSource& source, const ProgressCallback& progress = {}) {
    const BertConfig& c = config;
    const std::size_t width = c.hidden_size;
    WeightReader weights(source, bert_tensor_name);
    Bert<D> model;
    model.config = c;
    model.has_pooler = weights.has("pooler.dense.weight");
    model.has_mlm_head = detail::has_mlm_head(weights);

    std::vector<std::string> names = {"embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"};
    if (c.type_vocab_size > 0) names.push_back("embeddings.token_type_embeddings.weight");
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
        const std::string at = "encoder.layer." + std::to_string(i) + ".";
        for (const char* name : {"query", "key", "value"})
            for (const char* part : {".weight", ".bias"}) names.push_back(at + "attention.self." + name + part);
        for (const std::string& name : detail::block_tensor_names()) names.push_back(at + name);
    }
    if (model.has_pooler) names.push_back("pooler.dense.bias");
    if (model.has_mlm_head)
        for (std::string& name : detail::mlm_head_tensor_names(weights, c.tie_word_embeddings)) names.push_back(std::move(name));
    weights.require(names);

    detail::WeightLoader<D> load(device, weights, progress);
    model.word_embeddings = load.matrix("embeddings.word_embeddings.weight", c.vocab_size, width);
    model.position_embeddings = load.matrix("embeddings.position_embeddings.weight", c.max_position_embeddings, width);
    if (c.type_vocab_size > 0) model.token_type_embeddings = load.matrix("embeddings.token_type_embeddings.weight", c.type_vocab_size, width);
    model.embeddings_norm = load.layer_norm("embeddings.LayerNorm", width);
    model.layers.resize(c.num_hidden_layers);
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
        const std::string at = "encoder.layer." + std::to_string(i) + ".", self = at + "attention.self.";
        model.layers[i].qkv.weight = load.matrix({{.view = load.view(self + "query.weight", {width, width})},
                                                  {.view = load.view(self + "key.weight", {width, width})},
                                                  {.view = load.view(self + "value.weight", {width, width})}});
        model.layers[i].qkv.bias = load.stacked({self + "query.bias", self + "key.bias", self + "value.bias"}, width);
        detail::load_block(load, at, c.block(), model.layers[i]);
    }
    if (model.has_pooler) model.pooler = load.dense("pooler.dense", width, width);
    if (model.has_mlm_head) model.mlm_head = detail::load_mlm_head(load, weights, c.mlm_head(), c.tie_word_embeddings);
    model.unused_tensors = weights.unused();
    return model;
}

// Appends one sequence. token_type_ids (default 0) and attention_mask (0: hidden; default all shown) are as long as input_ids, or
// empty. Throws Error, with the batch unchanged, on ids or types outside the tables, too many tokens, or none shown.
inline void add_sequence(EncoderBatch& batch, const BertConfig& config, std::span<const TokenId> input_ids,
                         std::span<const TokenId> token_type_ids = {}, std::span<const TokenId> attention_mask = {}) {
    detail::check_sequence(input_ids, token_type_ids, attention_mask, config.vocab_size, config.type_vocab_size, config.max_tokens());
    TokenId next = config.pad_token_id;
    detail::append_sequence(batch, input_ids, token_type_ids, attention_mask, [&](std::size_t i) -> std::size_t {
        if (!config.positions_skip_padding) return i;
        return input_ids[i] == config.pad_token_id ? config.pad_token_id : ++next;
    });
}

// Final hidden states [batch.rows(), hidden_size] on the device; they stay valid until the next call with this work space.
template <class D, class Observe = NoObserver>
const float* forward(D& device, const Bert<D>& model, EncoderWork<D>& work, const EncoderBatch& batch, Observe&& observe = {}) {
    const BertConfig& c = model.config;
    const std::size_t rows = batch.rows(), head_dim = c.hidden_size / c.num_attention_heads;
    const AttentionShape shape{.n_heads = c.num_attention_heads, .n_kv_heads = c.num_attention_heads, .head_dim = head_dim,
                               .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))};
    const BlockShape block = c.block();
    detail::reserve_rows(device, block, work, rows);
    float* hidden = work.hidden.data();  // [rows, hidden_size]

    std::vector<EmbeddingRows<D>> embeddings = {{&model.word_embeddings, batch.input_ids}};
    if (c.type_vocab_size > 0) embeddings.push_back({&model.token_type_embeddings, batch.token_type_ids});
    embeddings.push_back({&model.position_embeddings, batch.position_ids});
    embed_sum_layer_norm(device, std::span<const EmbeddingRows<D>>(embeddings), model.embeddings_norm.weight.data(), model.embeddings_norm.bias.data(), c.layer_norm_eps, nullptr, hidden);
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
        observe(i, hidden);
        detail::run_block(device, model.layers[i], block, work, rows,
                          [&](const float* qkv, float* context) { attention(device, qkv, shape, std::span<const Segment>(batch.segments), context); });
    }
    observe(model.layers.size(), hidden);
    return hidden;
}

// tanh(dense(first token)) of every sequence: out [batch.sequences(), hidden_size] on the device. hidden is forward's.
template <class D>
void pooler_output(D& device, const Bert<D>& model, const EncoderBatch& batch, const float* hidden, float* out) {
    if (!model.has_pooler) throw Error("the model has no pooler", {.key = "pooler.dense.weight"});
    std::vector<std::int64_t> first;  // rows
    for (const Segment& segment : batch.segments) first.push_back(static_cast<std::int64_t>(segment.row_begin));
    typename D::Buffer tokens = allocate(device, batch.sequences() * model.config.hidden_size);
    gather_rows(device, hidden, model.config.hidden_size, std::span<const std::int64_t>(first), tokens.data());
    linear(device, tokens.data(), batch.sequences(), model.pooler.weight, {.bias = model.pooler.bias.data(), .activation = Activation::tanh}, out);
}

}  // namespace morsel
