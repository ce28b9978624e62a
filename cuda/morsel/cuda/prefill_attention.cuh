// Attention of many new tokens on tensor cores, as FlashAttention-2 does it (Dao 2023): a block takes 64 queries of one head, a warp 16 of
// them, and goes over keys and values 64 at a time with an online softmax; scores never leave registers, where the accumulators of Q·Kᵀ
// are already what the product with V takes. bf16 products, f32 sums. The next tile is on its way (cp.async) while this one is
// multiplied. Causal with an optional window over the key-value cache, or bidirectional over the rows themselves (encoders). Tiles
// that are masked as a whole are not visited, and masks are looked at only in tiles on a boundary.
// Rows in shared memory are 16 bytes longer than a head: for all five head sizes eight rows then start in eight different groups of
// banks, so ldmatrix has no conflicts and needs no swizzle. Registers: 64 queries and not 128, so that nothing spills at head size 128.
#pragma once
#include "morsel/cuda/rope.cuh"
#include "morsel/cuda/vector16.cuh"

namespace morsel {

namespace kernels {

inline constexpr unsigned prefill_threads = 128, prefill_rows = 64, prefill_keys = 64;

template <int D>
constexpr std::size_t prefill_shared_bytes() {
    return std::size_t{2} * 2 * prefill_keys * (D * 2 + 16);  // stages, keys and values
}

// A tile of keys or values in shared memory: [prefill_keys][D] bf16, rows D * 2 + 16 bytes apart.
template <int D>
struct Tile {
    static constexpr unsigned row_bytes = D * 2 + 16;
    std::uint8_t* at;

    __device__ std::uint8_t* place(unsigned row, unsigned element) const { return at + row * row_bytes + element * 2; }

    // Rows [from, from + 64) of a strip [capacity][D] of the cache, zeros from `end` on.
    __device__ void load(const bf16* strip, unsigned from, unsigned end) const {
        constexpr unsigned vectors = D / 8;
        for (unsigned i = threadIdx.x; i < prefill_keys * vectors; i += prefill_threads) {
            const unsigned row = i / vectors, element = i % vectors * 8;
            const bool valid = from + row < end;
            ptx::copy_async(place(row, element), strip + std::size_t{valid ? from + row : 0} * D + element, valid);
        }
    }
    // The same from rows of floats, `stride` apart.
    __device__ void load_rows(const float* rows, std::size_t stride, unsigned from, unsigned end) const {
        constexpr unsigned vectors = D / 8;
        for (unsigned i = threadIdx.x; i < prefill_keys * vectors; i += prefill_threads) {
            const unsigned row = i / vectors, element = i % vectors * 8;
            float x[8] = {};
            if (from + row < end) {
                const float* source = rows + std::size_t{from + row} * stride + element;
#pragma unroll
                for (int j = 0; j < 8; j += 4) {
                    const float4 four = ptx::load_vector(source + j);
                    x[j] = four.x, x[j + 1] = four.y, x[j + 2] = four.z, x[j + 3] = four.w;
                }
            }
            ptx::store_vector(static_cast<void*>(place(row, element)), Vector16<DType::bf16>::narrow(x));
        }
    }
};

// The A fragments of 16 rows of a head, scaled, as bf16: of row `first` + lane / 4 and the one 8 below; rows from `count` on are zero.
template <int D>
__device__ void load_queries(unsigned (&q)[D / 16][4], const float* head, std::size_t stride, unsigned first, unsigned count, float scale) {
    const unsigned lane = threadIdx.x % 32, column = lane % 4 * 2;
#pragma unroll
    for (int k = 0; k < D / 16; ++k)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const unsigned row = first + lane / 4 + static_cast<unsigned>(i % 2) * 8, at = static_cast<unsigned>(k) * 16 + column + static_cast<unsigned>(i / 2) * 8;
            const float* x = head + std::size_t{row} * stride + at;
            q[k][i] = row < count ? ptx::pack_bf16(x[0] * scale, x[1] * scale) : 0;
        }
}

// s = q · keysᵀ for the tile's 64 keys: s[n] are the accumulators of keys 8n … 8n + 7.
template <int D>
__device__ void multiply_keys(float (&s)[8][4], const unsigned (&q)[D / 16][4], const Tile<D>& keys) {
    const unsigned lane = threadIdx.x % 32, row = lane / 16 * 8 + lane % 8, column = lane / 8 % 2 * 8;
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) s[n][i] = 0;
#pragma unroll
    for (int k = 0; k < D / 16; ++k)
#pragma unroll
        for (int n = 0; n < 8; n += 2) {
            unsigned b[4];
            ptx::load_matrices(b, keys.place(static_cast<unsigned>(n) * 8 + row, static_cast<unsigned>(k) * 16 + column));
            ptx::multiply_bf16(s[n], q[k], b[0], b[1]);
            ptx::multiply_bf16(s[n + 1], q[k], b[2], b[3]);
        }
}

// The running softmax of a warp's 16 rows: each lane has two of them, lane / 4 and 8 below, and of the sums elements 8d + 2(lane % 4) and
// the next.
template <int D>
struct RunningRows {
    float best[2] = {-1e30f, -1e30f}, total[2] = {0, 0};  // finite, so that a row without keys meets no inf − inf
    float sum[D / 8][4];

