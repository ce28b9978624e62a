// Character classes as Hugging Face tokenizers 0.23 has them. Its parts follow different versions of Unicode: split patterns and
// Whitespace 16.0, lower case and Digits 17.0, punctuation, controls and non-spacing marks 8.0 (crate unicode_categories), StripAccents
// and the normalization forms 9.0, grapheme clusters 17.0. Found by comparing every code point; what changed class since then is listed here one by one.
// Private parity data of the tokenizer room; for Unicode as such see unicode/properties.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include "morsel/unicode/normalize.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::reference {

inline bool in_unicode_8(char32_t c) noexcept { return (unicode::detail::category_entry(c) & 128) == 0; }

// Punctuation and BertPreTokenizer. U+166D was Po before 12.0, U+111C9 before 11.0.
inline bool is_punctuation(char32_t c) noexcept {
    if (c < 0x80) return unicode::is_ascii_punctuation(c);
    return (unicode::is_punctuation(c) && in_unicode_8(c)) || c == 0x166D || c == 0x111C9;
}
// BertNormalizer(clean_text): Cc, Cf, Co, but for the three that count as white space.
inline bool is_control(char32_t c) noexcept { return c != '\t' && c != '\n' && c != '\r' && unicode::is_other(c) && in_unicode_8(c); }

// BertNormalizer(strip_accents): Mn. U+1885, 1886, A9BD and 111C9 became Mn later; U+1734 was until 14.0.
inline bool is_nonspacing_mark(char32_t c) noexcept {
    if (c < 0x300) return false;
    if (c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9) return false;
    return (unicode::is_nonspacing_mark(c) && in_unicode_8(c)) || c == 0x1734;
}
// StripAccents: Mn, Mc, Me. U+111C9 became a mark later; U+1CF2 and 1CF3 were until 12.0.
inline bool is_mark(char32_t c) noexcept {
    if (c < 0x300) return false;
    return (unicode::is_mark(c) && !unicode::detail::is_after_unicode_9(c) && c != 0x111C9) || c == 0x1CF2 || c == 0x1CF3;
}
// Digits: Nd, Nl, No. The two ranges came with 17.0.
inline bool is_number(char32_t c) noexcept { return unicode::is_number(c) || (c >= 0x11DE0 && c <= 0x11DE9) || (c >= 0x16FF4 && c <= 0x16FF6); }

// Precompiled: what stays with the character before it in a grapheme cluster (Extend, SpacingMark, ZWJ): the marks but for some spacing
// ones, joiners, emoji modifiers, tags, and what 17.0 added.
inline bool continues_grapheme(char32_t c) noexcept {
    struct Range {
        char32_t first, last;
    };
    static constexpr Range others[] = {{0xE33, 0xE33}, {0xEB3, 0xEB3}, {0x1ACF, 0x1ADD}, {0x1AE0, 0x1AEB}, {0x200C, 0x200D}, {0xFF9E, 0xFF9F}, {0x10EFA, 0x10EFB}, {0x11B60, 0x11B67},
                                       {0x1E6E3, 0x1E6E3}, {0x1E6E6, 0x1E6E6}, {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5}, {0x1F3FB, 0x1F3FF}, {0xE0020, 0xE007F}};
    static constexpr Range spacing[] = {{0x102B, 0x102C}, {0x1038, 0x1038}, {0x1062, 0x1064}, {0x1067, 0x106D}, {0x1083, 0x1083}, {0x1087, 0x108C}, {0x108F, 0x108F},
                                        {0x109A, 0x109C}, {0x1A61, 0x1A61}, {0x1A63, 0x1A64}, {0xAA7B, 0xAA7B}, {0xAA7D, 0xAA7D}, {0x11720, 0x11721}};
    if (c < 0x300) return false;
    const auto within = [c](std::span<const Range> ranges) { return std::any_of(ranges.begin(), ranges.end(), [c](Range r) { return c >= r.first && c <= r.last; }); };
    return unicode::is_mark(c) ? !within(spacing) : within(others);
}

// End of the grapheme cluster at byte i of valid UTF-8, as far as clusters of less than 6 bytes go: conjoining jamo, flags, and emoji joined
// by U+200D make longer ones, which Precompiled takes character by character as it does their parts.
inline std::size_t short_grapheme_end(std::string_view text, std::size_t i) noexcept {
    const char32_t first = unicode::next_code_point(text, i);
    if (first == '\r') return i < text.size() && text[i] == '\n' ? i + 1 : i;
    const bool before_any = (first >= 0x600 && first <= 0x605) || first == 0x6DD || first == 0x70F;  // the two-byte part of class Prepend
    const bool control = !continues_grapheme(first) && !before_any && (first < 0x20 || (first >= 0x7F && (unicode::is_other(first) || first == 0x2028 || first == 0x2029)));
    if (control) return i;
    if (before_any && i < text.size()) {
        std::size_t next = i;
        const char32_t second = unicode::next_code_point(text, next);
        if (continues_grapheme(second) || !(second < 0x20 || unicode::is_other(second) || second == 0x2028 || second == 0x2029)) i = next;
    }
    while (i < text.size()) {
        std::size_t next = i;
        if (!continues_grapheme(unicode::next_code_point(text, next))) break;
        i = next;
    }
    return i;
}

}  // namespace morsel::reference
