// Operators of chat templates: + - * / // % ** as Python has them, comparisons, and slices. Part of the template engine, below the
// evaluator. Integers are 64 bit and an overflow is an error, where Python's would grow.
#pragma once
#include <algorithm>
#include <cmath>
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

[[noreturn]] inline void overflow(std::uint32_t line) { fail(line, "integer overflow", "64 bits"); }

// Division that rounds down, and its remainder, which has the divisor's sign.
inline std::int64_t floor_divide(std::int64_t a, std::int64_t b, std::uint32_t line) {
    if (b == -1 && a == INT64_MIN) overflow(line);
    return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}
inline std::int64_t floor_remainder(std::int64_t a, std::int64_t b) {
    if (b == -1) return 0;
    const std::int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

inline Value integer_arithmetic(std::string_view op, std::int64_t a, std::int64_t b, std::uint32_t line) {
    std::int64_t result = 0;
    bool wrong = false;
    if (op == "+") wrong = __builtin_add_overflow(a, b, &result);
    else if (op == "-") wrong = __builtin_sub_overflow(a, b, &result);
    else if (op == "*") wrong = __builtin_mul_overflow(a, b, &result);
    else if (op == "**") {
        if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
        result = 1;
        for (std::int64_t i = 0; i < b && !wrong && a != 1 && !(a == 0 && i > 0); ++i) {
            if (a == -1) {
                result = b % 2 == 0 ? 1 : -1;
                break;
            }
            wrong = __builtin_mul_overflow(result, a, &result);
        }
    } else {
        if (b == 0) fail(line, "division by zero");
        if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
        result = op == "//" ? floor_divide(a, b, line) : floor_remainder(a, b);
    }
    if (wrong) overflow(line);
    return result;
}

inline Value float_arithmetic(std::string_view op, double a, double b, std::uint32_t line) {
    if (op == "+") return a + b;
    if (op == "-") return a - b;
    if (op == "*") return a * b;
    if (op == "**") return std::pow(a, b);
    if (b == 0) fail(line, "division by zero");
    if (op == "/") return a / b;
    if (op == "//") return std::floor(a / b);
    const double r = std::fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

inline Value repeated(const Value& v, std::int64_t count, Budget& budget, std::uint32_t line) {
    const auto times = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
    if (v.is_string()) {
        budget.check_text(v.string().size(), times, line);
        if (v.string().empty()) return v;
        budget.charge(v.string().size() * times / 16 + 1, line);
        std::string text;
        for (std::uint64_t i = 0; i < times; ++i) text += v.string();
        return text;
    }
    budget.check_text(std::max<std::size_t>(v.list().size(), 1), times, line);
    budget.charge(v.list().size() * times, line);
    std::vector<Value> items;
    if (!v.list().empty())
        for (std::uint64_t i = 0; i < times; ++i) items.insert(items.end(), v.list().begin(), v.list().end());
    return make_list(std::move(items), v.is_tuple());
}

}  // namespace detail

// a op b.
inline Value arithmetic(std::string_view op, const Value& a, const Value& b, Budget& budget, std::uint32_t line) {
    if (op == "%" && a.is_string()) return format_percent(a.string(), b, budget, line);
    if (a.is_undefined()) fail_undefined(a, line);
    if (b.is_undefined()) fail_undefined(b, line);
    if (a.is_number() && b.is_number())
        return a.is_float() || b.is_float() ? detail::float_arithmetic(op, a.number(), b.number(), line) : detail::integer_arithmetic(op, a.integer(), b.integer(), line);
    if (op == "+" && a.is_string() && b.is_string()) {
        budget.check_text(a.string().size() + b.string().size(), 1, line);
        budget.charge((a.string().size() + b.string().size()) / 16, line);
        return a.string() + b.string();
    }
    if (op == "+" && a.is_list() && b.is_list() && a.is_tuple() == b.is_tuple()) {
        budget.charge(a.list().size() + b.list().size(), line);
        auto items = a.list();
        items.insert(items.end(), b.list().begin(), b.list().end());
        return make_list(std::move(items), a.is_tuple());
    }
    if (op == "*" && (a.is_string() || a.is_list()) && (b.is_int() || b.is_bool())) return detail::repeated(a, b.integer(), budget, line);
    if (op == "*" && (b.is_string() || b.is_list()) && (a.is_int() || a.is_bool())) return detail::repeated(b, a.integer(), budget, line);
    fail(line, "operator '" + std::string(op) + "' does not take these values", {}, type_name(a) + " and " + type_name(b));
}

// a op b for one of == != < <= > >= in, "not in".
inline bool compare(std::string_view op, const Value& a, const Value& b, Budget& budget, std::uint32_t line) {
    if (op == "==") return same(a, b, budget, line);
    if (op == "!=") return !same(a, b, budget, line);
    if (op == "in") return contains(b, a, budget, line);
    if (op == "not in") return !contains(b, a, budget, line);
    // NaN is neither below nor above nor equal.
    if (a.is_number() && b.is_number() && (std::isnan(a.number()) || std::isnan(b.number()))) return false;
    const int sign = order(a, b, budget, line);
    return op == "<" ? sign < 0 : op == "<=" ? sign <= 0 : op == ">" ? sign > 0 : sign >= 0;
}

// value[start:stop:step] of a string, list or tuple; none stands for what is left out.
inline Value slice(const Value& value, const Value& start, const Value& stop, const Value& step_value, Budget& budget, std::uint32_t line) {
    if (value.is_undefined()) fail_undefined(value, line);
    if (!value.is_string() && !value.is_list()) fail(line, "value cannot be sliced", "a list or a string", type_name(value));
    const auto number = [&](const Value& v, std::int64_t otherwise) {
        if (v.is_none()) return otherwise;
        if (!v.is_int() && !v.is_bool()) fail(line, "slice index is no integer", {}, type_name(v));
        return v.integer();
    };
    const auto items = elements(value, budget, line);
    const auto size = static_cast<std::int64_t>(items.size());
    const std::int64_t step = std::clamp<std::int64_t>(number(step_value, 1), -size - 1, size + 1);
    if (step == 0) fail(line, "slice step is zero");
    const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const auto clip = [&](std::int64_t i) { return std::clamp(i < 0 ? i + size : i, low, high); };
    const std::int64_t from = start.is_none() ? (step > 0 ? low : high) : clip(number(start, 0));
    const std::int64_t to = stop.is_none() ? (step > 0 ? high : low) : clip(number(stop, 0));
    std::vector<Value> out;
    for (std::int64_t i = from; step > 0 ? i < to : i > to; i += step) out.push_back(items[static_cast<std::size_t>(i)]);
    if (!value.is_string()) return make_list(std::move(out), value.is_tuple());
    std::string text;
    for (const Value& c : out) text += c.string();
    return text;
}

}  // namespace morsel::jinja
