// Normalizer, Metaspace and unigram model on one unit (unit_cutter.hpp): what the fast way does with a word that it meets for the first time.
// Characters that the normalizer changes one by one are looked up (mapped_characters.hpp); others stay where its character map has no rule for
// them; units with still others go through the plain normalizer and pre-tokenizer. Tokens are found by walks through a trie; the best path is
// computed as in models/unigram.hpp.
#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/mapped_characters.hpp"
#include "morsel/tokenizer/models/token_trie.hpp"
#include "morsel/tokenizer/plain_pipeline.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::fast {

// Memory that UnigramWords needs for one word.
struct UnigramSpace {
    std::string word = {};
    std::vector<morsel::detail::UnigramBest> best = {};
    ModelTokens tokens = {};
    MappedCharacters mapped = {};
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
        for (char32_t c = 0; c < 0x7F; ++c) words.becomes_[c] = MappedCharacters::normalized(parts.normalizer, c);
        if (words.becomes_[' '] != ' ') return std::nullopt;
        words.map_step_ = only_map(parts);
        words.joins_spaces_ = drops_space || words.joins_runs(parts);
        auto trie = TokenTrie::create(unigram->vocabulary);
        if (!trie) return std::nullopt;
        words.trie_ = std::move(*trie);
        return words;
    }

    // Whether the normalizer makes a space of this ASCII character.
    bool is_space(char c) const noexcept { return static_cast<unsigned char>(c) < 0x80 && becomes_[static_cast<unsigned char>(c)] == ' '; }

    // The tokens of a unit, UTF-8, in space.tokens; their places mean nothing.
    void encode(const TokenizerParts& parts, std::string_view unit, UnigramSpace& space) const {
        space.tokens.clear();
        if (encode_by_characters(parts, unit, space)) return;
        space.tokens.clear();
        for_each_token_of(parts, unit, space, [&](const ModelToken& token, const AlignedText&, bool) { space.tokens.push_back(token); });
    }

    // detail::for_each_token_of with the trie.
    template <class F> void for_each_token_of(const TokenizerParts& parts, std::string_view unit, UnigramSpace& space, F&& f) const {
        const Unigram& model = std::get<Unigram>(parts.model);
        morsel::detail::for_each_token_of(parts, unit, [&](std::string_view piece, ModelTokens& tokens) { add_tokens(model, piece, space, tokens); }, f);
    }

  private:
    void add_tokens(const Unigram& model, std::string_view word, UnigramSpace& space, ModelTokens& tokens) const {
        const auto tokens_at = [&](std::size_t at, auto&& f) { trie_.for_each_prefix(word.substr(at), trie_.root(), [&](std::size_t size, TokenId id) { f(at + size, id); }); };
        morsel::detail::unigram_tokens(model, word, space.best, tokens_at, tokens);
    }

    // Gives false where a character of the unit depends on those beside it.
    bool encode_by_characters(const TokenizerParts& parts, std::string_view unit, UnigramSpace& space) const {
        bool marked = marks_all_;
        for (std::size_t i = 0; i < unit.size();) {  // each round a run of spaces and a word; a line break, say, may have become a space
            std::size_t spaces = 0;
            space.word.clear();
            while (i < unit.size()) {
                const std::size_t begin = i;
                const char32_t c = unicode::next_code_point(unit, i);
                char32_t to = c < 0x80 ? becomes_[c] : space.mapped(parts.normalizer, c);
                if (to == 0 && stays(parts, unit, begin)) to = c;
                if (to == 0) return false;
                if (to != ' ') {
                    if (space.word.empty() && (marked || (spaces > 0 && marks_spaces_))) space.word = mark_;
                    unicode::append(space.word, to);
                } else if (space.word.empty()) {
                    ++spaces;
                } else {
                    i = begin;
                    break;
                }
            }
            if (spaces > 1 && !joins_spaces_) return false;
            if (!space.word.empty()) add_tokens(std::get<Unigram>(parts.model), space.word, space, space.tokens);
            else if (marks_spaces_) return false;  // what becomes of spaces at the end depends
        }
        return true;
    }

    // Whether the character at `at`, beyond ASCII, stays what it is whatever stands beside it: where a character map is all that changes
    // characters, and has no rule that begins with it, nor with the one before it.
    bool stays(const TokenizerParts& parts, std::string_view unit, std::size_t at) const {
        if (!map_step_ || at == 0) return false;
        const Charsmap& map = std::get<PrecompiledNormalizer>(parts.normalizer->steps[*map_step_]).charsmap;
        const std::size_t before = unicode::previous_start(unit, at), size = unicode::size_of_lead(unit[at]);
        const std::string_view character = unit.substr(at, size);
        return size > 1 && character != mark_ && !unicode::is_white_space(unicode::decode(unit, at).value) && !map.has_rule_with(character) &&
               !map.has_rule_with(unit.substr(before, at - before));
    }

    // The step of the normalizer that is a character map, where it is the only one to change characters beyond ASCII.
    static std::optional<std::size_t> only_map(const TokenizerParts& parts) {
        std::optional<std::size_t> found;
        for (std::size_t i = 0; parts.normalizer && i < parts.normalizer->steps.size(); ++i) {
            const auto& step = parts.normalizer->steps[i];
            if (std::holds_alternative<PrecompiledNormalizer>(step) && !found) found = i;
            else if (const auto* replace = std::get_if<ReplaceNormalizer>(&step); replace != nullptr && std::holds_alternative<ClassRun>(replace->pattern.matcher)) continue;
            else if (!std::holds_alternative<StripNormalizer>(step)) return std::nullopt;
        }
        return found;
    }

    // Whether two and three characters that are spaces by themselves become what one becomes, side by side.
    bool joins_runs(const TokenizerParts& parts) const {
        if (!parts.normalizer) return false;
        std::vector<std::string> spaces;
        for (const char32_t c : {U' ', U'\t', U'\n', U'\f', U'\r', U'\u00a0', U'\u3000'})
            if (MappedCharacters::normalized(parts.normalizer, c) == ' ') unicode::append(spaces.emplace_back(), c);
        const auto joins = [&](const std::string& run) {
            AlignedText text = aligned("a" + run + "b");
            normalize(*parts.normalizer, text);
            return text.text == "a b" || text.text == "a" + mark_ + "b";
        };
        for (const std::string& first : spaces)
            for (const std::string& second : spaces) {
                if (!joins(first + second)) return false;
                for (const std::string& third : spaces)
                    if (!joins(first + second + third)) return false;
            }
        return true;
    }

    TokenTrie trie_;
    std::string mark_;                        // U+2581
    std::array<char16_t, 128> becomes_ = {};  // of ASCII, as MappedCharacters; 0: it depends
    std::optional<std::size_t> map_step_;     // see only_map
    bool marks_all_ = false;                  // the mark stands before every word
    bool marks_spaces_ = false;               // a space becomes the mark; else it is dropped
    bool joins_spaces_ = false;               // so does a run of them, whatever they were
};

}  // namespace morsel::fast
