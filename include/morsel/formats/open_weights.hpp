// Finds and opens the weights of a model: a directory or one file of it, safetensors (one file or several) or GGUF.
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
#include "morsel/formats/safetensors.hpp"
#include "morsel/formats/safetensors_index.hpp"
#include "morsel/formats/tensor_source.hpp"

namespace morsel {

// A directory: model.safetensors, else model.safetensors.index.json, else its single *.gguf. A file is taken for what its content is:
// GGUF by its magic, an index by '{', else safetensors. Throws Error that lists what was looked for, or the error of the file.
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
        if (start == "{") return std::make_unique<ShardedSafetensors>(path);
        return std::make_unique<SafetensorsFile>(path);
    }
    if (fs::exists(path / "model.safetensors", ignored)) return std::make_unique<SafetensorsFile>(path / "model.safetensors");
    if (fs::exists(path / "model.safetensors.index.json", ignored)) return std::make_unique<ShardedSafetensors>(path / "model.safetensors.index.json");
    std::vector<fs::path> gguf;
    for (auto entry = fs::directory_iterator(path, ignored); entry != fs::directory_iterator(); entry.increment(ignored)) {
        if (ignored) break;
        if (entry->path().extension() == ".gguf") gguf.push_back(entry->path());
    }
    if (gguf.size() == 1) return std::make_unique<GgufFile>(gguf.front());
    std::sort(gguf.begin(), gguf.end());
    if (!gguf.empty())
        throw Error("several .gguf files: give the path of one", {.file = path.string(), .found = gguf.front().filename().string() + " and " + std::to_string(gguf.size() - 1) + " more"});
    throw Error("no weights found", {.file = path.string(), .expected = "model.safetensors, model.safetensors.index.json or one *.gguf"});
}

}  // namespace morsel
