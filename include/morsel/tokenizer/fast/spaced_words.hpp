// Words of SentencePiece-like BPE models, whose text is one word and whose spaces are U+2581 in the vocabulary: Llama 2, Phi-3, Gemma and
// their kin from tokenizer.json, and SentencePiece's own files. Decides whether a tokenizer is of that kind, where its text may be cut
// (unit_cutter.hpp), and computes the ids of a unit that is new (pair_merger.hpp).
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/pair_merger.hpp"
#include "morsel/tokenizer/fast/placed_words.hpp"
#include "morsel/tokenizer/fast/sentencepiece_merges.hpp"
#include "morsel/tokenizer/fast/unit_cutter.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel::fast {

// Where a tokenizer puts a space in front of a section of text.
enum class SpaceBefore { never, always, unless_there, unless_there_at_begin };

class SpacedWords {
  public:
    // Nothing where the tokenizer is of another kind.
    static std::optional<SpacedWords> create(const TokenizerParts& parts) {
        SpacedWords words;
        if (!words.take_bpe(parts) && !words.take_sentencepiece(parts)) return std::nullopt;
        return words;
    }

    SpaceBefore space_before() const noexcept { return space_before_; }
    PieceCutter cutter() const { return unit_cutter<detail::SpacedUnits>(rule_); }

    // Appends the ids of one unit of the text.
    void encode(const TokenizerParts& parts, std::string_view unit, MergeSpace& space, std::vector<TokenId>& ids) const {
        with_symbols(parts, unit, space, [&](std::size_t count, auto&& symbol, auto&& first_rank) { pairs_.merge(count, symbol, first_rank, space, ids); });
    }
    // The same for many units: adds one to those in `lanes`, and merges those that were added.
    template <std::size_t Symbols> bool add(const TokenizerParts& parts, std::string_view unit, MergeSpace& space, MergeLanes<Symbols>& lanes) const {
        with_symbols(parts, unit, space, [&](std::size_t count, auto&& symbol, auto&& first_rank) { lanes.add(count, symbol, first_rank); });
        return true;
    }
    template <std::size_t Symbols> void merge(MergeLanes<Symbols>& lanes) const noexcept { pairs_.merge(lanes); }
    // The same by the model itself, with the bytes of the unit that each stands for.
    static void place(const TokenizerParts& parts, std::string_view unit, std::vector<PlacedToken>& tokens) {
        std::string marked;                   // the unit as the model knows it
        std::vector<PlacedToken> characters;  // [bytes of marked] the character that each belongs to
        for (std::size_t i = 0; i < unit.size();) {
            const std::size_t begin = i, size = unicode::decode(unit, i).size;
            i += size;
            marked += unit[begin] == ' ' ? std::string_view("\u2581") : unit.substr(begin, size);
            characters.resize(marked.size(), {0, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(i)});
        }
        ModelTokens found;
        if (const auto* model = std::get_if<SentencePiece>(&parts.model)) {
            for (const ModelToken& token : morsel::detail::sentencepiece_merge(*model, marked)) {
                const std::uint32_t begin = characters[token.begin].begin, end = characters[token.end - 1].end;
                if (token.id != model->unk_id) tokens.push_back({token.id, begin, end, tokens.empty()});
                else  // of its bytes only the last one covers the character
                    for (std::size_t i = token.begin; i < token.end; ++i) tokens.push_back({*model->byte_tokens[static_cast<unsigned char>(marked[i])], begin, i + 1 == token.end ? end : begin, tokens.empty()});
            }
            return;
        }
        tokenize(std::get<Bpe>(parts.model), marked, found);
        for (const ModelToken& token : found) tokens.push_back({token.id, characters[token.begin].begin, characters[token.end - 1].end, tokens.empty()});
    }

  private:
    // Calls f(count, symbol, first_rank) for the characters of a unit. One that is no token is its bytes.
    template <class F> void with_symbols(const TokenizerParts& parts, std::string_view unit, MergeSpace& space, F&& f) const {
        const auto* sentencepiece = std::get_if<SentencePiece>(&parts.model);
        const Vocabulary& vocabulary = vocabulary_of(parts.model);
        const auto& byte_tokens = sentencepiece != nullptr ? sentencepiece->byte_tokens : std::get<Bpe>(parts.model).byte_tokens;
        std::vector<TokenId>& symbols = space.characters;
        symbols.clear();
        for (std::size_t i = 0; i < unit.size();) {
            if (const auto first = static_cast<unsigned char>(unit[i]); first < 0x80) {
                symbols.push_back(ascii_ids_[first]), ++i;
                continue;
            }
            const std::size_t size = unicode::decode(unit, i).size;
            if (const auto id = vocabulary.id(unit.substr(i, size))) symbols.push_back(*id);
            else for (const char byte : unit.substr(i, size)) symbols.push_back(*byte_tokens[static_cast<unsigned char>(byte)]);
            i += size;
        }
        pairs_.find_ranks(symbols, space.ranks);
        f(symbols.size(), [&](std::size_t i) { return symbols[i]; }, [&](std::size_t i) { return space.ranks[i]; });
    }

