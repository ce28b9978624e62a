// The adjacent pairs of a corpus: how often each occurs and where. Pairs are numbered as they are met and found by a hash table of these
// numbers. A place is the number of a word, or, with the upper bit, a slot of a long word (word_symbols.hpp). Places are never taken away:
// whoever comes looks whether the pair is still there.
// Most pairs ever met occur at one or two places: a pair takes 32 bytes, which hold two places, and lies where nothing moves it.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/core/flat_map.hpp"

namespace morsel {

// A list of places: two of them in itself, more on the heap.
class PairPlaces {
  public:
    PairPlaces() = default;
    PairPlaces(PairPlaces&& other) noexcept : size_(std::exchange(other.size_, 0)), capacity_(std::exchange(other.capacity_, few)), data_(other.data_) {}
    PairPlaces& operator=(PairPlaces&& other) noexcept {
        std::swap(size_, other.size_), std::swap(capacity_, other.capacity_), std::swap(data_, other.data_);
        return *this;
    }
    ~PairPlaces() {
        if (capacity_ > few) std::free(heap());
    }

    std::span<std::uint32_t> all() noexcept { return {begin(), size_}; }
    std::span<const std::uint32_t> all() const noexcept { return {const_cast<PairPlaces*>(this)->begin(), size_}; }

    // Appends a place that is not the last one already.
    void add(std::uint32_t place) {
        if (size_ > 0 && begin()[size_ - 1] == place) return;
        if (size_ == capacity_) grow();
        begin()[size_++] = place;
    }

  private:
    static constexpr std::uint32_t few = 2;

    std::uint32_t* heap() const noexcept { return std::bit_cast<std::uint32_t*>(data_); }
    std::uint32_t* begin() noexcept { return capacity_ > few ? heap() : data_.data(); }
    void grow() {
        const std::size_t capacity = size_ + std::max<std::size_t>(size_ / 4, 4);  // lists are most of the memory: little to spare
        if (capacity > 0xffffffffu) throw Error("a pair has too many places");
        auto* const larger = static_cast<std::uint32_t*>(std::realloc(capacity_ > few ? heap() : nullptr, capacity * sizeof(std::uint32_t)));
        if (larger == nullptr) throw std::bad_alloc();
        if (capacity_ == few) std::copy(data_.begin(), data_.end(), larger);
        data_ = std::bit_cast<decltype(data_)>(larger);
        capacity_ = static_cast<std::uint32_t>(capacity);
    }

    std::uint32_t size_ = 0, capacity_ = few;
    std::array<std::uint32_t, few> data_ = {};  // places, or where they are
    static_assert(sizeof(std::uint32_t*) == few * sizeof(std::uint32_t), "pointers of 64 bits");
};

class PairIndex {
  public:
    std::size_t size() const noexcept { return size_; }
    std::uint64_t key(std::uint32_t pair) const noexcept { return (*this)[pair].key; }   // pack_pair(left, right)
    std::int64_t count(std::uint32_t pair) const noexcept { return (*this)[pair].count; }  // occurrences now
    const PairPlaces& places(std::uint32_t pair) const noexcept { return (*this)[pair].places; }

    // The number of a pair, a new one where it has not been met.
    std::uint32_t number(TokenId left, TokenId right) {
        const std::uint64_t key = pack_pair(left, right);
        std::size_t at = position(key);
        if (slots_[at] != none) return slots_[at];
        if (3 * slots_.size() < 4 * (size_ + 1)) enlarge(), at = position(key);
        if (size_ >= none) throw Error("too many pairs");
        if (size_ % block == 0) blocks_.push_back(std::make_unique<Pair[]>(block));
        const auto created = static_cast<std::uint32_t>(size_++);
        (*this)[created].key = key;
        return slots_[at] = created;
    }
    void add(std::uint32_t pair, std::int64_t count, std::uint32_t place) {
        Pair& p = (*this)[pair];
        p.count += count;
        p.places.add(place);
    }
    void subtract(TokenId left, TokenId right, std::int64_t count) {
        if (const std::uint32_t known = slots_[position(pack_pair(left, right))]; known != none) (*this)[known].count -= count;
    }
    // Forgets a pair that occurs no more, and gives where it was.
    PairPlaces take(std::uint32_t pair) {
        Pair& p = (*this)[pair];
        p.count = 0;
        return std::move(p.places);
    }

  private:
    static constexpr std::uint32_t none = 0xffffffffu;
    static constexpr std::size_t block = 4096;  // pairs
    struct Pair {
        std::uint64_t key = 0;
        std::int64_t count = 0;
        PairPlaces places = {};
    };

    Pair& operator[](std::uint32_t pair) noexcept { return blocks_[pair / block][pair % block]; }
    const Pair& operator[](std::uint32_t pair) const noexcept { return blocks_[pair / block][pair % block]; }
    std::size_t position(std::uint64_t key) const noexcept {
        std::size_t at = hash_of(key, seed_) & (slots_.size() - 1);
        while (slots_[at] != none && (*this)[slots_[at]].key != key) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    void enlarge() {
        slots_.assign(2 * slots_.size(), none);
        for (std::uint32_t pair = 0; pair < size_; ++pair) slots_[position((*this)[pair].key)] = pair;
    }

    HashSeed seed_ = HashSeed::random();
    std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1024, none);  // power of two, at most three quarters full
    std::vector<std::unique_ptr<Pair[]>> blocks_;
    std::size_t size_ = 0;
};

}  // namespace morsel
