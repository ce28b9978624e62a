// Rotary position embedding: which frequencies a model rotates with (RoFormer, Su et al. 2021), and the ways checkpoints stretch
// them: "linear" (Chen et al. 2023), "llama3" (Llama 3.1), "longrope" (Ding et al. 2024, Phi-3). Follows the reference's
// modeling_rope_utils.py (Hugging Face transformers) in f32, since positions of some thousand show every rounding.
// Left out: "dynamic" and "yarn", which are refused by name.
#pragma once
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <vector>

#include "morsel/formats/json.hpp"

namespace morsel {

enum class RopeKind : std::uint8_t { standard, linear, llama3, longrope };

struct RopeConfig {
    RopeKind kind = RopeKind::standard;
    float theta = 10000.0f;
    float partial_rotary_factor = 1.0f;                // share of each head that is rotated
    float factor = 1.0f;                               // linear, llama3
    float low_freq_factor = 1.0f, high_freq_factor = 4.0f;  // llama3
    std::size_t original_max_position_embeddings = 0;  // llama3, longrope: tokens
    std::vector<float> short_factor = {}, long_factor = {};  // longrope: [rotary_dim / 2]
    float attention_factor = 1.0f;                     // cos and sin are multiplied by it
    std::vector<float> frequency_divisors = {};        // GGUF's rope_freqs tensor: [rotary_dim / 2], or empty

    std::size_t rotary_dim(std::size_t head_dim) const {
        return static_cast<std::size_t>(static_cast<double>(head_dim) * static_cast<double>(partial_rotary_factor));
    }
    // Longrope has two sets of factors, chosen by the length of the whole sequence, for all its tokens.
    bool is_long(std::size_t sequence_length) const {
        return kind == RopeKind::longrope && sequence_length > original_max_position_embeddings;
    }
};

// Radians per position, [rotary_dim / 2]. `long_sequence` chooses longrope's factors and means nothing otherwise.
inline std::vector<float> inverse_frequencies(const RopeConfig& rope, std::size_t head_dim, bool long_sequence = false) {
    const std::size_t dim = rope.rotary_dim(head_dim);
    std::vector<float> frequencies(dim / 2);
    const std::vector<float>& stretch = long_sequence ? rope.long_factor : rope.short_factor;
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        const float power = std::pow(rope.theta, static_cast<float>(2 * i) / static_cast<float>(dim));
        float frequency = 1.0f / (rope.kind == RopeKind::longrope ? stretch[i] * power : power);
        if (rope.kind == RopeKind::linear) frequency /= rope.factor;
        if (rope.kind == RopeKind::llama3) {
            const auto original = static_cast<float>(rope.original_max_position_embeddings);
            const float wavelength = 2.0f * std::numbers::pi_v<float> / frequency;
            const float longest = original / rope.low_freq_factor, shortest = original / rope.high_freq_factor;
            if (wavelength > longest) {
                frequency /= rope.factor;
            } else if (wavelength >= shortest) {
                const float smooth = (original / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
                frequency = (1.0f - smooth) * frequency / rope.factor + smooth * frequency;
            }
        }
        if (!rope.frequency_divisors.empty()) frequency /= rope.frequency_divisors[i];
        frequencies[i] = frequency;
    }
    return frequencies;
}

namespace detail {

inline std::vector<float> rope_factors(const JsonObject& scaling, std::string_view name, std::size_t count) {
    const Json& list = scaling.at(name);
    if (!list.is_array() || list.size() != count)
        throw scaling.error(name, "wrong length", std::to_string(count) + " numbers", list.is_array() ? std::to_string(list.size()) : json_text(list));
    std::vector<float> factors;
    for (const Json& value : list) {
        factors.push_back(json_value<float>(value, scaling.file(), scaling.path_of(name)));
        if (!(factors.back() > 0)) throw scaling.error(name, "wrong value", "numbers above 0", json_text(value));
    }
    return factors;
}

}  // namespace detail

// Reads rope_theta, rope_scaling and partial_rotary_factor of a config.json; also the form of transformers 5, where all of them
// are inside rope_parameters. Throws Error on an unknown kind and on values outside their range.
inline RopeConfig rope_config(const JsonObject& config, std::size_t head_dim, std::size_t max_position_embeddings) {
    RopeConfig rope;
    const bool new_form = config.has("rope_parameters");
    const std::string_view name = new_form ? "rope_parameters" : "rope_scaling";
    const JsonObject base = new_form ? config.object(name) : config;
    const auto positive = [](const JsonObject& object, std::string_view key, float otherwise) {
        const float value = object.get_or<float>(key, otherwise);
        if (!(value > 0)) throw object.error(key, "wrong value", "a number above 0", std::to_string(value));
        return value;
    };
    rope.theta = positive(base, "rope_theta", config.get_or<float>("rope_theta", 10000.0f));
    rope.partial_rotary_factor = positive(base, "partial_rotary_factor", config.get_or<float>("partial_rotary_factor", 1.0f));
    const std::size_t dim = rope.rotary_dim(head_dim);
    if (dim == 0 || dim > head_dim || dim % 2 != 0)
        throw config.error("partial_rotary_factor", "rotates a wrong part of each head", "an even count of at most " + std::to_string(head_dim), std::to_string(dim));
    if (!config.has(name)) return rope;

    const JsonObject scaling = config.object(name);
    const std::string kind = scaling.has("rope_type") ? scaling.get<std::string>("rope_type") : scaling.get_or<std::string>("type", "default");
    rope.original_max_position_embeddings = scaling.get_or<std::size_t>(
        "original_max_position_embeddings", config.get_or<std::size_t>("original_max_position_embeddings", max_position_embeddings));
    if (kind == "default") return rope;
    if (kind == "linear") {
        rope.kind = RopeKind::linear;
        rope.factor = scaling.get<float>("factor");
        if (!(rope.factor >= 1)) throw scaling.error("factor", "wrong value", "a number of at least 1", std::to_string(rope.factor));
    } else if (kind == "llama3") {
        rope.kind = RopeKind::llama3;
        rope.factor = scaling.get<float>("factor");
        rope.low_freq_factor = scaling.get<float>("low_freq_factor");
        rope.high_freq_factor = scaling.get<float>("high_freq_factor");
        if (!(rope.factor >= 1)) throw scaling.error("factor", "wrong value", "a number of at least 1", std::to_string(rope.factor));
        if (!(rope.low_freq_factor > 0) || !(rope.high_freq_factor > rope.low_freq_factor))
            throw scaling.error("high_freq_factor", "wrong value", "more than low_freq_factor, and both above 0");
    } else if (kind == "longrope" || kind == "su") {
        rope.kind = RopeKind::longrope;
        rope.short_factor = detail::rope_factors(scaling, "short_factor", dim / 2);
        rope.long_factor = detail::rope_factors(scaling, "long_factor", dim / 2);
        const auto original = static_cast<double>(rope.original_max_position_embeddings);
        if (!(original > 1)) throw scaling.error("original_max_position_embeddings", "wrong value", "more than 1");
        const double stretch = scaling.get_or<double>("factor", static_cast<double>(max_position_embeddings) / original);
        rope.attention_factor = stretch <= 1 ? 1.0f : static_cast<float>(std::sqrt(1 + std::log(stretch) / std::log(original)));
        rope.attention_factor = scaling.get_or<float>("attention_factor", rope.attention_factor);
    } else {
        throw scaling.error(scaling.has("rope_type") ? "rope_type" : "type", "not supported", "default, linear, llama3 or longrope", kind);
    }
    return rope;
}

}  // namespace morsel
