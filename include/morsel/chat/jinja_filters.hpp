// The filters of chat templates: what follows "|". Part of the template engine, below the evaluator.
// Follows Jinja 3.1's filters, with transformers' tojson. Where Jinja gives a generator this gives a list. `safe` and `escape` give plain
// strings, since nothing is escaped of itself. Leaves out groupby, pprint, random, slice, striptags, truncate, urlencode, urlize, xmlattr.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_arithmetic.hpp"
#include "morsel/chat/jinja_methods.hpp"
#include "morsel/chat/jinja_runtime.hpp"
#include "morsel/chat/jinja_tests.hpp"

namespace morsel::jinja {

Value apply_filter(const std::string& name, const Value& v, const Arguments& a, Budget& budget);

namespace detail {

inline std::string text_of(const Value& v, Budget& budget, std::uint32_t line) {
    budget.charge(weight_of(v), line);
    return str(v);
}

// What sort, unique, min and max compare: the attribute asked for, without case unless that counts.
inline Value sort_key(const Value& v, const Value* attribute, bool case_sensitive, Budget& budget, std::uint32_t line) {
    Value key = attribute != nullptr && !attribute->is_none() ? get_path(v, *attribute, budget, line) : v;
    budget.charge(weight_of(key), line);
    return !case_sensitive && key.is_string() ? Value(lower(key.string())) : key;
}

template <class Item> void sort_by_key(std::vector<std::pair<Value, Item>>& keyed, bool reverse, Budget& budget, std::uint32_t line) {
    std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& x, const auto& y) {
        return reverse ? order(y.first, x.first, budget, line) < 0 : order(x.first, y.first, budget, line) < 0;
    });
}

inline Value filter_sort(const Value& v, const Arguments& a, Budget& budget) {
    a.expect({"reverse", "case_sensitive", "attribute"});
    std::vector<std::pair<Value, Value>> keyed;
    for (Value& item : elements(v, budget, a.line)) {
        Value key = sort_key(item, a.find(2, "attribute"), a.flag(1, "case_sensitive", false), budget, a.line);
        keyed.emplace_back(std::move(key), std::move(item));
    }
    sort_by_key(keyed, a.flag(0, "reverse", false), budget, a.line);
    std::vector<Value> items;
    for (auto& [key, item] : keyed) items.push_back(std::move(item));
    return make_list(std::move(items));
}

inline Value filter_dictsort(const Value& v, const Arguments& a, Budget& budget) {
    a.expect({"case_sensitive", "by", "reverse"});
    if (!v.is_dict()) fail(a.line, a.what + " takes a dict", {}, type_name(v));
    const std::string* by = a.string(1, "by");
    if (by != nullptr && *by != "key" && *by != "value") fail(a.line, a.what + ": wrong argument 'by'", "key or value", *by);
    std::vector<std::pair<Value, Value>> keyed;
    for (const auto& [key, item] : v.dict())
        keyed.emplace_back(sort_key(by != nullptr && *by == "value" ? item : key, nullptr, a.flag(0, "case_sensitive", false), budget, a.line), make_list({key, item}, true));
    sort_by_key(keyed, a.flag(2, "reverse", false), budget, a.line);
    std::vector<Value> items;
    for (auto& [key, item] : keyed) items.push_back(std::move(item));
    return make_list(std::move(items));
}

inline Value filter_unique(const Value& v, const Arguments& a, Budget& budget) {
    a.expect({"case_sensitive", "attribute"});
    std::vector<Value> items, keys;
    for (Value& item : elements(v, budget, a.line)) {
        Value key = sort_key(item, a.find(1, "attribute"), a.flag(0, "case_sensitive", false), budget, a.line);
        bool seen = false;
        for (const Value& k : keys) seen = seen || same(k, key, budget, a.line);
        if (!seen) keys.push_back(std::move(key)), items.push_back(std::move(item));
    }
    return make_list(std::move(items));
}

inline Value filter_extreme(const Value& v, const Arguments& a, Budget& budget, int wanted) {
    a.expect({"case_sensitive", "attribute"});
    Value best = Undefined{"no aggregated item, sequence was empty"}, best_key;
    bool first = true;
    for (Value& item : elements(v, budget, a.line)) {
        Value key = sort_key(item, a.find(1, "attribute"), a.flag(0, "case_sensitive", false), budget, a.line);
        if (first || order(key, best_key, budget, a.line) == wanted) best = std::move(item), best_key = std::move(key);
        first = false;
    }
    return best;
}

