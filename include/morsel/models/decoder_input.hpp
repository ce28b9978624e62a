// What is checked in the input of any decoder before anything of its state changes.
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"

namespace morsel::detail {

// Throws Error on no tokens, on more than the model has positions for behind `past` of them, and on ids outside the vocabulary.
inline void check_decoder_input(std::span<const TokenId> input_ids, std::size_t past, std::size_t vocab_size, std::size_t max_tokens) {
    if (input_ids.empty()) throw Error("no tokens to run", {.key = "input_ids"});
    if (const std::size_t total = past + input_ids.size(); total > max_tokens)
        throw Error("longer than the model's context", {.key = "input_ids", .expected = "at most " + std::to_string(max_tokens) + " tokens", .found = std::to_string(total)});
    for (const TokenId id : input_ids)
        if (id >= vocab_size) throw Error("token id outside the vocabulary", {.key = "input_ids", .expected = "below " + std::to_string(vocab_size), .found = std::to_string(id)});
}

}  // namespace morsel::detail
