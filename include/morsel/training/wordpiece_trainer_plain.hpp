// WordPiece training by the definition: count all tokens and pairs of the corpus anew for every merge. The reference that train_wordpiece
// is held to.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "morsel/training/wordpiece_trainer.hpp"

namespace morsel {

template <class Score> LearnedWordPiece train_wordpiece_plain(const WordCounts& counts, const WordPieceTrainerOptions& options, std::span<const std::string> start = {}) {
    TrainingWords words = detail::wordpiece_words(counts, options, start);
    std::vector<std::vector<TokenId>> symbols = detail::symbols_of_words(words);
    detail::ShownTokens shown{options.continuing_subword_prefix};
    for (TokenId id = 0; id < words.tokens.size(); ++id) shown.add(words.tokens[id]);
    LearnedWordPiece out;
    while (shown.list.size() < options.vocab_size) {
        struct Pair {
            std::int64_t places = 0, merges = 0;
        };
        std::map<std::pair<TokenId, TokenId>, Pair> pairs;  // in order of ids
        std::map<TokenId, std::int64_t> occurrences;
        std::int64_t tokens = 0;
        for (std::size_t w = 0; w < words.size(); ++w) {
            const auto& word = symbols[w];
            std::size_t run = 0;
            for (std::size_t i = 0; i < word.size(); ++i) {
                occurrences[word[i]] += words.counts[w], tokens += words.counts[w];
                run = i > 0 && word[i] == word[i - 1] ? run + 1 : 0;
                const std::size_t length = i == 0 ? 0 : words.lengths[word[i - 1]] + words.lengths[word[i]];
                if (i == 0 || (length > 2 && length > options.max_token_length.value_or(length))) continue;
                Pair& pair = pairs[{word[i - 1], word[i]}];
                pair.places += words.counts[w];
                if (run % 2 == 1 || word[i] != word[i - 1]) pair.merges += words.counts[w];
            }
        }
        const std::pair<TokenId, TokenId>* best = nullptr;
        Score most;
        std::int64_t places = 0;
        for (const auto& [pair, n] : pairs) {
            if (static_cast<std::uint64_t>(n.places) < options.min_frequency) continue;
            const Score score = Score::of({n.places, occurrences[pair.first], occurrences[pair.second], n.merges, tokens, pair.first == pair.second});
            const int order = best == nullptr ? 1 : Score::compare(score, most);
            if (order > 0 || (order == 0 && n.places > places)) best = &pair, most = score, places = n.places;
        }
        if (best == nullptr || !most.is_gain()) break;
        const auto [left, right] = *best;
        const TokenId id = words.tokens.id(detail::merged_text(words.tokens[left], words.tokens[right], detail::continuation_mark));
        if (id >= words.lengths.size()) words.lengths.resize(id + 1);
        words.lengths[id] = words.lengths[left] + words.lengths[right];
        shown.add(words.tokens[id]);
        out.merges.push_back({shown.show(words.tokens[left]), shown.show(words.tokens[right]), shown.show(words.tokens[id]), static_cast<std::uint64_t>(places)});
        out.rare_merges += places < 10;
        detail::replace_pair(symbols, left, right, id);
    }
    out.tokens = shown.list.take();
    return out;
}

}  // namespace morsel
