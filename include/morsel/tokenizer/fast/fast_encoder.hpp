// The fast way from text to ids: cut the text into words that the tokenizer treats one by one (piece_cutter.hpp, unit_cutter.hpp), and
// look each up in a memory of words met before (word_encoder.hpp). What a tokenizer's words are, and how a new one becomes ids, is
// decided once, when it is loaded:
//   byte_words.hpp       byte-level BPE: pieces of the split pattern
//   spaced_words.hpp     SentencePiece's BPE, and like it: no pattern; units cut where the vocabulary proves that it is safe
//   plain_units.hpp      any model after BERT's pre-tokenizer or others that cut at spaces
// The plain pipeline (plain_pipeline.hpp) is the reference; tests hold the two equal. A tokenizer of another kind has no fast encoder.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/byte_words.hpp"
#include "morsel/tokenizer/fast/plain_units.hpp"
#include "morsel/tokenizer/fast/spaced_words.hpp"
#include "morsel/tokenizer/fast/workspace.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel::fast {

class FastEncoder {
  public:
    // The encoder of these parts, or null where they are not of a kind it knows. `cache_bytes`: what each thread may remember.
    static std::shared_ptr<FastEncoder> create(const TokenizerParts& parts, std::size_t cache_bytes) {
        const auto& added = parts.added_tokens.tokens();
        const bool looks_at_normalized = std::any_of(added.begin(), added.end(), [](const AddedToken& token) { return token.normalized; });
        if ((parts.normalizer || std::holds_alternative<SentencePiece>(parts.model)) && looks_at_normalized) return nullptr;
        std::shared_ptr<FastEncoder> encoder(new FastEncoder(cache_bytes));
        if (auto bytes = ByteWords::create(parts)) {
            encoder->cutter_ = bytes->cutter(), encoder->piece_cutter_ = bytes->piece_cutter();
            if (bytes->space_before()) encoder->space_before_ = SpaceBefore::unless_there;
            encoder->normalize_first_ = parts.normalizer.has_value();
            encoder->words_ = std::move(*bytes);
        } else if (auto spaced = SpacedWords::create(parts)) {
            encoder->cutter_ = spaced->cutter(), encoder->space_before_ = spaced->space_before();
            encoder->words_ = std::move(*spaced);
        } else if (auto units = PlainUnits::create(parts)) {
            encoder->cutter_ = units->cutter();
            encoder->can_place_ = PlainUnits::every_piece_shows(parts);
            encoder->words_ = std::move(*units);
        } else {
            return nullptr;
        }
        const auto fits = [](const AddedToken& token) { return token.id < placed_id_bound; };
        encoder->can_place_ = encoder->can_place_ && model_id_bound(parts.model) <= placed_id_bound && std::all_of(added.begin(), added.end(), fits);
        return encoder;
    }

    WorkspacePool::Loan workspace() { return pool_.take(); }

    // Appends to workspace.ids the ids of one section, the text between added tokens, which begins at byte `begin` of the whole. `parts`
    // are those it was made for. Gives false where the section is no UTF-8; what ids there are then mean nothing.
    bool encode(const TokenizerParts& parts, std::string_view section, std::size_t begin, Workspace& workspace) const {
        if (section.empty()) return true;
        std::string normalized;
        if (normalize_first_) {
            bool valid = false;  // known to be UTF-8
            for (const auto& step : parts.normalizer->steps) {
                const unicode::NormalForm form = std::get<UnicodeNormalizer>(step).form;
                if (unicode::is_normalized_quick(section, form)) continue;
                if (!valid && !unicode::is_valid_utf8(section)) return false;
                valid = true;
                section = normalized = unicode::normalized(section, form, unicode::Repertoire::unicode_9);
            }
        }
        if (puts_space_before(section, begin)) {
            workspace.text.assign(1, ' ').append(section);
            section = workspace.text;
        }
        if (const auto* bytes = std::get_if<ByteWords>(&words_)) return encode_by(section, workspace, NewWords{*bytes, std::get<Bpe>(parts.model), workspace.merge});
        if (const auto* spaced = std::get_if<SpacedWords>(&words_)) return encode_by(section, workspace, NewWords{*spaced, parts, workspace.merge});
        const auto& units = std::get<PlainUnits>(words_);
        return encode_by(section, workspace, [&](std::string_view unit, std::vector<TokenId>& ids) { units.encode(parts, unit, workspace.word, workspace.unigram, ids); });
    }

