// The product of many rows in f32, for machines whose products are fused multiply-adds: blocks of rows by two panels (AVX-512) or one
// (AVX2) that stay in registers. Rows are packed column by column, [k][block rows], so that a step reads one or two vectors of
// weights and one cache line of activations: 28 multiply-adds for 16 loads at 14 rows. Follows the register blocking of Goto and
// van de Geijn 2008 (Anatomy of High-Performance Matrix Multiplication).
// AVX2 takes one panel at a time over all blocks that are packed, and lets them flow into the result.
// Each sum runs over the columns in order, whatever the block's height, so a row's result does not depend on the rows beside it.
#pragma once
#include <algorithm>
#include <cstddef>

#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/panel.hpp"
#include "morsel/ops/cpu/vector_math_avx2.hpp"

namespace morsel::detail {

// Rows in blocks of one even height that the registers hold; the last block is filled up with zeros.
struct RowBlocks {
    std::size_t count = 0, height = 0;
    static std::size_t most(Isa isa) { return isa >= Isa::avx512 ? 14 : 6; }
    RowBlocks(Isa isa, std::size_t rows) {
        count = (rows + most(isa) - 1) / most(isa);
        height = ((rows + count - 1) / count + 1) / 2 * 2;
        count = (rows + height - 1) / height;
    }
};

// Where a block of the result is: of the panels' 16 columns the first `columns`, of the block's rows the first `rows`.
struct BlockResult {
    float* out[2] = {nullptr, nullptr};         // of each panel, at its first column
    const float* bias[2] = {nullptr, nullptr};  // likewise, or null
    std::size_t columns[2] = {0, 0};            // 0: an odd last panel, which stands beside itself
    std::size_t rows = 0, stride = 0;           // floats from one row of `out` to the next
    bool accumulate = false;                    // added to what is there
};

// `there` rows of `columns` floats, `stride` apart, to out [columns][height], zeros beyond them; columns is a multiple of 16.
inline void pack_rows_plain(const float* x, std::size_t there, std::size_t stride, std::size_t columns, std::size_t height, float* out) {
    for (std::size_t k = 0; k < columns; k += 16) {  // a cache line of each row at a time
        for (std::size_t r = 0; r < height; ++r)
            for (std::size_t i = 0; i < 16; ++i) out[(k + i) * height + r] = r < there ? x[r * stride + k + i] : 0.0f;
    }
}

// x [k][Rows], weights [k][16] of two panels; y [Rows][16] of each.
template <std::size_t Rows>
[[gnu::always_inline]] inline void multiply_block_plain(const float* x, const float* const* w, std::size_t k, float* const* y) {
    for (std::size_t p = 0; p < 2; ++p) {
        float sum[Rows][16] = {};
        for (std::size_t i = 0; i < k; ++i)
            for (std::size_t r = 0; r < Rows; ++r)
                for (std::size_t j = 0; j < 16; ++j) sum[r][j] += x[i * Rows + r] * w[p][i * 16 + j];
        std::copy_n(&sum[0][0], Rows * 16, y[p]);
    }
}

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 holds its own _mm512_undefined_ps for uninitialised
#endif

// The same for a height of at most 16, 16 x 16 at a time: transposing in registers is three to four times as fast as storing floats one by one.
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] inline void pack_rows_avx512(const float* x, std::size_t there, std::size_t stride,
                                                                                            std::size_t columns, std::size_t height, float* out) {
    const auto mask = static_cast<__mmask16>((1u << height) - 1u);
    for (std::size_t k = 0; k < columns; k += 16) {
        __m512 row[16], t[16];
#pragma GCC unroll 16
        for (std::size_t r = 0; r < 16; ++r) row[r] = r < there ? _mm512_loadu_ps(x + r * stride + k) : _mm512_setzero_ps();
#pragma GCC unroll 8
        for (std::size_t r = 0; r < 16; r += 2) t[r] = _mm512_unpacklo_ps(row[r], row[r + 1]), t[r + 1] = _mm512_unpackhi_ps(row[r], row[r + 1]);
#pragma GCC unroll 4
        for (std::size_t r = 0; r < 16; r += 4) {  // row[r + c]: columns c, c + 4, c + 8, c + 12 of rows r … r + 3
            row[r] = _mm512_shuffle_ps(t[r], t[r + 2], 0x44), row[r + 1] = _mm512_shuffle_ps(t[r], t[r + 2], 0xee);
            row[r + 2] = _mm512_shuffle_ps(t[r + 1], t[r + 3], 0x44), row[r + 3] = _mm512_shuffle_ps(t[r + 1], t[r + 3], 0xee);
        }
#pragma GCC unroll 4
        for (std::size_t c = 0; c < 4; ++c) {
            const __m512 a = _mm512_shuffle_f32x4(row[c], row[c + 4], 0x88), b = _mm512_shuffle_f32x4(row[c], row[c + 4], 0xdd);
            const __m512 d = _mm512_shuffle_f32x4(row[c + 8], row[c + 12], 0x88), e = _mm512_shuffle_f32x4(row[c + 8], row[c + 12], 0xdd);
            _mm512_mask_storeu_ps(out + (k + c) * height, mask, _mm512_shuffle_f32x4(a, d, 0x88));
            _mm512_mask_storeu_ps(out + (k + c + 4) * height, mask, _mm512_shuffle_f32x4(b, e, 0x88));
            _mm512_mask_storeu_ps(out + (k + c + 8) * height, mask, _mm512_shuffle_f32x4(a, d, 0xdd));
            _mm512_mask_storeu_ps(out + (k + c + 12) * height, mask, _mm512_shuffle_f32x4(b, e, 0xdd));
        }
    }
}

