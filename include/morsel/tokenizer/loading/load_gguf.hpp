// The tokenizer in a GGUF file's metadata (tokenizer.ggml.*) → TokenizerParts. Kinds: "gpt2" (byte-level BPE, split as
// tokenizer.ggml.pre names it), "llama" and "t5" (SentencePiece's BPE and unigram) and "bert" (WordPiece). The result follows the model's original
// Hugging Face tokenizer, not llama.cpp's approximation, where the two differ (NFC for Qwen2, accents for BERT).
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/formats/gguf.hpp"
#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/loading/gguf_pre_tokenizers.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

namespace detail {

struct GgufVocabulary {
    const GgufFile& file;
    std::span<const std::string_view> tokens;  // [id]
    std::vector<std::int32_t> types;           // [id] as PieceType; empty: all normal

    PieceType type(std::size_t id) const { return types.empty() ? PieceType::normal : static_cast<PieceType>(types[id]); }
    Error error(std::string key, std::string reason, std::string expected = {}, std::string found = {}) const {
        return Error(std::move(reason), {.file = file.path().string(), .key = std::move(key), .expected = std::move(expected), .found = std::move(found)});
    }
    // The token that a metadata key names by its id.
    std::optional<std::string> role(std::string_view key) const {
        const auto id = file.get_if<std::uint32_t>(key);
        if (!id || *id == 0xffffffffu) return std::nullopt;
        if (*id >= tokens.size()) throw error(std::string(key), "id out of range", "below " + std::to_string(tokens.size()), std::to_string(*id));
        return std::string(tokens[*id]);
    }
};

inline void gguf_bpe(const GgufVocabulary& v, TokenizerParts& parts, const RegexCompiler& compiler) {
    Bpe bpe;
    bpe.vocabulary.reserve(v.tokens.size());
    for (std::size_t id = 0; id < v.tokens.size(); ++id) bpe.vocabulary.add(v.tokens[id], static_cast<TokenId>(id));
    bpe.vocabulary.finish();
    const auto merges = v.file.get<std::span<const std::string_view>>("tokenizer.ggml.merges");
    bpe.merges.reserve(merges.size());
    for (std::size_t i = 0; i < merges.size(); ++i) {
        const std::size_t space = merges[i].find(' ', 1);  // a merge may begin with the space itself only in broken files
        const std::string key = "tokenizer.ggml.merges[" + std::to_string(i) + "]";
        if (space == std::string_view::npos || space + 1 == merges[i].size()) throw v.error(key, "wrong merge", "two tokens with a space between", std::string(merges[i].substr(0, 60)));
        try {
            add_merge(bpe, {merges[i].substr(0, space), merges[i].substr(space + 1)}, static_cast<std::uint32_t>(i));
        } catch (const Error& e) {
            throw v.error(key, e.reason(), e.expected(), e.found());
        }
    }
    const auto pre = v.file.get_or<std::string>("tokenizer.ggml.pre", "gpt-2");
    try {
        if (!gguf_pre_tokenizer(pre, compiler, parts, bpe)) throw Error("unknown pre-tokenizer", {.found = pre});
    } catch (const Error& e) {
        throw v.error("tokenizer.ggml.pre", e.reason(), e.expected(), e.found());
    }
    parts.decoders = {ByteLevelDecoder{}};
    parts.model = std::move(bpe);
}

inline void gguf_sentencepiece(const GgufVocabulary& v, TokenizerParts& parts, SentencePieceMethod method) {
    SentencePiece model;
    model.method = method;
    const auto scores = v.file.get<std::vector<float>>("tokenizer.ggml.scores");
    if (scores.size() != v.tokens.size())
        throw v.error("tokenizer.ggml.scores", "wrong length", std::to_string(v.tokens.size()), std::to_string(scores.size()));
    model.scores = scores;
    model.unk_id = v.file.get_or<std::uint32_t>("tokenizer.ggml.unknown_token_id", 0);
    if (model.unk_id >= v.tokens.size()) throw v.error("tokenizer.ggml.unknown_token_id", "id out of range", "below " + std::to_string(v.tokens.size()), std::to_string(model.unk_id));
    for (std::size_t id = 0; id < v.tokens.size(); ++id) {
        model.vocabulary.add(v.tokens[id], static_cast<TokenId>(id));
        // User-defined tokens are added tokens here, cut out of the text beforehand.
        const PieceType type = v.type(id);
        model.types.push_back(type == PieceType::user_defined ? PieceType::control : type);
        model.byte_fallback = model.byte_fallback || type == PieceType::byte;
    }
    model.vocabulary.finish();
    model.add_dummy_prefix = v.file.get_or("tokenizer.ggml.add_space_prefix", true);
    model.remove_extra_whitespaces = v.file.get_or("tokenizer.ggml.remove_extra_whitespaces", false);
    const GgufValue* const value = v.file.value("tokenizer.ggml.precompiled_charsmap");
    if (const auto* map = value != nullptr ? std::get_if<GgufArray>(value) : nullptr; map != nullptr && map->count > 0) {
        if (map->type > 1) throw v.error("tokenizer.ggml.precompiled_charsmap", "wrong type", "an array of bytes", gguf_type_text(*value));
        try {
            model.charsmap = Charsmap({reinterpret_cast<const char*>(map->bytes.data()), map->bytes.size()});
        } catch (const Error& e) {
            throw v.error("tokenizer.ggml.precompiled_charsmap", e.reason(), e.expected(), e.found());
        }
    }
    try {
        prepare(model);
    } catch (const Error& e) {
        throw v.error("tokenizer.ggml.tokens", e.reason(), e.expected(), e.found());
    }
    parts.decoders = {ReplaceDecoder{Pattern{"\u2581", std::string("\u2581")}, " "}, ByteFallbackDecoder{}, FuseDecoder{}};
    if (model.add_dummy_prefix) parts.decoders.emplace_back(StripDecoder{' ', 1, 0});
    parts.model = std::move(model);
}

// GGUF writes "▁word" for a token that begins a word and "piece" for "##piece".
inline void gguf_wordpiece(const GgufVocabulary& v, TokenizerParts& parts) {
    WordPiece model;
    bool has_capitals = false;
    for (std::size_t id = 0; id < v.tokens.size(); ++id) {
        const std::string_view token = v.tokens[id];
        const PieceType type = v.type(id);
        if (type == PieceType::control || type == PieceType::unknown || type == PieceType::unused || (token.starts_with('[') && token.ends_with(']'))) {
            model.vocabulary.add(token, static_cast<TokenId>(id));
            continue;
        }
        for (const char c : token) has_capitals = has_capitals || (c >= 'A' && c <= 'Z');
        model.vocabulary.add(token.starts_with(space_symbol) ? std::string(token.substr(space_symbol.size())) : "##" + std::string(token), static_cast<TokenId>(id));
    }
    model.vocabulary.finish();
    find_longest_token(model);
    model.unk_token = parts.special_tokens.unk.value_or("[UNK]");
    parts.normalizer.emplace().steps.emplace_back(BertNormalizer{.lowercase = !has_capitals});
    parts.pre_tokenizer.emplace().steps.emplace_back(BertPreTokenizer{});
    parts.decoders = {WordPieceDecoder{}};
    parts.model = std::move(model);
}

}  // namespace detail

