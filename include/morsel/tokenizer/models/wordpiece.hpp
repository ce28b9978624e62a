// WordPiece as BERT applies it (Devlin et al. 2018): the longest token that begins the word, then again for what is left, with
// "##" before every piece but the first. A word of more than max_input_chars_per_word characters, or with a part that no token
// matches, becomes one unknown token as a whole.
// Every try is at most as long as the longest token, so a word costs O(length · longest token).
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct WordPiece {
    Vocabulary vocabulary = {};
    std::string unk_token = "[UNK]";
    std::string continuing_subword_prefix = "##";
    std::size_t max_input_chars_per_word = 100;  // characters
    std::size_t longest_token = 0;               // bytes; see find_longest_token
};

// To be called when the vocabulary is complete.
inline void find_longest_token(WordPiece& model) {
    model.longest_token = 0;
    model.vocabulary.for_each([&](std::string_view token, TokenId) { model.longest_token = std::max(model.longest_token, token.size()); });
}

// Appends the tokens of one pre-token (UTF-8). Throws Error where the unknown token is needed and is no token.
inline void tokenize(const WordPiece& model, std::string_view word, ModelTokens& out) {
    if (word.empty()) return;
    const std::size_t first = out.size();
    const auto unknown = [&] {
        const auto id = model.vocabulary.id(model.unk_token);
        if (!id) throw Error("unk_token is not in the vocabulary", {.key = "model.unk_token", .found = model.unk_token});
        out.resize(first);
        out.push_back({*id, 0, word.size()});
    };
    std::size_t characters = 0;
    for (const char c : word) characters += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    if (characters > model.max_input_chars_per_word) return unknown();

    std::string piece;
    for (std::size_t at = 0; at < word.size();) {
        const std::string_view prefix = at > 0 ? std::string_view(model.continuing_subword_prefix) : std::string_view();
        const std::size_t room = model.longest_token > prefix.size() ? model.longest_token - prefix.size() : 0;
        std::size_t end = std::min(word.size(), at + room);
        const auto on_border = [&](std::size_t i) { return i == word.size() || (static_cast<unsigned char>(word[i]) & 0xc0) != 0x80; };
        std::optional<TokenId> id;
        for (; end > at; --end) {
            if (!on_border(end)) continue;
            piece.assign(prefix).append(word.substr(at, end - at));
            if ((id = model.vocabulary.id(piece))) break;
        }
        if (!id) return unknown();
        out.push_back({*id, at, end});
        at = end;
    }
}

}  // namespace morsel
