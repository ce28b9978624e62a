// Small work on text that several tests need.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace morsel_test {

inline std::string repeat(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// How often `part` is in the text, without overlap.
inline std::size_t count(std::string_view text, std::string_view part) {
    std::size_t times = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++times;
    return times;
}

}  // namespace morsel_test
