// The plain pipeline: text → tokens by the tokenizer's steps one after another, every byte carrying its origin all the way. It is the
// reference of the fast way (fast/fast_encoder.hpp), which takes from here what it has no shorter way for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel::detail {

// Offsets and word numbers are 32-bit in files and other tools; longer texts must be cut by the caller.
inline constexpr std::size_t max_text_bytes = std::size_t{1} << 31;

struct PipelineToken {
    TokenId id;
    std::uint32_t word;
    Span origin;
};
// The unknown tokens of a unigram model are shown as the text they stand for: index and text.
using Surfaces = std::vector<std::pair<std::size_t, std::string>>;

// f(ModelToken, the piece it is a part of, whether it is the first one) for the tokens of a text without added tokens.
// tokens_of(piece, tokens) appends those of a pre-token, as `tokenize` does.
template <class TokensOf, class F> void for_each_token_of(const TokenizerParts& parts, std::string_view text, TokensOf&& tokens_of, F&& f) {
    AlignedText section = aligned(text);
    if (parts.normalizer) normalize(*parts.normalizer, section);
    std::vector<AlignedText> pieces;
    pieces.push_back(std::move(section));
    if (parts.pre_tokenizer) pre_tokenize(*parts.pre_tokenizer, pieces);
    ModelTokens tokens;
    for (const AlignedText& piece : pieces) {
        if (piece.text.empty()) continue;
        tokens.clear();
        tokens_of(piece.text, tokens);
        for (const ModelToken& token : tokens) f(token, piece, &token == tokens.data());
    }
}

// The tokens of a text, with nothing added. Throws Error where the text is too long, or has unknown characters and the model no token for them.
inline std::vector<PipelineToken> run_plainly(const TokenizerParts& parts, std::string_view text, bool parse_special, Surfaces* surfaces = nullptr,
                                              const std::optional<BpeDropout>& dropout = {}) {
    if (text.size() > max_text_bytes) throw Error("the text is too long", {.expected = "at most 2 GiB", .found = std::to_string(text.size()) + " bytes"});
    std::vector<PipelineToken> out;
    std::uint32_t word = 0;
    ModelTokens tokens;
    const auto* unigram = std::get_if<Unigram>(&parts.model);
    const Bpe* const random = dropout ? std::get_if<Bpe>(&parts.model) : nullptr;
    std::uint64_t draws = 0;
    for (const AddedSplit& raw : parts.added_tokens.split_raw(text, parse_special)) {
        if (raw.token != nullptr) {
            out.push_back({raw.token->id, word++, {raw.begin, raw.end}});
            continue;
        }
        const std::string_view section_text = text.substr(raw.begin, raw.end - raw.begin);
        if (const auto* sentencepiece = std::get_if<SentencePiece>(&parts.model)) {
            for (const SentencePieceToken& t : encode_section(*sentencepiece, section_text)) out.push_back({t.id, word, {raw.begin + t.begin, raw.begin + t.end}});
            ++word;
            continue;
        }
        AlignedText section = aligned(section_text, raw.begin);
        if (parts.normalizer) normalize(*parts.normalizer, section);
        for (const AddedSplit& part : parts.added_tokens.split_normalized(section.text, parse_special)) {
            if (part.token != nullptr) {
                out.push_back({part.token->id, word++, origin_of(section, part.begin, part.end)});
                continue;
            }
            std::vector<AlignedText> pieces;
            pieces.push_back(part.begin == 0 && part.end == section.text.size() ? std::move(section) : slice(section, part.begin, part.end));
            if (parts.pre_tokenizer) pre_tokenize(*parts.pre_tokenizer, pieces);
            for (const AlignedText& piece : pieces) {
                if (piece.text.empty()) continue;
                tokens.clear();
                if (random != nullptr) tokenize(*random, piece.text, *dropout, draws, tokens);
                else tokenize(parts.model, piece.text, tokens);
                for (const ModelToken& t : tokens) {
                    if (surfaces != nullptr && unigram != nullptr && t.id == unigram->unk_id) surfaces->emplace_back(out.size(), piece.text.substr(t.begin, t.end - t.begin));
                    out.push_back({t.id, word, origin_of(piece, t.begin, t.end)});
                }
                ++word;
            }
        }
    }
    return out;
}

}  // namespace morsel::detail
