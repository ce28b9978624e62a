// Values that several models' config.json files share: activations, token ids, and the check that a size is sane, so that a hostile
// file is refused before anything is allocated.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/ops/device.hpp"

namespace morsel::detail {

// The activation that `key` names; Throws Error where it is none that the devices have.
inline Activation activation_of(const JsonObject& config, std::string_view key, std::string_view otherwise) {
    const std::string name = config.get_or<std::string>(key, std::string(otherwise));
    if (name == "silu" || name == "swish") return Activation::silu;
    if (name == "gelu") return Activation::gelu;
    if (name == "gelu_new" || name == "gelu_pytorch_tanh") return Activation::gelu_tanh;
    if (name == "relu") return Activation::relu;
    if (name == "tanh") return Activation::tanh;
    throw config.error(key, "not supported", "silu, gelu, gelu_new, gelu_pytorch_tanh, relu or tanh", name);
}

// One id, or a list of them.
inline std::vector<TokenId> token_ids_of(const JsonObject& config, std::string_view key) {
    std::vector<TokenId> ids;
    if (!config.has(key)) return ids;
    const Json& value = config.at(key);
    if (value.is_array()) {
        for (const Json& one : value) ids.push_back(json_value<TokenId>(one, config.file(), config.path_of(key)));
    } else {
        ids.push_back(json_value<TokenId>(value, config.file(), config.path_of(key)));
    }
    return ids;
}

// A size of at least `least` that no product of such sizes can overflow; no published model comes near the limit.
inline std::size_t size_of(const JsonObject& config, std::string_view key, std::size_t least = 1, std::size_t most = std::size_t{1} << 24) {
    const auto value = config.get<std::size_t>(key);
    if (value < least || value > most) throw config.error(key, "wrong value", std::to_string(least) + " to " + std::to_string(most), std::to_string(value));
    return value;
}
// The same with a value for a missing key, which is then checked by nobody.
inline std::size_t size_or(const JsonObject& config, std::string_view key, std::size_t otherwise, std::size_t least = 1, std::size_t most = std::size_t{1} << 24) {
    return config.has(key) ? size_of(config, key, least, most) : otherwise;
}

// The epsilon of a norm: above 0 and below 1.
inline float epsilon_of(const JsonObject& config, std::string_view key, float otherwise) {
    const float value = config.get_or<float>(key, otherwise);
    if (!(value > 0) || !(value < 1)) throw config.error(key, "wrong value", "above 0 and below 1", std::to_string(value));
    return value;
}

// The number of heads, which divides the width.
inline std::size_t heads_of(const JsonObject& config, std::string_view key, std::string_view width_key, std::size_t width) {
    const std::size_t heads = size_of(config, key, 1, 65536);
    if (width % heads != 0) throw config.error(width_key, "wrong value", "a multiple of " + std::string(key) + ", " + std::to_string(heads), std::to_string(width));
    return heads;
}

}  // namespace morsel::detail
