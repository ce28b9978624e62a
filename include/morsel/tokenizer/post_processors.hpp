// Post-processors: special tokens around one text or two, and the trimming of offsets, as tokenizer.json names them.
// BertProcessing and RobertaProcessing are templates with extra rules; Sequence is a list.
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

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/added_tokens.hpp"
#include "morsel/tokenizer/encoding.hpp"
#include "morsel/tokenizer/truncation.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

// One piece of a template: a sequence, or special tokens.
struct TemplatePiece {
    std::optional<std::size_t> sequence = {};  // 0 or 1; nothing for special tokens
    std::uint32_t type_id = 0;
    std::vector<TokenId> ids = {};             // of special tokens
    std::vector<std::string> tokens = {};      // as many as ids
};

struct TemplateProcessing {
    std::vector<TemplatePiece> single = {}, pair = {};
};

// Offsets no longer cover the white space that byte-level tokens begin or end with.
struct TrimOffsets {
    bool add_prefix_space = true;  // the first space was put there by the pre-tokenizer: it is not in the offsets
};

// All tokens get type 0 (RoBERTa has one).
struct SingleType {};

using PostProcessor = std::variant<TemplateProcessing, TrimOffsets, SingleType>;
using PostProcessors = std::vector<PostProcessor>;  // applied in order

// What post-processors need to know of the text.
struct PostProcessContext {
    std::string_view texts[2] = {};  // the two texts as the caller passed them
    const AddedTokens* added_tokens = nullptr;
};

// Tokens that the post-processors add to one text, or to a pair.
inline std::size_t count_added_tokens(const PostProcessors& processors, bool pair) {
    std::size_t count = 0;
    for (const PostProcessor& p : processors)
        if (const auto* t = std::get_if<TemplateProcessing>(&p))
            for (const TemplatePiece& piece : pair ? t->pair : t->single) count += piece.ids.size();
    return count;
}

namespace detail {

inline void set_sequence(Encoding& e, std::uint32_t sequence) {
    e.sequence_ids.assign(e.size(), sequence);
    for (Encoding& window : e.overflowing) set_sequence(window, sequence);  // windows have no windows: one level
}

// The offsets of one token of `text`; `token` is its string, `first` whether it is the first of all.
inline void trim_span(Span& span, std::string_view token, TokenId id, bool first, std::string_view text, const TrimOffsets& options, const AddedTokens* added_tokens) {
    constexpr char32_t byte_level_space = 0x120;  // Ġ, the byte-level sign of U+0020
    const auto is_space = [](char32_t c) { return c == byte_level_space || unicode::is_white_space(c); };
    if (span.end > text.size() || span.begin > span.end) return;
    // An added token that strips stands for the text it swallowed.
    const AddedToken* added = added_tokens != nullptr ? added_tokens->find(id) : nullptr;
    if (added != nullptr && (added->lstrip || added->rstrip)) token = text.substr(span.begin, span.end - span.begin);
    std::size_t leading = 0, trailing = 0;  // characters
    for (std::size_t at = 0; at < token.size() && is_space(unicode::decode(token, at).value); at += unicode::decode(token, at).size) ++leading;
    for (std::size_t at = token.size(); at > 0;) {
        const std::size_t start = unicode::previous_start(token, at);
        if (!is_space(unicode::decode(token, start).value)) break;
        ++trailing, at = start;
    }
    if (leading == 1 && options.add_prefix_space && (first || span.begin == 0)) leading = 0;  // of several none was put there
    for (; leading > 0 && span.begin < span.end; --leading) span.begin += unicode::decode(text.substr(0, span.end), span.begin).size;
    for (; trailing > 0 && span.end > span.begin; --trailing) span.end = std::max(span.begin, unicode::previous_start(text, span.end));
}

inline void trim_offsets(Encoding& e, const TrimOffsets& options, const PostProcessContext& context) {
    for (std::size_t i = 0; i < e.size(); ++i)
        trim_span(e.offsets[i], e.tokens[i], e.ids[i], i == 0, context.texts[e.sequence_ids[i].value_or(0) & 1], options, context.added_tokens);
    for (Encoding& window : e.overflowing) trim_offsets(window, options, context);
}

inline std::vector<Encoding> apply_template(const TemplateProcessing& t, std::vector<Encoding> sequences, bool add_special_tokens) {
    if (sequences.size() > 2) throw Error("a template can be applied to one text or two", {.key = "post_processor", .found = std::to_string(sequences.size()) + " parts"});
    std::vector<Encoding> parts;
    const std::vector<TemplatePiece>& pieces = sequences.size() == 2 ? t.pair : t.single;
    for (auto piece_at = pieces.begin(); piece_at != pieces.end(); ++piece_at) {
        const TemplatePiece& piece = *piece_at;
        if (piece.sequence) {
            if (*piece.sequence >= sequences.size()) throw Error("the template names a second text where there is one", {.key = "post_processor.single"});
            const bool again = std::any_of(piece_at + 1, pieces.end(), [&](const TemplatePiece& later) { return later.sequence == piece.sequence; });
            Encoding part = again ? sequences[*piece.sequence] : std::move(sequences[*piece.sequence]);
            part.type_ids.assign(part.size(), piece.type_id);  // not of its windows: as the reference
            set_sequence(part, static_cast<std::uint32_t>(*piece.sequence));
            parts.push_back(std::move(part));
        } else if (add_special_tokens) {
            const std::size_t n = piece.ids.size();
            Encoding part;
            part.ids = piece.ids;
            part.tokens = piece.tokens;
            part.offsets.assign(n, Span{});
            part.word_ids.assign(n, std::nullopt);
            part.type_ids.assign(n, piece.type_id);
            part.special_tokens_mask.assign(n, 1);
            part.attention_mask.assign(n, 1);
            part.sequence_ids.assign(n, std::nullopt);
            parts.push_back(std::move(part));
        }
    }
    return parts;
}

}  // namespace detail

// One text, or two, with everything the post-processors add. Throws Error where they do not fit the number of texts.
inline Encoding post_process(const PostProcessors& processors, Encoding first, std::optional<Encoding> second, bool add_special_tokens,
                             const PostProcessContext& context) {
    std::vector<Encoding> parts;
    parts.push_back(std::move(first));
    if (second) parts.push_back(*std::move(second));
    for (std::size_t i = 0; i < parts.size(); ++i) {
        detail::set_sequence(parts[i], static_cast<std::uint32_t>(i));
        parts[i].type_ids.assign(parts[i].size(), static_cast<std::uint32_t>(i));
    }
    for (const PostProcessor& processor : processors) {
        if (const auto* t = std::get_if<TemplateProcessing>(&processor)) {
            parts = detail::apply_template(*t, std::move(parts), add_special_tokens);
        } else if (const auto* trim = std::get_if<TrimOffsets>(&processor)) {
            for (Encoding& part : parts) detail::trim_offsets(part, *trim, context);
        } else {
            for (Encoding& part : parts) {
                part.type_ids.assign(part.size(), 0);
                if (add_special_tokens)
                    for (Encoding& window : part.overflowing) window.type_ids.assign(window.size(), 0);
            }
        }
    }
    if (parts.empty()) return {};
    Encoding result = std::move(parts.front());
    for (std::size_t i = 1; i < parts.size(); ++i) append(result, parts[i]);
    return result;
}

}  // namespace morsel
