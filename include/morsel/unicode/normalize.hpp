// Unicode normalization forms C, D, KC and KD, with the origin of every character. Unicode Standard Annex 15.
// Each result character carries a change count: 0 replaces the next input character, +n is inserted after it, -n replaces one
// and removes n more; aligned_text.hpp turns those into byte origins exactly as the reference (Hugging Face tokenizers) does.
// Linear but for the sort of combining marks (n log n in the length of a run of marks).
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/unicode/normalization_tables.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::unicode {

enum class NormalForm { nfd, nfkd, nfc, nfkc };  // the order of the bits in normalization_flags

// A character of a transformed text and what became of the input for it.
struct ChangedCharacter {
    char32_t value = 0;
    std::ptrdiff_t change = 0;  // 0 replaces one input character; > 0 is new; -n replaces one and removes the n after it
};

// Which characters count. Hugging Face tokenizers normalizes with tables of Unicode 9.0: what came later is to it unassigned,
// so it neither decomposes nor moves.
enum class Repertoire { all, unicode_9 };

inline std::uint8_t combining_class(char32_t c) noexcept {
    using namespace unicode_tables;
    return c > 0x10FFFF ? std::uint8_t{0} : combining_class_values[static_cast<std::size_t>(combining_class_blocks[c >> 7]) * 128 + (c & 127)];
}

namespace detail {

inline constexpr char32_t hangul_s = 0xAC00, hangul_l = 0x1100, hangul_v = 0x1161, hangul_t = 0x11A7;
inline constexpr char32_t hangul_l_count = 19, hangul_v_count = 21, hangul_t_count = 28, hangul_s_count = 11172;

inline std::uint8_t normalization_flags(char32_t c) noexcept {
    using namespace unicode_tables;
    return c > 0x10FFFF ? std::uint8_t{0} : normalization_flags_values[static_cast<std::size_t>(normalization_flags_blocks[c >> 7]) * 128 + (c & 127)];
}

inline bool is_after_unicode_9(char32_t c) noexcept { return (normalization_flags(c) & 32) != 0; }
inline std::uint8_t combining_class(char32_t c, Repertoire repertoire) noexcept {
    return repertoire == Repertoire::unicode_9 && is_after_unicode_9(c) ? std::uint8_t{0} : unicode::combining_class(c);
}

// Calls emit(code point) for the full decomposition of c.
template <class Emit> void decompose(char32_t c, bool compatible, Emit&& emit) {
    using namespace unicode_tables;
    if (c < 0xA0) return emit(c);
    if (c - hangul_s < hangul_s_count) {
        const char32_t index = c - hangul_s, t = index % hangul_t_count;
        emit(hangul_l + index / (hangul_v_count * hangul_t_count));
        emit(hangul_v + index % (hangul_v_count * hangul_t_count) / hangul_t_count);
        if (t != 0) emit(hangul_t + t);
        return;
    }
    const auto rank = c > 0x10FFFF ? 0 : decomposition_values[static_cast<std::size_t>(decomposition_blocks[c >> 7]) * 128 + (c & 127)];
    const Decomposition& record = decomposition_records[rank];
    const std::size_t start = compatible ? record.compatible : record.canonical;
    const std::size_t size = compatible ? record.compatible_size : record.canonical_size;
    if (size == 0) return emit(c);
    for (std::size_t i = 0; i < size; ++i) emit(decomposition_store[start + i]);
}

// The primary composite of the pair, or 0.
inline char32_t compose(char32_t a, char32_t b) noexcept {
    using namespace unicode_tables;
    if (a - hangul_l < hangul_l_count && b - hangul_v < hangul_v_count)
        return hangul_s + ((a - hangul_l) * hangul_v_count + (b - hangul_v)) * hangul_t_count;
    if (a - hangul_s < hangul_s_count && (a - hangul_s) % hangul_t_count == 0 && b > hangul_t && b < hangul_t + hangul_t_count)
        return a + (b - hangul_t);
    const Composition* found = std::lower_bound(std::begin(compositions), std::end(compositions), Composition{a, b, 0},
        [](const Composition& x, const Composition& y) { return x.first != y.first ? x.first < y.first : x.second < y.second; });
    return found != std::end(compositions) && found->first == a && found->second == b ? found->composed : 0;
}

// Decomposes text from `position` on and puts marks into canonical order; change counts stay with their characters.
inline std::vector<ChangedCharacter> decomposed(std::string_view text, bool compatible, Repertoire repertoire) {
    std::vector<ChangedCharacter> out;
    out.reserve(text.size());
    std::size_t marks = 0;  // where the run of characters with a class other than 0 begins
    const auto class_of = [&](char32_t c) { return combining_class(c, repertoire); };
    const auto by_class = [&](const ChangedCharacter& x, const ChangedCharacter& y) { return class_of(x.value) < class_of(y.value); };
    const auto order = [&] {
        if (out.size() - marks > 1) std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(marks), out.end(), by_class);
    };
    for (std::size_t i = 0; i < text.size();) {
        std::ptrdiff_t change = 0;
        const auto emit = [&](char32_t c) {
            const bool is_starter = class_of(c) == 0;
            if (is_starter) order();
            out.push_back({c, change});
            if (is_starter) marks = out.size();
            change = 1;
        };
        const char32_t c = next_code_point(text, i);
        if (repertoire == Repertoire::unicode_9 && is_after_unicode_9(c)) emit(c);
        else decompose(c, compatible, emit);
    }
    order();
    return out;
}

// Canonical composition in place. A composite's change is the sum over its parts, one less for each part but the first.
inline void compose_all(std::vector<ChangedCharacter>& text, Repertoire repertoire) {
    std::size_t out = 0, starter = 0;
    bool has_starter = false;
    int last_class = -1;  // of the last character kept after the starter; -1: none, so the next one is adjacent
    for (std::size_t i = 0; i < text.size(); ++i) {
        const ChangedCharacter c = text[i];
        const int ccc = combining_class(c.value, repertoire);
        if (has_starter && last_class < ccc) {
            const char32_t composite = compose(text[starter].value, c.value);
            if (composite != 0 && !(repertoire == Repertoire::unicode_9 && is_after_unicode_9(composite))) {
                text[starter].value = composite;
                text[starter].change += c.change - 1;
                continue;
            }
        }
        if (ccc == 0) starter = out, has_starter = true, last_class = -1;
        else last_class = ccc;
        text[out++] = c;
    }
    text.resize(out);
}

// Bytes of the character at `at` if it surely is in that form and no mark, without a look at the tables: an ideograph from U+4000 to U+9FFF, and
// for NFC Latin and Cyrillic letters, kana, ideographic punctuation and Hangul syllables. Else 0.
inline std::size_t plain_size(std::string_view text, std::size_t at, NormalForm form) noexcept {
    const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
    const auto is_tail = [](unsigned b) { return (b & 0xC0) == 0x80; };
    const unsigned lead = byte(0), second = byte(1), third = byte(2);
    if (!is_tail(second)) return 0;
    const bool composed = form == NormalForm::nfc;
    if (lead < 0xE0) return composed && ((lead >= 0xC2 && lead <= 0xCB) || lead == 0xD0 || lead == 0xD1) ? 2 : 0;
    if (!is_tail(third)) return 0;
    if (lead >= 0xE4 && lead <= 0xE9) return 3;
    if (!composed) return 0;
    if (lead == 0xE3) return (second == 0x80 && third < 0xAA) || second == 0x81 || (second == 0x82 && third != 0x99 && third != 0x9A) || second == 0x83 ? 3 : 0;
    return (lead == 0xEA && second >= 0xB0) || lead == 0xEB || lead == 0xEC || (lead == 0xED && second < 0x9E) ? 3 : 0;
}

// The first character from `from` on, where one begins that does not depend on those before it, that is not surely in that form; text.size() where all
// are. (Annex 15's quick check.)
inline std::size_t first_doubt(std::string_view text, std::size_t from, NormalForm form) noexcept {
    const auto bit = static_cast<std::uint8_t>(1u << static_cast<unsigned>(form));
    std::uint8_t last = 0;
    for (std::size_t i = from; i < text.size();) {
        if (static_cast<unsigned char>(text[i]) < 0x80) {
            i += ascii_run(text, i);
            last = 0;
            continue;
        }
        if (const std::size_t size = plain_size(text, i, form)) {
            i += size;
            last = 0;
            continue;
        }
        const std::size_t begin = i;
        const char32_t c = next_code_point(text, i);
        const std::uint8_t flags = normalization_flags(c);
        if (flags & bit) return begin;
        const std::uint8_t ccc = flags & 16 ? unicode::combining_class(c) : std::uint8_t{0};
        if (ccc != 0 && ccc < last) return begin;
        last = ccc;
    }
    return text.size();
}

}  // namespace detail

