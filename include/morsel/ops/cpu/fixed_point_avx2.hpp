// The products of fixed_point.hpp on machines without VNNI. A byte product there adds pairs into 16 bits (vpmaddubsw), which hold the sums of
// several groups of four columns before they are widened: eight of 4 or 5-bit codes, four of 6-bit codes, one of 8-bit codes. Each block's sum is
// the same exact integer, and the f32 operations behind it are the same, so the results are the same to the bit.
// Measured on a Zen 3, one thread, against widening codes to f32, GFLOP/s: q4_1 5.3 → 22, q8_0 4.7 → 16, q4_k 4.5 → 25, q6_k 3.9 → 19.
#pragma once
#include "morsel/ops/cpu/fixed_point.hpp"

namespace morsel::detail {

#if defined(__x86_64__)

[[gnu::target("avx2,fma,f16c")]] inline void to_fixed_avx2(const float* x, std::size_t blocks, FixedBlock* out) { to_fixed(x, blocks, out); }

[[gnu::target("avx2"), gnu::always_inline]] inline __m256i load_32_bytes(const std::uint8_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
[[gnu::target("avx2"), gnu::always_inline]] inline __m128i load_8_bytes(const std::uint8_t* from) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)); }
[[gnu::target("avx2,f16c"), gnu::always_inline]] inline __m256 load_8_halves(const std::uint8_t* from) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))); }

// panel [blocks]; x [Rows][blocks]; y [Rows][16]. Per row the same operations whatever Rows is.
template <DType Type, std::size_t Rows>
[[gnu::target("avx2,fma,f16c")]] void dot_fixed_avx2(const std::uint8_t* panel, std::size_t blocks, const FixedBlock* x, float* y) {
    constexpr QuantFormat format = quant_format(Type);
    constexpr QuantPanel sizes = quant_panel(Type);
    constexpr bool two_scales = Type == DType::q6_k;
    constexpr std::size_t run = format.bits == 8 ? 1 : format.bits == 6 ? 4 : 8;  // groups: run · 2 · 64 · (largest code) < 2^15
    constexpr std::size_t span = two_scales ? 4 : 8;                              // groups of one scale
    const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256 total[Rows][2], d[2], m[2];
    for (std::size_t h = 0; h < 2; ++h) {
        d[h] = m[h] = _mm256_setzero_ps();
        for (std::size_t row = 0; row < Rows; ++row) total[row][h] = _mm256_setzero_ps();
    }
    const std::uint8_t* codes = panel;
    for (std::size_t b = 0; b < blocks; ++b) {
        if constexpr (format.super) {
            if (b % 8 == 0) {
                for (std::size_t h = 0; h < 2; ++h) {
                    d[h] = load_8_halves(codes + h * 16);
                    if constexpr (format.min_sign != 0) m[h] = load_8_halves(codes + 32 + h * 16);
                }
                codes += sizes.head;
            }
        }
        for (std::size_t i = 0; i < sizes.block(); i += 64) prefetch(codes + i);
        const std::uint8_t* scales = codes + sizes.codes;
#pragma GCC unroll 2
        for (std::size_t h = 0; h < 2; ++h) {  // rows 8h … 8h + 7
            __m256 scale[2] = {d[h], d[h]}, min = m[h];
            if constexpr (!format.super) {
                scale[0] = load_8_halves(scales + h * 16);
                if constexpr (format.min_sign != 0) min = load_8_halves(scales + 32 + h * 16);
            } else {
                scale[0] = _mm256_mul_ps(d[h], _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_8_bytes(scales + h * 8))));
                if constexpr (two_scales) scale[1] = _mm256_mul_ps(d[h], _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_8_bytes(scales + 16 + h * 8))));
                if constexpr (format.min_sign != 0) min = _mm256_mul_ps(m[h], _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_8_bytes(scales + 16 + h * 8))));
            }
            __m256i part[Rows][3], wide[Rows][3];  // a digit's sums: of pairs of columns in 16 bits, of all in 32
            __m256i sum[Rows];              // Σ (code - zero) · x in units of the block's scale
