// A causal language model from a Hugging Face directory or a GGUF file: configuration, weights and generation defaults. Here the
// file formats and the models meet.
#pragma once
#include <filesystem>
#include <memory>
#include <utility>

#include "morsel/core/progress.hpp"
#include "morsel/formats/gguf.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/open_weights.hpp"
#include "morsel/generation/generation_config.hpp"
#include "morsel/models/gguf_llama.hpp"
#include "morsel/models/llama.hpp"

namespace morsel {

template <class D>
struct LoadedDecoder {
    std::shared_ptr<const Llama<D>> model;  // shareable between threads
    GenerationConfig generation;            // of generation_config.json; end tokens of config.json where that has none
};

// `path`: a directory with config.json and weights, a GGUF file, or a directory with one. Throws Error.
template <class D>
LoadedDecoder<D> load_decoder(D& device, const std::filesystem::path& path, const ProgressCallback& progress = {}) {
    const std::unique_ptr<TensorSource> weights = open_weights(path);
    LoadedDecoder<D> loaded;
    if (const auto* gguf = dynamic_cast<const GgufFile*>(weights.get())) {
        loaded.model = std::make_shared<const Llama<D>>(load_llama(device, llama_config(*gguf), GgufLlamaWeights(*gguf), progress));
    } else {
        const std::filesystem::path directory = std::filesystem::is_directory(path) ? path : path.parent_path();
        const Json json = parse_json_file(directory / "config.json");
        loaded.model = std::make_shared<const Llama<D>>(load_llama(device, llama_config(JsonObject(json, directory / "config.json")), *weights, progress));
        if (std::filesystem::exists(directory / "generation_config.json")) loaded.generation = load_generation_config(directory / "generation_config.json");
    }
    const LlamaConfig& config = loaded.model->config;
    if (!loaded.generation.eos_token_id && !config.eos_token_id.empty()) loaded.generation.eos_token_id = config.eos_token_id;
    if (!loaded.generation.bos_token_id) loaded.generation.bos_token_id = config.bos_token_id;
    if (!loaded.generation.pad_token_id) loaded.generation.pad_token_id = config.pad_token_id;
    return loaded;
}

}  // namespace morsel
