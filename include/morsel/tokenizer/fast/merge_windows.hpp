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
    // Appends the ids that `count` symbols become: symbol(i) is the id of one, first_rank(i) the rank of symbols i and i + 1. Gives false, with `ids` as they
    // were, where the windows cannot be joined and the word has to be merged in one.
    template <class Symbol, class FirstRank>
    bool merge(const MergeTable& merges, std::size_t count, Symbol&& symbol, FirstRank&& first_rank, std::vector<TokenId>& ids) {
        const std::size_t before = ids.size(), windows = (count + most_symbols - 1) / most_symbols;
        const auto add = [&](auto& lanes, std::size_t begin, std::size_t size) {
            lanes.add(size, [&](std::size_t i) { return symbol(begin + i); }, [&](std::size_t i) { return first_rank(begin + i); });
        };
        const auto take = [](const auto& lanes, std::size_t lane, Tokens& tokens) {
            tokens.size = 0;
            lanes.for_each_token(lane, [&](TokenId id, std::size_t begin, std::size_t end) { tokens.token[tokens.size++] = {id, static_cast<std::uint32_t>(end - begin)}; });
        };
        joins_[0] = {};  // of the first window of all there is nothing before
        for (std::size_t done = 0; done < windows;) {
            // Window 0 is the last of the round before.
            const std::size_t round = std::min(most, windows - done);
            wide_.clear();
            for (std::size_t i = 0; i < round; ++i) add(wide_, (done + i) * most_symbols, std::min(most_symbols, count - (done + i) * most_symbols));
            wide_.merge(merges);
            for (std::size_t i = 0; i < round; ++i) take(wide_, i, windows_[i + 1]);
            // Joins that are not proven yet, by the window behind them.
            std::uint8_t open[most + 1];
            std::size_t left = 0;
            for (std::size_t i = done == 0 ? 2 : 1; i <= round; ++i) open[left++] = static_cast<std::uint8_t>(i);
            joins_[1] = {};
            for (const std::size_t reach : {std::size_t{1}, most_symbols / 4, most_symbols / 2}) {
                narrow_.clear(), wide_.clear();
                for (std::size_t i = 0; i < left; ++i) {
                    const std::size_t border = (done + open[i] - 1) * most_symbols;
                    const Join join = joins_[open[i]] = reach_out(windows_[open[i] - 1], windows_[open[i]], reach);
                    if (join.symbols_before + join.symbols_behind > most_symbols) return ids.resize(before), false;
                    if (join.symbols_before + join.symbols_behind <= few_symbols) add(narrow_, border - join.symbols_before, join.symbols_before + join.symbols_behind);
                    else add(wide_, border - join.symbols_before, join.symbols_before + join.symbols_behind);
                }
                narrow_.merge(merges), wide_.merge(merges);
                std::size_t still = 0, narrow = 0, wide = 0;
                for (std::size_t i = 0; i < left; ++i) {
                    const Join& join = joins_[open[i]];
                    Tokens& middle = middles_[open[i]];
                    if (join.symbols_before + join.symbols_behind <= few_symbols) take(narrow_, narrow++, middle);
                    else take(wide_, wide++, middle);
                    if (!stands(join, windows_[open[i] - 1], middle, windows_[open[i]], done + open[i] == windows)) open[still++] = open[i];
                }
                left = still;
            }
            if (left > 0) return ids.resize(before), false;
            // All but the last window, whose end is still to be joined. A token that the joins at both ends of its window took is settled by neither.
            for (std::size_t i = done == 0 ? 1 : 0; i <= round; ++i) {
                const Tokens& window = windows_[i];
                const bool last = i == round;
                const std::size_t from_end = last ? 0 : joins_[i + 1].from_left, begin = joins_[i].from_right;
                if (begin + from_end > window.size) return ids.resize(before), false;
                if (last && done + round < windows) break;
                for (std::size_t j = begin; j < window.size - from_end; ++j) ids.push_back(window.token[j].id);
                for (std::size_t j = 0; !last && j < middles_[i + 1].size; ++j) ids.push_back(middles_[i + 1].token[j].id);
            }
            windows_[0] = windows_[round], joins_[0] = joins_[round];
            done += round;
        }
        return true;
    }

  private:
    static constexpr std::size_t most_symbols = 64, few_symbols = 16, most = MergeLanes<most_symbols>::most;

    struct Tokens {
        std::size_t size = 0;
        MergedToken token[most_symbols];
    };
    // Of two windows: how many tokens of each are merged once more, and how many symbols they are.
    struct Join {
        std::size_t from_left = 0, from_right = 0, symbols_before = 0, symbols_behind = 0;
    };

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

    MergeLanes<most_symbols> wide_;
    MergeLanes<few_symbols> narrow_;
    Tokens windows_[most + 1], middles_[most + 1];
    Join joins_[most + 1];  // of each window with the one before
};

}  // namespace morsel::fast
