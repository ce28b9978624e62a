// Attention over the key-value cache written plainly: one block a query head, 128 keys at a time, online softmax (Milakov and
// Gimelshein 2018). Takes any head size up to 256 and is what the fast kernels are held equal to; models use it for head sizes that
// those do not have, and for many rows in f32.
#pragma once
#include "morsel/cuda/rope.cuh"

namespace morsel {

namespace kernels {

inline constexpr unsigned plain_attention_threads = 128, plain_attention_most_dim = 256;

// One query head while a block of plain_attention_threads reads its keys, as many at a time: the online softmax, and the weighted sum of
// values, of which a thread has elements t and t + plain_attention_threads.
struct RunningAttention {
    float best = -INFINITY, total = 0, sum[2] = {0, 0};

    // `count` keys more; score is that of this thread's key, -inf where it has none; value(j, i) is element i of the value of the jth of them.
    // All threads take part; weight [plain_attention_threads] and space [32] are shared memory.
    template <class Value>
    __device__ void add(float score, unsigned count, unsigned head_dim, float* weight, float* space, Value&& value) {
        const unsigned t = threadIdx.x;
        float highest = warp_max(score);
        __syncthreads();  // both may still be read for the keys before
        if (t % 32 == 0) space[t / 32] = highest;
        __syncthreads();
        highest = fmaxf(fmaxf(fmaxf(space[0], space[1]), fmaxf(space[2], space[3])), best);
        weight[t] = expf(score - highest);  // 0 beyond the end
        const float rescale = expf(best - highest);
        best = highest;
        __syncthreads();
        float added = 0;
        for (unsigned j = 0; j < count; ++j) added += weight[j];
        total = total * rescale + added;
        for (unsigned part = 0; part < 2; ++part) {
            const unsigned i = part * plain_attention_threads + t;
            if (i >= head_dim) break;
            sum[part] *= rescale;
            for (unsigned j = 0; j < count; ++j) sum[part] += weight[j] * value(j, i);
        }
    }
    // out [head_dim]
    __device__ void store(unsigned head_dim, float* out) const {
        for (unsigned part = 0; part < 2; ++part)
            if (const unsigned i = part * plain_attention_threads + threadIdx.x; i < head_dim) out[i] = sum[part] / total;
    }
};

// qkv [rows, qkv_width], after rope_and_cache where Cached; out [rows, n_heads · head_dim]. Cached: causal over the cache; else every row
// of a segment sees all rows of it, as floats. 12 blocks: without a number ptxas takes 32 registers on sm_80, and spills.
template <class KV, bool Cached>
__global__ void __launch_bounds__(128, 12) plain_attention(const float* qkv, const Heads h, const SegmentTable table, float* out) {
    constexpr unsigned threads = plain_attention_threads;
    __shared__ float q[plain_attention_most_dim], weight[threads], space[32];
    ptx::take_turn();
    const unsigned row = table.segments[0].row_begin + blockIdx.x, head = blockIdx.y, t = threadIdx.x, d = h.head_dim;
    const CachedSegment& segment = table.of_row(row);
    const unsigned position = segment.position_of(row), kv = head / (h.n_heads / h.n_kv_heads);
    const unsigned end = Cached ? position + 1 : segment.row_count, begin = Cached && h.window > 0 && end > h.window ? end - h.window : 0;
    const std::size_t stride = Cached ? d : h.qkv_width();  // elements from key to key
    const KV *keys, *values;
    if constexpr (Cached) {
        const std::size_t strip = std::size_t{kv} * segment.capacity * d;
        keys = reinterpret_cast<const KV*>(segment.keys) + strip, values = reinterpret_cast<const KV*>(segment.values) + strip;
    } else {
        keys = qkv + segment.row_begin * stride + (h.n_heads + kv) * d, values = keys + h.n_kv_heads * d;
    }
    for (unsigned i = t; i < d; i += threads) q[i] = qkv[std::size_t{row} * h.qkv_width() + head * d + i];
    __syncthreads();
    RunningAttention attention;
    for (unsigned from = begin; from < end; from += threads) {
        float score = -INFINITY;
        if (from + t < end) {
            score = 0;
            for (unsigned i = 0; i < d; ++i) score += q[i] * read_cached(keys + (from + t) * stride + i);
            score *= h.scale;
        }
        attention.add(score, min(threads, end - from), d, weight, space, [&](unsigned j, unsigned i) { return read_cached(values + (from + j) * stride + i); });
    }
    attention.store(d, out + (std::size_t{row} * h.n_heads + head) * d);
}

}  // namespace kernels

namespace detail {

template <bool Cached>
void plain_attention(Cuda& device, const float* qkv, const AttentionShape& shape, const kernels::SegmentTable& table, DType cached, float* out) {
    if (shape.head_dim > kernels::plain_attention_most_dim)
        throw Error("head size not supported on this device", {.key = "head_dim", .expected = "at most 256", .found = std::to_string(shape.head_dim)});
    std::size_t keys = 0;
    for (unsigned s = 0; s < table.count; ++s) keys += table.segments[s].past + table.segments[s].row_count;
    const std::size_t row = shape.n_heads * shape.head_dim * 4;
    const CudaLaunch what{.name = "plain_attention", .grid = dim3(table.rows, static_cast<unsigned>(shape.n_heads)), .block = dim3(kernels::plain_attention_threads),
                          .read = table.rows * row + keys * 2 * shape.n_kv_heads * shape.head_dim * (cached == DType::f32 ? 4 : 2), .written = table.rows * row};
    if constexpr (Cached)
        if (cached != DType::f32) return device.launch(what, kernels::plain_attention<bf16, true>, qkv, heads_of(shape), table, out);
    device.launch(what, kernels::plain_attention<float, Cached>, qkv, heads_of(shape), table, out);
}

}  // namespace detail

}  // namespace morsel
