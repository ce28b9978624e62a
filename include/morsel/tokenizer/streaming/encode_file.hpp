// Encoding a stream or a file of any size with the ids that encoding its whole text would give, in memory that does not grow with it: a block is
// read, everything before its last stable cut is encoded and handed on. Text without a cut (stable_cuts.hpp) is kept until one comes.
#pragma once
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/streaming/incremental_encoder.hpp"
#include "morsel/tokenizer/tokenizer.hpp"

namespace morsel {

inline constexpr std::size_t encode_block_bytes = std::size_t{1} << 18;

// Encodes what read(buffer) → number of bytes, 0 at the end, gives, and calls sink(std::span<const TokenId>) → bool with the ids in order; false
// stops. Returns how many ids the sink got. Options as in IncrementalEncoder. Throws Error.
template <class Read, class Sink> std::uint64_t encode_stream(const Tokenizer& tokenizer, Read&& read, Sink&& sink, const EncodeOptions& options = {}) {
    if (options.text_pair || options.truncation || options.padding || options.dropout)
        throw Error("a stream is encoded as one text, without truncation, padding and dropout", {.key = "options"});
    AddedIds added = added_ids(tokenizer.parts(), options);
    SectionEncoder encoder(tokenizer, options.special_tokens_in_text);
    std::vector<TokenId> ids = std::move(added.before);
    std::string block(encode_block_bytes, '\0');
    std::uint64_t count = 0;
    const auto hand_on = [&] {
        if (ids.empty()) return true;
        count += ids.size();
        const bool more = sink(std::span<const TokenId>(ids));
        ids.clear();
        return more;
    };
    for (;;) {
        const std::size_t size = read(std::span<char>(block));
        if (size == 0) break;
        encoder.append(std::string_view(block).substr(0, size));
        encoder.settle(ids);
        if (!hand_on()) return count;
    }
    encoder.encode_rest(ids);
    ids.insert(ids.end(), added.behind.begin(), added.behind.end());
    hand_on();
    return count;
}

// The same for a file. Throws Error that names it where it cannot be read.
template <class Sink> std::uint64_t encode_file(const Tokenizer& tokenizer, const std::filesystem::path& path, Sink&& sink, const EncodeOptions& options = {}) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) throw Error("a directory, not a file", {.file = path.string()});
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error(std::string("cannot open: ") + std::strerror(errno), {.file = path.string()});
    const auto read = [&](std::span<char> buffer) {
        file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        if (file.bad()) throw Error("cannot read", {.file = path.string()});
        return static_cast<std::size_t>(file.gcount());
    };
    try {
        return encode_stream(tokenizer, read, std::forward<Sink>(sink), options);
    } catch (const Error& e) {
        throw e.in_file(path);
    }
}

}  // namespace morsel
