// Attention of many new tokens on tensor cores, as FlashAttention-2 does it (Dao 2023), out of the pieces of attention_tiles.cuh. The next tile of
// keys and values is on its way (cp.async) while this one is multiplied. Causal with an optional window over the key-value cache, or
// bidirectional over the rows themselves (encoders). Tiles that are masked as a whole are not visited, and masks are looked at only in
// tiles on a boundary. An SM holds two blocks or more (asserted by scripts/check_cuda).
#pragma once
#include "morsel/cuda/attention_tiles.cuh"
#include "morsel/cuda/rope.cuh"

namespace morsel {

namespace kernels {

template <int D>
constexpr std::size_t prefill_shared_bytes() {
    return std::size_t{2} * 2 * Tile<D>::bytes;  // stages, keys and values
}

// qkv [rows, qkv_width], after rope_and_cache where Cached; out [rows, n_heads · head_dim]. Cached: causal over the cache; else every row
// of a segment sees all rows of it. grid (64 rows, n_heads, segments)
template <int D, bool Cached>
__global__ void __launch_bounds__(128) prefill_attention(const float* qkv, const Heads h, const SegmentTable table, float* out) {
    std::uint8_t* shared = ptx::dynamic_shared<std::uint8_t>();
    constexpr unsigned tile_bytes = Tile<D>::bytes;
    const CachedSegment& segment = table.segments[blockIdx.z];
    ptx::take_turn();
    const unsigned first = blockIdx.x * tile_queries, count = segment.row_count, head = blockIdx.y, kv = head / (h.n_heads / h.n_kv_heads);
    if (first >= count) return;
    const std::size_t width = h.qkv_width();
    const float* rows = qkv + std::size_t{segment.row_begin} * width;
    const unsigned warp_first = first + threadIdx.x / 32 * 16, past = Cached ? segment.past : 0;
    const unsigned end = Cached ? past + min(first + tile_queries, count) : count;
    const unsigned begin = Cached && h.window > 0 && past + first + 1 > h.window ? (past + first + 1 - h.window) / tile_rows * tile_rows : 0;
    unsigned q[D / 16][4];
    load_queries<D>(q, rows + head * D, width, warp_first, count, h.scale * log2_e);

    const std::size_t strip = std::size_t{kv} * segment.capacity * D;
    const auto load = [&](unsigned from, unsigned stage) {
        const Tile<D> keys{shared + stage * 2 * tile_bytes}, values{shared + (stage * 2 + 1) * tile_bytes};
        if constexpr (Cached) {
            keys.load(reinterpret_cast<const bf16*>(segment.keys) + strip, from, end);
            values.load(reinterpret_cast<const bf16*>(segment.values) + strip, from, end);
        } else {
            keys.load_rows(rows + (h.n_heads + kv) * D, width, from, end);
            values.load_rows(rows + (h.n_heads + h.n_kv_heads + kv) * D, width, from, end);
        }
        ptx::copy_async_commit();
    };
    RunningRows<D> running;
    load(begin, 0);
    for (unsigned from = begin, stage = 0; from < end; from += tile_rows, stage ^= 1) {
        if (from + tile_rows < end) load(from + tile_rows, stage ^ 1);
        else ptx::copy_async_commit();  // an empty group, so that the wait below is the same
        ptx::copy_async_wait<1>();
        __syncthreads();
        float s[8][4];
        multiply_rows<D>(s, q, {shared + stage * 2 * tile_bytes});
        const unsigned lane = threadIdx.x % 32, position = past + warp_first + lane / 4;  // of the lane's upper row
        const bool all_seen = from + tile_rows <= end && (!Cached || (from + tile_rows <= past + warp_first + 1 && (h.window == 0 || from + h.window > past + warp_first + 15)));
        if (!all_seen) {
#pragma unroll
            for (int n = 0; n < 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const unsigned key = from + static_cast<unsigned>(n) * 8 + lane % 4 * 2 + static_cast<unsigned>(i % 2), at = position + static_cast<unsigned>(i / 2) * 8;
                    const bool seen = key < end && (!Cached || (key <= at && (h.window == 0 || key + h.window > at)));
                    if (!seen) s[n][i] = -INFINITY;
                }
        }
        running.add(s, {shared + (stage * 2 + 1) * tile_bytes});
        __syncthreads();
    }
    running.store(out + std::size_t{segment.row_begin} * h.n_heads * D + head * D, std::size_t{h.n_heads} * D, warp_first, count);
}

}  // namespace kernels

namespace detail {

// One launch for a table of segments; false where there is no kernel for the head size. Cached as in the kernel.
template <bool Cached>
bool prefill_attention(Cuda& device, const float* qkv, const AttentionShape& shape, const kernels::SegmentTable& table, std::size_t position_bytes, float* out) {
    return with_head_dim(shape.head_dim, [&]<int D>() {
        std::size_t longest = 0, keys = 0;
        for (unsigned s = 0; s < table.count; ++s) longest = std::max<std::size_t>(longest, table.segments[s].row_count), keys += table.segments[s].past + table.segments[s].row_count;
        device.launch({.name = "prefill_attention", .grid = dim3(static_cast<unsigned>((longest + kernels::tile_queries - 1) / kernels::tile_queries), static_cast<unsigned>(shape.n_heads), table.count),
                       .block = dim3(kernels::tile_threads), .shared_bytes = kernels::prefill_shared_bytes<D>(),
                       .read = table.rows * shape.n_heads * D * 4 + keys * 2 * shape.n_kv_heads * position_bytes, .written = table.rows * shape.n_heads * D * 4},
                      kernels::prefill_attention<D, Cached>, qkv, heads_of(shape), table, out);
    });
}

}  // namespace detail

}  // namespace morsel
