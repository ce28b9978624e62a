// What is done to logits before a token is chosen: repetition penalty, no-repeat n-gram, then for sampling temperature, top-k, top-p,
// min-p, typical, epsilon and eta cutoff. Stands between the model's logits and sampling. Each is a function of a span that it
// changes in place; a token that is ruled out gets −inf.
// Order and meaning are those of Hugging Face transformers' generate() (generation/logits_process.py); typical is Meister et al. 2022,
// eta is Hewitt et al. 2022. The plain version of each selection is in logits_processors_plain.hpp. Logits hold no NaN and no +inf
// (check_logits in sampling.hpp). Leaves out beams, watermarks, forced and suppressed token lists.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/generation/probability_mass.hpp"

namespace morsel {

// Neutral values switch a processor off. Checked at the edge (generation_config.hpp), not here.
struct LogitsProcessing {
    float repetition_penalty = 1.0F;       // > 0; 1: off
    std::size_t no_repeat_ngram_size = 0;  // 0: off
    // The rest only where do_sample.
    bool do_sample = false;
    float temperature = 1.0F;     // > 0
    std::size_t top_k = 0;        // 0: off
    float top_p = 1.0F;           // 1: off
    float min_p = 0.0F;           // 0: off
    float typical_p = 1.0F;       // 1: off
    float epsilon_cutoff = 0.0F;  // a probability; 0: off
    float eta_cutoff = 0.0F;      // a probability; 0: off
};

// A token that is still possible, in the order of its rank.
struct LogitsCandidate {
    float logit = 0;         // or, for typical, the distance from the expected surprise
    std::uint32_t id = 0;
    std::uint64_t mass = 0;  // probability_mass
};

// Memory reused from step to step; one per sequence, any content.
struct LogitsWorkspace {
    std::vector<std::uint64_t> seen = {};            // one bit per token; all 0 between calls
    std::vector<float> heap = {};
    std::vector<LogitsCandidate> candidates = {};
};

// Each distinct token of the history, prompt included, once: positive logits are divided by the penalty, negative ones multiplied
// (Keskar et al. 2019). Ids beyond the logits are passed over.
inline void apply_repetition_penalty(std::span<float> logits, std::span<const TokenId> history, float penalty, LogitsWorkspace& workspace) {
    workspace.seen.resize(logits.size() / 64 + 1);
    for (const TokenId id : history) {
        if (id >= logits.size()) continue;
        const std::uint64_t bit = std::uint64_t{1} << (id % 64);
        if ((workspace.seen[id / 64] & bit) != 0) continue;
        workspace.seen[id / 64] |= bit;
        logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
    }
    for (const TokenId id : history)
        if (id < logits.size()) workspace.seen[id / 64] = 0;
}

// Rules out every token that would complete an n-gram that the history holds already; ngram_size ≥ 1.
inline void apply_no_repeat_ngram(std::span<float> logits, std::span<const TokenId> history, std::size_t ngram_size) {
    const std::size_t prefix = ngram_size - 1;
    if (history.size() < ngram_size) return;
    const auto ending = history.last(prefix);
    for (std::size_t i = 0; i + prefix < history.size(); ++i) {
        if (!std::equal(ending.begin(), ending.end(), history.begin() + static_cast<std::ptrdiff_t>(i))) continue;
        const TokenId banned = history[i + prefix];
        if (banned < logits.size()) logits[banned] = minus_infinity;
    }
}

inline void apply_temperature(std::span<float> logits, float temperature) {
    for (float& x : logits) x /= temperature;
}

// The k-th largest value, 1 ≤ k ≤ size. A heap of the best k for small k: nearly every element costs one comparison; selection else.
inline float kth_largest(std::span<const float> values, std::size_t k, std::vector<float>& heap) {
    const auto first_k = values.begin() + static_cast<std::ptrdiff_t>(k);
    if (k > 512) {
        heap.assign(values.begin(), values.end());
        std::nth_element(heap.begin(), heap.begin() + static_cast<std::ptrdiff_t>(k - 1), heap.end(), std::greater<>{});
        return heap[k - 1];
    }
    heap.assign(values.begin(), first_k);
    std::make_heap(heap.begin(), heap.end(), std::greater<>{});
    for (auto it = first_k; it != values.end(); ++it) {
        if (!(*it > heap.front())) continue;
        std::pop_heap(heap.begin(), heap.end(), std::greater<>{});
        heap.back() = *it;
        std::push_heap(heap.begin(), heap.end(), std::greater<>{});
    }
    return heap.front();
}

// Keeps the k largest logits and all that tie with the k-th.
inline void apply_top_k(std::span<float> logits, std::size_t k, LogitsWorkspace& workspace) {
    if (k == 0 || k >= logits.size()) return;
    const float threshold = kth_largest(logits, k, workspace.heap);
    for (float& x : logits)
        if (x < threshold) x = minus_infinity;
}

namespace detail {

// The possible tokens with their masses, in order of id; returns the total mass.
inline std::uint64_t collect_candidates(std::span<const float> logits, std::vector<LogitsCandidate>& candidates) {
    candidates.clear();
    const float max = max_logit(logits);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (is_minus_infinity(logits[i])) continue;
        candidates.push_back({logits[i], static_cast<std::uint32_t>(i), probability_mass(logits[i], max)});
        total += candidates.back().mass;
    }
    return total;
}

// Weighted quickselect: reorders candidates so that the ones before the result precede the others in the order `before`, and the
// result is the first at which the sum of masses up to and including it exceeds `mass`; the size where none does. Linear on average.
template <class Before>
std::size_t select_by_mass(std::span<LogitsCandidate> candidates, std::uint64_t mass, Before before) {
    std::size_t low = 0, high = candidates.size();  // the result is in [low, high]; `mass` counts from low
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        const auto at = [&](std::size_t i) { return candidates.begin() + static_cast<std::ptrdiff_t>(i); };
        std::nth_element(at(low), at(middle), at(high), before);
        std::uint64_t sum = 0;
        for (std::size_t i = low; i <= middle; ++i) sum += candidates[i].mass;
        if (sum > mass) {
            high = middle;
        } else {
            mass -= sum;
            low = middle + 1;
        }
    }
    return low;
}

