// Learns a WordPiece vocabulary by what a merge is worth (pair_score.hpp), as Schuster and Nakajima (2012) tell it: each step takes the
// pair that raises the corpus's likelihood most. (What others call a WordPiece trainer is BPE with "##": objective `count`.)
// Of pairs worth the same the more frequent goes first, then the smaller left id, then the smaller right id.
// A heap holds the pairs by what they were worth once. A worth falls when a pair's own count or the number of tokens falls: then the
// old one is a bound, looked at again when it comes up. It rises when a or b of a merged pair get rarer: all pairs with them are put into
// the heap again. (BPE's heap alone gives wrong merges here: from the third on in the "hug pug pun bun hugs" example.)
// Tokens within a word are told apart from those at its beginning by a byte that no text has, so "#" in the text confuses nothing; two
// tokens that are shown alike become one. train_wordpiece_plain is its reference.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/training/bpe_trainer.hpp"
#include "morsel/training/pair_score.hpp"
#include "morsel/training/wordpiece_options.hpp"

namespace morsel {

namespace detail {

inline constexpr std::string_view continuation_mark = "\xff";

inline BpeTrainerOptions symbols_for(const WordPieceTrainerOptions& options) {
    BpeTrainerOptions out;
    out.special_tokens = options.special_tokens;
    out.limit_alphabet = options.limit_alphabet;
    out.initial_alphabet = options.initial_alphabet;
    out.continuing_subword_prefix = continuation_mark;
    return out;
}

// Tokens as they will be shown, by which the size of the vocabulary is meant.
struct ShownTokens {
    const std::string& prefix;
    TokenList list = {};

