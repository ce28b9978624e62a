// The pair of the largest ratio f_ab / (f_a f_b). A heap holds the pairs by what they were worth once. A worth falls
// when a pair's own count falls: then the old one is a bound, looked at again when it comes up. It rises when a or b of a merged pair get
// rarer: all pairs with them are put into the heap again. (BPE's heap alone gives wrong merges here: from the third on in the
// "hug pug pun bun hugs" example.)
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "morsel/training/token_statistics.hpp"

namespace morsel {

class RatioQueue {
  public:
    // Pairs of fewer occurrences than `least` are no candidates.
    RatioQueue(TokenStatistics& statistics, std::int64_t least) : statistics_(statistics), least_(least) {
        note_new_pairs();
        fill();
    }

    // The best pair; of equals the more frequent, then the one of smaller ids. Nothing where no pair is left.
    std::optional<std::uint32_t> best() {
        while (!heap_.empty()) {
            std::pop_heap(heap_.begin(), heap_.end());
            const Entry top = heap_.back();
            heap_.pop_back();
            if (statistics_.index.count(top.pair) < least_) continue;
            const Entry now = entry(top.pair);
            if (now.score == top.score && now.count == top.count) return top.pair;
            push(now);
        }
        return std::nullopt;
    }

    // After a merge of left and right into id: `risen` are the pairs whose count rose, all of them pairs of `id`.
    void update(TokenId left, TokenId right, TokenId, std::span<const std::uint32_t> risen) {
        note_new_pairs();
        ++step_;
        const auto again = [&](std::uint32_t pair) {
            if (std::exchange(pushed_[pair], step_) != step_ && statistics_.index.count(pair) >= least_) push(entry(pair));
        };
        for (const std::uint32_t pair : risen) again(pair);
        for (const TokenId token : {left, right})
            for (const std::uint32_t pair : pairs_of_[token]) again(pair);
        if (heap_.size() > room_) fill();
    }

  private:
    struct Entry {
        RatioScore score;
        std::int64_t count;
        std::uint64_t key;
        std::uint32_t pair;
        bool operator<(const Entry& o) const {  // the largest is best
            if (const int order = RatioScore::compare(score, o.score); order != 0) return order < 0;
            return count != o.count ? count < o.count : key > o.key;
        }
    };
    Entry entry(std::uint32_t pair) {
        const PairOccurrences n = statistics_.of_pair(pair);
        return {RatioScore::of(n), n.pair, statistics_.index.key(pair), pair};
    }
    void push(const Entry& e) { heap_.push_back(e), std::push_heap(heap_.begin(), heap_.end()); }
    void fill() {
        heap_.clear();
        for (std::uint32_t pair = 0; pair < statistics_.index.size(); ++pair)
            if (statistics_.index.count(pair) >= least_) heap_.push_back(entry(pair));
        std::make_heap(heap_.begin(), heap_.end());
        room_ = 4 * heap_.size() + 100000;
    }
    void note_new_pairs() {
        pairs_of_.resize(statistics_.occurrences.size()), pushed_.resize(statistics_.index.size());
        for (; known_ < statistics_.index.size(); ++known_) {
            const auto pair = static_cast<std::uint32_t>(known_);
            const TokenId left = statistics_.left(pair), right = statistics_.right(pair);
            pairs_of_[left].push_back(pair);
            if (left != right) pairs_of_[right].push_back(pair);
        }
    }

    TokenStatistics& statistics_;
    std::int64_t least_;
    std::vector<Entry> heap_;
    std::size_t room_ = 0, known_ = 0;                   // entries before stale ones are thrown out; pairs that are in pairs_of_
    std::vector<std::vector<std::uint32_t>> pairs_of_;  // [token] pairs that have it, once each
    std::uint32_t step_ = 0;                             // merges so far
    std::vector<std::uint32_t> pushed_;                  // [pair] the step that it was put into the heap in
};

}  // namespace morsel