// Probabilities are compared as exp(x − max) against bound · sum; the largest logit and its ties always stay.
inline void remove_less_probable(std::span<float> logits, float max, double bound) {
    for (float& x : logits)
        if (x < max && std::exp(static_cast<double>(x) - max) < bound) x = minus_infinity;
}

// Sum of exp(x − max), and the entropy in nats, of the finite logits.
struct SumAndEntropy {
    double sum = 0, entropy = 0;
};
inline SumAndEntropy sum_and_entropy(std::span<const float> logits, float max) {
    double sum = 0, weighted = 0;
    for (const float x : logits) {
        if (is_minus_infinity(x)) continue;
        const double difference = static_cast<double>(x) - max, weight = std::exp(difference);
        sum += weight;
        weighted += weight * difference;
    }
    return {sum, std::log(sum) - weighted / sum};
}

// The share 1 − top_p of the total that may go, at float precision as the reference compares it.
inline std::uint64_t mass_to_drop(float top_p, std::uint64_t total) {
    return static_cast<std::uint64_t>(static_cast<double>(1.0F - top_p) * static_cast<double>(total));
}

// Rank of removal: the least probable first, among equals the highest id.
inline bool less_probable(const LogitsCandidate& a, const LogitsCandidate& b) {
    return a.logit != b.logit ? a.logit < b.logit : a.id > b.id;
}
inline bool nearer_to_typical(const LogitsCandidate& a, const LogitsCandidate& b) {
    return a.logit != b.logit ? a.logit < b.logit : a.id < b.id;
}

}  // namespace detail

// Nucleus (Holtzman et al. 2019): removes the least probable tokens as long as their cumulative probability is ≤ 1 − top_p; the most
// probable one always stays. A histogram finds the narrow range in which the boundary lies; only that is selected from (128256
// logits: 1.3 ms in place of 8.0 ms for a selection from all, one shared Xeon core).
inline void apply_top_p(std::span<float> logits, float top_p, LogitsWorkspace& workspace) {
    if (top_p >= 1) return;
    const float max = max_logit(logits);
    if (is_minus_infinity(max)) return;
    std::array<std::uint64_t, 1024> buckets{};  // mass by distance from the largest logit, in sixteenths
    const auto bucket_of = [max](float x) {
        const float distance = (max - x) * 16;
        return distance < 1023 ? static_cast<std::size_t>(distance) : std::size_t{1023};
    };
    std::uint64_t total = 0;
    for (const float x : logits) {
        if (is_minus_infinity(x)) continue;
        const std::uint64_t mass = probability_mass(x, max);
        buckets[bucket_of(x)] += mass;
        total += mass;
    }
    std::uint64_t drop = detail::mass_to_drop(top_p, total);
    std::size_t boundary = buckets.size() - 1;  // buckets beyond it go as a whole, those before it stay
    for (; boundary > 0 && buckets[boundary] <= drop; --boundary) drop -= buckets[boundary];
    auto& candidates = workspace.candidates;
    candidates.clear();
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (is_minus_infinity(logits[i])) continue;
        const std::size_t bucket = bucket_of(logits[i]);
        if (bucket == boundary) candidates.push_back({logits[i], static_cast<std::uint32_t>(i), probability_mass(logits[i], max)});
        if (bucket > boundary) logits[i] = minus_infinity;
    }
    const std::size_t kept_from = detail::select_by_mass(candidates, drop, detail::less_probable);
    std::size_t removed = kept_from;
    if (removed == candidates.size()) {  // top_p 0
        const auto best = std::max_element(candidates.begin(), candidates.end(), detail::less_probable);
        std::swap(*best, candidates.back());
        --removed;
    }
    for (std::size_t i = 0; i < removed; ++i) logits[candidates[i].id] = minus_infinity;
}

