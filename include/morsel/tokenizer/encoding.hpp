// What encoding a text gives: parallel arrays, one element per token (Hugging Face's Encoding). Plain data.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/tokenizer/text/aligned_text.hpp"

namespace morsel {

struct Encoding {
    std::vector<TokenId> ids = {};
    std::vector<std::string> tokens = {};                    // the vocabulary's strings
    std::vector<Span> offsets = {};                          // bytes of the original text; {0, 0} for tokens not from the text
    std::vector<std::optional<std::uint32_t>> word_ids = {}; // index of the pre-token; nothing for added specials
    std::vector<std::uint32_t> type_ids = {};                // 0 for the first sequence, 1 for its pair
    std::vector<std::uint32_t> special_tokens_mask = {};     // 1 for tokens that the post-processor added
    std::vector<std::uint32_t> attention_mask = {};          // 0 for padding
    std::vector<std::optional<std::uint32_t>> sequence_ids = {};  // 0 or 1: which of the two texts
    std::vector<Encoding> overflowing = {};                  // windows that truncation cut off

    std::size_t size() const noexcept { return ids.size(); }
};

// The part of an encoding that most callers of offsets need.
struct IdsWithOffsets {
    std::vector<TokenId> ids = {};
    std::vector<Span> offsets = {};  // bytes of the original text, one for each id; {0, 0} for tokens not from the text
};

}  // namespace morsel