    // The same for workspace.placed: marks, and the bytes of the whole text that they stand for.
    // `pieces`: whether the marks must tell pieces apart, else they may begin more of them. Also gives false where the section must be normalized first,
    // or a precompiled charsmap makes offsets drift: in the reference they then depend on what is before a unit.
    bool place(const TokenizerParts& parts, std::string_view section, std::size_t begin, bool pieces, Workspace& workspace) const {
        if (section.empty()) return true;
        if (!can_place_) return false;
        if (normalize_first_)
            for (const auto& step : parts.normalizer->steps)
                if (!unicode::is_normalized_quick(section, std::get<UnicodeNormalizer>(step).form)) return false;
        if (!workspace.placed_cache) workspace.placed_cache = std::make_unique<WordCache>(pool_.cache_bytes());
        const std::size_t first = workspace.placed.marks.size(), size_of_first = unicode::decode(section, 0).size;
        const bool space_in_front = puts_space_before(section, begin);
        if (space_in_front) section = workspace.text.assign(1, ' ').append(section);
        const std::size_t origin = space_in_front ? begin - 1 : begin;  // the space stands one byte before, perhaps before byte 0
        bool done = false, drift = false;
        workspace.cut.cut_inside = false;
        const auto* spaced = std::get_if<SpacedWords>(&words_);
        if (const auto* bytes = std::get_if<ByteWords>(&words_)) {
            done = place_by(section, origin, workspace, [&](std::string_view word, std::vector<PlacedToken>& tokens) {
                bytes->place(std::get<Bpe>(parts.model), word, workspace.merge, workspace.word_ids, tokens);
                return true;
            });
        } else if (spaced != nullptr) {
            done = place_by(section, origin, workspace, [&](std::string_view unit, std::vector<PlacedToken>& tokens) { return spaced->place(parts, unit, tokens), true; });
        } else {
            const auto& units = std::get<PlainUnits>(words_);
            done = place_by(section, origin, workspace, [&](std::string_view unit, std::vector<PlacedToken>& tokens) {
                const bool stays = units.place(parts, unit, workspace.word, workspace.unigram, tokens);
                drift = drift || !stays;
                return stays;
            });
        }
        if (drift) return false;
        if (done && pieces) {
            if (spaced != nullptr)  // the section is one piece
                for (std::size_t i = first + 1; i < workspace.placed.marks.size(); ++i) workspace.placed.marks.data()[i] &= ~std::uint32_t{1};
            else if (workspace.cut.cut_inside) unmark_cuts(section, origin, first, workspace);
        }
        // The space that was put in front stands for the first character, in SentencePiece for nothing.
        const std::size_t stands_for = std::holds_alternative<SentencePiece>(parts.model) ? 0 : size_of_first;
        for (std::size_t i = first; done && space_in_front && i < workspace.placed.marks.size() && workspace.placed.spans.data()[i].begin == static_cast<std::uint32_t>(origin); ++i) {
            ShortSpan& span = workspace.placed.spans.data()[i];
            span = {static_cast<std::uint32_t>(begin), span.end == begin ? static_cast<std::uint32_t>(begin + stands_for) : span.end};
        }
        return done;
    }

  private:
    explicit FastEncoder(std::size_t cache_bytes) : pool_(cache_bytes) {}

    bool puts_space_before(std::string_view section, std::size_t begin) const noexcept {
        switch (space_before_) {
            case SpaceBefore::never: return false;
            case SpaceBefore::always: return true;
            case SpaceBefore::unless_there_at_begin:
                if (begin != 0) return false;
                [[fallthrough]];
            case SpaceBefore::unless_there: return section.front() != ' ' && !(!std::holds_alternative<ByteWords>(words_) && section.starts_with("\u2581"));
        }
        return false;
    }

    // Ids of new words: of one, or of many together (word_encoder.hpp).
    template <class Words, class Model> struct NewWords {
        const Words& words;
        const Model& model;
        MergeSpace& space;
        void operator()(std::string_view word, std::vector<TokenId>& ids) const { words.encode(model, word, space, ids); }
        MergeLanes<16>& lanes() const noexcept { return space.lanes; }
        MergeLanes<64>& wide_lanes() const noexcept { return space.wide_lanes; }
        template <std::size_t Symbols> bool add(std::string_view word, MergeLanes<Symbols>& lanes) const { return words.add(model, word, space, lanes); }
        template <std::size_t Symbols> void merge(MergeLanes<Symbols>& lanes) const noexcept { words.merge(lanes); }
    };
    template <class Words, class Model> NewWords(const Words&, const Model&, MergeSpace&) -> NewWords<Words, Model>;

    template <class Miss> bool encode_by(std::string_view section, Workspace& workspace, Miss&& miss) const {
        for (std::size_t at = 0; at < section.size();) {
            const Pieces pieces = cutter_.cut(section, at, workspace.cut);
            if (pieces.count == 0) return false;
            encode_words(pieces.text, workspace.cut.starts, pieces.count, workspace.cache, workspace.word_ids, workspace.ids, miss);
            at += pieces.bytes;
        }
        return true;
    }

    template <class Miss> bool place_by(std::string_view section, std::size_t origin, Workspace& workspace, Miss&& miss) const {
        for (std::size_t at = 0; at < section.size();) {
            const Pieces pieces = cutter_.cut(section, at, workspace.cut);
            if (pieces.count == 0) return false;
            place_words(pieces.text, origin + at, workspace.cut.starts, pieces.count, *workspace.placed_cache, workspace.word_tokens, workspace.placed, miss);
            at += pieces.bytes;
        }
        return true;
    }

    // Leaves those tokens marked, from `first` on, that begin a piece of the pattern.
    void unmark_cuts(std::string_view section, std::size_t origin, std::size_t first, Workspace& workspace) const {
        std::uint32_t* const marks = workspace.placed.marks.data();
        const ShortSpan* const spans = workspace.placed.spans.data();
        std::size_t token = first;
        for (std::size_t at = 0; at < section.size();) {
            const Pieces pieces = piece_cutter_.cut(section, at, workspace.cut);
            for (std::size_t i = 0; i < pieces.count; ++i) {
                const auto begin = static_cast<std::uint32_t>(origin + at + workspace.cut.starts[i]);
                for (; token < workspace.placed.marks.size() && spans[token].begin != begin; ++token) marks[token] &= ~std::uint32_t{1};
                ++token;
            }
            at += pieces.bytes;
        }
        for (; token < workspace.placed.marks.size(); ++token) marks[token] &= ~std::uint32_t{1};
    }

    std::variant<ByteWords, SpacedWords, PlainUnits> words_;
    PieceCutter cutter_;
    PieceCutter piece_cutter_;  // of ByteWords, without cuts inside of pieces
    SpaceBefore space_before_ = SpaceBefore::never;
    bool normalize_first_ = false;
    bool can_place_ = true;  // tell offsets too
    WorkspacePool pool_;
};

}  // namespace morsel::fast