// The same for a height of at most 8, or 16, 8 x 8 at a time. Below a height of 8 a stored vector reaches into the columns behind, which come next; so
// the last eight go through a buffer. The rows behind these are asked for, which a block's rows of 384 columns are too short to be guessed from.
[[gnu::target("avx2")]] inline void pack_rows_avx2(const float* x, std::size_t there, std::size_t stride, std::size_t columns, std::size_t height, float* out) {
    alignas(32) float last[8 * 16];
    for (std::size_t k = 0; k < columns; k += 8) {
        float* const columns_out = k + 8 < columns || height >= 8 ? out + k * height : last;
        for (std::size_t first = 0; first < height; first += 8) {
            __m256 row[8], t[8];
#pragma GCC unroll 8
            for (std::size_t r = 0; r < 8; ++r) {
                row[r] = _mm256_setzero_ps();
                if (first + r >= there) continue;
                const float* from = x + (first + r) * stride + k;
                row[r] = _mm256_loadu_ps(from);
                __builtin_prefetch(from + height * stride);
            }
#pragma GCC unroll 4
            for (std::size_t r = 0; r < 8; r += 2) t[r] = _mm256_unpacklo_ps(row[r], row[r + 1]), t[r + 1] = _mm256_unpackhi_ps(row[r], row[r + 1]);
#pragma GCC unroll 2
            for (std::size_t r = 0; r < 8; r += 4) {  // row[r + c]: columns c and c + 4 of rows r … r + 3
                row[r] = _mm256_shuffle_ps(t[r], t[r + 2], 0x44), row[r + 1] = _mm256_shuffle_ps(t[r], t[r + 2], 0xee);
                row[r + 2] = _mm256_shuffle_ps(t[r + 1], t[r + 3], 0x44), row[r + 3] = _mm256_shuffle_ps(t[r + 1], t[r + 3], 0xee);
            }
            float* to = columns_out + first;
#pragma GCC unroll 4
            for (std::size_t c = 0; c < 4; ++c) _mm256_storeu_ps(to + c * height, _mm256_permute2f128_ps(row[c], row[c + 4], 0x20));
#pragma GCC unroll 4
            for (std::size_t c = 0; c < 4; ++c) _mm256_storeu_ps(to + (c + 4) * height, _mm256_permute2f128_ps(row[c], row[c + 4], 0x31));
        }
        if (columns_out == last) std::copy_n(last, 8 * height, out + k * height);
    }
}

