// Text of any bytes made fit to be looked at: on one line of a terminal, or inside HTML and SVG. What could steer a terminal, turn
// the writing direction or hide (controls, formats, line separators, bytes that are no UTF-8) becomes a visible escape: \n, \x1B
// for a byte, \u{202E} for a code point. Zero-width joiners stay, since emoji and some scripts are spelt with them.
#pragma once
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

namespace detail {

inline std::string hexadecimal(unsigned value, std::size_t digits) {
    char text[8];
    const auto end = std::to_chars(text, text + sizeof text, value, 16).ptr;
    std::string out(text, end);
    for (char& c : out) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
    return out.size() < digits ? std::string(digits - out.size(), '0') + out : out;
}

// A number with so many decimals, in any locale.
inline std::string decimal(double value, int decimals) {
    char text[352];  // a double has up to 309 digits before the point
    return std::string(text, std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, std::clamp(decimals, 0, 20)).ptr);
}

inline bool is_hidden(char32_t c) noexcept {
    using unicode::Category;
    if (c == 0x200C || c == 0x200D) return false;
    const Category category = unicode::category(c);
    return category == Category::Cc || category == Category::Cf || category == Category::Zl || category == Category::Zp || category == Category::Cs;
}

}  // namespace detail

// Calls shown(characters) for stretches to be seen as they are, escaped(escape, characters) for each that is not.
template <class Shown, class Escaped> void for_each_printable(std::string_view text, Shown&& shown, Escaped&& escaped) {
    std::size_t plain = 0;  // where the stretch that needs no escape begins
    for (std::size_t at = 0; at < text.size();) {
        const unicode::CodePoint point = unicode::decode(text, at);
        const std::string_view character = text.substr(at, point.size);
        if (!point.valid || detail::is_hidden(point.value)) {
            if (plain < at) shown(text.substr(plain, at - plain));
            std::string escape;
            if (point.valid && point.value == '\n') escape = "\\n";
            else if (point.valid && point.value == '\r') escape = "\\r";
            else if (point.valid && point.value == '\t') escape = "\\t";
            else if (point.valid && point.value >= 0x80) escape = "\\u{" + detail::hexadecimal(static_cast<unsigned>(point.value), 4) + "}";
            else
                for (const char c : character) escape += "\\x" + detail::hexadecimal(static_cast<unsigned char>(c), 2);
            escaped(std::string_view(escape), character);
            plain = at + point.size;
        }
        at += point.size;
    }
    if (plain < text.size()) shown(text.substr(plain));
}

// The text on one line, safe to print.
inline std::string printable(std::string_view text) {
    std::string out;
    for_each_printable(text, [&](std::string_view plain) { out += plain; }, [&](std::string_view escape, std::string_view) { out += escape; });
    return out;
}

// The text as content or quoted attribute value of HTML, XML and SVG.
inline std::string markup(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    }
    return out;
}

}  // namespace morsel
