// The pair whose merge raises the likelihood most, exactly, at the price of looking at few pairs. The gain of a pair (pair_score.hpp) falls
// with n_a, n_b and with the number of tokens; and where it is a gain, it is no more than it would be with more merges k. So a gain for
// smaller n_a, n_b and larger k is a bound. A pair is held by one of three:
//   cold  n_a = n_b = k, the least they can be: holds whatever happens to a and b
//   warm  n_a and n_b at least a floor of their token, some way below the count: computed again when a count falls below its floor
//   hot   n_a and n_b as they are: computed again with every merge of a or b
// and becomes warm, then hot, when its bound comes up as the best. Most pairs stay cold, and few are hot at a time.
// (A token with itself gains less with more merges where these are more than a fifth of all tokens; such pairs are put anew every time.)
// Pairs of equal k are one heap: among them the number of tokens decides nothing, so none of them moves when it falls. A second heap holds
// the k by bounds of their best. Comparisons are exact: equal numbers are equal, near ones go to log_sum_sign.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "morsel/core/flat_map.hpp"
#include "morsel/training/token_statistics.hpp"

namespace morsel {

class LikelihoodQueue {
  public:
    // Pairs of fewer occurrences than `least` are no candidates.
    LikelihoodQueue(TokenStatistics& statistics, std::int64_t least) : statistics_(statistics), least_(least) {
        add_tokens();
        for (std::uint32_t pair = 0; pair < statistics_.index.size(); ++pair)
            if (statistics_.index.count(pair) >= least_) place(pair);
    }

    // The pair that gains most; of equals the more frequent, then the one of smaller ids. Nothing where no merge gains.
    std::optional<std::uint32_t> best() {
        for (const std::uint32_t pair : std::exchange(runs_, {}))
            if (bounds_[pair].level != Level::out && statistics_.index.count(pair) >= least_) place(pair);
        std::optional<std::uint32_t> best;
        LikelihoodScore most;
        seen_.clear();
        while (!queue_.empty() && (!best || queue_.top().bound >= most.gain - most.error)) {
            const Listed top = queue_.top();
            queue_.pop();
            Group& group = groups_[top.group];
            if (top.bound != group.listed) continue;  // there is a newer one
            group.listed = nothing;
            if (group.heap.empty()) continue;
            if (const std::uint32_t pair = group.heap.front(); refresh(pair)) {
                const LikelihoodScore score = LikelihoodScore::of(statistics_.of_pair(pair));
                seen_.push_back(top.group);
                const int order = best ? LikelihoodScore::compare(score, most) : 1;
                if (order > 0 || (order == 0 && goes_before(pair, *best))) best = pair, most = score;
            } else {
                list(top.group);
            }
        }
        for (const std::uint32_t group : seen_) list(group);
        return best && most.is_gain() ? best : std::nullopt;
    }

    // After a merge of left and right into id: `risen` are the pairs whose count rose, all of them pairs of `id`.
    void update(TokenId left, TokenId right, TokenId id, std::span<const std::uint32_t> risen) {
        add_tokens();
        for (const std::uint32_t pair : risen)
            if (statistics_.index.count(pair) >= least_) place(pair);
        for (const TokenId token : {left, right, id}) {
            compute_again(hot_[token], Level::hot);
            if (statistics_.occurrences[token] >= floors_[token]) continue;
            set_floor(token);
            compute_again(warm_[token], Level::warm);
        }
        if (queue_.size() > 4 * groups_.size() + 100000) list_anew();
    }

  private:
    enum class Level : std::uint8_t { out, cold, warm, hot };
    static constexpr double nothing = -std::numeric_limits<double>::infinity();

