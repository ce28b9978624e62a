// Byte-level BPE of one piece, without any memory of earlier ones: what the fast way (word_encoder.hpp) does with a word that it meets
// for the first time. The same rule as bpe_merge_plain in models/bpe.hpp, on plain numbers: the adjacent pair of lowest rank, the
// leftmost first. Pairs of bytes are looked up in a table of 256 × 256, others in a table of merges.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/tokenizer/fast/merge_table.hpp"
#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"

namespace morsel::fast {

// What merging a long piece needs; lent by the caller so that its memory is reused.
struct MergeSpace {
    struct Symbol {
        TokenId id;
        std::uint32_t previous, next;  // neighbours; next is the piece's size for the last
        std::uint32_t rank;            // of the pair that begins here
    };
    struct Candidate {
        std::uint32_t position, next;  // next: of the same rank, index in candidates
    };
    std::vector<Symbol> symbols = {};           // [bytes]
    std::vector<Candidate> candidates = {};
    std::vector<std::uint32_t> lists = {};      // [ranks] first candidate of each
    std::vector<std::uint64_t> filled = {}, unsorted = {};  // a bit for each list
    std::vector<std::uint32_t> positions = {};  // of a list that is sorted
};

class BytePairMerger {
  public:
    // Gives nothing where the model is not byte-level: a byte is no token, or there are prefixes or suffixes.
    static std::optional<BytePairMerger> create(const Bpe& model) {
        if (!model.continuing_subword_prefix.empty() || !model.end_of_word_suffix.empty()) return std::nullopt;
        BytePairMerger merger;
        for (std::size_t b = 0; b < 256; ++b) {
            std::string character;
            unicode::append(character, byte_to_character[b]);
            const auto id = model.vocabulary.id(character);
            if (!id) return std::nullopt;
            merger.byte_ids_[b] = *id;
        }
        auto merges = MergeTable::create(model);
        if (!merges) return std::nullopt;
        merger.merges_ = std::move(*merges);
        merger.byte_pairs_.assign(std::size_t{256} * 256, MergeTable::no_rank);
        std::vector<std::uint16_t> byte_of(static_cast<std::size_t>(model.vocabulary.id_bound()), 256);
        for (std::size_t b = 0; b < 256; ++b) byte_of[merger.byte_ids_[b]] = static_cast<std::uint16_t>(b);
        model.merges.for_each([&](std::uint64_t pair, const Merge& merge) {
            const std::size_t left = byte_of[pair >> 32], right = byte_of[pair & 0xffffffffu];
            if (left < 256 && right < 256) merger.byte_pairs_[256 * left + right] = merge.rank;
        });
        return merger;
    }

    // Appends the ids of one piece, not empty.
    void encode(std::string_view piece, MergeSpace& space, std::vector<TokenId>& ids) const {
        if (piece.size() <= short_bytes) merge_short(piece, ids);
        else merge_long(piece, space, ids);
    }

  private:
    static constexpr std::size_t short_bytes = 64;
    static constexpr std::uint32_t no_rank = MergeTable::no_rank;

    std::uint32_t byte_pair(char left, char right) const noexcept {
        return byte_pairs_[std::size_t{256} * static_cast<unsigned char>(left) + static_cast<unsigned char>(right)];
    }

    // All candidates side by side; the best is searched anew after every merge.
    void merge_short(std::string_view piece, std::vector<TokenId>& ids) const {
        TokenId id[short_bytes];
        std::uint32_t rank[short_bytes];  // of the merge of symbols i and i + 1
        std::size_t count = piece.size();
        for (std::size_t i = 0; i < count; ++i) id[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
        for (std::size_t i = 0; i + 1 < count; ++i) rank[i] = byte_pair(piece[i], piece[i + 1]);
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
        ids.insert(ids.end(), id, id + count);
    }

    // Candidates in a list for each rank, and a bit for each list that holds something: every step costs the same however long the piece.
    // A candidate is stale where the pair at its position has another rank by now. (A heap by rank and position took 5 times as long.)
    void merge_long(std::string_view piece, MergeSpace& space, std::vector<TokenId>& ids) const {
        constexpr std::uint32_t none = 0xffffffffu;
        const auto count = static_cast<std::uint32_t>(piece.size());
        space.symbols.resize(count);
        space.candidates.clear();
        space.lists.resize(merges_.ranks(), none);  // all empty between two pieces
        space.filled.resize(merges_.ranks() / 64 + 1, 0), space.unsorted.resize(space.filled.size(), 0);
        MergeSpace::Symbol* const s = space.symbols.data();
        std::uint32_t lowest = 0;  // no list below holds anything
        const auto bit_of = [](std::uint32_t rank) { return std::uint64_t{1} << (rank % 64); };
        const auto put = [&](std::uint32_t at, std::uint32_t rank) {
            s[at].rank = rank;
            if (rank == no_rank) return;
            // Two equal symbols may overlap another pair of the kind, so their list must be in order.
            std::uint32_t& head = space.lists[rank];
            if (head != none && space.candidates[head].position < at && s[at].id == s[s[at].next].id) space.unsorted[rank / 64] |= bit_of(rank);
            space.candidates.push_back({at, head});
            head = static_cast<std::uint32_t>(space.candidates.size() - 1);
            space.filled[rank / 64] |= bit_of(rank);
            lowest = std::min(lowest, rank);
        };
        for (std::uint32_t i = count; i-- > 0;) {  // backwards, so that the first is the head of its list
            s[i] = {byte_ids_[static_cast<unsigned char>(piece[i])], i - 1, i + 1, no_rank};
            if (i + 1 < count) put(i, byte_pair(piece[i], piece[i + 1]));
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
        for (std::uint32_t i = 0; i < count; i = s[i].next) ids.push_back(s[i].id);
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

    std::array<TokenId, 256> byte_ids_ = {};
    std::vector<std::uint32_t> byte_pairs_;  // [256 × 256] rank of the merge of two bytes
    MergeTable merges_;
};

}  // namespace morsel::fast
