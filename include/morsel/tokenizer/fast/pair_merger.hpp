// Byte-pair encoding of one word, on plain numbers: the same rule as bpe_merge_plain in models/bpe.hpp, the adjacent pair of lowest rank
// first, of several the leftmost. What its first symbols are is the caller's: bytes (byte_pair_merger.hpp), or characters.
//   up to 64 symbols   all candidates side by side, the best searched anew after every merge (merge_lanes.hpp); up to 10, kept together
//   longer             in windows that are joined (merge_windows.hpp)
//   where they cannot be joined: candidates in a list for each rank, so that every merge costs the same; where that is much longer, in
//   blocks that stay in the cache, joined where the tokens on both sides of a border stay two when they are merged alone
// Many words of up to 64 symbols at once: `merge` of lanes.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "morsel/tokenizer/fast/merge_lanes.hpp"
#include "morsel/tokenizer/fast/merge_table.hpp"
#include "morsel/tokenizer/fast/merge_windows.hpp"

namespace morsel::fast {

// What merging needs; lent by the caller so that its memory is reused.
struct MergeSpace {
    struct Symbol {
        TokenId id;
        std::uint32_t previous, next;  // neighbours; next is the number of symbols for the last
        std::uint32_t rank;            // of the pair that begins here
    };
    struct Candidate {
        std::uint32_t position, next;  // next: of the same rank, index in candidates
    };
    std::vector<Symbol> symbols = {};
    std::vector<Candidate> candidates = {};
    std::vector<std::uint32_t> lists = {};      // [ranks] first candidate of each
    std::vector<std::uint64_t> filled = {}, unsorted = {};  // a bit for each list
    std::vector<std::uint32_t> positions = {};  // of a list that is sorted
    std::vector<MergedToken> block = {}, next_block = {};
    std::vector<TokenId> characters = {};       // first symbols, where the caller has no other place for them
    std::vector<std::uint32_t> ranks = {};      // of each and the next
    MergeWindows::Narrow lanes;                 // words that are merged together: short
    MergeWindows::Wide wide_lanes;              // … and longer
    MergeWindows windows;
};

class PairMerger {
  public:
    static constexpr std::uint32_t no_rank = MergeTable::no_rank;

    // Nothing where the ids, which are below `id_bound`, or the ranks are too large. `ranks_are_shared`: by pairs that become the same token.
    static std::optional<PairMerger> create(const FlatMap<Merge>& merges, std::uint64_t id_bound, bool ranks_are_shared = false) {
        auto table = MergeTable::create(merges, id_bound);
        if (!table) return std::nullopt;
        PairMerger merger;
        merger.merges_ = std::move(*table);
        merger.ranks_are_shared_ = ranks_are_shared;
        return merger;
    }

    std::uint32_t rank(TokenId left, TokenId right) const noexcept { return merges_.rank(left, right); }

    // The ranks of symbols i and i + 1.
    void find_ranks(const std::vector<TokenId>& symbols, std::vector<std::uint32_t>& ranks) const {
        ranks.resize(symbols.size());
        MergeTable::Lookup pairs[MergeTable::most_pairs];
        for (std::size_t first = 0; first + 1 < symbols.size(); first += MergeTable::most_pairs) {
            const std::size_t count = std::min(MergeTable::most_pairs, symbols.size() - 1 - first);
            for (std::size_t i = 0; i < count; ++i) pairs[i] = merges_.ask_for(symbols[first + i], symbols[first + i + 1]);
            merges_.look_up(pairs, count, ranks.data() + first);
        }
    }

    // Appends the ids that `count` symbols become: symbol(i) is the id of one, first_rank(i) the rank of symbols i and i + 1.
    template <class Symbol, class FirstRank> void merge(std::size_t count, Symbol&& symbol, FirstRank&& first_rank, MergeSpace& space, std::vector<TokenId>& ids) const {
        if (count <= most_few) {
            TokenId id[most_few];
            ids.insert(ids.end(), id, id + merge_few(count, symbol, first_rank, id));
            return;
        }
        if (count <= space.lanes.most_symbols) return merge_one(count, symbol, first_rank, space.lanes, ids);
        if (count <= space.wide_lanes.most_symbols) return merge_one(count, symbol, first_rank, space.wide_lanes, ids);
        if (space.windows.merge(merges_, count, symbol, first_rank, space.lanes, space.wide_lanes, ids)) return;
        if (count <= 2 * block_size) {
            merge_long(0, count, symbol, first_rank, space, space.block);
            for (const auto& token : space.block) ids.push_back(token.id);
            return;
        }
        merge_blocks(count, symbol, first_rank, space, ids);
    }