    struct Bound {
        std::int64_t merges = 0, places = 0;     // of the pair, when it was put here
        std::int64_t left = 0, right = 0;        // at most the occurrences of the tokens
        double loss = 0;                         // of both tokens, not above 0
        std::uint32_t group = 0, position = 0;  // where it is: in groups_[group].heap
        Level level = Level::out;
    };
    struct Group {  // pairs of equal merges
        std::int64_t merges = 0;
        double listed = nothing;          // bound of the valid entry in queue_
        std::vector<std::uint32_t> heap;  // pairs, the best first
    };
    struct Listed {
        double bound;
        std::uint32_t group;
        bool operator<(const Listed& o) const { return bound < o.bound; }
    };

    void add_tokens() {
        const std::size_t before = floors_.size(), now = statistics_.occurrences.size();
        floors_.resize(now), warm_.resize(now), hot_.resize(now);
        for (std::size_t token = before; token < now; ++token) set_floor(static_cast<TokenId>(token));
    }
    void set_floor(TokenId token) { floors_[token] = statistics_.occurrences[token] - statistics_.occurrences[token] / 4; }

    // The numbers that a pair's bound was computed from.
    PairOccurrences numbers(std::uint32_t pair) const {
        const Bound& b = bounds_[pair];
        return {b.places, b.left, b.right, b.merges, statistics_.tokens, statistics_.left(pair) == statistics_.right(pair)};
    }
    void compute(std::uint32_t pair) {
        Bound& bound = bounds_[pair];
        const TokenId a = statistics_.left(pair), b = statistics_.right(pair);
        const std::int64_t least = a == b ? 2 * bound.merges : bound.merges;
        const auto at_most = [&](TokenId token) {
            if (bound.level == Level::cold) return least;
            return std::max(least, bound.level == Level::warm ? floors_[token] : statistics_.occurrences[token]);
        };
        bound.left = at_most(a), bound.right = at_most(b);
        bound.loss = detail::loss(bound.left, least) + (a == b ? 0 : detail::loss(bound.right, least));
    }

    // Puts a pair where its count now belongs, in or out of the queue.
    void place(std::uint32_t pair) {
        if (bounds_.size() <= pair) bounds_.resize(statistics_.index.size());
        const PairOccurrences n = statistics_.of_pair(pair);
        Bound& bound = bounds_[pair];
        if (bound.level != Level::out) remove(pair);
        else bound.level = Level::cold;
        bound.merges = n.merges, bound.places = n.pair;
        bound.group = group_of(n.merges);
        if (n.same && 5 * static_cast<double>(n.merges) > static_cast<double>(n.tokens)) runs_.push_back(pair);
        compute(pair);
        Group& group = groups_[bound.group];
        bound.position = static_cast<std::uint32_t>(group.heap.size());
        group.heap.push_back(pair);
        up(group, bound.position);
        list(bound.group);
    }
    void remove(std::uint32_t pair) {
        const Bound& bound = bounds_[pair];
        Group& group = groups_[bound.group];
        const std::uint32_t at = bound.position, last = group.heap.back();
        group.heap.pop_back();
        if (last == pair) return;
        group.heap[at] = last, bounds_[last].position = at;
        up(group, at);
        down(group, bounds_[last].position);
    }
    std::uint32_t group_of(std::int64_t merges) {
        const auto key = static_cast<std::uint64_t>(merges);
        if (const std::uint32_t* known = group_numbers_.find(key)) return *known;
        group_numbers_.set(key, static_cast<std::uint32_t>(groups_.size()));
        groups_.push_back({merges, nothing, {}});
        return static_cast<std::uint32_t>(groups_.size() - 1);
    }

