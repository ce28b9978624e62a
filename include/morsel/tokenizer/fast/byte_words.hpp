// Words of byte-level BPE models: pieces of a known split pattern. Decides whether a tokenizer is of that kind, how its text is cut
// (piece_cutter.hpp), and computes the ids of a piece that is new (byte_pair_merger.hpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/byte_pair_merger.hpp"
#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/tokenizer/fast/placed_words.hpp"
#include "morsel/tokenizer/splitting/byte_level_scanner.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel::fast {

class ByteWords {
  public:
    // ByteLevel, Split by known patterns and then ByteLevel, or Digits and then ByteLevel; in front of them nothing or NFC and its kin.
    // Nothing for another tokenizer.
    static std::optional<ByteWords> create(const TokenizerParts& parts) {
        const auto* model = std::get_if<Bpe>(&parts.model);
        if (model == nullptr || !parts.pre_tokenizer) return std::nullopt;
        if (parts.normalizer)
            for (const auto& step : parts.normalizer->steps)
                if (!std::holds_alternative<UnicodeNormalizer>(step)) return std::nullopt;
        const auto known = byte_level_scanner(*parts.pre_tokenizer);
        auto merger = known ? BytePairMerger::create(*model) : std::nullopt;
        if (!merger) return std::nullopt;
        ByteWords words;
        words.merger_ = std::move(*merger);
        words.scanner_ = *known;
        words.pairs_ = words.pairs_of(*model);
        return words;
    }

    bool space_before() const noexcept { return scanner_.prefix_space; }  // unless there is one
    // Cuts into pieces and inside of them, or into pieces alone.
    PieceCutter cutter() const { return PieceCutter(scanner_.scanner, pairs_); }
    PieceCutter piece_cutter() const { return PieceCutter(scanner_.scanner); }

    // Appends the ids of one word.
    void encode(const Bpe& model, std::string_view word, MergeSpace& space, std::vector<TokenId>& ids) const {
        if (model.ignore_merges)
            if (const auto id = whole_word(model, word)) return ids.push_back(*id);
        merger_.encode(word, space, ids);
    }
    // The same for many words: adds one to those in `lanes`, unless it is a token that no merges make; and merges those that were added.
    template <std::size_t Symbols> bool add(const Bpe& model, std::string_view word, MergeSpace&, MergeLanes<Symbols>& lanes) const {
        if (model.ignore_merges && whole_word(model, word)) return false;
        merger_.add(word, lanes);
        return true;
    }
    template <std::size_t Symbols> void merge(MergeLanes<Symbols>& lanes) const noexcept { merger_.merge(lanes); }
    // The same with the bytes that each stands for: every character of a token is one of them, and a token that has but part of a character
    // stands for all of it. `ids` is scratch.
    void place(const Bpe& model, std::string_view word, MergeSpace& space, std::vector<TokenId>& ids, std::vector<PlacedToken>& tokens) const {
        ids.clear();
        encode(model, word, space, ids);
        const auto is_inner = [&](std::size_t i) { return i < word.size() && (word[i] & '\xC0') == '\x80'; };
        std::size_t at = 0;
        for (const TokenId id : ids) {
            std::size_t begin = at, end = at += unicode::count_code_points(*model.vocabulary.token(id));
            while (is_inner(begin)) --begin;
            while (is_inner(end)) ++end;
            tokens.push_back({id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), tokens.empty()});
        }
    }

  private:
    // Which characters stand side by side in tokens. With ignore_merges a whole piece may be a token that no merges make; what a cut leaves must
    // not be taken for one.
    std::shared_ptr<const TokenPairs> pairs_of(const Bpe& model) const {
        auto pairs = std::make_shared<TokenPairs>(model.vocabulary.size());
        std::string bytes;
        MergeSpace space;
        std::vector<TokenId> ids;
        model.vocabulary.for_each([&](std::string_view token, TokenId id) {
            if (!has_high_bytes(token)) return;
            bytes.clear();
            for (std::size_t i = 0; i < token.size(); ++i) {  // the alphabet's characters have one byte or two
                char32_t character = static_cast<unsigned char>(token[i]);
                if (character >= 0x80 && ++i < token.size()) character = (character & 0x1F) << 6 | (static_cast<unsigned char>(token[i]) & 0x3F);
                const int byte = character_to_byte(character);
                if (byte < 0) return;
                bytes += static_cast<char>(byte);
            }
            pairs->add(bytes);
            if (!model.ignore_merges || !unicode::is_valid_utf8(bytes)) return;
            ids.clear();
            merger_.encode(bytes, space, ids);
            if (ids.size() != 1 || ids[0] != id) pairs->keep_whole(bytes);
        });
        pairs->shrink();
        return pairs;
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

    BytePairMerger merger_;
    ByteLevelScanner scanner_;
    std::shared_ptr<const TokenPairs> pairs_;
};

}  // namespace morsel::fast
