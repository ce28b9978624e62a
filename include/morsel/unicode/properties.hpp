// Properties of code points, from tables generated out of the Unicode Character Database (scripts/generate_unicode_tables.py).
// General category, White_Space, word characters (Unicode Technical Standard 18, \w), simple case mappings, scripts, and the
// few older definitions that tokenizers use. Every lookup takes any 32-bit value; beyond 10FFFF all is unassigned.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "morsel/unicode/case_tables.hpp"
#include "morsel/unicode/category_tables.hpp"
#include "morsel/unicode/script_tables.hpp"

namespace morsel::unicode {

enum class Category : std::uint8_t { Cn, Lu, Ll, Lt, Lm, Lo, Mn, Mc, Me, Nd, Nl, No, Pc, Pd, Ps, Pe, Pi, Pf, Po, Sm, Sc, Sk, So, Zs, Zl, Zp, Cc, Cf, Cs, Co };

namespace detail {

// Category in the low 5 bits, 32 White_Space, 64 word character, 128 added after Unicode 8.0.
inline std::uint8_t category_entry(char32_t c) noexcept {
    using namespace unicode_tables;
    return c > 0x10FFFF ? std::uint8_t{0} : category_values[static_cast<std::size_t>(category_blocks[c >> 7]) * 128 + (c & 127)];
}

inline bool in(Category value, Category first, Category last) noexcept { return value >= first && value <= last; }

}  // namespace detail

inline Category category(char32_t c) noexcept { return static_cast<Category>(detail::category_entry(c) & 31); }

inline bool is_letter(char32_t c) noexcept { return detail::in(category(c), Category::Lu, Category::Lo); }        // \p{L}
inline bool is_mark(char32_t c) noexcept { return detail::in(category(c), Category::Mn, Category::Me); }          // \p{M}
inline bool is_nonspacing_mark(char32_t c) noexcept { return category(c) == Category::Mn; }                       // \p{Mn}
inline bool is_number(char32_t c) noexcept { return detail::in(category(c), Category::Nd, Category::No); }        // \p{N}
inline bool is_decimal_digit(char32_t c) noexcept { return category(c) == Category::Nd; }                         // \p{Nd}
inline bool is_punctuation(char32_t c) noexcept { return detail::in(category(c), Category::Pc, Category::Po); }   // \p{P}
inline bool is_symbol(char32_t c) noexcept { return detail::in(category(c), Category::Sm, Category::So); }        // \p{S}
inline bool is_separator(char32_t c) noexcept { return detail::in(category(c), Category::Zs, Category::Zp); }     // \p{Z}
// \p{C} without the unassigned: controls, formats, surrogates, private use.
inline bool is_other(char32_t c) noexcept { return category(c) >= Category::Cc; }

// White_Space: \s of Unicode-aware regular expressions, and Rust's char::is_whitespace.
inline bool is_white_space(char32_t c) noexcept { return (detail::category_entry(c) & 32) != 0; }
// \w: Alphabetic, marks, decimal digits, connector punctuation, join controls.
inline bool is_word(char32_t c) noexcept { return (detail::category_entry(c) & 64) != 0; }

inline constexpr bool is_ascii_punctuation(char32_t c) noexcept {
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
}

// Simple lower case: one code point for one.
inline char32_t simple_lower(char32_t c) noexcept {
    using namespace unicode_tables;
    if (c > 0x10FFFF) return c;
    const auto rank = lower_values[static_cast<std::size_t>(lower_blocks[c >> 7]) * 128 + (c & 127)];
    return static_cast<char32_t>(static_cast<std::int32_t>(c) + lower_deltas[rank]);
}

// Full lower case of one character out of context (so no final sigma): one code point, but two for U+0130 (i, U+0307).
struct LowerCase {
    char32_t first = 0, second = 0;  // second is 0 where there is one only
};
inline LowerCase lower(char32_t c) noexcept { return c == 0x130 ? LowerCase{'i', 0x307} : LowerCase{simple_lower(c), 0}; }

// Simple case folding, for (?i): equal folded values match each other. U+017F folds to s.
inline char32_t simple_fold(char32_t c) noexcept {
    using namespace unicode_tables;
    if (c > 0x10FFFF) return c;
    const auto rank = fold_values[static_cast<std::size_t>(fold_blocks[c >> 7]) * 128 + (c & 127)];
    return static_cast<char32_t>(static_cast<std::int32_t>(c) + fold_deltas[rank]);
}

// Index into unicode_tables::script_names; 0 Unknown, 1 Common, 2 Inherited where those names come first.
inline std::uint8_t script(char32_t c) noexcept {
    using namespace unicode_tables;
    return c > 0x10FFFF ? std::uint8_t{0} : script_values[static_cast<std::size_t>(script_blocks[c >> 7]) * 128 + (c & 127)];
}
inline std::string_view script_name(std::uint8_t id) noexcept { return unicode_tables::script_names[id]; }
// The id of a script by its name in Scripts.txt; 0 where there is none of that name.
inline std::uint8_t script_id(std::string_view name) noexcept {
    std::uint8_t id = 0;
    for (const char* known : unicode_tables::script_names) {
        if (name == known) return id;
        ++id;
    }
    return 0;
}

// The ideographs that BERT sets apart with spaces. The reference's fast tokenizer begins the fifth range at 2B920, where Google's
// begins at 2B820; `google_ranges` chooses the latter.
inline constexpr bool is_bert_cjk(char32_t c, bool google_ranges = false) noexcept {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= (google_ranges ? 0x2B820u : 0x2B920u) && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
}

}  // namespace morsel::unicode
