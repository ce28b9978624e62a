// What attention on tensor cores is made of, as FlashAttention-2 has it (Dao 2023): a block takes 64 queries of one head, a warp 16 of them, and
// meets 64 keys and values at a time. Here are a tile of rows in shared memory, the fragments of queries, their products with a tile (bf16
// products, f32 sums), and the online softmax, whose scores never leave registers: the accumulators of Q·Kᵀ are already what the product
// with V takes. Used by prefill_attention.cuh and tiled_disentangled_attention.cuh.
// Rows in shared memory are 16 bytes longer than a head: for all five head sizes eight rows then start in eight different groups of
// banks, so ldmatrix has no conflicts and needs no swizzle. Registers: 64 queries and not 128, so that nothing spills at head size 128.
#pragma once
#include "morsel/cuda/block.cuh"
#include "morsel/cuda/vector16.cuh"

namespace morsel::kernels {

inline constexpr unsigned tile_threads = 128, tile_queries = 64, tile_rows = 64;

// Rows of a head in shared memory: [tile_rows][D] bf16, rows D * 2 + 16 bytes apart.
template <int D>
struct Tile {
    static constexpr unsigned row_bytes = D * 2 + 16, bytes = tile_rows * row_bytes;
    std::uint8_t* at;

    __device__ std::uint8_t* place(unsigned row, unsigned element) const { return at + row * row_bytes + element * 2; }

    // Rows [from, from + 64) of a strip [capacity][D] of the cache, zeros from `end` on.
    __device__ void load(const bf16* strip, unsigned from, unsigned end) const {
        constexpr unsigned vectors = D / 8;
        for (unsigned i = threadIdx.x; i < tile_rows * vectors; i += tile_threads) {
            const unsigned row = i / vectors, element = i % vectors * 8;
            const bool valid = from + row < end;
            ptx::copy_async(place(row, element), strip + std::size_t{valid ? from + row : 0} * D + element, valid);
        }
    }
    // The same from rows of floats, `stride` apart.
    __device__ void load_rows(const float* rows, std::size_t stride, unsigned from, unsigned end) const {
        constexpr unsigned vectors = D / 8;
        for (unsigned i = threadIdx.x; i < tile_rows * vectors; i += tile_threads) {
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
    // The A fragments of rows [first, first + 16) of the tile.
    __device__ void load_fragments(unsigned (&a)[D / 16][4], unsigned first) const {
        const unsigned lane = threadIdx.x % 32;
#pragma unroll
        for (int k = 0; k < D / 16; ++k) ptx::load_matrices(a[k], place(first + lane % 16, static_cast<unsigned>(k) * 16 + lane / 16 * 8));
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

// s = a · rowsᵀ for the 64 rows of a tile: s[n] are the accumulators of rows 8n … 8n + 7. Only of the quarters (16 rows each) whose bits are set;
// the others are zero.
template <int D>
__device__ void multiply_rows(float (&s)[8][4], const unsigned (&a)[D / 16][4], const Tile<D>& rows, unsigned quarters = 0xF) {
    const unsigned lane = threadIdx.x % 32, row = lane / 16 * 8 + lane % 8, column = lane / 8 % 2 * 8;
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) s[n][i] = 0;
#pragma unroll
    for (int k = 0; k < D / 16; ++k)
#pragma unroll
        for (int n = 0; n < 8; n += 2) {
            if ((quarters >> (n / 2) & 1) == 0) continue;
            unsigned b[4];
            ptx::load_matrices(b, rows.place(static_cast<unsigned>(n) * 8 + row, static_cast<unsigned>(k) * 16 + column));
            ptx::multiply_bf16(s[n], a[k], b[0], b[1]);
            ptx::multiply_bf16(s[n + 1], a[k], b[2], b[3]);
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

}  // namespace morsel::kernels
