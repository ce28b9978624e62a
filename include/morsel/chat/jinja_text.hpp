// Python's string functions as chat templates use them: case, strip, split, replace, indent, %-formatting, str.format, and json.dumps. Part
// of the template engine, below filters and methods. Text is UTF-8; lengths and positions that templates see are code points.
// Leaves out the special casings that need a table (ﬁ to FI) or context (final sigma); ß has its SS.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_lexer.hpp"
#include "morsel/chat/jinja_value.hpp"

namespace morsel::jinja {

inline std::size_t length_of(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// The byte at which code point `index` begins, the size of the text beyond the last.
inline std::size_t byte_of(std::string_view text, std::size_t index) {
    std::size_t at = 0;
    while (index > 0 && at < text.size()) unicode::next_code_point(text, at), --index;
    return at;
}

inline std::vector<std::string_view> characters_of(std::string_view text) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        unicode::next_code_point(text, at);
        out.push_back(text.substr(start, at - start));
    }
    return out;
}

// Upper case of one code point: the first that has it as its lower case, which the shared tables do not hold directly.
inline char32_t simple_upper(char32_t c) {
    if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
    switch (c) {
        case 0xB5: return 0x39C;    // micro sign
        case 0x131: return 'I';     // dotless i
        case 0x17F: return 'S';     // long s
        case 0x3C2: return 0x3A3;   // final sigma
        default: break;
    }
    char32_t best = c;
    for (const auto delta : unicode_tables::lower_deltas) {
        const auto candidate = static_cast<char32_t>(static_cast<std::int32_t>(c) - static_cast<std::int32_t>(delta));
        if (candidate != c && candidate <= 0x10FFFF && unicode::simple_lower(candidate) == c && (best == c || candidate < best)) best = candidate;
    }
    return best;
}

inline void append(std::string& out, char32_t c) {
    char bytes[4];
    out.append(bytes, unicode::encode(c, bytes));
}
inline void append_upper(std::string& out, char32_t c, bool title = false) {
    if (c == 0xDF) out += title ? "Ss" : "SS";
    else append(out, simple_upper(c));
}
inline void append_lower(std::string& out, char32_t c) {
    const auto lower = unicode::lower(c);
    append(out, lower.first);
    if (lower.second != 0) append(out, lower.second);
}

inline std::string upper(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) append_upper(out, unicode::next_code_point(text, at));
    return out;
}
inline std::string lower(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) append_lower(out, unicode::next_code_point(text, at));
    return out;
}
inline std::string capitalize(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const bool first = at == 0;
        const char32_t c = unicode::next_code_point(text, at);
        if (first) append_upper(out, c, true);
        else append_lower(out, c);
    }
    return out;
}
// str.title: a letter after anything uncased is upper, the others lower.
inline std::string title(std::string_view text) {
    using unicode::Category;
    std::string out;
    bool after_cased = false;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = unicode::next_code_point(text, at);
        if (after_cased) append_lower(out, c);
        else append_upper(out, c, true);
        const Category category = unicode::category(c);
        after_cased = category == Category::Lu || category == Category::Ll || category == Category::Lt;
    }
    return out;
}
// Jinja's title filter: a letter after white space or one of -({[< is upper, the others lower.
inline std::string title_words(std::string_view text) {
    std::string out;
    bool start = true;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = unicode::next_code_point(text, at);
        if (start) append_upper(out, c);
        else append_lower(out, c);
        start = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    }
    return out;
}

// Strips code points of `chars`, or white space where that is null.
inline std::string_view strip(std::string_view text, const std::string* chars, bool left = true, bool right = true) {
    if (chars == nullptr) {
        if (left) text = strip_left(text);
        return right ? strip_right(text) : text;
    }
    const auto set = characters_of(*chars);
    auto letters = characters_of(text);
    const auto drop = [&](std::string_view c) { return std::find(set.begin(), set.end(), c) != set.end(); };
    std::size_t first = 0, last = letters.size();
    while (left && first < last && drop(letters[first])) ++first;
    while (right && first < last && drop(letters[last - 1])) --last;
    if (first == last) return {};
    const std::size_t begin = static_cast<std::size_t>(letters[first].data() - text.data());
    return text.substr(begin, static_cast<std::size_t>(letters[last - 1].data() - text.data()) + letters[last - 1].size() - begin);
}

