// The merges of a SentencePiece BPE model (models/sentencepiece.hpp) as pairs of ids, for PairMerger: any two pieces whose union is a piece
// merge, and the rank is that of the union, the highest score first. So pairs that make the same piece share a rank, and the leftmost goes first.
// Runs of one character may share a score (Llama 2's runs of spaces do): a run grows from its left end, so there the pair with the longest left
// part is the leftmost.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "morsel/core/flat_map.hpp"
#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/models/sentencepiece.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::fast {

// Nothing where pairs of ids do not say all of the model: other pieces of equal scores, pieces that are kept whole or taken apart again,
// characters that are no pieces but part of one.
inline std::optional<FlatMap<Merge>> sentencepiece_merges(const SentencePiece& model) {
    struct Piece {
        std::string_view text;
        TokenId id;
        float score;
    };
    std::vector<Piece> pieces;  // of several characters
    bool sayable = true;
    model.vocabulary.for_each([&](std::string_view text, TokenId id) {
        const PieceType type = model.types[id];
        const bool one_character = unicode::decode(text, 0).size == text.size();
        if (type == PieceType::user_defined || type == PieceType::unused || (one_character && type != PieceType::normal)) sayable = false;
        if (type == PieceType::normal && !one_character) pieces.push_back({text, id, model.scores[id]});
    });
    if (!sayable) return std::nullopt;
    std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.score > b.score; });

    struct Pair {
        std::uint64_t ids;
        std::size_t left_size;
        TokenId id;
    };
    FlatMap<Merge> merges;
    std::vector<Pair> pairs;              // of pieces of one score
    std::vector<std::string_view> parts;  // left, right, left …
    std::vector<std::optional<TokenId>> ids;
    const auto is_symbol = [&](std::optional<TokenId> id) { return id && model.types[*id] == PieceType::normal; };
    const auto first_character = [](std::string_view text) { return text.substr(0, unicode::decode(text, 0).size); };
    const auto is_run = [&](std::string_view text) { return text.substr(first_character(text).size()) == text.substr(0, text.size() - first_character(text).size()); };
    std::uint32_t rank = 0;
    for (std::size_t begin = 0, end = 0; begin < pieces.size(); begin = end) {
        pairs.clear();
        for (end = begin; end < pieces.size() && pieces[end].score == pieces[begin].score; ++end) {
            const std::string_view text = pieces[end].text;
            if (end > begin && (first_character(text) != first_character(pieces[begin].text) || !is_run(text) || !is_run(pieces[begin].text))) return std::nullopt;
            parts.clear();
            for (std::size_t at = 0, size = 0; at < text.size(); at += size) {
                size = unicode::decode(text, at).size;
                if (!is_symbol(model.vocabulary.id(text.substr(at, size)))) return std::nullopt;
                if (at > 0) parts.push_back(text.substr(0, at)), parts.push_back(text.substr(at));
            }
            ids.resize(parts.size());
            for (std::size_t i = 0; i < parts.size(); i += Vocabulary::batch)
                model.vocabulary.ids(std::span(parts).subspan(i, std::min(Vocabulary::batch, parts.size() - i)), ids.data() + i);
            for (std::size_t i = 0; i < parts.size(); i += 2)
                if (is_symbol(ids[i]) && is_symbol(ids[i + 1])) pairs.push_back({pack_pair(*ids[i], *ids[i + 1]), parts[i].size(), pieces[end].id});
        }
        const bool share = end - begin == 1;  // one piece
        if (!share) std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.left_size > b.left_size; });
        for (const Pair& pair : pairs) merges.set(pair.ids, Merge{share ? rank : rank++, pair.id});
        rank += share;
    }
    return merges;
}

}  // namespace morsel::fast
