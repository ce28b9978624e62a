// From what a trainer learned to a whole tokenizer: the model, the normalizer and pre-tokenizer that the words were counted with, a decoder
// that undoes them, special tokens as added tokens, for WordPiece [CLS] and [SEP] around the text. tokenizer/saving writes it.
// And back: the vocabulary of a tokenizer as something to go on training with, and the splitting as text for tables of counts.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/saving/components_to_json.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"
#include "morsel/training/bpe_options.hpp"
#include "morsel/training/word_counter.hpp"
#include "morsel/training/wordpiece_options.hpp"

namespace morsel {

// The model of a tokenizer that encodes by these merges.
inline Bpe bpe_model(const LearnedBpe& learned) {
    Bpe model;
    model.continuing_subword_prefix = learned.continuing_subword_prefix;
    model.end_of_word_suffix = learned.end_of_word_suffix;
    model.vocabulary.reserve(learned.tokens.size());
    for (std::size_t id = 0; id < learned.tokens.size(); ++id) model.vocabulary.add(learned.tokens[id], static_cast<TokenId>(id));
    model.vocabulary.finish();
    for (std::uint32_t rank = 0; rank < learned.merges.size(); ++rank)
        model.merges.set(pack_pair(learned.merges[rank].left, learned.merges[rank].right), {rank, learned.merges[rank].id});
    return model;
}

// The model of a tokenizer that takes the longest token first.
inline WordPiece wordpiece_model(std::span<const std::string> tokens, std::string unk_token = "[UNK]", std::string prefix = "##") {
    WordPiece model;
    model.unk_token = std::move(unk_token);
    model.continuing_subword_prefix = std::move(prefix);
    for (std::size_t id = 0; id < tokens.size(); ++id) model.vocabulary.add(tokens[id], static_cast<TokenId>(id));
    model.vocabulary.finish();
    find_longest_token(model);
    return model;
}

namespace detail {

inline TokenizerParts trained_parts(TokenizationModel model, const WordSplitting& splitting, std::span<const std::string> special_tokens) {
    TokenizerParts parts;
    parts.normalizer = splitting.normalizer;
    parts.pre_tokenizer = splitting.pre_tokenizer;
    parts.model = std::move(model);
    for (const std::string& token : special_tokens) parts.added_tokens.add({.content = token, .special = true}, vocabulary_of(parts.model));
    // Roles by the names that are in use.
    const auto role = [&](std::optional<std::string>& of, std::initializer_list<const char*> names) {
        for (const char* name : names)
            if (!of && std::find(special_tokens.begin(), special_tokens.end(), name) != special_tokens.end()) of = name;
    };
    SpecialTokens& roles = parts.special_tokens;
    role(roles.bos, {"<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"}), role(roles.eos, {"</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"});
    role(roles.unk, {"[UNK]", "<unk>"}), role(roles.sep, {"[SEP]"}), role(roles.pad, {"[PAD]", "<pad>"}), role(roles.cls, {"[CLS]"}), role(roles.mask, {"[MASK]", "<mask>"});
    return parts;
}

}  // namespace detail

// A BPE tokenizer. Characters that were never seen are the unknown token, where the special tokens have one ("[UNK]", "<unk>").
inline TokenizerParts bpe_tokenizer(const LearnedBpe& learned, const WordSplitting& splitting, std::span<const std::string> special_tokens = {}) {
    TokenizerParts parts = detail::trained_parts(bpe_model(learned), splitting, special_tokens);
    const bool bytes = splitting.pre_tokenizer && !splitting.pre_tokenizer->steps.empty() && std::holds_alternative<ByteLevelPreTokenizer>(splitting.pre_tokenizer->steps.back());
    if (!bytes) std::get<Bpe>(parts.model).unk_token = parts.special_tokens.unk;
    const MetaspacePreTokenizer* spaces = nullptr;
    if (splitting.pre_tokenizer)
        for (const auto& step : splitting.pre_tokenizer->steps)
            if (const auto* m = std::get_if<MetaspacePreTokenizer>(&step)) spaces = m;
    if (bytes) parts.decoders = {ByteLevelDecoder{}};
    else if (spaces != nullptr) parts.decoders = {MetaspaceDecoder{spaces->replacement, spaces->prepend != MetaspacePreTokenizer::Prepend::never}};
    else if (!learned.end_of_word_suffix.empty()) parts.decoders = {BpeDecoder{learned.end_of_word_suffix}};
    else if (!learned.continuing_subword_prefix.empty()) parts.decoders = {WordPieceDecoder{.prefix = learned.continuing_subword_prefix}};
    else if (!splitting.pre_tokenizer) parts.decoders = {FuseDecoder{}};
    else parts.decoders = {JoinDecoder{}};
    return parts;
}

// A WordPiece tokenizer. `options` are those it was trained with.
inline TokenizerParts wordpiece_tokenizer(const LearnedWordPiece& learned, const WordSplitting& splitting, const WordPieceTrainerOptions& options = {}) {
    WordPiece model = wordpiece_model(learned.tokens, "[UNK]", options.continuing_subword_prefix);
    TokenizerParts parts = detail::trained_parts(std::move(model), splitting, options.special_tokens);
    if (parts.special_tokens.unk) std::get<WordPiece>(parts.model).unk_token = *parts.special_tokens.unk;
    parts.decoders = {WordPieceDecoder{.prefix = options.continuing_subword_prefix}};
    const auto &cls = parts.special_tokens.cls, &sep = parts.special_tokens.sep;
    if (cls && sep) parts.post_processors = {bert_template(*cls, *vocabulary_of(parts.model).id(*cls), *sep, *vocabulary_of(parts.model).id(*sep))};
    return parts;
}

namespace detail {

// Tokens by id, added ones among them. Throws Error where ids have gaps.
inline std::vector<std::string> tokens_by_id(const Vocabulary& vocabulary, const AddedTokens& added) {
    std::size_t bound = vocabulary.id_bound();
    for (const AddedToken& token : added.tokens()) bound = std::max(bound, std::size_t{token.id} + 1);
    if (bound > vocabulary.size() + added.tokens().size()) throw Error("ids have gaps", {.key = "model.vocab"});
    std::vector<std::string> tokens(bound);
    vocabulary.for_each([&](std::string_view token, TokenId id) { tokens[id] = token; });
    for (const AddedToken& token : added.tokens()) tokens[token.id] = token.content;
    for (std::size_t id = 0; id < bound; ++id)
        if (tokens[id].empty()) throw Error("ids have gaps", {.key = "model.vocab", .found = "none for " + std::to_string(id)});
    return tokens;
}

}  // namespace detail

// The tokens of a WordPiece tokenizer by id, to go on training with. Throws Error for other models, and where ids have gaps.
inline std::vector<std::string> wordpiece_tokens(const TokenizerParts& parts) {
    const auto* wordpiece = std::get_if<WordPiece>(&parts.model);
    if (wordpiece == nullptr) throw Error("not a WordPiece tokenizer", {.key = "model"});
    return detail::tokens_by_id(wordpiece->vocabulary, parts.added_tokens);
}

// The vocabulary of a BPE tokenizer, to go on training with: added tokens keep their ids, too. Throws Error for other models, and where ids
// have gaps.
inline LearnedBpe learned_bpe(const TokenizerParts& parts) {
    const auto* bpe = std::get_if<Bpe>(&parts.model);
    if (bpe == nullptr) throw Error("not a BPE tokenizer", {.key = "model"});
    LearnedBpe out{.continuing_subword_prefix = bpe->continuing_subword_prefix, .end_of_word_suffix = bpe->end_of_word_suffix};
    out.tokens = detail::tokens_by_id(bpe->vocabulary, parts.added_tokens);
    std::vector<std::pair<std::uint32_t, LearnedMerge>> ranked;
    bpe->merges.for_each([&](std::uint64_t pair, const Merge& merge) {
        ranked.push_back({merge.rank, {static_cast<TokenId>(pair >> 32), static_cast<TokenId>(pair), merge.id, 0}});
    });
    std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [rank, merge] : ranked) out.merges.push_back(merge);
    return out;
}

