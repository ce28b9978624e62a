// Tokenizer::from_pretrained: finds out what a path holds and lets the right loader read it.
// In a directory the first of these is taken: tokenizer.json, vocab.json with merges.txt, vocab.txt, tokenizer.model (or
// spiece.model, sentencepiece.bpe.model), a *.tiktoken, a *.gguf. A *.model of ranks is Llama 3's own. CANINE and ByT5 have no such
// file and are known by tokenizer_config.json.
#pragma once
#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "morsel/tokenizer/loading/load_gguf.hpp"
#include "morsel/tokenizer/loading/load_roles.hpp"
#include "morsel/tokenizer/loading/load_sentencepiece.hpp"
#include "morsel/tokenizer/loading/load_tiktoken.hpp"
#include "morsel/tokenizer/loading/load_tokenizer_json.hpp"
#include "morsel/tokenizer/loading/load_vocabulary_free.hpp"
#include "morsel/tokenizer/loading/load_vocab_merges.hpp"
#include "morsel/tokenizer/loading/load_vocab_txt.hpp"
#include "morsel/tokenizer/tokenizer.hpp"

namespace morsel {

namespace detail {

// The file of a directory that holds the tokenizer; empty where there is none.
inline std::filesystem::path tokenizer_file(const std::filesystem::path& directory) {
    for (const char* name : {"tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"}) {
        if (!is_file(directory / name)) continue;
        if (std::string_view(name) == "vocab.json" && !is_file(directory / "merges.txt")) continue;
        return directory / name;
    }
    for (const char* extension : {".tiktoken", ".gguf"}) {
        std::vector<std::filesystem::path> files;
        std::error_code error;
        for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
            if (at->path().extension() == extension) files.push_back(at->path());
        if (!files.empty()) return *std::min_element(files.begin(), files.end());
    }
    return {};
}

}  // namespace detail

// The parts of the tokenizer at `path`, a directory or a file. Throws Error.
inline TokenizerParts load_tokenizer_parts(const std::filesystem::path& path, const TokenizerOptions& options = {}) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) throw Error("no such file or directory", {.file = path.string()});
    std::filesystem::path file = path;
    if (std::filesystem::is_directory(path, error)) {
        file = detail::tokenizer_file(path);
        if (file.empty())
            if (auto parts = load_vocabulary_free(read_side_files(path))) return *std::move(parts);
        if (file.empty())
            throw Error("no tokenizer in this directory", {.file = path.string(), .expected = "tokenizer.json, vocab.json and merges.txt, vocab.txt, tokenizer.model, *.tiktoken or *.gguf"});
    }
    const std::filesystem::path directory = file.parent_path();
    const std::string name = file.filename().string();
    if (file.extension() == ".gguf") return load_gguf_tokenizer(GgufFile(file), options);
    if (name == "vocab.json" || name == "merges.txt") return load_vocab_merges(directory / "vocab.json", directory / "merges.txt", read_side_files(directory));
    if (file.extension() == ".txt") return load_vocab_txt(file, read_side_files(directory), options);
    if (file.extension() == ".tiktoken") return load_tiktoken(file, options, file.stem().string());
    if (file.extension() == ".model" && detail::looks_like_tiktoken(MappedFile(file).text())) return load_tiktoken(file, options, "llama3");
    if (file.extension() == ".model") return load_sentencepiece(file, read_side_files(directory));
    TokenizerParts parts = load_tokenizer_json(file, options);
    const TokenizerSideFiles side = read_side_files(directory);
    apply_roles(side, parts);
    add_config_tokens(side, parts);
    return parts;
}

inline Tokenizer Tokenizer::from_pretrained(const std::filesystem::path& path, const TokenizerOptions& options) {
    return Tokenizer(load_tokenizer_parts(path, options), options.cache_bytes);
}

}  // namespace morsel
