// Python's two ways to fill in a template string: "%s and %d" % values, and "{} and {name}".format(…). Part of the template engine.
// Leaves out conversions other than s, r, d, i, f, e, g, x, o, c, %, widths taken from arguments, and attributes inside {}.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_runtime.hpp"

namespace morsel::jinja {

// A number as printf formats it; the flags, width and precision were checked by the caller.
template <class Number> std::string printf_text(const std::string& format, Number number) {
    std::string text(1500, '\0');  // width and precision are below 1000, a double has 309 digits before its point
    const int size = std::snprintf(text.data(), text.size(), format.c_str(), number);
    text.resize(static_cast<std::size_t>(std::max(0, size)));
    return text;
}

// format % values; `values` is a tuple, a dict for %(name)s, or one value.
inline std::string format_percent(const std::string& format, const Value& values, Budget& budget, std::uint32_t line) {
    std::string out;
    std::size_t used = 0;
    const auto bad = [&](std::string found) { fail(line, "bad format string", "%s, %d, %f and the like", std::move(found)); };
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            out += format[i];
            continue;
        }
        const std::size_t start = i++;
        const Value* value = nullptr;
        if (i < format.size() && format[i] == '(') {
            const std::size_t end = format.find(')', i);
            if (end == std::string::npos || !values.is_dict()) bad("%(");
            value = find_key(values, Value(format.substr(i + 1, end - i - 1)));
            if (value == nullptr) fail(line, "format string names a key that is not there", {}, format.substr(i + 1, end - i - 1));
            i = end + 1;
        }
        std::string spec;
        bool left = false;
        while (i < format.size() && std::string_view("-+ 0#").find(format[i]) != std::string_view::npos) left |= format[i] == '-', spec += format[i++];
        const auto number = [&] {
            std::size_t n = 0;
            for (; i < format.size() && format[i] >= '0' && format[i] <= '9'; ++i) n = std::min<std::size_t>(n * 10 + static_cast<std::size_t>(format[i] - '0'), 1000);
            if (n >= 1000) bad("a width of 1000 or more");
            return n;
        };
        const std::size_t width = number();
        if (width > 0) spec += std::to_string(width);
        std::size_t precision = std::string::npos;
        if (i < format.size() && format[i] == '.') ++i, precision = number(), spec += "." + std::to_string(precision);
        if (i >= format.size()) bad(format.substr(start));
        const char kind = format[i];
        if (kind == '%') {
            out += '%';
            continue;
        }
        if (value == nullptr) {
            const bool tuple = values.is_tuple();
            if (used >= (tuple ? values.list().size() : 1)) fail(line, "not enough values for the format string");
            value = tuple ? &values.list()[used] : &values;
            ++used;
        }
        const auto integer = [&]() -> long long {
            if (!value->is_number()) fail(line, "format string takes a number", {}, type_name(*value));
            return value->is_float() ? static_cast<long long>(std::clamp(value->number(), -9e18, 9e18)) : value->integer();
        };
        switch (kind) {
            case 's': case 'r': {
                budget.charge(weight_of(*value), line);
                std::string text = kind == 's' ? str(*value) : repr(*value);
                if (precision != std::string::npos) text.resize(byte_of(text, precision));
                const std::size_t length = length_of(text), padding = width > length ? width - length : 0;
                out += left ? text + std::string(padding, ' ') : std::string(padding, ' ') + text;
                break;
            }
            case 'd': case 'i': case 'u': out += printf_text("%" + spec + "lld", integer()); break;
            case 'x': case 'X': case 'o': {
                const long long n = integer();
                if (n < 0) fail(line, "negative numbers in %x and %o are not supported");
                out += printf_text("%" + spec + "ll" + kind, n);
                break;
            }
            case 'f': case 'F': case 'e': case 'E': case 'g': case 'G':
                if (!value->is_number()) fail(line, "format string takes a number", {}, type_name(*value));
                out += printf_text("%" + spec + kind, value->number());
                break;
            case 'c':
                if (value->is_string()) out += value->string();
                else append(out, static_cast<char32_t>(integer()));
                break;
            default: bad(std::string("%") + kind);
        }
        budget.check_text(out.size(), 1, line);
    }
    if (values.is_tuple() && used < values.list().size()) fail(line, "not all values used by the format string");
    return out;
}

// format.format(values): {}, {0}, {name}, and {{ }} for braces.
inline std::string format_braces(const std::string& format, const Arguments& arguments, Budget& budget) {
    std::string out;
    std::size_t automatic = 0;
    for (std::size_t i = 0; i < format.size(); ++i) {
        const char c = format[i];
        if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
            out += c, ++i;
        } else if (c == '{') {
            const std::size_t end = format.find('}', i);
            if (end == std::string::npos) fail(arguments.line, "bad format string", "'}'");
            const std::string field = format.substr(i + 1, end - i - 1);
            if (field.find_first_of(":!.[{") != std::string::npos) fail(arguments.line, "format specification not supported", "{}, {0} or {name}", "{" + field + "}");
            const bool number = !field.empty() && std::all_of(field.begin(), field.end(), [](char d) { return d >= '0' && d <= '9'; });
            const Value* value = nullptr;
            if (field.empty() || number) {
                const std::size_t index = field.empty() ? automatic++ : field.size() > 6 ? std::string::npos : std::stoul(field);
                if (index < arguments.values.size()) value = &arguments.values[index];
            } else {
                value = arguments.find(std::string::npos, field);
            }
            if (value == nullptr) fail(arguments.line, "format string names a value that is not there", {}, "{" + field + "}");
            budget.charge(weight_of(*value), arguments.line);
            out += str(*value);
            i = end;
        } else if (c == '}') {
            fail(arguments.line, "bad format string", "'}}'");
        } else {
            out += c;
        }
        budget.check_text(out.size(), 1, arguments.line);
    }
    return out;
}

}  // namespace morsel::jinja
