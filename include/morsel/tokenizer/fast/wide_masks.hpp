// The steps of cutting that gain most from AVX-512, 64 bytes an instruction: classes of ASCII characters (character_masks.hpp), BERT's
// (unit_cutter.hpp), and the places of set bits (piece_cutter.hpp). Used where the machine has BW and VBMI2 (Ice Lake, Zen 4 and later), found
// at run time; the forms beside their callers are the reference.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "morsel/tokenizer/fast/character_masks.hpp"

namespace morsel::fast {

#if defined(__x86_64__)

inline bool has_wide_masks() noexcept {
    static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2") &&
                            __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    return has;
}

namespace detail {

// first ≤ byte < first + count.
[[gnu::target("avx512f,avx512bw"), gnu::always_inline]] inline std::uint64_t range_mask(__m512i v, char first, int count) noexcept {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8(first)), _mm512_set1_epi8(static_cast<char>(count)));
}
[[gnu::target("avx512f,avx512bw"), gnu::always_inline]] inline std::uint64_t equal_mask(__m512i v, char c) noexcept { return _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(c)); }
[[gnu::target("avx512f,avx512bw"), gnu::always_inline]] inline std::uint64_t inner_mask(__m512i v) noexcept { return _mm512_cmplt_epi8_mask(v, _mm512_set1_epi8(-64)); }

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
template <MaskRules rules> [[gnu::target("avx512f,avx512bw"), gnu::noinline]] bool character_masks_wide(const char* text, std::size_t words, CharacterMasks* m) noexcept {
    std::uint64_t high = 0;
    for (std::size_t w = 0; w < words; ++w) high |= classify_ascii_wide<rules>(text + mask_bytes * w, m[w]);
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

}  // namespace detail

#else

inline bool has_wide_masks() noexcept { return false; }

#endif

}  // namespace morsel::fast
