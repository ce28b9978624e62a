// Values of GGUF metadata and typed access to them. Strings and arrays are views into the file; only arrays of strings own memory,
// 16 bytes a string. The alternatives of GgufValue stand in the order of the format's type numbers, so index() is the type.
// Follows docs/gguf.md of github.com/ggml-org/ggml. Leaves out nested arrays, which no known model has.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"

namespace morsel {

// An array as the file holds it: `count` elements of one type, of any alignment.
struct GgufArray {
    std::uint32_t type = 0;                      // the format's number of the element type
    std::uint64_t count = 0;                     // elements
    std::span<const std::byte> bytes = {};       // numbers and booleans: count * element size; empty for strings
    std::vector<std::string_view> strings = {};  // [count] where the elements are strings
};

using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t, float, bool,
                               std::string_view, GgufArray, std::uint64_t, std::int64_t, double>;

inline constexpr std::uint32_t gguf_bool = 7, gguf_string = 8, gguf_array = 9;

// "u32", "string"; "?" for a number that is no type.
constexpr std::string_view gguf_type_name(std::uint32_t type) {
    constexpr std::array<std::string_view, 13> names = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
    return type < names.size() ? names[type] : "?";
}

// Bytes of one element; 0 for strings, arrays and unknown types.
constexpr std::size_t gguf_type_size(std::uint32_t type) {
    constexpr std::array<std::size_t, 13> sizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizes.size() ? sizes[type] : 0;
}

// "u32", "array of string"
inline std::string gguf_type_text(const GgufValue& value) {
    if (const auto* array = std::get_if<GgufArray>(&value)) return "array of " + std::string(gguf_type_name(array->type));
    return std::string(gguf_type_name(static_cast<std::uint32_t>(value.index())));
}

namespace detail {

template <class T> inline constexpr bool is_gguf_integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;

template <class T> T load_unaligned(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// One number of type `type` at `from`, as T; nothing where it is of another kind or does not fit.
template <class T> std::optional<T> gguf_number(std::uint32_t type, const std::byte* from) {
    const auto convert = [](auto value) -> std::optional<T> {
        using Found = decltype(value);
        if constexpr (std::is_integral_v<Found> && is_gguf_integer<T>) {
            if (!std::in_range<T>(value)) return std::nullopt;
            return static_cast<T>(value);
        } else if constexpr (std::is_floating_point_v<Found> && std::is_floating_point_v<T>) {
            return static_cast<T>(value);
        } else {
            return std::nullopt;
        }
    };
    switch (type) {
        case 0: return convert(load_unaligned<std::uint8_t>(from));
        case 1: return convert(load_unaligned<std::int8_t>(from));
        case 2: return convert(load_unaligned<std::uint16_t>(from));
        case 3: return convert(load_unaligned<std::int16_t>(from));
        case 4: return convert(load_unaligned<std::uint32_t>(from));
        case 5: return convert(load_unaligned<std::int32_t>(from));
        case 6: return convert(load_unaligned<float>(from));
        case 10: return convert(load_unaligned<std::uint64_t>(from));
        case 11: return convert(load_unaligned<std::int64_t>(from));
        case 12: return convert(load_unaligned<double>(from));
        default: return std::nullopt;
    }
}

template <class T> struct GgufVector : std::false_type {};
template <class U> struct GgufVector<std::vector<U>> : std::true_type { using Element = U; };

// What an error message calls T.
template <class T> std::string gguf_expected() {
    if constexpr (std::is_same_v<T, bool>) return "bool";
    else if constexpr (is_gguf_integer<T>) return std::is_signed_v<T> ? "an integer that fits" : "an integer that fits and is not negative";
    else if constexpr (std::is_floating_point_v<T>) return "f32 or f64";
    else if constexpr (GgufVector<T>::value) return "an array, each element " + gguf_expected<typename GgufVector<T>::Element>();
    else if constexpr (std::is_same_v<T, std::span<const std::string_view>>) return "array of string";
    else return "string";
}

}  // namespace detail

// The value as T, or nothing where it is of another kind or does not fit. T is bool, an integer (from any integer type), a float
// type, std::string_view or std::string, std::span<const std::string_view>, or a std::vector of integers or floats.
// Views live as long as the file.
template <class T> std::optional<T> gguf_value_as(const GgufValue& value) {
    if constexpr (std::is_same_v<T, bool>) {
        const auto* found = std::get_if<bool>(&value);
        return found ? std::optional<T>(*found) : std::nullopt;
    } else if constexpr (std::is_arithmetic_v<T>) {
        return std::visit([&](const auto& found) -> std::optional<T> {
            using Found = std::decay_t<decltype(found)>;
            if constexpr (std::is_arithmetic_v<Found> && !std::is_same_v<Found, bool>)
                return detail::gguf_number<T>(static_cast<std::uint32_t>(value.index()), reinterpret_cast<const std::byte*>(&found));
            else return std::nullopt;
        }, value);
    } else if constexpr (std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>) {
        const auto* found = std::get_if<std::string_view>(&value);
        return found ? std::optional<T>(*found) : std::nullopt;
    } else {
        const auto* array = std::get_if<GgufArray>(&value);
        if (!array) return std::nullopt;
        if constexpr (std::is_same_v<T, std::span<const std::string_view>>) {
            return array->type == gguf_string ? std::optional<T>(array->strings) : std::nullopt;
        } else {
            static_assert(detail::GgufVector<T>::value, "gguf_value_as: see the list of types above");
            using Element = typename detail::GgufVector<T>::Element;
            static_assert(std::is_arithmetic_v<Element> && !std::is_same_v<Element, bool>);
            const std::size_t size = gguf_type_size(array->type);
            if (size == 0 || array->type == gguf_bool) return std::nullopt;
            T elements;
            elements.reserve(static_cast<std::size_t>(array->count));
            for (std::size_t i = 0; i < array->count; ++i) {
                const auto element = detail::gguf_number<Element>(array->type, array->bytes.data() + i * size);
                if (!element) return std::nullopt;
                elements.push_back(*element);
            }
            return elements;
        }
    }
}

}  // namespace morsel
