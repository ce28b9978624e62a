// How often each word occurs: the table that vocabularies are trained from. Words are any bytes; counts have 64 bits.
// A word of at most 15 bytes is its own key in a slot of 32 bytes, so that counting it again touches one cache line; longer ones lie
// in an arena and are found by hash. Tables add up: count parts of a corpus anywhere and merge.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/flat_map.hpp"
#include "morsel/tokenizer/fast/word_cache.hpp"

namespace morsel {

struct CountedWord {
    std::string_view word = {};
    std::uint64_t count = 0;
};

class WordCounts {
  public:
    WordCounts() : WordCounts(false) {}
    // bytes: each byte of a word is one symbol, shown by byte-level tokenizers as a character of its own; else words are UTF-8.
    explicit WordCounts(bool bytes) : bytes_(bytes), seed_(HashSeed::random()), short_(1024), long_(256) {}

    bool are_bytes() const noexcept { return bytes_; }
    std::size_t size() const noexcept { return short_size_ + long_size_; }  // distinct words
    std::size_t memory() const noexcept { return short_.capacity() * sizeof(Short) + long_.capacity() * sizeof(Long) + arena_.capacity(); }  // bytes

    // Adds to the count of a word; the empty word does not count.
    void add(std::string_view word, std::uint64_t count = 1) {
        if (word.empty() || count == 0) return;
        if (word.size() > fast::short_word) return add_long(word, count);
        char padded[16] = {};
        std::memcpy(padded, word.data(), word.size());
        const fast::WordKey key = fast::word_key(padded, word.size());
        add_short(key, home(key), count);
    }

    // Counts words that are not empty: word i is bytes starts[i] … ends[i] of text, of which 16 from starts[i] on are readable. Home lines are
    // asked for a batch ahead.
    void add_pieces(const char* text, const std::uint32_t* starts, const std::uint32_t* ends, std::size_t n) {
        constexpr std::size_t batch = 32;
        fast::WordKey keys[batch];
        std::size_t homes[batch];
        for (std::size_t first = 0; first < n; first += batch) {
            const std::size_t count = std::min(batch, n - first);
            if (4 * (short_size_ + count) > 3 * short_.size()) grow();
            for (std::size_t i = 0; i < count; ++i) {
                keys[i] = fast::word_key(text + starts[first + i], ends[first + i] - starts[first + i]);
                homes[i] = home(keys[i]);
                __builtin_prefetch(&short_[homes[i]], 1);
            }
            for (std::size_t i = 0; i < count; ++i) {
                const std::uint32_t length = ends[first + i] - starts[first + i];
                if (length > fast::short_word) add_long({text + starts[first + i], length}, 1);
                else if (short_[homes[i]].key == keys[i]) ++short_[homes[i]].count;
                else add_short(keys[i], homes[i], 1);
            }
        }
    }

    // f(word, count) for every word, in no particular order; the text lives as long as the call.
    template <class F> void for_each(F&& f) const {
        for (const Short& slot : short_)
            if (slot.count != 0) f(std::string_view(reinterpret_cast<const char*>(&slot.key), slot.key.high >> 56), slot.count);
        for (const Long& slot : long_)
            if (slot.count != 0) f(std::string_view(arena_).substr(slot.begin, slot.length), slot.count);
    }

    // Adds all counts of another table.
    void merge(const WordCounts& other) {
        if (other.bytes_ != bytes_) throw Error("tables of bytes and of characters cannot be merged");
        other.for_each([&](std::string_view word, std::uint64_t count) { add(word, count); });
    }

    std::uint64_t count(std::string_view word) const {
        std::uint64_t found = 0;
        if (word.size() > fast::short_word) {
            const Long& slot = long_[long_position(word, hash_of(word, seed_))];
            found = slot.count;
        } else if (!word.empty()) {
            char padded[16] = {};
            std::memcpy(padded, word.data(), word.size());
            const fast::WordKey key = fast::word_key(padded, word.size());
            found = short_[short_position(key, home(key))].count;
        }
        return found;
    }

    // The most frequent first, equal ones by their bytes: the same list whatever the order of counting. Views into this table.
    std::vector<CountedWord> sorted() const {
        std::vector<CountedWord> words;
        words.reserve(size());
        for_each([&](std::string_view word, std::uint64_t count) { words.push_back({word, count}); });
        std::sort(words.begin(), words.end(), [](const CountedWord& a, const CountedWord& b) { return a.count != b.count ? a.count > b.count : a.word < b.word; });
        return words;
    }

  private:
    struct Short {
        fast::WordKey key = {};
        std::uint64_t count = 0;  // 0: free
    };
    struct Long {
        std::uint64_t hash = 0, begin = 0, length = 0;  // the last two: bytes, in the arena
        std::uint64_t count = 0;                        // 0: free
    };

    std::size_t home(const fast::WordKey& key) const noexcept {
        return detail::folded_product(key.low ^ seed_.first, key.high ^ seed_.second) & (short_.size() - 1);
    }
    std::size_t short_position(const fast::WordKey& key, std::size_t at) const noexcept {
        while (short_[at].count != 0 && !(short_[at].key == key)) at = (at + 1) & (short_.size() - 1);
        return at;
    }
    std::size_t long_position(std::string_view word, std::uint64_t hash) const noexcept {
        std::size_t at = hash & (long_.size() - 1);
        const auto is = [&](const Long& slot) { return slot.hash == hash && slot.length == word.size() && std::memcmp(arena_.data() + slot.begin, word.data(), word.size()) == 0; };
        while (long_[at].count != 0 && !is(long_[at])) at = (at + 1) & (long_.size() - 1);
        return at;
    }

    void add_short(const fast::WordKey& key, std::size_t at, std::uint64_t count) {
        Short& slot = short_[short_position(key, at)];
        if (slot.count == 0) slot.key = key, ++short_size_;
        slot.count += count;
        if (4 * short_size_ > 3 * short_.size()) grow();
    }
    void add_long(std::string_view word, std::uint64_t count) {
        const std::uint64_t hash = hash_of(word, seed_);
        Long& slot = long_[long_position(word, hash)];
        if (slot.count == 0) {
            slot = {hash, arena_.size(), word.size(), 0};
            arena_ += word;
            ++long_size_;
        }
        slot.count += count;
        if (4 * long_size_ > 3 * long_.size()) {
            std::vector<Long> old(2 * long_.size());
            old.swap(long_);
            for (const Long& each : old)
                if (each.count != 0) {
                    std::size_t to = each.hash & (long_.size() - 1);
                    while (long_[to].count != 0) to = (to + 1) & (long_.size() - 1);
                    long_[to] = each;
                }
        }
    }
    void grow() {
        std::vector<Short> old(2 * short_.size());
        old.swap(short_);
        for (const Short& each : old)
            if (each.count != 0) short_[short_position(each.key, home(each.key))] = each;
    }

    bool bytes_;
    HashSeed seed_;
    std::vector<Short> short_;  // powers of two, at most three quarters full
    std::vector<Long> long_;
    std::string arena_;
    std::size_t short_size_ = 0, long_size_ = 0;
};

}  // namespace morsel
