// Options of generation, at three levels: what the caller sets, over the model's generation_config.json, over Hugging Face's defaults.
// Stands at the edge: here every value is checked, so that the loop and the processors need not.
// Names and defaults are those of transformers' GenerationConfig; `seed` is ours. Leaves out beams, penalties on encoder input,
// forced and suppressed tokens, watermarks: such keys of a file are passed over.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/generation/logits_processors.hpp"

namespace morsel {

// What is empty is left to the next level.
struct GenerationConfig {
    std::optional<std::int64_t> max_new_tokens = {};  // tokens; default 20
    std::optional<std::int64_t> max_length = {};      // tokens, prompt included; max_new_tokens of the same level goes before it
    std::optional<std::int64_t> min_new_tokens = {};  // no end token before so many new ones
    std::optional<std::int64_t> min_length = {};      // likewise, prompt included
    std::optional<bool> do_sample = {};               // default false: the most probable token
    std::optional<float> temperature = {};            // > 0, default 1
    std::optional<std::int64_t> top_k = {};           // default 50; 0: all
    std::optional<float> top_p = {};                  // (0, 1], default 1
    std::optional<float> min_p = {};                  // [0, 1], default 0
    std::optional<float> typical_p = {};              // (0, 1], default 1
    std::optional<float> epsilon_cutoff = {};         // [0, 1), default 0
    std::optional<float> eta_cutoff = {};             // [0, 1), default 0
    std::optional<float> repetition_penalty = {};     // > 0, default 1
    std::optional<std::int64_t> no_repeat_ngram_size = {};        // default 0: off
    std::optional<std::vector<TokenId>> eos_token_id = {};        // any of them ends the text; {}: none does
    std::optional<TokenId> pad_token_id = {};
    std::optional<TokenId> bos_token_id = {};                     // stands for an empty prompt
    std::optional<std::vector<std::string>> stop_strings = {};    // any of them in the new text ends it
    std::optional<std::uint64_t> seed = {};                       // default 0
};

// Reads the fields above from a parsed generation_config.json (or any object with those keys). Throws Error naming file and key.
GenerationConfig generation_config_from_json(const JsonObject& json);
// Reads and checks the file.
GenerationConfig load_generation_config(const std::filesystem::path& file);
// Throws Error naming the first field whose value is out of its range; what depends on other fields is checked by `resolve`.
void validate(const GenerationConfig& config);
// Every field of `over`, and where that is empty the one of `under`. A length set in `over` replaces both of that kind in `under`.
GenerationConfig merged(const GenerationConfig& over, const GenerationConfig& under);

// The same with nothing left open: what one run of the loop needs.
struct GenerationSettings {
    LogitsProcessing processing = {};
    std::size_t max_new_tokens = 20;
    std::size_t min_new_tokens = 0;
    std::vector<TokenId> eos_token_ids = {};
    std::optional<TokenId> bos_token_id = {};
    std::vector<std::string> stop_strings = {};
    std::uint64_t seed = 0;
    std::uint32_t sequence = 0;      // of a batch: each gets its own random numbers
    std::size_t context_limit = 0;   // tokens that the model takes, prompt and new ones; 0: no limit
    std::size_t sampled_vocab = 0;   // ids from here on are padding rows of the model and never chosen; 0: all may be
};

// Checks `config` and fills it in for a prompt of that many tokens. `vocab_size`: rows of the embedding, 0 where not known.
// Throws Error naming the field, among others for do_sample with temperature 0 and for end tokens outside the vocabulary.
GenerationSettings resolve(const GenerationConfig& config, std::size_t prompt_tokens, std::size_t vocab_size = 0);

namespace detail {

template <class Range> void check_field(std::string_view name, const std::optional<float>& value, Range in_range, std::string expected) {
    if (!value || (!is_nan(*value) && std::abs(*value) <= std::numeric_limits<float>::max() && in_range(*value))) return;
    throw Error("out of range", {.key = std::string(name), .expected = std::move(expected), .found = is_nan(*value) ? "nan" : std::to_string(*value)});
}
inline void check_field(std::string_view name, const std::optional<std::int64_t>& value) {
    if (value && *value < 0) throw Error("out of range", {.key = std::string(name), .expected = "0 or more", .found = std::to_string(*value)});
}

// One id, a list of ids, or nothing for absent and null.
inline std::optional<std::vector<TokenId>> find_token_ids(const JsonObject& json, std::string_view name) {
    if (!json.has(name)) return std::nullopt;
    const Json& value = json.at(name);
    std::vector<TokenId> ids;
    if (value.is_array())
        for (const Json& id : value) ids.push_back(json_value<TokenId>(id, json.file(), json.path_of(name)));
    else ids.push_back(json_value<TokenId>(value, json.file(), json.path_of(name)));
    return ids;
}

inline std::optional<std::vector<std::string>> find_strings(const JsonObject& json, std::string_view name) {
    if (!json.has(name)) return std::nullopt;
    const Json& value = json.at(name);
    std::vector<std::string> strings;
    if (value.is_array())
        for (const Json& text : value) strings.push_back(json_value<std::string>(text, json.file(), json.path_of(name)));
    else strings.push_back(json_value<std::string>(value, json.file(), json.path_of(name)));
    return strings;
}

}  // namespace detail

inline GenerationConfig generation_config_from_json(const JsonObject& json) {
    const auto integer = [&](std::string_view name) { return json.find<std::int64_t>(name); };
    const auto number = [&](std::string_view name) { return json.find<float>(name); };
    GenerationConfig config;
    config.max_new_tokens = integer("max_new_tokens");
    config.max_length = integer("max_length");
    config.min_new_tokens = integer("min_new_tokens");
    config.min_length = integer("min_length");
    config.do_sample = json.find<bool>("do_sample");
    config.temperature = number("temperature");
    config.top_k = integer("top_k");
    config.top_p = number("top_p");
    config.min_p = number("min_p");
    config.typical_p = number("typical_p");
    config.epsilon_cutoff = number("epsilon_cutoff");
    config.eta_cutoff = number("eta_cutoff");
    config.repetition_penalty = number("repetition_penalty");
    config.no_repeat_ngram_size = integer("no_repeat_ngram_size");
    config.eos_token_id = detail::find_token_ids(json, "eos_token_id");
    config.pad_token_id = json.find<TokenId>("pad_token_id");
    config.bos_token_id = json.find<TokenId>("bos_token_id");
    config.stop_strings = detail::find_strings(json, "stop_strings");
    config.seed = json.find<std::uint64_t>("seed");
    return config;
}

inline GenerationConfig load_generation_config(const std::filesystem::path& file) {
    const Json json = parse_json_file(file);
    GenerationConfig config = generation_config_from_json(JsonObject(json, file));
    try {
        validate(config);
    } catch (const Error& error) {
        throw error.in_file(file);
    }
    return config;
}

inline void validate(const GenerationConfig& config) {
    detail::check_field("max_new_tokens", config.max_new_tokens);
    detail::check_field("max_length", config.max_length);
    detail::check_field("min_new_tokens", config.min_new_tokens);
    detail::check_field("min_length", config.min_length);
    detail::check_field("top_k", config.top_k);
    detail::check_field("no_repeat_ngram_size", config.no_repeat_ngram_size);
    const auto share = [](float x) { return x > 0 && x <= 1; };
    const auto cutoff = [](float x) { return x >= 0 && x < 1; };
    detail::check_field("temperature", config.temperature, [](float x) { return x >= 0; }, "a number above 0");
    detail::check_field("top_p", config.top_p, share, "above 0, at most 1");
    detail::check_field("min_p", config.min_p, [](float x) { return x >= 0 && x <= 1; }, "from 0 to 1");
    detail::check_field("typical_p", config.typical_p, share, "above 0, at most 1");
    detail::check_field("epsilon_cutoff", config.epsilon_cutoff, cutoff, "at least 0, below 1");
    detail::check_field("eta_cutoff", config.eta_cutoff, cutoff, "at least 0, below 1");
    detail::check_field("repetition_penalty", config.repetition_penalty, [](float x) { return x > 0; }, "a number above 0");
    if (config.stop_strings)
        for (const std::string& text : *config.stop_strings)
            if (text.empty()) throw Error("empty stop string", {.key = "stop_strings", .expected = "a text of one byte at least"});
}

inline GenerationConfig merged(const GenerationConfig& over, const GenerationConfig& under) {
    GenerationConfig result = over;
    const auto fill = [](auto& field, const auto& fallback) {
        if (!field) field = fallback;
    };
    if (!over.max_new_tokens && !over.max_length) {
        result.max_new_tokens = under.max_new_tokens;
        result.max_length = under.max_length;
    }
    if (!over.min_new_tokens && !over.min_length) {
        result.min_new_tokens = under.min_new_tokens;
        result.min_length = under.min_length;
    }
    fill(result.do_sample, under.do_sample);
    fill(result.temperature, under.temperature);
    fill(result.top_k, under.top_k);
    fill(result.top_p, under.top_p);
    fill(result.min_p, under.min_p);
    fill(result.typical_p, under.typical_p);
    fill(result.epsilon_cutoff, under.epsilon_cutoff);
    fill(result.eta_cutoff, under.eta_cutoff);
    fill(result.repetition_penalty, under.repetition_penalty);
    fill(result.no_repeat_ngram_size, under.no_repeat_ngram_size);
    fill(result.eos_token_id, under.eos_token_id);
    fill(result.pad_token_id, under.pad_token_id);
    fill(result.bos_token_id, under.bos_token_id);
    fill(result.stop_strings, under.stop_strings);
    fill(result.seed, under.seed);
    return result;
}

inline GenerationSettings resolve(const GenerationConfig& config, std::size_t prompt_tokens, std::size_t vocab_size) {
    validate(config);
    GenerationSettings settings;
    LogitsProcessing& processing = settings.processing;
    processing.do_sample = config.do_sample.value_or(false);
    processing.temperature = config.temperature.value_or(1.0F);
    if (processing.do_sample && processing.temperature == 0)
        throw Error("sampling at temperature 0", {.key = "temperature", .expected = "a number above 0, or do_sample = false for the most probable token", .found = "0"});
    processing.top_k = static_cast<std::size_t>(config.top_k.value_or(50));
    processing.top_p = config.top_p.value_or(1.0F);
    processing.min_p = config.min_p.value_or(0.0F);
    processing.typical_p = config.typical_p.value_or(1.0F);
    processing.epsilon_cutoff = config.epsilon_cutoff.value_or(0.0F);
    processing.eta_cutoff = config.eta_cutoff.value_or(0.0F);
    processing.repetition_penalty = config.repetition_penalty.value_or(1.0F);
    processing.no_repeat_ngram_size = static_cast<std::size_t>(config.no_repeat_ngram_size.value_or(0));

    const auto beyond_prompt = [&](std::int64_t length) {
        const auto total = static_cast<std::size_t>(length);
        return total > prompt_tokens ? total - prompt_tokens : 0;
    };
    if (config.max_new_tokens) settings.max_new_tokens = static_cast<std::size_t>(*config.max_new_tokens);
    else if (config.max_length) settings.max_new_tokens = beyond_prompt(*config.max_length);
    settings.min_new_tokens = static_cast<std::size_t>(config.min_new_tokens.value_or(0));
    if (config.min_length) settings.min_new_tokens = std::max(settings.min_new_tokens, beyond_prompt(*config.min_length));

    settings.eos_token_ids = config.eos_token_id.value_or(std::vector<TokenId>{});
    settings.bos_token_id = config.bos_token_id;
    const auto check_id = [&](std::string_view name, TokenId id) {
        if (vocab_size > 0 && id >= vocab_size)
            throw Error("token id outside the vocabulary", {.key = std::string(name), .expected = "below " + std::to_string(vocab_size), .found = std::to_string(id)});
    };
    for (const TokenId id : settings.eos_token_ids) check_id("eos_token_id", id);
    if (settings.bos_token_id) check_id("bos_token_id", *settings.bos_token_id);
    settings.stop_strings = config.stop_strings.value_or(std::vector<std::string>{});
    settings.seed = config.seed.value_or(0);
    return settings;
}

}  // namespace morsel
