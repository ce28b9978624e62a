// What is checked in the input of any decoder before anything of its state changes.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/ops/device.hpp"

namespace morsel::detail {

// Throws Error on no tokens, on more than the model has positions for behind `past` of them, and on ids outside the vocabulary.
inline void check_decoder_input(std::span<const TokenId> input_ids, std::size_t past, std::size_t vocab_size, std::size_t max_tokens) {
    if (input_ids.empty()) throw Error("no tokens to run", {.key = "input_ids"});
    if (const std::size_t total = past + input_ids.size(); total > max_tokens)
        throw Error("longer than the model's context", {.key = "input_ids", .expected = "at most " + std::to_string(max_tokens) + " tokens", .found = std::to_string(total)});
    for (const TokenId id : input_ids)
        if (id >= vocab_size) throw Error("token id outside the vocabulary", {.key = "input_ids", .expected = "below " + std::to_string(vocab_size), .found = std::to_string(id)});
}

// The rows of a batch with one new token of each sequence; tokens [sequence] are those in the cache. Checks every row.
inline std::vector<Segment> one_row_each(const std::vector<std::vector<TokenId>>& tokens, std::span<const std::size_t> sequences, std::span<const TokenId> input_ids,
                                         std::size_t vocab_size, std::size_t max_tokens) {
    std::vector<Segment> segments;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        const std::size_t past = tokens.at(sequences[i]).size();
        check_decoder_input(input_ids.subspan(i, 1), past, vocab_size, max_tokens);
        segments.push_back({.row_begin = i, .row_count = 1, .past = past, .slot = sequences[i]});
    }
    return segments;
}

}  // namespace morsel::detail
