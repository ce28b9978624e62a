// The fast way from text to ids: cut the text into words that the tokenizer treats one by one (piece_cutter.hpp, unit_cutter.hpp), and
// look each up in a memory of words met before (word_encoder.hpp). What a tokenizer's words are, and how a new one becomes ids, is
// decided once, when it is loaded:
//   byte-level BPE       pieces of the split pattern; new ones are merged by BytePairMerger
//   spaced BPE           SentencePiece, and like it: ▁ for spaces and no pattern; units cut where the vocabulary proves that it is safe
//   plain units          any model after BERT's pre-tokenizer or others that cut at spaces: new units go through the plain pipeline
// The plain pipeline in tokenizer.hpp is the reference; tests hold the two equal. A tokenizer of another kind has no fast encoder.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/bert_words.hpp"
#include "morsel/tokenizer/fast/byte_pair_merger.hpp"
#include "morsel/tokenizer/fast/sentencepiece_merges.hpp"
#include "morsel/tokenizer/fast/unigram_words.hpp"
#include "morsel/tokenizer/fast/unit_cutter.hpp"
#include "morsel/tokenizer/fast/workspace.hpp"
#include "morsel/tokenizer/splitting/byte_level_scanner.hpp"
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
        if (!encoder->take_byte_level(parts) && !encoder->take_spaced(parts) && !encoder->take_sentencepiece(parts) && !encoder->take_plain(parts)) return nullptr;
        // The reference's offsets of a precompiled charsmap drift behind some characters: a unit's depend on what is before it.
        const auto drifts = [](const auto& step) { return std::holds_alternative<PrecompiledNormalizer>(step); };
        // A piece without tokens would be a word that nobody sees.
        const auto* bpe = std::get_if<Bpe>(&parts.model);
        const bool pieces_show = encoder->kind_ != Kind::plain || bpe == nullptr || bpe->unk_token || (ends_in_bytes(*parts.pre_tokenizer) && BytePairMerger::create(*bpe));
        const auto fits = [](const AddedToken& token) { return token.id < placed_id_bound; };
        encoder->can_place_ = pieces_show && model_id_bound(parts.model) <= placed_id_bound && std::all_of(added.begin(), added.end(), fits) && !(parts.normalizer && std::any_of(parts.normalizer->steps.begin(), parts.normalizer->steps.end(), drifts));
        return encoder;
    }

    WorkspacePool::Loan workspace() { return pool_.take(); }

    // Appends to workspace.ids the ids of one section, the text between added tokens, which begins at byte `begin` of the whole. `parts`
    // are those it was made for; plain(text, ids) appends the ids of a section by the plain pipeline. Gives false where the section is no
    // UTF-8; what ids there are then mean nothing.
    template <class Plain> bool encode(const TokenizerParts& parts, std::string_view section, std::size_t begin, Workspace& workspace, Plain&& plain) const {
        if (section.empty()) return true;
        std::string normalized;
        if (normalize_first_) {
            for (const auto& step : parts.normalizer->steps)
                if (!unicode::is_normalized_quick(section, std::get<UnicodeNormalizer>(step).form)) {
                    if (!unicode::is_valid_utf8(section)) return false;
                    AlignedText text = aligned(section);
                    normalize(*parts.normalizer, text);
                    section = normalized = std::move(text.text);
                    break;
                }
        }
        if (puts_space_before(section, begin)) {
            workspace.text.assign(1, ' ').append(section);
            section = workspace.text;
        }
        switch (kind_) {
            case Kind::byte_level:
                return encode_by(section, workspace, [&](std::string_view word, std::vector<TokenId>& ids) { encode_bytes(std::get<Bpe>(parts.model), word, workspace.merge, ids); });
            case Kind::spaced:
                return encode_by(section, workspace, [&](std::string_view unit, std::vector<TokenId>& ids) { encode_spaced(parts, unit, workspace.merge, ids); });
            case Kind::plain:
                return encode_by(section, workspace, [&](std::string_view unit, std::vector<TokenId>& ids) {
                    if (unigram_ && unigram_->encode(std::get<Unigram>(parts.model), unit, workspace.unigram)) {
                        for (const ModelToken& token : workspace.unigram.tokens) ids.push_back(token.id);
                        return;
                    }
                    if (!bert_ || !bert_->encode(unit, workspace.word, [&](TokenId id, std::size_t, std::size_t) { ids.push_back(id); })) plain(unit, ids);
                });
        }
        return false;
    }

    // The same for workspace.placed: marks, and the bytes of the whole text that they stand for. plain(text, tokens) appends PlacedTokens.
    // `pieces`: whether the marks must tell pieces apart, else they may begin more of them. Also gives false where the section must be normalized first.
    template <class Plain> bool place(const TokenizerParts& parts, std::string_view section, std::size_t begin, bool pieces, Workspace& workspace, Plain&& plain) const {
        if (section.empty()) return true;
        if (!can_place_) return false;
        if (normalize_first_)
            for (const auto& step : parts.normalizer->steps)
                if (!unicode::is_normalized_quick(section, std::get<UnicodeNormalizer>(step).form)) return false;
        if (!workspace.placed_cache) workspace.placed_cache = std::make_unique<WordCache>(pool_.cache_bytes());
        const std::size_t first = workspace.placed.marks.size(), size_of_first = unicode::decode(section, 0).size;
        const bool spaced = puts_space_before(section, begin);
        if (spaced) section = workspace.text.assign(1, ' ').append(section);
        const std::size_t origin = spaced ? begin - 1 : begin;  // the space stands one byte before, perhaps before byte 0
        bool done = false;
        workspace.cut.cut_inside = false;
        switch (kind_) {
            case Kind::byte_level:
                done = place_by(section, origin, workspace, [&](std::string_view word, std::vector<PlacedToken>& tokens) { place_bytes(std::get<Bpe>(parts.model), word, workspace, tokens); });
                break;
            case Kind::spaced:
                done = place_by(section, origin, workspace, [&](std::string_view unit, std::vector<PlacedToken>& tokens) { place_spaced(parts, unit, tokens); });
                break;
            case Kind::plain:
                done = place_by(section, origin, workspace, [&](std::string_view unit, std::vector<PlacedToken>& tokens) {
                    const auto put = [&](TokenId id, std::size_t from, std::size_t to) { tokens.push_back({id, static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to), tokens.empty()}); };
                    if (!bert_ || !bert_->encode(unit, workspace.word, put)) plain(unit, tokens);
                });
                break;
        }
        if (done && pieces) {
            if (kind_ == Kind::spaced)  // the section is one piece
                for (std::size_t i = first + 1; i < workspace.placed.marks.size(); ++i) workspace.placed.marks.data()[i] &= ~std::uint32_t{1};
            else if (workspace.cut.cut_inside) unmark_cuts(section, origin, first, workspace);
        }
        // The space that was put in front stands for the first character, in SentencePiece for nothing.
        const std::size_t stands_for = std::holds_alternative<SentencePiece>(parts.model) ? 0 : size_of_first;
        for (std::size_t i = first; done && spaced && i < workspace.placed.marks.size() && workspace.placed.spans.data()[i].begin == static_cast<std::uint32_t>(origin); ++i) {
            ShortSpan& span = workspace.placed.spans.data()[i];
            span = {static_cast<std::uint32_t>(begin), span.end == begin ? static_cast<std::uint32_t>(begin + stands_for) : span.end};
        }
        return done;
    }

  private:
    enum class Kind { byte_level, spaced, plain };
    enum class SpaceBefore { never, always, unless_there, unless_there_at_begin };

    explicit FastEncoder(std::size_t cache_bytes) : pool_(cache_bytes) {}

    bool puts_space_before(std::string_view section, std::size_t begin) const noexcept {
        switch (space_before_) {
            case SpaceBefore::never: return false;
            case SpaceBefore::always: return true;
            case SpaceBefore::unless_there_at_begin:
                if (begin != 0) return false;
                [[fallthrough]];
            case SpaceBefore::unless_there: return section.front() != ' ' && !(kind_ != Kind::byte_level && section.starts_with("\u2581"));
        }
        return false;
    }

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

    // One word of byte-level BPE.
    void encode_bytes(const Bpe& model, std::string_view word, MergeSpace& space, std::vector<TokenId>& ids) const {
        if (model.ignore_merges)
            if (const auto id = whole_word(model, word)) return ids.push_back(*id);
        merger_.encode(word, space, ids);
    }
    // Every character of a token is one byte of the word. A token that has but part of a character stands for all of it.
    void place_bytes(const Bpe& model, std::string_view word, Workspace& workspace, std::vector<PlacedToken>& tokens) const {
        workspace.word_ids.clear();
        encode_bytes(model, word, workspace.merge, workspace.word_ids);
        const auto is_inner = [&](std::size_t i) { return i < word.size() && (word[i] & '\xC0') == '\x80'; };
        std::size_t at = 0;
        for (const TokenId id : workspace.word_ids) {
            std::size_t begin = at, end = at += unicode::count_code_points(*model.vocabulary.token(id));
            while (is_inner(begin)) --begin;
            while (is_inner(end)) ++end;
            tokens.push_back({id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), tokens.empty()});
        }
    }

    // One unit of spaced BPE, whose spaces are U+2581 in the vocabulary. A character that is no token is its bytes.
    void encode_spaced(const TokenizerParts& parts, std::string_view unit, MergeSpace& space, std::vector<TokenId>& ids) const {
        const auto* sentencepiece = std::get_if<SentencePiece>(&parts.model);
        const Vocabulary& vocabulary = vocabulary_of(parts.model);
        const auto& byte_tokens = sentencepiece != nullptr ? sentencepiece->byte_tokens : std::get<Bpe>(parts.model).byte_tokens;
        std::vector<TokenId>& symbols = space.characters;
        symbols.clear();
        for (std::size_t i = 0; i < unit.size();) {
            const std::size_t size = unicode::decode(unit, i).size;
            if (size == 1) symbols.push_back(ascii_ids_[static_cast<unsigned char>(unit[i])]);
            else if (const auto id = vocabulary.id(unit.substr(i, size))) symbols.push_back(*id);
            else for (const char byte : unit.substr(i, size)) symbols.push_back(*byte_tokens[static_cast<unsigned char>(byte)]);
            i += size;
        }
        pairs_.merge(
            symbols.size(), [&](std::size_t i) { return symbols[i]; }, [&](std::size_t i) { return pairs_.rank(symbols[i], symbols[i + 1]); }, space, ids);
    }
    static void place_spaced(const TokenizerParts& parts, std::string_view unit, std::vector<PlacedToken>& tokens) {
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

    // ByteLevel, Split by a known pattern and then ByteLevel, or Digits and then ByteLevel; in front of them nothing or NFC and its kin.
    bool take_byte_level(const TokenizerParts& parts) {
        const auto* model = std::get_if<Bpe>(&parts.model);
        if (model == nullptr || !parts.pre_tokenizer) return false;
        if (parts.normalizer)
            for (const auto& step : parts.normalizer->steps)
                if (!std::holds_alternative<UnicodeNormalizer>(step)) return false;
        const auto known = byte_level_scanner(*parts.pre_tokenizer);
        auto merger = known ? BytePairMerger::create(*model) : std::nullopt;
        if (!merger) return false;
        merger_ = std::move(*merger);
        normalize_first_ = parts.normalizer.has_value();
        std::shared_ptr<TokenPairs> pairs;
        if (!model->ignore_merges) {  // else a piece may be a token though no merge makes it
            pairs = std::make_shared<TokenPairs>(model->vocabulary.size());
            std::string bytes;
            model->vocabulary.for_each([&](std::string_view token, TokenId) {
                if (!has_high_bytes(token)) return;
                bytes.clear();
                for (std::size_t i = 0; i < token.size();) {
                    const int byte = character_to_byte(unicode::next_code_point(token, i));
                    if (byte < 0) return;
                    bytes += static_cast<char>(byte);
                }
                pairs->add(bytes);
            });
        }
        cutter_ = PieceCutter(known->scanner, std::move(pairs));
        piece_cutter_ = PieceCutter(known->scanner);
        if (known->prefix_space) space_before_ = SpaceBefore::unless_there;
        kind_ = Kind::byte_level;
        return true;
    }

    // Whether a token stands for bytes above 0x7F; pieces are cut only between characters of several bytes.
    static bool has_high_bytes(std::string_view token) noexcept {
        for (std::size_t i = 0; i < token.size(); ++i) {
            const auto byte = static_cast<unsigned char>(token[i]);
            // U+0100 … U+0121 (C4 80 … C4 A1) stand for control characters and the space.
            if (byte >= 0xC0 && (byte != 0xC4 || i + 1 == token.size() || static_cast<unsigned char>(token[i + 1]) > 0xA1)) return true;
        }
        return false;
    }

    static std::optional<TokenId> whole_word(const Bpe& model, std::string_view word) {
        std::string characters;
        for (const char byte : word) unicode::append(characters, byte_to_character[static_cast<unsigned char>(byte)]);
        return model.vocabulary.id(characters);
    }

    // Llama 2, Phi-3, Gemma and their kin: spaces become ▁, perhaps with one in front, and the text is one word.
    bool take_spaced(const TokenizerParts& parts) {
        const auto* model = std::get_if<Bpe>(&parts.model);
        if (model == nullptr || model->ignore_merges || !model->continuing_subword_prefix.empty() || !model->end_of_word_suffix.empty()) return false;
        // An unknown character could join with another one across a cut, or vanish and let its neighbours merge.
        if (!model->byte_fallback || !model->vocabulary.id("\u2581") ||
            !std::all_of(model->byte_tokens.begin(), model->byte_tokens.end(), [](const auto& id) { return id.has_value(); }))
            return false;
        bool marks = false;
        space_before_ = SpaceBefore::never;
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
        return marks && take_spaced_units(model->vocabulary, model->byte_tokens, PairMerger::create(model->merges, model->vocabulary.id_bound()));
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
        return take_spaced_units(model->vocabulary, model->byte_tokens, PairMerger::create(*merges, model->vocabulary.id_bound(), true));
    }

    bool take_spaced_units(const Vocabulary& vocabulary, const std::array<std::optional<TokenId>, 256>& byte_tokens, std::optional<PairMerger> merger) {
        auto pairs = std::make_shared<TokenPairs>(vocabulary.size());
        bool bytes_merge = false;  // a token made out of byte tokens; never seen
        vocabulary.for_each([&](std::string_view token, TokenId) {
            if (token.size() > 6 && token.find("<0x") != token.npos) bytes_merge = true;
            pairs->add(token);
        });
        if (bytes_merge || !merger) return false;
        pairs_ = std::move(*merger);
        for (std::size_t c = 0; c < ascii_ids_.size(); ++c) {
            const char character = static_cast<char>(c);
            ascii_ids_[c] = c == ' ' ? *vocabulary.id("\u2581") : vocabulary.id({&character, 1}).value_or(*byte_tokens[c]);
        }
        bool letters_end = true;
        for (char c = 'a'; c <= 'z'; ++c) letters_end = letters_end && !pairs->ascii_may_meet(c, ' ') && !pairs->ascii_may_meet(static_cast<char>(c - 'a' + 'A'), ' ');
        cutter_ = unit_cutter<detail::SpacedUnits>({{}, std::move(pairs), false, letters_end});
        kind_ = Kind::spaced;
        return true;
    }

    static bool is_literal(const Pattern& pattern, std::string_view text) {
        if (const auto* literal = std::get_if<std::string>(&pattern.matcher)) return *literal == text;
        const auto* run = std::get_if<ClassRun>(&pattern.matcher);
        return run != nullptr && run->of == ClassRun::Class::character && !run->greedy && run->at_least == 1 && text.size() == 1 && run->character == static_cast<unsigned char>(text[0]);
    }

    static bool ends_in_bytes(const PreTokenizer& pre_tokenizer) {
        return std::any_of(pre_tokenizer.steps.begin(), pre_tokenizer.steps.end(), [](const auto& step) { return std::holds_alternative<ByteLevelPreTokenizer>(step); });
    }

    // Whatever model, where spaces cut: BERT's pre-tokenizer; Metaspace, WhitespaceSplit, CLIP's pattern, GPT-2's (Falcon), and beside them steps
    // that do not look across spaces.
    bool take_plain(const TokenizerParts& parts) {
        space_before_ = SpaceBefore::never;
        kind_ = Kind::plain;
        if (!parts.pre_tokenizer || std::holds_alternative<SentencePiece>(parts.model)) return false;
        const auto& steps = parts.pre_tokenizer->steps;
        if (steps.size() == 1 && std::holds_alternative<BertPreTokenizer>(steps[0])) {
            if (!parts.normalizer || parts.normalizer->steps.size() != 1) return false;
            const auto* bert = std::get_if<BertNormalizer>(&parts.normalizer->steps[0]);
            if (bert == nullptr || !bert->handle_chinese_chars) return false;
            cutter_ = unit_cutter<detail::BertUnits>({});
            bert_ = BertWords::create(parts.model, *bert);
            return true;
        }
        if (parts.normalizer && !std::all_of(parts.normalizer->steps.begin(), parts.normalizer->steps.end(), [](const auto& step) { return stays_within_units(step); })) return false;
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
        cutter_ = unit_cutter<detail::SpacedUnits>({.newlines_are_spaces = unigram_ && unigram_->is_space('\n') && unigram_->is_space('\r')});
        return true;
    }

    // Whether a normalizer does to a unit what it does to it among others.
    template <class Step> static bool stays_within_units(const Step& step) {
        if (const auto* replace = std::get_if<ReplaceNormalizer>(&step)) {
            if (const auto* literal = std::get_if<std::string>(&replace->pattern.matcher)) return literal->find(' ') == literal->npos && replace->content.find(' ') == std::string::npos;
            const auto* run = std::get_if<ClassRun>(&replace->pattern.matcher);
            const bool spaces = run != nullptr && (run->of == ClassRun::Class::white_space || (run->of == ClassRun::Class::character && run->character == U' '));
            return spaces && run->greedy && replace->content == " ";
        }
        if (const auto* strip = std::get_if<StripNormalizer>(&step)) return !strip->left;
        return std::holds_alternative<UnicodeNormalizer>(step) || std::holds_alternative<LowercaseNormalizer>(step) || std::holds_alternative<StripAccentsNormalizer>(step) ||
               std::holds_alternative<PrecompiledNormalizer>(step) || std::holds_alternative<NmtNormalizer>(step);
    }

    Kind kind_ = Kind::plain;
    SpaceBefore space_before_ = SpaceBefore::never;
    bool normalize_first_ = false;
    bool can_place_ = false;  // tell offsets too
    PieceCutter cutter_;
    PieceCutter piece_cutter_;            // byte_level, without cuts inside of pieces
    BytePairMerger merger_;               // byte_level
    PairMerger pairs_;                    // spaced
    std::array<TokenId, 128> ascii_ids_;  // spaced
    std::optional<BertWords> bert_;       // plain, for most words of BERT
    std::optional<UnigramWords> unigram_; // plain, for ASCII words of unigram models
    WorkspacePool pool_;
};

}  // namespace morsel::fast