// Removes what is less probable than min_p times the most probable token.
inline void apply_min_p(std::span<float> logits, float min_p) {
    if (min_p <= 0) return;
    const float max = max_logit(logits);
    const double distance = std::log(static_cast<double>(min_p));
    for (float& x : logits) {
        const double difference = static_cast<double>(x) - max;
        if (difference > distance + 1e-9) continue;  // no exp for what is clear without it
        if (difference < distance - 1e-9 || std::exp(difference) < min_p) x = minus_infinity;
    }
}

// Keeps the tokens whose surprise −log p is nearest to the entropy, until they hold typical_p of the probability, and their ties.
inline void apply_typical(std::span<float> logits, float typical_p, LogitsWorkspace& workspace) {
    if (typical_p >= 1) return;
    auto& candidates = workspace.candidates;
    const std::uint64_t total = detail::collect_candidates(logits, candidates);
    if (candidates.empty()) return;
    const float max = max_logit(logits);
    const auto [sum, entropy] = detail::sum_and_entropy(logits, max);
    for (auto& c : candidates)
        c.logit = static_cast<float>(std::abs(static_cast<double>(max) - static_cast<double>(c.logit) + std::log(sum) - entropy));
    // The first at which the sum reaches typical_p; `select_by_mass` finds the first beyond a mass.
    const auto reach = static_cast<std::uint64_t>(std::ceil(static_cast<double>(typical_p) * static_cast<double>(total)));
    const std::size_t last = detail::select_by_mass(candidates, reach > 0 ? reach - 1 : 0, detail::nearer_to_typical);
    if (last == candidates.size()) return;
    const float threshold = candidates[last].logit;
    for (const auto& c : candidates)
        if (c.logit > threshold) logits[c.id] = minus_infinity;
}

// Removes tokens with probability < epsilon.
inline void apply_epsilon_cutoff(std::span<float> logits, float epsilon) {
    if (epsilon <= 0) return;
    const float max = max_logit(logits);
    detail::remove_less_probable(logits, max, static_cast<double>(epsilon) * detail::sum_and_entropy(logits, max).sum);
}

// Removes tokens with probability < min(epsilon, √epsilon · exp(−entropy)).
inline void apply_eta_cutoff(std::span<float> logits, float epsilon) {
    if (epsilon <= 0) return;
    const float max = max_logit(logits);
    const auto [sum, entropy] = detail::sum_and_entropy(logits, max);
    const double eta = std::min(static_cast<double>(epsilon), std::sqrt(static_cast<double>(epsilon)) * std::exp(-entropy));
    detail::remove_less_probable(logits, max, eta * sum);
}

// Those that every choice of a token goes through. `history`: prompt and tokens so far.
inline void apply_penalties(std::span<float> logits, std::span<const TokenId> history, const LogitsProcessing& options, LogitsWorkspace& workspace) {
    if (options.repetition_penalty != 1) apply_repetition_penalty(logits, history, options.repetition_penalty, workspace);
    if (options.no_repeat_ngram_size > 0) apply_no_repeat_ngram(logits, history, options.no_repeat_ngram_size);
}

// Those that only sampling goes through.
inline void apply_warpers(std::span<float> logits, const LogitsProcessing& options, LogitsWorkspace& workspace) {
    if (options.temperature != 1) apply_temperature(logits, options.temperature);
    if (options.top_k > 0) apply_top_k(logits, options.top_k, workspace);
    if (options.top_p < 1) apply_top_p(logits, options.top_p, workspace);
    if (options.min_p > 0) apply_min_p(logits, options.min_p);
    if (options.typical_p < 1) apply_typical(logits, options.typical_p, workspace);
    if (options.epsilon_cutoff > 0) apply_epsilon_cutoff(logits, options.epsilon_cutoff);
    if (options.eta_cutoff > 0) apply_eta_cutoff(logits, options.eta_cutoff);
}

// All of them in order.
inline void process_logits(std::span<float> logits, std::span<const TokenId> history, const LogitsProcessing& options, LogitsWorkspace& workspace) {
    apply_penalties(logits, history, options, workspace);
    if (options.do_sample) apply_warpers(logits, options, workspace);
}

}  // namespace morsel
