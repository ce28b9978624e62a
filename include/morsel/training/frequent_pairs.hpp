// The most frequent pair, again and again; of equals the one of smaller ids. A heap holds pairs by counts that may have fallen since: a
// pair's count rises only in a step that tells of it. Pairs below a floor stay out of the heap until no other is left; the floor is then
// halved twice. Most pairs ever met are so rare that they never get in.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <queue>
#include <span>
#include <vector>

#include "morsel/training/pair_index.hpp"

namespace morsel {

class FrequentPairs {
  public:
    struct Best {
        std::uint32_t pair = 0;
        std::int64_t count = 0;
        bool tie = false;  // another pair occurs as often
    };

    // Pairs of fewer occurrences than `least`, which is at least 1, are no candidates.
    FrequentPairs(const PairIndex& index, std::int64_t least) : index_(index), least_(least) {
        std::int64_t most = 0;
        for (std::uint32_t pair = 0; pair < index.size(); ++pair) most = std::max(most, index.count(pair));
        above_ = most + 1;
        floor_ = std::max(least, most / 4);
        take_in();
    }

    // Takes the most frequent pair out; nothing where none is left. It is to be merged.
    std::optional<Best> best() {
        if (!make_top_true()) return std::nullopt;
        const Entry top = heap_.top();
        while (!heap_.empty() && heap_.top().pair == top.pair) heap_.pop();
        return Best{top.pair, top.count, make_top_true() && heap_.top().count == top.count};
    }

    // After a merge: the pairs whose count rose.
    void add(std::span<const std::uint32_t> risen) {
        for (const std::uint32_t pair : risen)
            if (index_.count(pair) >= floor_) push(pair);
    }

  private:
    struct Entry {
        std::int64_t count;
        std::uint64_t key;
        std::uint32_t pair;
        bool operator<(const Entry& o) const { return count != o.count ? count < o.count : key > o.key; }  // the largest is best
    };
    void push(std::uint32_t pair) { heap_.push({index_.count(pair), index_.key(pair), pair}); }

    // Until the upper entry tells what is so now. False where no pair is left.
    bool make_top_true() {
        for (;;) {
            while (!heap_.empty()) {
                const Entry top = heap_.top();
                const std::int64_t now = index_.count(top.pair);
                if (now == top.count) return true;
                heap_.pop();
                if (now >= floor_) push(top.pair);
            }
            if (floor_ <= least_) return false;
            above_ = floor_;
            floor_ = std::max(least_, floor_ / 4);
            take_in();
        }
    }
    void take_in() {
        for (std::uint32_t pair = 0; pair < index_.size(); ++pair)
            if (index_.count(pair) >= floor_ && index_.count(pair) < above_) push(pair);
    }

    const PairIndex& index_;
    std::int64_t least_, floor_ = 1, above_ = 0;  // pairs of floor_ … above_ - 1 occurrences were taken in last
    std::priority_queue<Entry> heap_;
};

}  // namespace morsel
