// Methods of strings, lists and dicts that chat templates call, with Python's meaning. Part of the template engine, below the evaluator.
// Methods that would change a list or dict are refused, as the reference's immutable sandbox refuses them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_format.hpp"
#include "morsel/chat/jinja_runtime.hpp"

namespace morsel::jinja {

namespace detail {

inline std::size_t limit_of(const Arguments& a, std::size_t index, std::string_view name) {
    const std::int64_t limit = a.integer(index, name, -1);
    return limit < 0 ? std::string::npos : static_cast<std::size_t>(limit);
}

inline Value strings(const std::vector<std::string_view>& parts, Budget& budget, std::uint32_t line, bool tuple = false) {
    budget.charge(parts.size(), line);
    std::vector<Value> items;
    for (const auto part : parts) items.emplace_back(part);
    return make_list(std::move(items), tuple);
}

// isdigit and its like: not empty, and every code point passes.
template <class Test> bool all_code_points(std::string_view text, Test test) {
    for (std::size_t at = 0; at < text.size();)
        if (!test(unicode::next_code_point(text, at))) return false;
    return !text.empty();
}
inline bool is_cased(std::string_view text, unicode::Category wanted) {
    bool found = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto category = unicode::category(unicode::next_code_point(text, at));
        if (category == wanted) found = true;
        else if (category == unicode::Category::Lu || category == unicode::Category::Ll || category == unicode::Category::Lt) return false;
    }
    return found;
}

inline std::string swap_case(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = unicode::next_code_point(text, at);
        if (unicode::simple_lower(c) != c) append_lower(out, c);
        else append_upper(out, c);
    }
    return out;
}

inline std::string padded(const std::string& text, const Arguments& a, Budget& budget, bool left, bool right) {
    const std::int64_t width = a.integer(0, "width"), length = static_cast<std::int64_t>(length_of(text));
    if (width <= length) return text;
    const std::string* fill = a.string(1, "fillchar");
    const std::string filler = fill != nullptr ? *fill : " ";
    if (length_of(filler) != 1) fail(a.line, a.what + ": wrong argument 'fillchar'", "one character", filler);
    budget.check_text(filler.size(), static_cast<std::uint64_t>(width), a.line);
    const std::size_t padding = static_cast<std::size_t>(width - length);
    // str.center gives the odd one to the left where the width is odd.
    const std::size_t before = left && right ? padding / 2 + (padding & static_cast<std::size_t>(width) & 1) : left ? padding : 0;
    std::string out;
    for (std::size_t i = 0; i < before; ++i) out += filler;
    out += text;
    for (std::size_t i = before; i < padding; ++i) out += filler;
    return out;
}

// The [start, end) bytes that the optional arguments start and end of find, count, startswith choose.
inline std::string_view window(std::string_view text, const Arguments& a, std::size_t first, std::int64_t* start_characters = nullptr) {
    const std::int64_t size = static_cast<std::int64_t>(length_of(text));
    const auto clip = [&](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + size : i, 0, size); };
    const std::int64_t start = clip(a.integer(first, "start", 0)), end = clip(a.integer(first + 1, "end", size));
    if (start_characters != nullptr) *start_characters = start;
    if (start >= end) return {};
    const std::size_t begin = byte_of(text, static_cast<std::size_t>(start));
    return text.substr(begin, byte_of(text, static_cast<std::size_t>(end)) - begin);
}

inline bool affix(const std::string& text, const Arguments& a, bool front) {
    const std::string_view part = window(text, a, 1);
    const auto matches = [&](const Value& v) {
        if (!v.is_string()) fail(a.line, a.what + ": wrong argument", "a string or a tuple of strings", type_name(v));
        return front ? part.starts_with(v.string()) : part.ends_with(v.string());
    };
    const Value& affixes = a.at(0, "prefix");
    if (!affixes.is_tuple()) return matches(affixes);
    return std::any_of(affixes.list().begin(), affixes.list().end(), matches);
}

}  // namespace detail

