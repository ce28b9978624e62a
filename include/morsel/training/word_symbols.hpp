// Merging pairs in the words of a corpus, and telling what that does to the counts of their neighbours. Short words are rewritten where
// they stand; scanning one again for each of its merges is what a cache line is for. In a long word (one line of JSON, a genome) that
// would be quadratic, so those are doubly linked lists, and places name slots: a merge costs what it changes.
// A merge takes occurrences from left to right without overlap; the counts of pairs are of all adjacent places, "aaa" has (a,a) twice.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/training/pair_index.hpp"
#include "morsel/training/training_words.hpp"

namespace morsel {

class WordSymbols {
  public:
    static constexpr std::size_t long_word = 128;  // symbols; from here on a word is a list

    // Takes the words over and fills the index with all pairs that may_pair(x, y) lets in.
    template <class MayPair> WordSymbols(TrainingWords& words, PairIndex& index, MayPair&& may_pair) : symbols_(std::move(words.symbols)), known_(words.tokens.size()) {
        if (words.size() >= slot_bit) throw Error("too many distinct words", {.expected = "less than 2^31"});
        words_.resize(words.size());
        for (std::uint32_t w = 0; w < words_.size(); ++w) {
            const std::uint64_t begin = words.begins[w], size = words.begins[w + 1] - begin;
            words_[w].count = words.counts[w], words_[w].begin = begin & begin_bits, words_[w].size = size >= long_word ? 0 : size & 0xff;
            const TokenId* s = symbols_.data() + begin;
            if (size >= long_word) {
                link(s, size, w, index, may_pair);
                continue;
            }
            for (std::size_t i = 0; i + 1 < size; ++i)
                if (may_pair(s[i], s[i + 1])) index.add(index.number(s[i], s[i + 1]), words_[w].count, w);
        }
        words.begins = {}, words.counts = {};
    }
    WordSymbols(TrainingWords& words, PairIndex& index) : WordSymbols(words, index, [](TokenId, TokenId) { return true; }) {}

    // Replaces pair a, b by c everywhere. Pairs whose count rises are appended to `risen`, some perhaps more than once. may_pair(x, y): whether
    // a new pair of these tokens counts. Gives how many merges there were, words taken as often as they occur.
    template <class MayPair>
    std::int64_t merge(std::uint32_t pair, TokenId a, TokenId b, TokenId c, PairIndex& index, std::vector<std::uint32_t>& risen, MayPair&& may_pair) {
        PairPlaces list = index.take(pair);
        const std::span<std::uint32_t> places = list.all();
        if (a == b) std::sort(places.begin(), places.end());  // runs are merged from the left
        std::int64_t merged = 0;
        const bool is_new = c >= known_;  // no pair has it yet: of its pairs those rise for the first time whose count is 0
        known_ = std::max(known_, std::size_t{c} + 1);
        const auto lose = [&](TokenId x, TokenId y, std::int64_t count) { index.subtract(x, y, count); };
        const auto gain = [&](TokenId x, TokenId y, std::int64_t count, std::uint32_t place) {
            if (!may_pair(x, y)) return;
            const std::uint32_t number = index.number(x, y);
            if (!is_new || index.count(number) == 0) risen.push_back(number);
            index.add(number, count, place);
        };
        for (std::size_t i = 0; i < places.size(); ++i) {
            if (i + 16 < places.size()) prefetch(places[i + 16]);
            if (i + 8 < places.size()) prefetch_symbols(places[i + 8]);
            const std::uint32_t place = places[i];
            if ((place & slot_bit) != 0) merge_slot(place & ~slot_bit, a, b, c, merged, lose, gain);
            else merge_word(place, a, b, c, merged, lose, gain);
        }
        return merged;
    }

    // How many merges of token a with itself there are: fewer than adjacent places, since runs are taken from the left.
    std::int64_t count_self_merges(std::uint32_t pair, TokenId a, const PairIndex& index) const {
        const std::span<const std::uint32_t> known = index.places(pair).all();
        std::vector<std::uint32_t> places(known.begin(), known.end());
        std::sort(places.begin(), places.end());
        places.erase(std::unique(places.begin(), places.end()), places.end());
        std::int64_t merges = 0;
        for (const std::uint32_t place : places) {
            if ((place & slot_bit) == 0) {
                const Word& word = words_[place];
                const TokenId* const s = symbols_.data() + word.begin;
                std::uint32_t run = 0;
                for (std::uint32_t i = 0; i < word.size; ++i) {
                    run = s[i] == a ? run + 1 : 0;
                    if (run == 2) merges += word.count, run = 0;
                }
                continue;
            }
            std::uint32_t at = place & ~slot_bit;  // a whole run at its beginning
            if (slots_[at].symbol != a || (slots_[at].previous != end && slots_[slots_[at].previous].symbol == a)) continue;
            std::int64_t run = 0;
            for (; at != end && slots_[at].symbol == a; at = slots_[at].next) ++run;
            merges += run / 2 * words_[slots_[place & ~slot_bit].word].count;
        }
        return merges;
    }

