// The tokens of a vocabulary as a trie over bytes, to find the tokens that a text begins with in one walk. The edges lie in one
// hash table (node and byte → node), eight bytes each: children need no arrays, and a walk costs one probe a byte. The node of a token
// has the token's id for its number. Seven bits of an edge tell which bytes may follow its node, so most walks end without a probe in vain.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"

namespace morsel::fast {

class TokenTrie {
  public:
    struct Match {
        TokenId id = 0;
        std::size_t size = 0;  // bytes; 0: no token
    };

    // Nothing where there are 2^24 nodes or more.
    static std::optional<TokenTrie> create(const Vocabulary& vocabulary) {
        TokenTrie trie;
        std::random_device device;
        trie.factor_ = (std::uint64_t{device()} << 32 | device()) | 1;
        trie.resize(std::size_t{1} << 12);
        // The shorter ones first: then a node on the way to a token is a token already, or never will be one.
        std::array<std::vector<std::pair<std::string_view, TokenId>>, 64> by_size;
        vocabulary.for_each([&](std::string_view token, TokenId id) { by_size[std::min(token.size(), by_size.size() - 1)].emplace_back(token, id); });
        std::sort(by_size.back().begin(), by_size.back().end(), [](const auto& a, const auto& b) { return a.first.size() < b.first.size(); });
        if (vocabulary.id_bound() >= no_id) return std::nullopt;
        trie.next_node_ = static_cast<std::uint32_t>(vocabulary.id_bound());
        trie.root_ = trie.next_node_++;
        for (std::size_t size = 1; size < by_size.size(); ++size)
            for (const auto& [token, id] : by_size[size])
                if (!trie.add(token, id)) return std::nullopt;
        return trie;
    }

    // Where a walk begins, and where one has come to.
    struct Place {
        std::uint32_t node = 0, next_bytes = 0;  // a number; bit bin(byte): such a byte may follow
    };
    Place root() const noexcept { return {root_, all_bytes}; }
    // Where `text` leads to; nothing where it begins no token.
    std::optional<Place> walk(std::string_view text) const noexcept {
        Place at = root();
        for (const char byte : text) {
            const std::uint64_t edge = follow(at, byte);
            if (edge == free_slot) return std::nullopt;
            at = place_of(edge);
        }
        return at;
    }

    // The longest token that is the way to `from` and then bytes of `text`, at least one of them; its size counts those alone.
    Match longest(std::string_view text, Place from) const noexcept {
        Match found;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const std::uint64_t edge = follow(from, text[i]);
            if (edge == free_slot) break;
            from = place_of(edge);
            if ((edge & is_token) != 0) found = {from.node, i + 1};
        }
        return found;
    }

    // f(size, id) for every token that `text` begins with, the shortest first.
    template <class F> void for_each_prefix(std::string_view text, F&& f) const {
        Place at = root();
        for (std::size_t i = 0; i < text.size(); ++i) {
            const std::uint64_t edge = follow(at, text[i]);
            if (edge == free_slot) return;
            at = place_of(edge);
            if ((edge & is_token) != 0) f(i + 1, at.node);
        }
    }

  private:
    // A slot: key (node 24 bits, byte 8 bits) | whether the child is a token | which bytes may follow the child, 7 bits | child 24 bits.
    static constexpr std::uint64_t free_slot = ~std::uint64_t{0}, is_token = std::uint64_t{1} << 31;
    static constexpr std::uint32_t no_id = (1u << 24) - 1, all_bytes = 0x7F;

    static std::uint64_t key_of(std::uint32_t node, char byte) noexcept { return std::uint64_t{node} << 8 | static_cast<unsigned char>(byte); }
    static std::uint32_t bin(char byte) noexcept { return (static_cast<unsigned char>(byte) & 7u) % 7; }
    static Place place_of(std::uint64_t edge) noexcept { return {static_cast<std::uint32_t>(edge) & no_id, static_cast<std::uint32_t>(edge >> 24) & all_bytes}; }

    // The edge from there by that byte, or free_slot.
    std::uint64_t follow(Place from, char byte) const noexcept { return (from.next_bytes >> bin(byte) & 1) != 0 ? slots_[slot_of(key_of(from.node, byte))] : free_slot; }
    // Where that key is, or belongs.
    std::size_t slot_of(std::uint64_t key) const noexcept {
        std::size_t at = (key * factor_) >> shift_;
        while (slots_[at] != free_slot && slots_[at] >> 32 != key) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    bool add(std::string_view token, TokenId id) {
        std::uint32_t node = root_;
        std::uint64_t key_before = 0;  // of the edge to that node
        for (std::size_t i = 0; i < token.size(); ++i) {
            const std::uint64_t key = key_of(node, token[i]);
            std::size_t slot = slot_of(key);
            if (slots_[slot] == free_slot) {
                if (next_node_ >= no_id) return false;
                if (2 * ++edges_ > slots_.size()) resize(2 * slots_.size()), slot = slot_of(key);
                const bool ends = i + 1 == token.size();
                slots_[slot] = key << 32 | (ends ? is_token | id : next_node_++);
                if (i > 0) slots_[slot_of(key_before)] |= std::uint64_t{1} << (24 + bin(token[i]));
            }
            node = static_cast<std::uint32_t>(slots_[slot]) & no_id;
            key_before = key;
        }
        return true;
    }
    void resize(std::size_t capacity) {
        std::vector<std::uint64_t> old(capacity, free_slot);
        old.swap(slots_);
        shift_ = 64;
        for (std::size_t n = capacity; n > 1; n /= 2) --shift_;
        for (const std::uint64_t slot : old)
            if (slot != free_slot) slots_[slot_of(slot >> 32)] = slot;
    }

    std::uint64_t factor_ = 1;  // secret, since the tokens come from files
    int shift_ = 0;
    std::vector<std::uint64_t> slots_;  // power of two
    std::uint32_t root_ = 0, next_node_ = 0;
    std::size_t edges_ = 0;
};

}  // namespace morsel::fast
