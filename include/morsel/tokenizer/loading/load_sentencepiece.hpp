// SentencePiece's tokenizer.model → TokenizerParts. Field numbers are those of sentencepiece_model.proto. A model that
// contradicts itself is an Error; unknown fields are skipped. Left out: rules for decoding (denormalizer_spec), refused.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/protobuf.hpp"
#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/loading/load_roles.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

struct SentencePieceFile {
    SentencePiece model = {};
    std::optional<std::string> bos = {}, eos = {}, pad = {};  // pieces, where the model has them
    std::string unk_piece = "<unk>", unk_surface = " \u2047 ";
};

// `message` is the content of the file. Throws Error.
inline SentencePieceFile parse_sentencepiece(std::string_view message) {
    SentencePieceFile out;
    SentencePiece& model = out.model;
    std::size_t unknowns = 0;
    std::int64_t model_type = 1;
    std::string bos = "<s>", eos = "</s>", pad = "<pad>";
    std::int64_t bos_id = 1, eos_id = 2, pad_id = -1;
    std::string_view charsmap;
    const auto flag = [](const ProtobufField& f) { return f.integer != 0; };
    const auto number = [](const ProtobufField& f) { return static_cast<std::int64_t>(f.integer); };

    ProtobufReader reader(message);
    for (ProtobufField field; reader.next(field);) {
        ProtobufReader inner(field.bytes);
        if (field.number == 1 && field.wire_type == 2) {
            const auto id = static_cast<TokenId>(model.types.size());
            const std::string key = "pieces[" + std::to_string(id) + "]";
            std::string_view piece;
            float score = 0;
            std::uint64_t type = 1;
            for (ProtobufField f; inner.next(f);) {
                if (f.number == 1 && f.wire_type == 2) piece = f.bytes;
                if (f.number == 2 && f.wire_type == 5) score = f.as_float();
                if (f.number == 3 && f.wire_type == 0) type = f.integer;
            }
            if (piece.empty()) throw Error("empty piece", {.key = key});
            if (std::isnan(score)) throw Error("score is not a number", {.key = key});
            if (type < 1 || type > 6) throw Error("unknown type of piece", {.key = key, .expected = "1 to 6", .found = std::to_string(type)});
            if (model.vocabulary.id(piece)) throw Error("piece is there twice", {.key = key, .found = "'" + std::string(piece.substr(0, 60)) + "'"});
            const auto piece_type = static_cast<PieceType>(type);
            if (piece_type == PieceType::unknown) {
                if (++unknowns > 1) throw Error("more than one unknown piece", {.key = key});
                model.unk_id = id;
                out.unk_piece = piece;
            }
            model.vocabulary.add(piece, id);
            model.scores.push_back(score);
            model.types.push_back(piece_type);
        } else if (field.number == 2 && field.wire_type == 2) {
            for (ProtobufField f; inner.next(f);) {
                if (f.number == 3) model_type = number(f);
                if (f.number == 24) model.whitespace_as_suffix = flag(f);
                if (f.number == 35) model.byte_fallback = flag(f);
                if (f.number == 41) bos_id = number(f);
                if (f.number == 42) eos_id = number(f);
                if (f.number == 43) pad_id = number(f);
                if (f.number == 44 && f.wire_type == 2) out.unk_surface = f.bytes;
                if (f.number == 46 && f.wire_type == 2) bos = f.bytes;
                if (f.number == 47 && f.wire_type == 2) eos = f.bytes;
                if (f.number == 48 && f.wire_type == 2) pad = f.bytes;
            }
        } else if (field.number == 3 && field.wire_type == 2) {
            for (ProtobufField f; inner.next(f);) {
                if (f.number == 2 && f.wire_type == 2) charsmap = f.bytes;
                if (f.number == 3) model.add_dummy_prefix = flag(f);
                if (f.number == 4) model.remove_extra_whitespaces = flag(f);
                if (f.number == 5) model.escape_whitespaces = flag(f);
            }
        } else if (field.number == 5 && field.wire_type == 2) {
            for (ProtobufField f; inner.next(f);)
                if (f.number == 2 && !f.bytes.empty()) throw Error("rules for decoding are not supported", {.key = "denormalizer_spec.precompiled_charsmap"});
        }
    }
    if (unknowns == 0) throw Error("no unknown piece is defined", {.key = "pieces"});
    if (model.types.size() < 2) throw Error("no pieces but the unknown one", {.key = "pieces"});
    if (model_type < 1 || model_type > 4) throw Error("unknown type of model", {.key = "trainer_spec.model_type", .expected = "1 to 4", .found = std::to_string(model_type)});
    model.method = static_cast<SentencePieceMethod>(model_type);
    if (!charsmap.empty()) {
        try {
            model.charsmap = Charsmap(charsmap);
        } catch (const Error& e) {
            throw Error(e.reason(), {.key = "normalizer_spec.precompiled_charsmap", .expected = e.expected(), .found = e.found()});
        }
    }
    model.vocabulary.finish();
    model.vocabulary.for_each([&](std::string_view piece, TokenId id) {
        if (model.types[id] != PieceType::byte) return;
        if (!model.byte_fallback) throw Error("byte piece, but byte_fallback is off", {.key = "pieces[" + std::to_string(id) + "]"});
        const auto byte = detail::named_byte(piece);
        if (!byte) throw Error("byte piece names no byte", {.key = "pieces[" + std::to_string(id) + "]", .expected = "<0x00> to <0xFF>", .found = "'" + std::string(piece.substr(0, 60)) + "'"});
    });
    prepare(model);
    const auto role = [&](const std::string& piece, std::int64_t id, std::optional<std::string>& to) {
        if (const auto found = model.vocabulary.id(piece); found && id >= 0 && model.types[*found] == PieceType::control) to = piece;
    };
    role(bos, bos_id, out.bos), role(eos, eos_id, out.eos), role(pad, pad_id, out.pad);
    return out;
}