  private:
    static constexpr std::uint32_t slot_bit = std::uint32_t{1} << 31, end = slot_bit - 1;
    static constexpr TokenId dead = std::numeric_limits<TokenId>::max();
    struct Slot {
        TokenId symbol = 0;
        std::uint32_t previous = end, next = end;
        std::uint32_t word = 0;
    };
    static constexpr std::uint64_t begin_bits = (std::uint64_t{1} << 56) - 1;
    struct Word {
        std::int64_t count = 0;
        std::uint64_t begin : 56 = 0;  // in symbols_
        std::uint64_t size : 8 = 0;    // symbols now; 0 for a long word
    };

    template <class MayPair> void link(const TokenId* s, std::size_t size, std::uint32_t word, PairIndex& index, MayPair& may_pair) {
        const std::size_t first = slots_.size();
        if (size >= end - first) throw Error("too many characters in long words", {.expected = "less than 2^31"});
        for (std::size_t i = 0; i < size; ++i) {
            const auto at = static_cast<std::uint32_t>(first + i);
            slots_.push_back({s[i], i > 0 ? at - 1 : end, i + 1 < size ? at + 1 : end, word});
            if (i + 1 < size && may_pair(s[i], s[i + 1])) index.add(index.number(s[i], s[i + 1]), words_[word].count, at | slot_bit);
        }
    }

    // Words are anywhere in memory: asked for some places ahead, their symbols when they have come.
    void prefetch(std::uint32_t place) const {
        if ((place & slot_bit) == 0) __builtin_prefetch(&words_[place]);
        else __builtin_prefetch(&slots_[place & ~slot_bit]);
    }
    void prefetch_symbols(std::uint32_t place) const {
        if ((place & slot_bit) == 0) __builtin_prefetch(symbols_.data() + words_[place].begin, 1);
    }

    template <class Lose, class Gain>
    void merge_word(std::uint32_t word, TokenId a, TokenId b, TokenId c, std::int64_t& merged, Lose& lose, Gain& gain) {
        TokenId* const s = symbols_.data() + words_[word].begin;
        const std::uint32_t size = words_[word].size;
        const std::int64_t count = words_[word].count;
        std::uint32_t in = 0;
        while (in + 1 < size && !(s[in] == a && s[in + 1] == b)) ++in;
        if (in + 1 >= size) return;
        std::uint32_t out = in;
        while (in < size) {
            if (in + 1 < size && s[in] == a && s[in + 1] == b) {
                if (out > 0) lose(s[out - 1], a, count), gain(s[out - 1], c, count, word);
                if (in + 2 < size) lose(b, s[in + 2], count), gain(c, s[in + 2], count, word);
                s[out++] = c;
                in += 2;
                merged += count;
            } else {
                s[out++] = s[in++];
            }
        }
        words_[word].size = out & 0xff;
    }

    template <class Lose, class Gain>
    void merge_slot(std::uint32_t at, TokenId a, TokenId b, TokenId c, std::int64_t& merged, Lose& lose, Gain& gain) {
        Slot& slot = slots_[at];
        if (slot.symbol != a || slot.next == end || slots_[slot.next].symbol != b) return;
        const std::int64_t count = words_[slot.word].count;
        Slot& gone = slots_[slot.next];
        const std::uint32_t next = gone.next;
        if (slot.previous != end) {
            const TokenId left = slots_[slot.previous].symbol;
            lose(left, a, count), gain(left, c, count, slot.previous | slot_bit);
        }
        if (next != end) {
            const TokenId right = slots_[next].symbol;
            lose(b, right, count), gain(c, right, count, at | slot_bit);
            slots_[next].previous = at;
        }
        gone.symbol = dead;
        slot.symbol = c, slot.next = next;
        merged += count;
    }

    std::vector<TokenId> symbols_;  // of short words
    std::vector<Word> words_;
    std::vector<Slot> slots_;       // of long words
    std::size_t known_;             // tokens that may be in words or have been
};

}  // namespace morsel
