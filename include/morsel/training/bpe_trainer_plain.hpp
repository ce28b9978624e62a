// Byte-pair training by the definition: count all pairs of the corpus anew for every merge. The reference that train_bpe is held to.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "morsel/training/bpe_trainer.hpp"

namespace morsel {

inline LearnedBpe train_bpe_plain(const WordCounts& counts, const BpeTrainerOptions& options, const LearnedBpe& start = {}) {
    TrainingWords words = detail::bpe_words(counts, options, start);
    std::vector<std::vector<TokenId>> symbols = detail::symbols_of_words(words);
    LearnedBpe out{.continuing_subword_prefix = options.continuing_subword_prefix, .end_of_word_suffix = options.end_of_word_suffix};
    const auto fits = [&](TokenId x, TokenId y) {
        const std::size_t length = std::size_t{words.lengths[x]} + words.lengths[y];
        return length <= 2 || !options.max_token_length || length < *options.max_token_length;
    };
    while (out.merges.size() < start.merges.size() || words.tokens.size() < options.vocab_size) {
        std::map<std::pair<TokenId, TokenId>, std::int64_t> pairs;  // in order of ids: the first of the largest count is the one
        for (std::size_t w = 0; w < words.size(); ++w)
            for (std::size_t i = 0; i + 1 < symbols[w].size(); ++i)
                if (fits(symbols[w][i], symbols[w][i + 1])) pairs[{symbols[w][i], symbols[w][i + 1]}] += words.counts[w];
        std::pair<TokenId, TokenId> best;
        std::int64_t most = 0;
        std::size_t rivals = 0;
        for (const auto& [pair, count] : pairs) {
            if (count > most) best = pair, most = count, rivals = 0;
            else if (count == most) ++rivals;
        }
        if (const std::size_t rank = out.merges.size(); rank < start.merges.size()) {
            best = {start.merges[rank].left, start.merges[rank].right};
            most = pairs[best];
        } else {
            if (most < 1 || static_cast<std::uint64_t>(most) < options.min_frequency) break;
            if (rivals > 0) ++out.ties;
        }
        const auto [left, right] = best;
        const TokenId id = words.tokens.id(detail::merged_text(words.tokens[left], words.tokens[right], options.continuing_subword_prefix));
        if (id >= words.lengths.size()) words.lengths.resize(id + 1);
        words.lengths[id] = words.lengths[left] + words.lengths[right];
        out.merges.push_back({left, right, id, static_cast<std::uint64_t>(most)});
        detail::replace_pair(symbols, left, right, id);
    }
    out.tokens = words.tokens.take();
    detail::keep_last_of_equal_merges(out.merges);
    return out;
}

}  // namespace morsel
