// Products of quantised panels with a few rows, in integers: decoding. A block of 32 activations becomes 20-bit fixed point,
// relative to the block's largest, as three signed 7-bit digits: x ≈ scale · (2^14 d2 + 2^7 d1 + d0). Each digit meets the weight
// codes in vpdpbusd (64 products an instruction) or vpmaddubsw (fixed_point_avx2.hpp, whose pairs fit 16 bits because digits have 7), the
// block's sum is exact in 32 bits, and only blocks are added in f32.
// The one rounding is that of the activations, at most 2^-20 of their block's largest: some 16 times finer than 16-bit halves.
// Measured on Sapphire Rapids from cache, q4_1: 33 GB/s of weights, where widening the codes to f32 gives 7.4; memory gives 15.
// Why it cannot overflow: |code - zero| <= 128, so a block's sum is at most 32 · 128 · (2^19 - 1) < 2^31; the steps between wrap.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/panel.hpp"

namespace morsel::detail {

// 32 activations: x[i] ≈ scale · (digit[2][i] · 16384 + digit[1][i] · 128 + digit[0][i]), digits from -64 to 63.
struct FixedBlock {
    std::int8_t digit[3][32];
    std::int32_t sum[2];  // of elements 0 … 15 and 16 … 31, in units of scale
    float scale;
    float padding[5];
};
static_assert(sizeof(FixedBlock) == 128);

inline constexpr float fixed_limit = 524287.0f;  // 2^19 - 1

[[gnu::always_inline]] inline void to_fixed(const float* x, std::size_t blocks, FixedBlock* out) {
    for (std::size_t b = 0; b < blocks; ++b, x += 32) {
        FixedBlock& block = out[b];
        std::uint32_t largest_bits = 0;  // magnitudes compare as integers, and NaN is the largest of all
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffu;
            largest_bits = magnitude > largest_bits ? magnitude : largest_bits;
        }
        const float largest = std::bit_cast<float>(largest_bits);
        // Below 2^-100 the reciprocal would overflow; such blocks count as zero. NaN and infinity make the scale, so the result, NaN.
        const bool none = largest <= 0x1p-100f;
        const bool finite = largest_bits < 0x7f800000u;
        const float inverse = none || !finite ? 0.0f : fixed_limit / largest;
        block.scale = none ? 0.0f : finite ? largest / fixed_limit : std::bit_cast<float>(0x7fc00000u);
        std::uint32_t value[32];  // two's complement
        for (std::size_t i = 0; i < 32; ++i) {
            const float shifted = x[i] * inverse + 12582912.0f;  // 1.5 · 2^23: rounds to an integer in the low bits
            value[i] = std::bit_cast<std::uint32_t>(shifted) - 0x4b400000u;
        }
        for (std::size_t half = 0; half < 2; ++half) {
            std::uint32_t sum = 0;
            for (std::size_t i = 0; i < 16; ++i) sum += value[half * 16 + i];
            block.sum[half] = finite ? static_cast<std::int32_t>(sum) : 0;
        }
        for (std::size_t i = 0; i < 32; ++i) {
            const std::int32_t high = static_cast<std::int32_t>(value[i] + 64) >> 7;
            block.digit[0][i] = static_cast<std::int8_t>(((value[i] + 64) & 127u) - 64);
            block.digit[1][i] = static_cast<std::int8_t>(((static_cast<std::uint32_t>(high) + 64) & 127u) - 64);
            block.digit[2][i] = static_cast<std::int8_t>((high + 64) >> 7);
        }
    }
}

// The plain form of dot_fixed_vnni, for tests. x [blocks], y [16].
template <DType Type>
void dot_fixed_plain(const std::uint8_t* panel, std::size_t blocks, const FixedBlock* x, float* y) {
    for (std::size_t r = 0; r < 16; ++r) {
        double sum = 0;
        for (std::size_t b = 0; b < blocks; ++b) {
            float w[32];
            unpack_block<Type, 1>(panel, b, r, w);
            for (std::size_t i = 0; i < 32; ++i)
                sum += static_cast<double>(w[i]) * x[b].scale * (x[b].digit[2][i] * 16384 + x[b].digit[1][i] * 128 + x[b].digit[0][i]);
        }
        y[r] = static_cast<float>(sum);
    }
}

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 holds its own _mm512_undefined_epi32 for uninitialised
#endif

[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline void to_fixed_avx512(const float* x, std::size_t blocks,
                                                                                                FixedBlock* out) {
    to_fixed(x, blocks, out);
}

// panel [blocks]; x [Rows][blocks]; y [Rows][16]. Per row the same operations whatever Rows is.
template <DType Type, std::size_t Rows>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]] void dot_fixed_vnni(const std::uint8_t* panel,
                                                                                                   std::size_t blocks, const FixedBlock* x,
                                                                                                   float* y) {
    constexpr QuantFormat format = quant_format(Type);
    constexpr QuantPanel sizes = quant_panel(Type);
    constexpr bool two_scales = Type == DType::q6_k;
    __m512 total[Rows];
#pragma GCC unroll 4
    for (std::size_t row = 0; row < Rows; ++row) total[row] = _mm512_setzero_ps();
    __m512 d = _mm512_setzero_ps(), m = _mm512_setzero_ps();  // of the super-block
    const std::uint8_t* codes = panel;
    for (std::size_t b = 0; b < blocks; ++b) {
        if constexpr (format.super) {
            if (b % 8 == 0) {
                d = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
                if constexpr (format.min_sign != 0) m = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + 32)));
                codes += sizes.head;
            }
        }
        const std::uint8_t* scales = codes + sizes.codes;
        for (std::size_t i = 0; i < sizes.block(); i += 64) prefetch(codes + i);
        __m512i low[Rows], middle[Rows], high[Rows];
        __m512 sum[Rows];  // Σ (code - zero) · x of the first half where there are two scales
