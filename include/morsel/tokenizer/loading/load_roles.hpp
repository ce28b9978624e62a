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

// Tokens that these files add to a vocabulary, in order of their ids. For vocabularies without a tokenizer.json, which names its own.
inline void add_side_tokens(const TokenizerSideFiles& files, TokenizerParts& parts) {
    const Vocabulary& vocabulary = vocabulary_of(parts.model);
    std::vector<std::pair<TokenId, AddedToken>> tokens;
    const auto id_from = [](const std::string& text) {
        TokenId id = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
        return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(id) : std::nullopt;
    };
    if (files.has_config() && files.config().has("added_tokens_decoder")) {
        const JsonObject decoder = files.config().object("added_tokens_decoder");
        for (const auto& [key, value] : decoder.json().items()) {
            const auto id = id_from(key);
            if (!id) throw decoder.error(key, "wrong key", "a token id");
            tokens.emplace_back(*id, added_token_from_json(decoder.object(key)));
        }
    }
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
        if (!token || token->empty()) continue;
        const bool known = std::any_of(parts.added_tokens.tokens().begin(), parts.added_tokens.tokens().end(), [&](const AddedToken& t) { return t.content == *token; });
        if (!known) parts.added_tokens.add({.content = *token, .special = true}, vocabulary);
    }
}

}  // namespace morsel
