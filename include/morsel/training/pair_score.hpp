// What a merge is worth: the three objectives of the WordPiece trainer, each a value of a pair that compares exactly.
//   ratio           f_ab / (f_a f_b): compared as fractions of whole numbers, 192 bits wide
//   log_likelihood  by how much the merge raises the log-likelihood of the corpus under a unigram model of its tokens:
//                   g(n_a-k) - g(n_a) + g(n_b-k) - g(n_b) + g(k) - g(N-k) + g(N), g(x) = x ln x; N tokens, k merges of the pair.
//                   Written so that nothing cancels; equal numbers of occurrences give equal bits.
//   count           f_ab, as BPE
// The ratio is the likelihood's gain for one occurrence (up to a constant), not for all: the two prefer opposite ends of the list.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "morsel/core/flat_map.hpp"

namespace morsel {

// Occurrences that decide about a pair.
struct PairOccurrences {
    std::int64_t pair = 0;         // adjacent places
    std::int64_t left = 0, right = 0;
    std::int64_t merges = 0;       // `pair`, but for a token with itself, where places overlap
    std::int64_t tokens = 0;       // of the corpus
    bool same = false;             // left and right are one token
};

struct RatioScore {
    std::uint64_t pair = 0, left = 1, right = 1;

    static RatioScore of(const PairOccurrences& n) {
        return {static_cast<std::uint64_t>(n.pair), static_cast<std::uint64_t>(n.left), static_cast<std::uint64_t>(n.right)};
    }
    // Below 0 where a is worth less than b, 0 where they are equal.
    static int compare(const RatioScore& a, const RatioScore& b) {
        const auto [high1, low1] = product(a.pair, b.left, b.right);
        const auto [high2, low2] = product(b.pair, a.left, a.right);
        if (high1 != high2) return high1 < high2 ? -1 : 1;
        return low1 < low2 ? -1 : low1 > low2;
    }
    bool is_gain() const { return true; }
    friend bool operator==(const RatioScore&, const RatioScore&) = default;

  private:
    struct Wide {
        detail::uint128 high;
        std::uint64_t low;
    };
    static Wide product(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
        const detail::uint128 ab = static_cast<detail::uint128>(a) * b;
        const detail::uint128 low = static_cast<detail::uint128>(static_cast<std::uint64_t>(ab)) * c;
        return {static_cast<detail::uint128>(static_cast<std::uint64_t>(ab >> 64)) * c + (low >> 64), static_cast<std::uint64_t>(low)};
    }
};

struct LikelihoodScore {
    long double gain = 0;  // nats

    static LikelihoodScore of(const PairOccurrences& n) {
        const auto k = static_cast<long double>(n.merges), all = static_cast<long double>(n.tokens);
        // g(n - m) - g(n) = (n - m) ln(1 - m/n) - m ln n; the smaller token first, so that mirrored pairs are equal
        const auto rest = [](long double of, long double taken) { return of == taken ? 0.0L : (of - taken) * std::log1p(-taken / of); };
        if (n.same) {
            const auto a = static_cast<long double>(n.left);
            return {k * (std::log(k / a) + std::log(all / a)) + (rest(a, 2 * k) - rest(all, k))};
        }
        const auto a = static_cast<long double>(std::min(n.left, n.right)), b = static_cast<long double>(std::max(n.left, n.right));
        return {k * (std::log(k / a) + std::log(all / b)) + (rest(a, k) + rest(b, k) - rest(all, k))};
    }
    static int compare(const LikelihoodScore& a, const LikelihoodScore& b) { return a.gain < b.gain ? -1 : a.gain > b.gain; }
    bool is_gain() const { return gain > 0; }
    friend bool operator==(const LikelihoodScore&, const LikelihoodScore&) = default;
};

struct CountScore {
    std::int64_t pair = 0;

    static CountScore of(const PairOccurrences& n) { return {n.pair}; }
    static int compare(const CountScore& a, const CountScore& b) { return a.pair < b.pair ? -1 : a.pair > b.pair; }
    bool is_gain() const { return true; }
    friend bool operator==(const CountScore&, const CountScore&) = default;
};

}  // namespace morsel
