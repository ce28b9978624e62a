// BERT's normalizer, pre-tokenizer and WordPiece model on one unit (unit_cutter.hpp) that needs little of the first two: what the fast way
// does with a word that it meets for the first time. The longest token is found by one walk through a trie, so a word costs its bytes
// and what the walks go too far. Units with accents to strip, controls, or white space beyond ASCII are for the plain pipeline.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "morsel/tokenizer/fast/token_trie.hpp"
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
        words.keeps_letters_ = !normalizer.lowercase && !normalizer.strip_accents.value_or(false);
        return words;
    }

    // Calls put(id, begin, end) for every token, with bytes of the unit, which is UTF-8. Gives false, and calls nothing, where the unit is for the
    // plain pipeline.
    template <class Put> bool encode(std::string_view unit, std::string& scratch, Put&& put) const {
        std::size_t begin = 0;
        while (begin < unit.size() && (unit[begin] == ' ' || unit[begin] == '\n' || unit[begin] == '\t' || unit[begin] == '\r')) ++begin;
        std::string_view word = unit.substr(begin);
        if (word.empty()) return true;
        const std::size_t characters = plain_characters(word);
        if (characters == 0) return false;
        if (lowercase_) {
            scratch.assign(word);
            for (char& c : scratch)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
            word = scratch;
        }
        if (characters > most_characters_) return put(unknown_, begin, unit.size()), true;
        // Twice, because a part that no token matches makes all of it unknown.
        constexpr std::size_t most = 16;
        TokenTrie::Match found[most];
        std::size_t count = 0;
        for (std::size_t at = 0; at < word.size(); ++count) {
            const TokenTrie::Match match = next(word, at);
            if (match.size == 0) return put(unknown_, begin, unit.size()), true;
            if (count < most) found[count] = match;
            at += match.size;
        }
        for (std::size_t i = 0, at = 0; i < count; ++i) {
            const TokenTrie::Match match = i < most ? found[i] : next(word, at);
            put(match.id, begin + at, begin + at + match.size);
            at += match.size;
        }
        return true;
    }

  private:
    TokenTrie::Match next(std::string_view word, std::size_t at) const noexcept {
        if (at == 0) return trie_.longest(word, trie_.root());
        return continuation_ ? trie_.longest(word.substr(at), *continuation_) : TokenTrie::Match{};
    }

    // How many characters `word` has; 0 where it is more than one word, or the normalizer does more to it than ASCII case.
    std::size_t plain_characters(std::string_view word) const noexcept {
        std::size_t count = 0;
        for (std::size_t i = 0; i < word.size(); ++count) {
            const auto byte = static_cast<unsigned char>(word[i]);
            if (byte < 0x80) {
                if (byte <= 0x20 || byte == 0x7F) return 0;
                if (unicode::is_ascii_punctuation(byte) && word.size() > 1) return 0;
                ++i;
                continue;
            }
            const unicode::CodePoint point = unicode::decode(word, i);
            if (unicode::is_bert_cjk(point.value)) {
                if (word.size() != point.size || (!keeps_letters_ && point.value >= 0xF900)) return 0;  // the others decompose
            } else if (!keeps_letters_ || point.value == unicode::replacement_character || reference::is_control(point.value) || unicode::is_white_space(point.value) ||
                       reference::is_punctuation(point.value)) {
                return 0;
            }
            i += point.size;
        }
        return count;
    }

    TokenTrie trie_;
    std::optional<TokenTrie::Place> continuation_;  // where "##" leads to
    TokenId unknown_ = 0;
    std::size_t most_characters_ = 0;
    bool lowercase_ = false;
    bool keeps_letters_ = false;  // neither case nor accents change
};

}  // namespace morsel::fast
