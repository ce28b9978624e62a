// Bytes as tokens (ByT5, Xue et al. 2022): the id of a byte is its value plus a few for tokens with a role; nothing is unknown. The token of a
// byte is the character of that value, as in the reference, transformers' ByT5Tokenizer.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct Bytes {
    Vocabulary vocabulary = {};  // tokens with a role, then the 256 bytes
    TokenId first = 3;           // id of byte 0
};

// Appends the bytes of a text. All bytes of a character stand for the whole of it.
inline void tokenize(const Bytes& model, std::string_view text, ModelTokens& out) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = at + unicode::decode(text, at).size;
        for (std::size_t i = at; i < end; ++i) out.push_back({model.first + static_cast<unsigned char>(text[i]), at, end});
        at = end;
    }
}

}  // namespace morsel
