// Byte-level BPE of one piece, without any memory of earlier ones: what the fast way (word_encoder.hpp) does with a word that it meets
// for the first time. The same rule as bpe_merge_plain in models/bpe.hpp, on plain numbers: the adjacent pair of lowest rank, the
// leftmost first. Pairs of bytes are looked up in a table of 256 × 256, others in the model's merges.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"

namespace morsel::fast {

// What merging a long piece needs; lent by the caller so that its memory is reused.
struct MergeSpace {
    std::vector<TokenId> ids = {};                  // [bytes]
    std::vector<std::uint32_t> previous = {}, next = {}, rank = {};  // [bytes] neighbours; rank of the pair that begins here
    std::vector<std::uint64_t> heap = {};           // rank, position
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
        merger.byte_pairs_.resize(std::size_t{256} * 256);
        for (std::size_t left = 0; left < 256; ++left)
            for (std::size_t right = 0; right < 256; ++right) merger.byte_pairs_[256 * left + right] = look_up(model, merger.byte_ids_[left], merger.byte_ids_[right]);
        return merger;
    }

    // Appends the ids of one piece, not empty.
    void encode(const Bpe& model, std::string_view piece, MergeSpace& space, std::vector<TokenId>& ids) const {
        if (piece.size() <= short_bytes) merge_short(model, piece, ids);
        else merge_long(model, piece, space, ids);
    }

    TokenId byte_id(unsigned char byte) const noexcept { return byte_ids_[byte]; }

  private:
    static constexpr std::size_t short_bytes = 64;
    static constexpr std::uint64_t no_merge = ~std::uint64_t{0};

    static std::uint64_t look_up(const Bpe& model, TokenId left, TokenId right) noexcept {
        const Merge* merge = model.merges.find(pack_pair(left, right));
        return merge != nullptr ? std::uint64_t{merge->rank} << 32 | merge->id : no_merge;
    }

    std::uint64_t byte_pair(char left, char right) const noexcept {
        return byte_pairs_[std::size_t{256} * static_cast<unsigned char>(left) + static_cast<unsigned char>(right)];
    }

    // All candidates side by side; the best is searched anew after every merge.
    void merge_short(const Bpe& model, std::string_view piece, std::vector<TokenId>& ids) const {
        TokenId id[short_bytes];
        std::uint64_t pair[short_bytes];  // rank and id of the merge of symbols i and i + 1
        std::size_t count = piece.size();
        for (std::size_t i = 0; i < count; ++i) id[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
        for (std::size_t i = 0; i + 1 < count; ++i) pair[i] = byte_pair(piece[i], piece[i + 1]);
        while (count > 1) {
            std::size_t where = 0;
            std::uint64_t best = pair[0];
            for (std::size_t i = 1; i + 1 < count; ++i)
                if (pair[i] >> 32 < best >> 32) best = pair[i], where = i;
            if (best == no_merge) break;
            id[where] = static_cast<TokenId>(best);
            --count;
            std::memmove(id + where + 1, id + where + 2, (count - where - 1) * sizeof *id);
            if (where + 1 < count) std::memmove(pair + where + 1, pair + where + 2, (count - where - 2) * sizeof *pair);
            if (where > 0) pair[where - 1] = look_up(model, id[where - 1], id[where]);
            if (where + 1 < count) pair[where] = look_up(model, id[where], id[where + 1]);
        }
        ids.insert(ids.end(), id, id + count);
    }

    // Candidates in a heap by rank and position. A candidate is stale where the pair at its position has another rank by now.
    void merge_long(const Bpe& model, std::string_view piece, MergeSpace& space, std::vector<TokenId>& ids) const {
        constexpr std::uint32_t no_rank = 0xffffffffu;
        const auto count = static_cast<std::uint32_t>(piece.size());
        space.ids.resize(count), space.previous.resize(count), space.next.resize(count), space.rank.resize(count);
        TokenId* const id = space.ids.data();
        std::uint32_t *const previous = space.previous.data(), *const next = space.next.data(), *const rank = space.rank.data();
        for (std::uint32_t i = 0; i < count; ++i) id[i] = byte_ids_[static_cast<unsigned char>(piece[i])], previous[i] = i - 1, next[i] = i + 1;
        space.heap.clear();
        const auto look_up_at = [&](std::uint32_t i) {
            const Merge* merge = next[i] < count ? model.merges.find(pack_pair(id[i], id[next[i]])) : nullptr;
            rank[i] = merge != nullptr ? merge->rank : no_rank;
            if (merge != nullptr) space.heap.push_back(std::uint64_t{merge->rank} << 32 | i);
            return merge != nullptr;
        };
        for (std::uint32_t i = 0; i < count; ++i) look_up_at(i);
        std::make_heap(space.heap.begin(), space.heap.end(), std::greater<>());
        while (!space.heap.empty()) {
            std::pop_heap(space.heap.begin(), space.heap.end(), std::greater<>());
            const std::uint64_t best = space.heap.back();
            space.heap.pop_back();
            const auto at = static_cast<std::uint32_t>(best);
            if (rank[at] != best >> 32) continue;
            const std::uint32_t gone = next[at];
            id[at] = model.merges.find(pack_pair(id[at], id[gone]))->id;
            rank[gone] = no_rank;
            next[at] = next[gone];
            if (next[at] < count) previous[next[at]] = at;
            if (look_up_at(at)) std::push_heap(space.heap.begin(), space.heap.end(), std::greater<>());
            if (at > 0 && look_up_at(previous[at])) std::push_heap(space.heap.begin(), space.heap.end(), std::greater<>());
        }
        for (std::uint32_t i = 0; i < count; i = next[i]) ids.push_back(id[i]);
    }

    std::array<TokenId, 256> byte_ids_ = {};
    std::vector<std::uint64_t> byte_pairs_;  // [256 × 256] rank and id of the merge of two bytes
};

}  // namespace morsel::fast
