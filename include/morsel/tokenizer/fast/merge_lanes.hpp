// Byte-pair encoding of many short words in step: a merge of each, then the next of each. What a word's next merge is cannot be known
// before the last one's pairs have been looked up, so one word alone leaves the processor waiting; other words' merges fill the time.
// No branch depends on what merges: a round costs each word the same, and a word is done when it has no merge left.
// The same rule as pair_merger.hpp, the pair of lowest rank first, of several the leftmost.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "morsel/tokenizer/fast/merge_table.hpp"

namespace morsel::fast {

// Up to `most` words of at most `Symbols` symbols, one a lane. Places 0, 1 … are its symbols; before them and behind stands a token that merges with nothing.
template <std::size_t Symbols>
class MergeLanes {
  public:
    static_assert(Symbols <= 64 && Symbols % 8 == 0, "places are told by the bits of one number, and searched eight at a time");
    static constexpr std::size_t most_symbols = Symbols;
    static constexpr std::size_t most = Symbols <= 16 ? 32 : 16;  // what stays in the first-level cache

    std::size_t size() const noexcept { return size_; }
    bool full() const noexcept { return size_ == most; }
    void clear() noexcept { size_ = 0; }

    // One word more, of 1 to Symbols symbols: symbol(i) is the id of one, first_rank(i) the rank of symbols i and i + 1.
    template <class Symbol, class FirstRank>
    void add(std::size_t count, Symbol&& symbol, FirstRank&& first_rank) noexcept {
        std::int32_t* const pair = pair_[size_];
        TokenId* const id = id_[size_];
        id[0] = id[Symbols + 1] = MergeTable::no_id;
        for (std::size_t i = 0; i < count; ++i) id[i + 1] = symbol(i);
        for (std::size_t i = 0; i + 1 < count; ++i) pair[i] = entry(first_rank(i), i);
        for (std::size_t i = count - 1; i < Symbols; ++i) pair[i] = entry(MergeTable::no_rank, i);
        count_[size_] = static_cast<std::uint8_t>(count);
        left_[size_++] = ~std::uint64_t{0} >> (64 - count);
    }

    // Merges them all by `merges`, which the ranks came from.
    void merge(const MergeTable& merges) noexcept {
        Step steps[most];
        MergeTable::Lookup pairs[2 * most];  // of each step: with the token before, with the one behind
        std::uint32_t best[most], ranks[2 * most];
        for (std::size_t i = 0; i < size_; ++i) steps[i].lane = static_cast<std::uint8_t>(i);
        for (std::size_t count = size_, going_on = 0; count > 0; count = going_on, going_on = 0) {
            least(steps, count, best);
            for (std::size_t i = 0; i < count; ++i) {
                plan(merges, steps[i].lane, best[i], steps[going_on], pairs + 2 * going_on);
                going_on += best[i] >> 6 != MergeTable::no_rank;
            }
            merges.look_up(pairs, 2 * going_on, ranks);
            for (std::size_t i = 0; i < going_on; ++i) take(steps[i], ranks[2 * i], ranks[2 * i + 1]);
        }
    }

    // Calls f(id, begin, end) for each token of a merged word: it is symbols [begin, end).
    template <class F>
    void for_each_token(std::size_t lane, F&& f) const {
        for (std::uint64_t starts = left_[lane]; starts != 0;) {
            const auto begin = static_cast<std::size_t>(std::countr_zero(starts));
            starts &= starts - 1;
            f(id_[lane][begin + 1], begin, starts != 0 ? static_cast<std::size_t>(std::countr_zero(starts)) : count_[lane]);
        }
    }

  private:
    // A merge of the tokens at `at` and `gone`; the one before them begins at `before`.
    struct Step {
        TokenId id;
        std::uint8_t lane, at, gone, before;
    };

    // Of the pair that begins at place i: rank << 6 | i, so that the least of all is the leftmost of lowest rank.
    static std::int32_t entry(std::uint32_t rank, std::size_t place) noexcept { return static_cast<std::int32_t>(rank << 6 | static_cast<std::uint32_t>(place)); }

    // Of each step's lane the least entry.
    void least(const Step* steps, std::size_t count, std::uint32_t* best) const noexcept {
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx2")) return least_avx2(steps, count, best);
#endif
        least_plain(steps, count, best);
    }
    void least_plain(const Step* steps, std::size_t count, std::uint32_t* best) const noexcept {
        for (std::size_t i = 0; i < count; ++i) best[i] = static_cast<std::uint32_t>(*std::min_element(pair_[steps[i].lane], pair_[steps[i].lane] + Symbols));
    }
#if defined(__x86_64__)
    [[gnu::target("avx2"), gnu::noinline]] void least_avx2(const Step* steps, std::size_t count, std::uint32_t* best) const noexcept {
        for (std::size_t i = 0; i < count; ++i) {
            const auto* pair = reinterpret_cast<const __m256i*>(pair_[steps[i].lane]);
            __m256i eight = _mm256_load_si256(pair);
            for (std::size_t j = 1; j < Symbols / 8; ++j) eight = _mm256_min_epi32(eight, _mm256_load_si256(pair + j));
            __m128i four = _mm_min_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
            four = _mm_min_epi32(four, _mm_shuffle_epi32(four, 0x4e));
            best[i] = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_min_epi32(four, _mm_shuffle_epi32(four, 0xb1))));
        }
    }
#endif

    // What merging by this least entry does to a lane; or, where it is no merge, anything.
    [[gnu::always_inline]] void plan(const MergeTable& merges, std::size_t lane, std::uint32_t best, Step& step, MergeTable::Lookup* pairs) const noexcept {
        const std::size_t rank = best >> 6, at = best & 63;
        const std::uint64_t upto = ~std::uint64_t{0} >> (63 - at), before = left_[lane] & (upto >> 1), behind = left_[lane] & ~upto, next = behind & (behind - 1);
        const int gone = place_of(behind), last_before = std::bit_width(before);  // the place and one
        step.id = merges.id(std::min(rank, merges.ranks()));
        step.lane = static_cast<std::uint8_t>(lane), step.at = static_cast<std::uint8_t>(at), step.gone = static_cast<std::uint8_t>(gone);
        step.before = static_cast<std::uint8_t>(last_before - (last_before != 0));  // where there is none, `at` itself, whose entry is written after it
        pairs[0] = merges.ask_for(id_[lane][last_before], step.id);
        pairs[1] = merges.ask_for(step.id, id_[lane][place_of(next) + 1]);
    }
    void take(const Step& step, std::uint32_t rank_before, std::uint32_t rank_behind) noexcept {
        std::int32_t* const pair = pair_[step.lane];
        id_[step.lane][step.at + 1] = step.id;
        left_[step.lane] &= ~(std::uint64_t{1} << step.gone);
        pair[step.gone] = entry(MergeTable::no_rank, step.gone);
        pair[step.before] = entry(rank_before, step.before);
        pair[step.at] = entry(rank_behind, step.at);
    }

    // Of the lowest bit; behind all places where there is none.
    static int place_of(std::uint64_t bits) noexcept {
        if constexpr (Symbols < 64) bits |= std::uint64_t{1} << Symbols;
        return std::countr_zero(bits);
    }

    alignas(32) std::int32_t pair_[most][Symbols];
    TokenId id_[most][Symbols + 2];  // of the token that begins at place i: i + 1
    std::uint64_t left_[most];       // a bit for each place that a token begins at
    std::uint8_t count_[most];       // symbols
    std::size_t size_ = 0;
};

}  // namespace morsel::fast
