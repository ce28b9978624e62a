// tokenizer.json of Hugging Face tokenizers → TokenizerParts. What the reference refuses, or dies of, is an Error here; where it
// loads something odd (two tokens of one id, an added token with a wrong id) the result is the same as there.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "morsel/core/mapped_file.hpp"
#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/loading/tokenizer_json_reader.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

namespace detail {

inline Bpe bpe_from_json(TokenizerJson& json, const JsonObject& model) {
    if (!json.has_merges) throw model.error("merges", "missing");
    if (json.vocab_is_list) throw model.error("vocab", "wrong value", "an object", "an array");
    Bpe bpe;
    bpe.vocabulary = std::move(json.vocabulary);
    if (const auto dropout = model.find<double>("dropout"); dropout && *dropout != 0) {
        if (*dropout < 0 || *dropout > 1) throw model.error("dropout", "wrong value", "between 0 and 1", std::to_string(*dropout));
        bpe.dropout = *dropout;
    }
    bpe.unk_token = model.find<std::string>("unk_token");
    bpe.continuing_subword_prefix = model.get_or<std::string>("continuing_subword_prefix", "");
    bpe.end_of_word_suffix = model.get_or<std::string>("end_of_word_suffix", "");
    bpe.fuse_unk = model.get_or("fuse_unk", false);
    bpe.byte_fallback = model.get_or("byte_fallback", false);
    bpe.ignore_merges = model.get_or("ignore_merges", false);
    bpe.merges.reserve(json.merge_count());
    std::array<std::string_view, Vocabulary::batch> parts;
    std::array<std::optional<TokenId>, Vocabulary::batch> ids;
    for (std::size_t i = 0; i < json.merge_count(); ++i) {
        const std::size_t place = 2 * i % Vocabulary::batch;
        if (place == 0) {
            const std::size_t count = std::min(Vocabulary::batch, 2 * (json.merge_count() - i));
            for (std::size_t k = 0; k < count; ++k) parts[k] = json.merge_part(2 * i + k);
            bpe.vocabulary.ids({parts.data(), count}, ids.data());
        }
        const MergeRule rule{parts[place], parts[place + 1]};
        const auto name = [i] { return "merges[" + std::to_string(i) + "]"; };
        if (rule.left.empty() || rule.right.empty()) throw model.error(name(), "part of a merge is empty");
        try {
            add_merge(bpe, rule, ids[place], ids[place + 1], static_cast<std::uint32_t>(i));
        } catch (const Error& e) {
            throw model.error(name(), e.reason(), e.expected(), e.found());
        }
    }
    find_byte_tokens(bpe);
    return bpe;
}

inline WordPiece wordpiece_from_json(TokenizerJson& json, const JsonObject& model) {
    if (json.vocab_is_list) throw model.error("vocab", "wrong value", "an object", "an array");
    WordPiece wordpiece;
    wordpiece.vocabulary = std::move(json.vocabulary);
    wordpiece.unk_token = model.get_or<std::string>("unk_token", "[UNK]");
    wordpiece.continuing_subword_prefix = model.get_or<std::string>("continuing_subword_prefix", "##");
    wordpiece.max_input_chars_per_word = model.get_or<std::size_t>("max_input_chars_per_word", 100);
    find_longest_token(wordpiece);
    return wordpiece;
}

inline Unigram unigram_from_json(TokenizerJson& json, const JsonObject& model) {
    if (!json.vocab_is_list) throw model.error("vocab", "wrong value", "an array of [token, score]", "an object");
    Unigram unigram;
    unigram.vocabulary = std::move(json.vocabulary);
    unigram.scores = std::move(json.scores);
    unigram.unk_id = model.find<TokenId>("unk_id");
    if (unigram.unk_id && *unigram.unk_id >= unigram.scores.size())
        throw model.error("unk_id", "out of range", "below " + std::to_string(unigram.scores.size()), std::to_string(*unigram.unk_id));
    unigram.byte_fallback = model.get_or("byte_fallback", false);
    prepare(unigram);
    return unigram;
}

inline TokenizationModel model_from_json(TokenizerJson& json, const JsonObject& model) {
    if (!json.has_vocab) throw model.error("vocab", "missing");
    // Files older than the field "type" are recognised by what only one model has.
    const auto type = model.has("type") ? model.get<std::string>("type")
                      : json.has_merges ? "BPE"
                      : json.vocab_is_list ? "Unigram"
                      : model.has("max_input_chars_per_word") ? "WordPiece"
                                                              : "BPE";
    if (type == "BPE") return bpe_from_json(json, model);
    if (type == "WordPiece") return wordpiece_from_json(json, model);
    if (type == "Unigram") return unigram_from_json(json, model);
    if (type == "WordLevel") {
        if (json.vocab_is_list) throw model.error("vocab", "wrong value", "an object", "an array");
        return WordLevel{std::move(json.vocabulary), model.get_or<std::string>("unk_token", "<unk>")};
    }
    throw model.error("type", "unknown model", "BPE, WordPiece, Unigram or WordLevel", type);
}

}  // namespace detail

// `text` is the content of the file, `file` its name for messages. Throws Error.
inline TokenizerParts parse_tokenizer_json(std::string_view text, const std::filesystem::path& file, const TokenizerOptions& options = {}) {
    TokenizerJson json = read_tokenizer_json(text, file);
    const JsonObject root(json.tree, file);
    for (const auto& [key, value] : json.tree.items()) {
        static constexpr std::string_view known[] = {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"};
        bool is_known = false;
        for (const std::string_view one : known) is_known = is_known || one == key;
        if (!is_known) throw root.error(key, "unknown key");
    }
    if (const auto version = root.find<std::string>("version"); version && *version != "1.0") throw root.error("version", "unknown version", "1.0", *version);

    TokenizerParts parts;
    parts.model = detail::model_from_json(json, root.object("model"));
    // The roles stand in other files; only the unknown token is the model's own.
    if (const auto* bpe = std::get_if<Bpe>(&parts.model)) parts.special_tokens.unk = bpe->unk_token;
    else if (const auto* wordpiece = std::get_if<WordPiece>(&parts.model)) parts.special_tokens.unk = wordpiece->unk_token;
    else if (const auto* word_level = std::get_if<WordLevel>(&parts.model)) parts.special_tokens.unk = word_level->unk_token;
    if (root.has("normalizer")) parts.normalizer = normalizer_from_json(root.object("normalizer"), options.regex);
    if (root.has("pre_tokenizer")) parts.pre_tokenizer = pre_tokenizer_from_json(root.object("pre_tokenizer"), options.regex);
    if (root.has("post_processor")) parts.post_processors = post_processors_from_json(root.object("post_processor"));
    if (root.has("decoder")) parts.decoders = decoders_from_json(root.object("decoder"), options.regex);
    else parts.decoders.emplace_back(JoinDecoder{});
    if (root.has("truncation")) parts.truncation = truncation_from_json(root.object("truncation"));
    if (root.has("padding")) parts.padding = padding_from_json(root.object("padding"));
    if (root.has("added_tokens")) {
        for (const JsonObject& object : detail::objects_of(root, "added_tokens")) {
            object.get<TokenId>("id");  // must be one; its value is not used, see AddedTokens::add
            parts.added_tokens.add(added_token_from_json(object), vocabulary_of(parts.model));
        }
    }
    return parts;
}

inline TokenizerParts load_tokenizer_json(const std::filesystem::path& file, const TokenizerOptions& options = {}) {
    return parse_tokenizer_json(MappedFile(file).text(), file, options);
}

}  // namespace morsel