// The begin-of-text token goes in front unless tokenizer_config.json says add_bos_token: false. Throws Error.
inline TokenizerParts load_sentencepiece(const std::filesystem::path& file, const TokenizerSideFiles& side) {
    SentencePieceFile read;
    try {
        const MappedFile mapped(file);
        if (const std::string guess = detail::seems_to_be(mapped.text()); !guess.empty()) throw Error("not a SentencePiece model", {.found = guess});
        read = parse_sentencepiece(mapped.text());
    } catch (const Error& e) {
        throw e.in_file(file);
    }
    TokenizerParts parts;
    parts.special_tokens = {.bos = read.bos, .eos = read.eos, .unk = read.unk_piece, .pad = read.pad};
    SentencePiece& model = read.model;
    parts.decoded_as.emplace(model.unk_id, read.unk_surface);
    for (std::size_t id = 0; id < model.types.size(); ++id)
        if (model.types[id] == PieceType::control) parts.decoded_as.emplace(static_cast<TokenId>(id), "");
    parts.decoders = {SentencePieceDecoder{model.add_dummy_prefix || model.remove_extra_whitespaces, model.remove_extra_whitespaces}};
    parts.model = std::move(model);
    apply_roles(side, parts);
    const auto wants = [&](const char* name, bool otherwise) { return side.has_config() ? side.config().get_or(name, otherwise) : otherwise; };
    TemplateProcessing t;
    const auto special = [&](const std::optional<std::string>& token, std::uint32_t type) {
        const auto id = token ? vocabulary_of(parts.model).id(*token) : std::nullopt;
        if (id) t.pair.push_back(special_piece(*token, *id, type));
    };
    for (const std::size_t sequence : {std::size_t{0}, std::size_t{1}}) {
        const auto type = static_cast<std::uint32_t>(sequence);
        if (wants("add_bos_token", true)) special(parts.special_tokens.bos, type);
        t.pair.push_back(sequence_piece(sequence, type));
        if (wants("add_eos_token", false)) special(parts.special_tokens.eos, type);
        if (sequence == 0) t.single = t.pair;
    }
    parts.post_processors = {std::move(t)};
    if (side.has_config() || side.added_tokens.is_object()) add_side_tokens(side, parts);
    return parts;
}

}  // namespace morsel
