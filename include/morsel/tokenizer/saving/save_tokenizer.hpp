// Saving a tokenizer: tokenizer.json as Hugging Face tokenizers reads it back, and the older files of BPE (vocab.json, merges.txt) and
// WordPiece (vocab.txt). All files are written whole under a temporary name and then renamed. Loading what was saved gives equal parts and
// equal encodings. What a format cannot express is an Error that names the part, and nothing is written.
// The roles of tokens, the chat template and the like stand in tokenizer_config.json, not in tokenizer.json: see save_tokenizer.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/file_replacement.hpp"
#include "morsel/tokenizer/loading/load_roles.hpp"
#include "morsel/tokenizer/loading/tokenizer_json_reader.hpp"
#include "morsel/tokenizer/saving/bpe_from_sentencepiece.hpp"
#include "morsel/tokenizer/saving/components_to_json.hpp"
#include "morsel/tokenizer/tokenizer.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

namespace detail {

inline std::string json_quoted(std::string_view text) {
    if (!unicode::is_valid_utf8(text)) throw Error("a token is no UTF-8, which JSON cannot hold", {.key = "model.vocab", .found = unicode::to_valid_utf8(text)});
    return OrderedJson(text).dump();
}

struct VocabularyEntry {
    std::string_view token;
    TokenId id;
};

// In order of ids; of two tokens with one id the later one last, so that it holds again when read.
inline std::vector<VocabularyEntry> sorted_vocabulary(const Vocabulary& vocabulary) {
    std::vector<VocabularyEntry> entries;
    entries.reserve(vocabulary.size());
    vocabulary.for_each([&](std::string_view token, TokenId id) { entries.push_back({token, id}); });
    std::stable_sort(entries.begin(), entries.end(), [](const VocabularyEntry& a, const VocabularyEntry& b) { return a.id < b.id; });
    return entries;
}

// {"a": 0, ...}; each entry on a line that begins with `indent`.
inline std::string vocabulary_json(const Vocabulary& vocabulary, std::string_view indent) {
    std::string out = "{";
    const char* before = "\n";
    for (const auto& [token, id] : sorted_vocabulary(vocabulary)) {
        out.append(std::exchange(before, ",\n")).append(indent).append("  ").append(json_quoted(token));
        out.append(": ").append(std::to_string(id));
    }
    return out.append(out.size() > 1 ? "\n" + std::string(indent) : "").append("}");
}

// The merges in order of their ranks. Throws Error where strings cannot name them: tokens that share an id.
inline std::vector<MergeRule> merge_rules(const Bpe& bpe) {
    struct Ranked {
        std::uint64_t pair;
        Merge merge;
    };
    std::vector<Ranked> ranked;
    ranked.reserve(bpe.merges.size());
    bpe.merges.for_each([&](std::uint64_t pair, const Merge& merge) { ranked.push_back({pair, merge}); });
    std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) { return a.merge.rank != b.merge.rank ? a.merge.rank < b.merge.rank : a.pair < b.pair; });
    std::vector<MergeRule> rules;
    rules.reserve(ranked.size());
    std::string result;
    for (const auto& [pair, merge] : ranked) {
        const auto left = bpe.vocabulary.token(static_cast<TokenId>(pair >> 32)), right = bpe.vocabulary.token(static_cast<TokenId>(pair));
        const std::size_t prefix = bpe.continuing_subword_prefix.size();
        const bool named = left && right && right->size() >= prefix;
        if (named) result.assign(*left).append(right->substr(prefix));
        if (!named || bpe.vocabulary.id(result) != merge.id) throw Error("a merge cannot be named by its tokens", {.key = "model.merges", .found = "rank " + std::to_string(merge.rank)});
        rules.push_back({*left, *right});
    }
    return rules;
}

// A number that the reference reads back as the same double. Its reading is a little off (reference_number), so the text that does it may be
// that of a neighbour.
inline std::string number_json(double value) {
    if (!std::isfinite(value)) throw Error("a score is no finite number", {.key = "model.vocab"});
    const auto text_of = [](double number) {
        char text[32];
        const std::string out(text, std::to_chars(text, text + sizeof text, number).ptr);
        return out.find_first_of(".e") == out.npos ? out + ".0" : out;
    };
    double below = value, above = value;
    for (int i = 0; i < 4; ++i) {
        for (const double candidate : {below, above})
            if (std::string text = text_of(candidate); reference_number(text) == value) return text;
        below = std::nextafter(below, -HUGE_VAL), above = std::nextafter(above, HUGE_VAL);
    }
    return text_of(value);
}

inline OrderedJson or_null(const std::optional<std::string>& text) { return text ? OrderedJson(*text) : OrderedJson(nullptr); }
inline OrderedJson text_or_null(const std::string& text) { return text.empty() ? OrderedJson(nullptr) : OrderedJson(text); }