#pragma GCC unroll 2
            for (std::size_t row = 0; row < Rows; ++row) {
                const std::int32_t of_zero = two_scales ? x[row * blocks + b].sum[0] : x[row * blocks + b].sum[0] + x[row * blocks + b].sum[1];
                sum[row] = _mm256_set1_epi32(static_cast<std::int32_t>(static_cast<std::uint32_t>(of_zero) * static_cast<std::uint32_t>(-format.zero)));
            }
            __m256i fifth = _mm256_setzero_si256();
            if constexpr (format.bits == 5) fifth = load_32_bytes(codes + 256 + h * 32);
#pragma GCC unroll 8
            for (std::size_t g = 0; g < 8; ++g) {
                __m256i w = load_32_bytes(codes + (format.bits == 8 ? g : g / 2) * 64 + h * 32);
                if constexpr (format.bits != 8) w = _mm256_and_si256(g % 2 != 0 ? _mm256_srli_epi32(w, 4) : w, nibble);
                if constexpr (format.bits == 5) {
                    const __m256i bit = g < 4 ? _mm256_slli_epi32(fifth, static_cast<int>(4 - g)) : _mm256_srli_epi32(fifth, static_cast<int>(g - 4));
                    w = _mm256_or_si256(w, _mm256_and_si256(bit, _mm256_set1_epi8(16)));
                }
                if constexpr (format.bits == 6) {
                    const __m256i two = load_32_bytes(codes + 256 + g / 4 * 64 + h * 32);
                    const __m256i bits = g % 4 < 2 ? _mm256_slli_epi32(two, static_cast<int>(4 - 2 * (g % 4))) : _mm256_srli_epi32(two, static_cast<int>(2 * (g % 4) - 4));
                    w = _mm256_or_si256(w, _mm256_and_si256(bits, _mm256_set1_epi8(48)));
                }
#pragma GCC unroll 2
                for (std::size_t row = 0; row < Rows; ++row) {
                    const FixedBlock& block = x[row * blocks + b];
#pragma GCC unroll 3
                    for (std::size_t i = 0; i < 3; ++i) {
                        std::int32_t four;  // columns 4g … 4g + 3 of digit i
                        std::memcpy(&four, block.digit[i] + 4 * g, 4);
                        const __m256i product = _mm256_maddubs_epi16(w, _mm256_set1_epi32(four));
                        part[row][i] = g % run == 0 ? product : _mm256_add_epi16(part[row][i], product);
                    }
                    if (g % run != run - 1) continue;
#pragma GCC unroll 3
                    for (std::size_t i = 0; i < 3; ++i) {
                        const __m256i of_run = _mm256_madd_epi16(part[row][i], ones);
                        wide[row][i] = g % span < run ? of_run : _mm256_add_epi32(wide[row][i], of_run);
                        if (g % span == span - 1) sum[row] = _mm256_add_epi32(sum[row], _mm256_slli_epi32(wide[row][i], static_cast<int>(7 * i)));
                    }
                    if (two_scales && g == 3) {  // the first half ends
                        total[row][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[row]), _mm256_mul_ps(scale[0], _mm256_set1_ps(block.scale)), total[row][h]);
                        sum[row] = _mm256_set1_epi32(block.sum[1] * -format.zero);
                    }
                }
            }
#pragma GCC unroll 2
            for (std::size_t row = 0; row < Rows; ++row) {
                const FixedBlock& block = x[row * blocks + b];
                total[row][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[row]), _mm256_mul_ps(scale[two_scales ? 1 : 0], _mm256_set1_ps(block.scale)), total[row][h]);
                if constexpr (format.min_sign != 0) {
                    const float of_min = block.scale * static_cast<float>(format.min_sign * (block.sum[0] + block.sum[1]));
                    total[row][h] = _mm256_fmadd_ps(min, _mm256_set1_ps(of_min), total[row][h]);
                }
            }
        }
        codes += sizes.block();
    }
    for (std::size_t row = 0; row < Rows; ++row)
        for (std::size_t h = 0; h < 2; ++h) _mm256_storeu_ps(y + row * 16 + h * 8, total[row][h]);
}

#endif

}  // namespace morsel::detail
