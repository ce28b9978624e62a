// Finds and opens the weights of a model: a directory or one file of it, safetensors or torch checkpoints (one file or several), GGUF.
#pragma once
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/gguf.hpp"
#include "morsel/formats/sharded_weights.hpp"
#include "morsel/formats/tensor_source.hpp"

namespace morsel {

// A directory: model.safetensors, else pytorch_model.bin, each before its .index.json, else its single *.gguf. A file is taken for what
// its content is: GGUF and torch checkpoints by their magic, an index by '{', else safetensors. Throws Error that lists what was looked for, or the error of the file.
inline std::unique_ptr<TensorSource> open_weights(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
        const std::string_view start = [&] {
            static constexpr std::string_view magic = "GGUF", index = "{";
            const MappedFile file(path);
            return file.text().starts_with(magic) ? magic : file.text().starts_with(index) ? index : std::string_view();
        }();
        if (start == "GGUF") return std::make_unique<GgufFile>(path);
        if (start == "{") return std::make_unique<ShardedWeights>(path);
        return detail::open_shard(path);
    }
    for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
        if (fs::exists(path / name, ignored)) return detail::open_shard(path / name);
        if (const fs::path index = path / (std::string(name) + ".index.json"); fs::exists(index, ignored)) return std::make_unique<ShardedWeights>(index);
    }
    std::vector<fs::path> gguf;
    for (auto entry = fs::directory_iterator(path, ignored); entry != fs::directory_iterator(); entry.increment(ignored)) {
        if (ignored) break;
        if (entry->path().extension() == ".gguf") gguf.push_back(entry->path());
    }
    if (gguf.size() == 1) return std::make_unique<GgufFile>(gguf.front());
    std::sort(gguf.begin(), gguf.end());
    if (!gguf.empty())
        throw Error("several .gguf files: give the path of one", {.file = path.string(), .found = gguf.front().filename().string() + " and " + std::to_string(gguf.size() - 1) + " more"});
    throw Error("no weights found", {.file = path.string(), .expected = "model.safetensors, pytorch_model.bin, either with .index.json, or one *.gguf"});
}

}  // namespace morsel
