// Hand-written scanners for the split patterns of well-known tokenizers: one forward pass, no allocation, no regex engine.
// Each gives the end of the piece that begins at a byte; calling it from end to end yields what the regular expression's matches
// (and gaps) are, as tests hold against PCRE2. A scanner sees the end of its text as the end of the text: `\s+(?!\S)` depends on it,
// so never hand it a fragment. Patterns as published: GPT-2 (OpenAI gpt-2/src/encoder.py), cl100k and o200k (tiktoken's
// openai_public.py and the tokenizer.json files derived from it), Llama-3, Qwen2, SmolLM.
// Text must be valid UTF-8. Traps kept: (?i:'s) also matches U+017F, \s is White_Space, \p{N} includes letter numbers.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

// One split pattern. Plain data: copy it freely.
struct SplitScanner {
    // End of the piece that begins at byte `position` < text.size(); always greater than `position`.
    std::size_t (*next)(std::string_view text, std::size_t position) = nullptr;
    // Whether that piece is a match rather than the text between two; null where every piece is a match.
    bool (*is_match)(std::string_view text, std::size_t position) = nullptr;

    explicit operator bool() const noexcept { return next != nullptr; }
    bool matches(std::string_view text, std::size_t position) const { return is_match == nullptr || is_match(text, position); }
};

namespace scan {

// What the patterns distinguish. The order matters, kinds are tested by ranges.
// symbol: P, S; upper: Lu, Lt; caseless: Lm, Lo; mark: M; newline: \r, \n; space: other White_Space; other: the rest.
enum class Kind : std::uint8_t { other, symbol, upper, lower, caseless, mark, number, space, newline };

namespace detail {

inline constexpr std::array<Kind, 32> kind_of_category = [] {
    using unicode::Category;
    std::array<Kind, 32> table{};
    const auto set = [&](Category c, Kind k) { table[static_cast<std::size_t>(c)] = k; };
    set(Category::Lu, Kind::upper), set(Category::Lt, Kind::upper), set(Category::Ll, Kind::lower);
    set(Category::Lm, Kind::caseless), set(Category::Lo, Kind::caseless);
    set(Category::Mn, Kind::mark), set(Category::Mc, Kind::mark), set(Category::Me, Kind::mark);
    for (const Category c : {Category::Pc, Category::Pd, Category::Ps, Category::Pe, Category::Pi, Category::Pf, Category::Po, Category::Sm, Category::Sc, Category::Sk, Category::So})
        set(c, Kind::symbol);
    set(Category::Nd, Kind::number), set(Category::Nl, Kind::number), set(Category::No, Kind::number);
    return table;
}();

inline constexpr std::array<Kind, 128> kind_of_ascii = [] {
    std::array<Kind, 128> table{};
    for (std::size_t c = 0; c < 128; ++c) {
        if (c >= 'A' && c <= 'Z') table[c] = Kind::upper;
        else if (c >= 'a' && c <= 'z') table[c] = Kind::lower;
        else if (c >= '0' && c <= '9') table[c] = Kind::number;
        else if (c == '\n' || c == '\r') table[c] = Kind::newline;
        else if (unicode::is_ascii_punctuation(static_cast<char32_t>(c))) table[c] = Kind::symbol;
        else if (c == ' ' || c == '\t' || c == '\v' || c == '\f') table[c] = Kind::space;
    }
    return table;
}();

}  // namespace detail

inline Kind kind_of(char32_t c) noexcept {
    if (c < 128) return detail::kind_of_ascii[c];
    const std::uint8_t entry = unicode::detail::category_entry(c);
    return entry & 32 ? Kind::space : detail::kind_of_category[entry & 31];
}

// A kind and the bytes of its character; size 0 at the end of the text.
struct Next {
    Kind kind = Kind::other;
    std::uint8_t size = 0;
};
inline Next at(std::string_view text, std::size_t i) noexcept {
    if (i >= text.size()) return {};
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 128) return {detail::kind_of_ascii[lead], 1};
    const unicode::CodePoint c = unicode::decode(text, i);
    return {kind_of(c.value), static_cast<std::uint8_t>(c.size)};
}

inline constexpr bool is_letter(Kind k) noexcept { return k >= Kind::upper && k <= Kind::caseless; }
inline constexpr bool is_letter_or_mark(Kind k) noexcept { return k >= Kind::upper && k <= Kind::mark; }
inline constexpr bool is_space(Kind k) noexcept { return k >= Kind::space; }
inline constexpr bool is_number(Kind k) noexcept { return k == Kind::number; }
// [^\s\p{L}\p{N}]: marks belong to it.
inline constexpr bool is_rest(Kind k) noexcept { return k <= Kind::symbol || k == Kind::mark; }
inline constexpr bool is_symbol(Kind k) noexcept { return k == Kind::symbol; }

// End of the run, from i on, of characters whose kind satisfies `in`.
template <class In> inline std::size_t run(std::string_view text, std::size_t i, In in) noexcept {
    while (i < text.size()) {
        const Next next = at(text, i);
        if (!in(next.kind)) break;
        i += next.size;
    }
    return i;
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
        if (!is_space(next.kind)) break;
        last = end, end += next.size;
    }
    return at_end(end) || last == i ? end : last;
}

