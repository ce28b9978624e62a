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

// The largest of logits [vocab_size]; −inf where there is none.
inline float max_logit(std::span<const float> logits) {
    float max = minus_infinity;
    for (const float x : logits) max = std::max(max, x);
    return max;
}

}  // namespace morsel
