// What filters, tests, methods and the evaluator share: the budget, arguments of a call, and Python's rules for items, attributes, order,
// membership and iteration. Part of the template engine, above values and text.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_text.hpp"
#include "morsel/chat/jinja_value.hpp"

namespace morsel::jinja {

// Limits of one rendering; beyond one it ends with an Error.
struct Limits {
    std::uint64_t max_steps = 10'000'000;         // nodes evaluated and elements touched; some seconds at most
    std::size_t max_text = std::size_t{1} << 24;  // bytes of any one string, and of the result
    int max_depth = 400;                          // of nested evaluation, macros included
    std::int64_t max_range = 100'000;             // elements of range(), as in the reference's sandbox
};

class Budget {
  public:
    explicit Budget(const Limits& limits) : limits_(limits) {}

    void charge(std::uint64_t steps, std::uint32_t line) {
        if (steps > limits_.max_steps - used_) fail(line, "template does not end in time", "at most " + std::to_string(limits_.max_steps) + " steps");
        used_ += steps;
    }
    // Before a text of that many bytes is made: count times size, without overflow.
    void check_text(std::uint64_t size, std::uint64_t count, std::uint32_t line) const {
        if (size > 0 && count > limits_.max_text / size) fail(line, "text too long", "at most " + std::to_string(limits_.max_text) + " bytes");
    }
    const Limits& limits() const { return limits_; }

  private:
    Limits limits_;
    std::uint64_t used_ = 0;
};

// Arguments of a call of a function, method, filter or test, and where it stands.
struct Arguments {
    std::vector<Value> values = {};
    std::vector<std::pair<std::string, Value>> named = {};
    std::string what = {};  // "filter 'join'"
    std::uint32_t line = 1;

