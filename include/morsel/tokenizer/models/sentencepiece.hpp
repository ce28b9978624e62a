// SentencePiece (Kudo and Richardson 2018) on its own terms, for tokenizer.model files and GGUF files of that kind: the text is
// normalized (character map, dummy prefix, spaces to ▁) and cut into pieces by one of four methods. BPE: among adjacent symbols whose
// union is a piece the one of highest score merges first, the leftmost of equals; unused pieces are taken apart again. Unigram: the cut
// of greatest total score. Word: before every ▁. Character: every character. User-defined pieces are never cut by BPE and by
// characters; unknown ones become bytes. There are no merge ranks and no words: the whole section is one. Left out: sampling.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/token_trie.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/tokenizer/text/aligned_text.hpp"
#include "morsel/tokenizer/text/charsmap.hpp"
#include "morsel/tokenizer/text/pattern_trie.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

enum class SentencePieceMethod : std::uint8_t { unigram = 1, bpe = 2, word = 3, character = 4 };
enum class PieceType : std::uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct SentencePiece {
    SentencePieceMethod method = SentencePieceMethod::bpe;
    Vocabulary vocabulary = {};
    std::vector<float> scores = {};      // [id]
    std::vector<PieceType> types = {};   // [id]
    TokenId unk_id = 0;
    bool byte_fallback = false;
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
    bool whitespace_as_suffix = false;   // the dummy prefix is a suffix
    Charsmap charsmap = {};
    PatternTrie user_defined = {};       // pieces that are kept whole
    std::array<std::optional<TokenId>, 256> byte_tokens = {};
    std::size_t longest_piece = 0;       // bytes
    TokenTrie pieces = {};               // unigram: of the whole vocabulary
    float lowest_score = 0;              // of normal pieces
};

struct SentencePieceToken {
    TokenId id = 0;
    std::size_t begin = 0, end = 0;  // bytes of the section; of a character's bytes only the last one covers it
};

// To be called when the pieces are complete. Throws Error where byte_fallback lacks a byte piece.
inline void prepare(SentencePiece& model) {
    model.lowest_score = std::numeric_limits<float>::max();
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t b = 0; b < 256; ++b) {
        const char name[] = {'<', '0', 'x', digits[b / 16], digits[b % 16], '>'};
        const auto id = model.vocabulary.id({name, sizeof name});
        if (id && model.types[*id] == PieceType::byte) model.byte_tokens[b] = id;
        else if (model.byte_fallback) throw Error("byte_fallback needs all 256 byte pieces", {.key = "pieces", .expected = std::string(name, sizeof name)});
    }
    model.vocabulary.for_each([&](std::string_view piece, TokenId id) {
        model.longest_piece = std::max(model.longest_piece, piece.size());
        const PieceType type = model.types[id];
        if (type == PieceType::user_defined) model.user_defined.add(piece, id);
        if (type != PieceType::normal) return;
        model.lowest_score = std::min(model.lowest_score, model.scores[id]);
    });
    if (model.method != SentencePieceMethod::unigram) return;
    auto trie = TokenTrie::create(model.vocabulary);
    if (!trie) throw Error("the pieces are too many", {.key = "pieces"});
    model.pieces = std::move(*trie);
}