inline Value filter_map(const Value& v, const Arguments& a, Budget& budget) {
    std::vector<Value> items;
    if (a.values.empty()) {
        Arguments named = a;
        named.expect({"attribute", "default"});
        const Value &attribute = named.at(0, "attribute"), *otherwise = named.find(1, "default");
        for (const Value& item : elements(v, budget, a.line)) {
            Value value = get_path(item, attribute, budget, a.line);
            items.push_back(value.is_undefined() && otherwise != nullptr ? *otherwise : std::move(value));
        }
        return make_list(std::move(items));
    }
    const std::string* name = a.string(0, "filter");
    if (name == nullptr) fail(a.line, a.what + ": wrong argument", "the name of a filter");
    if (*name == "map" || *name == "select" || *name == "reject" || *name == "selectattr" || *name == "rejectattr") fail(a.line, "filter '" + *name + "' inside map is not supported");
    const Arguments inner{{a.values.begin() + 1, a.values.end()}, a.named, "filter '" + *name + "'", a.line};
    for (const Value& item : elements(v, budget, a.line)) items.push_back(apply_filter(*name, item, inner, budget));
    return make_list(std::move(items));
}

// select, reject, selectattr, rejectattr: without a test, what is true.
inline Value filter_select(const Value& v, const Arguments& a, Budget& budget, bool wanted, bool by_attribute) {
    const std::size_t skip = by_attribute ? 1 : 0;
    if (by_attribute) a.at(0, "attribute");
    if (a.values.size() < skip) fail(a.line, a.what + ": missing argument", "attribute");
    Arguments inner{{}, a.named, {}, a.line};
    const std::string* test = a.string(skip, "test");
    if (test != nullptr) inner.values.assign(a.values.begin() + static_cast<std::ptrdiff_t>(skip) + 1, a.values.end()), inner.what = "test '" + *test + "'";
    std::vector<Value> items;
    for (Value& item : elements(v, budget, a.line)) {
        const Value subject = by_attribute ? get_path(item, a.values[0], budget, a.line) : item;
        if ((test != nullptr ? apply_test(*test, subject, inner, budget) : truthy(subject)) == wanted) items.push_back(std::move(item));
    }
    return make_list(std::move(items));
}

inline Value filter_tojson(const Value& v, const Arguments& a, Budget& budget) {
    a.expect({"ensure_ascii", "indent", "separators", "sort_keys"});
    JsonStyle style{.ascii = a.flag(0, "ensure_ascii", false), .sort_keys = a.flag(3, "sort_keys", false)};
    if (const Value* indent = a.find(1, "indent"); indent != nullptr && !indent->is_none()) {
        style.indented = true;
        style.item_separator = ",";
        style.indent = indent->is_string() ? indent->string() : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(a.integer(1, "indent"), 0, 64)), ' ');
    }
    if (const Value* separators = a.find(2, "separators"); separators != nullptr && !separators->is_none()) {
        if (!separators->is_list() || separators->list().size() != 2) fail(a.line, a.what + ": wrong argument 'separators'", "two strings", type_name(*separators));
        style.item_separator = str(separators->list()[0]);
        style.key_separator = str(separators->list()[1]);
    }
    // Indentation multiplies by the depth, separators by the elements.
    const std::uint64_t per_element = style.indent.size() * static_cast<std::uint64_t>(depth_of(v)) + style.item_separator.size() + style.key_separator.size() + 96;
    budget.charge(weight_of(v), a.line);
    budget.check_text(per_element, weight_of(v), a.line);
    std::string out;
    try {
        write_json(v, style, 0, out);
    } catch (const Error& error) {
        fail(a.line, error.reason(), {}, error.found());
    }
    return out;
}

// int(…) and float(…) as the filters do it: what cannot be read is the default.
inline bool parse_float(std::string_view text, double& value) {
    text = strip(text, nullptr);
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return !text.empty() && read.ec == std::errc() && read.ptr == text.data() + text.size();
}
inline Value filter_int(const Value& v, const Arguments& a) {
    a.expect({"default", "base"});
    if (v.is_undefined()) fail_undefined(v, a.line);
    const Value* given = a.find(0, "default");
    const Value otherwise = given != nullptr ? *given : Value(std::int64_t{0});
    if (v.is_int() || v.is_bool()) return v.integer();
    double number = 0;
    if (v.is_string()) {
        std::string_view text = strip(v.string(), nullptr);
        if (text.starts_with('+')) text.remove_prefix(1);
        const int base = static_cast<int>(std::clamp<std::int64_t>(a.integer(1, "base", 10), 2, 36));
        if (base == 16 && (text.starts_with("0x") || text.starts_with("0X"))) text.remove_prefix(2);
        std::int64_t value = 0;
        const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
        if (!text.empty() && read.ec == std::errc() && read.ptr == text.data() + text.size()) return value;
        if (!parse_float(text, number)) return otherwise;
    } else if (v.is_float()) {
        number = v.number();
    } else {
        return otherwise;
    }
    return std::isfinite(number) && std::abs(number) < 9.2e18 ? Value(static_cast<std::int64_t>(number)) : otherwise;
}
inline Value filter_float(const Value& v, const Arguments& a) {
    a.expect({"default"});
    if (v.is_undefined()) fail_undefined(v, a.line);
    if (v.is_number()) return v.number();
    double number = 0;
    if (v.is_string() && parse_float(v.string(), number)) return number;
    const Value* given = a.find(0, "default");
    return given != nullptr ? *given : Value(0.0);
}