// Joins the texts of values; refuses what is not a string where `strict`.
inline std::string join(const std::vector<Value>& values, const std::string& separator, bool strict, Budget& budget, std::uint32_t line) {
    std::string out;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (strict && !values[i].is_string()) fail(line, "join takes strings", "a string", type_name(values[i]));
        budget.charge(weight_of(values[i]) + separator.size() / 16, line);
        if (i > 0) out += separator;
        out += str(values[i]);
        budget.check_text(out.size(), 1, line);
    }
    return out;
}

inline std::string replace_checked(std::string_view text, const std::string& from, const std::string& to, std::size_t limit, Budget& budget, std::uint32_t line) {
    const std::size_t most = from.empty() ? text.size() + 1 : text.size() / from.size();
    budget.check_text(to.size(), std::min(most, limit), line);
    return replace(text, from, to, limit);
}

inline Value call_string_method(const std::string& s, const Arguments& a, const std::string& name, Budget& budget) {
    budget.charge(s.size() / 16 + 1, a.line);
    const auto required = [&](std::size_t index, std::string_view argument) -> const std::string& {
        const std::string* text = a.string(index, argument);
        if (text == nullptr) fail(a.line, a.what + ": missing argument", std::string(argument));
        return *text;
    };
    using unicode::Category;
    if (name == "strip" || name == "lstrip" || name == "rstrip") return a.expect({"chars"}), Value(strip(s, a.string(0, "chars"), name != "rstrip", name != "lstrip"));
    if (name == "split" || name == "rsplit") {
        a.expect({"sep", "maxsplit"});
        const std::string* separator = a.string(0, "sep");
        if (separator != nullptr && separator->empty()) fail(a.line, a.what + ": empty separator");
        const std::size_t limit = detail::limit_of(a, 1, "maxsplit");
        if (name == "rsplit" && separator == nullptr && limit != std::string::npos) fail(a.line, "rsplit at white space with a limit is not supported");
        return detail::strings(name == "split" || separator == nullptr ? split(s, separator, limit) : split_right(s, *separator, limit), budget, a.line);
    }
    if (name == "splitlines") return a.expect({"keepends"}), detail::strings(split_lines(s, a.flag(0, "keepends", false)), budget, a.line);
    if (name == "startswith") return a.expect({"prefix", "start", "end"}), Value(detail::affix(s, a, true));
    if (name == "endswith") return a.expect({"prefix", "start", "end"}), Value(detail::affix(s, a, false));
    if (name == "upper") return a.expect({}), Value(upper(s));
    if (name == "lower" || name == "casefold") return a.expect({}), Value(lower(s));
    if (name == "title") return a.expect({}), Value(title(s));
    if (name == "capitalize") return a.expect({}), Value(capitalize(s));
    if (name == "swapcase") return a.expect({}), Value(detail::swap_case(s));
    if (name == "replace") {
        a.expect({"old", "new", "count"});
        return replace_checked(s, required(0, "old"), required(1, "new"), detail::limit_of(a, 2, "count"), budget, a.line);
    }
    if (name == "join") return a.expect({"iterable"}), Value(join(elements(a.at(0, "iterable"), budget, a.line), s, true, budget, a.line));
    if (name == "find" || name == "rfind" || name == "index") {
        a.expect({"sub", "start", "end"});
        std::int64_t start = 0;
        const std::string_view part = detail::window(s, a, 1, &start);
        const std::size_t hit = name == "rfind" ? part.rfind(required(0, "sub")) : part.find(required(0, "sub"));
        if (hit == std::string_view::npos && name == "index") fail(a.line, "substring not found", {}, required(0, "sub"));
        return hit == std::string_view::npos ? Value(std::int64_t{-1}) : Value(start + static_cast<std::int64_t>(length_of(part.substr(0, hit))));
    }
    if (name == "count") {
        a.expect({"sub", "start", "end"});
        const std::string_view part = detail::window(s, a, 1);
        const std::string& wanted = required(0, "sub");
        if (wanted.empty()) return static_cast<std::int64_t>(length_of(part)) + 1;
        return static_cast<std::int64_t>(split(part, &wanted, std::string::npos).size()) - 1;
    }
    if (name == "format") return format_braces(s, a, budget);
    if (name == "isdigit" || name == "isdecimal") return a.expect({}), Value(detail::all_code_points(s, unicode::is_decimal_digit));
    if (name == "isnumeric") return a.expect({}), Value(detail::all_code_points(s, unicode::is_number));
    if (name == "isalpha") return a.expect({}), Value(detail::all_code_points(s, unicode::is_letter));
    if (name == "isalnum") return a.expect({}), Value(detail::all_code_points(s, [](char32_t c) { return unicode::is_letter(c) || unicode::is_number(c); }));
    if (name == "isspace") return a.expect({}), Value(detail::all_code_points(s, is_space));
    if (name == "isupper") return a.expect({}), Value(detail::is_cased(s, Category::Lu));
    if (name == "islower") return a.expect({}), Value(detail::is_cased(s, Category::Ll));
    if (name == "removeprefix") return a.expect({"prefix"}), Value(s.starts_with(required(0, "prefix")) ? s.substr(required(0, "prefix").size()) : s);
    if (name == "removesuffix") return a.expect({"suffix"}), Value(s.ends_with(required(0, "suffix")) ? s.substr(0, s.size() - required(0, "suffix").size()) : s);
    if (name == "ljust") return a.expect({"width", "fillchar"}), Value(detail::padded(s, a, budget, false, true));
    if (name == "rjust") return a.expect({"width", "fillchar"}), Value(detail::padded(s, a, budget, true, false));
    if (name == "center") return a.expect({"width", "fillchar"}), Value(detail::padded(s, a, budget, true, true));
    if (name == "zfill") {
        a.expect({"width"});
        const bool sign = s.starts_with('-') || s.starts_with('+');
        const std::int64_t width = a.integer(0, "width"), length = static_cast<std::int64_t>(length_of(s));
        if (width <= length) return s;
        budget.check_text(1, static_cast<std::uint64_t>(width), a.line);
        return s.substr(0, sign ? 1 : 0) + std::string(static_cast<std::size_t>(width - length), '0') + s.substr(sign ? 1 : 0);
    }
    if (name == "partition" || name == "rpartition") {
        a.expect({"sep"});
        const std::string& separator = required(0, "sep");
        if (separator.empty()) fail(a.line, a.what + ": empty separator");
        const std::size_t hit = name == "partition" ? s.find(separator) : s.rfind(separator);
        const std::string_view text = s;
        if (hit == std::string::npos) return detail::strings(name == "partition" ? std::vector<std::string_view>{text, "", ""} : std::vector<std::string_view>{"", "", text}, budget, a.line, true);
        return detail::strings({text.substr(0, hit), separator, text.substr(hit + separator.size())}, budget, a.line, true);
    }
    fail(a.line, "method not supported", {}, "str." + name);
}

