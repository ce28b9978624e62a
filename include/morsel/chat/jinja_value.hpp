// The values that a chat template computes with: Python's None, bool, int, float, str, list, tuple and dict, Jinja's undefined, and things
// that can be called. First part of the template engine (value, lexer, parser, text, filters, evaluator).
// Lists and dicts never change once made (the reference runs templates in an immutable sandbox), so they are shared, never cyclic, and
// carry their depth, which is bounded: nothing that walks a value can exhaust the stack. Integers are 64 bit: overflow is an error.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

using OrderedJson = nlohmann::ordered_json;  // keeps the order of keys, which `tojson` shows

}  // namespace morsel

namespace morsel::jinja {

inline constexpr int max_value_depth = 100;
inline constexpr std::uint64_t max_value_weight = 4'000'000;

struct Value;
struct Undefined {
    std::string name = {};  // for messages
};
struct List;
struct Dict;
struct Namespace;
// A global function ("range"), a macro (index of the evaluator's table), or a method of a value ("strip" of a string).
struct Callable {
    enum class Kind { function, macro, method } kind = Kind::function;
    std::string name = {};
    std::size_t macro = 0;
    std::shared_ptr<const Value> self = {};
};

struct Value {
    std::variant<Undefined, std::nullptr_t, bool, std::int64_t, double, std::shared_ptr<const std::string>, std::shared_ptr<const List>,
                 std::shared_ptr<const Dict>, Namespace*, Callable>
        data = Undefined{};

    Value() = default;
    Value(std::nullptr_t) : data(nullptr) {}
    Value(bool b) : data(b) {}
    Value(std::int64_t i) : data(i) {}
    Value(double d) : data(d) {}
    Value(std::string s) : data(std::make_shared<const std::string>(std::move(s))) {}
    Value(std::string_view s) : Value(std::string(s)) {}
    Value(const char* s) : Value(std::string(s)) {}
    Value(Namespace* n) : data(n) {}
    Value(Callable c) : data(std::move(c)) {}
    Value(Undefined u) : data(std::move(u)) {}

    bool is_undefined() const { return std::holds_alternative<Undefined>(data); }
    bool is_none() const { return std::holds_alternative<std::nullptr_t>(data); }
    bool is_bool() const { return std::holds_alternative<bool>(data); }
    bool is_int() const { return std::holds_alternative<std::int64_t>(data); }
    bool is_float() const { return std::holds_alternative<double>(data); }
    bool is_number() const { return is_bool() || is_int() || is_float(); }
    bool is_string() const { return std::holds_alternative<std::shared_ptr<const std::string>>(data); }
    bool is_list() const { return std::holds_alternative<std::shared_ptr<const List>>(data); }  // or tuple
    bool is_dict() const { return std::holds_alternative<std::shared_ptr<const Dict>>(data); }
    bool is_namespace() const { return std::holds_alternative<Namespace*>(data); }
    bool is_callable() const { return std::holds_alternative<Callable>(data); }