// On the way it asks for the cache lines that the block will be written to, which mostly come from memory: 3 to 6 % of a product, and
// half of that where all are asked for at once.
template <std::size_t Rows>
[[gnu::always_inline, gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] inline void sum_block_avx512(const float* x, const float* const* w, std::size_t k,
                                                                                                               const BlockResult& to, __m512 (&sum)[Rows][2]) {
    const float *first = w[0], *second = w[1];
    const float *first_out = to.out[0], *second_out = to.out[1], *last_out = first_out + (to.rows - 1) * to.stride;
#pragma GCC unroll 14
    for (std::size_t r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    for (std::size_t i = 0; i < k; ++i, x += Rows, first += 16, second += 16) {
        const __m512 a = _mm512_loadu_ps(first), b = _mm512_loadu_ps(second);
        prefetch(first);
        prefetch(second);
        prefetch(x);  // 5 % at 3072 columns, where a block outgrows the first-level cache; nothing lost at 384
        __builtin_prefetch(first_out, 1);
        __builtin_prefetch(second_out, 1);
        const std::size_t step = first_out < last_out ? to.stride : 0;
        first_out += step, second_out += step;
#pragma GCC unroll 14
        for (std::size_t r = 0; r < Rows; ++r) {
            const __m512 factor = _mm512_set1_ps(x[r]);
            sum[r][0] = _mm512_fmadd_ps(factor, a, sum[r][0]);
            sum[r][1] = _mm512_fmadd_ps(factor, b, sum[r][1]);
        }
    }
}

template <std::size_t Rows>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] void multiply_block_avx512(const float* x, const float* const* w, std::size_t k, const BlockResult& to,
                                                                                        float* const* y) {
    __m512 sum[Rows][2];
    sum_block_avx512<Rows>(x, w, k, to, sum);
#pragma GCC unroll 14
    for (std::size_t r = 0; r < Rows; ++r) {
        _mm512_storeu_ps(y[0] + r * 16, sum[r][0]);
        _mm512_storeu_ps(y[1] + r * 16, sum[r][1]);
    }
}

// The same where at most a bias is added, from registers into the result: 3 to 5 % of a product with 384 columns.
template <std::size_t Rows>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] void multiply_block_into_avx512(const float* x, const float* const* w, std::size_t k,
                                                                                             const BlockResult& to) {
    __m512 sum[Rows][2];
    sum_block_avx512<Rows>(x, w, k, to, sum);
    const __mmask16 mask[2] = {static_cast<__mmask16>((1u << to.columns[0]) - 1u), static_cast<__mmask16>((1u << to.columns[1]) - 1u)};
    __m512 bias[2];
    for (std::size_t p = 0; p < 2; ++p) bias[p] = to.bias[p] != nullptr ? _mm512_maskz_loadu_ps(mask[p], to.bias[p]) : _mm512_setzero_ps();
#pragma GCC unroll 14
    for (std::size_t r = 0; r < Rows; ++r) {
        if (r == to.rows) return;
#pragma GCC unroll 2
        for (std::size_t p = 0; p < 2; ++p) {
            float* out = to.out[p] + r * to.stride;
            __m512 value = _mm512_add_ps(sum[r][p], bias[p]);
            if (to.accumulate) value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask[p], out), value);
            _mm512_mask_storeu_ps(out, mask[p], value);
        }
    }
}

template <std::size_t Rows> [[gnu::always_inline, gnu::target("avx2,fma")]] inline void clear_sums_avx2(__m256 (&sum)[Rows][2]) {
#pragma GCC unroll 6
    for (std::size_t r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = _mm256_setzero_ps();
}

template <std::size_t Rows> [[gnu::always_inline, gnu::target("avx2,fma")]] inline void add_products_avx2(const float* x, const float* weight, __m256 (&sum)[Rows][2]) {
    const __m256 a = _mm256_loadu_ps(weight), b = _mm256_loadu_ps(weight + 8);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < Rows; ++r) {
        const __m256 factor = _mm256_set1_ps(x[r]);
        sum[r][0] = _mm256_fmadd_ps(factor, a, sum[r][0]);
        sum[r][1] = _mm256_fmadd_ps(factor, b, sum[r][1]);
    }
}

template <std::size_t Rows> [[gnu::always_inline, gnu::target("avx2,fma")]] inline void store_sums_avx2(const __m256 (&sum)[Rows][2], float* y) {
#pragma GCC unroll 6
    for (std::size_t r = 0; r < Rows; ++r) {
        _mm256_storeu_ps(y + r * 16, sum[r][0]);
        _mm256_storeu_ps(y + r * 16 + 8, sum[r][1]);
    }
}

template <std::size_t Rows>
[[gnu::target("avx2,fma")]] void multiply_block_avx2(const float* x, const float* const* w, std::size_t k, float* const* y) {
    for (std::size_t p = 0; p < 2; ++p) {
        __m256 sum[Rows][2];
        clear_sums_avx2(sum);
        for (std::size_t i = 0; i < k; ++i) add_products_avx2<Rows>(x + i * Rows, w[p] + i * 16, sum);
        store_sums_avx2(sum, y[p]);
    }
}

