// The word-level model: a pre-token is a token as a whole, or the unknown token.
#pragma once
#include <string>
#include <string_view>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"

namespace morsel {

struct WordLevel {
    Vocabulary vocabulary = {};
    std::string unk_token = "<unk>";
};

// Appends the token of one pre-token. Throws Error where the unknown token is needed and is no token.
inline void tokenize(const WordLevel& model, std::string_view word, ModelTokens& out) {
    if (word.empty()) return;
    auto id = model.vocabulary.id(word);
    if (!id) id = model.vocabulary.id(model.unk_token);
    if (!id) throw Error("unk_token is not in the vocabulary", {.key = "model.unk_token", .found = model.unk_token});
    out.push_back({*id, 0, word.size()});
}

}  // namespace morsel
