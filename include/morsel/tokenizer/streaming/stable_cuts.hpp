// Where a text can be cut so that its parts, encoded one by one, give the ids of the whole, whatever text may follow: the ground on which
// incremental encoding, streaming and counting stand. Four proofs, by what the tokenizer is made of:
//   space        before a single space between a character and a letter, where a pre-tokenizer begins a new piece there in any case;
//   punctuation  between a letter and a mark such as "," or "。", likewise;
//   pairs        for BPE that takes the whole section as one word (SentencePiece, Llama, Gemma): between two characters that no result of a
//                merge holds side by side, since then no merge can reach across.
//   every        where each character is encoded by itself (CANINE, ByT5): between any two that are no white space.
// Always: no added token near the cut, both neighbours whole characters, and enough text behind the cut that nothing later matters. What is
// not understood (unknown regular expressions, Strip, character maps ...) has no cuts: possible() is false, and the caller keeps the whole text.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "morsel/core/flat_map.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

class StableCuts {
  public:
    // The parts must outlive it.
    explicit StableCuts(const TokenizerParts& parts) : added_(&parts.added_tokens) {
        const bool sentencepiece = std::holds_alternative<SentencePiece>(parts.model);
        bool normalized_tokens = false;
        for (const AddedToken& token : parts.added_tokens.tokens()) {
            const std::string_view text = parts.added_tokens.text(token.id).value_or("");
            if (!token.normalized || !parts.normalizer || parts.normalizer->steps.empty() || sentencepiece) continue;
            // Found in normalized text, where `touches` cannot see them: harmless only where they cannot reach over a space.
            if (token.lstrip || token.rstrip || text.find(mark) != text.npos || has_white_space(text)) return;
            normalized_tokens = true;
        }
        const bool single = std::holds_alternative<Characters>(parts.model) || std::holds_alternative<Bytes>(parts.model);
        if (single && !parts.normalizer && !parts.pre_tokenizer) every_ = true;
        else if (structural(parts)) punctuation_ = punctuation_ && !normalized_tokens;
        else if (!normalized_tokens) by_pairs(parts);
    }

    bool possible() const noexcept { return space_ || punctuation_ || pairs_ || every_; }

    // The last cut in [from, to] of this text, which may go on; from > 0. Looks at each character from `to` down until it finds one.
    std::optional<std::size_t> last(std::string_view text, std::size_t from, std::size_t to) const {
        const std::size_t guard = added_->longest() + 12;  // an added token, and some characters to look ahead
        if (!possible() || text.size() < guard) return std::nullopt;
        for (std::size_t cut = std::min(to, text.size() - guard); cut >= std::max<std::size_t>(from, 1); --cut)
            if (is_cut(text, cut) && !added_->touches(text, cut)) return cut;
        return std::nullopt;
    }

    // How the text behind a cut is encoded so that nothing is put in front of it: without its first byte, a space that the tokenizer puts there
    // again by itself; or whole, and without the first token, the mark alone.
    struct Start {
        bool without_space = false, without_first_token = false;
    };
    Start start(std::string_view text_from_cut) const noexcept {
        const bool space = text_from_cut.starts_with(' ');
        return {space && prefix_ == Prefix::always, !space && prefix_ != Prefix::none};
    }

  private:
    static constexpr std::string_view mark = "\u2581";
    static constexpr char32_t mark_character = 0x2581;
    enum class Prefix : std::uint8_t { none, unless_there, always };  // whether the tokenizer puts ▁ in front of a text
    struct Present {};

    static bool has_white_space(std::string_view text) {
        for (std::size_t i = 0; i < text.size();)
            if (unicode::is_white_space(unicode::next_code_point(text, i))) return true;
        return false;
    }

    // ---- what the parts allow
    // A replacement that a single space between other characters bounds.
    static bool is_local(const ReplaceNormalizer& n) {
        if (n.content.empty() || unicode::is_white_space(unicode::decode(n.content, 0).value) ||
            unicode::is_white_space(unicode::decode(n.content, unicode::previous_start(n.content, n.content.size())).value))
            return false;
        if (const auto* literal = std::get_if<std::string>(&n.pattern.matcher)) return *literal == " " || (!literal->empty() && literal->find(mark) == literal->npos && !has_white_space(*literal));
        return false;
    }