// Blocks x [blocks][k][Rows] times one panel of weights [k][16], from registers into the 16 columns of the result that `to` has as its first panel's; its rows
// are those of all blocks. With the last blocks the panel behind this one is fetched into the second-level cache, and with each the lines of its result are asked
// for: together 10 to 20 % of a product with 768 columns.
template <std::size_t Rows, Activation Kind>
[[gnu::target("avx2,fma")]] void multiply_panel_avx2(const float* x, std::size_t blocks, const float* weight, std::size_t k, const BlockResult& to) {
    __m256 bias[2];
    for (std::size_t h = 0; h < 2; ++h) bias[h] = to.bias[0] != nullptr ? _mm256_loadu_ps(to.bias[0] + h * 8) : _mm256_setzero_ps();
    const char* next = reinterpret_cast<const char*>(weight + k * 16);
    const std::size_t fetching = std::min<std::size_t>(blocks, 8);  // the last blocks: what is fetched earlier may be gone again
    float* out = to.out[0];
    for (std::size_t block = 0; block < blocks; ++block, out += Rows * to.stride) {
        const std::size_t rows = std::min(Rows, to.rows - block * Rows);
        __m256 sum[Rows][2];
        clear_sums_avx2(sum);
        const float *line = out, *last_line = out + (rows - 1) * to.stride;
        const std::size_t next_step = blocks - block <= fetching ? (64 + fetching - 1) / fetching : 0;  // bytes
        for (std::size_t i = 0; i < k; ++i, x += Rows, next += next_step) {
            __builtin_prefetch(next, 0, 2);
            __builtin_prefetch(line, 1);
            line += line < last_line ? to.stride : 0;
            add_products_avx2<Rows>(x, weight + i * 16, sum);
        }
        if constexpr (Kind == Activation::none) {
#pragma GCC unroll 6
            for (std::size_t r = 0; r < Rows; ++r) {
                if (r == rows) break;
#pragma GCC unroll 2
                for (std::size_t h = 0; h < 2; ++h) {
                    float* at = out + r * to.stride + h * 8;
                    const __m256 value = _mm256_add_ps(sum[r][h], bias[h]);
                    _mm256_storeu_ps(at, to.accumulate ? _mm256_add_ps(_mm256_loadu_ps(at), value) : value);
                }
            }
        } else {  // which needs the registers
            alignas(32) float y[Rows * 16];
            store_sums_avx2(sum, y);
            finish_vectors_avx2<Kind>({.bias = to.bias[0], .accumulate = to.accumulate}, 0, 0, rows, y, nullptr, out, to.stride);
        }
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

inline void pack_rows(Isa isa, const float* x, std::size_t there, std::size_t stride, std::size_t columns, std::size_t height, float* out) {
#if defined(__x86_64__)
    if (isa >= Isa::avx512) return pack_rows_avx512(x, there, stride, columns, height, out);
    if (isa == Isa::avx2 && (height <= 8 || height == 16)) return pack_rows_avx2(x, there, stride, columns, height, out);
#endif
    (void)isa;
    pack_rows_plain(x, there, stride, columns, height, out);
}

template <std::size_t Rows>
void multiply_rows(Isa isa, const float* x, const float* const* w, std::size_t k, const BlockResult& to, float* const* y) {
#if defined(__x86_64__)
    if (isa >= Isa::avx512) return multiply_block_avx512<Rows>(x, w, k, to, y);
    if constexpr (Rows <= 6) {
        if (isa == Isa::avx2) return multiply_block_avx2<Rows>(x, w, k, y);
    }
#endif
    (void)isa, (void)to;
    if constexpr (Rows <= 6) multiply_block_plain<Rows>(x, w, k, y);
}

// Calls f.template operator()<Rows>() for an even height of at most RowBlocks::most.
template <class F>
void with_block_height(std::size_t height, F&& f) {
    switch (height) {
        case 2: return f.template operator()<2>();
        case 4: return f.template operator()<4>();
        case 6: return f.template operator()<6>();
        case 8: return f.template operator()<8>();
        case 10: return f.template operator()<10>();
        case 12: return f.template operator()<12>();
        default: return f.template operator()<14>();
    }
}

// x [k][height]; weights [k][16] of two panels; y [height][16] of each. `to` is where they will go when finished, and is not written.
inline void multiply_block(Isa isa, const float* x, std::size_t height, const float* const* w, std::size_t k, const BlockResult& to, float* const* y) {
    with_block_height(height, [&]<std::size_t Rows>() { multiply_rows<Rows>(isa, x, w, k, to, y); });
}

#if defined(__x86_64__)
inline void multiply_block_into_avx512(const float* x, std::size_t height, const float* const* w, std::size_t k, const BlockResult& to) {
    with_block_height(height, [&]<std::size_t Rows>() { multiply_block_into_avx512<Rows>(x, w, k, to); });
}

// False, with nothing done, where the activation has no vector form.
inline bool multiply_panel_avx2(const float* x, std::size_t height, std::size_t blocks, const float* weight, std::size_t k, Activation activation, const BlockResult& to) {
    return with_vector_activation(activation, [&]<Activation Kind>() {
        const auto multiply = height == 6 ? multiply_panel_avx2<6, Kind> : height == 4 ? multiply_panel_avx2<4, Kind> : multiply_panel_avx2<2, Kind>;
        multiply(x, blocks, weight, k, to);
    });
}
#endif

}  // namespace morsel::detail
