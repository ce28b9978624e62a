// Hand-written scanners for the split patterns of well-known tokenizers: one forward pass, no allocation, no regex engine.
// Each gives the end of the piece that begins at a byte; calling it from end to end yields what the regular expression's matches
// (and gaps) are, as tests hold against PCRE2. A scanner sees the end of its text as the end of the text: `\s+(?!\S)` depends on it,
// so never hand it a fragment. Any bytes are safe; malformed UTF-8 counts as U+FFFD, one per maximal subpart.
// Patterns as published: GPT-2 (OpenAI gpt-2/src/encoder.py), cl100k and o200k (tiktoken's openai_public.py and the tokenizer.json
// files derived from it), DeepSeek-V3. Traps kept: (?i:'s) also matches U+017F, \s is White_Space, \p{N} includes letter numbers.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

namespace scan {

// What the patterns distinguish, one bit each, so that a class is a mask.
// symbol: P, S; upper: Lu, Lt; caseless: Lm, Lo; mark: M; newline: \r, \n; blank: other White_Space; other: the rest.
using Kind = std::uint16_t;
inline constexpr Kind other = 1, symbol = 2, upper = 4, lower = 8, caseless = 16, mark = 32, number = 64, blank = 128, newline = 256;
inline constexpr Kind letter = upper | lower | caseless, space = blank | newline;
inline constexpr Kind rest = other | symbol | mark;  // [^\s\p{L}\p{N}]

namespace detail {

inline constexpr std::array<Kind, 32> kind_of_category = [] {
    using unicode::Category;
    std::array<Kind, 32> table{};
    table.fill(other);
    const auto set = [&](std::initializer_list<Category> categories, Kind kind) {
        for (const Category c : categories) table[static_cast<std::size_t>(c)] = kind;
    };
    set({Category::Pc, Category::Pd, Category::Ps, Category::Pe, Category::Pi, Category::Pf, Category::Po}, symbol);
    set({Category::Sm, Category::Sc, Category::Sk, Category::So}, symbol);
    set({Category::Lu, Category::Lt}, upper), set({Category::Ll}, lower), set({Category::Lm, Category::Lo}, caseless);
    set({Category::Mn, Category::Mc, Category::Me}, mark), set({Category::Nd, Category::Nl, Category::No}, number);
    return table;
}();

// By byte; 0 for bytes that are no ASCII, so that no mask holds them.
inline constexpr std::array<Kind, 256> kind_of_byte = [] {
    std::array<Kind, 256> table{};
    for (std::size_t c = 0; c < 128; ++c) {
        if (c >= 'A' && c <= 'Z') table[c] = upper;
        else if (c >= 'a' && c <= 'z') table[c] = lower;
        else if (c >= '0' && c <= '9') table[c] = number;
        else if (c == '\n' || c == '\r') table[c] = newline;
        else if (c == ' ' || c == '\t' || c == '\v' || c == '\f') table[c] = blank;
        else table[c] = unicode::is_ascii_punctuation(static_cast<char32_t>(c)) ? symbol : other;
    }
    return table;
}();

}  // namespace detail

// A kind and the bytes of its character; kind and size 0 at the end of the text.
struct Next {
    Kind kind = 0;
    std::uint16_t size = 0;
};

namespace detail {

// Kept out of line, so that the loops over ASCII stay short.
[[gnu::noinline]] inline Next at_beyond_ascii(std::string_view text, std::size_t i) noexcept {
    const unicode::CodePoint c = unicode::decode(text, i);
    const std::uint8_t entry = unicode::detail::category_entry(c.value);
    return {entry & 32 ? blank : kind_of_category[entry & 31], static_cast<std::uint16_t>(c.size)};
}

}  // namespace detail

inline Next at(std::string_view text, std::size_t i) noexcept {
    if (i >= text.size()) return {};
    const auto lead = static_cast<unsigned char>(text[i]);
    return lead < 128 ? Next{detail::kind_of_byte[lead], 1} : detail::at_beyond_ascii(text, i);
}

// End of the run, from i on, of characters whose kind is in `mask`.
template <Kind mask> inline std::size_t run(std::string_view text, std::size_t i) noexcept {
    for (;;) {
        while (i < text.size() && (detail::kind_of_byte[static_cast<unsigned char>(text[i])] & mask)) ++i;
        if (i >= text.size() || static_cast<unsigned char>(text[i]) < 128) return i;
        const Next next = detail::at_beyond_ascii(text, i);
        if (!(next.kind & mask)) return i;
        i += next.size;
    }
}

inline std::size_t newlines(std::string_view text, std::size_t i) noexcept {
    while (i < text.size() && (text[i] == '\n' || text[i] == '\r')) ++i;
    return i;
}

// Bytes of a contraction ('s 't 're 've 'm 'll 'd) at i, or 0.
template <bool any_case> inline std::size_t contraction(std::string_view text, std::size_t i) noexcept {
    if (i + 1 >= text.size() || text[i] != '\'') return 0;
    const auto letter = [&](std::size_t k) -> char {
        if (k >= text.size()) return '\0';
        return any_case && text[k] >= 'A' && text[k] <= 'Z' ? static_cast<char>(text[k] + 32) : text[k];
    };
    const char a = letter(i + 1), b = letter(i + 2);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    if (any_case && a == '\xC5' && b == '\xBF') return 3;  // U+017F, long s, folds to s
    return 0;
}

// End of the white space piece at i: `\s+(?!\S)|\s+`. A run up to the end of the text is one piece; before anything else it
// leaves its last character to the next piece, unless it has only one. `at_end(position)`: whether the text counts as ended there.
template <class AtEnd> inline std::size_t white_space(std::string_view text, std::size_t i, AtEnd at_end) noexcept {
    std::size_t end = i, last = i;
    while (end < text.size()) {
        const Next next = at(text, end);
        if (!(next.kind & space)) break;
        last = end, end += next.size;
    }
    return at_end(end) || last == i ? end : last;
}

// `\s*[\r\n]+|\s+(?!\S)|\s+`, and where `whole_tail` is set `\s+$` in front of them (tiktoken's own cl100k). at_end: see white_space.
template <bool whole_tail, class AtEnd> inline std::size_t lines_or_white_space(std::string_view text, std::size_t i, AtEnd at_end) noexcept {
    std::size_t end = i, last = i, after_newline = i;
    while (end < text.size()) {
        const Next next = at(text, end);
        if (!(next.kind & space)) break;
        last = end, end += next.size;
        if (next.kind == newline) after_newline = end;
    }
    if (whole_tail && end == text.size()) return end;
    if (after_newline > i) return after_newline;
    return at_end(end) || last == i ? end : last;
}
template <bool whole_tail> inline std::size_t lines_or_white_space(std::string_view text, std::size_t i) noexcept {
    return lines_or_white_space<whole_tail>(text, i, [&](std::size_t end) { return end == text.size(); });
}

// GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// single_numbers: every \p{N} is a piece of its own and ends the text before it, as Digits(individual) in front of GPT-2 does.
template <bool single_numbers = false> inline std::size_t gpt2(std::string_view text, std::size_t i) noexcept {
    if (const std::size_t size = contraction<false>(text, i)) return i + size;
    Next first = at(text, i);
    if (single_numbers && (first.kind & number)) return i + first.size;
    std::size_t begin = i;
    if (text[i] == ' ') {
        const Next second = at(text, i + 1);
        if (second.size > 0 && !(second.kind & space) && !(single_numbers && (second.kind & number))) first = second, begin = i + 1;
    }
    if (first.kind & letter) return run<letter>(text, begin + first.size);
    if (first.kind & number) return run<number>(text, begin + first.size);
    if (!(first.kind & space)) return run<rest>(text, begin + first.size);
    return white_space(text, i, [&](std::size_t end) {
        return end == text.size() || (single_numbers && (at(text, end).kind & number));
    });
}

// cl100k and its relatives: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,D}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// max_digits is D; whole_tail: see lines_or_white_space; with_marks: [\p{L}\p{M}]+ and [^\s\p{L}\p{M}\p{N}]+ (Qwen 3.5).
template <int max_digits, bool whole_tail = false, bool with_marks = false> inline std::size_t cl100k(std::string_view text, std::size_t i) noexcept {
    constexpr Kind word = with_marks ? letter | mark : letter, punctuation = with_marks ? other | symbol : rest;
    if (const std::size_t size = contraction<true>(text, i)) return i + size;
    const Next first = at(text, i);
    std::size_t next = i + first.size;
    if (first.kind & word) return run<word>(text, next);
    if (first.kind & number) {
        for (int digits = 1; digits < max_digits; ++digits) {
            const Next digit = at(text, next);
            if (digit.size == 0 || !(digit.kind & number)) break;
            next += digit.size;
        }
        return next;
    }
    const Next second = at(text, next);
    if (first.kind != newline && second.kind & word) return run<word>(text, next + second.size);
    if (first.kind & punctuation) return newlines(text, run<punctuation>(text, next));
    if (text[i] == ' ' && (second.kind & punctuation)) return newlines(text, run<punctuation>(text, next + second.size));
    return lines_or_white_space<whole_tail>(text, i);
}

// o200k: with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}], P = [^\r\n\p{L}\p{N}], C = (?i:'s|'t|'re|'ve|'m|'ll|'d):
// P?U*L+C?|P?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
namespace detail {

inline constexpr Kind in_upper = upper | caseless | mark, in_lower = lower | caseless | mark;

// End of U*L+ at i (without contraction), else of U+L*, else i. What backtracking would find: U* takes its whole run, and where no
// lower letter follows it gives back down to the last character that is in L too, so that L+ is that one character.
struct CasedWord {
    std::size_t end = 0;
    bool has_lower = false;  // the first alternative, U*L+, matched
};
inline CasedWord cased_word(std::string_view text, std::size_t i) noexcept {
    std::size_t end = i, after_both = i;
    while (end < text.size()) {
        const Next next = at(text, end);
        if (!(next.kind & in_upper)) break;
        end += next.size;
        if (next.kind != upper) after_both = end;
    }
    const Next next = at(text, end);
    if (next.kind == lower) return {run<in_lower>(text, end), true};
    if (after_both > i) return {after_both, true};
    return {end, false};
}

}  // namespace detail

template <bool contractions = true, int max_digits = 3, bool slash_tail = true> inline std::size_t o200k(std::string_view text, std::size_t i) noexcept {
    const auto with_contraction = [&](std::size_t end) { return contractions ? end + contraction<true>(text, end) : end; };
    const Next first = at(text, i);
    std::size_t next = i + first.size;
    if (first.kind & letter) return with_contraction(detail::cased_word(text, i).end);
    if (first.kind & number) {
        for (int digits = 1; digits < max_digits; ++digits) {
            const Next digit = at(text, next);
            if (digit.size == 0 || !(digit.kind & number)) break;
            next += digit.size;
        }
        return next;
    }
    if (first.kind != newline) {
        // With the first character as P; a mark may also be a word of its own, which comes before P followed by capitals only.
        const detail::CasedWord word = detail::cased_word(text, next);
        if (word.has_lower) return with_contraction(word.end);
        if (first.kind == mark) return with_contraction(next);
        if (word.end > next) return with_contraction(word.end);
    }
    const Next second = at(text, next);
    std::size_t end = i;
    if (first.kind & rest) end = run<rest>(text, next);
    else if (text[i] == ' ' && (second.kind & rest)) end = run<rest>(text, next + second.size);
    else return lines_or_white_space<false>(text, i);
    while (end < text.size() && (text[end] == '\n' || text[end] == '\r' || (slash_tail && text[end] == '/'))) ++end;
    return end;
}

// The three patterns of DeepSeek-V3, which are applied one after the other; the first two leave gaps.
// \p{N}{1,3}
inline std::size_t number_groups(std::string_view text, std::size_t i) noexcept {
    if (!(at(text, i).kind & number)) return run<static_cast<Kind>(~number)>(text, i);
    std::size_t end = i;
    for (int digits = 0; digits < 3 && (at(text, end).kind & number); ++digits) end += at(text, end).size;
    return end;
}
inline bool is_number_at(std::string_view text, std::size_t i) noexcept { return (at(text, i).kind & number); }

// [一-龥぀-ゟ゠-ヿ]+
inline bool is_deepseek_cjk_at(std::string_view text, std::size_t i) noexcept {
    const char32_t c = unicode::decode(text, i).value;
    return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF);
}
inline std::size_t deepseek_cjk(std::string_view text, std::size_t i) noexcept {
    const bool inside = is_deepseek_cjk_at(text, i);
    do i += at(text, i).size;
    while (i < text.size() && is_deepseek_cjk_at(text, i) == inside);
    return i;
}

