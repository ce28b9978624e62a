// The product of a panel with f32 activations, in f32: decoding, and everything on machines without AMX. One row reads the panel
// as stored; more rows, up to four at a time, read a copy widened to f32 once.
// Four partial sums per output, of columns 0, 1, 2, 3 mod 4, added pairwise at the end: the same order whatever the number of
// rows, so a row's result does not depend on its batch, and with fused multiply-add not on the vector length either.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/panel.hpp"
#include "morsel/ops/cpu/vector_math.hpp"
#include "morsel/ops/cpu/vector_math_avx2.hpp"
#include "morsel/ops/cpu/vector_math_avx512.hpp"

namespace morsel::detail {

// panel [blocks · 32][16]; x [Rows], `stride` floats apart, each blocks · 32 floats; out [Rows][16].
template <DType Type, std::size_t Rows>
void dot_panel_generic(const std::uint8_t* panel, std::size_t blocks, const float* x, std::size_t stride, float* out) {
    float sum[Rows][4][16] = {};
    for (std::size_t b = 0; b < blocks; ++b) {
        alignas(64) float unpacked[32 * 16];
        const float* w = unpacked;
        if constexpr (Type == DType::f32)
            w = reinterpret_cast<const float*>(panel) + b * 512;
        else
            unpack_block<Type, 16>(panel, b, 0, unpacked);
        for (std::size_t row = 0; row < Rows; ++row) {
            for (std::size_t k = 0; k < 32; ++k) {
                const float factor = x[row * stride + b * 32 + k];
                for (std::size_t i = 0; i < 16; ++i) sum[row][k % 4][i] += factor * w[k * 16 + i];
            }
        }
    }
    for (std::size_t row = 0; row < Rows; ++row) {
        for (std::size_t i = 0; i < 16; ++i) out[row * 16 + i] = (sum[row][0][i] + sum[row][1][i]) + (sum[row][2][i] + sum[row][3][i]);
    }
}

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 holds its own _mm512_undefined_epi32 for uninitialised
#endif

template <DType Type, std::size_t Rows>
[[gnu::target("avx2,fma,f16c")]] void dot_panel_avx2(const std::uint8_t* panel, std::size_t blocks, const float* x, std::size_t stride,
                                                     float* out) {
    alignas(64) float unpacked[32 * 16];
    for (std::size_t row = 0; row < Rows; ++row) {
        __m256 sum[4][2];
#pragma GCC unroll 4
        for (std::size_t c = 0; c < 4; ++c) sum[c][0] = sum[c][1] = _mm256_setzero_ps();
        for (std::size_t b = 0; b < blocks; ++b) {
            const float* factors = x + row * stride + b * 32;
            if constexpr (Type == DType::bf16) {
                const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
                const std::uint8_t* at = panel + b * 1024;
                for (std::size_t k = 0; k < 32; k += 4, at += 128) {
#pragma GCC unroll 4
                    for (std::size_t i = 0; i < 4; ++i) {  // pair i / 2, half i % 2 of the 16 rows
                        const __m256i pair = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i * 32));
                        const std::size_t c = i / 2 * 2, h = i % 2;
                        sum[c][h] =
                            _mm256_fmadd_ps(_mm256_set1_ps(factors[k + c]), _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16)), sum[c][h]);
                        sum[c + 1][h] = _mm256_fmadd_ps(_mm256_set1_ps(factors[k + c + 1]),
                                                        _mm256_castsi256_ps(_mm256_and_si256(pair, high)), sum[c + 1][h]);
                    }
                }
            } else {
                const float* w = unpacked;
                if constexpr (Type == DType::f32)
                    w = reinterpret_cast<const float*>(panel) + b * 512;
                else
                    unpack_block<Type, 16>(panel, b, 0, unpacked);
                for (std::size_t k = 0; k < 32; k += 4) {
#pragma GCC unroll 4
                    for (std::size_t c = 0; c < 4; ++c) {
                        const __m256 factor = _mm256_set1_ps(factors[k + c]);
                        sum[c][0] = _mm256_fmadd_ps(factor, _mm256_loadu_ps(w + (k + c) * 16), sum[c][0]);
                        sum[c][1] = _mm256_fmadd_ps(factor, _mm256_loadu_ps(w + (k + c) * 16 + 8), sum[c][1]);
                    }
                }
            }
        }
        for (std::size_t h = 0; h < 2; ++h)
            _mm256_storeu_ps(out + row * 16 + h * 8,
                             _mm256_add_ps(_mm256_add_ps(sum[0][h], sum[1][h]), _mm256_add_ps(sum[2][h], sum[3][h])));
    }
}

