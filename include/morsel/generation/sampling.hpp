// From processed logits to one token: the check that they are usable, the argmax, and the draw. Stands between logits and id.
// A draw is inverse-CDF sampling in order of token id, over integer masses, with one Philox number for (seed; step, sequence): the same
// seed gives the same token at any thread count, and on any device that computes the same logits.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/core/philox.hpp"
#include "morsel/generation/probability_mass.hpp"

namespace morsel {

// Throws Error where logits [vocab_size] of that step hold NaN or +inf, or nothing but −inf, or nothing at all.
inline void check_logits(std::span<const float> logits, std::size_t step) {
    std::size_t wrong = 0, possible = 0;
    for (const float x : logits) {
        wrong += is_nan(x) || is_plus_infinity(x) ? 1 : 0;
        possible += is_minus_infinity(x) ? 0 : 1;
    }
    const std::string where = "step " + std::to_string(step);
    if (wrong > 0)
        throw Error("logits are not finite", {.key = where, .expected = "numbers or -inf", .found = std::to_string(wrong) + " of " + std::to_string(logits.size()) + " NaN or +inf"});
    if (possible == 0) throw Error("no token is possible", {.key = where, .expected = "a logit above -inf", .found = std::to_string(logits.size()) + " of -inf"});
}

// The token with the largest logit, the lowest id among equals. `logits` is not empty.
inline TokenId argmax(std::span<const float> logits) {
    const auto best = std::find(logits.begin(), logits.end(), max_logit(logits));
    return static_cast<TokenId>(best == logits.end() ? 0 : best - logits.begin());
}

// The token whose share of the probability contains the number random_bits · 2⁻⁶⁴; needs one finite logit at least. Sums per block of
// tokens, so that only the one block that holds the token is read twice; plain::sample_token is the definition.
inline TokenId sample_token(std::span<const float> logits, std::uint64_t random_bits) {
    constexpr std::size_t block = 256;  // tokens
    const float max = max_logit(logits);
    std::vector<std::uint64_t> sums((logits.size() + block - 1) / block);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) sums[i / block] += probability_mass(logits[i], max);
    for (const std::uint64_t sum : sums) total += sum;
    std::uint64_t target = uniform_below(random_bits, total);  // < total, so both searches end inside
    std::size_t b = 0;
    for (; b + 1 < sums.size() && target >= sums[b]; ++b) target -= sums[b];
    for (std::size_t i = b * block; i < logits.size(); ++i) {
        const std::uint64_t mass = probability_mass(logits[i], max);
        if (target < mass) return static_cast<TokenId>(i);
        target -= mass;
    }
    return argmax(logits);
}
inline TokenId sample_token(std::span<const float> logits, std::uint64_t seed, RandomPosition at) {
    return sample_token(logits, philox_bits(seed, at));
}

// Probabilities of logits [vocab_size], for callers who want to see them; the draw does not need them.
inline std::vector<float> softmax(std::span<const float> logits) {
    const float max = max_logit(logits);
    std::vector<float> probabilities(logits.size());
    double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x) - max);
    for (std::size_t i = 0; i < logits.size(); ++i) probabilities[i] = static_cast<float>(std::exp(static_cast<double>(logits[i]) - max) / sum);
    return probabilities;
}

}  // namespace morsel