    // True where the bound of the best pair of a group is its gain; else makes the bound better, which may move the pair.
    bool refresh(std::uint32_t pair) {
        Bound& bound = bounds_[pair];
        const std::int64_t count = statistics_.index.count(pair);
        if (count < least_) return remove(pair), bound.level = Level::out, false;
        if (count != bound.places) return place(pair), false;
        if (bound.level == Level::hot) return true;
        bound.level = bound.level == Level::cold ? Level::warm : Level::hot;
        auto& lists = bound.level == Level::warm ? warm_ : hot_;
        const TokenId a = statistics_.left(pair), b = statistics_.right(pair);
        lists[a].push_back(pair);
        if (a != b) lists[b].push_back(pair);
        compute(pair);
        down(groups_[bound.group], bound.position);
        return false;
    }
    // The pairs of a token that are still at that level; the others leave the list.
    void compute_again(std::vector<std::uint32_t>& pairs, Level level) {
        std::erase_if(pairs, [&](std::uint32_t pair) { return bounds_[pair].level != level || statistics_.index.count(pair) < least_; });
        for (const std::uint32_t pair : pairs) {
            compute(pair);
            Group& group = groups_[bounds_[pair].group];
            up(group, bounds_[pair].position);
            down(group, bounds_[pair].position);
            if (group.heap.front() == pair) list(bounds_[pair].group);
        }
    }

    // Tells queue_ of a bound of a group's best pair, where that is more than it knows.
    void list(std::uint32_t number) {
        Group& group = groups_[number];
        if (group.heap.empty()) return;
        const double loss = bounds_[group.heap.front()].loss, added = detail::own(group.merges) - detail::loss(statistics_.tokens, group.merges);
        const double bound = loss + added + detail::gain_error * (added - loss);
        if (bound > group.listed) queue_.push({group.listed = bound, number});
    }

    void list_anew() {
        queue_ = {};
        for (std::uint32_t group = 0; group < groups_.size(); ++group) groups_[group].listed = nothing, list(group);
    }

    bool goes_before(std::uint32_t p, std::uint32_t q) const {  // of equal gains
        if (bounds_[p].places != bounds_[q].places) return bounds_[p].places > bounds_[q].places;
        return statistics_.index.key(p) < statistics_.index.key(q);
    }
    // Of pairs with equal merges.
    bool is_better(std::uint32_t p, std::uint32_t q) const {
        const double x = bounds_[p].loss, y = bounds_[q].loss, error = -detail::gain_error * (x + y);
        if (x - y > error || y - x > error) return x > y;
        const PairOccurrences n = numbers(p), m = numbers(q);
        if (n.same == m.same && std::minmax(n.left, n.right) == std::minmax(m.left, m.right)) return goes_before(p, q);
        std::vector<detail::LogTerm> terms;
        detail::append_gain(terms, n, 1), detail::append_gain(terms, m, -1);
        const int order = detail::log_sum_sign(std::move(terms));
        return order != 0 ? order > 0 : goes_before(p, q);
    }
    void up(Group& group, std::uint32_t at) {
        const std::uint32_t pair = group.heap[at];
        for (; at > 0 && is_better(pair, group.heap[(at - 1) / 2]); at = (at - 1) / 2) put(group, at, group.heap[(at - 1) / 2]);
        put(group, at, pair);
    }
    void down(Group& group, std::uint32_t at) {
        const std::uint32_t pair = group.heap[at];
        for (;;) {
            std::size_t child = 2 * std::size_t{at} + 1;
            if (child >= group.heap.size()) break;
            if (child + 1 < group.heap.size() && is_better(group.heap[child + 1], group.heap[child])) ++child;
            if (!is_better(group.heap[child], pair)) break;
            put(group, at, group.heap[child]);
            at = static_cast<std::uint32_t>(child);
        }
        put(group, at, pair);
    }
    void put(Group& group, std::uint32_t at, std::uint32_t pair) { group.heap[at] = pair, bounds_[pair].position = at; }

    TokenStatistics& statistics_;
    std::int64_t least_;
    std::vector<std::int64_t> floors_;                     // [token]
    std::vector<std::vector<std::uint32_t>> warm_, hot_;  // [token] pairs that have it
    std::vector<Bound> bounds_;                            // [pair]
    std::vector<Group> groups_;
    FlatMap<std::uint32_t> group_numbers_;                 // by merges
    std::priority_queue<Listed> queue_;
    std::vector<std::uint32_t> seen_;                      // groups that best() looked at
    std::vector<std::uint32_t> runs_;                      // pairs to put anew before every choice
};

}  // namespace morsel
