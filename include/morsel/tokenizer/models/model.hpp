// The closed set of tokenization models, as one value.
#pragma once
#include <string_view>
#include <variant>

#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/sentencepiece.hpp"
#include "morsel/tokenizer/models/unigram.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/tokenizer/models/word_level.hpp"
#include "morsel/tokenizer/models/wordpiece.hpp"

namespace morsel {

using TokenizationModel = std::variant<Bpe, WordPiece, WordLevel, Unigram, SentencePiece>;

inline const Vocabulary& vocabulary_of(const TokenizationModel& model) {
    return std::visit([](const auto& m) -> const Vocabulary& { return m.vocabulary; }, model);
}

// Appends the tokens of one pre-token (normalized UTF-8).
inline void tokenize(const TokenizationModel& model, std::string_view word, ModelTokens& out) {
    std::visit([&](const auto& m) { tokenize(m, word, out); }, model);
}

}  // namespace morsel