// How words are split, as the two objects that a tokenizer.json has for it. Throws Error where it cannot be written.
inline std::string splitting_json(const WordSplitting& splitting) {
    std::vector<OrderedJson> normalizer, pre_tokenizer;
    if (splitting.normalizer) normalizer = detail::steps_json(splitting.normalizer->steps);
    if (splitting.pre_tokenizer) pre_tokenizer = detail::steps_json(splitting.pre_tokenizer->steps);
    return OrderedJson{{"normalizer", detail::sequence_json(std::move(normalizer), "normalizers")}, {"pre_tokenizer", detail::sequence_json(std::move(pre_tokenizer), "pretokenizers")}}.dump();
}

// The same, read. `name` is told in Errors.
inline WordSplitting splitting_from_json(std::string_view text, const std::string& name, const RegexCompiler& regex = {}) {
    WordSplitting splitting;
    const Json json = parse_json(text, name);
    const JsonObject root(json, name);
    if (json.contains("normalizer") && !json["normalizer"].is_null()) splitting.normalizer = normalizer_from_json(root.object("normalizer"), regex);
    if (json.contains("pre_tokenizer") && !json["pre_tokenizer"].is_null()) splitting.pre_tokenizer = pre_tokenizer_from_json(root.object("pre_tokenizer"), regex);
    return splitting;
}

}  // namespace morsel
