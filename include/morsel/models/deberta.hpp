// DeBERTa (He et al. 2020, arXiv:2006.03654) and DeBERTa-v2 and v3 (He et al. 2021, arXiv:2111.09543): BERT's blocks with attention
// that sees content and distance apart. Follows modeling_deberta.py and modeling_deberta_v2.py of Hugging Face transformers in f32.
// The projected relative embeddings do not depend on the input, so they are computed once, at load. It is used as Bert is
// (models/bert.hpp): load_deberta, add_sequence, forward, mlm_logits.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/models/deberta_config.hpp"
#include "morsel/models/encoder_batch.hpp"
#include "morsel/models/encoder_block.hpp"
#include "morsel/models/mlm_head.hpp"
#include "morsel/models/observer.hpp"
#include "morsel/models/weights.hpp"
#include "morsel/ops/device.hpp"
#include "morsel/ops/stored_rows.hpp"

namespace morsel {

template <class D>
struct DebertaLayer {
    EncoderBlock<D> block;
    typename D::Buffer position_keys;     // [2 span, hidden_size]: relative embeddings as keys, met by queries (c2p); or empty
    typename D::Buffer position_queries;  // [2 span, hidden_size]: as queries, met by keys (p2c); or empty
};

// Weights and sizes; immutable after load_deberta.
template <class D>
struct Deberta {
    DebertaConfig config;
    typename D::Matrix word_embeddings;        // [vocab_size, embedding_size]
    typename D::Matrix position_embeddings;    // [max_position_embeddings, embedding_size], where positions bias the input
    typename D::Matrix token_type_embeddings;  // [type_vocab_size, embedding_size], or none
    typename D::Matrix embed_proj;             // [hidden_size, embedding_size], where these differ
    LayerNorm<D> embeddings_norm;              // [hidden_size]
    std::vector<DebertaLayer<D>> layers;
    Dense<D> conv;                             // [hidden_size, conv_kernel_size · hidden_size], or none
    LayerNorm<D> conv_norm;                    // [hidden_size]
    bool has_mlm_head = false;
    MlmHead<D> mlm_head;
    std::vector<std::string> unused_tensors;   // what the file holds beyond the model
};

namespace detail {

// in_proj holds the query, key and value rows of head 0, then those of head 1 …; prepared are all queries, all keys, all values.
inline std::vector<std::uint32_t> heads_together(std::size_t heads, std::size_t head_dim) {
    std::vector<std::uint32_t> order;
    order.reserve(3 * heads * head_dim);
    for (std::size_t part = 0; part < 3; ++part)
        for (std::size_t head = 0; head < heads; ++head)
            for (std::size_t i = 0; i < head_dim; ++i) order.push_back(static_cast<std::uint32_t>((head * 3 + part) * head_dim + i));
    return order;
}

inline std::vector<std::string> deberta_tensor_names(const DebertaConfig& c) {
    std::vector<std::string> names = {"embeddings.word_embeddings.weight", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"};
    if (c.position_biased_input) names.push_back("embeddings.position_embeddings.weight");
    if (c.type_vocab_size > 0) names.push_back("embeddings.token_type_embeddings.weight");
    if (c.embedding_size != c.hidden_size) names.push_back("embeddings.embed_proj.weight");
    if (c.relative_attention) names.push_back("encoder.rel_embeddings.weight");
    if (c.norm_rel_ebd) names.insert(names.end(), {"encoder.LayerNorm.weight", "encoder.LayerNorm.bias"});
    if (c.conv_kernel_size > 0) names.insert(names.end(), {"encoder.conv.conv.weight", "encoder.conv.conv.bias", "encoder.conv.LayerNorm.weight", "encoder.conv.LayerNorm.bias"});
    std::vector<std::string> each;
    if (c.v2)
        each = {"query_proj.weight", "query_proj.bias", "key_proj.weight", "key_proj.bias", "value_proj.weight", "value_proj.bias"};
    else
        each = {"in_proj.weight", "q_bias", "v_bias"};
    if (c.relative_attention && !c.share_att_key) {
        if (c.c2p) each.push_back(c.v2 ? "pos_key_proj.weight" : "pos_proj.weight");
        if (c.c2p && c.v2) each.push_back("pos_key_proj.bias");
        if (c.p2c) each.insert(each.end(), {c.v2 ? "pos_query_proj.weight" : "pos_q_proj.weight", c.v2 ? "pos_query_proj.bias" : "pos_q_proj.bias"});
    }
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
        const std::string at = "encoder.layer." + std::to_string(i) + ".";
        for (const std::string& name : each) names.push_back(at + "attention.self." + name);
        for (const std::string& name : block_tensor_names()) names.push_back(at + name);
    }
    return names;
}

// A stored convolution [out, in, kernel] as floats [out, kernel · in], for rows that hold `kernel` neighbours one after another.
inline std::vector<float> convolution_rows(const TensorView& view) {
    const std::size_t out = view.shape[0], in = view.shape[1], kernel = view.shape[2];
    std::vector<float> stored(in * kernel), rows(out * in * kernel);
    const StoredMatrix flat = stored_matrix({view.dtype, {out, in * kernel}, view.bytes});
    for (std::size_t o = 0; o < out; ++o) {
        read_row(view.dtype, view.bytes.data() + o * flat.row_bytes, in * kernel, stored.data());
        for (std::size_t i = 0; i < in; ++i)
            for (std::size_t k = 0; k < kernel; ++k) rows[(o * kernel + k) * in + i] = stored[i * kernel + k];
    }
    return rows;
}

}  // namespace detail

// Reads all weights. Throws Error naming every missing tensor, or the first of a wrong shape or dtype; `progress` may cancel.
template <class D>
Deberta<D> load_deberta(D& device, const DebertaConfig& config, const TensorSource& source, const ProgressCallback& progress = {}) {
    const DebertaConfig& c = config;
    const std::size_t width = c.hidden_size, table = c.embedding_size;
    WeightReader weights(source, deberta_tensor_name);
    const bool has_mlm_head = detail::has_mlm_head(weights);
    const bool tied = c.tie_word_embeddings || source.find(std::string(deberta_later_head) + "dense.weight") != nullptr;
    std::vector<std::string> names = detail::deberta_tensor_names(c);
    if (has_mlm_head)
        for (std::string& name : detail::mlm_head_tensor_names(weights, tied)) names.push_back(std::move(name));
    weights.require(names);
    if (!c.position_biased_input) weights.ignore("embeddings.position_embeddings.weight");
    detail::WeightLoader<D> load(device, weights, progress);
    Deberta<D> model;
    model.config = c;
    model.word_embeddings = load.matrix("embeddings.word_embeddings.weight", c.vocab_size, table);
    if (c.position_biased_input) model.position_embeddings = load.matrix("embeddings.position_embeddings.weight", c.max_position_embeddings, table);
    if (c.type_vocab_size > 0) model.token_type_embeddings = load.matrix("embeddings.token_type_embeddings.weight", c.type_vocab_size, table);
    if (table != width) model.embed_proj = load.matrix("embeddings.embed_proj.weight", width, table);
    model.embeddings_norm = load.layer_norm("embeddings.LayerNorm", width);
    if (c.conv_kernel_size > 0) {
        const std::vector<float> rows = detail::convolution_rows(load.view("encoder.conv.conv.weight", {width, width, c.conv_kernel_size}));
        model.conv = {prepare_matrix(device, {DType::f32, {width, c.conv_kernel_size * width}, std::as_bytes(std::span(rows))}), load.vector("encoder.conv.conv.bias", width)};
        model.conv_norm = load.layer_norm("encoder.conv.LayerNorm", width);
    }

    typename D::Buffer relative;  // [2 span, hidden_size]
    const std::size_t distances = 2 * c.span();
    if (c.relative_attention) {
        relative = allocate(device, distances * width);
        std::vector<TokenId> all(distances);
        std::iota(all.begin(), all.end(), TokenId{0});
        embed(device, load.matrix("encoder.rel_embeddings.weight", distances, width), all, relative.data());
        if (c.norm_rel_ebd) {
            const LayerNorm<D> norm = load.layer_norm("encoder.LayerNorm", width);
            layer_norm(device, relative.data(), norm.weight.data(), norm.bias.data(), c.layer_norm_eps, distances, width, relative.data());
        }
    }
    model.layers.resize(c.num_hidden_layers);
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
        DebertaLayer<D>& layer = model.layers[i];
        const std::string at = "encoder.layer." + std::to_string(i) + ".", self = at + "attention.self.";
        const auto distances_as = [&](const std::string& name, bool bias) {
            const typename D::Matrix weight = load.matrix(self + name + ".weight", width, width);
            const typename D::Buffer bias_values = bias ? load.vector(self + name + ".bias", width) : typename D::Buffer();
            typename D::Buffer out = allocate(device, distances * width);
            linear(device, relative.data(), distances, weight, {.bias = bias_values.data()}, out.data());
            return out;
        };
        if (c.relative_attention && c.c2p) layer.position_keys = distances_as(c.share_att_key ? "key_proj" : c.v2 ? "pos_key_proj" : "pos_proj", c.v2);
        if (c.relative_attention && c.p2c) layer.position_queries = distances_as(c.share_att_key ? "query_proj" : c.v2 ? "pos_query_proj" : "pos_q_proj", true);
        if (c.v2) {
            layer.block.qkv.weight = load.matrix({{.view = load.view(self + "query_proj.weight", {width, width})},
                                                  {.view = load.view(self + "key_proj.weight", {width, width})},
                                                  {.view = load.view(self + "value_proj.weight", {width, width})}});
            layer.block.qkv.bias = load.stacked({self + "query_proj.bias", self + "key_proj.bias", self + "value_proj.bias"}, width);
        } else {
            layer.block.qkv.weight = load.matrix({{.view = load.view(self + "in_proj.weight", {3 * width, width}),
                                                   .row_order = detail::heads_together(c.num_attention_heads, width / c.num_attention_heads)}});
            layer.block.qkv.bias = allocate(device, 3 * width);
            const typename D::Buffer q = load.vector(self + "q_bias", width), v = load.vector(self + "v_bias", width);
            const std::vector<float> none(width);
            copy(device, q.data(), layer.block.qkv.bias.data(), width);
            upload(device, none, layer.block.qkv.bias.data() + width);
            copy(device, v.data(), layer.block.qkv.bias.data() + 2 * width, width);
        }
        detail::load_block(load, at, c.block(), layer.block);
    }
    model.has_mlm_head = has_mlm_head;
    if (has_mlm_head) model.mlm_head = detail::load_mlm_head(load, weights, c.mlm_head(), tied);
    model.unused_tensors = weights.unused();
    return model;
}

