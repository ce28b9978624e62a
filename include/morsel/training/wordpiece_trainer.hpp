// Learns a WordPiece vocabulary by what a merge is worth (pair_score.hpp), as Schuster and Nakajima (2012) tell it: each step takes the
// pair that raises the corpus's likelihood most. (What others call a WordPiece trainer is BPE with "##": objective `count`.)
// Of pairs worth the same the more frequent goes first, then the smaller left id, then the smaller right id.
// ratio_queue.hpp, likelihood_queue.hpp and frequent_pairs.hpp find the pair; a worth can rise, when a or b of a merged pair get rarer.
// Tokens within a word are told apart from those at its beginning by a byte that no text has, so "#" in the text confuses nothing; two
// tokens that are shown alike become one. train_wordpiece_plain is its reference.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/training/bpe_trainer.hpp"
#include "morsel/training/frequent_pairs.hpp"
#include "morsel/training/likelihood_queue.hpp"
#include "morsel/training/ratio_queue.hpp"
#include "morsel/training/token_statistics.hpp"
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

// Words cut as the vocabulary's own model cuts them: the longest token first, which a special token is not.
inline void cut_by_longest_token(TrainingWords& words, std::span<const std::string> special_tokens) {
    std::size_t longest = 1;
    for (TokenId id = 0; id < words.tokens.size(); ++id) {
        const std::string& token = words.tokens[id];
        if (std::find(special_tokens.begin(), special_tokens.end(), token) != special_tokens.end()) continue;
        const std::size_t size = unicode::count_code_points(token.starts_with(continuation_mark) ? std::string_view(token).substr(1) : token);
        words.lengths[id] = static_cast<std::uint32_t>(size);
        longest = std::max(longest, size);
    }
    std::size_t kept = 0;
    std::string text;
    std::vector<std::size_t> ends;  // of each character, in `text`
    for (std::size_t w = 0; w < words.size(); ++w) {
        const std::size_t begin = std::exchange(words.begins[w], kept), size = words.begins[w + 1] - begin;
        text.clear(), ends.clear();
        for (std::size_t i = 0; i < size; ++i) {
            const std::string_view token = words.tokens[words.symbols[begin + i]];
            text += token.starts_with(continuation_mark) ? token.substr(1) : token;
            ends.push_back(text.size());
        }
        for (std::size_t i = 0; i < size;) {
            TokenId id = words.symbols[begin + i];
            const std::string mark(words.tokens[id].starts_with(continuation_mark) ? continuation_mark : "");
            const std::size_t from = i == 0 ? 0 : ends[i - 1];
            std::size_t count = std::min(longest, size - i);
            for (; count > 1; --count) {
                const auto found = words.tokens.find(mark + text.substr(from, ends[i + count - 1] - from));
                if (!found || words.lengths[*found] == 0) continue;
                id = *found;
                break;
            }
            words.symbols[kept++] = id;
            i += count;
        }
    }
    words.begins.back() = kept;
    words.symbols.resize(kept);
}

// The words to train on, as symbols. `start`: tokens by id, as they are shown.
inline TrainingWords wordpiece_words(const WordCounts& counts, const WordPieceTrainerOptions& options, std::span<const std::string> start) {
    if (counts.size() == 0) throw Error("no words to train on");
    const std::string& prefix = options.continuing_subword_prefix;
    if (!start.empty() && prefix.empty()) throw Error("only a vocabulary that tells what is within a word can be gone on with", {.key = "continuing_subword_prefix"});
    check_distinct(start);
    std::vector<std::string> first;
    for (const std::string& token : start) {
        const bool within = token.size() > prefix.size() && token.starts_with(prefix);
        first.push_back(within ? std::string(continuation_mark) + token.substr(prefix.size()) : token);
    }
    TrainingWords words = training_words(counts, symbols_for(options), options.min_word_count, first);
    if (!start.empty()) cut_by_longest_token(words, options.special_tokens);
    return words;
}

// FrequentPairs as the trainer below knows queues.
struct CountQueue {
    FrequentPairs pairs;

    CountQueue(const TokenStatistics& statistics, std::int64_t least) : pairs(statistics.index, least) {}
    std::optional<std::uint32_t> best() {
        const auto found = pairs.best();
        return found ? std::optional(found->pair) : std::nullopt;
    }
    void update(TokenId, TokenId, TokenId, std::span<const std::uint32_t> risen) { pairs.add(risen); }
};

template <class Queue> LearnedWordPiece train_wordpiece_by(TrainingWords of, const WordPieceTrainerOptions& options, const ProgressCallback& progress) {
    TokenStatistics statistics(std::move(of), options.max_token_length);
    TrainingWords& words = statistics.words;
    ShownTokens shown{options.continuing_subword_prefix};
    for (TokenId id = 0; id < words.tokens.size(); ++id) shown.add(words.tokens[id]);
    Queue queue(statistics, static_cast<std::int64_t>(std::clamp<std::uint64_t>(options.min_frequency, 1, std::uint64_t{1} << 62)));

    LearnedWordPiece out;
    std::vector<std::uint32_t> risen;
    const std::size_t first = shown.list.size();
    while (shown.list.size() < options.vocab_size) {
        const std::optional<std::uint32_t> best = queue.best();
        if (!best) break;
        const TokenId left = statistics.left(*best), right = statistics.right(*best);
        const auto count = static_cast<std::uint64_t>(statistics.index.count(*best));
        const TokenId id = words.tokens.id(merged_text(words.tokens[left], words.tokens[right], continuation_mark));
        if (id >= words.lengths.size()) words.lengths.resize(id + 1);
        words.lengths[id] = words.lengths[left] + words.lengths[right];
        shown.add(words.tokens[id]);
        out.merges.push_back({shown.show(words.tokens[left]), shown.show(words.tokens[right]), shown.show(words.tokens[id]), count});
        out.rare_merges += count < 10;

        risen.clear();
        statistics.merge(*best, id, risen);
        queue.update(left, right, id, risen);
        if (progress && out.merges.size() % 256 == 0 && !progress({"merge", shown.list.size() - first, options.vocab_size - first})) throw Error("cancelled");
    }
    out.tokens = shown.list.take();
    return out;
}

}  // namespace detail

// `start`: the tokens of a vocabulary to go on with, by id. They keep their ids; then come special tokens and characters that it lacks, then
// what is learned from words that are cut as that vocabulary cuts them. Since it does not tell how its tokens came about, this extends a
// vocabulary, and is not the same as training without a stop.
// Throws Error where there are no words, and Error("cancelled") where `progress` says stop.
inline LearnedWordPiece train_wordpiece(const WordCounts& counts, const WordPieceTrainerOptions& options, const ProgressCallback& progress = {}, std::span<const std::string> start = {}) {
    TrainingWords words = detail::wordpiece_words(counts, options, start);
    switch (options.objective) {
        case WordPieceObjective::ratio: return detail::train_wordpiece_by<RatioQueue>(std::move(words), options, progress);
        case WordPieceObjective::log_likelihood: return detail::train_wordpiece_by<LikelihoodQueue>(std::move(words), options, progress);
        case WordPieceObjective::count: return detail::train_wordpiece_by<detail::CountQueue>(std::move(words), options, progress);
    }
    throw Error("unknown objective");
}

}  // namespace morsel
