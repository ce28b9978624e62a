// Letters beyond ASCII, 64 bytes at a time: for many first bytes all characters whose second byte is in some range are letters, so that two
// look-ups and two comparisons tell them (letters of Latin, Greek, Cyrillic, Hebrew and Arabic, most ideographs and Hangul syllables; kana by
// their third byte, too). What this does not tell is classified character by character (character_masks.hpp), which says what is right; a
// test goes through all of Unicode.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "morsel/tokenizer/fast/character_masks.hpp"
#include "morsel/tokenizer/fast/mask_form.hpp"

namespace morsel::fast::detail {

// By first byte, less 0xC0: characters whose second byte is in first … last are letters; of those with cases only lower case where these are told
// apart.
struct LetterRanges {
    alignas(64) std::array<std::uint8_t, 64> first, last;
};
inline constexpr std::uint8_t first_caseless = 0xD4;  // byte from which on they have no case
template <bool cases> inline constexpr LetterRanges letter_ranges = [] {
    LetterRanges ranges;
    ranges.first.fill(0xFF), ranges.last.fill(0);
    const auto set = [&](unsigned lead, int first, int last) { ranges.first[lead - 0xC0] = static_cast<std::uint8_t>(first), ranges.last[lead - 0xC0] = static_cast<std::uint8_t>(last); };
    if (cases) {
        set(0xC3, 0x9F, 0xB6), set(0xCE, 0xB1, 0xBF), set(0xCF, 0x80, 0x8E), set(0xD0, 0xB0, 0xBF), set(0xD1, 0x80, 0x9F);
    } else {
        set(0xC3, 0x98, 0xB6), set(0xCA, 0x80, 0xAF), set(0xCE, 0xA3, 0xBF), set(0xCF, 0x80, 0xB5), set(0xD2, 0x8A, 0xBF), set(0xE1, 0xB8, 0xBB);
        for (const unsigned lead : {0xC4u, 0xC5u, 0xC6u, 0xC7u, 0xC8u, 0xC9u, 0xD0u, 0xD1u, 0xD3u}) set(lead, 0x80, 0xBF);
    }
    set(0xD7, 0x90, 0xAA), set(0xD8, 0xA0, 0xBF), set(0xD9, 0x80, 0x8A), set(0xDA, 0x80, 0xBF), set(0xDB, 0x80, 0x93);
    set(0xE4, 0xB8, 0xBF), set(0xEA, 0xB0, 0xBF), set(0xED, 0x80, 0x9D);
    for (const unsigned lead : {0xE5u, 0xE6u, 0xE7u, 0xE8u, 0xE9u, 0xEBu, 0xECu}) set(lead, 0x80, 0xBF);
    return ranges;
}();

// First bytes of letters: what both forms find.
struct LetterLeads {
    std::uint64_t found = 0;     // a letter, if the bytes behind the second are inner ones
    std::uint64_t three = 0;     // at least 0xE0
    std::uint64_t caseless = 0;  // at least first_caseless
};

// Adds them to the word m. A character whose bytes are not all in it is left out.
template <MaskRules rules> [[gnu::always_inline]] inline void add_letters(const LetterLeads& leads, CharacterMasks& m) noexcept {
    const std::uint64_t three = leads.found & leads.three & m.inner >> 2 & ~std::uint64_t{0} >> 2, two = leads.found & ~leads.three & ~std::uint64_t{0} >> 1;
    const auto all = [](std::uint64_t of_two, std::uint64_t of_three) { return of_two | of_two << 1 | of_three | of_three << 1 | of_three << 2; };
    m.letter |= all(two, three);
    if constexpr (rules.cases) m.caseless |= all(two & leads.caseless, three);
}

#if defined(__x86_64__)

// Letters of the 64 bytes at `text`, of which 66 must be readable.
template <MaskRules rules> [[gnu::target("avx512f,avx512bw,avx512vbmi"), gnu::always_inline]] inline void add_letters_wide(const char* text, CharacterMasks& m) noexcept {
    const __m512i v = _mm512_loadu_si512(text), second = _mm512_loadu_si512(text + 1);
    const auto of_lead = [&](const std::array<std::uint8_t, 64>& table) __attribute__((target("avx512f,avx512bw,avx512vbmi"), always_inline)) {
        return _mm512_maskz_permutexvar_epi8(~__mmask64{0}, v, _mm512_load_si512(table.data()));  // (g++ 12 warns of its form without a mask)
    };
    const __m512i first = of_lead(letter_ranges<rules.cases>.first), last = of_lead(letter_ranges<rules.cases>.last);
    LetterLeads leads{.three = range_mask(v, '\xE0', 0x20), .caseless = range_mask(v, static_cast<char>(first_caseless), 0x100 - first_caseless)};
    leads.found = range_mask(v, '\xC0', 0x40) & _mm512_cmpge_epu8_mask(second, first) & _mm512_cmple_epu8_mask(second, last);
    if (const std::uint64_t kana = equal_mask(v, '\xE3'); kana != 0) {
        const __m512i third = _mm512_loadu_si512(text + 2);
        const std::uint64_t in_82 = range_mask(third, '\x80', 0x17) | range_mask(third, '\x9D', 3) | range_mask(third, '\xA1', 0x1F);
        leads.found |= kana & ((equal_mask(second, '\x81') & ~equal_mask(third, '\x80')) | (equal_mask(second, '\x82') & in_82) | (equal_mask(second, '\x83') & ~equal_mask(third, '\xBB')));
    }
    add_letters<rules>(leads, m);
}

template <MaskRules rules> [[gnu::target("avx2,bmi"), gnu::always_inline]] inline void add_letters_avx2(const char* text, CharacterMasks& m) noexcept {
    const __m256i low_half = _mm256_set1_epi8(15);
    LetterLeads leads;
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const auto at = [&](int behind) __attribute__((target("avx2,bmi"), always_inline)) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text + 32 * i + behind)); };
        const __m256i v = at(0), second = at(1), low = _mm256_and_si256(v, low_half);
        const __m256i from_d0 = _mm256_cmpgt_epi8(v, _mm256_set1_epi8('\xCF')), three = _mm256_cmpgt_epi8(v, _mm256_set1_epi8('\xDF'));  // of first bytes, which are negative
        const auto of_lead = [&](const std::array<std::uint8_t, 64>& table) __attribute__((target("avx2,bmi"), always_inline)) {
            const auto row = [&](int first) __attribute__((target("avx2,bmi"), always_inline)) {
                return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table.data() + first))), low);
            };
            return _mm256_blendv_epi8(_mm256_blendv_epi8(row(0), row(16), from_d0), row(32), three);
        };
        const __m256i in = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_max_epu8(second, of_lead(letter_ranges<rules.cases>.first)), second),
                                            _mm256_cmpeq_epi8(_mm256_min_epu8(second, of_lead(letter_ranges<rules.cases>.last)), second));
        leads.found |= bits_32(_mm256_and_si256(in, in_range_32(v, '\xC0', 0x30)), i);
        leads.three |= bits_32(in_range_32(v, '\xE0', 0x20), i);
        leads.caseless |= bits_32(in_range_32(v, static_cast<char>(first_caseless), 0x100 - first_caseless), i);
        if (const __m256i kana = equals_32(v, '\xE3'); _mm256_movemask_epi8(kana) != 0) {
            const __m256i third = at(2);
            const __m256i in_82 = _mm256_or_si256(_mm256_or_si256(in_range_32(third, '\x80', 0x17), in_range_32(third, '\x9D', 3)), in_range_32(third, '\xA1', 0x1F));
            const __m256i in_81 = _mm256_andnot_si256(equals_32(third, '\x80'), equals_32(second, '\x81')), in_83 = _mm256_andnot_si256(equals_32(third, '\xBB'), equals_32(second, '\x83'));
            leads.found |= bits_32(_mm256_and_si256(kana, _mm256_or_si256(_mm256_or_si256(in_81, in_83), _mm256_and_si256(equals_32(second, '\x82'), in_82))), i);
        }
    }
    add_letters<rules>(leads, m);
}

#endif

}  // namespace morsel::fast::detail
