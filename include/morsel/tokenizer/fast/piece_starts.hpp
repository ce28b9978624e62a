// Where the pieces of a split pattern begin, as a bit mask, out of the masks of characters (character_masks.hpp): each pattern is a few
// operations on 64 bytes at a time. The scanners in splitting/split_scanners.hpp say what is right; tests hold the two equal on every
// short text over an alphabet that has each kind of character, and on long ones.
//
// A text begins at a piece, and the patterns look at nothing before a piece, so a text may be treated in parts that begin at pieces.
// What is rare is repaired: contractions one by one; places where capitals meet caseless letters or marks stand alone (o200k) by
// letting the scanner run from the piece before until the two agree.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "morsel/tokenizer/fast/character_masks.hpp"
#include "morsel/tokenizer/splitting/split_scanners.hpp"

namespace morsel::fast {

namespace detail {

// Bits moved to the next byte, out of the word before.
[[gnu::always_inline]] inline std::uint64_t after(std::uint64_t word, std::uint64_t before) noexcept { return word << 1 | before >> 63; }
// Bits moved to the byte before, out of the word that follows.
[[gnu::always_inline]] inline std::uint64_t ahead(std::uint64_t word, std::uint64_t next) noexcept { return word >> 1 | next << 63; }

[[gnu::always_inline]] inline std::uint64_t add(std::uint64_t a, std::uint64_t b, std::uint64_t& carry) noexcept {
    std::uint64_t sum;
    const bool first = __builtin_add_overflow(a, b, &sum), second = __builtin_add_overflow(sum, carry, &sum);
    carry = first || second;
    return sum;
}

inline bool test(const std::uint64_t* bits, std::size_t i) noexcept { return (bits[i / 64] >> (i % 64) & 1) != 0; }
inline void set(std::uint64_t* bits, std::size_t i) noexcept { bits[i / 64] |= std::uint64_t{1} << (i % 64); }
inline void clear(std::uint64_t* bits, std::size_t i) noexcept { bits[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }

// Of the bits that end a character's last byte, those of characters of several bytes move to its first.
[[gnu::always_inline]] inline std::uint64_t to_lead(std::uint64_t last_bytes, const CharacterMasks* m, std::uint64_t* starts, std::size_t w) noexcept {
    std::uint64_t inside = last_bytes & m[w].inner;
    if (inside == 0) [[likely]] return last_bytes;
    last_bytes &= ~inside;
    for (; inside != 0; inside &= inside - 1) {
        std::size_t at = 64 * w + static_cast<std::size_t>(std::countr_zero(inside));
        while (m[at / 64].inner >> (at % 64) & 1) --at;
        if (at / 64 == w) last_bytes |= std::uint64_t{1} << (at % 64);
        else set(starts, at);
    }
    return last_bytes;
}

// Starts inside of a run of digits: every third character after its first. Plain, for runs with digits beyond ASCII.
inline void group_numbers(const CharacterMasks* m, std::size_t words, std::uint64_t* starts) noexcept {
    int count = 0;  // digits since the last start
    for (std::size_t i = 0; i < 64 * words; ++i) {
        if (!(m[i / 64].number >> (i % 64) & 1)) count = 0;
        else if (!(m[i / 64].inner >> (i % 64) & 1)) {
            if (count % 3 == 0) set(starts, i);
            ++count;
        }
    }
}

}  // namespace detail

// All of these fill starts[0 … words), of which one word more may be written: bit i is set where a piece begins at byte i of the text,
// whose masks are m[0 … words]; m is zero from text.size() on. The text may be longer than the masks: then bits near the end, and those
// in white space at the end, are not sure.

// GPT-2, and with single_numbers StarCoder's and SmolLM's (scan::gpt2).
template <bool single_numbers> [[gnu::always_inline]] inline void starts_gpt2(std::string_view text, const CharacterMasks* m, std::size_t words, std::uint64_t* starts) noexcept {
    using namespace detail;
    CharacterMasks before;
    std::uint64_t apostrophes = 0;
    for (std::size_t w = 0; w < words; ++w) {
        const CharacterMasks& c = m[w];
        const CharacterMasks& next = m[w + 1];
        const std::uint64_t white = c.blank | c.newline, white_before = before.blank | before.newline;
        const std::uint64_t letter_start = c.letter & ~after(c.letter, before.letter), rest_start = c.rest & ~after(c.rest, before.rest);
        const std::uint64_t number_start = single_numbers ? c.number & ~c.inner : c.number & ~after(c.number, before.number);
        const std::uint64_t after_space = after(c.space, before.space);
        const auto ends_white = [](const CharacterMasks& x) { return x.letter | x.rest | (single_numbers ? 0 : x.number); };
        const std::uint64_t last_white = to_lead(white & ahead(ends_white(c), ends_white(next)), m, starts, w);
        const std::uint64_t joined = letter_start | rest_start | (single_numbers ? 0 : number_start);
        starts[w] = (joined & ~after_space) | (single_numbers ? number_start : 0) | (white & ~after(white, white_before)) | last_white;
        apostrophes |= c.apostrophe;
        before = c;
    }
    if (apostrophes == 0) return;
    for (std::size_t w = 0; w < words; ++w) {
        for (std::uint64_t left = m[w].apostrophe & starts[w]; left != 0; left &= left - 1) {
            const std::size_t at = 64 * w + static_cast<std::size_t>(std::countr_zero(left));
            const std::size_t size = scan::contraction<false>(text, at);
            if (size == 0) continue;
            clear(starts, at + 1);
            if (at + size < text.size() && (m[(at + size) / 64].letter >> ((at + size) % 64) & 1)) set(starts, at + size);
        }
    }
}

namespace detail {

// First characters of those runs of the rest that begin a piece: a single one goes with the letters behind it. All of its bytes.
[[gnu::always_inline]] inline std::uint64_t whole_characters(std::uint64_t first_bytes, std::uint64_t inner, std::uint64_t carry) noexcept {
    std::uint64_t all = first_bytes | carry;
    if (inner != 0) {
        all |= all << 1 & inner;
        all |= all << 1 & inner;
        all |= all << 1 & inner;
    }
    return all;
}

// White space, numbers and runs of the rest, which cl100k and o200k have in common. Letters are left to the caller.
template <int max_digits, bool whole_tail>
[[gnu::always_inline]] inline void starts_of_lines(std::string_view text, const CharacterMasks* m, std::size_t words, std::uint64_t* starts) noexcept {
    CharacterMasks before;
    std::uint64_t blank_carry = 0, numbers_before = 0, numbers_of_several_bytes = 0;
    for (std::size_t w = 0; w < words; ++w) {
        const CharacterMasks& c = m[w];
        const CharacterMasks& next = m[w + 1];
        const std::uint64_t after_rest = after(c.rest, before.rest), after_newline = after(c.newline, before.newline);
        const std::uint64_t white = c.blank | c.newline, white_before = before.blank | before.newline;
        std::uint64_t found = c.rest & ~after_rest & ~after(c.space, before.space);
        // Newlines right behind the rest belong to it; otherwise they begin a piece unless blanks stand before them.
        found |= c.newline & ~after_newline & ~after_rest & ~after(c.blank, before.blank);
        // Blanks: a run of white space goes up to its last newline; what is behind it leaves its last character to what follows.
        const std::uint64_t blank_after_newline = c.blank & after_newline;
        found |= (c.blank & ~after(white, white_before)) | blank_after_newline;
        const std::uint64_t ends = add(c.blank, blank_after_newline, blank_carry) & ~c.blank & c.newline;
        found |= to_lead(c.blank & ahead(c.letter | c.number | c.rest, next.letter | next.number | next.rest), m, starts, w);
        if constexpr (max_digits == 1) {
            found |= c.number & ~c.inner;
        } else {
            // Every third digit: a start three bytes before, and digits all the way.
            const std::uint64_t one = after(c.number, before.number);
            std::uint64_t group = c.number & ~one;
            const std::uint64_t four = c.number & one & (c.number << 2 | before.number >> 62) & (c.number << 3 | before.number >> 61);
            for (std::uint64_t step = (group << 3 | numbers_before >> 61) & four; step != 0; step = step << 3 & four) group |= step;
            numbers_before = group;
            found |= group;
            numbers_of_several_bytes |= c.number & c.inner;
        }
        starts[w] = found;
        if (ends != 0) [[unlikely]] {
            // Blanks between newlines are no start of their own, unless the newlines before them were taken by the rest.
            for (std::uint64_t left = ends; left != 0; left &= left - 1) {
                std::size_t at = 64 * w + static_cast<std::size_t>(std::countr_zero(left));
                do --at;
                while (at > 0 && (m[(at - 1) / 64].blank >> ((at - 1) % 64) & 1));
                std::size_t line = at;
                while (line > 0 && (m[(line - 1) / 64].newline >> ((line - 1) % 64) & 1)) --line;
                const bool taken = line > 0 && (m[(line - 1) / 64].rest >> ((line - 1) % 64) & 1);
                if (!taken) clear(starts, at);
            }
        }
        before = c;
    }
    if (max_digits != 1 && numbers_of_several_bytes != 0) {
        for (std::size_t w = 0; w < words; ++w) starts[w] &= ~m[w].number;
        group_numbers(m, words, starts);
    }
    if (whole_tail && text.size() <= 64 * words) {
        // tiktoken's \s+$: white space up to the end is one piece.
        std::size_t first = text.size();
        const auto is_white = [&](std::size_t i) { return ((m[i / 64].blank | m[i / 64].newline) >> (i % 64) & 1) != 0; };
        while (first > 0 && is_white(first - 1)) --first;
        std::size_t at = first;
        if (first > 0 && (m[(first - 1) / 64].rest >> ((first - 1) % 64) & 1))
            while (at < text.size() && (m[at / 64].newline >> (at % 64) & 1)) ++at;
        if (at < text.size()) {
            for (std::size_t i = at + 1; i < text.size(); ++i) clear(starts, i);
            set(starts, at);
        }
    }
}

}  // namespace detail

// cl100k and its relatives (scan::cl100k).
template <int max_digits, bool whole_tail>
[[gnu::always_inline]] inline void starts_cl100k(std::string_view text, const CharacterMasks* m, std::size_t words, std::uint64_t* starts) noexcept {
    using namespace detail;
    starts_of_lines<max_digits, whole_tail>(text, m, words, starts);
    CharacterMasks before;
    std::uint64_t single_before = 0, apostrophes = 0;
    for (std::size_t w = 0; w < words; ++w) {
        const CharacterMasks& c = m[w];
        const std::uint64_t rest_start = c.rest & ~after(c.rest, before.rest) & ~after(c.space, before.space);
        const std::uint64_t single = whole_characters(rest_start, c.inner, single_before >> 63 & c.inner);
        starts[w] |= c.letter & ~after(c.letter | c.blank | single, before.letter | before.blank | single_before);
        single_before = single;
        apostrophes |= c.apostrophe;
        before = c;
    }
    if (apostrophes == 0) return;
    for (std::size_t w = 0; w < words; ++w) {
        for (std::uint64_t left = m[w].apostrophe & starts[w]; left != 0; left &= left - 1) {
            const std::size_t at = 64 * w + static_cast<std::size_t>(std::countr_zero(left)), end = at + scan::contraction<true>(text, at);
            if (end > at && end < text.size() && (m[end / 64].letter >> (end % 64) & 1)) set(starts, end);
        }
    }
}

// o200k and Tekken (scan::o200k).
template <bool contractions, int max_digits>
[[gnu::always_inline]] inline void starts_o200k(std::string_view text, const CharacterMasks* m, std::size_t words, std::uint64_t* starts, std::uint64_t* suspects) noexcept {
    using namespace detail;
    starts_of_lines<max_digits, false>(text, m, words, starts);
    CharacterMasks before;
    std::uint64_t single_before = 0, apostrophes = 0, any_suspect = 0, absorb_carry = 0;
    for (std::size_t w = 0; w < words; ++w) {
        const CharacterMasks& c = m[w];
        const std::uint64_t rest_start = c.rest & ~after(c.rest, before.rest) & ~after(c.space, before.space);
        const std::uint64_t single = whole_characters(rest_start, c.inner, single_before >> 63 & c.inner);
        const std::uint64_t lower = c.letter & ~c.upper, lower_before = before.letter & ~before.upper;
        starts[w] |= c.letter & ~after(c.letter | c.blank | single, before.letter | before.blank | single_before);
        starts[w] |= c.upper & after(lower, lower_before);
        // Rare, and decided by the scanner: capitals beside letters without case, marks, and newlines taken by the rest before a slash.
        const std::uint64_t behind_taken = add(c.newline, c.newline & after(c.rest, before.rest), absorb_carry) & ~c.newline;
        const std::uint64_t suspect = (c.upper & after(c.caseless, before.caseless)) | (c.caseless & after(c.upper, before.upper)) |
                                      (c.mark & ~after(c.mark, before.mark)) | (c.slash & behind_taken);
        suspects[w] = suspect;
        any_suspect |= suspect;
        single_before = single;
        apostrophes |= c.apostrophe;
        before = c;
    }
    if (contractions && apostrophes != 0) {
        std::size_t done = 0;  // end of the last contraction
        for (std::size_t w = 0; w < words; ++w) {
            for (std::uint64_t left = m[w].apostrophe; left != 0; left &= left - 1) {
                const std::size_t at = 64 * w + static_cast<std::size_t>(std::countr_zero(left));
                if (at == 0 || (at == done && done > 0) || !(m[(at - 1) / 64].letter >> ((at - 1) % 64) & 1)) continue;
                const std::size_t end = at + scan::contraction<true>(text, at);
                if (end == at) continue;
                done = end;
                clear(starts, at);
                for (std::size_t i = at + 1; i < end; ++i) clear(starts, i);
                if (end < text.size() && (m[end / 64].letter >> (end % 64) & 1)) set(starts, end);
            }
        }
    }
    if (any_suspect == 0) return;
    std::size_t agreed = 0;  // up to here the starts are right
    for (std::size_t w = 0; w < words; ++w) {
        for (std::uint64_t left = suspects[w]; left != 0; left &= left - 1) {
            const std::size_t suspect = 64 * w + static_cast<std::size_t>(std::countr_zero(left));
            if (suspect < agreed) continue;
            std::size_t at = suspect;
            while (at > agreed && !test(starts, at)) --at;
            // A start right at the suspect may be one only by mistake: begin a piece earlier.
            if (at == suspect && at > agreed) do --at; while (at > agreed && !test(starts, at));
            for (bool same = false; !same;) {
                const std::size_t end = scan::o200k<contractions, max_digits>(text, at);
                for (std::size_t i = at + 1; i < std::min(end, 64 * words); ++i) clear(starts, i);
                at = end;
                if (at >= std::min(text.size(), 64 * words)) break;
                same = at > suspect && test(starts, at);
                set(starts, at);
            }
            agreed = at;
        }
    }
}

}  // namespace morsel::fast