#pragma GCC unroll 4
        for (std::size_t row = 0; row < Rows; ++row) {
            const std::int32_t of_zero = two_scales ? x[row * blocks + b].sum[0] : x[row * blocks + b].sum[0] + x[row * blocks + b].sum[1];
            low[row] = format.zero != 0 ? _mm512_set1_epi32(static_cast<std::int32_t>(static_cast<std::uint32_t>(of_zero) *
                                                                                      static_cast<std::uint32_t>(-format.zero)))
                                        : _mm512_setzero_si512();
            middle[row] = high[row] = _mm512_setzero_si512();
        }
        const __m512i nibble = _mm512_set1_epi8(15);
        __m512i fifth = _mm512_setzero_si512();
        if constexpr (format.bits == 5) fifth = _mm512_loadu_si512(codes + 256);
#pragma GCC unroll 8
        for (std::size_t g = 0; g < 8; ++g) {
            __m512i w;
            if constexpr (format.bits == 8) {
                w = _mm512_loadu_si512(codes + g * 64);
            } else {
                w = _mm512_loadu_si512(codes + g / 2 * 64);
                if (g % 2 != 0) w = _mm512_srli_epi32(w, 4);
                w = _mm512_and_si512(w, nibble);
                if constexpr (format.bits == 5) {
                    const __m512i bit = g < 4 ? _mm512_slli_epi32(fifth, static_cast<unsigned>(4 - g))
                                              : _mm512_srli_epi32(fifth, static_cast<unsigned>(g - 4));
                    w = _mm512_or_si512(w, _mm512_and_si512(bit, _mm512_set1_epi8(16)));
                }
                if constexpr (format.bits == 6) {
                    const __m512i two = _mm512_loadu_si512(codes + 256 + g / 4 * 64);
                    const __m512i bits = g % 4 < 2 ? _mm512_slli_epi32(two, static_cast<unsigned>(4 - 2 * (g % 4)))
                                                   : _mm512_srli_epi32(two, static_cast<unsigned>(2 * (g % 4) - 4));
                    w = _mm512_or_si512(w, _mm512_and_si512(bits, _mm512_set1_epi8(48)));
                }
            }
#pragma GCC unroll 4
            for (std::size_t row = 0; row < Rows; ++row) {
                const FixedBlock& block = x[row * blocks + b];
                if (two_scales && g == 4) {  // the second half begins
                    sum[row] = _mm512_cvtepi32_ps(
                        _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(high[row], 14), _mm512_slli_epi32(middle[row], 7)), low[row]));
                    low[row] = _mm512_set1_epi32(block.sum[1] * -format.zero);
                    middle[row] = high[row] = _mm512_setzero_si512();
                }
                std::int32_t four[3];  // columns 4g … 4g+3 of each digit
                for (std::size_t i = 0; i < 3; ++i) std::memcpy(&four[i], block.digit[i] + 4 * g, 4);
                low[row] = _mm512_dpbusd_epi32(low[row], w, _mm512_set1_epi32(four[0]));
                middle[row] = _mm512_dpbusd_epi32(middle[row], w, _mm512_set1_epi32(four[1]));
                high[row] = _mm512_dpbusd_epi32(high[row], w, _mm512_set1_epi32(four[2]));
            }
        }
        __m512 scale[2] = {d, d}, min = m;
        if constexpr (!format.super) {
            scale[0] = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales)));
            if constexpr (format.min_sign != 0) min = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales + 32)));
        } else {
            scale[0] =
                _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(scales)))));
            if constexpr (two_scales)
                scale[1] = _mm512_mul_ps(
                    d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + 16)))));
            if constexpr (format.min_sign != 0)
                min = _mm512_mul_ps(
                    m, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + 16)))));
        }
#pragma GCC unroll 4
        for (std::size_t row = 0; row < Rows; ++row) {
            const FixedBlock& block = x[row * blocks + b];
            const __m512 unit = _mm512_set1_ps(block.scale);
            const __m512 last = _mm512_cvtepi32_ps(
                _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(high[row], 14), _mm512_slli_epi32(middle[row], 7)), low[row]));
            if constexpr (two_scales) {
                total[row] = _mm512_fmadd_ps(sum[row], _mm512_mul_ps(scale[0], unit), total[row]);
                total[row] = _mm512_fmadd_ps(last, _mm512_mul_ps(scale[1], unit), total[row]);
            } else {
                total[row] = _mm512_fmadd_ps(last, _mm512_mul_ps(scale[0], unit), total[row]);
            }
            if constexpr (format.min_sign != 0) {
                const float of_min = block.scale * static_cast<float>(format.min_sign * (block.sum[0] + block.sum[1]));
                total[row] = _mm512_fmadd_ps(min, _mm512_set1_ps(of_min), total[row]);
            }
        }
        codes += sizes.block();
    }
#pragma GCC unroll 4
    for (std::size_t row = 0; row < Rows; ++row) _mm512_storeu_ps(y + row * 16, total[row]);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

}  // namespace morsel::detail