// [!-/:-~ without letters][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// `Part` says what of the text there is to see: at(text, i), nothing beyond its end, and run<mask>(text, i).
namespace detail {

struct WholeText {
    static Next at(std::string_view text, std::size_t i) noexcept { return scan::at(text, i); }
    template <Kind mask> static std::size_t run(std::string_view text, std::size_t i) noexcept { return scan::run<mask>(text, i); }
};

// A stretch between numbers, of those ideographs and kana alone or of none.
template <bool cjk> struct Zone {
    static Next at(std::string_view text, std::size_t i) noexcept {
        const Next next = scan::at(text, i);
        return (next.kind & number) || (next.size > 1 ? is_deepseek_cjk_at(text, i) != cjk : cjk) ? Next{} : next;
    }
    template <Kind mask> static std::size_t run(std::string_view text, std::size_t i) noexcept {
        for (;;) {
            while (!cjk && i < text.size() && (kind_of_byte[static_cast<unsigned char>(text[i])] & mask)) ++i;
            const Next next = at(text, i);
            if (!(next.kind & mask)) return i;
            i += next.size;
        }
    }
};

template <class Part> inline bool is_deepseek_match(std::string_view text, std::size_t i) noexcept {
    const Next first = Part::at(text, i);
    return !(first.kind & (other | number)) || (Part::at(text, i + first.size).kind & (letter | mark));
}
template <class Part> inline std::size_t deepseek_piece(std::string_view text, std::size_t i) noexcept {
    const Next first = scan::at(text, i);
    const std::size_t next = i + first.size;
    const auto is_ascii_letter = [&](std::size_t k) { return k < text.size() && ((text[k] | 32) >= 'a' && (text[k] | 32) <= 'z'); };
    const auto symbols = [&](std::size_t from) { return Part::template run<newline>(text, Part::template run<symbol>(text, from)); };
    if (first.kind == symbol && first.size == 1 && is_ascii_letter(next)) {
        std::size_t end = next;
        while (is_ascii_letter(end)) ++end;
        return end;
    }
    if (first.kind & (letter | mark)) return Part::template run<letter | mark>(text, next);
    if (first.kind & symbol) return symbols(next);
    const Next second = Part::at(text, next);
    if (first.kind != newline && (second.kind & (letter | mark))) return Part::template run<letter | mark>(text, next);
    if (text[i] == ' ' && (second.kind & symbol)) return symbols(next);
    if (first.kind & space) return lines_or_white_space<false>(text, i, [&](std::size_t end) { return Part::at(text, end).size == 0; });
    std::size_t end = next;
    while (Part::at(text, end).size > 0 && !is_deepseek_match<Part>(text, end)) end += scan::at(text, end).size;
    return end;
}

}  // namespace detail