// str.split: at `separator`, or at runs of white space where that is null; at most `limit` cuts.
inline std::vector<std::string_view> split(std::string_view text, const std::string* separator, std::size_t limit) {
    std::vector<std::string_view> out;
    if (separator != nullptr) {
        std::size_t at = 0;
        for (std::size_t cut; out.size() < limit && (cut = text.find(*separator, at)) != std::string_view::npos; at = cut + separator->size())
            out.push_back(text.substr(at, cut - at));
        out.push_back(text.substr(at));
        return out;
    }
    for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
        if (out.size() == limit) {
            out.push_back(text);
            break;
        }
        std::size_t end = 0;
        while (end < text.size()) {
            std::size_t after = end;
            if (is_space(unicode::next_code_point(text, after))) break;
            end = after;
        }
        out.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return out;
}
// str.rsplit with a separator.
inline std::vector<std::string_view> split_right(std::string_view text, const std::string& separator, std::size_t limit) {
    std::vector<std::string_view> out;
    for (std::size_t cut; out.size() < limit && (cut = text.rfind(separator)) != std::string_view::npos; text = text.substr(0, cut))
        out.push_back(text.substr(cut + separator.size()));
    out.push_back(text);
    std::reverse(out.begin(), out.end());
    return out;
}
// str.splitlines at \n, \r, \r\n.
inline std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find_first_of("\n\r", at), text.size());
        const std::size_t next = end + (text.substr(end).starts_with("\r\n") ? 2 : end < text.size() ? 1 : 0);
        out.push_back(text.substr(at, (keep_ends ? next : end) - at));
        at = next;
    }
    return out;
}

// str.replace; an empty `from` is found before every code point and at the end.
inline std::string replace(std::string_view text, std::string_view from, std::string_view to, std::size_t limit) {
    std::string out;
    std::size_t at = 0;
    if (from.empty()) {
        for (; limit > 0; --limit) {
            out += to;
            if (at == text.size()) break;
            const std::size_t start = at;
            unicode::next_code_point(text, at);
            out += text.substr(start, at - start);
        }
        return out.append(text.substr(at));
    }
    for (std::size_t hit; limit > 0 && (hit = text.find(from, at)) != std::string_view::npos; at = hit + from.size(), --limit) {
        out += text.substr(at, hit - at);
        out += to;
    }
    return out.append(text.substr(at));
}

inline std::string escape_html(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '&') out += "&amp;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (c == '"') out += "&#34;";
        else if (c == '\'') out += "&#39;";
        else out += c;
    }
    return out;
}

// What json.dumps takes.
struct JsonStyle {
    bool ascii = false;             // escape everything else
    bool indented = false;
    std::string indent = {};        // of one level
    std::string item_separator = ", ", key_separator = ": ";
    bool sort_keys = false;
};

inline std::string json_string(std::string_view text, bool ascii) {
    std::string out = "\"";
    char buffer[16];
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const char32_t c = unicode::next_code_point(text, at);
        constexpr std::string_view special = "\"\\\n\r\t\f\b", letters = "\"\\nrtfb";
        if (c < 0x80 && special.find(static_cast<char>(c)) != std::string_view::npos) {
            out += '\\', out += letters[special.find(static_cast<char>(c))];
        } else if (c < 0x20 || (ascii && c > 0x7E && c < 0x10000)) {
            if (c == 0x7F) out += '\x7F';
            else out.append(buffer, static_cast<std::size_t>(std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c))));
        } else if (ascii && c >= 0x10000) {
            const unsigned high = 0xD800 + ((c - 0x10000) >> 10), low = 0xDC00 + ((c - 0x10000) & 0x3FF);
            out.append(buffer, static_cast<std::size_t>(std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x", high, low)));
        } else {
            out += text.substr(start, at - start);
        }
    }
    return out + '"';
}

// Python's json.dumps; throws Error for what JSON cannot hold. Depth is bounded by the value's own.
inline void write_json(const Value& v, const JsonStyle& style, std::size_t level, std::string& out) {
    const auto scalar = [](const Value& x) -> std::string {
        if (x.is_none()) return "null";
        if (x.is_bool()) return x.integer() != 0 ? "true" : "false";
        if (x.is_float() && std::isnan(x.number())) return "NaN";
        if (x.is_float() && std::isinf(x.number())) return x.number() > 0 ? "Infinity" : "-Infinity";
        return repr(x);
    };
    const auto line = [&](std::size_t depth) {
        if (!style.indented) return;
        out += '\n';
        for (std::size_t i = 0; i < depth; ++i) out += style.indent;
    };
    if (v.is_none() || v.is_number()) {
        out += scalar(v);
    } else if (v.is_string()) {
        out += json_string(v.string(), style.ascii);
    } else if (v.is_list()) {
        out += '[';
        for (std::size_t i = 0; i < v.list().size(); ++i) {
            if (i > 0) out += style.item_separator;
            line(level + 1);
            write_json(v.list()[i], style, level + 1, out);
        }
        if (!v.list().empty()) line(level);
        out += ']';
    } else if (v.is_dict()) {
        auto items = v.dict();
        if (style.sort_keys) std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return str(a.first) < str(b.first); });
        out += '{';
        for (std::size_t i = 0; i < items.size(); ++i) {
            if (i > 0) out += style.item_separator;
            line(level + 1);
            const Value& key = items[i].first;
            if (!key.is_string() && !key.is_number() && !key.is_none()) throw Error("key that JSON cannot hold", {.found = type_name(key)});
            out += json_string(key.is_string() ? key.string() : scalar(key), style.ascii) + style.key_separator;
            write_json(items[i].second, style, level + 1, out);
        }
        if (!items.empty()) line(level);
        out += '}';
    } else {
        throw Error("value that JSON cannot hold", {.found = type_name(v)});
    }
}

}  // namespace morsel::jinja
