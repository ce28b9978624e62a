// The tokens of a vocabulary as a trie over bytes, to find the tokens that a text begins with in one walk. A double array (J. Aoe, An
// efficient digital search algorithm by using a double-array structure, 1989): the child of a node by byte b is the cell base(node) ^ b.
// A cell is eight bytes, few are free, and those of one word lie near each other: a walk looks into memory once a byte, and what it waits
// for is that this memory is small. Seven bits of a cell tell which bytes may follow, so most walks end without a look in vain.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/tokenizer/models/double_array.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"

namespace morsel {

class TokenTrie {
  public:
    struct Match {
        TokenId id = 0;
        std::size_t size = 0;  // bytes; 0: no token
    };

    // Nothing where there are 2^24 ids, or cells.
    static std::optional<TokenTrie> create(const Vocabulary& vocabulary) {
        if (vocabulary.id_bound() > no_id) return std::nullopt;
        std::vector<Token> tokens;
        tokens.reserve(vocabulary.size());
        vocabulary.for_each([&](std::string_view text, TokenId id) {
            if (!text.empty()) tokens.push_back({head_of(text), text, id});
        });
        std::sort(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) { return a.head != b.head ? a.head < b.head : a.text < b.text; });
        TokenTrie trie;
        if (!trie.place(tokens)) return std::nullopt;
        return trie;
    }

    // Where a walk begins, and where one has come to.
    struct Place {
        std::uint32_t base = 0, next_bytes = 0;  // next_bytes: bit bin(byte), such a byte may follow
    };
    Place root() const noexcept { return root_; }
    // Where `text` leads to; nothing where it begins no token.
    std::optional<Place> walk(std::string_view text) const noexcept {
        Place at = root();
        for (const char byte : text) {
            const std::uint64_t cell = child(at, byte);
            if (cell == free_cell) return std::nullopt;
            at = place_of(cell);
        }
        return at;
    }

    // The longest token that is the way to `from` and then bytes of `text`, at least one of them; its size counts those alone.
    Match longest(std::string_view text, Place from) const noexcept {
        Match found;
        for_each_prefix(text, from, [&](std::size_t size, TokenId id) { found = {id, size}; });
        return found;
    }

    // f(size, id) for every token that is the way to `from` and then bytes of `text`, at least one of them, the shortest first; size counts those alone.
    template <class F> void for_each_prefix(std::string_view text, Place from, F&& f) const {
        for (std::size_t i = 0; i < text.size(); ++i) {
            const std::uint64_t cell = child(from, text[i]);
            if (cell == free_cell) return;
            from = place_of(cell);
            if (id_of(cell) != no_id) f(i + 1, id_of(cell));
        }
    }

    // Bytes in use.
    std::size_t size_bytes() const noexcept { return cells_.size() * sizeof(std::uint64_t); }

  private:
    // id of the token that ends here, or no_id, 24 bits | base 24 bits | which bytes may follow, 7 bits | 1: not free | the byte that leads here, 8 bits
    static constexpr std::uint64_t free_cell = 0;
    static constexpr std::uint32_t no_id = (1u << 24) - 1;

    static std::uint32_t bin(unsigned char byte) noexcept { return (byte & 7u) == 7 ? 0 : byte & 7u; }
    static bool may_follow(Place from, unsigned char byte) noexcept { return (from.next_bytes >> bin(byte) & 1) != 0; }
    static TokenId id_of(std::uint64_t cell) noexcept { return static_cast<TokenId>(cell) & no_id; }
    static Place place_of(std::uint64_t cell) noexcept { return {static_cast<std::uint32_t>(cell >> 24) & 0xffffff, static_cast<std::uint32_t>(cell >> 48) & 0x7f}; }
    static bool leads(std::uint64_t cell, unsigned char byte) noexcept { return cell >> 55 == (std::uint64_t{byte} << 1 | 1); }
    static std::uint64_t cell_of(unsigned char byte, TokenId id) noexcept { return (std::uint64_t{byte} << 1 | 1) << 55 | id; }
    static std::uint64_t bits_of(Place place) noexcept { return std::uint64_t{place.next_bytes} << 48 | std::uint64_t{place.base} << 24; }

    // The cell that this byte leads to, or free_cell.
    std::uint64_t child(Place from, char c) const noexcept {
        const auto byte = static_cast<unsigned char>(c);
        if (!may_follow(from, byte)) return free_cell;
        const std::uint64_t cell = cells_[from.base ^ byte];
        return leads(cell, byte) ? cell : free_cell;
    }

    struct Token {
        std::uint64_t head;  // its first eight bytes as a number: the text itself is far away
        std::string_view text;
        TokenId id;
        unsigned char byte(std::size_t i) const noexcept { return static_cast<unsigned char>(i < 8 ? head >> (56 - 8 * i) : static_cast<unsigned char>(text[i])); }
    };
    static std::uint64_t head_of(std::string_view text) noexcept {
        std::uint64_t head = 0;
        for (std::size_t i = 0; i < 8; ++i) head = head << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0u);
        return head;
    }

    // Places the nodes of these tokens, which are sorted, depth first, so that what follows each other lies near. Every base belongs to one node: so the byte is
    // enough to tell whose child a cell is.
    bool place(const std::vector<Token>& tokens) {
        struct Node {
            std::size_t first, last;  // tokens that begin with the way to it
            std::size_t depth, cell;  // bytes of it; where the node lies
        };
        constexpr std::size_t no_cell = ~std::size_t{0};  // the root
        DoubleArray array;
        std::vector<Node> open{{0, tokens.size(), 0, no_cell}}, children;
        std::vector<unsigned char> bytes;
        while (!open.empty()) {
            const Node node = open.back();
            open.pop_back();
            bytes.clear(), children.clear();
            for (std::size_t i = node.first; i < node.last; ++i) {
                if (tokens[i].text.size() == node.depth) continue;  // the node itself
                const unsigned char byte = tokens[i].byte(node.depth);
                if (bytes.empty() || bytes.back() != byte) bytes.push_back(byte), children.push_back({i, i, node.depth + 1, 0});
                children.back().last = i + 1;
            }
            if (bytes.empty()) continue;
            const auto base = array.take(bytes);
            if (!base) return false;
            cells_.resize(array.size(), free_cell);
            Place place{*base, 0};
            for (std::size_t k = 0; k < bytes.size(); ++k) {
                const Token& first = tokens[children[k].first];
                children[k].cell = *base ^ bytes[k];
                cells_[children[k].cell] = cell_of(bytes[k], first.text.size() == children[k].depth ? first.id : no_id);
                place.next_bytes |= 1u << bin(bytes[k]);
            }
            if (node.cell == no_cell) root_ = place;
            else cells_[node.cell] |= bits_of(place);
            for (std::size_t k = children.size(); k-- > 0;)
                if (const Node& child = children[k]; tokens[child.last - 1].text.size() > child.depth) open.push_back(child);  // others are leaves
        }
        return true;
    }

    std::vector<std::uint64_t> cells_;
    Place root_;  // without tokens, nothing may follow
};

}  // namespace morsel
