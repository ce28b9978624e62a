// Character classes as Hugging Face tokenizers 0.23 has them. Its parts follow different versions of Unicode: split patterns and
// Whitespace 16.0, lower case and Digits 17.0, punctuation, controls and non-spacing marks 8.0 (crate unicode_categories), StripAccents
// and the normalization forms 9.0. Found by comparing every code point; what changed class since then is listed here one by one.
// Private parity data of the tokenizer room; for Unicode as such see unicode/properties.hpp.
#pragma once
#include "morsel/unicode/normalize.hpp"
#include "morsel/unicode/properties.hpp"

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

}  // namespace morsel::reference
