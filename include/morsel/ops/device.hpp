// The Device waist: a model is written once, `template <class D>`, against the coarse operations listed here, which every device
// gives as overloads. `Cpu` (ops/cpu.hpp) is the reference device; `Cuda` arrives with morsel/cuda.cuh. Coarse on purpose: fusion
// lives inside an operation, weight layout is private to the device, and there is no tensor framework and no virtual call.
//
// A device D is a context object: one per calling thread, passed by reference (`D& device`). Pointers are to its memory. It has
//   D::Matrix   a weight [out_features, in_features] as the device likes it, immutable after it is made, shareable
//   D::Buffer   owned memory of floats, `float* data()`, `std::size_t size()`
// and these operations (rows = tokens of all sequences, one after another; width = hidden size):
//
//   Buffer allocate(D&, size_t count);                                          uninitialised floats
//   Buffer prepare_vector(D&, const TensorView&);                               a gain or bias, widened to f32
//   Matrix prepare_matrix(D&, std::span<const MatrixPart>);                     parts stacked along out_features (fused q, k, v)
//   void upload(D&, std::span<const float> from, float* to);  download(D&, const float* from, std::span<float> to);
//   void copy(D&, const float* from, float* to, size_t count);                  both on the device
//   void embed(D&, const Matrix& table, std::span<const TokenId> ids, float* out);              out [rows, width]
//   void embed_sum(D&, std::span<const EmbeddingRows<D>> tables, float* out);                      sums of rows of several tables
//   void embed_sum_layer_norm(D&, std::span<const EmbeddingRows<D>> tables, const float* gain, const float* bias, float eps, float* sum, float* out)
//                                                                               layer_norm of embed_sum; sum [rows, width] may be null or out
//   void gather_rows(D&, const float* x, size_t width, std::span<const int64_t> rows, float* out);  rows of x; zeros where negative
//   void rms_norm(D&, const float* x, const float* gain, float eps, size_t rows, size_t width, float* out);
//   void layer_norm(D&, const float* x, const float* gain, const float* bias, float eps, size_t rows, size_t width, float* out);
//   void linear(D&, const float* x, size_t rows, const Matrix&, const Epilogue&, float* out);   out [rows, out_features]
//   void norm_linear(D&, const float* x, const float* gain, float eps, size_t rows, const Matrix&, const Epilogue&, float* normed, float* out)
//                                                                               linear of rms_norm; normed [rows, in_features] is work space
//   void linear_layer_norm(D&, const float* x, size_t rows, const Matrix&, const Epilogue&, const float* gain, const float* bias, float eps, float* out)
//                                                                               out = layer_norm(out + linear(x)): the end of a post-norm block
//   void rope_and_cache(D&, float* qkv, const AttentionShape&, const RopeTable<D>&, std::span<const Segment>, KvCache<D>&, layer)
//   RopeTable<D> make_rope_table(D&, span<const float> inverse_frequency, float scaling, size_t positions);
//   KvCache<D> make_kv_cache(D&, size_t layers, slots, capacity, n_kv_heads, head_dim);        grows as positions are written
//   void attention(D&, const float* qkv, const AttentionShape&, std::span<const Segment>, const KvCache<D>&, layer, float* out);
//   void attend(D&, float* qkv, const AttentionShape&, const RopeTable<D>&, std::span<const Segment>, KvCache<D>&, layer, float* out)
//                                                                               rope_and_cache, then attention
//   void attention(D&, const float* qkv, const AttentionShape&, std::span<const Segment>, float* out);   bidirectional, no cache
//   void pool(D&, const float* x, size_t width, std::span<const PoolRange>, Pooling, float* out, size_t out_stride);   a row a range
//   void normalize_rows(D&, float* x, size_t rows, size_t width);                              to unit length, in place
//   void disentangled_attention(D&, const float* qkv, const AttentionShape&, std::span<const Segment>, std::span<const TokenId> positions,
//                               const PositionTables&, float* out);                            bidirectional, with terms of distance
//   TokenId argmax(D&, const float* values, size_t count);                                      the first of the greatest
//   void require_same_memory(const D& owner, const D::Options&);                                throws Error where another device could not use the owner's weights
// The last, embed_sum_layer_norm, norm_linear, linear_layer_norm and attend have a default at the end of this file, for devices that gain nothing by doing both at once.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/formats/tensor_source.hpp"