// Calls the method `name` of a value that is_method knows.
inline Value call_method(const Value& self, const std::string& name, const Arguments& a, Budget& budget) {
    if (self.is_string()) return call_string_method(self.string(), a, name, budget);
    budget.charge(weight_of(self), a.line);
    if (self.is_list() && name == "index") {
        a.expect({"value"});
        const auto hit = std::find_if(self.list().begin(), self.list().end(), [&](const Value& v) { return equal(v, a.at(0, "value")); });
        if (hit == self.list().end()) fail(a.line, "value is not in the list", {}, repr(a.at(0, "value")).substr(0, 60));
        return static_cast<std::int64_t>(hit - self.list().begin());
    }
    if (self.is_list() && name == "count") {
        a.expect({"value"});
        return static_cast<std::int64_t>(std::count_if(self.list().begin(), self.list().end(), [&](const Value& v) { return equal(v, a.at(0, "value")); }));
    }
    if (self.is_dict() && name == "get") {
        a.expect({"key", "default"});
        const Value* item = find_key(self, a.at(0, "key"));
        const Value* otherwise = a.find(1, "default");
        return item != nullptr ? *item : otherwise != nullptr ? *otherwise : Value(nullptr);
    }
    if (self.is_dict() && (name == "items" || name == "keys" || name == "values")) {
        a.expect({});
        std::vector<Value> items;
        for (const auto& [key, item] : self.dict()) items.push_back(name == "keys" ? key : name == "values" ? item : make_list({key, item}, true));
        return make_list(std::move(items));
    }
    if (name == "copy") return a.expect({}), self;
    fail(a.line, "a template may not change its values", {}, type_name(self) + "." + name);
}

}  // namespace morsel::jinja
