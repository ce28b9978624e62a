// Disentangled attention on the GPU (DeBERTa, He et al. 2020, arXiv:2006.03654, equation 4): to the score of a query and a key come the
// products of the query with a vector for their distance, and of the key with another. Those vectors are the same for every input; the
// model computes them once at load. Nothing of the size of queries × distances is ever in memory: each score takes the rows of its own
// distance. One block a query head, 128 keys at a time, online softmax.
#pragma once
#include "morsel/cuda/attention.cuh"
#include "morsel/cuda/embedding.cuh"

namespace morsel {

namespace kernels {

struct Distances {
    const float* keys = nullptr;      // [rows, n_heads · head_dim], met by queries, or null
    const float* queries = nullptr;   // likewise, met by keys, or null
    const std::uint32_t* row_of = nullptr;  // [2 longest − 1] of position of query − position of key + longest − 1
    const TokenId* positions = nullptr;     // [rows of qkv]
    unsigned longest = 0;
};

// qkv [rows, qkv_width], n_kv_heads is n_heads; out [rows, n_heads · head_dim]. grid (rows, n_heads)
template <class = void>
__global__ void __launch_bounds__(128) disentangled_attention(const float* qkv, const Heads h, const SegmentTable table, const Distances distances, float* out) {
    constexpr unsigned threads = plain_attention_threads;
    __shared__ float q[plain_attention_most_dim], weight[threads], space[32];
    ptx::wait_for_previous_kernels();
    const unsigned row = table.segments[0].row_begin + blockIdx.x, head = blockIdx.y, t = threadIdx.x, d = h.head_dim;
    const CachedSegment& segment = table.of_row(row);
    const std::size_t width = h.qkv_width(), table_width = std::size_t{h.n_heads} * d;
    const float *keys = qkv + segment.row_begin * width + (h.n_heads + head) * d, *values = keys + table_width;
    const unsigned count = segment.row_count, position = distances.positions[row];
    for (unsigned i = t; i < d; i += threads) q[i] = qkv[row * width + head * d + i];
    __syncthreads();
    RunningAttention attention;
    for (unsigned from = 0; from < count; from += threads) {
        float score = -INFINITY;
        if (from + t < count) {
            const unsigned at = distances.row_of[position + distances.longest - 1 - distances.positions[segment.row_begin + from + t]];
            const float* key = keys + (from + t) * width;
            const float *by_query = distances.keys + at * table_width + head * d, *by_key = distances.queries + at * table_width + head * d;
            score = 0;
            for (unsigned i = 0; i < d; ++i) {
                const float k = key[i];
                float with = k;  // q · (k + keys[r]) + k · queries[r]
                if (distances.keys != nullptr) with += by_query[i];
                score += q[i] * with;
                if (distances.queries != nullptr) score += k * by_key[i];
            }
            score *= h.scale;
        }
        attention.add(score, min(threads, count - from), d, weight, space, [&](unsigned j, unsigned i) { return values[(from + j) * width + i]; });
    }
    attention.store(d, out + row * table_width + head * d);
}

}  // namespace kernels

// qkv [rows, qkv_width], positions [rows] ascending within a segment; out [rows, n_heads · head_dim]. n_kv_heads is n_heads.
inline void disentangled_attention(Cuda& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments, std::span<const TokenId> positions,
                                   const PositionTables& tables, float* out) {
    if (shape.head_dim > kernels::plain_attention_most_dim)
        throw Error("head size not supported on this device", {.key = "head_dim", .expected = "at most 256", .found = std::to_string(shape.head_dim)});
    const auto [row_of, at] = detail::upload_lists(device, tables.row_of_distance, positions);
    const kernels::Distances distances{tables.keys, tables.queries, row_of, at, static_cast<unsigned>((tables.row_of_distance.size() + 1) / 2)};
    const std::size_t row = shape.n_heads * shape.head_dim * 4;
    detail::each_segment_table(device, segments, nullptr, 0, [&](const kernels::SegmentTable& table) {
        device.launch({.name = "disentangled_attention", .grid = dim3(table.rows, static_cast<unsigned>(shape.n_heads)), .block = dim3(kernels::plain_attention_threads),
                       .read = table.rows * 3 * row + (tables.keys != nullptr ? 1 : 0) * tables.row_of_distance.size() * row + (tables.queries != nullptr ? 1 : 0) * tables.row_of_distance.size() * row,
                       .written = table.rows * row},
                      kernels::disentangled_attention<>, qkv, detail::heads_of(shape), table, distances, out);
    });
}

}  // namespace morsel
