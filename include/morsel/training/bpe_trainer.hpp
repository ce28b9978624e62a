// Learns the merges of byte-pair encoding (Sennrich, Haddow, Birch 2016): again and again the most frequent adjacent pair becomes a token.
// The same vocabulary and merges as Hugging Face tokenizers' BpeTrainer: equal counts go to the smaller (left id, right id), a merge
// whose text is a token already takes that id, training ends at vocab_size tokens or below min_frequency. Counts are exact: a merged
// pair is looked for only in the words that have it.
// Different on purpose: counts have 64 bits (the reference's wrap around at 2^31), and what it leaves to chance is fixed; see
// training_words.hpp.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/training/bpe_options.hpp"
#include "morsel/training/frequent_pairs.hpp"
#include "morsel/training/pair_index.hpp"
#include "morsel/training/training_words.hpp"
#include "morsel/training/word_symbols.hpp"

namespace morsel {

namespace detail {

// The text of a merged pair: the right part goes without the prefix.
inline std::string merged_text(std::string_view left, std::string_view right, std::string_view prefix) {
    if (!prefix.empty() && right.starts_with(prefix)) right.remove_prefix(prefix.size());
    return std::string(left).append(right);
}

// Of a pair that was merged twice the later rank holds, as when the reference makes its merge table.
inline void keep_last_of_equal_merges(std::vector<LearnedMerge>& merges) {
    FlatMap<std::uint32_t> last;
    for (std::uint32_t i = 0; i < merges.size(); ++i) last.set(pack_pair(merges[i].left, merges[i].right), i);
    if (last.size() == merges.size()) return;
    std::vector<LearnedMerge> kept;
    for (std::uint32_t i = 0; i < merges.size(); ++i)
        if (*last.find(pack_pair(merges[i].left, merges[i].right)) == i) kept.push_back(merges[i]);
    merges = std::move(kept);
}

}  // namespace detail

namespace detail {

inline LearnedBpe train_bpe_on(TrainingWords words, const BpeTrainerOptions& options, const LearnedBpe& start, const ProgressCallback& progress) {
    PairIndex index;
    WordSymbols symbols(words, index);
    LearnedBpe out{.continuing_subword_prefix = options.continuing_subword_prefix, .end_of_word_suffix = options.end_of_word_suffix};
    std::vector<std::uint32_t> risen;
    const auto merge = [&](TokenId left, TokenId right) {
        const TokenId id = words.tokens.id(merged_text(words.tokens[left], words.tokens[right], options.continuing_subword_prefix));
        if (id >= words.lengths.size()) words.lengths.resize(id + 1);
        words.lengths[id] = words.lengths[left] + words.lengths[right];
        const std::uint32_t pair = index.number(left, right);
        out.merges.push_back({left, right, id, static_cast<std::uint64_t>(index.count(pair))});
        risen.clear();
        symbols.merge(pair, left, right, id, index, risen, [&](TokenId x, TokenId y) {
            return !options.max_token_length || std::size_t{words.lengths[x]} + words.lengths[y] < *options.max_token_length;
        });
    };
    const std::size_t first = words.tokens.size();
    const auto go_on = [&](const char* phase, std::size_t done, std::size_t total) {
        if (progress && out.merges.size() % 256 == 0 && !progress({phase, done, total})) throw Error("cancelled");
    };
    for (const LearnedMerge& known : start.merges) {
        merge(known.left, known.right);
        go_on("replay", out.merges.size(), start.merges.size());
    }
    FrequentPairs pairs(index, static_cast<std::int64_t>(std::clamp<std::uint64_t>(options.min_frequency, 1, std::uint64_t{1} << 62)));
    while (words.tokens.size() < options.vocab_size) {
        const auto best = pairs.best();
        if (!best) break;
        out.ties += best->tie;
        merge(static_cast<TokenId>(index.key(best->pair) >> 32), static_cast<TokenId>(index.key(best->pair)));
        pairs.add(risen);
        go_on("merge", words.tokens.size() - first, options.vocab_size - first);
    }
    out.tokens = words.tokens.take();
    keep_last_of_equal_merges(out.merges);
    return out;
}

// Throws Error where merges and tokens do not fit together.
inline void check_start(const LearnedBpe& start, const BpeTrainerOptions& options) {
    const auto fail = [](std::string what, std::size_t rank) { return Error(std::move(what), {.key = "merge " + std::to_string(rank)}); };
    if (start.continuing_subword_prefix != options.continuing_subword_prefix || start.end_of_word_suffix != options.end_of_word_suffix)
        throw Error("a vocabulary goes on with its own prefix and suffix", {.expected = '"' + start.continuing_subword_prefix + "\" and \"" + start.end_of_word_suffix + '"', .found = '"' + options.continuing_subword_prefix + "\" and \"" + options.end_of_word_suffix + '"'});
    check_distinct(start.tokens);
    for (std::size_t rank = 0; rank < start.merges.size(); ++rank) {
        const LearnedMerge& m = start.merges[rank];
        if (std::max({m.left, m.right, m.id}) >= start.tokens.size()) throw fail("a merge names an unknown token", rank);
        if (merged_text(start.tokens[m.left], start.tokens[m.right], start.continuing_subword_prefix) != start.tokens[m.id]) throw fail("a merge does not give its token", rank);
    }
}

inline TrainingWords bpe_words(const WordCounts& counts, const BpeTrainerOptions& options, const LearnedBpe& start) {
    if (counts.size() == 0) throw Error("no words to train on");
    if (!start.tokens.empty() || !start.merges.empty()) check_start(start, options);
    return training_words(counts, options, 0, start.tokens);
}

}  // namespace detail

// `start`: a vocabulary to go on with, perhaps from other text. Its tokens keep their ids, its merges are done first; then come special
// tokens and characters that it lacks, and merges as long as there is room. With what was learned before from the same counts and options
// this resumes: the result is that of training without a stop.
// Throws Error where there are no words, and Error("cancelled") where `progress` says stop.
inline LearnedBpe train_bpe(const WordCounts& counts, const BpeTrainerOptions& options, const ProgressCallback& progress = {}, const LearnedBpe& start = {}) {
    return detail::train_bpe_on(detail::bpe_words(counts, options, start), options, start, progress);
}
// The same; the table, which is no longer needed once the words are symbols, makes room.
inline LearnedBpe train_bpe(WordCounts&& counts, const BpeTrainerOptions& options, const ProgressCallback& progress = {}, const LearnedBpe& start = {}) {
    TrainingWords words = detail::bpe_words(counts, options, start);
    counts = WordCounts(counts.are_bytes());
    return detail::train_bpe_on(std::move(words), options, start, progress);
}

}  // namespace morsel
