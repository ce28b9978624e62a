// Which characters stand where, as bit masks: one bit for each byte of the text, 64 bytes a word, one word for each class. All bytes of
// a character have its class, so that runs of a class are runs of bits whatever the script. This is the first step of the fast way from
// text to ids (word_encoder.hpp); piece_starts.hpp makes piece boundaries out of it by a few operations on whole words.
// ASCII is classified 16 bytes at a time with SSE2, which every x86-64 has, elsewhere by table; other characters one by one, and
// checked on the way: text that is no UTF-8 is refused. With AVX-512: wide_masks.hpp.
// The idea of masks instead of a state machine is that of simdjson (Langdale, Lemire 2019), for tokenizers first used by gigatoken.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "morsel/tokenizer/splitting/split_scanners.hpp"

namespace morsel::fast {

// Classes of 64 bytes of text. A byte is in exactly one of letter, number, blank, newline and rest; the others say more.
struct CharacterMasks {
    std::uint64_t letter = 0;      // L
    std::uint64_t number = 0;      // N
    std::uint64_t blank = 0;       // White_Space but newlines, the space among it
    std::uint64_t newline = 0;     // \r \n
    std::uint64_t rest = 0;        // everything else
    std::uint64_t space = 0;       // U+0020
    std::uint64_t apostrophe = 0;  // '
    std::uint64_t slash = 0;       // /; only where the cases of letters are asked for
    std::uint64_t upper = 0;       // Lu and Lt, likewise
    std::uint64_t caseless = 0;    // Lm and Lo, likewise
    std::uint64_t mark = 0;        // M, likewise; they are in rest, too, or in letter where marks_are_letters
    std::uint64_t inner = 0;       // bytes of a character but its first
};

// What the masks should tell.
struct MaskRules {
    bool cases = false;              // fill slash, upper, caseless, mark
    bool marks_are_letters = false;  // M in letter in place of rest
};

inline constexpr std::size_t mask_bytes = 64;

namespace detail {

// The ASCII characters of 64 bytes; the others are left for `add_characters`. Gives the mask of bytes that are no ASCII. The plain
// reference of the next.
template <MaskRules rules> inline std::uint64_t classify_ascii_plain(const char* text, CharacterMasks& m) noexcept {
    std::uint64_t high = 0;
    m = {};
    for (std::size_t i = 0; i < mask_bytes; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::uint64_t bit = std::uint64_t{1} << i;
        if (byte >= 128) {
            high |= bit;
            if (byte < 0xC0) m.inner |= bit;
            continue;
        }
        const scan::Kind kind = scan::detail::kind_of_byte[byte];
        if (kind & scan::letter) m.letter |= bit;
        else if (kind & scan::number) m.number |= bit;
        else if (kind & scan::blank) m.blank |= bit;
        else if (kind & scan::newline) m.newline |= bit;
        else m.rest |= bit;
        if (byte == ' ') m.space |= bit;
        if (byte == '\'') m.apostrophe |= bit;
        if (rules.cases && byte == '/') m.slash |= bit;
        if (rules.cases && kind == scan::upper) m.upper |= bit;
    }
    return high;
}

#if defined(__SSE2__)
// first ≤ v < first + count: moved so that the range ends at the largest signed byte.
[[gnu::always_inline]] inline __m128i in_range(__m128i v, char first, int count) noexcept {
    const __m128i moved = _mm_add_epi8(v, _mm_set1_epi8(static_cast<char>(128 - count - first)));
    return _mm_cmpgt_epi8(moved, _mm_set1_epi8(static_cast<char>(127 - count)));
}
[[gnu::always_inline]] inline __m128i equals(__m128i v, char c) noexcept { return _mm_cmpeq_epi8(v, _mm_set1_epi8(c)); }
[[gnu::always_inline]] inline std::uint64_t bits(__m128i v, int quarter) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_movemask_epi8(v))) << (16 * quarter);
}

template <MaskRules rules> [[gnu::always_inline]] inline std::uint64_t classify_ascii(const char* text, CharacterMasks& m) noexcept {
    CharacterMasks found;  // in registers
    std::uint64_t high = 0, white = 0;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 16 * i));
        high |= bits(v, i);
        found.letter |= bits(in_range(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 26), i);
        found.number |= bits(in_range(v, '0', 10), i);
        found.space |= bits(equals(v, ' '), i);
        white |= bits(in_range(v, '\t', 5), i);
        found.newline |= bits(_mm_or_si128(equals(v, '\n'), equals(v, '\r')), i);
        found.apostrophe |= bits(equals(v, '\''), i);
        if constexpr (rules.cases) {
            found.slash |= bits(equals(v, '/'), i);
            found.upper |= bits(in_range(v, 'A', 26), i);
        }
    }
    if (high != 0)
        for (int i = 0; i < 4; ++i)
            found.inner |= bits(_mm_cmpgt_epi8(_mm_set1_epi8(-64), _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 16 * i))), i);
    found.blank = found.space | (white & ~found.newline);
    found.rest = ~(high | found.letter | found.number | found.blank | found.newline);
    m = found;
    return high;
}
#else
template <MaskRules rules> inline std::uint64_t classify_ascii(const char* text, CharacterMasks& m) noexcept { return classify_ascii_plain<rules>(text, m); }
#endif