    __device__ RunningRows() {
#pragma unroll
        for (int d = 0; d < D / 8; ++d)
#pragma unroll
            for (int i = 0; i < 4; ++i) sum[d][i] = 0;
    }
    // Scores in powers of two; −inf where masked.
    __device__ void add(float (&s)[8][4], const Tile<D>& values) {
        const unsigned lane = threadIdx.x % 32, row = lane / 8 % 2 * 8 + lane % 8, column = lane / 16 * 8;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float highest = best[half];
#pragma unroll
            for (int n = 0; n < 8; ++n) highest = fmaxf(highest, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
            highest = fmaxf(highest, __shfl_xor_sync(all_lanes, highest, 1));
            highest = fmaxf(highest, __shfl_xor_sync(all_lanes, highest, 2));
            const float rescale = ptx::exp2_fast(best[half] - highest);
            best[half] = highest, total[half] *= rescale;
#pragma unroll
            for (int n = 0; n < 8; ++n)
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; ++i) total[half] += s[n][i] = ptx::exp2_fast(s[n][i] - highest);
#pragma unroll
            for (int d = 0; d < D / 8; ++d) sum[d][2 * half] *= rescale, sum[d][2 * half + 1] *= rescale;
        }
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            const unsigned p[4] = {ptx::pack_bf16(s[2 * k][0], s[2 * k][1]), ptx::pack_bf16(s[2 * k][2], s[2 * k][3]), ptx::pack_bf16(s[2 * k + 1][0], s[2 * k + 1][1]),
                                   ptx::pack_bf16(s[2 * k + 1][2], s[2 * k + 1][3])};
#pragma unroll
            for (int d = 0; d < D / 8; d += 2) {
                unsigned b[4];
                ptx::load_matrices_transposed(b, values.place(static_cast<unsigned>(k) * 16 + row, static_cast<unsigned>(d) * 8 + column));
                ptx::multiply_bf16(sum[d], p, b[0], b[1]);
                ptx::multiply_bf16(sum[d + 1], p, b[2], b[3]);
            }
        }
    }
    // To rows first + lane / 4 and 8 below, where they are below `count`. out: the head's column of row 0.
    __device__ void store(float* out, std::size_t stride, unsigned first, unsigned count) {
        const unsigned lane = threadIdx.x % 32;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            total[half] += __shfl_xor_sync(all_lanes, total[half], 1);
            total[half] += __shfl_xor_sync(all_lanes, total[half], 2);
            const unsigned row = first + lane / 4 + static_cast<unsigned>(half) * 8;
            if (row >= count) continue;
            float* to = out + std::size_t{row} * stride + lane % 4 * 2;
#pragma unroll
            for (int d = 0; d < D / 8; ++d) to[d * 8] = sum[d][2 * half] / total[half], to[d * 8 + 1] = sum[d][2 * half + 1] / total[half];
        }
    }
};

// qkv [rows, qkv_width], after rope_and_cache where Cached; out [rows, n_heads · head_dim]. Cached: causal over the cache; else every row
// of a segment sees all rows of it. grid (64 rows, n_heads, segments)
template <int D, bool Cached>
__global__ void __launch_bounds__(128) prefill_attention(const float* qkv, const Heads h, const SegmentTable table, float* out) {
    std::uint8_t* shared = ptx::dynamic_shared<std::uint8_t>();
    constexpr unsigned tile_bytes = prefill_keys * Tile<D>::row_bytes;
    const CachedSegment& segment = table.segments[blockIdx.z];
    ptx::wait_for_previous_kernels();
    const unsigned first = blockIdx.x * prefill_rows, count = segment.row_count, head = blockIdx.y, kv = head / (h.n_heads / h.n_kv_heads);
    if (first >= count) return;
    const std::size_t width = h.qkv_width();
    const float* rows = qkv + std::size_t{segment.row_begin} * width;
    const unsigned warp_first = first + threadIdx.x / 32 * 16, past = Cached ? segment.past : 0;
    const unsigned end = Cached ? past + min(first + prefill_rows, count) : count;
    const unsigned begin = Cached && h.window > 0 && past + first + 1 > h.window ? (past + first + 1 - h.window) / prefill_keys * prefill_keys : 0;
    unsigned q[D / 16][4];
    load_queries<D>(q, rows + head * D, width, warp_first, count, h.scale * 1.4426950408889634f);  // e^x = 2^(x log2 e)

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
    for (unsigned from = begin, stage = 0; from < end; from += prefill_keys, stage ^= 1) {
        if (from + prefill_keys < end) load(from + prefill_keys, stage ^ 1);
        else ptx::copy_async_commit();  // an empty group, so that the wait below is the same
        ptx::copy_async_wait<1>();
        __syncthreads();
        float s[8][4];
        multiply_keys<D>(s, q, {shared + stage * 2 * tile_bytes});
        const unsigned lane = threadIdx.x % 32, position = past + warp_first + lane / 4;  // of the lane's upper row
        const bool all_seen = from + prefill_keys <= end && (!Cached || (from + prefill_keys <= past + warp_first + 1 && (h.window == 0 || from + h.window > past + warp_first + 15)));
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
        device.launch({.name = "prefill_attention", .grid = dim3(static_cast<unsigned>((longest + kernels::prefill_rows - 1) / kernels::prefill_rows), static_cast<unsigned>(shape.n_heads), table.count),
                       .block = dim3(kernels::prefill_threads), .shared_bytes = kernels::prefill_shared_bytes<D>(),
                       .read = table.rows * shape.n_heads * D * 4 + keys * 2 * shape.n_kv_heads * position_bytes, .written = table.rows * shape.n_heads * D * 4},
                      kernels::prefill_attention<D, Cached>, qkv, heads_of(shape), table, out);
    });
}

}  // namespace detail

}  // namespace morsel