// `\s*[\r\n]+|\s+(?!\S)|\s+`, and where `whole_tail` is set `\s+$` in front of them (tiktoken's own cl100k).
template <bool whole_tail> inline std::size_t lines_or_white_space(std::string_view text, std::size_t i) noexcept {
    std::size_t end = i, last = i, after_newline = i;
    while (end < text.size()) {
        const Next next = at(text, end);
        if (!is_space(next.kind)) break;
        last = end, end += next.size;
        if (next.kind == Kind::newline) after_newline = end;
    }
    if (whole_tail && end == text.size()) return end;
    if (after_newline > i) return after_newline;
    return end == text.size() || last == i ? end : last;
}

// GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// single_numbers: every \p{N} is a piece of its own and ends the text before it, as Digits(individual) in front of GPT-2 does.
template <bool single_numbers = false> inline std::size_t gpt2(std::string_view text, std::size_t i) noexcept {
    if (const std::size_t size = contraction<false>(text, i)) return i + size;
    Next first = at(text, i);
    if (single_numbers && is_number(first.kind)) return i + first.size;
    std::size_t begin = i;
    if (text[i] == ' ') {
        const Next second = at(text, i + 1);
        if (second.size > 0 && !is_space(second.kind) && !(single_numbers && is_number(second.kind))) first = second, begin = i + 1;
    }
    if (is_letter(first.kind)) return run(text, begin + first.size, is_letter);
    if (is_number(first.kind)) return run(text, begin + first.size, is_number);
    if (!is_space(first.kind)) return run(text, begin + first.size, is_rest);
    return white_space(text, i, [&](std::size_t end) {
        return end == text.size() || (single_numbers && is_number(at(text, end).kind));
    });
}

// cl100k and its relatives: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,D}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// max_digits is D; whole_tail: see lines_or_white_space; with_marks: [\p{L}\p{M}]+ and [^\s\p{L}\p{M}\p{N}]+ (Qwen 3.5).
template <int max_digits, bool whole_tail = false, bool with_marks = false> inline std::size_t cl100k(std::string_view text, std::size_t i) noexcept {
    constexpr auto in_word = [](Kind k) { return with_marks ? is_letter_or_mark(k) : is_letter(k); };
    constexpr auto in_rest = [](Kind k) { return with_marks ? k <= Kind::symbol : is_rest(k); };
    if (const std::size_t size = contraction<true>(text, i)) return i + size;
    const Next first = at(text, i);
    std::size_t next = i + first.size;
    if (in_word(first.kind)) return run(text, next, in_word);
    if (is_number(first.kind)) {
        for (int digits = 1; digits < max_digits; ++digits) {
            const Next digit = at(text, next);
            if (digit.size == 0 || !is_number(digit.kind)) break;
            next += digit.size;
        }
        return next;
    }
    const Next second = at(text, next);
    if (first.kind != Kind::newline && second.size > 0 && in_word(second.kind)) return run(text, next + second.size, in_word);
    if (in_rest(first.kind)) return newlines(text, run(text, next, in_rest));
    if (text[i] == ' ' && second.size > 0 && in_rest(second.kind)) return newlines(text, run(text, next + second.size, in_rest));
    return lines_or_white_space<whole_tail>(text, i);
}

// o200k: with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}], P = [^\r\n\p{L}\p{N}], C = (?i:'s|'t|'re|'ve|'m|'ll|'d):
// P?U*L+C?|P?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
namespace detail {

inline constexpr bool in_upper(Kind k) noexcept { return k == Kind::upper || k == Kind::caseless || k == Kind::mark; }
inline constexpr bool in_lower(Kind k) noexcept { return k >= Kind::lower && k <= Kind::mark; }

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
        if (!in_upper(next.kind)) break;
        end += next.size;
        if (next.kind != Kind::upper) after_both = end;
    }
    const Next next = at(text, end);
    if (next.size > 0 && next.kind == Kind::lower) return {run(text, end, in_lower), true};
    if (after_both > i) return {after_both, true};
    return {end, false};
}

}  // namespace detail

template <bool contractions = true, int max_digits = 3, bool slash_tail = true> inline std::size_t o200k(std::string_view text, std::size_t i) noexcept {
    const auto with_contraction = [&](std::size_t end) { return contractions ? end + contraction<true>(text, end) : end; };
    const Next first = at(text, i);
    std::size_t next = i + first.size;
    if (is_letter(first.kind)) return with_contraction(detail::cased_word(text, i).end);
    if (is_number(first.kind)) {
        for (int digits = 1; digits < max_digits; ++digits) {
            const Next digit = at(text, next);
            if (digit.size == 0 || !is_number(digit.kind)) break;
            next += digit.size;
        }
        return next;
    }
    if (first.kind != Kind::newline) {
        // With the first character as P; a mark may also be a word of its own, which comes before P followed by capitals only.
        const detail::CasedWord word = detail::cased_word(text, next);
        if (word.has_lower) return with_contraction(word.end);
        if (first.kind == Kind::mark) return with_contraction(next);
        if (word.end > next) return with_contraction(word.end);
    }
    const Next second = at(text, next);
    std::size_t end = i;
    if (is_rest(first.kind)) end = run(text, next, is_rest);
    else if (text[i] == ' ' && second.size > 0 && is_rest(second.kind)) end = run(text, next + second.size, is_rest);
    else return lines_or_white_space<false>(text, i);
    while (end < text.size() && (text[end] == '\n' || text[end] == '\r' || (slash_tail && text[end] == '/'))) ++end;
    return end;
}