inline bool is_deepseek_match(std::string_view text, std::size_t i) noexcept { return detail::is_deepseek_match<detail::WholeText>(text, i); }
inline std::size_t deepseek_text(std::string_view text, std::size_t i) noexcept { return detail::deepseek_piece<detail::WholeText>(text, i); }

// All three at once: the first two divide the text into groups of numbers, runs of those ideographs and kana, and what is between; within
// each the third one sees nothing of the others.
inline std::size_t deepseek(std::string_view text, std::size_t i) noexcept {
    if (is_number_at(text, i)) return number_groups(text, i);
    return is_deepseek_cjk_at(text, i) ? detail::deepseek_piece<detail::Zone<true>>(text, i) : detail::deepseek_piece<detail::Zone<false>>(text, i);
}

// CLIP: 's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+; white space is no match.
inline bool is_clip_match(std::string_view text, std::size_t i) noexcept { return !(at(text, i).kind & space); }
inline std::size_t clip(std::string_view text, std::size_t i) noexcept {
    if (const std::size_t size = contraction<false>(text, i)) return i + size;
    const Next first = at(text, i);
    const std::size_t next = i + first.size;
    if (first.kind & letter) return run<letter>(text, next);
    if (first.kind & number) return next;
    return first.kind & space ? run<space>(text, next) : run<rest>(text, next);
}

// Falcon's last step: [0-9][0-9][0-9]
inline bool is_three_digits(std::string_view text, std::size_t i) noexcept {
    const auto digit = [&](std::size_t k) { return k < text.size() && text[k] >= '0' && text[k] <= '9'; };
    return digit(i) && digit(i + 1) && digit(i + 2);
}
inline std::size_t three_digits(std::string_view text, std::size_t i) noexcept {
    if (is_three_digits(text, i)) return i + 3;
    do ++i;
    while (i < text.size() && !is_three_digits(text, i));
    return i;
}

}  // namespace scan

}  // namespace morsel
