// Words of tokenizers whose model is whatever it is, but whose pre-tokenizer cuts at spaces: BERT's; Metaspace, WhitespaceSplit, CLIP's pattern,
// GPT-2's (Falcon), and beside them steps that do not look across spaces. Decides whether a tokenizer is of that kind and where its text may be
// cut (unit_cutter.hpp). A new unit goes through the plain pipeline, most of BERT's and of unigram models through shorter ways.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/bert_words.hpp"
#include "morsel/tokenizer/fast/byte_pair_merger.hpp"
#include "morsel/tokenizer/fast/placed_words.hpp"
#include "morsel/tokenizer/fast/unigram_words.hpp"
#include "morsel/tokenizer/fast/unit_cutter.hpp"
#include "morsel/tokenizer/plain_pipeline.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel::fast {

class PlainUnits {
  public:
    // Nothing where the tokenizer is of another kind.
    static std::optional<PlainUnits> create(const TokenizerParts& parts) {
        PlainUnits units;
        if (!units.take(parts)) return std::nullopt;
        const auto drifts = [](const auto& step) { return std::holds_alternative<PrecompiledNormalizer>(step); };
        units.may_drift_ = parts.normalizer && std::any_of(parts.normalizer->steps.begin(), parts.normalizer->steps.end(), drifts);
        return units;
    }

    const PieceCutter& cutter() const noexcept { return cutter_; }

    // Whether every piece becomes a token; one that does not would be a word that nobody sees.
    static bool every_piece_shows(const TokenizerParts& parts) {
        const auto* bpe = std::get_if<Bpe>(&parts.model);
        return bpe == nullptr || bpe->unk_token || (ends_in_bytes(*parts.pre_tokenizer) && BytePairMerger::create(*bpe));
    }

    // Appends the ids of a unit.
    void encode(const TokenizerParts& parts, std::string_view unit, std::string& scratch, UnigramSpace& space, std::vector<TokenId>& ids) const {
        const std::size_t before = ids.size();
        if (bert_ && bert_->encode(parts.normalizer, unit, scratch, space.mapped, false, [&](TokenId id, std::size_t, std::size_t, bool) { ids.push_back(id); })) return;
        ids.resize(before);
        if (unigram_) {
            unigram_->encode(parts, unit, space);
            for (const ModelToken& token : space.tokens) ids.push_back(token.id);
            return;
        }
        for_each_token_by_model(parts, unit, [&](const ModelToken& token, const AlignedText&, bool) { ids.push_back(token.id); });
    }