// Appends one sequence. token_type_ids (default 0) and attention_mask (0: hidden; default all shown) are as long as input_ids, or
// empty. Throws Error, with the batch unchanged, on ids or types outside the tables, too many tokens, or none shown.
inline void add_sequence(EncoderBatch& batch, const DebertaConfig& config, std::span<const TokenId> input_ids,
                         std::span<const TokenId> token_type_ids = {}, std::span<const TokenId> attention_mask = {}) {
    // Without a table of them token types mean nothing, and the reference passes over them.
    const std::size_t types = config.type_vocab_size > 0 ? config.type_vocab_size : SIZE_MAX;
    detail::check_sequence(input_ids, token_type_ids, attention_mask, config.vocab_size, types, config.max_tokens());
    detail::append_sequence(batch, input_ids, token_type_ids, attention_mask, [](std::size_t i) { return i; });
}

// Final hidden states [batch.rows(), hidden_size] on the device; they stay valid until the next call with this work space.
template <class D, class Observe = NoObserver>
const float* forward(D& device, const Deberta<D>& model, EncoderWork<D>& work, const EncoderBatch& batch, Observe&& observe = {}) {
    const DebertaConfig& c = model.config;
    const std::size_t rows = batch.rows(), width = c.hidden_size;
    const AttentionShape shape{.n_heads = c.num_attention_heads, .n_kv_heads = c.num_attention_heads, .head_dim = width / c.num_attention_heads, .scale = c.scale()};
    const BlockShape block = c.block();
    const std::span<const Segment> segments(batch.segments);
    detail::reserve_rows(device, block, work, rows);
    float* hidden = work.hidden.data();  // [rows, hidden_size]

    const float *norm_gain = model.embeddings_norm.weight.data(), *norm_bias = model.embeddings_norm.bias.data();
    std::vector<EmbeddingRows<D>> embeddings = {{&model.word_embeddings, batch.input_ids}};
    if (c.position_biased_input) embeddings.push_back({&model.position_embeddings, batch.position_ids});
    if (c.type_vocab_size > 0) embeddings.push_back({&model.token_type_embeddings, batch.token_type_ids});
    if (c.embedding_size == width) {
        embed_sum_layer_norm(device, std::span<const EmbeddingRows<D>>(embeddings), norm_gain, norm_bias, c.layer_norm_eps, nullptr, hidden);
    } else {
        typename D::Buffer narrow = allocate(device, rows * c.embedding_size);
        embed_sum(device, std::span<const EmbeddingRows<D>>(embeddings), narrow.data());
        linear(device, narrow.data(), rows, model.embed_proj, {}, hidden);
        layer_norm(device, hidden, norm_gain, norm_bias, c.layer_norm_eps, rows, width, hidden);
    }

    // The convolution sees the embeddings of the neighbours, zeros beyond the ends and where a token is hidden.
    typename D::Buffer neighbours;  // [rows, conv_kernel_size · hidden_size]
    if (c.conv_kernel_size > 0) {
        const auto reach = static_cast<std::int64_t>(c.conv_kernel_size / 2);
        std::vector<std::int64_t> row_of;  // [rows, conv_kernel_size]
        for (const Segment& segment : segments) {
            const TokenId* position = batch.position_ids.data() + segment.row_begin;
            for (std::size_t row = 0; row < segment.row_count; ++row)
                for (std::int64_t offset = -reach; offset <= reach; ++offset) {
                    const std::int64_t wanted = position[row] + offset;
                    const TokenId* found = std::lower_bound(position, position + segment.row_count, wanted, [](TokenId p, std::int64_t w) { return p < w; });
                    const bool there = found != position + segment.row_count && *found == wanted;
                    row_of.push_back(there ? static_cast<std::int64_t>(segment.row_begin) + (found - position) : -1);
                }
        }
        neighbours = allocate(device, row_of.size() * width);
        gather_rows(device, hidden, width, std::span<const std::int64_t>(row_of), neighbours.data());
    }

    std::size_t longest = 1;  // slots from a first to a last position
    for (const Segment& s : segments)
        if (s.row_count > 0) longest = std::max<std::size_t>(longest, batch.position_ids[s.row_begin + s.row_count - 1] - batch.position_ids[s.row_begin] + std::size_t{1});
    const std::vector<std::uint32_t> row_of_distance = c.relative_attention ? relative_rows(c, longest) : std::vector<std::uint32_t>();
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
        const DebertaLayer<D>& layer = model.layers[i];
        observe(i, hidden);
        detail::run_block(device, layer.block, block, work, rows, [&](const float* qkv, float* context) {
            if (!c.relative_attention || (!c.c2p && !c.p2c)) return attention(device, qkv, shape, segments, context);
            const PositionTables tables{layer.position_keys.data(), layer.position_queries.data(), row_of_distance};
            disentangled_attention(device, qkv, shape, segments, std::span<const TokenId>(batch.position_ids), tables, context);
        });
        if (i == 0 && c.conv_kernel_size > 0)
            linear_layer_norm(device, neighbours.data(), rows, model.conv.weight, {.bias = model.conv.bias.data(), .activation = c.conv_act}, model.conv_norm.weight.data(),
                              model.conv_norm.bias.data(), c.layer_norm_eps, hidden);
    }
    observe(model.layers.size(), hidden);
    return hidden;
}

}  // namespace morsel
