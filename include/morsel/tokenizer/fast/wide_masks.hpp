// The steps of cutting that gain most from wide registers: classes of characters (character_masks.hpp) and the places of set bits
// (piece_cutter.hpp), in the forms of mask_form.hpp. The plain ones beside their callers are the reference.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "morsel/tokenizer/fast/character_masks.hpp"
#include "morsel/tokenizer/fast/letter_masks.hpp"
#include "morsel/tokenizer/fast/mask_form.hpp"

namespace morsel::fast {

#if defined(__x86_64__)

namespace detail {

// classify_ascii.
template <MaskRules rules> [[gnu::target("avx512f,avx512bw"), gnu::always_inline]] inline std::uint64_t classify_ascii_wide(const char* text, CharacterMasks& m) noexcept {
    const __m512i v = _mm512_loadu_si512(text);
    const std::uint64_t high = _mm512_movepi8_mask(v), white = range_mask(v, '\t', 5);
    CharacterMasks found;
    found.letter = range_mask(_mm512_or_si512(v, _mm512_set1_epi8(0x20)), 'a', 26);
    found.number = range_mask(v, '0', 10);
    found.space = equal_mask(v, ' ');
    found.newline = equal_mask(v, '\n') | equal_mask(v, '\r');
    found.apostrophe = equal_mask(v, '\'');
    if constexpr (rules.cases) {
        found.slash = equal_mask(v, '/');
        found.upper = range_mask(v, 'A', 26);
    }
    found.inner = inner_mask(v);
    found.blank = found.space | (white & ~found.newline);
    found.rest = ~(high | found.letter | found.number | found.blank | found.newline);
    m = found;
    return high;
}

// character_masks.
template <MaskRules rules> [[gnu::target("avx512f,avx512bw,avx512vbmi"), gnu::noinline]] bool character_masks_wide(const char* text, std::size_t words, CharacterMasks* m) noexcept {
    std::uint64_t high = 0;
    for (std::size_t w = 0; w < words; ++w) {
        const std::uint64_t here = classify_ascii_wide<rules>(text + mask_bytes * w, m[w]);
        if (here != 0) add_letters_wide<rules>(text + mask_bytes * w, m[w]);
        high |= here;
    }
    m[words] = {};
    return high == 0 || add_all_characters<rules>(text, words, m);
}

// positions; up to 15 numbers more are written. (Masks of ones because g++ 12 warns of its own forms without a mask.)
[[gnu::target("avx512f,avx512bw,avx512vbmi2,bmi,bmi2,popcnt"), gnu::noinline]] inline std::size_t positions_wide(const std::uint64_t* bits, std::size_t words, std::uint32_t* out) noexcept {
    alignas(64) static constexpr auto all = [] {
        std::array<std::uint8_t, 64> numbers{};
        for (std::size_t i = 0; i < 64; ++i) numbers[i] = static_cast<std::uint8_t>(i);
        return numbers;
    }();
    const __m512i numbers = _mm512_load_si512(all.data());
    std::uint32_t* const begin = out;
    for (std::size_t w = 0; w < words; ++w) {
        const std::uint64_t set = bits[w];
        if (set == 0) continue;
        __m512i found = _mm512_maskz_compress_epi8(set, numbers);
        const __m512i base = _mm512_set1_epi32(static_cast<int>(64 * w));
        const auto count = static_cast<std::size_t>(std::popcount(set));
        for (std::size_t i = 0;;) {
            _mm512_storeu_si512(out + i, _mm512_add_epi32(base, _mm512_maskz_cvtepu8_epi32(0xffff, _mm512_maskz_extracti32x4_epi32(0xff, found, 0))));
            if ((i += 16) >= count) break;
            found = _mm512_maskz_shuffle_i32x4(0xffff, found, found, 0b111001);  // the next 16
        }
        out += count;
    }
    return static_cast<std::size_t>(out - begin);
}

// The same with AVX2.
template <MaskRules rules> [[gnu::target("avx2,bmi"), gnu::always_inline]] inline std::uint64_t classify_ascii_avx2(const char* text, CharacterMasks& m) noexcept {
    CharacterMasks found;
    std::uint64_t high = 0, white = 0;
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text + 32 * i));
        high |= bits_32(v, i);
        found.letter |= bits_32(in_range_32(_mm256_or_si256(v, _mm256_set1_epi8(0x20)), 'a', 26), i);
        found.number |= bits_32(in_range_32(v, '0', 10), i);
        found.space |= bits_32(equals_32(v, ' '), i);
        white |= bits_32(in_range_32(v, '\t', 5), i);
        found.newline |= bits_32(_mm256_or_si256(equals_32(v, '\n'), equals_32(v, '\r')), i);
        found.apostrophe |= bits_32(equals_32(v, '\''), i);
        if constexpr (rules.cases) {
            found.slash |= bits_32(equals_32(v, '/'), i);
            found.upper |= bits_32(in_range_32(v, 'A', 26), i);
        }
        found.inner |= bits_32(_mm256_cmpgt_epi8(_mm256_set1_epi8(-64), v), i);
    }
    found.blank = found.space | (white & ~found.newline);
    found.rest = ~(high | found.letter | found.number | found.blank | found.newline);
    m = found;
    return high;
}

template <MaskRules rules> [[gnu::target("avx2,bmi"), gnu::noinline]] bool character_masks_avx2(const char* text, std::size_t words, CharacterMasks* m) noexcept {
    std::uint64_t high = 0;
    for (std::size_t w = 0; w < words; ++w) {
        const std::uint64_t here = classify_ascii_avx2<rules>(text + mask_bytes * w, m[w]);
        if (here != 0) add_letters_avx2<rules>(text + mask_bytes * w, m[w]);
        high |= here;
    }
    m[words] = {};
    return high == 0 || add_all_characters<rules>(text, words, m);
}

// positions; up to 7 numbers more are written.
[[gnu::target("bmi,bmi2,popcnt"), gnu::noinline]] inline std::size_t positions_bmi(const std::uint64_t* bits, std::size_t words, std::uint32_t* out) noexcept {
    std::uint32_t* const begin = out;
    for (std::size_t w = 0; w < words; ++w) {
        std::uint64_t left = bits[w];
        if (left == 0) continue;
        const auto base = static_cast<std::uint32_t>(64 * w);
        const int count = std::popcount(left);
        std::uint32_t* at = out;
        do {
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) {
                *at++ = base + static_cast<std::uint32_t>(_tzcnt_u64(left));
                left = _blsr_u64(left);
            }
        } while (left != 0);
        out += count;
    }
    return static_cast<std::size_t>(out - begin);
}

}  // namespace detail

#endif

}  // namespace morsel::fast