inline Value filter_round(const Value& v, const Arguments& a) {
    a.expect({"precision", "method"});
    if (!v.is_number()) fail(a.line, a.what + " takes a number", {}, type_name(v));
    const std::string* method = a.string(1, "method");
    const std::int64_t precision = std::clamp<std::int64_t>(a.integer(0, "precision", 0), -30, 30);
    const double scale = std::pow(10.0, static_cast<double>(precision)), x = v.number();
    if (method != nullptr && *method == "ceil") return std::ceil(x * scale) / scale;
    if (method != nullptr && *method == "floor") return std::floor(x * scale) / scale;
    if (method != nullptr && *method != "common") fail(a.line, a.what + ": wrong argument 'method'", "common, ceil or floor", *method);
    if (v.is_int()) return precision >= 0 ? Value(v.integer()) : Value(static_cast<std::int64_t>(std::nearbyint(x * scale) / scale));
    double rounded = x;  // Python rounds the exact decimal value, which printf does, too
    if (precision >= 0) parse_float(printf_text("%." + std::to_string(precision) + "f", x), rounded);
    else rounded = std::nearbyint(x * scale) / scale;
    return rounded;
}

inline std::string filter_indent(const std::string& text, const Arguments& a, Budget& budget) {
    a.expect({"width", "first", "blank"});
    const Value* width = a.find(0, "width");
    std::string indent(4, ' ');
    if (width != nullptr && width->is_string()) indent = width->string();
    else if (width != nullptr) indent.assign(static_cast<std::size_t>(std::clamp<std::int64_t>(a.integer(0, "width"), 0, 1000)), ' ');
    const bool first = a.flag(1, "first", false), blank = a.flag(2, "blank", false);
    const auto lines = split_lines(text, false);
    budget.check_text(indent.size() + 1, lines.size(), a.line);
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i > 0) out += '\n';
        if (i == 0 ? first : blank || !lines[i].empty()) out += indent;
        out += lines[i];
    }
    if (text.ends_with('\n')) out += '\n' + (blank ? indent : std::string());
    return out;
}

inline Value filter_batch(const Value& v, const Arguments& a, Budget& budget) {
    a.expect({"linecount", "fill_with"});
    const std::int64_t size = a.integer(0, "linecount");
    if (size < 1 || size > 100000) fail(a.line, a.what + ": wrong argument 'linecount'", "1 to 100000", std::to_string(size));
    const Value* fill = a.find(1, "fill_with");
    std::vector<Value> rows, row;
    for (Value& item : elements(v, budget, a.line)) {
        row.push_back(std::move(item));
        if (row.size() == static_cast<std::size_t>(size)) rows.push_back(make_list(std::exchange(row, {})));
    }
    if (!row.empty()) {
        if (fill != nullptr && !fill->is_none()) row.resize(static_cast<std::size_t>(size), *fill);
        rows.push_back(make_list(std::move(row)));
    }
    return make_list(std::move(rows));
}

}  // namespace detail

