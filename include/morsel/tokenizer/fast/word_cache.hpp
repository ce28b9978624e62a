// What words have become: a table from the bytes of a word to its ids, so that a word that comes again costs one probe of one cache
// line. "Word" is whatever stretch of text an encoder may treat by itself (word_encoder.hpp). Whole words are the keys, never hashes
// of them alone, so a hit is exact. Not shared between threads; workspace_pool.hpp lends one to each call.
//
//   short words, at most 15 bytes:  line of 64 bytes = 2 slots of { key 16 bytes | 3 ids | count }, the home line and three more probed
//   long words:                     { hash, place } → the arena, where bytes and ids lie one after another
//
// Bounded: when the budget is used up, short words replace each other in their home line, and the arena begins anew.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/flat_map.hpp"

namespace morsel::fast {

// A word of at most 15 bytes, zero-padded, its length in the last byte. No word has length 0, so all zeros is no key.
struct WordKey {
    std::uint64_t low = 0, high = 0;
    friend bool operator==(const WordKey&, const WordKey&) = default;
};
inline constexpr std::size_t short_word = 15;  // bytes

namespace detail {

struct KeyMasks {
    std::uint64_t low[17] = {}, high[17] = {}, length[17] = {};
};
inline constexpr KeyMasks key_masks = [] {
    KeyMasks m;
    for (std::size_t n = 0; n <= 16; ++n) {
        m.low[n] = n >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * n)) - 1;
        m.high[n] = n <= 8 ? 0 : (std::uint64_t{1} << (8 * (n - 8))) - 1;
        m.length[n] = std::uint64_t{n} << 56;
    }
    m.low[16] = m.high[16] = 0;  // a longer word: a key that no word has
    return m;
}();

}  // namespace detail

// The key of `length` bytes at `text`, of which 16 must be readable. For length > 15 a key that is in no table.
[[gnu::always_inline]] inline WordKey word_key(const char* text, std::size_t length) noexcept {
    std::uint64_t low, high;
    std::memcpy(&low, text, 8);
    std::memcpy(&high, text + 8, 8);
    const std::size_t row = std::min<std::size_t>(length, 16);
    return {low & detail::key_masks.low[row], (high & detail::key_masks.high[row]) | detail::key_masks.length[row]};
}

class WordCache {
  public:
    static constexpr std::size_t inline_ids = 3;

    struct Slot {
        WordKey key = {};
        TokenId ids[inline_ids] = {};  // of more than three: ids[0] is their place in the arena
        std::uint32_t count = 0;       // ids
    };
    struct alignas(64) Line {
        Slot slots[2];
    };

    // `budget`: bytes that the tables may take, at least 1 MiB.
    explicit WordCache(std::size_t budget) : seed_(HashSeed::random()), budget_(std::max<std::size_t>(budget, std::size_t{1} << 20)) { reset(); }

    [[gnu::always_inline]] std::uint64_t hash(const WordKey& key) const noexcept {
        return morsel::detail::folded_product(key.low ^ seed_.first, key.high ^ seed_.second);
    }
    [[gnu::always_inline]] const Line& line(std::uint64_t hash) const noexcept { return lines_[hash & line_mask_]; }
    std::uint64_t hash(std::string_view word) const noexcept { return hash_of(word, seed_); }
    void prefetch_long(std::uint64_t hash) const noexcept { __builtin_prefetch(&long_slots_[hash & long_mask_]); }

    // Where a short word lies that its home line does not hold; null where it is unknown.
    const Slot* find_displaced(const WordKey& key, std::uint64_t hash) const noexcept {
        for (std::size_t i = 0; i < probes; ++i)
            for (const Slot& slot : lines_[(hash + i) & line_mask_].slots)
                if (slot.key == key) return &slot;
        return nullptr;
    }
    // The ids of a slot. Valid until the next insert.
    std::span<const TokenId> ids(const Slot& slot) const noexcept {
        return slot.count <= inline_ids ? std::span(slot.ids, slot.count) : std::span(arena_.data() + slot.ids[0], slot.count);
    }
    // The ids of a word of more than 15 bytes; a null span where it is unknown.
    std::span<const TokenId> find_long(std::string_view word, std::uint64_t hash) const noexcept {
        const auto tag = static_cast<std::uint32_t>(hash >> 32);
        for (std::size_t at = hash & long_mask_;; at = (at + 1) & long_mask_) {
            const LongSlot& slot = long_slots_[at];
            if (slot.count == 0) return {};
            if (slot.tag != tag) continue;
            const TokenId* entry = arena_.data() + slot.place;
            if (*entry == word.size() && std::memcmp(entry + 1, word.data(), word.size()) == 0)
                return {entry + 1 + words_of(word.size()), slot.count - 1};
        }
    }