    std::string show(std::string_view token) const { return token.starts_with(continuation_mark) ? prefix + std::string(token.substr(1)) : std::string(token); }
    void add(std::string_view token) { list.id(show(token)); }
};

inline bool fits(const TrainingWords& words, TokenId x, TokenId y, const std::optional<std::size_t>& longest) {
    return !longest || std::size_t{words.lengths[x]} + words.lengths[y] <= std::max<std::size_t>(2, *longest);
}

template <class Score> LearnedWordPiece train_wordpiece_by(const WordCounts& counts, const WordPieceTrainerOptions& options, const ProgressCallback& progress) {
    TrainingWords words = training_words(counts, symbols_for(options), options.min_word_count);
    std::vector<std::int64_t> occurrences(words.tokens.size());  // [token]
    std::int64_t tokens = 0;
    for (std::size_t w = 0; w < words.size(); ++w)
        for (std::uint64_t i = words.begins[w]; i < words.begins[w + 1]; ++i) occurrences[words.symbols[i]] += words.counts[w], tokens += words.counts[w];
    PairIndex index;
    WordSymbols symbols(words, index);
    ShownTokens shown{options.continuing_subword_prefix};
    for (TokenId id = 0; id < words.tokens.size(); ++id) shown.add(words.tokens[id]);

    struct Entry {
        Score score;
        std::int64_t count;
        std::uint64_t key;
        std::uint32_t pair;
        bool operator<(const Entry& o) const {  // the largest is best
            if (const int order = Score::compare(score, o.score); order != 0) return order < 0;
            return count != o.count ? count < o.count : key > o.key;
        }
    };
    const std::int64_t least = static_cast<std::int64_t>(std::clamp<std::uint64_t>(options.min_frequency, 1, std::uint64_t{1} << 62));
    std::vector<std::vector<std::uint32_t>> pairs_of(words.tokens.size());  // [token] pairs that have it, once each
    std::vector<std::pair<std::int64_t, std::int64_t>> self_merges;         // [pair] of a token with itself: merges at that count
    const auto entry = [&](std::uint32_t pair) {
        const auto left = static_cast<TokenId>(index.keys[pair] >> 32), right = static_cast<TokenId>(index.keys[pair]);
        PairOccurrences n{index.counts[pair], occurrences[left], occurrences[right], index.counts[pair], tokens, left == right};
        if (n.same) {
            if (self_merges.size() <= pair) self_merges.resize(pair + 1);
            auto& [at, merges] = self_merges[pair];
            if (at != n.pair) at = n.pair, merges = symbols.count_self_merges(pair, left, index);
            n.merges = merges;
        }
        return Entry{Score::of(n), n.pair, index.keys[pair], pair};
    };
    std::vector<Entry> heap;
    std::size_t known = 0;
    const auto note_new_pairs = [&] {
        for (; known < index.keys.size(); ++known) {
            const auto left = static_cast<TokenId>(index.keys[known] >> 32), right = static_cast<TokenId>(index.keys[known]);
            pairs_of[left].push_back(static_cast<std::uint32_t>(known));
            if (left != right) pairs_of[right].push_back(static_cast<std::uint32_t>(known));
        }
    };
    const auto fill = [&] {
        heap.clear();
        for (std::uint32_t pair = 0; pair < index.keys.size(); ++pair)
            if (index.counts[pair] >= least) heap.push_back(entry(pair));
        std::make_heap(heap.begin(), heap.end());
    };
    const auto push = [&](const Entry& e) { heap.push_back(e), std::push_heap(heap.begin(), heap.end()); };
    const auto pop = [&] {
        std::pop_heap(heap.begin(), heap.end());
        const Entry top = heap.back();
        heap.pop_back();
        return top;
    };
    note_new_pairs();
    fill();
    std::size_t room = 4 * heap.size() + 100000;

    LearnedWordPiece out;
    std::vector<std::uint32_t> risen;
    const std::size_t first = shown.list.size();
    while (shown.list.size() < options.vocab_size && !heap.empty()) {
        const Entry top = pop();
        if (index.counts[top.pair] < least) continue;
        Entry best = entry(top.pair);
        if (!(best.score == top.score) || best.count != top.count) {
            push(best);
            continue;
        }
        if constexpr (std::is_same_v<Score, LikelihoodScore>) {
            // Rounding may put a bound a hair below what it bounds: look at all that come that near.
            std::vector<Entry> near;
            while (!heap.empty() && heap.front().score.gain >= best.score.gain - std::abs(best.score.gain) * 1e-15L) {
                const Entry other = pop();
                if (index.counts[other.pair] >= least && other.pair != best.pair) near.push_back(entry(other.pair));
            }
            for (Entry& other : near) {
                if (best < other) std::swap(best, other);
                push(other);
            }
        }
        if (!best.score.is_gain()) break;
        const auto left = static_cast<TokenId>(best.key >> 32), right = static_cast<TokenId>(best.key);
        const TokenId id = words.tokens.id(merged_text(words.tokens[left], words.tokens[right], continuation_mark));
        if (id >= words.lengths.size()) words.lengths.resize(id + 1), occurrences.resize(id + 1), pairs_of.resize(id + 1);
        words.lengths[id] = words.lengths[left] + words.lengths[right];
        shown.add(words.tokens[id]);
        out.merges.push_back({shown.show(words.tokens[left]), shown.show(words.tokens[right]), shown.show(words.tokens[id]), static_cast<std::uint64_t>(best.count)});
        out.rare_merges += best.count < 10;

        risen.clear();
        const std::int64_t merged = symbols.merge(best.pair, left, right, id, index, risen, [&](TokenId x, TokenId y) { return fits(words, x, y, options.max_token_length); });
        occurrences[left] -= merged, occurrences[right] -= merged, occurrences[id] += merged, tokens -= merged;
        note_new_pairs();
        if (!std::is_same_v<Score, CountScore>) {  // new pairs are pairs of `id`
            for (const TokenId token : {left, right}) risen.insert(risen.end(), pairs_of[token].begin(), pairs_of[token].end());
        }
        std::sort(risen.begin(), risen.end());
        risen.erase(std::unique(risen.begin(), risen.end()), risen.end());
        for (const std::uint32_t pair : risen)
            if (index.counts[pair] >= least) push(entry(pair));
        if (heap.size() > room) fill(), room = 4 * heap.size() + 100000;
        if (progress && out.merges.size() % 256 == 0 && !progress({"merge", shown.list.size() - first, options.vocab_size - first})) throw Error("cancelled");
    }
    out.tokens = shown.list.take();
    return out;
}

}  // namespace detail

// Throws Error where there are no words, and Error("cancelled") where `progress` says stop.
inline LearnedWordPiece train_wordpiece(const WordCounts& counts, const WordPieceTrainerOptions& options, const ProgressCallback& progress = {}) {
    if (counts.size() == 0) throw Error("no words to train on");
    switch (options.objective) {
        case WordPieceObjective::ratio: return detail::train_wordpiece_by<RatioScore>(counts, options, progress);
        case WordPieceObjective::log_likelihood: return detail::train_wordpiece_by<LikelihoodScore>(counts, options, progress);
        case WordPieceObjective::count: return detail::train_wordpiece_by<CountScore>(counts, options, progress);
    }
    throw Error("unknown objective");
}

}  // namespace morsel
