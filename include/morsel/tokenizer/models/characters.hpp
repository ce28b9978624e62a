// Characters as tokens (CANINE, Clark et al. 2022): the id of a character is its code point, so there is no vocabulary to learn and nothing is
// unknown. Tokens with a role are code points of the private use area. Reference: transformers' CanineTokenizer.
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

inline constexpr TokenId canine_pad = 0, canine_cls = 0xE000, canine_sep = 0xE001, canine_bos = 0xE002, canine_mask = 0xE003, canine_reserved = 0xE004;

struct Characters {
    Vocabulary vocabulary = {};                              // tokens with a role only; ids beyond Unicode are those of added tokens
    std::shared_ptr<const std::string> characters = {};      // U+0000 ... U+10FFFF in UTF-8, one after another; surrogates as U+FFFD
    static constexpr TokenId count = 0x110000;
};

inline Characters make_characters() {
    auto all = std::make_shared<std::string>();
    all->reserve(0x80 + 2 * 0x780 + 3 * 0xF800 + 4 * 0x100000);
    for (char32_t c = 0; c < Characters::count; ++c) unicode::append(*all, c);
    return {.characters = std::move(all)};
}

// The character of that id; those without one of their own by name. Nothing beyond Unicode.
inline std::optional<std::string_view> character_of(const Characters& model, TokenId id) {
    if (id == canine_bos) return "[BOS]";
    if (id == canine_reserved) return "[RESERVED]";
    if (id >= Characters::count) return model.vocabulary.token(id);
    const std::size_t at = id < 0x80 ? id : id < 0x800 ? 0x80 + 2 * std::size_t{id - 0x80} : id < 0x10000 ? 0x80 + 2 * 0x780 + 3 * std::size_t{id - 0x800} : 0x80 + 2 * 0x780 + 3 * 0xF800 + 4 * std::size_t{id - 0x10000};
    return std::string_view(*model.characters).substr(at, unicode::encoded_size(id));
}

// The id of a string that is one character, or a token of the vocabulary.
inline std::optional<TokenId> character_id(const Characters& model, std::string_view token) {
    const unicode::CodePoint point = unicode::decode(token, 0);
    if (!token.empty() && point.valid && point.size == token.size()) return static_cast<TokenId>(point.value);
    return model.vocabulary.id(token);
}

// Appends the characters of a text (UTF-8).
inline void tokenize(const Characters&, std::string_view text, ModelTokens& out) {
    for (std::size_t at = 0; at < text.size();) {
        const unicode::CodePoint point = unicode::decode(text, at);
        out.push_back({static_cast<TokenId>(point.value), at, at + point.size});
        at += point.size;
    }
}

}  // namespace morsel