namespace detail {

struct NormalizedSection {
    std::string text = {};
    std::vector<std::size_t> origin = {};  // [text.size() + 1] byte of the section where each byte's source begins
};

// Bytes of the longest user-defined piece that begins at `at`; 0 where there is none.
inline std::size_t user_defined_length(const SentencePiece& model, std::string_view text, std::size_t at) {
    return model.user_defined.longest_at(text, at);
}

inline NormalizedSection sentencepiece_normalize(const SentencePiece& model, std::string_view section) {
    constexpr std::string_view space_mark = "\u2581";
    NormalizedSection out;
    // The next source bytes and what they become. A byte that is no UTF-8 is U+FFFD on its own.
    const auto prefix = [&](std::size_t at) -> std::pair<std::string_view, std::size_t> {
        if (const std::size_t length = user_defined_length(model, section, at); length > 0) return {section.substr(at, length), length};
        if (const auto rule = model.charsmap.longest_prefix(section.substr(at))) return {rule->replacement, rule->length};
        if (static_cast<unsigned char>(section[at]) < 0x80) return {section.substr(at, 1), 1};
        const auto point = unicode::decode(section, at);
        if (!point.valid) return {"\xEF\xBF\xBD", 1};
        return {section.substr(at, point.size), point.size};
    };
    std::size_t at = 0;
    if (model.remove_extra_whitespaces) {
        while (at < section.size()) {
            const auto [text, length] = prefix(at);
            if (text != " ") break;
            at += length;
        }
    }
    if (at == section.size()) return out;
    const auto put = [&](std::string_view text) {
        out.text += text;
        for (std::size_t i = 0; i < text.size(); ++i) out.origin.push_back(at);
    };
    out.text.reserve(section.size() + section.size() / 2), out.origin.reserve(section.size() + section.size() / 2);
    const std::string_view space = model.escape_whitespaces ? space_mark : std::string_view(" ");
    if (model.add_dummy_prefix && !model.whitespace_as_suffix) put(space);
    bool after_space = model.remove_extra_whitespaces;
    while (at < section.size()) {
        auto [text, length] = prefix(at);
        while (after_space && text.starts_with(' ')) text.remove_prefix(1);
        if (!text.empty()) {
            if (text.find(' ') == text.npos) put(text);
            else for (const char c : text) put(c == ' ' ? space : std::string_view(&c, 1));
            after_space = text.ends_with(' ');
        }
        if (!model.remove_extra_whitespaces) after_space = false;
        at += length;
    }
    if (model.remove_extra_whitespaces) {
        while (out.text.ends_with(space)) {
            const std::size_t length = out.text.size() - space.size();
            at = out.origin[length];
            out.text.erase(length);
            out.origin.resize(length);
        }
    }
    if (model.add_dummy_prefix && model.whitespace_as_suffix) put(space);
    out.origin.push_back(at);
    return out;
}

// The pieces of normalized text: `id` of each, begin and end in that text. Unknown characters have the unknown id.
inline ModelTokens sentencepiece_merge(const SentencePiece& model, std::string_view text) {
    constexpr std::size_t none = static_cast<std::size_t>(-1);
    struct Symbol {
        std::size_t begin, end, previous, next;
        bool frozen;
    };
    struct Candidate {
        float score;
        std::size_t left, right, size;  // symbols; bytes of both together
        bool operator<(const Candidate& o) const { return score != o.score ? score < o.score : left > o.left; }
    };
    std::vector<Symbol> symbols;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t frozen = user_defined_length(model, text, at);
        const std::size_t length = frozen > 0 ? frozen : unicode::decode(text, at).size;
        symbols.push_back({at, at + length, symbols.size() - 1, symbols.size() + 1, frozen > 0});
        at += length;
    }
    if (symbols.empty()) return {};
    symbols.front().previous = symbols.back().next = none;

    std::priority_queue<Candidate> queue;
    std::unordered_map<std::size_t, std::vector<std::pair<std::size_t, std::size_t>>> cuts;  // of unused pieces: begin → (end, cut)
    const auto offer = [&](std::size_t left, std::size_t right) {
        if (left == none || right == none || symbols[left].frozen || symbols[right].frozen) return;
        const std::size_t begin = symbols[left].begin, end = symbols[right].end;
        if (end - begin > model.longest_piece) return;
        const auto id = model.vocabulary.id(text.substr(begin, end - begin));
        if (!id) return;
        const PieceType type = model.types[*id];
        if (type != PieceType::normal && type != PieceType::user_defined && type != PieceType::unused) return;
        queue.push({model.scores[*id], left, right, end - begin});
        if (type == PieceType::unused) cuts[begin].push_back({end, symbols[left].end});
    };
    for (std::size_t i = 1; i < symbols.size(); ++i) offer(i - 1, i);
    while (!queue.empty()) {
        const Candidate top = queue.top();
        queue.pop();
        Symbol& left = symbols[top.left];
        Symbol& right = symbols[top.right];
        if (left.begin == left.end || right.begin == right.end || right.end - left.begin != top.size || left.end != right.begin) continue;
        left.end = right.end;
        left.next = right.next;
        right.begin = right.end;
        if (left.next != none) symbols[left.next].previous = top.left;
        offer(left.previous, top.left);
        offer(top.left, left.next);
    }
    ModelTokens out;
    std::vector<Span> pending;
    for (std::size_t i = 0; i != none; i = symbols[i].next) {
        pending.assign(1, {symbols[i].begin, symbols[i].end});
        while (!pending.empty()) {
            const Span span = pending.back();
            pending.pop_back();
            const auto id = model.vocabulary.id(text.substr(span.begin, span.end - span.begin));
            std::size_t cut = none;  // an unused piece is taken apart where it was put together last
            if (id && model.types[*id] == PieceType::unused)
                if (const auto found = cuts.find(span.begin); found != cuts.end())
                    for (const auto& [end, at] : found->second)
                        if (end == span.end) cut = at;
            if (cut == none) {
                out.push_back({id.value_or(model.unk_id), span.begin, span.end});
            } else {
                pending.push_back({cut, span.end});
                pending.push_back({span.begin, cut});
            }
        }
    }
    return out;
}

