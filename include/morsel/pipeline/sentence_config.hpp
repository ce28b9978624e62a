// What a sentence-transformers directory says of how texts become vectors: modules.json with the configurations of its modules,
// sentence_bert_config.json, config_sentence_transformers.json. A plain model directory has none of these files and gets mean pooling,
// as sentence_transformers does it. Modules: Transformer, Pooling, Dense, Normalize, StaticEmbedding; others are refused by name.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/sharded_weights.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

// A dense layer behind the pooling: y = activation(x · weightᵀ + bias).
struct DenseConfig {
    std::filesystem::path directory = {};  // of its weights
    std::size_t in_features = 0, out_features = 0;
    bool bias = true;
    Activation activation = Activation::none;
};

struct SentenceConfig {
    bool static_embedding = false;         // a table of token vectors in place of a transformer
    std::filesystem::path directory = {};  // of the transformer or the table
    std::vector<Pooling> pooling = {Pooling::mean_tokens};  // several: their results one after another
    bool include_prompt = true;            // whether a prompt's tokens are pooled
    // Behind the pooling, in order: dense layers, and nothing where the vector is scaled to unit length.
    std::vector<std::optional<DenseConfig>> layers = {};
    std::map<std::string, std::string, std::less<>> prompts = {};
    std::optional<std::string> default_prompt_name = {};
    std::optional<std::size_t> max_seq_length = {};  // tokens
    bool do_lower_case = false;
    bool model2vec = false;  // its own rules: unknown tokens are left out, long texts are cut
};

namespace detail {

inline constexpr std::pair<std::string_view, Pooling> pooling_names[] = {
    {"cls_token", Pooling::cls_token},           {"max_tokens", Pooling::max_tokens},       {"mean_tokens", Pooling::mean_tokens},
    {"mean_sqrt_len_tokens", Pooling::mean_sqrt_len_tokens}, {"weightedmean_tokens", Pooling::weightedmean_tokens}, {"lasttoken", Pooling::lasttoken}};

inline void read_pooling(const JsonObject& json, SentenceConfig& config) {
    config.pooling.clear();
    if (json.has("pooling_mode")) {  // newer files: "mean", or a list, in place of a flag each
        const Json& modes = json.at("pooling_mode");
        for (std::size_t i = 0; i < (modes.is_array() ? modes.size() : 1); ++i) {
            const auto mode = json_value<std::string>(modes.is_array() ? modes[i] : modes, json.file(), json.path_of("pooling_mode"));
            const auto known = std::find_if(std::begin(pooling_names), std::end(pooling_names), [&](const auto& one) { return one.first == mode || one.first == mode + "_token" || one.first == mode + "_tokens"; });
            if (known == std::end(pooling_names)) throw json.error("pooling_mode", "no such pooling", "cls, max, mean, mean_sqrt_len_tokens, weightedmean or lasttoken", mode);
            config.pooling.push_back(known->second);
        }
    } else {
        for (const auto& [name, pooling] : pooling_names)
            if (json.get_or<bool>("pooling_mode_" + std::string(name), false)) config.pooling.push_back(pooling);
    }
    if (config.pooling.empty()) config.pooling = {Pooling::mean_tokens};
    config.include_prompt = json.get_or<bool>("include_prompt", true);
}

inline DenseConfig read_dense(const JsonObject& json, const std::filesystem::path& directory) {
    DenseConfig dense = {directory, json.get<std::size_t>("in_features"), json.get<std::size_t>("out_features"), json.get_or<bool>("bias", true)};
    const auto function = json.get_or<std::string>("activation_function", "torch.nn.modules.activation.Tanh");
    const std::string name = function.substr(function.rfind('.') == function.npos ? 0 : function.rfind('.') + 1);
    static constexpr std::pair<std::string_view, Activation> known[] = {{"Identity", Activation::none}, {"Tanh", Activation::tanh}, {"ReLU", Activation::relu}, {"GELU", Activation::gelu}, {"SiLU", Activation::silu}};
    for (const auto& [theirs, ours] : known)
        if (name == theirs) return dense.activation = ours, dense;
    throw json.error("activation_function", "not a known function", "Identity, Tanh, ReLU, GELU or SiLU", function);
}

// The directory of a module, which must be the model's own or one in it.
inline std::filesystem::path module_directory(const JsonObject& module, const std::filesystem::path& directory) {
    const auto path = module.get<std::string>("path");
    if (path.empty() || path == ".") return directory;
    if (!is_plain_file_name(path)) throw module.error("path", "unsafe path: a module must be a plain name in the model's directory", {}, path);
    return directory / path;
}

inline void read_modules(const std::filesystem::path& directory, SentenceConfig& config) {
    const std::filesystem::path file = directory / "modules.json";
    const Json modules = parse_json_file(file);
    const auto fail = [&](std::string reason, std::string found = {}) { return Error(std::move(reason), {.file = file.string(), .found = std::move(found)}); };
    if (!modules.is_array() || modules.empty()) throw fail("not a list of modules");
    config.pooling.clear();
    for (std::size_t i = 0; i < modules.size(); ++i) {
        const JsonObject module(modules[i], file, std::to_string(i));
        const auto type = module.get<std::string>("type");
        const std::string kind = type.substr(type.rfind('.') == type.npos ? 0 : type.rfind('.') + 1);
        const std::filesystem::path at = module_directory(module, directory);
        const auto settings = [&] { return parse_json_file(at / "config.json"); };
        if ((kind == "Transformer" || kind == "StaticEmbedding") != (i == 0)) throw module.error("type", i == 0 ? "the first module must give token vectors" : "not in this place", "Transformer or StaticEmbedding first", type);
        if (kind == "Transformer" || kind == "StaticEmbedding") {
            config.directory = at, config.static_embedding = kind == "StaticEmbedding";
        } else if (kind == "Pooling" && config.pooling.empty() && !config.static_embedding) {
            const Json json = settings();
            read_pooling(JsonObject(json, at / "config.json"), config);
        } else if (kind == "Dense") {
            const Json json = settings();
            config.layers.emplace_back(read_dense(JsonObject(json, at / "config.json"), at));
        } else if (kind == "Normalize") {
            config.layers.emplace_back();
        } else if (kind != "Dropout") {
            throw module.error("type", "not a supported module", "Transformer, StaticEmbedding, Pooling, Dense or Normalize", type);
        }
    }
    if (config.pooling.empty() && !config.static_embedding) throw fail("there is no Pooling module");
}

// model2vec's config.json, which goes before what modules.json says.
inline void read_model2vec(SentenceConfig& config) {
    const std::filesystem::path file = config.directory / "config.json";
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return;
    const Json parsed = parse_json_file(file);
    const JsonObject json(parsed, file);
    if (json.has("model_type") ? json.at("model_type") != "model2vec" : !json.has("embedding_dtype")) return;  // a table that was not distilled has no type
    config.static_embedding = config.model2vec = true;
    config.max_seq_length = json.get_or<std::size_t>("max_length", 512);
    if (json.has("normalize")) {
        std::erase_if(config.layers, [](const auto& layer) { return !layer; });
        if (json.get<bool>("normalize")) config.layers.emplace_back();
    }
}

}  // namespace detail