// "value | name(arguments)". Throws Error for an unknown filter.
inline Value apply_filter(const std::string& name, const Value& v, const Arguments& a, Budget& budget) {
    budget.charge(1, a.line);
    const auto text = [&] { return detail::text_of(v, budget, a.line); };
    const auto items = [&] { return elements(v, budget, a.line); };
    if (name == "trim") return a.expect({"chars"}), Value(strip(text(), a.string(0, "chars")));
    if (name == "tojson") return detail::filter_tojson(v, a, budget);
    if (name == "length" || name == "count") return a.expect({}), Value(length(v, a.line));
    if (name == "default" || name == "d") {
        a.expect({"default_value", "boolean"});
        const Value* otherwise = a.find(0, "default_value");
        if (!v.is_undefined() && (truthy(v) || !a.flag(1, "boolean", false))) return v;
        return otherwise != nullptr ? *otherwise : Value("");
    }
    if (name == "upper") return a.expect({}), Value(upper(text()));
    if (name == "lower") return a.expect({}), Value(lower(text()));
    if (name == "title") return a.expect({}), Value(title_words(text()));
    if (name == "capitalize") return a.expect({}), Value(capitalize(text()));
    if (name == "string" || name == "safe") return a.expect({}), Value(text());
    if (name == "escape" || name == "e" || name == "forceescape") return a.expect({}), Value(escape_html(text()));
    if (name == "int") return detail::filter_int(v, a);
    if (name == "float") return detail::filter_float(v, a);
    if (name == "round") return detail::filter_round(v, a);
    if (name == "abs") {
        a.expect({});
        if (!v.is_number()) fail(a.line, a.what + " takes a number", {}, type_name(v));
        if (v.is_float()) return std::abs(v.number());
        if (v.integer() == INT64_MIN) fail(a.line, "integer overflow");
        return v.integer() < 0 ? -v.integer() : v.integer();
    }
    if (name == "replace") {
        a.expect({"old", "new", "count"});
        return replace_checked(text(), str(a.at(0, "old")), str(a.at(1, "new")), detail::limit_of(a, 2, "count"), budget, a.line);
    }
    if (name == "indent") return detail::filter_indent(text(), a, budget);
    if (name == "center") return a.expect({"width"}), Value(detail::padded(text(), a.values.empty() && a.named.empty() ? Arguments{{Value(std::int64_t{80})}, {}, a.what, a.line} : a, budget, true, true));
    if (name == "format") {
        if (!a.values.empty() && !a.named.empty()) fail(a.line, a.what + ": positional and named arguments together");
        std::vector<std::pair<Value, Value>> named;
        for (const auto& [key, value] : a.named) named.emplace_back(key, value);
        return format_percent(text(), a.named.empty() ? make_list(a.values, true) : make_dict(std::move(named)), budget, a.line);
    }
    if (name == "wordcount") return a.expect({}), Value(static_cast<std::int64_t>(split(text(), nullptr, std::string::npos).size()));
    if (name == "join") {
        a.expect({"d", "attribute"});
        const Value *separator = a.find(0, "d"), *attribute = a.find(1, "attribute");
        std::vector<Value> parts = items();
        if (attribute != nullptr && !attribute->is_none())
            for (Value& part : parts) part = get_path(part, *attribute, budget, a.line);
        return join(parts, separator != nullptr ? str(*separator) : std::string(), false, budget, a.line);
    }
    if (name == "list") return a.expect({}), make_list(items());
    if (name == "first" || name == "last") {
        a.expect({});
        const auto all = items();
        return all.empty() ? Value(Undefined{"no " + name + " item, sequence was empty"}) : name == "first" ? all.front() : all.back();
    }
    if (name == "items") {
        a.expect({});
        if (v.is_undefined()) return make_list({});
        if (!v.is_dict()) fail(a.line, a.what + " takes a dict", {}, type_name(v));
        return call_method(v, "items", Arguments{{}, {}, a.what, a.line}, budget);
    }
    if (name == "reverse") {
        a.expect({});
        auto all = items();
        std::reverse(all.begin(), all.end());
        return v.is_string() ? Value(join(all, "", false, budget, a.line)) : make_list(std::move(all));
    }
    if (name == "map") return detail::filter_map(v, a, budget);
    if (name == "select" || name == "reject") return detail::filter_select(v, a, budget, name == "select", false);
    if (name == "selectattr" || name == "rejectattr") return detail::filter_select(v, a, budget, name == "selectattr", true);
    if (name == "sort") return detail::filter_sort(v, a, budget);
    if (name == "dictsort") return detail::filter_dictsort(v, a, budget);
    if (name == "unique") return detail::filter_unique(v, a, budget);
    if (name == "min" || name == "max") return detail::filter_extreme(v, a, budget, name == "min" ? -1 : 1);
    if (name == "batch") return detail::filter_batch(v, a, budget);
    if (name == "sum") {
        a.expect({"attribute", "start"});
        const Value *attribute = a.find(0, "attribute"), *start = a.find(1, "start");
        Value sum = start != nullptr ? *start : Value(std::int64_t{0});
        for (const Value& item : items()) sum = arithmetic("+", sum, attribute != nullptr && !attribute->is_none() ? get_path(item, *attribute, budget, a.line) : item, budget, a.line);
        return sum;
    }
    fail(a.line, "no filter of that name", {}, "'" + name + "'");
}

}  // namespace morsel::jinja
