// Disentangled attention written plainly: each score takes the rows of its own distance. One block a query head, 128 keys at a time, online
// softmax, f32. Takes any head size up to 256 and is what tiled_disentangled_attention.cuh is held equal to; models use it in f32 and for
// head sizes that that one does not have.
#pragma once
#include "morsel/cuda/plain_attention.cuh"

namespace morsel {

namespace kernels {

// What kernels need of PositionTables.
struct Distances {
    const float* keys = nullptr;      // [rows, n_heads · head_dim], met by queries, or null
    const float* queries = nullptr;   // likewise, met by keys, or null
    const std::uint32_t* row_of = nullptr;  // [2 longest − 1] of position of query − position of key + longest − 1
    const TokenId* positions = nullptr;     // [rows of qkv]
    unsigned longest = 0;

    // The row of both tables for a query and a key at those positions.
    __device__ unsigned row_between(unsigned query, unsigned key) const { return row_of[query + longest - 1 - key]; }
};

// qkv [rows, qkv_width], n_kv_heads is n_heads; out [rows, n_heads · head_dim]. grid (rows, n_heads)
template <class = void>
__global__ void __launch_bounds__(128) plain_disentangled_attention(const float* qkv, const Heads h, const SegmentTable table, const Distances distances, float* out) {
    constexpr unsigned threads = plain_attention_threads;
    __shared__ float q[plain_attention_most_dim], weight[threads], space[32];
    ptx::take_turn();
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
            const unsigned at = distances.row_between(position, distances.positions[segment.row_begin + from + t]);
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

}  // namespace morsel
