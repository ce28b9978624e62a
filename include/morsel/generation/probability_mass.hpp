// Unnormalised softmax weights as integers: mass = round(exp(logit − max) · 2⁴⁰). Stands between logits and everything that adds
// probabilities up (top-p, typical, the draw itself). Integer sums do not depend on the order of addition, so a sort, a selection and
// a parallel scan agree to the bit, and a cumulative sum always ends at exactly the total.
// Holds for up to 2²³ tokens. What is below 2⁻⁴¹ of the best token counts as 0.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>

namespace morsel {

inline constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

// Bit tests, because comparisons with NaN and infinity mean nothing under -ffast-math.
inline bool is_nan(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7FFFFFFF) > 0x7F800000; }
inline bool is_plus_infinity(float x) { return std::bit_cast<std::uint32_t>(x) == 0x7F800000; }
inline bool is_minus_infinity(float x) { return std::bit_cast<std::uint32_t>(x) == 0xFF800000; }

inline constexpr double mass_of_one = 0x1p40;

// The weight of a logit; `max` is the largest logit and finite.
inline std::uint64_t probability_mass(float logit, float max) {
    if (is_minus_infinity(logit)) return 0;
    return static_cast<std::uint64_t>(std::exp(static_cast<double>(logit) - static_cast<double>(max)) * mass_of_one + 0.5);
}

// The largest of logits [vocab_size]; −inf where there is none. Eight at a time, because one running maximum waits for itself.
inline float max_logit(std::span<const float> logits) {
    constexpr std::size_t lanes = 8;
    float max[lanes];
    std::fill(std::begin(max), std::end(max), minus_infinity);
    std::size_t i = 0;
    for (; i + lanes <= logits.size(); i += lanes)
        for (std::size_t j = 0; j < lanes; ++j) max[j] = max[j] < logits[i + j] ? logits[i + j] : max[j];
    for (; i < logits.size(); ++i) max[0] = std::max(max[0], logits[i]);
    return *std::max_element(std::begin(max), std::end(max));
}

}  // namespace morsel
