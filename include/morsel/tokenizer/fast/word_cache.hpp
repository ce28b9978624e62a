// What words have become: a table from the bytes of a word to its ids, so that a word that comes again costs one probe of one cache
// line. "Word" is whatever stretch of text an encoder may treat by itself (word_encoder.hpp). Whole words are the keys, never hashes
// of them alone, so a hit is exact. Not shared between threads; workspace_pool.hpp lends one to each call.
//
//   at most 15 bytes:  line of 64 bytes = 2 keys of 16 bytes | for each, 3 ids and their number; the home line and three more probed
//     and of up to 15 ids: the key has a mark, and beside it is the ids' place in the arena
//     and of more, which normalizers make of a few characters: not remembered, so that 15 is what a word may need room for
//   others:            { hash, place } → the arena, where bytes and ids lie one after another
//
// Bounded: when the budget is used up, short words replace each other in their home line, and the arena begins anew.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "morsel/core/dtype.hpp"
#include "morsel/core/flat_map.hpp"
#include "morsel/core/huge_pages.hpp"

namespace morsel::fast {

// A word of at most 15 bytes, zero-padded, its length in the last byte. No word has length 0, so all zeros is no key.
struct alignas(16) WordKey {
    std::uint64_t low, high;
    friend bool operator==(const WordKey&, const WordKey&) = default;
};
inline constexpr std::size_t short_word = 15;  // bytes

namespace detail {

// By length: which bytes of a key count, and the length in its place. Row 16, a longer word: a key that no word has.
struct KeyRow {
    WordKey bytes = {}, length = {};
};
inline constexpr std::array<KeyRow, 17> key_rows = [] {
    std::array<KeyRow, 17> rows;
    for (std::size_t n = 0; n <= 16; ++n) {
        for (std::size_t i = 0; n <= short_word && i < n; ++i) (i < 8 ? rows[n].bytes.low : rows[n].bytes.high) |= std::uint64_t{0xff} << (8 * (i % 8));
        rows[n].length.high = std::uint64_t{n} << 56;
    }
    return rows;
}();

}  // namespace detail

// The row of words of so many bytes.
[[gnu::always_inline]] inline const detail::KeyRow& key_row(std::size_t length) noexcept { return detail::key_rows[length < 16 ? length : 16]; }

// The key of a word of that row at `text`, where 16 bytes must be readable. Of a word of more than 15 a key that is in no table.
[[gnu::always_inline]] inline WordKey word_key(const char* text, const detail::KeyRow& row) noexcept {
    WordKey key;
#if defined(__SSE2__)
    const __m128i bytes = _mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text)), _mm_load_si128(reinterpret_cast<const __m128i*>(&row.bytes)));
    _mm_store_si128(reinterpret_cast<__m128i*>(&key), _mm_or_si128(bytes, _mm_load_si128(reinterpret_cast<const __m128i*>(&row.length))));
#else
    std::memcpy(&key, text, 16);
    key.low &= row.bytes.low;
    key.high = (key.high & row.bytes.high) | row.length.high;
#endif
    return key;
}
// The key of `length` bytes at `text`, of which 16 must be readable.
[[gnu::always_inline]] inline WordKey word_key(const char* text, std::size_t length) noexcept { return word_key(text, key_row(length)); }

// Whether it is the key of a word of at most 15 bytes, not of a longer one.
inline bool is_short(const WordKey& key) noexcept { return key.high >> 56 <= short_word; }

class WordCache {
  public:
    static constexpr std::size_t inline_ids = 3, most_ids = 15;  // of a short word: in its slot; at all

    // 3 ids and how many of them count, or the place in the arena of more.
    struct Ids {
        TokenId ids[inline_ids] = {};
        std::uint32_t count = 0;
    };
    struct alignas(64) Line {
        WordKey keys[2] = {};
        alignas(16) Ids ids[2] = {};  // of each
    };
    static constexpr std::uint64_t mark = std::uint64_t{1} << 63;  // in the upper half of the key of a word of more ids