    const std::string& string() const { return *std::get<std::shared_ptr<const std::string>>(data); }
    const std::vector<Value>& list() const;
    bool is_tuple() const;
    const std::vector<std::pair<Value, Value>>& dict() const;
    // bool, int and float as numbers; bool counts as 0 or 1.
    std::int64_t integer() const { return is_bool() ? std::get<bool>(data) : std::get<std::int64_t>(data); }
    double number() const { return is_float() ? std::get<double>(data) : static_cast<double>(integer()); }
};

struct List {
    std::vector<Value> items = {};
    bool tuple = false;
    int depth = 1;
    std::uint64_t weight = 1;
};
struct Dict {
    std::vector<std::pair<Value, Value>> items = {};  // in order of insertion; keys differ
    int depth = 1;
    std::uint64_t weight = 1;
};
// Changed by {% set ns.name = … %}; owned by the evaluator, so that it may hold itself.
struct Namespace {
    std::vector<std::pair<std::string, Value>> items = {};
};
inline const std::vector<Value>& Value::list() const { return std::get<std::shared_ptr<const List>>(data)->items; }
inline bool Value::is_tuple() const { return is_list() && std::get<std::shared_ptr<const List>>(data)->tuple; }
inline const std::vector<std::pair<Value, Value>>& Value::dict() const { return std::get<std::shared_ptr<const Dict>>(data)->items; }

inline int depth_of(const Value& value) {
    if (value.is_list()) return std::get<std::shared_ptr<const List>>(value.data)->depth;
    if (value.is_dict()) return std::get<std::shared_ptr<const Dict>>(value.data)->depth;
    return value.is_callable() && std::get<Callable>(value.data).self ? depth_of(*std::get<Callable>(value.data).self) + 1 : 0;
}

// What it costs to print or compare the value: its elements all the way down, 16 bytes of text as one. A list that holds another one
// twice counts it twice, so nothing small can print as something huge.
inline std::uint64_t weight_of(const Value& value) {
    if (value.is_string()) return 1 + value.string().size() / 16;
    if (value.is_list()) return std::get<std::shared_ptr<const List>>(value.data)->weight;
    if (value.is_dict()) return std::get<std::shared_ptr<const Dict>>(value.data)->weight;
    return 1;
}

namespace detail {
template <class Collection> void add_child(Collection& collection, const Value& child) {
    collection.depth = std::max(collection.depth, depth_of(child) + 1);
    collection.weight += weight_of(child);
    if (collection.depth > max_value_depth) throw Error("value nested too deeply", {.expected = "at most " + std::to_string(max_value_depth) + " levels"});
    if (collection.weight > max_value_weight) throw Error("value too large", {.expected = "at most " + std::to_string(max_value_weight) + " elements"});
}
}  // namespace detail

inline Value make_list(std::vector<Value> items, bool tuple = false) {
    List list{.items = {}, .tuple = tuple};
    for (const Value& item : items) detail::add_child(list, item);
    list.items = std::move(items);
    Value value;
    value.data = std::make_shared<const List>(std::move(list));
    return value;
}
inline Value make_dict(std::vector<std::pair<Value, Value>> items) {
    Dict dict;
    for (const auto& [key, item] : items) detail::add_child(dict, key), detail::add_child(dict, item);
    dict.items = std::move(items);
    Value value;
    value.data = std::make_shared<const Dict>(std::move(dict));
    return value;
}

// Python's name of the type, for messages.
inline std::string type_name(const Value& v) {
    constexpr const char* names[] = {"undefined", "none", "bool", "int", "float", "str", "list", "dict", "namespace", "function"};
    return v.is_tuple() ? "tuple" : names[v.data.index()];
}

inline bool truthy(const Value& v) {
    if (v.is_undefined() || v.is_none()) return false;
    if (v.is_number()) return v.number() != 0;
    if (v.is_string()) return !v.string().empty();
    if (v.is_list()) return !v.list().empty();
    if (v.is_dict()) return !v.dict().empty();
    return true;
}

inline bool equal(const Value& a, const Value& b) {
    if (a.is_number() && b.is_number()) return a.is_float() || b.is_float() ? a.number() == b.number() : a.integer() == b.integer();
    if (a.data.index() != b.data.index()) return false;
    if (a.is_string()) return a.string() == b.string();
    if (a.is_list()) {
        const auto &x = a.list(), &y = b.list();
        if (a.is_tuple() != b.is_tuple() || x.size() != y.size()) return false;
        for (std::size_t i = 0; i < x.size(); ++i)
            if (!equal(x[i], y[i])) return false;
        return true;
    }
    if (a.is_dict()) {
        if (a.dict().size() != b.dict().size()) return false;
        for (const auto& [key, item] : a.dict()) {
            bool same = false;
            for (const auto& [other_key, other] : b.dict())
                if (equal(key, other_key)) same = equal(item, other);
            if (!same) return false;
        }
        return true;
    }
    if (a.is_namespace()) return std::get<Namespace*>(a.data) == std::get<Namespace*>(b.data);
    if (a.is_callable()) return std::get<Callable>(a.data).name == std::get<Callable>(b.data).name && std::get<Callable>(a.data).macro == std::get<Callable>(b.data).macro;
    return true;  // undefined, none
}

// The value of that key, or null.
inline const Value* find_key(const Value& dict, const Value& key) {
    for (const auto& [k, item] : dict.dict())
        if (equal(k, key)) return &item;
    return nullptr;
}

// As Python prints a float: the shortest digits that read back, with an exponent outside 1e-4 … 1e16.
inline std::string float_text(double x) {
    if (std::isnan(x)) return "nan";
    if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
    char buffer[64];
    const double size = std::abs(x);
    const auto format = x == 0 || (size >= 1e-4 && size < 1e16) ? std::chars_format::fixed : std::chars_format::scientific;
    std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, x, format).ptr);
    if (format == std::chars_format::fixed && text.find('.') == std::string::npos) text += ".0";
    return text;
}

