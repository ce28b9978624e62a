// The unigram language model (Kudo 2018), as Hugging Face tokenizers apply it: of all ways to cut a pre-token into tokens, the one
// with the greatest sum of scores (Viterbi). A character that no token begins with is unknown and costs 10 below the worst score.
// Neighbouring unknowns become one, or bytes <0xHH> with byte_fallback.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct Unigram {
    Vocabulary vocabulary = {};
    std::vector<double> scores = {};  // [id]
    std::optional<TokenId> unk_id = {};
    bool byte_fallback = false;
    std::size_t longest_token = 0;  // bytes; see prepare
    double lowest_score = 0;
    std::array<std::optional<TokenId>, 256> byte_tokens = {};
};

// To be called when vocabulary and scores are complete.
inline void prepare(Unigram& model) {
    model.lowest_score = std::numeric_limits<double>::infinity();
    for (const double score : model.scores) model.lowest_score = std::min(model.lowest_score, score);
    model.vocabulary.for_each([&](std::string_view token, TokenId) { model.longest_token = std::max(model.longest_token, token.size()); });
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t b = 0; b < 256; ++b) {
        const char token[] = {'<', '0', 'x', digits[b / 16], digits[b % 16], '>'};
        model.byte_tokens[b] = model.vocabulary.id({token, sizeof token});
    }
}

namespace detail {

// The best way to a byte of a word.
struct UnigramBest {
    static constexpr std::uint32_t none = 0xffffffff;
    double score = 0;
    std::uint32_t begin = none;  // of the token that ends here
    TokenId id = 0;
};

// Appends the tokens of `word`, which is shorter than 4 GiB. tokens_at(begin, f) calls f(end, id)
// for every token that begins there, the shortest first; `best` is memory.
template <class TokensAt> void unigram_tokens(const Unigram& model, std::string_view word, std::vector<UnigramBest>& best, TokensAt&& tokens_at, ModelTokens& out) {
    constexpr double unknown_penalty = 10;
    constexpr std::uint32_t none = UnigramBest::none;
    best.assign(word.size() + 1, {});
    for (std::size_t begin = 0; begin < word.size();) {
        const std::size_t next = begin + unicode::size_of_lead(word[begin]);
        const double so_far = best[begin].score;
        bool whole_character = false;
        const auto offer = [&](std::size_t end, double score, TokenId id) {
            if (best[end].begin == none || score > best[end].score) best[end] = {score, static_cast<std::uint32_t>(begin), id};
        };
        tokens_at(begin, [&](std::size_t end, TokenId id) {
            if (id >= model.scores.size()) return;
            offer(end, so_far + model.scores[id], id);
            whole_character = whole_character || end == next;
        });
        if (!whole_character) {
            if (!model.unk_id) throw Error("the text has a character that is no token, and there is no unknown token", {.key = "model.unk_id"});
            offer(next, so_far + model.lowest_score - unknown_penalty, *model.unk_id);
        }
        begin = next;
    }
    const auto first = static_cast<std::ptrdiff_t>(out.size());
    bool unknown = false;
    for (std::size_t end = word.size(); end > 0; end = best[end].begin) {  // backwards
        const bool is_unknown = model.unk_id == best[end].id;
        // Whatever has the unknown id is fused, a token of its own text included; what comes out may be another token.
        if (is_unknown && static_cast<std::ptrdiff_t>(out.size()) > first && out.back().id == best[end].id) out.back().begin = best[end].begin;
        else out.push_back({best[end].id, best[end].begin, end});
        unknown = unknown || is_unknown;
    }
    std::reverse(out.begin() + first, out.end());
    if (!unknown) return;
    const ModelTokens tokens(out.begin() + first, out.end());
    out.resize(static_cast<std::size_t>(first));
    for (ModelToken token : tokens) {
        const std::string_view text = word.substr(token.begin, token.end - token.begin);
        if (model.unk_id == token.id) {
            if (const auto id = model.vocabulary.id(text)) token.id = *id;
            else if (model.byte_fallback && std::all_of(text.begin(), text.end(), [&](char c) { return model.byte_tokens[static_cast<unsigned char>(c)].has_value(); })) {
                for (const char c : text) out.push_back({*model.byte_tokens[static_cast<unsigned char>(c)], token.begin, token.end});
                continue;
            }
        }
        out.push_back(token);
    }
}

}  // namespace detail

// Appends the tokens of one pre-token (UTF-8). Throws Error where an unknown token is needed and there is none.
inline void tokenize(const Unigram& model, std::string_view word, ModelTokens& out) {
    std::vector<detail::UnigramBest> best;
    const auto tokens_at = [&](std::size_t begin, auto&& f) {
        for (std::size_t end = begin + unicode::decode(word, begin).size; end <= word.size() && end - begin <= model.longest_token;
             end += end < word.size() ? unicode::decode(word, end).size : 1)
            if (const auto id = model.vocabulary.id(word.substr(begin, end - begin))) f(end, *id);
    };
    detail::unigram_tokens(model, word, best, tokens_at, out);
}

}  // namespace morsel
