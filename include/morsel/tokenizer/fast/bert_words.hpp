// BERT's normalizer, pre-tokenizer and WordPiece model on one unit (unit_cutter.hpp): what the fast way does with a word that it meets for the
// first time. The longest token is found by one walk through a trie, so a word costs its bytes and what the walks go too far. Units with
// letters beyond ASCII whose case or accents go, or with controls that are not to go, are for the plain pipeline.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "morsel/tokenizer/models/token_trie.hpp"
#include "morsel/tokenizer/text/reference_classes.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::fast {

class BertWords {
  public:
    // Nothing where the model is not WordPiece, or has no unknown token.
    static std::optional<BertWords> create(const TokenizationModel& model, const BertNormalizer& normalizer) {
        const auto* wordpiece = std::get_if<WordPiece>(&model);
        if (wordpiece == nullptr) return std::nullopt;
        const auto unknown = wordpiece->vocabulary.id(wordpiece->unk_token);
        auto trie = TokenTrie::create(wordpiece->vocabulary);
        if (!unknown || !trie) return std::nullopt;
        BertWords words;
        words.trie_ = std::move(*trie);
        words.continuation_ = words.trie_.walk(wordpiece->continuing_subword_prefix);
        words.unknown_ = *unknown;
        words.most_characters_ = wordpiece->max_input_chars_per_word;
        words.lowercase_ = normalizer.lowercase;
        words.control_ = normalizer.clean_text ? Kind::dropped : Kind::unsure;
        words.keeps_letters_ = !normalizer.lowercase && !normalizer.strip_accents.value_or(false);
        return words;
    }

    // Calls put(id, begin, end, first) for every token: bytes of the unit, which is UTF-8, and whether a word begins with it. Gives false where the
    // unit is for the plain pipeline, perhaps after some calls. `offsets`: whether the bytes must be right; else those of a word that a control was
    // dropped from mean nothing.
    template <class Put> bool encode(std::string_view unit, std::string& scratch, bool offsets, Put&& put) const {
        for (std::size_t i = 0; i < unit.size();) {
            const Character first = character(unit, i);
            if (first.kind == Kind::unsure) return false;
            if (first.kind == Kind::alone) encode_word(unit.substr(i, first.size), 1, i, i + first.size, put);
            if (first.kind != Kind::letter) {
                i += first.size;
                continue;
            }
            const std::size_t begin = i;
            std::size_t end = i, letters = 0;
            bool copied = false;  // the word is in `scratch`, without what was dropped
            for (Character c = first; c.kind == Kind::letter || c.kind == Kind::dropped; c = i < unit.size() ? character(unit, i) : Character{Kind::space, 0}) {
                if (c.kind == Kind::letter) {
                    if (i != end && !copied) {
                        if (offsets) return false;
                        scratch.assign(unit, begin, end - begin), copied = true;
                    }
                    if (copied) scratch.append(unit, i, c.size);
                    ++letters, end = i + c.size;
                }
                i += c.size;
            }
            if (lowercase_) {
                if (!copied) scratch.assign(unit, begin, end - begin), copied = true;
                for (char& c : scratch)
                    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
            }
            encode_word(copied ? std::string_view(scratch) : unit.substr(begin, end - begin), letters, begin, end, put);
        }
        return true;
    }

  private:
    // What BERT makes of a character: part of a word, a word of its own, what is between words, or nothing at all.
    enum class Kind : std::uint8_t { letter, alone, space, dropped, unsure };
    struct Character {
        Kind kind;
        std::size_t size;  // bytes
    };
    Character character(std::string_view unit, std::size_t i) const noexcept {
        const auto byte = static_cast<unsigned char>(unit[i]);
        if (byte < 0x80) {
            if (byte > 0x20 && byte != 0x7F) return {unicode::is_ascii_punctuation(byte) ? Kind::alone : Kind::letter, 1};
            return {byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' ? Kind::space : control_, 1};
        }
        const unicode::CodePoint point = unicode::decode(unit, i);
        if (unicode::is_bert_cjk(point.value)) return {keeps_letters_ || point.value < 0xF900 ? Kind::alone : Kind::unsure, point.size};  // the others decompose
        if (!keeps_letters_) return {Kind::unsure, point.size};
        if (point.value == unicode::replacement_character || reference::is_control(point.value)) return {control_, point.size};
        if (unicode::is_white_space(point.value)) return {Kind::space, point.size};
        return {reference::is_punctuation(point.value) ? Kind::alone : Kind::letter, point.size};
    }

    // The tokens of one word of so many characters, which is bytes begin … end of the unit.
    template <class Put> void encode_word(std::string_view word, std::size_t characters, std::size_t begin, std::size_t end, Put&& put) const {
        if (characters > most_characters_) return put(unknown_, begin, end, true);
        // Twice, because a part that no token matches makes all of it unknown.
        constexpr std::size_t most = 16;
        TokenTrie::Match found[most];
        std::size_t count = 0;
        for (std::size_t at = 0; at < word.size(); ++count) {
            const TokenTrie::Match match = next(word, at);
            if (match.size == 0) return put(unknown_, begin, end, true);
            if (count < most) found[count] = match;
            at += match.size;
        }
        for (std::size_t i = 0, at = 0; i < count; ++i) {
            const TokenTrie::Match match = i < most ? found[i] : next(word, at);
            put(match.id, begin + at, begin + at + match.size, at == 0);
            at += match.size;
        }
    }
    TokenTrie::Match next(std::string_view word, std::size_t at) const noexcept {
        if (at == 0) return trie_.longest(word, trie_.root());
        return continuation_ ? trie_.longest(word.substr(at), *continuation_) : TokenTrie::Match{};
    }

    TokenTrie trie_;
    std::optional<TokenTrie::Place> continuation_;  // where "##" leads to
    TokenId unknown_ = 0;
    std::size_t most_characters_ = 0;
    Kind control_ = Kind::unsure;  // what controls are
    bool lowercase_ = false;
    bool keeps_letters_ = false;  // neither case nor accents change
};

}  // namespace morsel::fast