// Whether the text is surely in that form already (false also for "maybe"); then it is so for every Repertoire.
inline bool is_normalized_quick(std::string_view text, NormalForm form) noexcept { return detail::first_doubt(text, 0, form) == text.size(); }

// The normalized text (of valid UTF-8) as characters with their change counts.
inline std::vector<ChangedCharacter> normalized_changes(std::string_view text, NormalForm form, Repertoire repertoire = Repertoire::all) {
    auto out = detail::decomposed(text, form == NormalForm::nfkd || form == NormalForm::nfkc, repertoire);
    if (form == NormalForm::nfc || form == NormalForm::nfkc) detail::compose_all(out, repertoire);
    return out;
}

// The normalized text, of valid UTF-8. Nothing that is normalized crosses the place before an ASCII character, so only stretches between two of them that
// have a character in doubt are looked at closely.
inline std::string normalized(std::string_view text, NormalForm form, Repertoire repertoire = Repertoire::all) {
    const auto is_ascii = [&](std::size_t i) { return static_cast<unsigned char>(text[i]) < 0x80; };
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    for (std::size_t done = 0; done < text.size();) {
        const std::size_t doubt = detail::first_doubt(text, done, form);
        std::size_t begin = doubt, end = doubt;
        while (begin < text.size() && begin > done && !is_ascii(begin)) --begin;
        while (end < text.size() && !is_ascii(end)) ++end;
        out.append(text, done, begin - done);
        for (const auto& c : normalized_changes(text.substr(begin, end - begin), form, repertoire)) append(out, c.value);
        done = end;
    }
    return out;
}

}  // namespace morsel::unicode
