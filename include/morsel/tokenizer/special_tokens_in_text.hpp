// What becomes of "<|end|>" in a text that a user typed. Hugging Face tokenizers parse it, so that a user can forge the end of a turn;
// tiktoken refuses it unless told otherwise. Here the caller says which. Only tokens marked `special` are meant: other added tokens are
// always cut out of the text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

enum class SpecialTokensInText : std::uint8_t {
    parse,       // they become their ids, as in Hugging Face tokenizers
    plain_text,  // they are text like any other
    refuse       // encoding throws an Error that names the token and its byte
};

// The first special token that parsing would find in the text, and its place.
struct FoundSpecialToken {
    const AddedToken* token = nullptr;  // lives as long as the parts
    std::size_t offset = 0;             // byte of the text
};

inline std::optional<FoundSpecialToken> find_special_token(const TokenizerParts& parts, std::string_view text) {
    bool in_normalized = false;
    for (const AddedToken& token : parts.added_tokens.tokens()) in_normalized = in_normalized || (token.special && token.normalized);
    in_normalized = in_normalized && !std::holds_alternative<SentencePiece>(parts.model);
    // A token that strips begins with the white space that it swallows: its own place is behind.
    const auto found = [&](const AddedToken& token, Span at) {
        while (token.lstrip && at.begin < at.end) {
            const unicode::CodePoint point = unicode::decode(text, at.begin);
            if (!unicode::is_white_space(point.value) || text.substr(at.begin).starts_with(token.content)) break;
            at.begin += point.size;
        }
        return FoundSpecialToken{&token, at.begin};
    };
    for (const AddedSplit& raw : parts.added_tokens.split_raw(text)) {
        if (raw.token != nullptr) {
            if (raw.token->special) return found(*raw.token, {raw.begin, raw.end});
            continue;
        }
        if (!in_normalized) continue;
        AlignedText section = aligned(text.substr(raw.begin, raw.end - raw.begin), raw.begin);
        if (parts.normalizer) normalize(*parts.normalizer, section);
        for (const AddedSplit& part : parts.added_tokens.split_normalized(section.text))
            if (part.token != nullptr && part.token->special) return found(*part.token, origin_of(section, part.begin, part.end));
    }
    return std::nullopt;
}

// Throws Error where there is one. `base`: byte at which this text begins in a longer one.
inline void refuse_special_tokens(const TokenizerParts& parts, std::string_view text, std::size_t base = 0) {
    if (const auto found = find_special_token(parts, text))
        throw Error("special token in the text", {.found = "'" + found->token->content + "' at byte " + std::to_string(base + found->offset)});
}

}  // namespace morsel