namespace morsel {

// One stored tensor that becomes rows of a prepared matrix.
struct MatrixPart {
    TensorView view;                 // [out_features, in_features], or [in_features, out_features] where `transposed`
    bool transposed = false;         // GPT-2's Conv1D stores the transpose
    // Where not empty: prepared row i is stored row row_order[i]. GGUF files of the llama architecture interleave the rotary
    // halves of each head's rows; this puts them back.
    std::vector<std::uint32_t> row_order = {};
};

enum class Activation : std::uint8_t { none, silu, gelu, gelu_tanh, relu, tanh };

// What `linear` does with x·Wᵀ before it stores it, in this order.
struct Epilogue {
    const float* bias = nullptr;               // [out_features], added
    Activation activation = Activation::none;  // applied after the bias
    // The matrix holds gate rows and then up rows: out[i] = activation(gate[i]) · up[i], out is [rows, out_features / 2].
    bool gated = false;
    bool accumulate = false;                   // out += result (residual) in place of out = result
};

// Sizes of one attention layer. A row of `qkv` holds n_heads query heads, then n_kv_heads key heads, then n_kv_heads value heads,
// each head_dim floats.
struct AttentionShape {
    std::size_t n_heads = 0, n_kv_heads = 0, head_dim = 0;
    float scale = 0;                // scores are multiplied by it; 1/sqrt(head_dim) for all models here
    std::size_t window = 0;         // a query sees itself and the window-1 keys before it; 0: all
    float eps = 0;                  // of the q and k norms
    const float* q_norm = nullptr;  // [head_dim] RMSNorm gain of each query head before RoPE (Qwen3), or null
    const float* k_norm = nullptr;  // [head_dim], likewise for keys
    std::size_t qkv_width() const { return (n_heads + 2 * n_kv_heads) * head_dim; }
};

// How token vectors become one; names as in sentence-transformers' pooling_mode_….
enum class Pooling : std::uint8_t {
    cls_token,            // the first token's
    max_tokens,           // the largest of each element
    mean_tokens,
    mean_sqrt_len_tokens,  // the sum over the root of the number of tokens
    weightedmean_tokens,  // token i of the sequence weighs i + 1
    lasttoken,
};

// The rows that are pooled into one.
struct PoolRange {
    std::size_t row_begin = 0, row_count = 0;
    std::size_t position = 0;  // of the first of them in its sequence
};

// One of the tables of an embedding sum, and the row of it that each row of the result takes.
template <class D>
struct EmbeddingRows {
    const typename D::Matrix* table;  // [any, width]
    std::span<const TokenId> ids;     // [rows], below the table's rows
    // The ids are the tokens' positions. A device that has tokens and positions in its own memory while it decodes reads those in place of `ids`.
    bool positions = false;
};

// What disentangled attention adds for the distance of a query and a key: score = scale · (q·k + q·keys[r] + k·queries[r]), where
// r = row_of_distance[position of q - position of k + longest - 1].
struct PositionTables {
    const float* keys = nullptr;     // [rows, n_heads · head_dim] on the device, or null: no such term
    const float* queries = nullptr;  // [rows, n_heads · head_dim] on the device, or null
    std::span<const std::uint32_t> row_of_distance = {};  // [2 longest - 1], never falling; longest: slots from a segment's first to its last position
};

// Cosines and sines of rotary positions, and the keys and values of earlier tokens: each device specialises them.
template <class D> struct RopeTable;
template <class D> struct KvCache;

// One sequence's share of a batch: rows [row_begin, row_begin + row_count) are its tokens at positions
// [past, past + row_count), and its keys live in slot `slot` of the cache. Sequences of a batch never see one another, and
// padding does not exist here.
struct Segment {
    std::size_t row_begin = 0, row_count = 0;
    std::size_t past = 0;   // tokens already in the cache
    std::size_t slot = 0;   // which sequence of the cache
};

template <class D>
void require_same_memory(const D&, const typename D::Options&) {}

// gain, bias [width] of the norm; out [rows, width], and sum where it is not null.
template <class D>
void embed_sum_layer_norm(D& device, std::span<const EmbeddingRows<D>> tables, const float* gain, const float* bias, float eps, float* sum, float* out) {
    if (sum == nullptr) sum = out;
    embed_sum(device, tables, sum);
    layer_norm(device, sum, gain, bias, eps, tables[0].ids.size(), tables[0].table->in_features, out);
}

template <class D>
void norm_linear(D& device, const float* x, const float* gain, float eps, std::size_t rows, const typename D::Matrix& weight, const Epilogue& epilogue,
                 float* normed, float* out) {
    rms_norm(device, x, gain, eps, rows, weight.in_features, normed);
    linear(device, normed, rows, weight, epilogue, out);
}

// gain, bias [out_features] of the norm; out [rows, out_features]. The epilogue is not gated; that it accumulates is understood.
template <class D>
void linear_layer_norm(D& device, const float* x, std::size_t rows, const typename D::Matrix& weight, Epilogue epilogue, const float* gain, const float* bias, float eps,
                       float* out) {
    epilogue.accumulate = true;
    linear(device, x, rows, weight, epilogue, out);
    layer_norm(device, out, gain, bias, eps, rows, weight.out_features, out);
}

template <class D>
void attend(D& device, float* qkv, const AttentionShape& shape, const RopeTable<D>& rope, std::span<const Segment> segments, KvCache<D>& cache,
            std::size_t layer, float* out) {
    rope_and_cache(device, qkv, shape, rope, segments, cache, layer);
    attention(device, qkv, shape, segments, cache, layer, out);
}

}  // namespace morsel
