// The binary tree of hierarchical softmax: frequent words near the root. Each word is the path to its leaf, as inner nodes and the turn taken
// at each. Built in linear time from counts sorted once: two queues, of leaves and of inner nodes, both rising (J. van Leeuwen, "On the
// construction of Huffman trees", 1976); of equal counts the leaf goes first, as in word2vec.c.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace morsel {

struct HuffmanPaths {
    std::vector<std::uint64_t> begins = {0};  // [words + 1], in both of the following
    std::vector<std::uint32_t> nodes = {};    // inner nodes from the root on, 0 … words - 2
    std::vector<std::uint8_t> turns = {};     // 0 to the lighter child, 1 to the heavier

    std::span<const std::uint32_t> nodes_of(std::size_t word) const { return std::span(nodes).subspan(begins[word], begins[word + 1] - begins[word]); }
    std::span<const std::uint8_t> turns_of(std::size_t word) const { return std::span(turns).subspan(begins[word], begins[word + 1] - begins[word]); }
};

// One word alone has an empty path. Counts add up to less than 2⁶⁴.
inline HuffmanPaths huffman_paths(std::span<const std::uint64_t> counts) {
    const std::size_t words = counts.size();
    HuffmanPaths paths;
    if (words == 0) return paths;
    std::vector<std::uint32_t> leaves(words);  // rarest first
    std::iota(leaves.rbegin(), leaves.rend(), 0u);
    std::stable_sort(leaves.begin(), leaves.end(), [&](std::uint32_t a, std::uint32_t b) { return counts[a] < counts[b]; });
    std::vector<std::uint32_t> parent(2 * words - 1);  // nodes: the words, then inner ones as they are made
    std::vector<std::uint8_t> turn(2 * words - 1);
    std::vector<std::uint64_t> sums(words - 1);
    std::size_t leaf = 0, inner = 0;
    for (std::size_t made = 0; made + 1 < words; ++made)
        for (std::uint8_t side = 0; side < 2; ++side) {
            const bool takes_leaf = leaf < words && (inner == made || counts[leaves[leaf]] <= sums[inner]);
            const std::size_t child = takes_leaf ? leaves[leaf] : words + inner;
            sums[made] += takes_leaf ? counts[leaves[leaf]] : sums[inner];
            takes_leaf ? ++leaf : ++inner;
            parent[child] = static_cast<std::uint32_t>(words + made), turn[child] = side;
        }
    const std::size_t root = 2 * words - 2;
    for (std::size_t word = 0; word < words; ++word) {
        for (std::size_t node = word; node != root; node = parent[node])
            paths.nodes.push_back(static_cast<std::uint32_t>(parent[node] - words)), paths.turns.push_back(turn[node]);
        const auto begin = static_cast<std::ptrdiff_t>(paths.begins.back());
        std::reverse(paths.nodes.begin() + begin, paths.nodes.end());
        std::reverse(paths.turns.begin() + begin, paths.turns.end());
        paths.begins.push_back(paths.nodes.size());
    }
    return paths;
}

}  // namespace morsel