// Reads the configuration files that are there. Throws Error naming file and key.
inline SentenceConfig read_sentence_config(const std::filesystem::path& directory) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    SentenceConfig config;
    config.directory = directory;
    if (fs::exists(directory / "modules.json", ignored)) detail::read_modules(directory, config);
    detail::read_model2vec(config);
    for (const fs::path& file : {config.directory / "sentence_bert_config.json", directory / "config_sentence_transformers.json"}) {
        if (!fs::exists(file, ignored)) continue;
        const Json parsed = parse_json_file(file);
        const JsonObject json(parsed, file);
        if (const auto length = json.find<std::size_t>("max_seq_length")) config.max_seq_length = length;
        config.do_lower_case = config.do_lower_case || json.get_or<bool>("do_lower_case", false);
        if (json.has("prompts")) {
            const JsonObject prompts = json.object("prompts");
            for (const auto& [name, text] : prompts.json().items()) config.prompts[name] = json_value<std::string>(text, file, prompts.path_of(name));
        }
        if (const auto name = json.find<std::string>("default_prompt_name")) config.default_prompt_name = name;
    }
    if (config.max_seq_length == std::size_t{0}) throw Error("wrong value", {.file = directory.string(), .key = "max_seq_length", .expected = "at least 1", .found = "0"});
    if (config.default_prompt_name && !config.prompts.contains(*config.default_prompt_name))
        throw Error("there is no such prompt", {.file = (directory / "config_sentence_transformers.json").string(), .key = "default_prompt_name", .found = *config.default_prompt_name});
    return config;
}

}  // namespace morsel