    bool structural(const TokenizerParts& parts) {
        bool space = false, punctuation = true, drops_space = false;
        if (parts.normalizer)
            for (const auto& step : parts.normalizer->steps) {
                changes_letters_ = true;
                if (const auto* replace = std::get_if<ReplaceNormalizer>(&step)) {
                    if (!is_local(*replace)) return false;
                    punctuation = false;
                } else if (!std::holds_alternative<UnicodeNormalizer>(step) && !std::holds_alternative<BertNormalizer>(step) &&
                           !std::holds_alternative<LowercaseNormalizer>(step) && !std::holds_alternative<StripAccentsNormalizer>(step)) {
                    return false;
                }
            }
        if (!parts.pre_tokenizer || std::holds_alternative<SentencePiece>(parts.model)) return false;
        for (const auto& step : parts.pre_tokenizer->steps) {
            const auto* metaspace = std::get_if<MetaspacePreTokenizer>(&step);
            if (space) {  // pieces are apart already; only this step asks where a piece is
                if (metaspace == nullptr || metaspace->prepend != MetaspacePreTokenizer::Prepend::first) continue;
                if (!drops_space) return false;
                punctuation = false;  // behind a space no piece is at the start
                continue;
            }
            if (const auto* bytes = std::get_if<ByteLevelPreTokenizer>(&step)) {
                if (!bytes->use_regex) return false;
                space = true;
                punctuation = punctuation && !bytes->add_prefix_space;
            } else if (const auto* split = std::get_if<SplitPreTokenizer>(&step)) {
                const auto* scanner = std::get_if<SplitScanner>(&split->pattern.matcher);
                if (scanner == nullptr) return false;
                const bool isolated = split->behavior == SplitBehavior::isolated && !split->invert;
                if (scanner->is_match == nullptr ? !isolated && !(split->behavior == SplitBehavior::removed && split->invert) : !isolated) return false;
                space = scanner->is_match == nullptr || scanner->next == split::deepseek_text.next;  // DeepSeek's other two leave runs of their own
            } else if (std::holds_alternative<BertPreTokenizer>(step) || std::holds_alternative<WhitespacePreTokenizer>(step)) {
                space = drops_space = true;
            } else if (std::holds_alternative<WhitespaceSplitPreTokenizer>(step) || (metaspace != nullptr && metaspace->split)) {
                space = true, punctuation = false, drops_space = metaspace == nullptr;
            } else if (const auto* marks = std::get_if<PunctuationPreTokenizer>(&step)) {
                if (marks->behavior == SplitBehavior::merged_with_previous || marks->behavior == SplitBehavior::merged_with_next) return false;
            } else if (!std::holds_alternative<DigitsPreTokenizer>(step)) {
                return false;
            }
        }
        return space_ = space, punctuation_ = space && punctuation, space;
    }

    void by_pairs(const TokenizerParts& parts) {
        bool space_is_mark = false;
        if (parts.normalizer)
            for (const auto& step : parts.normalizer->steps) {
                const auto* prepend = std::get_if<PrependNormalizer>(&step);
                const auto* replace = std::get_if<ReplaceNormalizer>(&step);
                const auto* literal = replace != nullptr ? std::get_if<std::string>(&replace->pattern.matcher) : nullptr;
                if (prepend != nullptr && prepend->prefix == mark && prefix_ == Prefix::none) prefix_ = Prefix::always;
                else if (literal != nullptr && *literal == " " && replace->content == mark) space_is_mark = true;
                else return;
            }
        if (parts.pre_tokenizer)
            for (const auto& step : parts.pre_tokenizer->steps) {
                if (const auto* metaspace = std::get_if<MetaspacePreTokenizer>(&step)) {
                    if (metaspace->split || metaspace->replacement != mark_character || parts.pre_tokenizer->steps.size() > 1 || prefix_ != Prefix::none) return;
                    space_is_mark = true;
                    if (metaspace->prepend != MetaspacePreTokenizer::Prepend::never) prefix_ = Prefix::unless_there;
                } else if (const auto* split = std::get_if<SplitPreTokenizer>(&step)) {  // Gemma's, which looks for spaces that are gone
                    const auto* literal = std::get_if<std::string>(&split->pattern.matcher);
                    if (literal == nullptr || *literal != " " || !space_is_mark || split->invert) return;
                } else {
                    return;
                }
            }
        if (const auto* bpe = std::get_if<Bpe>(&parts.model)) {
            if (bpe->ignore_merges || !bpe->continuing_subword_prefix.empty() || !bpe->end_of_word_suffix.empty()) return;
            const auto unk = bpe->unk_token ? bpe->vocabulary.id(*bpe->unk_token) : std::nullopt;
            bool plain = true;  // symbols are the characters they stand for
            bpe->merges.for_each([&](std::uint64_t pair, const Merge& merge) {
                for (const auto id : {static_cast<TokenId>(pair >> 32), static_cast<TokenId>(pair)})
                    plain = plain && id != unk && std::find(bpe->byte_tokens.begin(), bpe->byte_tokens.end(), id) == bpe->byte_tokens.end();
                const auto text = bpe->vocabulary.token(merge.id);
                plain = plain && text.has_value();
                if (plain) add_pairs(*text);
            });
            if (!plain) return;
            vocabulary_ = &bpe->vocabulary;
        } else if (const auto* pieces = std::get_if<SentencePiece>(&parts.model)) {
            if (pieces->method != SentencePieceMethod::bpe || pieces->whitespace_as_suffix) return;
            if (!pieces->charsmap.empty() || !pieces->user_defined.empty() || !pieces->escape_whitespaces) return;
            if (pieces->remove_extra_whitespaces && !pieces->add_dummy_prefix) return;
            space_is_mark = true;
            if (pieces->add_dummy_prefix) prefix_ = Prefix::always;
            pieces->vocabulary.for_each([&](std::string_view text, TokenId id) {
                if (const PieceType type = pieces->types[id]; type == PieceType::normal || type == PieceType::unused) add_pairs(text);
            });
            vocabulary_ = &pieces->vocabulary;
            unknown_ = pieces->unk_id;
        } else {
            return;
        }
        space_character_ = space_is_mark ? mark_character : U' ';
        pairs_ = prefix_ == Prefix::none || vocabulary_->id(mark).has_value();
    }
    void add_pairs(std::string_view text) {
        char32_t previous = 0;
        for (std::size_t i = 0; i < text.size();) {
            const bool first = i == 0;
            const char32_t c = unicode::next_code_point(text, i);
            if (!first) together_.set(pack_pair(previous, c), Present{});
            previous = c;
        }
    }