    // Llama 2, Phi-3, Gemma and their kin: spaces become ▁, perhaps with one in front, and the text is one word.
    bool take_bpe(const TokenizerParts& parts) {
        const auto* model = std::get_if<Bpe>(&parts.model);
        if (model == nullptr || model->ignore_merges || !model->continuing_subword_prefix.empty() || !model->end_of_word_suffix.empty()) return false;
        // An unknown character could join with another one across a cut, or vanish and let its neighbours merge.
        if (!model->byte_fallback || !model->vocabulary.id("\u2581") ||
            !std::all_of(model->byte_tokens.begin(), model->byte_tokens.end(), [](const auto& id) { return id.has_value(); }))
            return false;
        bool marks = false;
        if (parts.normalizer)
            for (const auto& step : parts.normalizer->steps) {
                if (const auto* prepend = std::get_if<PrependNormalizer>(&step)) {
                    if (marks || space_before_ != SpaceBefore::never || prepend->prefix != "\u2581") return false;
                    space_before_ = SpaceBefore::always;
                } else if (const auto* replace = std::get_if<ReplaceNormalizer>(&step)) {
                    if (marks || !is_literal(replace->pattern, " ") || replace->content != "\u2581") return false;
                    marks = true;
                } else {
                    return false;
                }
            }
        if (parts.pre_tokenizer)
            for (const auto& step : parts.pre_tokenizer->steps) {
                if (const auto* metaspace = std::get_if<MetaspacePreTokenizer>(&step)) {
                    if (marks || metaspace->split || metaspace->replacement != 0x2581) return false;
                    using Prepend = MetaspacePreTokenizer::Prepend;
                    if (metaspace->prepend == Prepend::always) space_before_ = SpaceBefore::unless_there;
                    if (metaspace->prepend == Prepend::first) space_before_ = SpaceBefore::unless_there_at_begin;
                    marks = true;
                } else if (const auto* split = std::get_if<SplitPreTokenizer>(&step)) {
                    if (!marks || split->invert || !is_literal(split->pattern, " ")) return false;  // there are no spaces any more
                } else {
                    return false;
                }
            }
        return marks && take_vocabulary(model->vocabulary, model->byte_tokens, PairMerger::create(model->merges, model->vocabulary.id_bound()));
    }

    // SentencePiece's own BPE models that change nothing but spaces.
    bool take_sentencepiece(const TokenizerParts& parts) {
        const auto* model = std::get_if<SentencePiece>(&parts.model);
        if (model == nullptr || model->method != SentencePieceMethod::bpe || !model->byte_fallback || model->remove_extra_whitespaces || !model->escape_whitespaces ||
            model->whitespace_as_suffix || !model->charsmap.empty() || !model->vocabulary.id("\u2581"))
            return false;
        const auto merges = sentencepiece_merges(*model);
        if (!merges) return false;
        space_before_ = model->add_dummy_prefix ? SpaceBefore::always : SpaceBefore::never;
        return take_vocabulary(model->vocabulary, model->byte_tokens, PairMerger::create(*merges, model->vocabulary.id_bound(), true));
    }

    bool take_vocabulary(const Vocabulary& vocabulary, const std::array<std::optional<TokenId>, 256>& byte_tokens, std::optional<PairMerger> merger) {
        auto pairs = std::make_shared<TokenPairs>(vocabulary.size());
        bool bytes_merge = false;  // a token made out of byte tokens; never seen
        vocabulary.for_each([&](std::string_view token, TokenId) {
            if (token.size() > 6 && token.find("<0x") != token.npos) bytes_merge = true;
            pairs->add(token);
        });
        if (bytes_merge || !merger) return false;
        pairs->shrink();
        pairs_ = std::move(*merger);
        for (std::size_t c = 0; c < ascii_ids_.size(); ++c) {
            const char character = static_cast<char>(c);
            ascii_ids_[c] = c == ' ' ? *vocabulary.id("\u2581") : vocabulary.id({&character, 1}).value_or(*byte_tokens[c]);
        }
        bool letters_end = true;
        for (char c = 'a'; c <= 'z'; ++c) letters_end = letters_end && !pairs->ascii_may_meet(c, ' ') && !pairs->ascii_may_meet(static_cast<char>(c - 'a' + 'A'), ' ');
        rule_ = {.pairs = std::move(pairs), .letters_end_at_spaces = letters_end};
        return true;
    }

    static bool is_literal(const Pattern& pattern, std::string_view text) {
        if (const auto* literal = std::get_if<std::string>(&pattern.matcher)) return *literal == text;
        const auto* run = std::get_if<ClassRun>(&pattern.matcher);
        return run != nullptr && run->of == ClassRun::Class::character && !run->greedy && run->at_least == 1 && text.size() == 1 && run->character == static_cast<unsigned char>(text[0]);
    }

    SpaceBefore space_before_ = SpaceBefore::never;
    CutRule rule_;
    PairMerger pairs_;
    std::array<TokenId, 128> ascii_ids_ = {};
};

}  // namespace morsel::fast
