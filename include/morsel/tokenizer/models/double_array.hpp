// Where the nodes of a trie lie in a double array (token_trie.hpp): for a node with children by certain bytes, a base such that the cells
// base ^ byte are free. They are looked for in the last blocks of 256 cells, oldest free cells first; blocks in which little fits are
// given up, so that every node costs but so many looks, whatever the vocabulary.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace morsel {

class DoubleArray {
  public:
    // The array is cells [0, size()).
    std::size_t size() const noexcept { return cells_.size(); }

    // Takes the cells base ^ byte for these bytes, at least one and all different, and gives the base, which no other node has. Nothing where the cells come to an end.
    std::optional<std::uint32_t> take(std::span<const unsigned char> bytes) {
        std::uint32_t cell = first_;
        for (std::size_t tries = 0; cell != none && tries < most_tries; ++tries, cell = cells_[cell].next)
            if (const std::uint32_t base = cell ^ bytes.front(); fits(base, bytes)) return take_at(base, bytes);
        if (size() + block > most_cells) return std::nullopt;
        const auto base = static_cast<std::uint32_t>(size());
        open_block();
        return take_at(base, bytes);
    }

  private:
    static constexpr std::uint32_t none = 0xffffffffu;
    static constexpr std::size_t most_cells = std::size_t{1} << 24, block = 256;
    static constexpr std::size_t most_open = 16, most_tries = 128;  // blocks; free cells
    struct Cell {
        std::uint32_t before, next;  // free ones, of open blocks, the oldest first
        bool taken, is_base;
    };

    bool fits(std::uint32_t base, std::span<const unsigned char> bytes) const noexcept {
        return !cells_[base].is_base && std::none_of(bytes.begin(), bytes.end(), [&](unsigned char byte) { return cells_[base ^ byte].taken; });
    }
    std::uint32_t take_at(std::uint32_t base, std::span<const unsigned char> bytes) noexcept {
        cells_[base].is_base = true;
        for (const unsigned char byte : bytes) unlink(base ^ byte), cells_[base ^ byte].taken = true;
        return base;
    }
    void unlink(std::uint32_t cell) noexcept {
        const Cell& gone = cells_[cell];
        (gone.before != none ? cells_[gone.before].next : first_) = gone.next;
        (gone.next != none ? cells_[gone.next].before : last_) = gone.before;
    }
    void open_block() {
        const auto begin = static_cast<std::uint32_t>(size());
        for (std::uint32_t cell = begin; cell < begin + block; ++cell) {
            cells_.push_back({last_, none, false, false});
            (last_ != none ? cells_[last_].next : first_) = cell;
            last_ = cell;
        }
        if (size() <= most_open * block) return;
        const std::size_t oldest = size() - (most_open + 1) * block;
        for (std::size_t cell = oldest; cell < oldest + block; ++cell)
            if (!cells_[cell].taken) unlink(static_cast<std::uint32_t>(cell));
    }

    std::vector<Cell> cells_;
    std::uint32_t first_ = none, last_ = none;  // free
};

}  // namespace morsel