    // ---- what a place in the text is like
    bool is_cut(std::string_view text, std::size_t cut) const {
        const auto lead = static_cast<unsigned char>(text[cut]);
        if ((lead & 0xC0) == 0x80) return false;
        const bool ascii_word = (lead >= 'a' && lead <= 'z') || (lead >= 'A' && lead <= 'Z') || (lead >= '0' && lead <= '9');
        if (ascii_word && !every_) return false;  // seldom a cut, and this is most of the text
        const unicode::CodePoint next = unicode::decode(text, cut);
        const std::size_t before = unicode::previous_start(text, cut);
        const unicode::CodePoint previous = unicode::decode(text, before);
        if (!next.valid || !previous.valid || before + previous.size != cut) return false;
        if (every_) return !unicode::is_white_space(previous.value) && !unicode::is_white_space(next.value);  // which added tokens may swallow
        if (pairs_) return is_pair_cut(text, cut, previous.value, next.value);
        if (next.value == ' ') {
            const unicode::CodePoint after = unicode::decode(text, cut + 1);
            const bool visible = (previous.value > ' ' && previous.value < 0x7F) || unicode::is_letter(previous.value);
            return space_ && visible && previous.value != mark_character && after.valid && unicode::is_letter(after.value);
        }
        return punctuation_ && is_mark(next.value) && (changes_letters_ ? is_steady_letter(previous.value) : unicode::is_letter(previous.value));
    }

    bool is_pair_cut(std::string_view text, std::size_t cut, char32_t previous, char32_t next) const {
        if (unicode::is_white_space(previous) || previous == mark_character || next == mark_character || !known(previous)) return false;
        if (next == ' ') {  // one space, and then something else
            const unicode::CodePoint after = unicode::decode(text, cut + 1);
            return after.valid && !unicode::is_white_space(after.value) && after.value != mark_character && known(space_character_) && !together(previous, space_character_);
        }
        if (unicode::is_white_space(next) || !known(next) || together(previous, next)) return false;
        return prefix_ == Prefix::none || !together(mark_character, next);
    }
    bool together(char32_t a, char32_t b) const noexcept { return together_.find(pack_pair(a, b)) != nullptr; }
    bool known(char32_t c) const noexcept {
        char bytes[4];
        const auto id = vocabulary_->id({bytes, unicode::encode(c, bytes)});
        return id && id != unknown_;
    }

    // Marks that every pre-tokenizer above parts from a letter before them. No apostrophe: it may belong to the word.
    static bool is_mark(char32_t c) noexcept {
        constexpr std::u32string_view marks = U",.;:!?()、。，！？；：「」";
        return marks.find(c) != marks.npos;
    }
    // Letters that no normalizer above changes into anything but a letter.
    static bool is_steady_letter(char32_t c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0x4E00 && c <= 0x9FA5); }

    const AddedTokens* added_;
    const Vocabulary* vocabulary_ = nullptr;  // for pairs
    std::optional<TokenId> unknown_ = {};
    FlatMap<Present> together_;               // pairs of characters that stand side by side in what merges make
    char32_t space_character_ = U' ';         // what a space becomes
    Prefix prefix_ = Prefix::none;
    bool space_ = false, punctuation_ = false, pairs_ = false, every_ = false;
    bool changes_letters_ = false;
};

}  // namespace morsel
