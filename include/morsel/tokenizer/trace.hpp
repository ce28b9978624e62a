// How a model comes to its tokens, step by step, as data: for lessons, and for finding out why a word is cut as it is. Beside the
// models and not inside them, so that encoding pays nothing; each trace follows the plain definition and ends in what tokenize gives.
// BPE: the merges in their order. WordPiece: what was tried at each place. Unigram: every token that fits, and the best path.
// Left out: SentencePiece's own BPE, which works on a section of text and not on words.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/models/unigram.hpp"
#include "morsel/tokenizer/models/wordpiece.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

// One merge: the symbols at `place` and `place` + 1 became one.
struct MergeStep {
    TokenId left = 0, right = 0;
    Merge merge = {};
    std::size_t place = 0;    // of the left symbol, before the merge
    ModelTokens symbols = {}; // after it
};

struct BpeTrace {
    bool whole_word = false;  // the word itself is a token, and ignore_merges takes it as it is
    ModelTokens characters = {};  // before the first merge; unknown ones as the options say
    std::vector<MergeStep> steps = {};

    const ModelTokens& tokens() const { return steps.empty() ? characters : steps.back().symbols; }
};

// Every step holds all symbols, so time and memory are quadratic: longer words are refused.
inline constexpr std::size_t longest_traced_word = 2048;  // bytes

// Throws Error for a word that is too long, and as tokenize does.
inline BpeTrace trace(const Bpe& model, std::string_view word) {
    if (word.size() > longest_traced_word)
        throw Error("the word is too long to be traced", {.expected = "at most " + std::to_string(longest_traced_word) + " bytes", .found = std::to_string(word.size())});
    BpeTrace out;
    if (word.empty()) return out;
    if (const auto id = model.vocabulary.id(word); id && model.ignore_merges) {
        out.whole_word = true;
        out.characters = {{*id, 0, word.size()}};
        return out;
    }
    detail::bpe_characters(model, word, out.characters);
    ModelTokens symbols = out.characters;
    for (;;) {
        const Merge* best = nullptr;
        std::size_t place = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const Merge* merge = model.merges.find(pack_pair(symbols[i].id, symbols[i + 1].id));
            if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) best = merge, place = i;
        }
        if (best == nullptr) return out;
        const TokenId left = symbols[place].id, right = symbols[place + 1].id;
        symbols[place] = {best->id, symbols[place].begin, symbols[place + 1].end};
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
        out.steps.push_back({left, right, *best, place, symbols});
    }
}

// One place of a word: the strings looked up there, longest first. The last one is the token, where there is one.
struct WordPieceStep {
    std::size_t begin = 0;           // byte of the word
    std::vector<std::string> tried = {};
    std::optional<ModelToken> token = {};
};

struct WordPieceTrace {
    bool too_long = false;                  // more than max_input_chars_per_word characters: unknown without a try
    std::vector<WordPieceStep> steps = {};  // where the last has no token, the whole word is unknown
    ModelTokens tokens = {};
};

// Throws Error as tokenize does.
inline WordPieceTrace trace(const WordPiece& model, std::string_view word) {
    WordPieceTrace out;
    tokenize(model, word, out.tokens);
    std::size_t characters = 0;
    for (const char c : word) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    out.too_long = characters > model.max_input_chars_per_word;
    for (std::size_t at = 0; at < word.size() && !out.too_long;) {
        WordPieceStep step{.begin = at};
        for (std::size_t end = word.size(); end > at && !step.token; end = unicode::previous_start(word, end)) {
            std::string piece = (at > 0 ? model.continuing_subword_prefix : std::string()) + std::string(word.substr(at, end - at));
            if (piece.size() > model.longest_token) continue;  // cannot be a token, and is not looked up
            if (const auto id = model.vocabulary.id(piece)) step.token = ModelToken{*id, at, end};
            step.tried.push_back(std::move(piece));
        }
        out.steps.push_back(step);
        if (!step.token) break;
        at = step.token->end;
    }
    return out;
}

// A token that fits somewhere in a word.
struct UnigramCandidate {
    ModelToken token = {};
    double score = 0;       // of the token alone
    double total = 0;       // of the best path that ends with it
    bool unknown = false;   // one character that no token covers
    bool on_best_path = false;
};

struct UnigramTrace {
    std::vector<UnigramCandidate> candidates = {};  // by beginning, then by length
    double score = 0;                               // of the best path
    ModelTokens tokens = {};                        // neighbouring unknowns fused, or their bytes
};

// Throws Error as tokenize does.
inline UnigramTrace trace(const Unigram& model, std::string_view word) {
    UnigramTrace out;
    tokenize(model, word, out.tokens);
    constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::vector<std::size_t> best(word.size() + 1, none);  // [byte] the candidate that ends the best path to it
    for (std::size_t begin = 0; begin < word.size();) {
        const std::size_t next = begin + unicode::decode(word, begin).size;
        const double so_far = begin == 0 ? 0 : out.candidates[best[begin]].total;
        const auto offer = [&](UnigramCandidate candidate) {
            std::size_t& holder = best[candidate.token.end];
            if (holder == none || candidate.total > out.candidates[holder].total) holder = out.candidates.size();
            out.candidates.push_back(candidate);
        };
        bool whole_character = false;
        for (std::size_t end = next;; end += unicode::decode(word, end).size) {
            if (const auto id = model.vocabulary.id(word.substr(begin, end - begin)); id && *id < model.scores.size()) {
                offer({.token = {*id, begin, end}, .score = model.scores[*id], .total = so_far + model.scores[*id]});
                whole_character = whole_character || end == next;
            }
            if (end == word.size() || end - begin > model.longest_token) break;
        }
        const double unknown_score = model.lowest_score - 10;
        if (!whole_character) offer({.token = {model.unk_id.value_or(0), begin, next}, .score = unknown_score, .total = so_far + unknown_score, .unknown = true});
        begin = next;
    }
    for (std::size_t end = word.size(); end > 0; end = out.candidates[best[end]].token.begin) out.candidates[best[end]].on_best_path = true;
    if (!word.empty()) out.score = out.candidates[best[word.size()]].total;
    return out;
}

// The words a model gets of a text: normalized and pre-tokenized, in its own letters ("Ġlow"). Added tokens are not cut out.
inline std::vector<std::string> model_words(const TokenizerParts& parts, std::string_view text) {
    std::vector<AlignedText> pieces{aligned(text)};
    if (parts.normalizer) normalize(*parts.normalizer, pieces.front());
    if (parts.pre_tokenizer) pre_tokenize(*parts.pre_tokenizer, pieces);
    std::vector<std::string> words;
    for (AlignedText& piece : pieces)
        if (!piece.text.empty()) words.push_back(std::move(piece.text));
    return words;
}

}  // namespace morsel