// The three patterns of DeepSeek-V3, which are applied one after the other; the first two leave gaps.
// \p{N}{1,3}
inline std::size_t number_groups(std::string_view text, std::size_t i) noexcept {
    if (!is_number(at(text, i).kind)) return run(text, i, [](Kind k) { return !is_number(k); });
    std::size_t end = i;
    for (int digits = 0; digits < 3 && is_number(at(text, end).kind); ++digits) end += at(text, end).size;
    return end;
}
inline bool is_number_at(std::string_view text, std::size_t i) noexcept { return is_number(at(text, i).kind); }

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
inline bool is_deepseek_match(std::string_view text, std::size_t i) noexcept {
    const Next first = at(text, i);
    return (first.kind != Kind::other && first.kind != Kind::number) || is_letter_or_mark(at(text, i + first.size).kind);
}
inline std::size_t deepseek_text(std::string_view text, std::size_t i) noexcept {
    const Next first = at(text, i);
    const std::size_t next = i + first.size;
    const auto is_ascii_letter = [&](std::size_t k) { return k < text.size() && ((text[k] | 32) >= 'a' && (text[k] | 32) <= 'z'); };
    if (first.kind == Kind::symbol && first.size == 1 && is_ascii_letter(next)) {
        std::size_t end = next;
        while (is_ascii_letter(end)) ++end;
        return end;
    }
    if (is_letter_or_mark(first.kind)) return run(text, next, is_letter_or_mark);
    const Next second = at(text, next);
    if (first.kind != Kind::newline && first.kind != Kind::symbol && is_letter_or_mark(second.kind)) return run(text, next, is_letter_or_mark);
    if (is_symbol(first.kind)) return newlines(text, run(text, next, is_symbol));
    if (text[i] == ' ' && is_symbol(second.kind)) return newlines(text, run(text, next, is_symbol));
    if (is_space(first.kind)) return lines_or_white_space<false>(text, i);
    std::size_t end = next;
    while (end < text.size() && !is_deepseek_match(text, end)) end += at(text, end).size;
    return end;
}

}  // namespace scan

namespace split {

inline constexpr SplitScanner gpt2{&scan::gpt2<false>};
inline constexpr SplitScanner smollm{&scan::gpt2<true>};  // Digits(individual) then GPT-2, also StarCoder
inline constexpr SplitScanner llama3{&scan::cl100k<3>};
inline constexpr SplitScanner cl100k_tiktoken{&scan::cl100k<3, true>};
inline constexpr SplitScanner qwen2{&scan::cl100k<1>};
inline constexpr SplitScanner qwen35{&scan::cl100k<1, false, true>};
inline constexpr SplitScanner o200k{&scan::o200k<>};
inline constexpr SplitScanner tekken{&scan::o200k<false, 1>};
inline constexpr SplitScanner deepseek_numbers{&scan::number_groups, &scan::is_number_at};
inline constexpr SplitScanner deepseek_cjk{&scan::deepseek_cjk, &scan::is_deepseek_cjk_at};
inline constexpr SplitScanner deepseek_text{&scan::deepseek_text, &scan::is_deepseek_match};

struct Known {
    std::string_view regex;
    SplitScanner scanner;
};

// Pattern texts as they stand in published tokenizer files, in Oniguruma's or tiktoken's syntax.
inline constexpr Known known[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)", gpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", llama3},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)", cl100k_tiktoken},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", qwen2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", qwen35},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)", o200k},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)", tekken},
    {R"(\p{N}{1,3})", deepseek_numbers},
    {"[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", deepseek_cjk},
    {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", deepseek_text},
};

// Whether two patterns are the same but for how they write carriage return and line feed: escaped, or as they are.
inline bool same_pattern(std::string_view a, std::string_view b) noexcept {
    const auto next = [](std::string_view text, std::size_t& i) -> int {
        if (i >= text.size()) return -1;
        const char c = text[i++];
        if (c == '\\' && i < text.size()) {
            const char e = text[i++];
            return e == 'r' ? '\r' : e == 'n' ? '\n' : 256 + static_cast<unsigned char>(e);
        }
        return static_cast<unsigned char>(c);
    };
    std::size_t i = 0, j = 0;
    for (;;) {
        const int x = next(a, i);
        if (x != next(b, j)) return false;
        if (x < 0) return true;
    }
}

}  // namespace split

// The scanner of this regular expression, or an empty one.
inline SplitScanner known_scanner(std::string_view regex) noexcept {
    for (const auto& known : split::known)
        if (split::same_pattern(known.regex, regex)) return known.scanner;
    return {};
}

}  // namespace morsel
