// Byte-pair encoding of a long word in windows of 64 symbols, each merged alone, sixteen of them in step (merge_lanes.hpp), and joined where it can be proven
// that nothing merges across. The proof (as in GitHub's rust-gems `bpe`): tokens t1 … tn are what their text becomes exactly if every two neighbours ti ti+1
// are what the two become alone. For if a merge ever crossed a border, the first to do so would see, of these two tokens, what it sees when they are alone, and
// being the lowest of all it would be the lowest of theirs. And neighbours in what a text became do stay two: nothing reached them.
// So at a border some tokens of each side are merged once more, together: where the outermost of them come out as they were, their neighbours beyond stand.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "morsel/tokenizer/fast/merge_lanes.hpp"
#include "morsel/tokenizer/fast/merge_table.hpp"

namespace morsel::fast {

struct MergedToken {
    TokenId id;
    std::uint32_t size;  // symbols
    bool operator==(const MergedToken&) const = default;
};

class MergeWindows {
  public:
    using Narrow = MergeLanes<16>;
    using Wide = MergeLanes<64>;

    // Appends the ids that `count` symbols become: symbol(i) is the id of one, first_rank(i) the rank of symbols i and i + 1. Gives false, with `ids` as they
    // were, where the windows cannot be joined and the word has to be merged in one. The lanes are scratch.
    template <class Symbol, class FirstRank>
    bool merge(const MergeTable& merges, std::size_t count, Symbol&& symbol, FirstRank&& first_rank, Narrow& narrow, Wide& wide, std::vector<TokenId>& ids) {
        const std::size_t before = ids.size(), windows = (count + most_symbols - 1) / most_symbols;
        const auto add = [&](auto& lanes, std::size_t begin, std::size_t size) {
            lanes.add(size, [&](std::size_t i) { return symbol(begin + i); }, [&](std::size_t i) { return first_rank(begin + i); });
        };
        for (std::size_t done = 0; done < windows;) {
            // Window 0 is the last of the round before; in the first round there is none.
            const std::size_t round = std::min(most, windows - done), first = done == 0 ? 1 : 0;
            wide.clear();
            for (std::size_t i = 0; i < round; ++i) add(wide, (done + i) * most_symbols, std::min(most_symbols, count - (done + i) * most_symbols));
            wide.merge(merges);
            for (std::size_t i = 0; i < round; ++i) take(wide, i, windows_[i + 1]);
            if (first == 1) joins_[1] = {};
            if (!join_windows(merges, add, first, round, done, windows, narrow, wide) || !append(first, round, done + round == windows, ids)) return ids.resize(before), false;
            windows_[0] = windows_[round], joins_[0] = joins_[round];
            done += round;
        }
        return true;
    }

  private:
    static constexpr std::size_t most_symbols = Wide::most_symbols, few_symbols = Narrow::most_symbols, most = Wide::most;

    struct Tokens {
        std::size_t size = 0;
        MergedToken token[most_symbols];
    };
    // Of two windows: how many tokens of each are merged once more, and how many symbols they are.
    struct Join {
        std::size_t from_left = 0, from_right = 0, symbols_before = 0, symbols_behind = 0;
        std::size_t symbols() const noexcept { return symbols_before + symbols_behind; }
    };

    template <std::size_t Symbols> static void take(const MergeLanes<Symbols>& lanes, std::size_t lane, Tokens& tokens) {
        tokens.size = 0;
        lanes.for_each_token(lane, [&](TokenId id, std::size_t begin, std::size_t end) { tokens.token[tokens.size++] = {id, static_cast<std::uint32_t>(end - begin)}; });
    }

    // Joins windows [first, round], the first of which is window `done` - 1 + `first` of the word's; add(lanes, begin, size) adds symbols of the word to lanes.
    // Gives false where a join is not proven.
    template <class Add>
    bool join_windows(const MergeTable& merges, Add&& add, std::size_t first, std::size_t round, std::size_t done, std::size_t windows, Narrow& narrow, Wide& wide) {
        std::uint8_t open[most + 1];  // joins that are not proven yet, by the window behind them
        std::size_t left = 0;
        for (std::size_t i = first + 1; i <= round; ++i) open[left++] = static_cast<std::uint8_t>(i);
        for (const std::size_t reach : {std::size_t{1}, most_symbols / 4, most_symbols / 2}) {
            narrow.clear(), wide.clear();
            for (std::size_t i = 0; i < left; ++i) {
                const Join join = joins_[open[i]] = reach_out(windows_[open[i] - 1], windows_[open[i]], reach);
                const std::size_t begin = (done + open[i] - 1) * most_symbols - join.symbols_before;
                if (join.symbols() > most_symbols) return false;
                if (join.symbols() <= few_symbols) add(narrow, begin, join.symbols());
                else add(wide, begin, join.symbols());
            }
            narrow.merge(merges), wide.merge(merges);
            std::size_t still = 0, in_narrow = 0, in_wide = 0;
            for (std::size_t i = 0; i < left; ++i) {
                const Join& join = joins_[open[i]];
                Tokens& middle = middles_[open[i]];
                if (join.symbols() <= few_symbols) take(narrow, in_narrow++, middle);
                else take(wide, in_wide++, middle);
                if (!stands(join, windows_[open[i] - 1], middle, windows_[open[i]], done + open[i] == windows)) open[still++] = open[i];
            }
            left = still;
        }
        return left == 0;
    }

    // Appends the ids of joined windows [first, round], but for the last one, unless the word ends with it: its end is still to be joined. Gives false where the
    // joins at both ends of a window took the same token: it is settled by neither.
    bool append(std::size_t first, std::size_t round, bool word_ends, std::vector<TokenId>& ids) const {
        for (std::size_t i = first; i <= round; ++i) {
            const Tokens& window = windows_[i];
            const bool last = i == round;
            const std::size_t from_end = last ? 0 : joins_[i + 1].from_left, begin = joins_[i].from_right;
            if (begin + from_end > window.size) return false;
            if (last && !word_ends) break;
            for (std::size_t j = begin; j < window.size - from_end; ++j) ids.push_back(window.token[j].id);
            for (std::size_t j = 0; !last && j < middles_[i + 1].size; ++j) ids.push_back(middles_[i + 1].token[j].id);
        }
        return true;
    }

    // At least `reach` symbols of each side, as far as there are.
    static Join reach_out(const Tokens& left, const Tokens& right, std::size_t reach) {
        Join join;
        while (join.symbols_before < reach && join.from_left < left.size) join.symbols_before += left.token[left.size - ++join.from_left].size;
        while (join.symbols_behind < reach && join.from_right < right.size) join.symbols_behind += right.token[join.from_right++].size;
        return join;
    }
    // Whether the outermost of them came out as they were; behind the end of the word nothing has to.
    static bool stands(const Join& join, const Tokens& left, const Tokens& middle, const Tokens& right, bool word_ends) {
        return middle.token[0] == left.token[left.size - join.from_left] &&
               ((word_ends && join.from_right == right.size) || middle.token[middle.size - 1] == right.token[join.from_right - 1]);
    }

    Tokens windows_[most + 1], middles_[most + 1];
    Join joins_[most + 1];  // of each window with the one before
};

}  // namespace morsel::fast