// The fields of a model before its vocabulary, the vocabulary, and for BPE the merges, as the inside of a JSON object.
inline std::string model_json(const Bpe& bpe) {
    const OrderedJson fields = {{"type", "BPE"}, {"dropout", bpe.dropout == 0 ? OrderedJson(nullptr) : OrderedJson(bpe.dropout)}, {"unk_token", or_null(bpe.unk_token)}, {"continuing_subword_prefix", text_or_null(bpe.continuing_subword_prefix)},
                                {"end_of_word_suffix", text_or_null(bpe.end_of_word_suffix)}, {"fuse_unk", bpe.fuse_unk}, {"byte_fallback", bpe.byte_fallback}, {"ignore_merges", bpe.ignore_merges}};
    std::string out = fields.dump();
    out.pop_back();
    out.append(",\n    \"vocab\": ").append(vocabulary_json(bpe.vocabulary, "    ")).append(",\n    \"merges\": [");
    const char* before = "\n";
    for (const MergeRule& rule : merge_rules(bpe)) out.append(std::exchange(before, ",\n")).append("      [").append(json_quoted(rule.left)).append(",").append(json_quoted(rule.right)).append("]");
    return out.append("\n    ]}");
}
inline std::string with_vocabulary(const OrderedJson& fields, const Vocabulary& vocabulary) {
    std::string out = fields.dump();
    out.pop_back();
    return out.append(",\n    \"vocab\": ").append(vocabulary_json(vocabulary, "    ")).append("}");
}
inline std::string model_json(const WordPiece& m) {
    return with_vocabulary({{"type", "WordPiece"}, {"unk_token", m.unk_token}, {"continuing_subword_prefix", m.continuing_subword_prefix}, {"max_input_chars_per_word", m.max_input_chars_per_word}}, m.vocabulary);
}
inline std::string model_json(const WordLevel& m) { return with_vocabulary({{"type", "WordLevel"}, {"unk_token", m.unk_token}}, m.vocabulary); }
inline std::string model_json(const Characters&) { throw Error("tokenizer.json has no model of characters", {.key = "model"}); }
inline std::string model_json(const Bytes&) { throw Error("tokenizer.json has no model of bytes", {.key = "model"}); }
inline std::string model_json(const Unigram& m) {
    const OrderedJson fields = {{"type", "Unigram"}, {"unk_id", m.unk_id ? OrderedJson(*m.unk_id) : OrderedJson(nullptr)}};
    std::string out = fields.dump();
    out.pop_back();
    out += ",\n    \"vocab\": [";
    const char* before = "\n";
    for (std::size_t id = 0; id < m.scores.size(); ++id) {
        const auto token = m.vocabulary.token(static_cast<TokenId>(id));
        if (!token) throw Error("an id has no token of its own", {.key = "model.vocab", .found = std::to_string(id)});
        out.append(std::exchange(before, ",\n")).append("      [").append(json_quoted(*token)).append(",").append(number_json(m.scores[id])).append("]");
    }
    return out.append("\n    ],\n    \"byte_fallback\": ").append(m.byte_fallback ? "true}" : "false}");
}

}  // namespace detail

// The text of a tokenizer.json. A SentencePiece BPE model is written with merges (bpe_from_sentencepiece.hpp). Throws Error.
inline std::string tokenizer_json(const TokenizerParts& parts) {
    std::vector<OrderedJson> normalizer, pre_tokenizer;
    if (parts.normalizer) normalizer = detail::steps_json(parts.normalizer->steps);
    if (parts.pre_tokenizer) pre_tokenizer = detail::steps_json(parts.pre_tokenizer->steps);
    std::string model;
    if (const auto* pieces = std::get_if<SentencePiece>(&parts.model)) {
        const ConvertedSentencePiece converted = bpe_from_sentencepiece(*pieces);
        if (!normalizer.empty() || !pre_tokenizer.empty()) throw Error("a SentencePiece model normalizes by itself", {.key = "normalizer"});
        normalizer = detail::steps_json(converted.normalizer.steps);
        model = detail::model_json(converted.model);
    } else {
        std::visit([&](const auto& m) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(m)>, SentencePiece>) model = detail::model_json(m);
        }, parts.model);
    }
    std::string out = "{\n  \"version\": \"1.0\"";
    const auto field = [&](const char* name, const OrderedJson& value) { out.append(",\n  \"").append(name).append("\": ").append(value.dump()); };
    field("truncation", parts.truncation ? detail::to_json(*parts.truncation) : OrderedJson(nullptr));
    field("padding", parts.padding ? detail::to_json(*parts.padding) : OrderedJson(nullptr));
    field("added_tokens", detail::to_json(parts.added_tokens, vocabulary_of(parts.model)));
    field("normalizer", detail::sequence_json(std::move(normalizer), "normalizers"));
    field("pre_tokenizer", detail::sequence_json(std::move(pre_tokenizer), "pretokenizers"));
    field("post_processor", detail::to_json(parts.post_processors));
    field("decoder", detail::sequence_json(detail::steps_json(parts.decoders), "decoders"));
    return out.append(",\n  \"model\": ").append(model).append("\n}\n");
}

