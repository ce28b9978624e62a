// Post-processors, decoders, truncation, padding and added tokens as tokenizer.json describes them. Unknown types are errors that
// name them; ids are checked by the caller that knows the vocabulary.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/formats/json.hpp"
#include "morsel/tokenizer/added_tokens.hpp"
#include "morsel/tokenizer/decoding/decoders.hpp"
#include "morsel/tokenizer/padding.hpp"
#include "morsel/tokenizer/post_processors.hpp"
#include "morsel/tokenizer/splitting/pre_tokenizers.hpp"
#include "morsel/tokenizer/truncation.hpp"

namespace morsel {

// A template of special tokens and sequences, written short: texts[i] where `sequence` is 0 or 1.
inline TemplatePiece special_piece(std::string token, TokenId id, std::uint32_t type_id) { return {.type_id = type_id, .ids = {id}, .tokens = {std::move(token)}}; }
inline TemplatePiece sequence_piece(std::size_t sequence, std::uint32_t type_id) { return {.sequence = sequence, .type_id = type_id}; }

// [CLS] A [SEP], and for a pair [CLS] A [SEP] B [SEP] with type 1 from B on.
inline TemplateProcessing bert_template(const std::string& cls, TokenId cls_id, const std::string& sep, TokenId sep_id) {
    TemplateProcessing t;
    t.single = {special_piece(cls, cls_id, 0), sequence_piece(0, 0), special_piece(sep, sep_id, 0)};
    t.pair = t.single;
    t.pair.push_back(sequence_piece(1, 1));
    t.pair.push_back(special_piece(sep, sep_id, 1));
    return t;
}

// <s> A </s>, and for a pair <s> A </s> </s> B </s>, all of type 0.
inline TemplateProcessing roberta_template(const std::string& cls, TokenId cls_id, const std::string& sep, TokenId sep_id) {
    TemplateProcessing t;
    t.single = {special_piece(cls, cls_id, 0), sequence_piece(0, 0), special_piece(sep, sep_id, 0)};
    t.pair = t.single;
    t.pair.push_back(special_piece(sep, sep_id, 0));
    t.pair.push_back(sequence_piece(1, 0));
    t.pair.push_back(special_piece(sep, sep_id, 0));
    return t;
}

namespace detail {

// The elements of an array of objects, with their way in the file.
inline std::vector<JsonObject> objects_of(const JsonObject& parent, std::string_view name) {
    const Json& list = parent.at(name);
    if (!list.is_array()) throw parent.error(name, "wrong value", "an array", json_text(list));
    std::vector<JsonObject> objects;
    for (std::size_t i = 0; i < list.size(); ++i) objects.emplace_back(list[i], parent.file(), parent.path_of(std::string(name) + '[' + std::to_string(i) + ']'));
    return objects;
}

// ["</s>", 2]
inline std::pair<std::string, TokenId> token_and_id(const JsonObject& object, std::string_view name) {
    const Json& value = object.at(name);
    if (!value.is_array() || value.size() != 2) throw object.error(name, "wrong value", "[token, id]", json_text(value));
    return {json_value<std::string>(value[0], object.file(), object.path_of(name)), json_value<TokenId>(value[1], object.file(), object.path_of(name))};
}

inline std::vector<TemplatePiece> template_pieces(const JsonObject& object, std::string_view name) {
    std::vector<TemplatePiece> pieces;
    for (const JsonObject& one : objects_of(object, name)) {
        TemplatePiece piece;
        if (one.has("Sequence")) {
            const JsonObject sequence = one.object("Sequence");
            const auto id = sequence.get<std::string>("id");
            if (id != "A" && id != "B") throw sequence.error("id", "unknown sequence", "A or B", id);
            piece.sequence = id == "B" ? 1 : 0;
            piece.type_id = sequence.get<std::uint32_t>("type_id");
            if (name == "single" && id == "B") throw sequence.error("id", "a template for one text cannot name a second", "A", id);
        } else {
            const JsonObject special = one.object("SpecialToken");
            const auto id = special.get<std::string>("id");
            piece.type_id = special.get<std::uint32_t>("type_id");
            const JsonObject all = object.object("special_tokens");
            if (!all.has(id)) throw special.error("id", "the template names a special token that special_tokens lacks", {}, id);
            const JsonObject token = all.object(id);
            const Json &ids = token.at("ids"), &tokens = token.at("tokens");
            if (!ids.is_array() || !tokens.is_array() || ids.size() != tokens.size()) throw token.error("ids", "ids and tokens must be arrays of one length");
            for (const Json& value : ids) piece.ids.push_back(json_value<TokenId>(value, token.file(), token.path_of("ids")));
            for (const Json& value : tokens) piece.tokens.push_back(json_value<std::string>(value, token.file(), token.path_of("tokens")));
        }
        pieces.push_back(std::move(piece));
    }
    return pieces;
}

}  // namespace detail

// Reads the object under "post_processor". Throws Error.
inline PostProcessors post_processors_from_json(const JsonObject& root) {
    PostProcessors out;
    std::vector<JsonObject> pending{root};  // a list instead of recursion: sequences may hold sequences
    while (!pending.empty()) {
        const JsonObject object = std::move(pending.back());
        pending.pop_back();
        const auto type = object.get<std::string>("type");
        if (type == "Sequence") {
            std::vector<JsonObject> inner = detail::objects_of(object, "processors");
            for (std::size_t i = inner.size(); i-- > 0;) pending.push_back(inner[i]);
        } else if (type == "TemplateProcessing") {
            out.emplace_back(TemplateProcessing{detail::template_pieces(object, "single"), detail::template_pieces(object, "pair")});
        } else if (type == "BertProcessing") {
            const auto [sep, sep_id] = detail::token_and_id(object, "sep");
            const auto [cls, cls_id] = detail::token_and_id(object, "cls");
            out.emplace_back(bert_template(cls, cls_id, sep, sep_id));
        } else if (type == "RobertaProcessing") {
            const auto [sep, sep_id] = detail::token_and_id(object, "sep");
            const auto [cls, cls_id] = detail::token_and_id(object, "cls");
            if (object.get_or("trim_offsets", true)) out.emplace_back(TrimOffsets{object.get_or("add_prefix_space", true)});
            out.emplace_back(SingleType{});
            out.emplace_back(roberta_template(cls, cls_id, sep, sep_id));
        } else if (type == "ByteLevel") {
            if (object.get_or("trim_offsets", true)) out.emplace_back(TrimOffsets{object.get_or("add_prefix_space", true)});
        } else {
            throw object.error("type", "unknown post-processor", {}, type);
        }
    }
    return out;
}

// Reads the object under "decoder". Throws Error.
inline Decoders decoders_from_json(const JsonObject& root, const RegexCompiler& compiler) {
    Decoders out;
    std::vector<JsonObject> pending{root};
    while (!pending.empty()) {
        const JsonObject object = std::move(pending.back());
        pending.pop_back();
        const auto type = object.get<std::string>("type");
        if (type == "Sequence") {
            std::vector<JsonObject> inner = detail::objects_of(object, "decoders");
            for (std::size_t i = inner.size(); i-- > 0;) pending.push_back(inner[i]);
        } else if (type == "ByteLevel") out.emplace_back(ByteLevelDecoder{});
        else if (type == "WordPiece") out.emplace_back(WordPieceDecoder{object.get_or<std::string>("prefix", "##"), object.get_or("cleanup", true)});
        else if (type == "Metaspace") {
            const MetaspacePreTokenizer metaspace = detail::metaspace_from_json(object);
            out.emplace_back(MetaspaceDecoder{metaspace.replacement, metaspace.prepend != MetaspacePreTokenizer::Prepend::never});
        } else if (type == "ByteFallback") out.emplace_back(ByteFallbackDecoder{});
        else if (type == "Fuse") out.emplace_back(FuseDecoder{});
        else if (type == "Strip")
            out.emplace_back(StripDecoder{detail::character_from_json(object, "content"), object.get<std::size_t>("start"), object.get<std::size_t>("stop")});
        else if (type == "Replace") out.emplace_back(ReplaceDecoder{pattern_from_json(object, "pattern", compiler), object.get<std::string>("content")});
        else if (type == "BPEDecoder") out.emplace_back(BpeDecoder{object.get_or<std::string>("suffix", "</w>")});
        else if (type == "CTC")
            out.emplace_back(CtcDecoder{object.get_or<std::string>("pad_token", "<pad>"), object.get_or<std::string>("word_delimiter_token", "|"), object.get_or("cleanup", true)});
        else throw object.error("type", "unknown decoder", {}, type);
    }
    return out;
}

namespace detail {
inline Direction direction_from_json(const JsonObject& object, std::string_view name) {
    const auto text = object.get_or<std::string>(name, "Right");
    if (text != "Right" && text != "Left") throw object.error(name, "unknown direction", "Right or Left", text);
    return text == "Left" ? Direction::left : Direction::right;
}
}  // namespace detail

// Reads the object under "truncation". Throws Error, also where stride >= max_length.
inline Truncation truncation_from_json(const JsonObject& object) {
    Truncation t;
    t.max_length = object.get<std::size_t>("max_length");
    t.stride = object.get<std::size_t>("stride");
    t.direction = detail::direction_from_json(object, "direction");
    const auto strategy = object.get<std::string>("strategy");
    if (strategy == "LongestFirst") t.strategy = TruncationStrategy::longest_first;
    else if (strategy == "OnlyFirst") t.strategy = TruncationStrategy::only_first;
    else if (strategy == "OnlySecond") t.strategy = TruncationStrategy::only_second;
    else throw object.error("strategy", "unknown strategy", "LongestFirst, OnlyFirst or OnlySecond", strategy);
    if (t.stride > 0 && t.stride >= t.max_length) throw object.error("stride", "stride must be smaller than max_length", "less than " + std::to_string(t.max_length), std::to_string(t.stride));
    return t;
}

// Reads the object under "padding". Throws Error, also where the length is beyond max_padded_length.
inline Padding padding_from_json(const JsonObject& object) {
    Padding p;
    const Json& strategy = object.at("strategy");
    if (strategy.is_object()) p.length = object.object("strategy").get<std::size_t>("Fixed");
    else if (strategy != "BatchLongest") throw object.error("strategy", "unknown strategy", "BatchLongest or {\"Fixed\": length}", json_text(strategy));
    p.direction = detail::direction_from_json(object, "direction");
    p.multiple_of = object.get_or<std::size_t>("pad_to_multiple_of", 0);
    p.id = object.get<TokenId>("pad_id");
    p.type_id = object.get<std::uint32_t>("pad_type_id");
    p.token = object.get<std::string>("pad_token");
    if (p.multiple_of > max_padded_length || p.length.value_or(0) > max_padded_length)
        throw object.error("strategy", "padded length is too large", "at most " + std::to_string(max_padded_length));
    return p;
}

// One element of "added_tokens", or of added_tokens_decoder. Every field must be there.
inline AddedToken added_token_from_json(const JsonObject& object) {
    AddedToken t;
    t.content = object.get<std::string>("content");
    t.single_word = object.get<bool>("single_word");
    t.lstrip = object.get<bool>("lstrip");
    t.rstrip = object.get<bool>("rstrip");
    t.normalized = object.get<bool>("normalized");
    t.special = object.get<bool>("special");
    return t;
}

}  // namespace morsel