// The cut of greatest total score. A character that is no piece is unknown and costs 10 below the worst score; a user-defined piece has
// score 0. Sums are float, as in SentencePiece: it decides ties.
inline ModelTokens sentencepiece_viterbi(const SentencePiece& model, std::string_view text) {
    constexpr std::size_t none = static_cast<std::size_t>(-1);
    struct Best {
        float score = 0;
        std::size_t begin = none;
        TokenId id = 0;
    };
    std::vector<Best> best(text.size() + 1);  // [byte] the best way to get there
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t next = begin + (static_cast<unsigned char>(text[begin]) < 0x80 ? 1 : unicode::decode(text, begin).size);
        bool whole_character = false;
        const auto offer = [&](std::size_t end, float score, TokenId id) {
            const float sum = score + best[begin].score;
            if (best[end].begin == none || sum > best[end].score) best[end] = {sum, begin, id};
        };
        model.pieces.for_each_prefix(text.substr(begin), model.pieces.root(), [&](std::size_t size, TokenId id) {
            const PieceType type = model.types[id];
            if (type != PieceType::normal && type != PieceType::user_defined) return;
            offer(begin + size, type == PieceType::user_defined ? 0.0f : model.scores[id], id);
            whole_character = whole_character || begin + size == next;
        });
        if (!whole_character) offer(next, model.lowest_score - 10.0f, model.unk_id);
        begin = next;
    }
    ModelTokens out;
    for (std::size_t end = text.size(); end > 0; end = best[end].begin) out.push_back({best[end].id, best[end].begin, end});
    std::reverse(out.begin(), out.end());
    return out;
}

// Words, each with the ▁ in front of it; or characters and user-defined pieces.
inline ModelTokens sentencepiece_cut(const SentencePiece& model, std::string_view text) {
    ModelTokens out;
    for (std::size_t at = 0; at < text.size();) {
        const bool mark = text.substr(at).starts_with("\u2581");
        std::size_t length = model.method == SentencePieceMethod::character ? user_defined_length(model, text, at) : 0;
        if (length == 0) length = unicode::decode(text, at).size;
        if (at == 0 || mark || model.method == SentencePieceMethod::character) out.push_back({0, at, at});
        out.back().end = at += length;
    }
    for (ModelToken& token : out) token.id = model.vocabulary.id(text.substr(token.begin, token.end - token.begin)).value_or(model.unk_id);
    return out;
}

inline ModelTokens sentencepiece_pieces(const SentencePiece& model, std::string_view text) {
    switch (model.method) {
        case SentencePieceMethod::bpe: return sentencepiece_merge(model, text);
        case SentencePieceMethod::unigram: return sentencepiece_viterbi(model, text);
        default: return sentencepiece_cut(model, text);
    }
}

}  // namespace detail

// The tokens of a section of text, any bytes.
inline std::vector<SentencePieceToken> encode_section(const SentencePiece& model, std::string_view section) {
    const detail::NormalizedSection normalized = detail::sentencepiece_normalize(model, section);
    std::vector<SentencePieceToken> out;
    bool after_unknown = false;
    for (const ModelToken& token : detail::sentencepiece_pieces(model, normalized.text)) {
        const std::size_t begin = normalized.origin[token.begin], end = normalized.origin[token.end];
        const bool unknown = token.id == model.unk_id;
        if (unknown && model.byte_fallback) {
            for (std::size_t i = token.begin; i < token.end; ++i)
                out.push_back({*model.byte_tokens[static_cast<unsigned char>(normalized.text[i])], begin, i + 1 == token.end ? end : begin});
        } else if (unknown && after_unknown) {
            out.back().end = end;  // neighbouring unknown characters are one token
        } else {
            out.push_back({token.id, begin, end});
        }
        after_unknown = unknown;
    }
    return out;
}

// For the interface of all models: a word as a section, with offsets in it.
inline void tokenize(const SentencePiece& model, std::string_view word, ModelTokens& out) {
    for (const SentencePieceToken& token : encode_section(model, word)) out.push_back({token.id, token.begin, token.end});
}

}  // namespace morsel
