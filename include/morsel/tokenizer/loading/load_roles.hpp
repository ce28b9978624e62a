// The small files beside a vocabulary: tokenizer_config.json, special_tokens_map.json, added_tokens.json, chat_template.jinja. They
// say which tokens have a role, add tokens, and hold the chat template. All of them are optional.
#pragma once
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

namespace detail {

// A token is written as its string, or as an object with "content".
inline std::optional<std::string> role_token(const JsonObject& object, std::string_view name) {
    if (!object.has(name)) return std::nullopt;
    const Json& value = object.at(name);
    if (value.is_object()) return object.object(name).get<std::string>("content");
    return json_value<std::string>(value, object.file(), object.path_of(name));
}

inline constexpr std::pair<std::string_view, std::optional<std::string> SpecialTokens::*> roles[] = {
    {"bos_token", &SpecialTokens::bos}, {"eos_token", &SpecialTokens::eos}, {"unk_token", &SpecialTokens::unk},   {"sep_token", &SpecialTokens::sep},
    {"pad_token", &SpecialTokens::pad}, {"cls_token", &SpecialTokens::cls}, {"mask_token", &SpecialTokens::mask}};

inline bool is_file(const std::filesystem::path& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error);
}

}  // namespace detail

// The optional JSON files of a directory; null where one is missing.
struct TokenizerSideFiles {
    Json tokenizer_config = nullptr, special_tokens_map = nullptr, added_tokens = nullptr;
    std::filesystem::path directory = {};
    bool has_config() const { return tokenizer_config.is_object(); }
    JsonObject config() const { return JsonObject(tokenizer_config, directory / "tokenizer_config.json"); }
};

inline TokenizerSideFiles read_side_files(const std::filesystem::path& directory) {
    TokenizerSideFiles files;
    files.directory = directory;
    const auto read = [&](const char* name, Json& to) {
        if (detail::is_file(directory / name)) to = parse_json_file(directory / name);
    };
    read("tokenizer_config.json", files.tokenizer_config);
    read("special_tokens_map.json", files.special_tokens_map);
    read("added_tokens.json", files.added_tokens);
    return files;
}

// Sets roles, chat template and limits. Roles that the files do not name stay as they are. Throws Error on wrong types.
inline void apply_roles(const TokenizerSideFiles& files, TokenizerParts& parts) {
    const auto roles_of = [&](const Json& json, const char* name) {
        if (!json.is_object()) return;
        const JsonObject object(json, files.directory / name);
        for (const auto& [key, member] : detail::roles)
            if (auto token = detail::role_token(object, key)) parts.special_tokens.*member = std::move(token);
    };
    roles_of(files.special_tokens_map, "special_tokens_map.json");
    roles_of(files.tokenizer_config, "tokenizer_config.json");
    if (files.has_config()) {
        const JsonObject config = files.config();
        parts.clean_up_tokenization_spaces = config.get_or("clean_up_tokenization_spaces", parts.clean_up_tokenization_spaces);
        // Published files write "no limit" as 1e30.
        if (config.has("model_max_length") && config.at("model_max_length").is_number_unsigned()) parts.model_max_length = config.get<std::size_t>("model_max_length");
        if (config.has("chat_template")) {
            const Json& value = config.at("chat_template");
            if (value.is_string()) {
                parts.chat_template = value.get<std::string>();
            } else {  // several templates by name; "default" is the one
                for (const JsonObject& one : detail::objects_of(config, "chat_template"))
                    if (parts.chat_template.empty() || one.get<std::string>("name") == "default") parts.chat_template = one.get<std::string>("template");
            }
        }
    }
    if (detail::is_file(files.directory / "chat_template.jinja")) parts.chat_template = read_file(files.directory / "chat_template.jinja");
}

