// The closed set of tokenization models, as one value.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/models/bytes.hpp"
#include "morsel/tokenizer/models/characters.hpp"
#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/sentencepiece.hpp"
#include "morsel/tokenizer/models/unigram.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/tokenizer/models/word_level.hpp"
#include "morsel/tokenizer/models/wordpiece.hpp"

namespace morsel {

using TokenizationModel = std::variant<Bpe, WordPiece, WordLevel, Unigram, SentencePiece, Characters, Bytes>;

inline const Vocabulary& vocabulary_of(const TokenizationModel& model) {
    return std::visit([](const auto& m) -> const Vocabulary& { return m.vocabulary; }, model);
}

// The id of a token, and the token of an id: out of the vocabulary, but for Characters, which need none.
inline std::optional<TokenId> model_token_id(const TokenizationModel& model, std::string_view token) {
    if (const auto* characters = std::get_if<Characters>(&model)) return character_id(*characters, token);
    return vocabulary_of(model).id(token);
}
inline std::optional<std::string_view> model_token(const TokenizationModel& model, TokenId id) {
    if (const auto* characters = std::get_if<Characters>(&model)) return character_of(*characters, id);
    return vocabulary_of(model).token(id);
}
// Tokens, and one more than the largest id.
inline std::size_t model_size(const TokenizationModel& model) { return std::holds_alternative<Characters>(model) ? std::size_t{Characters::count} : vocabulary_of(model).size(); }
inline std::uint64_t model_id_bound(const TokenizationModel& model) {
    const std::uint64_t bound = vocabulary_of(model).id_bound();
    return std::holds_alternative<Characters>(model) ? std::max<std::uint64_t>(bound, Characters::count) : bound;
}

// Appends the tokens of one pre-token (normalized UTF-8).
inline void tokenize(const TokenizationModel& model, std::string_view word, ModelTokens& out) {
    std::visit([&](const auto& m) { tokenize(m, word, out); }, model);
}

}  // namespace morsel
