// The merges of a BPE model for looking up: one number of 64 bits for each, so that the table is half the size of the model's own and
// most of it stays in the second-level cache. left id 20 bits | right id 20 bits | rank 24 bits, all of them turned round; what a pair
// becomes is listed by rank. Eight to a cache line, at most half of it taken on the average: a line is read whole and without a branch,
// for most pairs are no merge, and where in a line the others are is anybody's guess.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "morsel/core/dtype.hpp"
#include "morsel/tokenizer/models/bpe.hpp"

namespace morsel::fast {

class MergeTable {
  public:
    static constexpr std::uint32_t no_rank = (1u << 24) - 1;
    static constexpr TokenId no_id = (1u << 20) - 1;  // merges with nothing

    struct alignas(64) Line {
        std::uint64_t slots[8];
    };

    // Nothing where ids or ranks are too large.
    static std::optional<MergeTable> create(const FlatMap<Merge>& merges, std::uint64_t id_bound) {
        std::uint32_t ranks = 0;
        merges.for_each([&](std::uint64_t, const Merge& merge) { ranks = std::max(ranks, merge.rank + 1); });
        if (id_bound > no_id || ranks >= no_rank) return std::nullopt;
        MergeTable table;
        std::size_t count = 8;
        while (4 * count < merges.size()) count *= 2, --table.shift_;
        table.lines_.resize(count);
        table.ids_.resize(ranks + 1, no_id);
        std::random_device device;
        table.factor_ = (std::uint64_t{device()} << 32 | device()) | 1;
        merges.for_each([&](std::uint64_t pair, const Merge& merge) {
            const std::uint64_t key = key_of(static_cast<TokenId>(pair >> 32), static_cast<TokenId>(pair));
            std::size_t at = table.home(key);
            while (table.lines_[at].slots[7] != 0) at = (at + 1) & (count - 1);
            *std::find(table.lines_[at].slots, table.lines_[at].slots + 8, std::uint64_t{0}) = ~(key << 24 | merge.rank);
            table.ids_[merge.rank] = merge.id;
        });
        return table;
    }

    // The rank of a pair of ids, or no_rank.
    std::uint32_t rank(TokenId left, TokenId right) const noexcept {
        const std::uint64_t key = key_of(left, right);
        return rank_in(lines_[home(key)].slots, key);
    }
    // The same for up to 64 pairs in two steps: their cache lines are asked for before any is looked at.
    struct Lookup {
        std::uint64_t key;
        const Line* line;
    };
    [[gnu::always_inline]] Lookup ask_for(TokenId left, TokenId right) const noexcept {
        const std::uint64_t key = key_of(left, right);
        const Line* line = &lines_[home(key)];
        __builtin_prefetch(line);
        return {key, line};
    }
    static constexpr std::size_t most_pairs = 64;
    void look_up(const Lookup* pairs, std::size_t count, std::uint32_t* ranks) const noexcept {
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx2")) return look_up_avx2(pairs, count, ranks);
#endif
        look_up_plain(pairs, count, ranks);
    }
    void look_up_plain(const Lookup* pairs, std::size_t count, std::uint32_t* ranks) const noexcept {
        for (std::size_t i = 0; i < count; ++i) ranks[i] = rank_in(pairs[i].line->slots, pairs[i].key);
    }
#if defined(__x86_64__)
    [[gnu::target("avx2"), gnu::noinline]] void look_up_avx2(const Lookup* pairs, std::size_t count, std::uint32_t* ranks) const noexcept {
        std::uint64_t open = 0;  // a bit for each pair that is not in its line, which is full and may go on in the next; no branch on what is found
        for (std::size_t i = 0; i < count; ++i) {
            const auto* slots = reinterpret_cast<const __m256i*>(pairs[i].line->slots);
            const __m256i first = _mm256_load_si256(slots), second = _mm256_load_si256(slots + 1), key = _mm256_set1_epi64x(static_cast<long long>(~pairs[i].key << 24)), zero = _mm256_setzero_si256();
            const __m256i in_first = _mm256_and_si256(first, _mm256_cmpeq_epi64(_mm256_srli_epi64(_mm256_xor_si256(first, key), 24), zero));
            const __m256i in_second = _mm256_and_si256(second, _mm256_cmpeq_epi64(_mm256_srli_epi64(_mm256_xor_si256(second, key), 24), zero));
            const __m256i both = _mm256_or_si256(in_first, in_second);
            const __m128i half = _mm_or_si128(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
            const std::uint32_t found = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_or_si128(half, _mm_unpackhi_epi64(half, half)))) & no_rank;
            ranks[i] = found ^ no_rank;
            open |= (std::uint64_t{found == 0} & std::uint64_t{pairs[i].line->slots[7] != 0}) << i;
        }
        for (; open != 0; open &= open - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(open));
            ranks[i] = rank_in(pairs[i].line->slots, pairs[i].key);
        }
    }
#endif
    std::size_t ranks() const noexcept { return ids_.size() - 1; }
    // What the pair of that rank becomes; of ranks(): no_id.
    TokenId id(std::uint32_t rank) const noexcept { return ids_[rank]; }

  private:
    static std::uint64_t key_of(TokenId left, TokenId right) noexcept { return std::uint64_t{left} << 20 | right; }
    std::size_t home(std::uint64_t key) const noexcept { return (key * factor_) >> shift_; }

    // The rank of a pair that is in this line, or in those behind it as long as they are full; or no_rank.
    std::uint32_t rank_in(const std::uint64_t* slots, std::uint64_t key) const noexcept {
        for (const std::uint64_t turned = ~key << 24;;) {
            std::uint32_t found = 0;
            for (std::size_t i = 0; i < 8; ++i) found |= (slots[i] ^ turned) >> 24 == 0 ? static_cast<std::uint32_t>(slots[i]) & no_rank : 0;
            if (slots[7] == 0 || found != 0) [[likely]] return found ^ no_rank;
            slots = slots == lines_.back().slots ? lines_.front().slots : slots + 8;
        }
    }

    std::uint64_t factor_ = 1;  // secret, since the keys come from files
    int shift_ = 64 - 3;
    std::vector<Line> lines_;
    std::vector<TokenId> ids_ = {no_id};  // [ranks + 1]
};

}  // namespace morsel::fast