namespace detail {

// added_tokens_decoder of tokenizer_config.json, in order of its ids. Throws Error.
inline std::vector<std::pair<TokenId, AddedToken>> tokens_of_config(const TokenizerSideFiles& files) {
    std::vector<std::pair<TokenId, AddedToken>> tokens;
    if (!files.has_config() || !files.config().has("added_tokens_decoder")) return tokens;
    const JsonObject decoder = files.config().object("added_tokens_decoder");
    for (const auto& [key, value] : decoder.json().items()) {
        TokenId id = 0;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc{} || end != key.data() + key.size()) throw decoder.error(key, "wrong key", "a token id");
        tokens.emplace_back(id, added_token_from_json(decoder.object(key)));
    }
    std::stable_sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    return tokens;
}

inline bool is_added(const TokenizerParts& parts, std::string_view content) {
    const auto& tokens = parts.added_tokens.tokens();
    return std::any_of(tokens.begin(), tokens.end(), [&](const AddedToken& t) { return t.content == content; });
}

}  // namespace detail

// What tokenizer_config.json adds to a tokenizer.json, as transformers does: the tokens of added_tokens_decoder, whose flags hold where
// both name a token (its id stays, and a new one gets the next free id, whatever the key says); then, as special tokens, those with a
// role and the lists of further special tokens. Throws Error.
inline void add_config_tokens(const TokenizerSideFiles& files, TokenizerParts& parts) {
    const Vocabulary& vocabulary = vocabulary_of(parts.model);
    for (auto& [id, token] : detail::tokens_of_config(files)) parts.added_tokens.add(std::move(token), vocabulary);
    const auto add_special = [&](const std::string& content) {
        if (!detail::is_added(parts, content)) parts.added_tokens.add({.content = content, .special = true}, vocabulary);
    };
    const auto named = [&](const Json& json, const char* name, std::string_view key) {
        if (!json.is_object()) return;
        if (const auto token = detail::role_token(JsonObject(json, files.directory / name), key)) add_special(*token);
    };
    for (const auto& [key, member] : detail::roles) {
        named(files.special_tokens_map, "special_tokens_map.json", key);
        named(files.tokenizer_config, "tokenizer_config.json", key);
    }
    // The second name is the older one.
    const char* const key = files.has_config() && files.config().has("extra_special_tokens") ? "extra_special_tokens" : "additional_special_tokens";
    if (files.has_config() && files.config().has(key)) {
        const Json& list = files.config().at(key);
        for (const auto& [name, value] : list.items()) {  // a list, or names and tokens
            if (value.is_string()) add_special(value.get<std::string>());
            else if (value.is_object()) add_special(JsonObject(value, files.directory / "tokenizer_config.json", key).get<std::string>("content"));
            else throw files.config().error(key, "wrong value", "tokens", json_text(value));
        }
    }
}

// Tokens that these files add to a vocabulary, in order of their ids. For vocabularies without a tokenizer.json, which names its own.
inline void add_side_tokens(const TokenizerSideFiles& files, TokenizerParts& parts) {
    const Vocabulary& vocabulary = vocabulary_of(parts.model);
    std::vector<std::pair<TokenId, AddedToken>> tokens = detail::tokens_of_config(files);
    if (files.added_tokens.is_object()) {
        const JsonObject object(files.added_tokens, files.directory / "added_tokens.json");
        for (const auto& [content, value] : files.added_tokens.items()) {
            const TokenId id = object.get<TokenId>(content);
            const bool known = std::any_of(tokens.begin(), tokens.end(), [&, &text = content](const auto& t) { return t.second.content == text; });
            if (!known) tokens.emplace_back(id, AddedToken{.content = content, .normalized = true});
        }
    }
    std::stable_sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [id, token] : tokens) {
        const std::string content = token.content;
        parts.added_tokens.add(std::move(token), vocabulary);
        if (parts.added_tokens.id(content) != id)
            throw Error("added token cannot have this id", {.file = (files.directory / "added_tokens.json").string(), .key = content, .expected = std::to_string(*parts.added_tokens.id(content)), .found = std::to_string(id)});
    }
    // Tokens with a role are special, and taken out of the text as they stand.
    for (const auto& [key, member] : detail::roles) {
        const auto& token = parts.special_tokens.*member;
        if (token && !token->empty() && !detail::is_added(parts, *token)) parts.added_tokens.add({.content = *token, .special = true}, vocabulary);
    }
}

}  // namespace morsel
