// Embedders over tests/data/sentence, and what the reference gives for its texts.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/file_bytes.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/contextual_embedder.hpp"
#include "morsel/pipeline/text_embedder.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/tensors.hpp"

namespace morsel_test {

using namespace morsel;

using Embedder = TextEmbedder<Cpu>;
using Contextual = ContextualEmbedder<Cpu>;

template <class Of>
Of open(const std::filesystem::path& directory, typename Of::Options options = {}) {
    if (options.device.threads == 0) options.device.threads = 1;
    return Of::from_pretrained(directory, std::make_shared<const Tokenizer>(load_tokenizer(model_directory(directory))), options);
}

inline std::filesystem::path data(const char* name) { return test_data() / "sentence" / name; }

inline std::vector<std::string> texts() {
    std::vector<std::string> all;
    for (const Json& text : parse_json_file(data("texts.json"))) all.push_back(text.get<std::string>());
    return all;
}

// The directory's expected vectors.
inline std::vector<float> expected(const char* directory, const char* name) { return elements<float>(SafetensorsFile(data(directory) / "expected.safetensors").at(name)); }

// A copy of a directory that may be changed.
struct Copy {
    TemporaryDirectory directory;
    explicit Copy(const char* name) { std::filesystem::copy(data(name), directory.path(), std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing); }
    void write(const char* file, std::string_view text) const { directory.write(file, text); }
    std::string verdict() const {
        try {
            open<Embedder>(directory.path());
            return "";
        } catch (const Error& error) {
            return error.what();
        }
    }
};

}  // namespace morsel_test
