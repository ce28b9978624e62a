// BERT's normalizer, pre-tokenizer and WordPiece model on one unit (unit_cutter.hpp): what the fast way does with a word that it meets for the
// first time. The longest token is found by one walk through a trie, so a word costs its bytes and what the walks go too far. Where case or
// accents go, characters beyond ASCII that no neighbour changes are looked up (mapped_characters.hpp), Hangul syllables are taken apart. Units with
// other ones, or with controls that are not to go, are for the plain pipeline.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "morsel/tokenizer/fast/mapped_characters.hpp"
#include "morsel/tokenizer/models/token_trie.hpp"
#include "morsel/tokenizer/text/reference_classes.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"
#include "morsel/unicode/normalize.hpp"
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
        const bool strips = normalizer.strip_accents.value_or(normalizer.lowercase);
        words.keeps_letters_ = !normalizer.lowercase && !strips;
        words.takes_syllables_apart_ = strips;
        return words;
    }

    // `normalizer`: of which this is the only step; `mapped`: what it makes of characters.
    // Calls put(id, begin, end, first) for every token: bytes of the unit, which is UTF-8, and whether a word begins with it. Gives false where the
    // unit is for the plain pipeline, perhaps after some calls. `offsets`: whether the bytes must be right; else those of a word that a control was
    // dropped from mean nothing.
    template <class Put> bool encode(const std::optional<Normalizer>& normalizer, std::string_view unit, std::string& scratch, MappedCharacters& mapped, bool offsets, Put&& put) const {
        const auto character = [&](std::size_t at) { return character_at(normalizer, unit, at, mapped); };
        for (std::size_t i = 0; i < unit.size();) {
            const Character first = character(i);
            if (first.kind == Kind::unsure) return false;
            if (first.kind == Kind::alone) encode_word(unit.substr(i, first.size), 1, i, i + first.size, put);
            if (first.kind != Kind::letter) {
                i += first.size;
                continue;
            }
            const std::size_t begin = i;
            std::size_t end = i, letters = 0;
            bool copied = false;  // the word is in `scratch`, without what was dropped
            for (Character c = first; c.kind == Kind::letter || c.kind == Kind::dropped; c = i < unit.size() ? character(i) : Character{Kind::space, 0}) {
                if (c.kind == Kind::letter) {
                    if (offsets && (i != end || (c.becomes != 0 && !keeps_size(c)))) return false;
                    if (!copied && (i != end || c.becomes != 0)) scratch.assign(unit, begin, end - begin), copied = true;
                    if (copied && c.becomes == 0) scratch.append(unit, i, c.size);
                    letters += c.becomes != 0 ? append(scratch, c.becomes) : 1;
                    end = i + c.size;
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
        std::size_t size;      // bytes
        char32_t becomes = 0;  // of a letter: this one, or the parts of this syllable; 0: it stays
    };
    static constexpr char32_t first_syllable = 0xAC00, last_syllable = 0xD7A3;
    static bool is_syllable(char32_t c) noexcept { return c >= first_syllable && c <= last_syllable; }
    static bool keeps_size(const Character& c) noexcept { return !is_syllable(c.becomes) && c.size == (c.becomes < 0x80 ? 1u : c.becomes < 0x800 ? 2u : 3u); }
    // Appends what a letter becomes, of a Hangul syllable its two or three parts; gives the number of characters.
    std::size_t append(std::string& word, char32_t c) const {
        std::size_t count = 0;
        const auto put = [&](char32_t part) { unicode::append(word, part), ++count; };
        if (is_syllable(c) && takes_syllables_apart_) unicode::detail::decompose(c, false, put);
        else put(c);
        return count;
    }

    Character character_at(const std::optional<Normalizer>& normalizer, std::string_view unit, std::size_t i, MappedCharacters& mapped) const {
        const auto byte = static_cast<unsigned char>(unit[i]);
        if (byte < 0x80) {
            if (byte > 0x20 && byte != 0x7F) return {unicode::is_ascii_punctuation(byte) ? Kind::alone : Kind::letter, 1};
            return {byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' ? Kind::space : control_, 1};
        }
        const unicode::CodePoint point = unicode::decode(unit, i);
        if (unicode::is_bert_cjk(point.value)) return {keeps_letters_ || point.value < 0xF900 ? Kind::alone : Kind::unsure, point.size};  // the others decompose
        if (!keeps_letters_) {
            if (is_syllable(point.value) && takes_syllables_apart_) return {Kind::letter, point.size, point.value};
            const char32_t becomes = mapped(normalizer, point.value);
            if (becomes == 0 || becomes == ' ') return {becomes == 0 ? Kind::unsure : Kind::space, point.size};
            if (becomes < 0x80 ? unicode::is_ascii_punctuation(becomes) : reference::is_punctuation(becomes)) return {becomes == point.value ? Kind::alone : Kind::unsure, point.size};
            return {Kind::letter, point.size, becomes == point.value ? 0 : becomes};
        }
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
    bool takes_syllables_apart_ = false;  // of Hangul
};

}  // namespace morsel::fast