    // Refuses more arguments than there are names, and other names.
    void expect(std::initializer_list<std::string_view> names) const {
        if (values.size() > names.size()) fail(line, what + ": too many arguments", "at most " + std::to_string(names.size()), std::to_string(values.size()));
        for (const auto& [name, value] : named)
            if (std::find(names.begin(), names.end(), name) == names.end()) fail(line, what + ": unknown argument", {}, name);
    }
    // The argument at that place or of that name, or null.
    const Value* find(std::size_t index, std::string_view name) const {
        if (index < values.size()) return &values[index];
        for (const auto& [n, value] : named)
            if (n == name) return &value;
        return nullptr;
    }
    const Value& at(std::size_t index, std::string_view name) const {
        if (const Value* value = find(index, name)) return *value;
        fail(line, what + ": missing argument", std::string(name));
    }
    bool flag(std::size_t index, std::string_view name, bool otherwise) const {
        const Value* value = find(index, name);
        return value != nullptr ? truthy(*value) : otherwise;
    }
    std::int64_t integer(std::size_t index, std::string_view name, std::optional<std::int64_t> otherwise = {}) const {
        const Value* value = find(index, name);
        if (value == nullptr && otherwise) return *otherwise;
        if (value == nullptr) at(index, name);
        if (!value->is_int() && !value->is_bool()) fail(line, what + ": wrong argument '" + std::string(name) + "'", "an integer", type_name(*value));
        return value->integer();
    }
    // A string, or null where it is absent or None.
    const std::string* string(std::size_t index, std::string_view name) const {
        const Value* value = find(index, name);
        if (value == nullptr || value->is_none()) return nullptr;
        if (!value->is_string()) fail(line, what + ": wrong argument '" + std::string(name) + "'", "a string", type_name(*value));
        return &value->string();
    }
};

[[noreturn]] inline void fail_undefined(const Value& value, std::uint32_t line) {
    fail(line, "'" + std::get<Undefined>(value.data).name + "' is undefined");
}

// The elements of a value that can be iterated over: list elements, keys, characters; nothing of undefined.
inline std::vector<Value> elements(const Value& value, Budget& budget, std::uint32_t line) {
    std::vector<Value> out;
    if (value.is_list()) out = value.list();
    else if (value.is_dict())
        for (const auto& item : value.dict()) out.push_back(item.first);
    else if (value.is_string())
        for (const auto c : characters_of(value.string())) out.emplace_back(c);
    else if (!value.is_undefined()) fail(line, "value is not iterable", "a list, a dict or a string", type_name(value));
    budget.charge(out.size() + 1, line);
    return out;
}

inline std::int64_t length(const Value& value, std::uint32_t line) {
    if (value.is_undefined()) return 0;
    if (value.is_string()) return static_cast<std::int64_t>(length_of(value.string()));
    if (value.is_list()) return static_cast<std::int64_t>(value.list().size());
    if (value.is_dict()) return static_cast<std::int64_t>(value.dict().size());
    fail(line, "value has no length", "a list, a dict or a string", type_name(value));
}

// Python's names of methods that a template may ask for; those that would change their object are refused when called.
inline bool is_method(const Value& value, std::string_view name) {
    const auto among = [name](std::initializer_list<std::string_view> names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    if (value.is_string())
        return among({"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "upper", "lower", "title", "capitalize",
                      "swapcase", "casefold", "replace", "join", "find", "rfind", "index", "count", "format", "isdigit", "isnumeric", "isdecimal", "isalpha",
                      "isalnum", "isspace", "isupper", "islower", "removeprefix", "removesuffix", "zfill", "ljust", "rjust", "center", "partition", "rpartition"});
    if (value.is_list()) return among({"index", "count"}) || (!value.is_tuple() && among({"append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "copy"}));
    if (value.is_dict()) return among({"get", "items", "keys", "values", "copy", "update", "pop", "popitem", "setdefault", "clear"});
    return false;
}

inline Undefined missing(const Value& value, const Value& key) {
    return Undefined{(value.is_undefined() ? "undefined" : type_name(value)) + " object has no attribute " + repr(key)};
}

// value[key] or, failing that, its attribute: undefined where there is neither.
inline Value get_item(const Value& value, const Value& key, Budget& budget, std::uint32_t line) {
    if (value.is_undefined()) fail_undefined(value, line);
    if (value.is_dict()) {
        budget.charge(value.dict().size() / 8 + 1, line);
        if (const Value* item = find_key(value, key)) return *item;
    }
    if ((value.is_list() || value.is_string()) && (key.is_int() || key.is_bool())) {
        const std::int64_t size = length(value, line), index = key.integer() < 0 ? key.integer() + size : key.integer();
        if (index < 0 || index >= size) return missing(value, key);
        if (value.is_list()) return value.list()[static_cast<std::size_t>(index)];
        const std::string_view text = value.string();
        budget.charge(text.size() / 64 + 1, line);
        const std::size_t begin = byte_of(text, static_cast<std::size_t>(index));
        std::size_t end = begin;
        unicode::next_code_point(text, end);
        return text.substr(begin, end - begin);
    }
    if (value.is_namespace() && key.is_string())
        for (const auto& [name, item] : std::get<Namespace*>(value.data)->items)
            if (name == key.string()) return item;
    if (key.is_string() && is_method(value, key.string()))
        return Callable{.kind = Callable::Kind::method, .name = key.string(), .self = std::make_shared<const Value>(value)};
    return missing(value, key);
}

// value.name: a method goes before an item.
inline Value get_attribute(const Value& value, const std::string& name, Budget& budget, std::uint32_t line) {
    if (value.is_undefined()) fail_undefined(value, line);
    if (is_method(value, name)) return Callable{.kind = Callable::Kind::method, .name = name, .self = std::make_shared<const Value>(value)};
    return get_item(value, name, budget, line);
}

// "a.b.0" as filters take it.
inline Value get_path(Value value, const Value& path, Budget& budget, std::uint32_t line) {
    if (!path.is_string()) return get_item(value, path, budget, line);
    const std::string dot = ".";
    for (const std::string_view part : split(path.string(), &dot, std::string::npos)) {
        std::int64_t index = 0;
        const bool number = !part.empty() && std::from_chars(part.data(), part.data() + part.size(), index).ptr == part.data() + part.size() && part[0] != '-';
        if (number) value = get_item(value, Value(index), budget, line);
        else value = get_item(value, Value(part), budget, line);
    }
    return value;
}

// -1, 0 or 1; numbers, strings, and lists of such have an order.
inline int order(const Value& a, const Value& b, Budget& budget, std::uint32_t line) {
    if (a.is_undefined()) fail_undefined(a, line);
    if (b.is_undefined()) fail_undefined(b, line);
    budget.charge(std::min(weight_of(a), weight_of(b)), line);
    if (a.is_number() && b.is_number()) {
        if (!a.is_float() && !b.is_float()) return a.integer() < b.integer() ? -1 : a.integer() > b.integer() ? 1 : 0;
        return a.number() < b.number() ? -1 : a.number() > b.number() ? 1 : 0;
    }
    if (a.is_string() && b.is_string()) return std::clamp(a.string().compare(b.string()), -1, 1);  // UTF-8 orders as its code points do
    if (a.is_list() && b.is_list() && a.is_tuple() == b.is_tuple()) {
        for (std::size_t i = 0; i < std::min(a.list().size(), b.list().size()); ++i)
            if (!equal(a.list()[i], b.list()[i])) return order(a.list()[i], b.list()[i], budget, line);
        return a.list().size() < b.list().size() ? -1 : a.list().size() > b.list().size() ? 1 : 0;
    }
    fail(line, "values have no order", "two numbers, strings or lists", type_name(a) + " and " + type_name(b));
}

inline bool same(const Value& a, const Value& b, Budget& budget, std::uint32_t line) {
    budget.charge(std::min(weight_of(a), weight_of(b)), line);
    return equal(a, b);
}

// item in container
inline bool contains(const Value& container, const Value& item, Budget& budget, std::uint32_t line) {
    budget.charge(weight_of(container), line);
    if (container.is_string()) {
        if (!item.is_string()) fail(line, "'in' a string takes a string", "a string", type_name(item));
        budget.charge(container.string().size() / 16 + item.string().size() / 16, line);
        return container.string().find(item.string()) != std::string::npos;
    }
    if (container.is_dict()) return find_key(container, item) != nullptr;
    if (container.is_list()) return std::any_of(container.list().begin(), container.list().end(), [&](const Value& v) { return equal(v, item); });
    if (container.is_undefined()) return false;
    fail(line, "'in' takes a list, a dict or a string", {}, type_name(container));
}

}  // namespace morsel::jinja