// Throws Error.
inline TokenizerParts load_gguf_tokenizer(const GgufFile& file, const TokenizerOptions& options = {}) {
    const auto kind = file.get<std::string>("tokenizer.ggml.model");
    detail::GgufVocabulary v{file, file.get<std::span<const std::string_view>>("tokenizer.ggml.tokens"), {}};
    if (v.tokens.size() > 0xffffffffu) throw v.error("tokenizer.ggml.tokens", "too many tokens");
    if (auto types = file.get_if<std::vector<std::int32_t>>("tokenizer.ggml.token_type")) v.types = *std::move(types);
    if (!v.types.empty() && v.types.size() != v.tokens.size())
        throw v.error("tokenizer.ggml.token_type", "wrong length", std::to_string(v.tokens.size()), std::to_string(v.types.size()));

    TokenizerParts parts;
    SpecialTokens& special = parts.special_tokens;
    special.bos = v.role("tokenizer.ggml.bos_token_id");
    special.eos = v.role("tokenizer.ggml.eos_token_id");
    special.unk = v.role("tokenizer.ggml.unknown_token_id");
    special.sep = v.role("tokenizer.ggml.seperator_token_id");  // spelt so in files
    if (!special.sep) special.sep = v.role("tokenizer.ggml.separator_token_id");
    special.pad = v.role("tokenizer.ggml.padding_token_id");
    special.cls = v.role("tokenizer.ggml.cls_token_id");
    special.mask = v.role("tokenizer.ggml.mask_token_id");
    parts.chat_template = file.get_or<std::string>("tokenizer.chat_template", "");

    if (kind == "gpt2") detail::gguf_bpe(v, parts, options.regex);
    else if (kind == "llama") detail::gguf_sentencepiece(v, parts, SentencePieceMethod::bpe);
    else if (kind == "t5") detail::gguf_sentencepiece(v, parts, SentencePieceMethod::unigram);
    else if (kind == "bert") detail::gguf_wordpiece(v, parts);
    else throw v.error("tokenizer.ggml.model", "tokenizer not supported yet", "gpt2, llama, bert or t5", kind);

    // Phi-3's special tokens swallow white space behind them, which GGUF cannot say.
    auto name = file.get_or<std::string>("general.name", "");
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool phi3 = kind == "llama" && (name.find("phi-3") != name.npos || name.find("phi3") != name.npos);
    for (std::size_t id = 0; id < v.tokens.size(); ++id) {
        const PieceType type = v.type(id);
        const std::string_view token = v.tokens[id];
        if (type != PieceType::control && type != PieceType::user_defined && !(type == PieceType::unknown && kind != "bert")) continue;
        const bool rstrip = phi3 && token != "<unk>" && token != "<s>" && token != "<|endoftext|>";
        parts.added_tokens.add({.content = std::string(token), .rstrip = rstrip, .special = type != PieceType::user_defined}, vocabulary_of(parts.model));
    }
    if (kind == "bert") {
        const auto add = [&](const std::optional<std::string>& token) {
            if (token) parts.added_tokens.add({.content = *token, .special = true}, vocabulary_of(parts.model));
        };
        if (!special.cls) special.cls = special.bos;
        add(special.cls), add(special.sep), add(special.pad), add(special.unk), add(special.mask);
    }

    const Vocabulary& vocabulary = vocabulary_of(parts.model);
    const bool add_bos = file.get_or("tokenizer.ggml.add_bos_token", kind == "llama" || file.get_or<std::string>("tokenizer.ggml.pre", "") == "llama-bpe");
    const bool add_eos = file.get_or("tokenizer.ggml.add_eos_token", kind == "t5");
    if (kind == "bert") {
        if (special.cls && special.sep) parts.post_processors = {bert_template(*special.cls, *vocabulary.id(*special.cls), *special.sep, *vocabulary.id(*special.sep))};
    } else if ((add_bos && special.bos) || (add_eos && special.eos)) {
        TemplateProcessing t;
        for (const std::size_t sequence : {std::size_t{0}, std::size_t{1}}) {
            const auto type = static_cast<std::uint32_t>(sequence);
            if (add_bos && special.bos) t.pair.push_back(special_piece(*special.bos, *vocabulary.id(*special.bos), type));
            t.pair.push_back(sequence_piece(sequence, type));
            if (add_eos && special.eos) t.pair.push_back(special_piece(*special.eos, *vocabulary.id(*special.eos), type));
            if (sequence == 0) t.single = t.pair;
        }
        parts.post_processors = {std::move(t)};
    }
    return parts;
}

}  // namespace morsel
