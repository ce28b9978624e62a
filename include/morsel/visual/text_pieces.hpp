// A text cut up as its tokens cut it: what every picture of an encoding draws. Stretches that no token covers are pieces too, and
// tokens that share a character (the bytes of an emoji) share a piece, so that the pieces in order are the text, whole and once.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "morsel/tokenizer/encoding.hpp"

namespace morsel {

struct TextPiece {
    Span bytes = {};                  // of its text; empty for tokens that stand for no text
    std::size_t sequence = 0;         // 0: of the text, 1: of its pair
    std::size_t token = 0, count = 0; // tokens [token, token + count) of the encoding; none for text that no token covers
    bool special = false;             // a token that the post-processor put there, or padding
};

// The pieces of an encoding of a text of `text_size` bytes, or of a text and a pair. Offsets beyond the texts are taken as their ends.
inline std::vector<TextPiece> text_pieces(const Encoding& encoding, std::size_t text_size, std::size_t pair_size = 0) {
    const std::size_t sizes[] = {text_size, pair_size};
    std::size_t tokens_end[] = {0, 0};  // behind the last token of each sequence
    for (std::size_t i = 0; i < encoding.size(); ++i)
        if (encoding.special_tokens_mask[i] == 0) tokens_end[encoding.sequence_ids[i].value_or(0) == 0 ? 0 : 1] = i + 1;
    std::vector<TextPiece> pieces;
    std::size_t sequence = 0, at = 0;  // all before byte `at` of that sequence has its piece
    const auto gap = [&](std::size_t end) {
        if (at < end) pieces.push_back({.bytes = {at, end}, .sequence = sequence});
        at = std::max(at, end);
    };
    for (std::size_t i = 0; i < encoding.size(); ++i) {
        if (encoding.special_tokens_mask[i] != 0) {
            // What ends a text stands behind all of it, also behind a last stretch without tokens.
            if (i > 0 && i >= tokens_end[sequence]) gap(sizes[sequence]);
            pieces.push_back({.bytes = {at, at}, .sequence = sequence, .token = i, .count = 1, .special = true});
            continue;
        }
        const std::size_t of = encoding.sequence_ids[i].value_or(0) == 0 ? 0 : 1;
        if (of > sequence) gap(sizes[sequence]), sequence = of, at = 0;
        const std::size_t begin = std::min(encoding.offsets[i].begin, sizes[sequence]), end = std::clamp(encoding.offsets[i].end, begin, sizes[sequence]);
        TextPiece* const last = pieces.empty() ? nullptr : &pieces.back();
        const bool follows = last != nullptr && last->count > 0 && !last->special && last->sequence == sequence && last->token + last->count == i;
        if (follows && (begin < last->bytes.end || (begin == at && last->bytes.begin == last->bytes.end))) {
            last->bytes.end = at = std::max(at, end);
            ++last->count;
            continue;
        }
        gap(begin);
        pieces.push_back({.bytes = {at, std::max(at, end)}, .sequence = sequence, .token = i, .count = 1});
        at = std::max(at, end);
    }
    for (gap(sizes[sequence]); sequence < 1; gap(sizes[sequence])) ++sequence, at = 0;
    return pieces;
}

}  // namespace morsel
