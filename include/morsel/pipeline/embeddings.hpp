// What embedders give: a vector a text, or a vector a token; and how alike two vectors are.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "morsel/tokenizer/encoding.hpp"

namespace morsel {

// A vector a text, in the order of the texts.
struct Embeddings {
    std::size_t dimensions = 0;
    std::vector<float> values = {};  // [size, dimensions]

    std::size_t size() const { return dimensions == 0 ? 0 : values.size() / dimensions; }
    std::span<const float> operator[](std::size_t i) const { return std::span(values).subspan(i * dimensions, dimensions); }
};

// The cosine of two vectors of one size; 0 where one of them is zero.
inline float cosine(std::span<const float> a, std::span<const float> b) {
    double dot = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) dot += double{a[i]} * double{b[i]}, aa += double{a[i]} * double{a[i]}, bb += double{b[i]} * double{b[i]};
    return aa > 0 && bb > 0 ? static_cast<float>(dot / std::sqrt(aa * bb)) : 0.0f;
}

// A text's tokens, special ones included, with a vector each.
struct TokenVectors {
    Encoding encoding = {};
    std::size_t dimensions = 0;
    std::vector<float> values = {};  // [size, dimensions]

    std::size_t size() const { return encoding.size(); }
    std::span<const float> operator[](std::size_t token) const { return std::span(values).subspan(token * dimensions, dimensions); }
};

}  // namespace morsel
