// Normalizer, Metaspace and unigram model on one unit (unit_cutter.hpp) of ASCII characters that the normalizer changes one by one, or not
// at all: what the fast way does with a word that it meets for the first time. Its tokens are found by walks through a trie; the best
// path is computed as in models/unigram.hpp. Other units are for the plain pipeline.
#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/token_trie.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::fast {

// Memory that UnigramWords needs for one word.
struct UnigramSpace {
    std::string word = {};
    std::vector<morsel::detail::UnigramBest> best = {};
    ModelTokens tokens = {};
};

class UnigramWords {
  public:
    // Nothing where the model is not Unigram, or the pre-tokenizer is not Metaspace alone or behind WhitespaceSplit. The normalizer must keep
    // within units, as FastEncoder has seen.
    static std::optional<UnigramWords> create(const TokenizerParts& parts) {
        const auto* unigram = std::get_if<Unigram>(&parts.model);
        if (unigram == nullptr || !parts.pre_tokenizer || parts.pre_tokenizer->steps.empty()) return std::nullopt;
        const auto& steps = parts.pre_tokenizer->steps;
        const auto* metaspace = std::get_if<MetaspacePreTokenizer>(&steps.back());
        const bool drops_space = steps.size() == 2 && std::holds_alternative<WhitespaceSplitPreTokenizer>(steps.front());
        if (metaspace == nullptr || metaspace->prepend == MetaspacePreTokenizer::Prepend::first || (steps.size() > 1 && !drops_space)) return std::nullopt;
        UnigramWords words;
        words.marks_all_ = metaspace->prepend == MetaspacePreTokenizer::Prepend::always;
        words.marks_spaces_ = !drops_space;
        unicode::append(words.mark_, metaspace->replacement);
        for (std::size_t c = 0; c < 0x7F; ++c) words.becomes_[c] = normalized(parts, static_cast<char>(c));
        if (words.becomes_[' '] != ' ') return std::nullopt;
        auto trie = TokenTrie::create(unigram->vocabulary);
        if (!trie) return std::nullopt;
        words.trie_ = std::move(*trie);
        return words;
    }

    // Whether the normalizer makes a space of this ASCII character.
    bool is_space(char c) const noexcept { return static_cast<unsigned char>(c) < 0x80 && becomes_[static_cast<unsigned char>(c)] == ' '; }

    // The tokens of a unit in space.tokens. Gives false where it is for the plain pipeline.
    bool encode(const Unigram& model, std::string_view unit, UnigramSpace& space) const {
        const bool spaced = !unit.empty() && is_space(unit.front());
        if (spaced) unit.remove_prefix(1);
        if (unit.empty()) return false;
        space.tokens.clear();
        bool marked = marks_all_ || (spaced && marks_spaces_);
        for (std::size_t i = 0; i < unit.size(); ++i) {  // each round a word; a line break, say, may have become a space between two
            space.word.assign(marked ? std::string_view(mark_) : std::string_view());
            const std::size_t begin = i;
            for (; i < unit.size(); ++i) {
                const char to = static_cast<unsigned char>(unit[i]) < 0x80 ? becomes_[static_cast<unsigned char>(unit[i])] : '\0';
                if (to == 0) return false;
                if (to == ' ') break;
                space.word += to;
            }
            // No space at either end, nor two side by side: what becomes of those depends.
            if (i == begin || i + 1 == unit.size()) return false;
            const std::string_view word = space.word;
            const auto tokens_at = [&](std::size_t at, auto&& f) { trie_.for_each_prefix(word.substr(at), [&](std::size_t size, TokenId id) { f(at + size, id); }); };
            morsel::detail::unigram_tokens(model, word, space.best, tokens_at, space.tokens);
            marked = marks_all_ || marks_spaces_;
        }
        return true;
    }

  private:
    // What the normalizer makes of an ASCII character, wherever it stands among others: a graphic character or a space; 0 where it is something
    // else, or depends.
    static char normalized(const TokenizerParts& parts, char c) {
        const bool control = c < 0x20;
        const char to = normalized_by_steps(parts, c);
        return control && to != ' ' ? '\0' : to;
    }
    static char normalized_by_steps(const TokenizerParts& parts, char c) {
        if (!parts.normalizer) return c;
        for (const auto& step : parts.normalizer->steps) {
            if (const auto* precompiled = std::get_if<PrecompiledNormalizer>(&step)) {
                const auto rule = precompiled->charsmap.shortest_prefix({&c, 1});
                if (rule && (rule->replacement.size() != 1 || rule->replacement[0] < 0x20 || rule->replacement[0] == 0x7F)) return 0;
                if (rule) c = rule->replacement[0];
            } else if (std::holds_alternative<LowercaseNormalizer>(step)) {
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
            } else if (const auto* replace = std::get_if<ReplaceNormalizer>(&step)) {
                if (const auto* literal = std::get_if<std::string>(&replace->pattern.matcher); literal != nullptr && literal->find(c) != literal->npos) return 0;
            }
            // The others leave graphic ASCII characters as they are; runs of spaces are for the plain pipeline.
        }
        return c;
    }

    TokenTrie trie_;
    std::string mark_;                     // U+2581
    std::array<char, 128> becomes_ = {};   // 0: the unit is for the plain pipeline
    bool marks_all_ = false;               // the mark stands before every unit
    bool marks_spaces_ = false;            // a space becomes the mark
};

}  // namespace morsel::fast