// One character beyond ASCII at `text`, of which 4 bytes must be readable: its value and size; size 0 where it is no UTF-8.
[[gnu::always_inline]] inline unicode::CodePoint decode_checked(const char* text) noexcept {
    const auto byte = [&](int i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
    const std::uint32_t lead = byte(0);
    const auto is_tail = [&](int i) { return (byte(i) & 0xC0) == 0x80; };
    if (lead < 0xE0) {
        if (lead < 0xC2 || !is_tail(1)) return {0, 0, false};
        return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2, true};
    }
    if (lead < 0xF0) {
        const std::uint32_t value = (lead & 0xF) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
        if (!is_tail(1) || !is_tail(2) || value < 0x800 || value - 0xD800 < 0x800) return {0, 0, false};
        return {value, 3, true};
    }
    const std::uint32_t value = (lead & 7) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    if (lead > 0xF4 || !is_tail(1) || !is_tail(2) || !is_tail(3) || value < 0x10000 || value > 0x10FFFF) return {0, 0, false};
    return {value, 4, true};
}

// Adds the characters that begin in the word `m` at `text`, whose bytes beyond ASCII without a class are `high`; the last may reach into m[1]. Gives
// false where something is no UTF-8.
template <MaskRules rules> inline bool add_characters(const char* text, CharacterMasks* m, std::uint64_t high) noexcept {
    using namespace scan;
    std::uint64_t covered = 0;  // tails that belong to a character of this word
    for (std::uint64_t leads = high & ~m->inner; leads != 0; leads &= leads - 1) {
        const int at = std::countr_zero(leads);
        const unicode::CodePoint point = decode_checked(text + at);
        if (point.size == 0) return false;
        const std::uint8_t entry = unicode::detail::category_entry(point.value);
        const Kind kind = entry & 32 ? blank : scan::detail::kind_of_category[entry & 31];
        const std::uint64_t all = (std::uint64_t{1} << point.size) - 1;
        const std::uint64_t bits = all << at, beyond = at + static_cast<int>(point.size) > 64 ? all >> (64 - at) : 0;
        covered |= bits;
        const auto add = [&](std::uint64_t CharacterMasks::* field) __attribute__((always_inline)) {
            m->*field |= bits;
            m[1].*field |= beyond;
        };
        if (kind & letter || (rules.marks_are_letters && kind == mark)) add(&CharacterMasks::letter);
        else if (kind == number) add(&CharacterMasks::number);
        else if (kind == blank) add(&CharacterMasks::blank);
        else add(&CharacterMasks::rest);
        if constexpr (rules.cases) {
            if (kind == upper) add(&CharacterMasks::upper);
            else if (kind == caseless) add(&CharacterMasks::caseless);
            else if (kind == mark) add(&CharacterMasks::mark);
        }
    }
    // A tail is right where a character of this word or of the one before covers it; what came from before has its class already.
    const std::uint64_t classified = m->letter | m->number | m->blank | m->newline | m->rest;
    return (high & ~classified) == 0 && (covered & ~high) == 0;
}

// The second step of character_masks: characters beyond ASCII in words whose ASCII characters have their classes.
template <MaskRules rules> inline bool add_all_characters(const char* text, std::size_t words, CharacterMasks* m) noexcept {
    for (std::size_t w = 0; w < words; ++w)
        if (const std::uint64_t high = ~(m[w].letter | m[w].number | m[w].blank | m[w].newline | m[w].rest); high != 0)
            if (!add_characters<rules>(text + mask_bytes * w, m + w, high)) return false;
    return true;
}

}  // namespace detail

// The masks of `words` · 64 bytes at `text`; 4 bytes more must be readable. m has `words` + 1 elements, and the last tells only of
// characters that begin before. Gives false where the text is no UTF-8.
template <MaskRules rules> [[gnu::always_inline]] inline bool character_masks(const char* text, std::size_t words, CharacterMasks* m) noexcept {
    std::uint64_t high = 0;
    for (std::size_t w = 0; w < words; ++w) high |= detail::classify_ascii<rules>(text + mask_bytes * w, m[w]);
    m[words] = {};
    return high == 0 || detail::add_all_characters<rules>(text, words, m);
}

}  // namespace morsel::fast
