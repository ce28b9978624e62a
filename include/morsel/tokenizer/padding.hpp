// Padding of encodings to one length. Overflowing windows are padded too, as in Hugging Face tokenizers.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/encoding.hpp"
#include "morsel/tokenizer/truncation.hpp"

namespace morsel {

struct Padding {
    std::optional<std::size_t> length = {};  // nothing: the longest of the batch
    std::size_t multiple_of = 0;             // lengths are rounded up to it; 0: no
    Direction direction = Direction::right;  // the side where padding goes
    TokenId id = 0;
    std::uint32_t type_id = 0;
    std::string token = "[PAD]";
};

// Longer results are refused: a file that asks for them means to exhaust memory.
inline constexpr std::size_t max_padded_length = std::size_t{1} << 24;

// Pads to `length` tokens; longer encodings stay as they are.
inline void pad(Encoding& e, std::size_t length, const Padding& options) {
    for (Encoding& window : e.overflowing) pad(window, length, options);  // windows have no windows: one level
    if (e.size() >= length) return;
    const std::size_t count = length - e.size();
    const auto fill = [&](auto& array, const auto& value) {
        array.insert(options.direction == Direction::left ? array.begin() : array.end(), count, value);
    };
    fill(e.ids, options.id);
    fill(e.tokens, options.token);
    fill(e.offsets, Span{});
    fill(e.word_ids, std::optional<std::uint32_t>{});
    fill(e.type_ids, options.type_id);
    fill(e.special_tokens_mask, std::uint32_t{1});
    fill(e.attention_mask, std::uint32_t{0});
    fill(e.sequence_ids, std::optional<std::uint32_t>{});
}

// Pads a batch. Throws Error beyond max_padded_length.
inline void pad(std::span<Encoding> batch, const Padding& options) {
    std::size_t length = options.length.value_or(0);
    if (!options.length)
        for (const Encoding& e : batch) length = std::max(length, e.size());
    const std::size_t multiple = options.multiple_of;
    if (multiple > max_padded_length || length > max_padded_length)
        throw Error("padded length is too large", {.key = "padding", .expected = "at most " + std::to_string(max_padded_length), .found = std::to_string(std::max(length, multiple))});
    if (multiple > 0 && length % multiple > 0) length += multiple - length % multiple;
    for (Encoding& e : batch) pad(e, length, options);
}

}  // namespace morsel