    // `budget`: bytes that the tables may take, at least 1 MiB.
    explicit WordCache(std::size_t budget) : seed_(HashSeed::random()), budget_(std::max<std::size_t>(budget, std::size_t{1} << 20)) {
        seed_.first |= 1;
        reset();
    }

    // Another number whenever homes have changed.
    unsigned version() const noexcept { return version_; }
    // Number of a key's home line. Two multiplications by secret odd numbers; the upper bits depend on every bit of the key.
    [[gnu::always_inline]] std::size_t home_number(const WordKey& key) const noexcept { return (key.low * seed_.first + key.high * seed_.second) >> shift_; }
    [[gnu::always_inline]] const Line* home(const WordKey& key) const noexcept { return lines_.get() + home_number(key); }
    // Ids of words of more than 3, of which `slack` may be read beyond the last.
    const TokenId* arena() const noexcept { return arena_.data(); }
    static constexpr std::size_t slack = 16;

    // The ids of a short word, or a null span where it is unknown. Valid until the next insert.
    std::span<const TokenId> find(const WordKey& key, const Line* home) const noexcept {
        const WordKey many = marked(key);
        for (std::size_t i = 0, first = static_cast<std::size_t>(home - lines_.get()); i < probes; ++i) {
            const Line& line = lines_[(first + i) & line_mask_];
            for (std::size_t slot = 0; slot < 2; ++slot) {
                if (line.keys[slot] == key) return {line.ids[slot].ids, line.ids[slot].count};
                if (line.keys[slot] == many) return {arena_.data() + line.ids[slot].ids[0], line.ids[slot].count};
                if (line.keys[slot] == WordKey{}) return {};  // it would have been placed here
            }
        }
        return {};
    }
    void insert(const WordKey& key, std::span<const TokenId> ids) {
        if (ids.size() > most_ids) return;
        if (used_ > line_mask_ && 2 * (line_mask_ + 1) * sizeof(Line) <= budget_ / 2) grow();
        Ids entry{{}, static_cast<std::uint32_t>(ids.size())};
        if (ids.size() <= inline_ids) {
            std::copy(ids.begin(), ids.end(), entry.ids);
            used_ += place(key, entry);
        } else {
            if ((arena_.size() + ids.size()) * sizeof(TokenId) > budget_ / 2) reset();
            entry.ids[0] = static_cast<std::uint32_t>(arena_.size());
            reserve_more(arena_, arena_.size() + ids.size() + slack);
            arena_.insert(arena_.end(), ids.begin(), ids.end());
            used_ += place(marked(key), entry);
        }
    }

    // Longer words.
    std::uint64_t hash(std::string_view word) const noexcept { return hash_of(word, seed_); }
    // Asks for the memory of where such a word is listed, and then of the word.
    void ask_for_long(std::uint64_t hash) const noexcept { __builtin_prefetch(&long_slots_[hash & long_mask_]); }
    void ask_for_long_word(std::uint64_t hash) const noexcept { __builtin_prefetch(arena_.data() + long_slots_[hash & long_mask_].place); }
    // Their ids, or a null span where the word is unknown. Valid until the next insert.
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
    void insert_long(std::string_view word, std::uint64_t hash, std::span<const TokenId> ids) {
        const std::size_t need = 1 + words_of(word.size()) + ids.size();
        if (need * sizeof(TokenId) > budget_ / 8) return;
        if ((arena_.size() + need) * sizeof(TokenId) > budget_ / 2) reset();
        if (2 * (long_used_ + 1) > long_mask_) grow_long();
        const auto begin = static_cast<std::uint32_t>(arena_.size());
        reserve_more(arena_, arena_.size() + need + slack);
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
        std::size_t mapped = 0;  // bytes, where it is memory of its own from the system
        void operator()(Line* lines) const noexcept {
#if defined(__linux__)
            if (mapped != 0) return static_cast<void>(munmap(lines, mapped));
#endif
            delete[] lines;
        }
    };

