// Tokenizers without a vocabulary file: CANINE's characters and ByT5's bytes. A directory names them by "tokenizer_class" in
// tokenizer_config.json; they can also be made in code. As transformers 5 has them. One deviation: ByT5 there adds no second </s> to a text that
// ends with one, and warns that this will change; here </s> is always added.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/loading/load_roles.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

namespace detail {

inline void use_template(TokenizerParts& parts, std::vector<TemplatePiece> single, std::vector<TemplatePiece> pair) {
    parts.post_processors = {TemplateProcessing{std::move(single), std::move(pair)}};
}

// CLS A SEP and CLS A SEP B SEP, all of type 0.
inline TokenizerParts canine(Characters model, const SpecialTokens& roles) {
    TokenizerParts parts;
    parts.special_tokens = roles;
    parts.decoders = {FuseDecoder{}};
    parts.model_max_length = 2048;
    const auto around = [&](const std::optional<std::string>& token) { return special_piece(*token, *character_id(model, *token), 0); };
    if (roles.cls && roles.sep && character_id(model, *roles.cls) && character_id(model, *roles.sep))
        use_template(parts, {around(roles.cls), sequence_piece(0, 0), around(roles.sep)}, {around(roles.cls), sequence_piece(0, 0), around(roles.sep), sequence_piece(1, 0), around(roles.sep)});
    parts.model = std::move(model);
    return parts;
}

inline std::string character(char32_t c) {
    std::string text;
    unicode::append(text, c);
    return text;
}

inline SpecialTokens canine_roles() {
    return {.bos = character(canine_cls), .eos = character(canine_sep), .sep = character(canine_sep), .pad = character(canine_pad), .cls = character(canine_cls), .mask = character(canine_mask)};
}

}  // namespace detail

// Ids are code points; U+E000 goes before a text, U+E001 behind it.
inline TokenizerParts canine_tokenizer() {
    Characters model = make_characters();
    for (const TokenId id : {canine_pad, canine_cls, canine_sep, canine_mask}) model.vocabulary.add(detail::character(id), id);
    model.vocabulary.finish();
    TokenizerParts parts = detail::canine(std::move(model), detail::canine_roles());
    for (const TokenId id : {canine_pad, canine_cls, canine_sep, canine_mask}) parts.added_tokens.add({.content = detail::character(id), .special = true}, vocabulary_of(parts.model));
    return parts;
}

namespace detail {

inline SpecialTokens byt5_roles() { return {.eos = "</s>", .unk = "<unk>", .pad = "<pad>"}; }

inline TokenizerParts byt5(const SpecialTokens& roles, std::size_t extra_ids) {
    TokenizerParts parts;
    Bytes model;
    const std::string first[] = {roles.pad.value_or("<pad>"), roles.eos.value_or("</s>"), roles.unk.value_or("<unk>")};
    for (TokenId id = 0; id < 3; ++id) model.vocabulary.add(first[id], id);
    for (TokenId byte = 0; byte < 256; ++byte) model.vocabulary.add(character(byte), model.first + byte);
    model.vocabulary.finish();
    parts.model = std::move(model);
    parts.special_tokens = roles;
    for (const std::string& role : first) parts.added_tokens.add({.content = role, .lstrip = true, .rstrip = true, .special = true}, vocabulary_of(parts.model));
    for (std::size_t i = 0; i < extra_ids; ++i) parts.added_tokens.add({.content = "<extra_id_" + std::to_string(i) + ">", .special = true}, vocabulary_of(parts.model));
    parts.decoders = {BytesDecoder{}};
    const TemplatePiece end = special_piece(first[1], 1, 0);
    use_template(parts, {sequence_piece(0, 0), end}, {sequence_piece(0, 0), end, sequence_piece(1, 0), end});
    return parts;
}

}  // namespace detail

// Ids are bytes + 3; <pad>, </s> and <unk> are 0, 1, 2 and swallow white space; <extra_id_0> and on begin at 259. </s> goes behind a text.
inline TokenizerParts byt5_tokenizer(std::size_t extra_ids = 125) { return detail::byt5(detail::byt5_roles(), extra_ids); }

// The tokenizer of that kind that tokenizer_config.json names; nothing where it names another. Throws Error.
inline std::optional<TokenizerParts> load_vocabulary_free(const TokenizerSideFiles& side) {
    if (!side.has_config()) return std::nullopt;
    const auto name = side.config().get_or<std::string>("tokenizer_class", "");
    const bool lists_tokens = side.config().has("added_tokens_decoder");
    TokenizerParts parts;
    if (name == "CanineTokenizer") {
        TokenizerParts roles;
        roles.special_tokens = detail::canine_roles();
        apply_roles(side, roles);
        Characters model = make_characters();
        const auto add = [&](const std::string& token, TokenId id) {
            if (!model.vocabulary.id(token)) model.vocabulary.add(token, id);
        };
        if (lists_tokens) {
            const JsonObject decoder = side.config().object("added_tokens_decoder");
            for (const auto& [key, value] : decoder.json().items()) {
                const auto token = decoder.object(key).get<std::string>("content");
                if (const auto id = character_id(model, token)) add(token, *id);
                else if (key.size() < 10 && key.find_first_not_of("0123456789") == key.npos && !key.empty()) add(token, static_cast<TokenId>(std::stoul(key)));
            }
        }
        for (const auto& [key, member] : detail::roles)
            if (const auto& token = roles.special_tokens.*member)
                if (const auto id = character_id(model, *token)) add(*token, *id);
        model.vocabulary.finish();
        parts = detail::canine(std::move(model), roles.special_tokens);
    } else if (name == "ByT5Tokenizer") {
        TokenizerParts roles;
        roles.special_tokens = detail::byt5_roles();
        apply_roles(side, roles);
        const std::size_t extra_ids = lists_tokens ? 0 : side.config().get_or<std::size_t>("extra_ids", 125);
        if (extra_ids > 100'000) throw side.config().error("extra_ids", "too many", "at most 100000", std::to_string(extra_ids));
        parts = detail::byt5(roles.special_tokens, extra_ids);
    } else {
        return std::nullopt;
    }
    apply_roles(side, parts);
    add_side_tokens(side, parts);
    // Whatever the file says of them, tokens with a role are special.
    const std::vector<AddedToken> tokens = parts.added_tokens.tokens();
    for (AddedToken token : tokens)
        for (const auto& [key, member] : detail::roles)
            if (parts.special_tokens.*member == token.content) token.special = true, parts.added_tokens.add(token, vocabulary_of(parts.model));
    return parts;
}

}  // namespace morsel
