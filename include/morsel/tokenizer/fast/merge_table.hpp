// The merges of a BPE model for looking up: one number of 64 bits for each, so that the table is half the size of the model's own and
// most of it stays in the second-level cache. left id 20 bits | right id 20 bits | rank 24 bits; what a pair becomes is listed by rank.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/tokenizer/models/bpe.hpp"

namespace morsel::fast {

class MergeTable {
  public:
    static constexpr std::uint32_t no_rank = (1u << 24) - 1;

    // Nothing where ids or ranks are too large.
    static std::optional<MergeTable> create(const FlatMap<Merge>& merges, std::uint64_t id_bound) {
        std::uint32_t ranks = 0;
        merges.for_each([&](std::uint64_t, const Merge& merge) { ranks = std::max(ranks, merge.rank + 1); });
        if (id_bound > max_ids || ranks >= no_rank) return std::nullopt;
        MergeTable table;
        std::size_t capacity = 64;
        while (capacity < 2 * merges.size()) capacity *= 2, --table.shift_;
        table.slots_.assign(capacity, free_slot);
        table.ids_.resize(ranks);
        std::random_device device;
        table.factor_ = (std::uint64_t{device()} << 32 | device()) | 1;
        merges.for_each([&](std::uint64_t pair, const Merge& merge) {
            const std::uint64_t key = key_of(static_cast<TokenId>(pair >> 32), static_cast<TokenId>(pair));
            std::size_t at = table.home(key);
            while (table.slots_[at] != free_slot) at = (at + 1) & (capacity - 1);
            table.slots_[at] = key << 24 | merge.rank;
            table.ids_[merge.rank] = merge.id;
        });
        return table;
    }

    // The rank of a pair of ids, or no_rank.
    std::uint32_t rank(TokenId left, TokenId right) const noexcept {
        const std::uint64_t key = key_of(left, right);
        for (std::size_t at = home(key);; at = (at + 1) & (slots_.size() - 1)) {
            const std::uint64_t slot = slots_[at];
            if (slot >> 24 == key) return static_cast<std::uint32_t>(slot) & no_rank;
            if (slot == free_slot) return no_rank;
        }
    }
    std::size_t ranks() const noexcept { return ids_.size(); }
    // What the pair of that rank becomes.
    TokenId id(std::uint32_t rank) const noexcept { return ids_[rank]; }

  private:
    static constexpr std::uint64_t max_ids = (1u << 20) - 1;  // so that no entry is all ones
    static constexpr std::uint64_t free_slot = ~std::uint64_t{0};

    static std::uint64_t key_of(TokenId left, TokenId right) noexcept { return std::uint64_t{left} << 20 | right; }
    std::size_t home(std::uint64_t key) const noexcept { return (key * factor_) >> shift_; }

    std::uint64_t factor_ = 1;  // secret, since the keys come from files
    int shift_ = 64 - 6;
    std::vector<std::uint64_t> slots_;
    std::vector<TokenId> ids_;  // [ranks]
};

}  // namespace morsel::fast