// What tokenizer.json has no place for: the roles of tokens, the chat template, the length limit.
inline std::string tokenizer_config_json(const TokenizerParts& parts) {
    OrderedJson config = OrderedJson::object();
    for (const auto& [key, member] : detail::roles)
        if (const auto& token = parts.special_tokens.*member) config[std::string(key)] = *token;
    if (parts.model_max_length) config["model_max_length"] = *parts.model_max_length;
    config["clean_up_tokenization_spaces"] = parts.clean_up_tokenization_spaces;
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
    if (!parts.chat_template.empty()) config["chat_template"] = parts.chat_template;
    return config.dump(2) + "\n";
}

// Writes a tokenizer.json. Throws Error, and leaves what was there before, where the parts cannot be expressed or the file not be written.
inline void save_tokenizer_json(const TokenizerParts& parts, const std::filesystem::path& path) {
    std::string text;
    try {
        text = tokenizer_json(parts);
    } catch (const Error& e) {
        throw e.in_file(path);
    } catch (const OrderedJson::exception&) {
        throw Error("a string is no UTF-8, which JSON cannot hold", {.file = path.string()});
    }
    replace_file(path, text);
}
inline void save_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path) { save_tokenizer_json(tokenizer.parts(), path); }

// Writes vocab.json and merges.txt of a BPE model into a directory. They hold neither added tokens nor the way text is split.
// Throws Error for other models, and where a token holds what merges.txt cannot: white space, or nothing.
inline void save_vocab_merges(const TokenizerParts& parts, const std::filesystem::path& directory) {
    const auto* bpe = std::get_if<Bpe>(&parts.model);
    if (bpe == nullptr) throw Error("vocab.json and merges.txt hold BPE models only", {.file = (directory / "vocab.json").string()});
    std::string merges = "#version: 0.2\n";
    for (const MergeRule& rule : detail::merge_rules(*bpe)) {
        const std::string line = std::string(rule.left).append(" ").append(rule.right);
        if (line.find(' ') + 1 != line.size() - rule.right.size() || rule.right.find(' ') != rule.right.npos || line.find_first_of("\r\n") != line.npos || line.starts_with("#version"))
            throw Error("merges.txt cannot hold this merge", {.file = (directory / "merges.txt").string(), .found = "'" + line + "'"});
        merges += line + "\n";
    }
    const std::string vocabulary = detail::vocabulary_json(bpe->vocabulary, "") + "\n";
    replace_file(directory / "vocab.json", vocabulary);
    replace_file(directory / "merges.txt", merges);
}

// Writes the vocab.txt of a WordPiece model, a token a line. Throws Error for other models, and where ids have gaps or a token cannot
// stand on a line.
inline void save_vocab_txt(const TokenizerParts& parts, const std::filesystem::path& path) {
    const auto* wordpiece = std::get_if<WordPiece>(&parts.model);
    if (wordpiece == nullptr) throw Error("vocab.txt holds WordPiece models only", {.file = path.string()});
    std::string text;
    TokenId next = 0;
    for (const detail::VocabularyEntry& entry : detail::sorted_vocabulary(wordpiece->vocabulary)) {
        const std::string_view token = entry.token;
        const TokenId id = entry.id;
        const auto fail = [&](const char* what) { return Error(what, {.file = path.string(), .key = "'" + std::string(token.substr(0, 60)) + "'", .found = "id " + std::to_string(id)}); };
        if (id != next++) throw fail("vocab.txt needs ids without gaps");
        if (!unicode::is_valid_utf8(token)) throw fail("a token is no UTF-8");
        const std::size_t last = token.empty() ? 0 : unicode::previous_start(token, token.size());
        if (token.find('\n') != token.npos || (!token.empty() && unicode::is_white_space(unicode::decode(token, last).value))) throw fail("white space at the end of a token is lost in vocab.txt");
        text.append(token).append("\n");
    }
    replace_file(path, text);
}

// Writes tokenizer.json and tokenizer_config.json into a directory, which it makes where it is missing: what from_pretrained reads.
inline void save_tokenizer(const TokenizerParts& parts, const std::filesystem::path& directory) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) throw Error("cannot make the directory: " + error.message(), {.file = directory.string()});
    save_tokenizer_json(parts, directory / "tokenizer.json");
    replace_file(directory / "tokenizer_config.json", tokenizer_config_json(parts));
}
inline void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& directory) { save_tokenizer(tokenizer.parts(), directory); }

}  // namespace morsel