// Python's repr of a string: single quotes unless the text has those and no double ones; what cannot be printed is escaped.
inline std::string string_repr(std::string_view text) {
    const char quote = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
    const auto hex = [](std::uint32_t value, int digits) {
        std::string s;
        for (int i = digits - 1; i >= 0; --i) s += "0123456789abcdef"[value >> (4 * i) & 15];
        return s;
    };
    std::string out(1, quote);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        const char32_t c = unicode::next_code_point(text, at);
        using unicode::Category;
        const Category category = unicode::category(c);
        if (c == static_cast<char32_t>(quote) || c == '\\') out += '\\', out += static_cast<char>(c);
        else if (c == '\n') out += "\\n";
        else if (c == '\r') out += "\\r";
        else if (c == '\t') out += "\\t";
        else if (c != ' ' && (category == Category::Cn || category >= Category::Zs))
            out += c < 0x100 ? "\\x" + hex(c, 2) : c < 0x10000 ? "\\u" + hex(c, 4) : "\\U" + hex(c, 8);
        else out += text.substr(start, at - start);
    }
    return out + quote;
}

// Python's repr; depth is bounded by the value's own.
inline std::string repr(const Value& v) {
    if (v.is_undefined()) return "Undefined";
    if (v.is_none()) return "None";
    if (v.is_bool()) return v.integer() != 0 ? "True" : "False";
    if (v.is_int()) return std::to_string(v.integer());
    if (v.is_float()) return float_text(v.number());
    if (v.is_string()) return string_repr(v.string());
    if (v.is_list()) {
        std::string text(1, v.is_tuple() ? '(' : '[');
        for (const Value& item : v.list()) text += (text.size() > 1 ? ", " : "") + repr(item);
        if (v.is_tuple() && v.list().size() == 1) text += ',';
        return text + (v.is_tuple() ? ')' : ']');
    }
    if (v.is_dict()) {
        std::string text = "{";
        for (const auto& [key, item] : v.dict()) text += (text.size() > 1 ? ", " : "") + repr(key) + ": " + repr(item);
        return text + '}';
    }
    return v.is_namespace() ? "<Namespace>" : "<function " + std::get<Callable>(v.data).name + '>';
}

// Python's str: what {{ … }} prints.
inline std::string str(const Value& v) {
    if (v.is_string()) return v.string();
    return v.is_undefined() ? std::string() : repr(v);
}

// From JSON; deeper than max_value_depth is an Error (found before any deeper recursion).
inline Value from_json(const OrderedJson& json, int depth = 0) {
    if (depth > max_value_depth) throw Error("JSON nested too deeply for a template", {.expected = "at most " + std::to_string(max_value_depth) + " levels"});
    switch (json.type()) {
        case OrderedJson::value_t::boolean: return Value(json.get<bool>());
        case OrderedJson::value_t::number_unsigned:
            if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) throw Error("integer too large for a template", {.found = json.dump()});
            [[fallthrough]];
        case OrderedJson::value_t::number_integer: return Value(json.get<std::int64_t>());
        case OrderedJson::value_t::number_float: return Value(json.get<double>());
        case OrderedJson::value_t::string: return Value(json.get<std::string>());
        case OrderedJson::value_t::array: {
            std::vector<Value> items;
            for (const auto& item : json) items.push_back(from_json(item, depth + 1));
            return make_list(std::move(items));
        }
        case OrderedJson::value_t::object: {
            std::vector<std::pair<Value, Value>> items;
            for (const auto& [key, item] : json.items()) items.emplace_back(key, from_json(item, depth + 1));
            return make_dict(std::move(items));
        }
        default: return Value(nullptr);
    }
}

}  // namespace morsel::jinja