    // Merges all of these words, whose first ranks are of this merger.
    template <std::size_t Symbols> void merge(MergeLanes<Symbols>& lanes) const noexcept { lanes.merge(merges_); }

  private:
    static constexpr std::size_t most_few = 10, block_size = 2048;  // symbols
    static constexpr std::size_t overlap = 64, most_tries = 8;

    // Writes the ids of `count` symbols, at most 10, to `id` and gives their number. (For one word of so few a lane takes 1.4 times as long.)
    template <class Symbol, class FirstRank> std::size_t merge_few(std::size_t count, Symbol&& symbol, FirstRank&& first_rank, TokenId* id) const {
        std::uint32_t rank[most_few];  // of the merge of symbols i and i + 1
        for (std::size_t i = 0; i < count; ++i) id[i] = symbol(i);
        for (std::size_t i = 0; i + 1 < count; ++i) rank[i] = first_rank(i);
        while (count > 1) {
            std::size_t where = 0;
            std::uint32_t best = rank[0];
            for (std::size_t i = 1; i + 1 < count; ++i) {
                const bool better = rank[i] < best;
                best = better ? rank[i] : best, where = better ? i : where;
            }
            if (best == no_rank) break;
            id[where] = merges_.id(best);
            --count;
            for (std::size_t i = where + 1; i < count; ++i) id[i] = id[i + 1];
            for (std::size_t i = where + 1; i + 1 < count; ++i) rank[i] = rank[i + 1];
            if (where > 0) rank[where - 1] = merges_.rank(id[where - 1], id[where]);
            if (where + 1 < count) rank[where] = merges_.rank(id[where], id[where + 1]);
        }
        return count;
    }

    // A word that fits a lane, alone.
    template <std::size_t Symbols, class Symbol, class FirstRank>
    void merge_one(std::size_t count, Symbol&& symbol, FirstRank&& first_rank, MergeLanes<Symbols>& lanes, std::vector<TokenId>& ids) const {
        lanes.clear();
        lanes.add(count, symbol, first_rank);
        lanes.merge(merges_);
        lanes.for_each_token(0, [&](TokenId id, std::size_t, std::size_t) { ids.push_back(id); });
    }