    // The same with the bytes that each stands for. Gives false, and appends nothing, where a precompiled charsmap makes offsets drift: in the
    // reference those of all that comes behind then depend on the unit.
    bool place(const TokenizerParts& parts, std::string_view unit, std::string& scratch, UnigramSpace& space, std::vector<PlacedToken>& tokens) const {
        if (may_drift_ && !offsets_stay(*parts.normalizer, unit)) return false;
        const auto put = [&](TokenId id, std::size_t from, std::size_t to, bool first) { tokens.push_back({id, static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to), first}); };
        const auto before = static_cast<std::ptrdiff_t>(tokens.size());
        if (bert_ && bert_->encode(parts.normalizer, unit, scratch, space.mapped, true, put)) return true;
        tokens.erase(tokens.begin() + before, tokens.end());
        const auto put_token = [&](const ModelToken& token, const AlignedText& piece, bool first) {
            const Span span = origin_of(piece, token.begin, token.end);
            put(token.id, span.begin, span.end, first);
        };
        if (unigram_) unigram_->for_each_token_of(parts, unit, space, put_token);
        else for_each_token_by_model(parts, unit, put_token);
        return true;
    }

  private:
    // detail::for_each_token_of with the model itself.
    template <class F> static void for_each_token_by_model(const TokenizerParts& parts, std::string_view unit, F&& f) {
        morsel::detail::for_each_token_of(parts, unit, [&](std::string_view piece, ModelTokens& tokens) { tokenize(parts.model, piece, tokens); }, f);
    }

    bool take(const TokenizerParts& parts) {
        if (!parts.pre_tokenizer || std::holds_alternative<SentencePiece>(parts.model)) return false;
        const auto& steps = parts.pre_tokenizer->steps;
        if (steps.empty()) return false;
        if (steps.size() == 1 && std::holds_alternative<BertPreTokenizer>(steps[0])) {
            if (!parts.normalizer || parts.normalizer->steps.size() != 1) return false;
            const auto* bert = std::get_if<BertNormalizer>(&parts.normalizer->steps[0]);
            if (bert == nullptr || !bert->handle_chinese_chars) return false;
            cutter_ = unit_cutter<detail::BertUnits>({});
            bert_ = BertWords::create(parts.model, *bert);
            return true;
        }
        std::string mark;  // what Metaspace makes of a space, where it is the only step
        if (const auto* metaspace = std::get_if<MetaspacePreTokenizer>(&steps.front()); metaspace != nullptr && steps.size() == 1) unicode::append(mark, metaspace->replacement);
        if (parts.normalizer && !std::all_of(parts.normalizer->steps.begin(), parts.normalizer->steps.end(), [&](const auto& step) { return stays_within_units(step, mark); })) return false;
        const auto cuts_at_spaces = [](const auto& step) {
            if (std::holds_alternative<WhitespaceSplitPreTokenizer>(step)) return true;
            if (const auto* bytes = std::get_if<ByteLevelPreTokenizer>(&step)) return bytes->use_regex && !bytes->add_prefix_space;
            if (const auto* split = std::get_if<SplitPreTokenizer>(&step)) {
                const auto* scanner = std::get_if<SplitScanner>(&split->pattern.matcher);
                return scanner != nullptr && scanner->next == split::clip.next && split->invert && split->behavior == SplitBehavior::removed;
            }
            const auto* metaspace = std::get_if<MetaspacePreTokenizer>(&step);
            return metaspace != nullptr && metaspace->split && metaspace->prepend != MetaspacePreTokenizer::Prepend::first;
        };
        const auto looks_at_words_only = [](const auto& step) {
            if (const auto* punctuation = std::get_if<PunctuationPreTokenizer>(&step)) return punctuation->behavior == SplitBehavior::contiguous || punctuation->behavior == SplitBehavior::isolated;
            if (const auto* split = std::get_if<SplitPreTokenizer>(&step)) {
                const auto* scanner = std::get_if<SplitScanner>(&split->pattern.matcher);
                return scanner != nullptr && scanner->next == split::three_digits.next && !split->invert && split->behavior == SplitBehavior::isolated;
            }
            return std::holds_alternative<DigitsPreTokenizer>(step);
        };
        if (std::none_of(steps.begin(), steps.end(), cuts_at_spaces) || !std::all_of(steps.begin(), steps.end(), [&](const auto& step) { return cuts_at_spaces(step) || looks_at_words_only(step); }))
            return false;
        unigram_ = UnigramWords::create(parts);
        const auto is_space = [&](char c) { return unigram_->is_space(c); };
        constexpr std::string_view white = "\t\n\f\r";
        cutter_ = unit_cutter<detail::SpacedUnits>({.white_is_space = unigram_ && std::all_of(white.begin(), white.end(), is_space)});
        return true;
    }

    // Whether a normalizer does to a unit what it does to it among others. `mark`: what is as good as a space, or empty.
    template <class Step> static bool stays_within_units(const Step& step, std::string_view mark) {
        if (const auto* replace = std::get_if<ReplaceNormalizer>(&step)) {
            if (const auto* literal = std::get_if<std::string>(&replace->pattern.matcher)) return literal->find(' ') == literal->npos && replace->content.find(' ') == std::string::npos;
            const auto* run = std::get_if<ClassRun>(&replace->pattern.matcher);
            const bool spaces = run != nullptr && (run->of == ClassRun::Class::white_space || (run->of == ClassRun::Class::character && run->character == U' '));
            return spaces && run->greedy && (replace->content == " " || (!mark.empty() && replace->content == mark));
        }
        if (const auto* strip = std::get_if<StripNormalizer>(&step)) return !strip->left;
        return std::holds_alternative<UnicodeNormalizer>(step) || std::holds_alternative<LowercaseNormalizer>(step) || std::holds_alternative<StripAccentsNormalizer>(step) ||
               std::holds_alternative<PrecompiledNormalizer>(step) || std::holds_alternative<NmtNormalizer>(step);
    }

    static bool ends_in_bytes(const PreTokenizer& pre_tokenizer) {
        return std::any_of(pre_tokenizer.steps.begin(), pre_tokenizer.steps.end(), [](const auto& step) { return std::holds_alternative<ByteLevelPreTokenizer>(step); });
    }

    // Whether the offsets behind this unit are those of the text.
    static bool offsets_stay(const Normalizer& normalizer, std::string_view unit) {
        AlignedText text = aligned(unit);
        for (const auto& step : normalizer.steps) {
            if (const auto* precompiled = std::get_if<PrecompiledNormalizer>(&step); precompiled != nullptr && !morsel::detail::keeps_count(*precompiled, text.text)) return false;
            std::visit([&](const auto& s) { morsel::detail::apply(s, text); }, step);
        }
        return true;
    }

    PieceCutter cutter_;
    std::optional<BertWords> bert_;
    std::optional<UnigramWords> unigram_;
    bool may_drift_ = false;
};

}  // namespace morsel::fast
