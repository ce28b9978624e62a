// What a trainer learned, as a model to tokenize with and as the files that tokenizers have read since before tokenizer.json:
// vocab.json with merges.txt (BPE), vocab.txt (WordPiece). A file is written under another name and then renamed.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "morsel/core/error.hpp"
#include "morsel/formats/safetensors_writer.hpp"
#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/models/wordpiece.hpp"
#include "morsel/training/bpe_options.hpp"

namespace morsel {

// The model of a tokenizer that encodes by these merges.
inline Bpe bpe_model(const LearnedBpe& learned) {
    Bpe model;
    model.continuing_subword_prefix = learned.continuing_subword_prefix;
    model.end_of_word_suffix = learned.end_of_word_suffix;
    model.vocabulary.reserve(learned.tokens.size());
    for (std::size_t id = 0; id < learned.tokens.size(); ++id) model.vocabulary.add(learned.tokens[id], static_cast<TokenId>(id));
    model.vocabulary.finish();
    for (std::uint32_t rank = 0; rank < learned.merges.size(); ++rank)
        model.merges.set(pack_pair(learned.merges[rank].left, learned.merges[rank].right), {rank, learned.merges[rank].id});
    return model;
}

// The model of a tokenizer that takes the longest token first.
inline WordPiece wordpiece_model(std::span<const std::string> tokens, std::string unk_token = "[UNK]", std::string prefix = "##") {
    WordPiece model;
    model.unk_token = std::move(unk_token);
    model.continuing_subword_prefix = std::move(prefix);
    for (std::size_t id = 0; id < tokens.size(); ++id) model.vocabulary.add(tokens[id], static_cast<TokenId>(id));
    model.vocabulary.finish();
    find_longest_token(model);
    return model;
}

namespace detail {

inline void write_text_file(const std::filesystem::path& path, std::string_view text) {
    FileReplacement file(path);
    file.write(text);
    file.commit();
}

}  // namespace detail

// vocab.json and merges.txt, in a directory that is made where it is missing. Throws Error where a file cannot be written, or a merge
// cannot be told in merges.txt, because a token has a space or a line feed.
inline void save_bpe(const LearnedBpe& learned, const std::filesystem::path& directory) {
    std::error_code failure;
    std::filesystem::create_directories(directory, failure);
    if (failure) throw Error("cannot make the directory: " + failure.message(), {.file = directory.string()});
    std::string merges = "#version: 0.2\n", vocab = "{";
    for (const LearnedMerge& merge : learned.merges) {
        for (const std::string& part : {learned.tokens[merge.left], learned.tokens[merge.right]})
            if (part.find_first_of(" \n\r") != part.npos) throw Error("merges.txt cannot hold a token with white space", {.file = (directory / "merges.txt").string(), .found = '\'' + part + '\''});
        merges += learned.tokens[merge.left] + ' ' + learned.tokens[merge.right] + '\n';
    }
    for (std::size_t id = 0; id < learned.tokens.size(); ++id) {
        if (id > 0) vocab += ',';
        detail::append_json_string(vocab, learned.tokens[id]);
        vocab += ':' + std::to_string(id);
    }
    detail::write_text_file(directory / "vocab.json", vocab + "}\n");
    detail::write_text_file(directory / "merges.txt", merges);
}

// vocab.txt, a token a line. Throws Error where it cannot be written, or a token has a line feed.
inline void save_vocab_txt(std::span<const std::string> tokens, const std::filesystem::path& directory) {
    std::error_code failure;
    std::filesystem::create_directories(directory, failure);
    if (failure) throw Error("cannot make the directory: " + failure.message(), {.file = directory.string()});
    std::string text;
    for (const std::string& token : tokens) {
        if (token.find_first_of("\n\r") != token.npos) throw Error("vocab.txt cannot hold a token with a line feed", {.file = (directory / "vocab.txt").string()});
        text += token + '\n';
    }
    detail::write_text_file(directory / "vocab.txt", text);
}

}  // namespace morsel