    // Symbols [begin, begin + length) → tokens. A candidate is stale where the pair at its position has another rank by now.
    // (A heap by rank and position took 5 times as long.)
    template <class FirstSymbol, class FirstRank>
    void merge_long(std::size_t begin, std::size_t length, FirstSymbol&& symbol, FirstRank&& first_rank, MergeSpace& space, std::vector<MergedToken>& tokens) const {
        constexpr std::uint32_t none = 0xffffffffu;
        const auto count = static_cast<std::uint32_t>(length);
        space.symbols.resize(count);
        space.candidates.clear();
        space.lists.resize(merges_.ranks(), none);  // all empty between two words
        space.filled.resize(merges_.ranks() / 64 + 1, 0), space.unsorted.resize(space.filled.size(), 0);
        MergeSpace::Symbol* const s = space.symbols.data();
        std::uint32_t lowest = 0;  // no list below holds anything
        const auto bit_of = [](std::uint32_t rank) { return std::uint64_t{1} << (rank % 64); };
        const auto put = [&](std::uint32_t at, std::uint32_t rank) {
            s[at].rank = rank;
            if (rank == no_rank) return;
            // Two equal symbols may overlap another pair of the kind, so their list must be in order; so may different pairs of one rank.
            std::uint32_t& head = space.lists[rank];
            if (head != none && space.candidates[head].position < at && (ranks_are_shared_ || s[at].id == s[s[at].next].id)) space.unsorted[rank / 64] |= bit_of(rank);
            space.candidates.push_back({at, head});
            head = static_cast<std::uint32_t>(space.candidates.size() - 1);
            space.filled[rank / 64] |= bit_of(rank);
            lowest = std::min(lowest, rank);
        };
        for (std::uint32_t i = count; i-- > 0;) {  // backwards, so that the first is the head of its list
            s[i] = {symbol(begin + i), i - 1, i + 1, no_rank};
            if (i + 1 < count) put(i, first_rank(begin + i));
        }
        for (lowest = 0;;) {
            std::size_t word = lowest / 64;
            while (word < space.filled.size() && space.filled[word] == 0) ++word;
            if (word == space.filled.size()) break;
            const auto rank = static_cast<std::uint32_t>(64 * word) + static_cast<std::uint32_t>(std::countr_zero(space.filled[word]));
            lowest = rank;
            if ((space.unsorted[word] & bit_of(rank)) != 0) sort_list(space, rank);
            // Until the list is empty, or a pair of lower rank has come up.
            while (lowest == rank) {
                const auto [at, following] = space.candidates[space.lists[rank]];
                space.lists[rank] = following;
                if (following == none) space.filled[word] &= ~bit_of(rank), lowest = rank + 1;
                if (s[at].rank != rank) continue;
                const std::uint32_t gone = s[at].next, next = s[gone].next;
                s[at].id = merges_.id(rank);
                s[at].next = next;
                s[gone].rank = no_rank;
                if (next < count) s[next].previous = at, put(at, merges_.rank(s[at].id, s[next].id));
                else s[at].rank = no_rank;
                if (at > 0) put(s[at].previous, merges_.rank(s[s[at].previous].id, s[at].id));
            }
        }
        tokens.clear();
        for (std::uint32_t i = 0; i < count; i = s[i].next) tokens.push_back({s[i].id, s[i].next - i});
    }

    template <class Symbol, class FirstRank> void merge_blocks(std::size_t count, Symbol&& symbol, FirstRank&& first_rank, MergeSpace& space, std::vector<TokenId>& ids) const {
        std::vector<MergedToken>&block = space.block, &next = space.next_block;
        std::vector<MergedToken> both;
        merge_long(0, block_size, symbol, first_rank, space, block);
        for (std::size_t begin = 0, end = block_size; end < count;) {  // the block is symbols [begin, end)
            // Some way before the block's end, where what follows has no say any more.
            std::size_t border = end, kept = block.size();
            bool proven = false;
            for (std::size_t tries = 0; !proven && tries < most_tries;) {
                if (kept < 2) break;
                border -= block[--kept].size;
                if (end - border < overlap) continue;
                ++tries;
                merge_long(border, std::min(block_size, count - border), symbol, first_rank, space, next);
                const MergedToken left = block[kept - 1], right = next.front();
                merge_long(border - left.size, left.size + right.size, symbol, first_rank, space, both);
                proven = both.size() == 2 && both[0] == left && both[1] == right;
            }
            if (!proven) {  // not seen yet; the rest in one piece is right in any case
                merge_long(begin, count - begin, symbol, first_rank, space, block);
                break;
            }
            for (std::size_t i = 0; i < kept; ++i) ids.push_back(block[i].id);
            std::swap(block, next);
            begin = border, end = std::min(border + block_size, count);
        }
        for (const auto& token : block) ids.push_back(token.id);
    }

    static void sort_list(MergeSpace& space, std::uint32_t rank) {
        constexpr std::uint32_t none = 0xffffffffu;
        space.positions.clear();
        std::uint32_t at = space.lists[rank];
        for (; at != none; at = space.candidates[at].next) space.positions.push_back(space.candidates[at].position);
        std::sort(space.positions.begin(), space.positions.end());
        at = space.lists[rank];
        for (const std::uint32_t position : space.positions) space.candidates[at].position = position, at = space.candidates[at].next;
        space.unsorted[rank / 64] &= ~(std::uint64_t{1} << (rank % 64));
    }

    MergeTable merges_;
    bool ranks_are_shared_ = false;
};

}  // namespace morsel::fast
