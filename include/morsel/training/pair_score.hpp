// What a merge is worth: the three objectives of the WordPiece trainer, each a value of a pair that compares exactly.
//   ratio           f_ab / (f_a f_b): compared as fractions of whole numbers, 192 bits wide
//   log_likelihood  by how much the merge raises the log-likelihood of the corpus under a unigram model of its tokens:
//                   g(n_a-k) - g(n_a) + g(n_b-k) - g(n_b) + g(k) - g(N-k) + g(N), g(x) = x ln x; N tokens, k merges of the pair.
//                   Compared as doubles with a bound of their error, and where that does not decide, exactly (log_sum_sign.hpp).
//   count           f_ab, as BPE
// The ratio is the likelihood's gain for one occurrence (up to a constant), not for all: the two prefer opposite ends of the list.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "morsel/core/flat_map.hpp"
#include "morsel/training/log_sum_sign.hpp"

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

namespace detail {

// g(n - taken) - g(n), which is not above 0, with a relative error of a few units in the last place.
inline double loss(std::int64_t n, std::int64_t taken) {
    if (taken == 0) return 0;
    const auto of = static_cast<double>(n), part = static_cast<double>(taken), rest = static_cast<double>(n - taken);
    if (n == taken) return -part * std::log(part);
    return rest * (2 * taken <= n ? std::log1p(-part / of) : std::log(rest / of)) - part * std::log(of);
}
// g(k): what the new token adds.
inline double own(std::int64_t k) { return static_cast<double>(k) * std::log(static_cast<double>(k)); }

// Such values are off by less than this times the sum of their sizes: some 2^-50, with room for the logarithms of a careless library.
inline constexpr double gain_error = 0x1p-47;

// The gain as a sum of logarithms, times `sign`.
inline void append_gain(std::vector<LogTerm>& terms, const PairOccurrences& n, int sign) {
    const auto g = [&](std::int64_t x, int by) {
        if (x > 0) terms.push_back({by * static_cast<int128>(x), static_cast<std::uint64_t>(x)});
    };
    const std::int64_t k = n.merges;
    if (n.same) g(n.left - 2 * k, sign), g(n.left, -sign);
    else g(n.left - k, sign), g(n.left, -sign), g(n.right - k, sign), g(n.right, -sign);
    g(k, sign), g(n.tokens - k, -sign), g(n.tokens, sign);
}

}  // namespace detail

struct LikelihoodScore {
    double gain = 0, error = 0;  // nats; at most how far off that is
    PairOccurrences of_pair = {};

    static LikelihoodScore of(const PairOccurrences& n) {
        const double rest = detail::loss(n.tokens, n.merges), own = detail::own(n.merges);
        const double tokens = n.same ? detail::loss(n.left, 2 * n.merges) : detail::loss(n.left, n.merges) + detail::loss(n.right, n.merges);
        return {tokens + (own - rest), detail::gain_error * (own - rest - tokens), n};
    }
    static int compare(const LikelihoodScore& a, const LikelihoodScore& b) {
        const double apart = a.gain - b.gain, error = a.error + b.error;
        if (apart > error || apart < -error) return apart < 0 ? -1 : 1;
        const auto &x = a.of_pair, &y = b.of_pair;
        if (x.same == y.same && x.merges == y.merges && x.tokens == y.tokens && std::minmax(x.left, x.right) == std::minmax(y.left, y.right)) return 0;
        std::vector<detail::LogTerm> terms;
        detail::append_gain(terms, x, 1), detail::append_gain(terms, y, -1);
        return detail::log_sum_sign(std::move(terms));
    }
    bool is_gain() const {
        if (gain > error || gain < -error) return gain > 0;
        std::vector<detail::LogTerm> terms;
        detail::append_gain(terms, of_pair, 1);
        return detail::log_sum_sign(std::move(terms)) > 0;
    }
};

struct CountScore {
    std::int64_t pair = 0;

    static CountScore of(const PairOccurrences& n) { return {n.pair}; }
    static int compare(const CountScore& a, const CountScore& b) { return a.pair < b.pair ? -1 : a.pair > b.pair; }
    bool is_gain() const { return true; }
    friend bool operator==(const CountScore&, const CountScore&) = default;
};

}  // namespace morsel