    void insert(const WordKey& key, std::uint64_t hash, std::span<const TokenId> ids) {
        if (arena_.size() * sizeof(TokenId) > budget_ / 2) reset();
        Slot slot{key, {}, static_cast<std::uint32_t>(ids.size())};
        if (ids.size() <= inline_ids) std::copy(ids.begin(), ids.end(), slot.ids);
        else slot.ids[0] = static_cast<TokenId>(arena_.size()), arena_.insert(arena_.end(), ids.begin(), ids.end());
        if (used_ > line_mask_ && 2 * (line_mask_ + 1) * sizeof(Line) <= budget_ / 2) grow();
        used_ += place(slot, hash);
    }
    void insert_long(std::string_view word, std::uint64_t hash, std::span<const TokenId> ids) {
        const std::size_t need = 1 + words_of(word.size()) + ids.size();
        if (need * sizeof(TokenId) > budget_ / 8) return;
        if ((arena_.size() + need) * sizeof(TokenId) > budget_ / 2) reset();
        if (2 * (long_used_ + 1) > long_mask_) grow_long();
        const auto begin = static_cast<std::uint32_t>(arena_.size());
        arena_.resize(arena_.size() + need);
        arena_[begin] = static_cast<std::uint32_t>(word.size());
        std::memcpy(arena_.data() + begin + 1, word.data(), word.size());
        std::copy(ids.begin(), ids.end(), arena_.end() - static_cast<std::ptrdiff_t>(ids.size()));
        place_long({static_cast<std::uint32_t>(hash >> 32), static_cast<std::uint32_t>(hash), begin, static_cast<std::uint32_t>(ids.size()) + 1});
        ++long_used_;
    }

    // Bytes in use.
    std::size_t size_bytes() const noexcept {
        return (line_mask_ + 1) * sizeof(Line) + long_slots_.size() * sizeof(LongSlot) + arena_.capacity() * sizeof(TokenId);
    }

  private:
    static constexpr std::size_t probes = 4;  // lines
    struct LongSlot {
        std::uint32_t tag = 0, low = 0;  // the hash, upper and lower half
        std::uint32_t place = 0;         // in the arena: length, bytes, ids
        std::uint32_t count = 0;         // ids and one; 0: free
    };
    struct Free {
        void operator()(Line* lines) const noexcept { ::operator delete[](lines, std::align_val_t{alignof(Line)}); }
    };

    static std::size_t words_of(std::size_t bytes) noexcept { return (bytes + sizeof(TokenId) - 1) / sizeof(TokenId); }

    void reset() {
        make_lines(256);
        used_ = long_used_ = 0;
        long_slots_.assign(256, {});
        long_mask_ = long_slots_.size() - 1;
        arena_.clear();
    }
    void make_lines(std::size_t count) {
        auto* memory = static_cast<Line*>(::operator new[](count * sizeof(Line), std::align_val_t{alignof(Line)}));
        std::uninitialized_default_construct_n(memory, count);
        lines_.reset(memory);
        line_mask_ = count - 1;
    }
    // Gives 1 where a free slot was taken, 0 where another word was replaced.
    std::size_t place(const Slot& slot, std::uint64_t hash) noexcept {
        for (std::size_t i = 0; i < probes; ++i)
            for (Slot& candidate : lines_[(hash + i) & line_mask_].slots)
                if (candidate.key == WordKey{}) return candidate = slot, 1;
        lines_[hash & line_mask_].slots[hash >> 63] = slot;
        return 0;
    }
    void grow() {
        const std::size_t count = line_mask_ + 1;
        const std::unique_ptr<Line[], Free> old(lines_.release());
        make_lines(4 * count);
        used_ = 0;
        for (std::size_t i = 0; i < count; ++i)
            for (const Slot& slot : old[i].slots)
                if (slot.key != WordKey{}) used_ += place(slot, hash(slot.key));
    }
    void place_long(const LongSlot& slot) noexcept {
        std::size_t at = slot.low & long_mask_;
        while (long_slots_[at].count != 0) at = (at + 1) & long_mask_;
        long_slots_[at] = slot;
    }
    void grow_long() {
        std::vector<LongSlot> old(4 * long_slots_.size());
        old.swap(long_slots_);
        long_mask_ = long_slots_.size() - 1;
        for (const LongSlot& slot : old)
            if (slot.count != 0) place_long(slot);
    }

    HashSeed seed_;
    std::size_t budget_;
    std::unique_ptr<Line[], Free> lines_;
    std::size_t line_mask_ = 0, used_ = 0;  // lines − 1; short words
    std::vector<LongSlot> long_slots_;
    std::size_t long_mask_ = 0, long_used_ = 0;
    std::vector<TokenId> arena_;
};

}  // namespace morsel::fast
