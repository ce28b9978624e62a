// Reading the tensors of expected-value files as plain vectors, and the tolerances that the reference data states.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "morsel/formats/safetensors.hpp"

namespace morsel_test {

// All elements of a tensor whose stored type is T.
template <class T>
std::vector<T> elements(const morsel::TensorView& view) {
    std::vector<T> values(view.bytes.size() / sizeof(T));
    std::memcpy(values.data(), view.bytes.data(), values.size() * sizeof(T));
    return values;
}

// The largest |got - expected|; infinity where sizes differ or a value is no number.
inline double largest_difference(const std::vector<float>& got, const std::vector<float>& expected) {
    if (got.size() != expected.size()) return std::numeric_limits<double>::infinity();
    double largest = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double difference = std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i]));
        if (!(difference <= std::numeric_limits<double>::max())) return std::numeric_limits<double>::infinity();
        largest = std::max(largest, difference);
    }
    return largest;
}

inline double largest_magnitude(const std::vector<float>& values) {
    double largest = 0;
    for (const float value : values) largest = std::max(largest, std::abs(static_cast<double>(value)));
    return largest;
}

// What the reference data allows for decoders computed in f32 throughout.
inline double decoder_tolerance(const std::vector<float>& expected) { return 3e-4 + 3e-5 * largest_magnitude(expected); }

// And where products have bf16 inputs.
inline double bf16_product_tolerance(const std::vector<float>& expected) { return 8e-2 * largest_magnitude(expected); }

}  // namespace morsel_test
