// Which sequences run together: sorted by length, longest first, and packed into batches up to a number of tokens. Sequences lie one
// after another without padding, so a batch of mixed lengths costs what its tokens cost; sorting puts the largest batch first and
// gives threads sequences of like length.
#pragma once
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

namespace morsel {

// Indices into lengths [sequences], in batches of at most max_tokens tokens, or of one sequence that alone is longer. Sequences of
// length 0 are left out.
inline std::vector<std::vector<std::size_t>> plan_batches(std::span<const std::size_t> lengths, std::size_t max_tokens) {
    std::vector<std::size_t> order(lengths.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
    std::vector<std::vector<std::size_t>> batches;
    std::size_t tokens = max_tokens;  // of the last batch; at first no room
    for (const std::size_t i : order) {
        if (lengths[i] == 0) break;
        if (batches.empty() || lengths[i] > max_tokens - tokens) batches.emplace_back(), tokens = 0;
        batches.back().push_back(i);
        tokens = std::min(max_tokens, tokens + lengths[i]);
    }
    return batches;
}

}  // namespace morsel