template <DType Type, std::size_t Rows>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] void dot_panel_avx512(const std::uint8_t* panel, std::size_t blocks,
                                                                                          const float* x, std::size_t stride, float* out) {
    __m512 sum[Rows][4];
#pragma GCC unroll 4
    for (std::size_t row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
        for (std::size_t c = 0; c < 4; ++c) sum[row][c] = _mm512_setzero_ps();
    }
    alignas(64) float unpacked[32 * 16];
    for (std::size_t b = 0; b < blocks; ++b, x += 32) {
        if constexpr (Type == DType::bf16) {
            const std::uint8_t* at = panel + b * 1024;
            for (std::size_t k = 0; k < 32; k += 4, at += 128) {
                prefetch(at);
                prefetch(at + 64);
                const __m512i first = _mm512_loadu_si512(at), second = _mm512_loadu_si512(at + 64);
                const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
                const __m512 w[4] = {_mm512_castsi512_ps(_mm512_slli_epi32(first, 16)), _mm512_castsi512_ps(_mm512_and_si512(first, high)),
                                     _mm512_castsi512_ps(_mm512_slli_epi32(second, 16)),
                                     _mm512_castsi512_ps(_mm512_and_si512(second, high))};
#pragma GCC unroll 4
                for (std::size_t row = 0; row < Rows; ++row) {
#pragma GCC unroll 4
                    for (std::size_t c = 0; c < 4; ++c)
                        sum[row][c] = _mm512_fmadd_ps(_mm512_set1_ps(x[row * stride + k + c]), w[c], sum[row][c]);
                }
            }
        } else {
            const float* w = unpacked;
            if constexpr (Type == DType::f32)
                w = reinterpret_cast<const float*>(panel) + b * 512;
            else
                unpack_block<Type, 16>(panel, b, 0, unpacked);
            for (std::size_t k = 0; k < 32; k += 4) {
#pragma GCC unroll 4
                for (std::size_t c = 0; c < 4; ++c) {
                    const __m512 weights = _mm512_loadu_ps(w + (k + c) * 16);
#pragma GCC unroll 4
                    for (std::size_t row = 0; row < Rows; ++row)
                        sum[row][c] = _mm512_fmadd_ps(_mm512_set1_ps(x[row * stride + k + c]), weights, sum[row][c]);
                }
            }
        }
    }
#pragma GCC unroll 4
    for (std::size_t row = 0; row < Rows; ++row)
        _mm512_storeu_ps(out + row * 16, _mm512_add_ps(_mm512_add_ps(sum[row][0], sum[row][1]), _mm512_add_ps(sum[row][2], sum[row][3])));
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

template <DType Type, std::size_t Rows>
void dot_panel(Isa isa, const std::uint8_t* panel, std::size_t blocks, const float* x, std::size_t stride, float* y) {
#if defined(__x86_64__)
    if (isa >= Isa::avx512) return dot_panel_avx512<Type, Rows>(panel, blocks, x, stride, y);
    if (isa == Isa::avx2) return dot_panel_avx2<Type, Rows>(panel, blocks, x, stride, y);
#endif
    (void)isa;
    dot_panel_generic<Type, Rows>(panel, blocks, x, stride, y);
}

// `rows` of 1 … 4 against a panel already widened to f32; y [rows][16].
inline void dot_widened(Isa isa, const float* panel, std::size_t blocks, const float* x, std::size_t stride, std::size_t rows, float* y) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(panel);
    switch (rows) {
        case 1: return dot_panel<DType::f32, 1>(isa, bytes, blocks, x, stride, y);
        case 2: return dot_panel<DType::f32, 2>(isa, bytes, blocks, x, stride, y);
        case 3: return dot_panel<DType::f32, 3>(isa, bytes, blocks, x, stride, y);
        default: return dot_panel<DType::f32, 4>(isa, bytes, blocks, x, stride, y);
    }
}

// All blocks of a panel as f32, [blocks · 32][16].
template <DType Type>
void widen_panel_generic(const std::uint8_t* panel, std::size_t blocks, float* out) {
    for (std::size_t b = 0; b < blocks; ++b) unpack_block<Type, 16>(panel, b, 0, out + b * 512);
}
#if defined(__x86_64__)
template <DType Type>
[[gnu::target("avx2,fma,f16c")]] void widen_panel_avx2(const std::uint8_t* panel, std::size_t blocks, float* out) {
    for (std::size_t b = 0; b < blocks; ++b) unpack_block<Type, 16>(panel, b, 0, out + b * 512);
}
template <DType Type>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] void widen_panel_avx512(const std::uint8_t* panel, std::size_t blocks,
                                                                                            float* out) {
    for (std::size_t b = 0; b < blocks; ++b) unpack_block<Type, 16>(panel, b, 0, out + b * 512);
}
#endif
template <DType Type>
void widen_panel(Isa isa, const std::uint8_t* panel, std::size_t blocks, float* out) {
#if defined(__x86_64__)
    if (isa >= Isa::avx512) return widen_panel_avx512<Type>(panel, blocks, out);
    if (isa == Isa::avx2) return widen_panel_avx2<Type>(panel, blocks, out);
#endif
    (void)isa;
    widen_panel_generic<Type>(panel, blocks, out);
}

// `finish` compiled for `isa`.
inline void finish_rows(Isa isa, const Epilogue& epilogue, std::size_t column, std::size_t half, std::size_t count, std::size_t rows,
                        float* y, float* up, float* out, std::size_t out_stride) {
#if defined(__x86_64__)
    if (isa >= Isa::avx512) return finish_avx512(epilogue, column, half, count, rows, y, up, out, out_stride);
    if (isa == Isa::avx2) return finish_avx2(epilogue, column, half, count, rows, y, up, out, out_stride);
#endif
    (void)isa;
    finish(epilogue, column, half, count, rows, y, up, out, out_stride);
}

}  // namespace morsel::detail
