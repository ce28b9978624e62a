// The logits processors written as their definitions read, with full sorts: what the fast versions in logits_processors.hpp are held
// equal to, and the shortest way to understand them. Not for use in a generation loop.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <set>
#include <span>
#include <vector>

#include "morsel/core/philox.hpp"
#include "morsel/generation/logits_processors.hpp"

namespace morsel::plain {

inline void apply_repetition_penalty(std::span<float> logits, std::span<const TokenId> history, float penalty) {
    for (const TokenId id : std::set<TokenId>(history.begin(), history.end()))
        if (id < logits.size()) logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
}

inline void apply_top_k(std::span<float> logits, std::size_t k) {
    if (k == 0 || k >= logits.size()) return;
    std::vector<float> sorted(logits.begin(), logits.end());
    std::sort(sorted.begin(), sorted.end(), std::greater<>{});
    for (float& x : logits)
        if (x < sorted[k - 1]) x = minus_infinity;
}

inline void apply_top_p(std::span<float> logits, float top_p) {
    if (top_p >= 1) return;
    std::vector<LogitsCandidate> ascending;
    const std::uint64_t drop = detail::mass_to_drop(top_p, detail::collect_candidates(logits, ascending));
    std::sort(ascending.begin(), ascending.end(), detail::less_probable);
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i + 1 < ascending.size(); ++i) {
        cumulative += ascending[i].mass;
        if (cumulative <= drop) logits[ascending[i].id] = minus_infinity;
    }
}

inline void apply_min_p(std::span<float> logits, float min_p) {
    const float max = max_logit(logits);
    for (float& x : logits)
        if (std::exp(static_cast<double>(x) - max) < min_p) x = minus_infinity;
}

inline void apply_typical(std::span<float> logits, float typical_p) {
    if (typical_p >= 1) return;
    std::vector<LogitsCandidate> order;
    const std::uint64_t total = detail::collect_candidates(logits, order);
    const float max = max_logit(logits);
    const auto [sum, entropy] = detail::sum_and_entropy(logits, max);
    for (auto& c : order)
        c.logit = static_cast<float>(std::abs(static_cast<double>(max) - static_cast<double>(c.logit) + std::log(sum) - entropy));
    std::sort(order.begin(), order.end(), detail::nearer_to_typical);
    std::size_t last = 0;
    std::uint64_t cumulative = 0;
    for (; last < order.size(); ++last)
        if (static_cast<double>(cumulative += order[last].mass) >= static_cast<double>(typical_p) * static_cast<double>(total)) break;
    for (const auto& c : order)
        if (last < order.size() && c.logit > order[last].logit) logits[c.id] = minus_infinity;
}

inline TokenId argmax(std::span<const float> logits) {
    return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// The token at which the cumulative probability, in order of token id, first exceeds random_bits · 2⁻⁶⁴.
inline TokenId sample_token(std::span<const float> logits, std::uint64_t random_bits) {
    std::vector<std::uint64_t> cumulative;
    const float max = max_logit(logits);
    for (const float x : logits) cumulative.push_back((cumulative.empty() ? 0 : cumulative.back()) + probability_mass(x, max));
    const std::uint64_t target = uniform_below(random_bits, cumulative.back());
    return static_cast<TokenId>(std::upper_bound(cumulative.begin(), cumulative.end(), target) - cumulative.begin());
}

}  // namespace morsel::plain
