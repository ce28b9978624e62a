// Learns the merges of byte-pair encoding (Sennrich, Haddow, Birch 2016): again and again the most frequent adjacent pair becomes a token.
// The same vocabulary and merges as Hugging Face tokenizers' BpeTrainer: equal counts go to the smaller (left id, right id), a merge
// whose text is a token already takes that id, training ends at vocab_size tokens or below min_frequency. Counts are exact: a merged
// pair is looked for only in the words that have it, and a heap holds the pairs, by counts that may have fallen since; a pair's count
// rises only in a step that puts it into the heap again.
// Different on purpose: counts have 64 bits (the reference's wrap around at 2^31), and what it leaves to chance is fixed; see
// training_words.hpp.
#pragma once
#include <algorithm>
#include <cstdint>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/training/bpe_options.hpp"
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

// Throws Error where there are no words, and Error("cancelled") where `progress` says stop.
inline LearnedBpe train_bpe(const WordCounts& counts, const BpeTrainerOptions& options, const ProgressCallback& progress = {}) {
    if (counts.size() == 0) throw Error("no words to train on");
    TrainingWords words = training_words(counts, options);
    PairIndex index;
    WordSymbols symbols(words, index);

    struct Entry {
        std::int64_t count;
        std::uint64_t key;
        std::uint32_t pair;
        bool operator<(const Entry& o) const { return count != o.count ? count < o.count : key > o.key; }  // the largest is best
    };
    std::vector<Entry> initial;
    const std::int64_t least = static_cast<std::int64_t>(std::clamp<std::uint64_t>(options.min_frequency, 1, std::uint64_t{1} << 62));
    for (std::uint32_t pair = 0; pair < index.keys.size(); ++pair)
        if (index.counts[pair] >= least) initial.push_back({index.counts[pair], index.keys[pair], pair});
    std::priority_queue<Entry> heap({}, std::move(initial));

    LearnedBpe out{.continuing_subword_prefix = options.continuing_subword_prefix, .end_of_word_suffix = options.end_of_word_suffix};
    std::vector<std::uint32_t> risen;
    const std::size_t first = words.tokens.size();
    while (words.tokens.size() < options.vocab_size && !heap.empty()) {
        const Entry top = heap.top();
        heap.pop();
        const std::int64_t now = index.counts[top.pair];
        if (now != top.count) {
            if (now >= least) heap.push({now, top.key, top.pair});
            continue;
        }
        if (!heap.empty() && heap.top().count == top.count && heap.top().pair != top.pair && index.counts[heap.top().pair] == top.count) ++out.ties;
        const auto left = static_cast<TokenId>(top.key >> 32), right = static_cast<TokenId>(top.key);
        const TokenId id = words.tokens.id(detail::merged_text(words.tokens[left], words.tokens[right], options.continuing_subword_prefix));
        if (id >= words.lengths.size()) words.lengths.resize(id + 1);
        words.lengths[id] = words.lengths[left] + words.lengths[right];
        out.merges.push_back({left, right, id, static_cast<std::uint64_t>(now)});

        risen.clear();
        symbols.merge(top.pair, left, right, id, index, risen, [&](TokenId x, TokenId y) {
            return !options.max_token_length || std::size_t{words.lengths[x]} + words.lengths[y] < *options.max_token_length;
        });
        std::sort(risen.begin(), risen.end());
        risen.erase(std::unique(risen.begin(), risen.end()), risen.end());
        for (const std::uint32_t pair : risen)
            if (index.counts[pair] >= least) heap.push({index.counts[pair], index.keys[pair], pair});
        if (progress && out.merges.size() % 256 == 0 && !progress({"merge", words.tokens.size() - first, options.vocab_size - first})) throw Error("cancelled");
    }
    out.tokens = words.tokens.take();
    detail::keep_last_of_equal_merges(out.merges);
    return out;
}

}  // namespace morsel
