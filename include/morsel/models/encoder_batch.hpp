// The input of an encoder: token ids of any number of sequences, one after another. Padding does not exist: tokens that an
// attention mask hides are left out, and the others keep their positions, so that a mask with holes gives what the reference gives
// at the tokens it shows. `add_sequence` of each model checks a sequence and appends it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

// One call's sequences; every vector is [rows] but `segments`.
struct EncoderBatch {
    std::vector<TokenId> input_ids = {};
    std::vector<TokenId> token_type_ids = {};
    std::vector<TokenId> position_ids = {};  // rows of the model's position table, or plain positions where it has none
    std::vector<Segment> segments = {};      // [sequences]: which rows are whose

    std::size_t rows() const { return input_ids.size(); }
    std::size_t sequences() const { return segments.size(); }
};

namespace detail {

// What is checked in any encoder's sequence, before anything is appended. token_type_ids and attention_mask: as long as input_ids,
// or empty. Throws Error.
inline void check_sequence(std::span<const TokenId> input_ids, std::span<const TokenId> token_type_ids, std::span<const TokenId> attention_mask,
                           std::size_t vocab_size, std::size_t type_vocab_size, std::size_t max_tokens) {
    if (input_ids.empty()) throw Error("no tokens to run", {.key = "input_ids"});
    if (input_ids.size() > max_tokens)
        throw Error("longer than the model's positions", {.key = "input_ids", .expected = "at most " + std::to_string(max_tokens) + " tokens", .found = std::to_string(input_ids.size())});
    for (const TokenId id : input_ids)
        if (id >= vocab_size) throw Error("token id outside the vocabulary", {.key = "input_ids", .expected = "below " + std::to_string(vocab_size), .found = std::to_string(id)});
    if (!token_type_ids.empty() && token_type_ids.size() != input_ids.size())
        throw Error("wrong length", {.key = "token_type_ids", .expected = std::to_string(input_ids.size()), .found = std::to_string(token_type_ids.size())});
    for (const TokenId type : token_type_ids)
        if (type >= std::max<std::size_t>(type_vocab_size, 1))
            throw Error("no such token type", {.key = "token_type_ids", .expected = "below " + std::to_string(type_vocab_size), .found = std::to_string(type)});
    if (!attention_mask.empty() && attention_mask.size() != input_ids.size())
        throw Error("wrong length", {.key = "attention_mask", .expected = std::to_string(input_ids.size()), .found = std::to_string(attention_mask.size())});
    if (!attention_mask.empty() && std::count(attention_mask.begin(), attention_mask.end(), TokenId{0}) == std::ptrdiff_t(attention_mask.size()))
        throw Error("hides every token", {.key = "attention_mask"});
}

// Appends the tokens that the mask shows, with the position that `position_of(i)` gives.
template <class PositionOf>
void append_sequence(EncoderBatch& batch, std::span<const TokenId> input_ids, std::span<const TokenId> token_type_ids,
                     std::span<const TokenId> attention_mask, PositionOf&& position_of) {
    Segment segment{.row_begin = batch.rows(), .slot = batch.sequences()};
    for (std::size_t i = 0; i < input_ids.size(); ++i) {
        const auto position = static_cast<TokenId>(position_of(i));
        if (!attention_mask.empty() && attention_mask[i] == 0) continue;
        batch.input_ids.push_back(input_ids[i]);
        batch.token_type_ids.push_back(token_type_ids.empty() ? TokenId{0} : token_type_ids[i]);
        batch.position_ids.push_back(position);
        ++segment.row_count;
    }
    batch.segments.push_back(segment);
}

}  // namespace detail

}  // namespace morsel
