// A SentencePiece BPE model said with merges, as tokenizer.json needs it: every way to put a piece together from two shorter ones is a merge,
// pieces of higher score first, as transformers' converter does. SentencePiece takes the leftmost of equal scores, but a list of merges has no
// equals: so of the ways to make one piece the one with the longest left part goes first, and only runs of one character may share a score;
// for them the longest left part is the leftmost, since a run grows from its left end.
// Refused, because merges cannot say them: character maps, unused and user-defined pieces, pieces with characters that are no pieces,
// other equal scores, removal of extra white space.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/models/sentencepiece.hpp"
#include "morsel/tokenizer/splitting/pattern.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"

namespace morsel {

struct ConvertedSentencePiece {
    Bpe model = {};
    Normalizer normalizer = {};  // dummy prefix, and spaces to ▁
};

// Throws Error that names what stands against it.
inline ConvertedSentencePiece bpe_from_sentencepiece(const SentencePiece& from) {
    const auto refuse = [](std::string what, std::string found = {}) { return Error("tokenizer.json cannot say " + std::move(what), {.key = "model", .found = std::move(found)}); };
    if (from.method != SentencePieceMethod::bpe) throw refuse("a SentencePiece model that is not BPE");
    if (from.whitespace_as_suffix) throw refuse("white space as a suffix");
    if (!from.charsmap.empty()) throw refuse("SentencePiece's character map");
    if (from.remove_extra_whitespaces) throw refuse("that extra white space is removed");
    if (!from.escape_whitespaces) throw refuse("a SentencePiece model without escaped white space");
    struct Piece {
        std::string_view text;
        TokenId id;
        float score;
    };
    std::vector<Piece> pieces;
    from.vocabulary.for_each([&](std::string_view text, TokenId id) {
        const PieceType type = from.types[id];
        if (type == PieceType::user_defined || type == PieceType::unused) throw refuse("user-defined and unused pieces", std::string(text));
        if (type == PieceType::normal && !text.empty() && unicode::decode(text, 0).size < text.size()) pieces.push_back({text, id, from.scores[id]});
    });
    std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.score > b.score; });
    const auto is_run_of = [](std::string_view text, std::string_view character) {
        for (; text.starts_with(character); text.remove_prefix(character.size())) {}
        return text.empty();
    };
    for (std::size_t i = 1; i < pieces.size(); ++i) {
        if (pieces[i].score != pieces[i - 1].score) continue;
        const std::string_view first = pieces[i - 1].text.substr(0, unicode::decode(pieces[i - 1].text, 0).size);
        if (!is_run_of(pieces[i - 1].text, first) || !is_run_of(pieces[i].text, first))
            throw refuse("that two pieces have the same score", std::string(pieces[i - 1].text) + ", " + std::string(pieces[i].text));
    }

    ConvertedSentencePiece out;
    out.model.vocabulary = from.vocabulary;
    out.model.unk_token = std::string(from.vocabulary.token(from.unk_id).value_or(""));
    out.model.fuse_unk = true;
    out.model.byte_fallback = from.byte_fallback;
    std::uint32_t rank = 0;
    std::vector<MergeRule> rules;  // of pieces of one score
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const Piece& piece = pieces[i];
        std::vector<std::size_t> cuts;
        for (std::size_t at = 0; at < piece.text.size();) {
            const std::size_t size = unicode::decode(piece.text, at).size;
            if (!from.vocabulary.id(piece.text.substr(at, size))) throw refuse("a piece with characters that are no pieces", std::string(piece.text));
            if ((at += size) < piece.text.size()) cuts.push_back(at);
        }
        const auto is_symbol = [&](std::string_view part) {
            const auto id = from.vocabulary.id(part);
            return id && (from.types[*id] == PieceType::normal || unicode::decode(part, 0).size == part.size());
        };
        for (const std::size_t cut : cuts) {
            const std::string_view left = piece.text.substr(0, cut), right = piece.text.substr(cut);
            if (is_symbol(left) && is_symbol(right)) rules.push_back({left, right});
        }
        if (i + 1 < pieces.size() && pieces[i + 1].score == piece.score) continue;
        std::stable_sort(rules.begin(), rules.end(), [](const MergeRule& a, const MergeRule& b) { return a.left.size() > b.left.size(); });
        for (const MergeRule& rule : rules) add_merge(out.model, rule, rank++);
        rules.clear();
    }
    find_byte_tokens(out.model);
    if (from.add_dummy_prefix) out.normalizer.steps.emplace_back(PrependNormalizer{"\u2581"});
    out.normalizer.steps.emplace_back(ReplaceNormalizer{Pattern{" ", std::string(" ")}, "\u2581"});
    return out;
}

}  // namespace morsel
