// The corpus as a WordPiece trainer sees it: words as symbols, how often each token and each adjacent pair of tokens occurs now.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "morsel/training/pair_index.hpp"
#include "morsel/training/pair_score.hpp"
#include "morsel/training/training_words.hpp"
#include "morsel/training/word_symbols.hpp"

namespace morsel {

struct TokenStatistics {
    TrainingWords words;
    std::optional<std::size_t> max_token_length;  // characters, but two are always allowed
    std::int64_t tokens = 0;                // in the corpus
    std::vector<std::int64_t> occurrences;  // [token]
    PairIndex index;
    WordSymbols symbols;

    explicit TokenStatistics(TrainingWords of, std::optional<std::size_t> max_length = {})
        : words(std::move(of)), max_token_length(max_length), occurrences(count_tokens(words, tokens)), symbols(words, index, [this](TokenId x, TokenId y) { return may_pair(x, y); }) {}

    // Whether two tokens make one that is not too long.
    bool may_pair(TokenId x, TokenId y) const { return !max_token_length || std::size_t{words.lengths[x]} + words.lengths[y] <= std::max<std::size_t>(2, *max_token_length); }

    TokenId left(std::uint32_t pair) const { return static_cast<TokenId>(index.key(pair) >> 32); }
    TokenId right(std::uint32_t pair) const { return static_cast<TokenId>(index.key(pair)); }

    // What decides about a pair now.
    PairOccurrences of_pair(std::uint32_t pair) {
        const TokenId a = left(pair), b = right(pair);
        PairOccurrences n{index.count(pair), occurrences[a], occurrences[b], index.count(pair), tokens, a == b};
        if (n.same) {
            if (self_merges_.size() <= pair) self_merges_.resize(pair + 1);
            auto& [at, merges] = self_merges_[pair];
            if (at != n.pair) at = n.pair, merges = symbols.count_self_merges(pair, a, index);
            n.merges = merges;
        }
        return n;
    }

    // Merges a pair into token `id`; pairs whose count rises are in `risen`.
    void merge(std::uint32_t pair, TokenId id, std::vector<std::uint32_t>& risen) {
        const TokenId a = left(pair), b = right(pair);
        if (id >= occurrences.size()) occurrences.resize(id + 1);
        const std::int64_t merged = symbols.merge(pair, a, b, id, index, risen, [this](TokenId x, TokenId y) { return may_pair(x, y); });
        occurrences[a] -= merged, occurrences[b] -= merged, occurrences[id] += merged, tokens -= merged;
    }

  private:
    static std::vector<std::int64_t> count_tokens(const TrainingWords& words, std::int64_t& tokens) {
        std::vector<std::int64_t> occurrences(words.tokens.size());
        for (std::size_t w = 0; w < words.size(); ++w)
            for (std::uint64_t i = words.begins[w]; i < words.begins[w + 1]; ++i) occurrences[words.symbols[i]] += words.counts[w], tokens += words.counts[w];
        return occurrences;
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> self_merges_;  // [pair] of a token with itself: merges at that count
};

}  // namespace morsel
