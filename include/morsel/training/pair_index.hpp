// The adjacent pairs of a corpus: how often each occurs and where. Pairs are found by a hash table and then numbered, their counts and
// places lie in arrays. A place is the number of a word, or, with the upper bit, a slot of a long word (word_symbols.hpp).
// Places are never taken away: whoever comes looks whether the pair is still there.
#pragma once
#include <cstdint>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/flat_map.hpp"

namespace morsel {

struct PairIndex {
    std::vector<std::uint64_t> keys = {};                 // [pair] pack_pair(left, right)
    std::vector<std::int64_t> counts = {};                // [pair] occurrences now
    std::vector<std::vector<std::uint32_t>> places = {};  // [pair]
    FlatMap<std::uint32_t> numbers = FlatMap<std::uint32_t>();

    // The number of a pair, a new one where it has not been met.
    std::uint32_t number(TokenId left, TokenId right) {
        const std::uint64_t key = pack_pair(left, right);
        if (const std::uint32_t* known = numbers.find(key)) return *known;
        const auto created = static_cast<std::uint32_t>(keys.size());
        numbers.set(key, created);
        keys.push_back(key), counts.push_back(0), places.emplace_back();
        return created;
    }
    void add(std::uint32_t pair, std::int64_t count, std::uint32_t place) {
        counts[pair] += count;
        if (places[pair].empty() || places[pair].back() != place) places[pair].push_back(place);
    }
    void subtract(TokenId left, TokenId right, std::int64_t count) {
        if (const std::uint32_t* known = numbers.find(pack_pair(left, right))) counts[*known] -= count;
    }
};

}  // namespace morsel