    // The key of a short word whose ids lie in the arena: equal to no word's key, and of the same home.
    static WordKey marked(WordKey key) noexcept { return {key.low, key.high | mark}; }
    static WordKey unmarked(WordKey key) noexcept { return {key.low, key.high & ~mark}; }

    static std::size_t words_of(std::size_t bytes) noexcept { return (bytes + sizeof(TokenId) - 1) / sizeof(TokenId); }

    void reset() {
        make_lines(256);
        used_ = long_used_ = 0;
        long_slots_.assign(256, {});
        long_mask_ = long_slots_.size() - 1;
        arena_.clear();
    }
    void make_lines(std::size_t count) {
        lines_ = map_lines(count * sizeof(Line));
        if (!lines_) lines_ = {new Line[count], Free{}};
        line_mask_ = count - 1;
        shift_ = 64 - std::countr_zero(count);
        ++version_;
    }
    // Many lines, every probe in another page, come from the system in huge ones: zeros, free slots, that are not written before they are used; a first
    // pass gained 3 to 14 %. Null where there is no such memory, or for few.
    static std::unique_ptr<Line[], Free> map_lines([[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__linux__)
        if (bytes < huge_page) return {nullptr, Free{}};
        void* const memory = mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return {nullptr, Free{}};
        char* const first = static_cast<char*>(memory);
        const std::size_t front = (huge_page - reinterpret_cast<std::uintptr_t>(memory) % huge_page) % huge_page;  // to a border of pages
        if (front != 0) munmap(first, front);
        munmap(first + front + bytes, huge_page - front);
        prefer_huge_pages(first + front, bytes);
        return {reinterpret_cast<Line*>(first + front), Free{bytes}};
#else
        return {nullptr, Free{}};
#endif
    }
    // Gives 1 where a free slot was taken, 0 where another word was replaced.
    std::size_t place(const WordKey& key, const Ids& ids) noexcept {
        const std::size_t first = home_number(unmarked(key));
        const auto put = [&](Line& line, std::size_t slot) { line.keys[slot] = key, line.ids[slot] = ids; };
        for (std::size_t i = 0; i < probes; ++i) {
            Line& line = lines_[(first + i) & line_mask_];
            for (std::size_t slot = 0; slot < 2; ++slot) {
                if (line.keys[slot] == WordKey{}) return put(line, slot), 1;
                if (line.keys[slot] == key) return 0;
            }
        }
        put(lines_[first], key.low & 1);
        return 0;
    }
    void grow() {
        const std::size_t count = line_mask_ + 1;
        const auto old = std::move(lines_);
        make_lines(2 * count);
        used_ = 0;
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t j = 0; j < 2; ++j) __builtin_prefetch(&lines_[(2 * (i + 16) + j) & line_mask_], 1);  // where the words of old line i + 16 go
            for (std::size_t slot = 0; slot < 2; ++slot)
                if (old[i].keys[slot] != WordKey{}) used_ += place(old[i].keys[slot], old[i].ids[slot]);
        }
    }
    void place_long(const LongSlot& slot) noexcept {
        std::size_t at = slot.low & long_mask_;
        while (long_slots_[at].count != 0) at = (at + 1) & long_mask_;
        long_slots_[at] = slot;
    }
    void grow_long() {
        std::vector<LongSlot> old;
        old.swap(long_slots_);
        reserve_more(long_slots_, 2 * old.size());
        long_slots_.resize(2 * old.size());
        long_mask_ = long_slots_.size() - 1;
        for (const LongSlot& slot : old)
            if (slot.count != 0) place_long(slot);
    }

    HashSeed seed_;
    std::size_t budget_;
    std::unique_ptr<Line[], Free> lines_ = {nullptr, Free{}};
    std::size_t line_mask_ = 0, used_ = 0;  // lines − 1; short words
    int shift_ = 0;                         // of a hash to a line
    unsigned version_ = 0;
    std::vector<LongSlot> long_slots_;
    std::size_t long_mask_ = 0, long_used_ = 0;
    std::vector<TokenId> arena_;
};

}  // namespace morsel::fast
