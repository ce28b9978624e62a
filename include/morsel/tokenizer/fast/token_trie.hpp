// The tokens of a vocabulary as a trie over bytes, to find the tokens that a text begins with in one walk. The edges lie in one
// hash table (node and byte → node), eight bytes each: children need no arrays, and a walk costs one probe a byte.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"

namespace morsel::fast {

class TokenTrie {
  public:
    static constexpr std::uint32_t root = 0, no_node = 0xffffffffu;

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
        trie.ids_.push_back(0);
        bool fits = true;
        vocabulary.for_each([&](std::string_view token, TokenId id) { fits = fits && (token.empty() || trie.add(token, id)); });
        if (!fits) return std::nullopt;
        return trie;
    }

    // The node that `text` leads to, or no_node.
    std::uint32_t walk(std::string_view text) const noexcept {
        std::uint32_t node = root;
        for (const char byte : text) {
            const std::uint64_t edge = slots_[slot_of(key_of(node, byte))];
            if (edge == free_slot) return no_node;
            node = static_cast<std::uint32_t>(edge) & node_mask;
        }
        return node;
    }

    // The longest token that is the way to `from` and then bytes of `text`, at least one of them; its size counts those alone.
    Match longest(std::string_view text, std::uint32_t from = root) const noexcept {
        std::uint32_t node = from, last = no_node;
        std::size_t size = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const std::uint64_t edge = slots_[slot_of(key_of(node, text[i]))];
            if (edge == free_slot) break;
            node = static_cast<std::uint32_t>(edge) & node_mask;
            if ((edge & is_token) != 0) last = node, size = i + 1;
        }
        return size == 0 ? Match{} : Match{ids_[last], size};
    }

    // f(size, id) for every token that `text` begins with, the shortest first.
    template <class F> void for_each_prefix(std::string_view text, F&& f) const {
        std::uint32_t node = root;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const std::uint64_t edge = slots_[slot_of(key_of(node, text[i]))];
            if (edge == free_slot) return;
            node = static_cast<std::uint32_t>(edge) & node_mask;
            if ((edge & is_token) != 0) f(i + 1, ids_[node]);
        }
    }

  private:
    // A slot: key (node 24 bits, byte 8 bits) | whether the child is a token | child 24 bits.
    static constexpr std::uint64_t free_slot = ~std::uint64_t{0}, is_token = std::uint64_t{1} << 31;
    static constexpr std::uint32_t node_mask = (1u << 24) - 1;

    static std::uint64_t key_of(std::uint32_t node, char byte) noexcept { return std::uint64_t{node} << 8 | static_cast<unsigned char>(byte); }
    // Where that key is, or belongs.
    std::size_t slot_of(std::uint64_t key) const noexcept {
        std::size_t at = (key * factor_) >> shift_;
        while (slots_[at] != free_slot && slots_[at] >> 32 != key) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    bool add(std::string_view token, TokenId id) {
        std::uint32_t node = root;
        for (std::size_t i = 0; i < token.size(); ++i) {
            const std::uint64_t key = key_of(node, token[i]);
            std::size_t slot = slot_of(key);
            if (slots_[slot] == free_slot) {
                if (ids_.size() >= node_mask) return false;
                if (2 * ids_.size() > slots_.size()) resize(2 * slots_.size()), slot = slot_of(key);
                slots_[slot] = key << 32 | ids_.size();
                ids_.push_back(0);
            }
            if (i + 1 == token.size()) slots_[slot] |= is_token;
            node = static_cast<std::uint32_t>(slots_[slot]) & node_mask;
        }
        ids_[node] = id;
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
    std::vector<TokenId> ids_;          // [nodes] where the node is a token
};

}  // namespace morsel::fast
