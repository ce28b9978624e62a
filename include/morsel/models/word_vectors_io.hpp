// Word vectors in files: the text and binary formats of word2vec (which gensim and most tools read), text without its first line as GloVe
// writes it, and safetensors. Numbers of a header are believed only as far as the file is long, so that no file makes room for more than it
// holds; a file that says one thing and holds another is an Error.
//
//   text         "words dimension\n", then "word value … value\n"
//   binary       the same first line, then "word " and the values as little-endian f32; word2vec.c puts a line feed behind them, gensim does not
//   safetensors  vectors F32 [words, dimension]; words U8, each ended by a zero byte; counts U64 [words], where they are known
#pragma once
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/file_replacement.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/formats/safetensors_writer.hpp"
#include "morsel/models/word_vectors.hpp"

namespace morsel {

static_assert(std::endian::native == std::endian::little, "word_vectors_io.hpp copies little-endian numbers");

namespace detail {

// Takes the next field of a line: up to a space or tab; empty at the end.
inline std::string_view take_field(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const std::string_view field = line.substr(0, std::min(line.find_first_of(" \t"), line.size()));
    line.remove_prefix(field.size());
    return field;
}

inline std::string_view take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

template <class T> std::optional<T> number_of(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(value) : std::nullopt;
}

struct WordVectorsHeader {
    std::size_t words = 0, dimension = 0;
};

// "words dimension", or nothing where the line is not that.
inline std::optional<WordVectorsHeader> word_vectors_header(std::string_view line) {
    const auto words = number_of<std::size_t>(take_field(line));
    const auto dimension = number_of<std::size_t>(take_field(line));
    if (!words || !dimension || !take_field(line).empty()) return std::nullopt;
    return WordVectorsHeader{*words, *dimension};
}

// Words in the order of the file, and their values. A word that is there again is passed over, as gensim does.
struct ReadWords {
    std::vector<std::string> words = {};
    std::vector<float> values = {};
    StringMap seen;

    bool add(std::string_view word) {
        if (seen.find(word)) return false;
        seen.set(word, static_cast<std::uint32_t>(words.size()));
        words.emplace_back(word);
        return true;
    }
};

// One line "word value … value" of so many values, at the end of `values`. Gives what is wrong, or nothing.
inline std::string read_values(std::string_view line, std::size_t dimension, std::vector<float>& values) {
    for (std::size_t i = 0; i < dimension; ++i) {
        const std::string_view field = take_field(line);
        if (field.empty()) return std::to_string(i) + " values";
        const auto value = number_of<float>(field);
        if (!value || !std::isfinite(*value)) return '\'' + std::string(field.substr(0, 40)) + '\'';
        values.push_back(*value);
    }
    return take_field(line).empty() ? "" : "more values";
}

inline ReadWords read_word2vec_text(std::string_view text, WordVectorsHeader header, bool has_header, const std::filesystem::path& file) {
    ReadWords read;
    read.values.reserve(header.words * header.dimension);
    for (std::size_t i = 0; i < header.words; ++i) {
        const std::string key = "line " + std::to_string(i + 1 + has_header);
        if (text.empty()) throw Error("the file ends too early", {.file = file.string(), .key = key, .expected = std::to_string(header.words) + " words", .found = std::to_string(i)});
        std::string_view line = take_line(text);
        const std::string_view word = take_field(line);
        if (word.empty()) throw Error("no word", {.file = file.string(), .key = key});
        const std::size_t before = read.values.size();
        const std::string wrong = read_values(line, header.dimension, read.values);
        if (!wrong.empty()) throw Error("wrong line", {.file = file.string(), .key = key, .expected = "a word and " + std::to_string(header.dimension) + " finite numbers", .found = wrong});
        if (!read.add(word)) read.values.resize(before);
    }
    if (text.find_first_not_of(" \t\r\n") != text.npos) throw Error("more words than the first line says", {.file = file.string(), .expected = std::to_string(header.words) + " words"});
    return read;
}

inline ReadWords read_word2vec_binary(std::string_view text, WordVectorsHeader header, const std::filesystem::path& file) {
    ReadWords read;
    read.values.reserve(header.words * header.dimension);
    for (std::size_t i = 0; i < header.words; ++i) {
        const auto fail = [&](std::string what) { return Error(std::move(what), {.file = file.string(), .key = "word " + std::to_string(i), .expected = std::to_string(header.words) + " words of " + std::to_string(header.dimension) + " values"}); };
        text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
        const std::size_t space = text.find(' '), bytes = header.dimension * sizeof(float);
        if (space == text.npos || text.size() - space - 1 < bytes) throw fail("the file ends too early");
        const std::string_view word = text.substr(0, space);
        if (word.empty() || word.find('\n') != word.npos) throw fail("no word");
        if (read.add(word)) {
            const std::size_t before = read.values.size();
            read.values.resize(before + header.dimension);
            std::memcpy(read.values.data() + before, text.data() + space + 1, bytes);
            for (std::size_t j = before; j < read.values.size(); ++j)
                if (!std::isfinite(read.values[j])) throw fail("a value is not finite");
        }
        text.remove_prefix(space + 1 + bytes);
    }
    if (text.find_first_not_of('\n') != text.npos) throw Error("more bytes than the first line says", {.file = file.string(), .expected = std::to_string(header.words) + " words", .found = std::to_string(text.size()) + " bytes more"});
    return read;
}

// A copy of a tensor of that type and shape; 0 in the shape stands for any size.
template <class T> std::vector<T> tensor_values(const TensorSource& source, std::string_view name, DType type, std::vector<std::uint64_t> shape) {
    const TensorView& view = source.at(name);
    bool fits = view.dtype == type && view.shape.size() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] == 0 || shape[i] == view.shape[i];
    if (!fits)
        throw Error("wrong tensor", {.file = source.path().string(), .key = std::string(name), .expected = std::string(dtype_info(type).name) + ' ' + shape_text(shape) + (std::count(shape.begin(), shape.end(), 0u) > 0 ? ", 0 for any size" : ""),
                                     .found = std::string(dtype_info(view.dtype).name) + ' ' + shape_text(view.shape)});
    std::vector<T> values(view.bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    return values;
}

inline WordVectors read_safetensors_word_vectors(const std::filesystem::path& path) {
    const SafetensorsFile file(path);
    std::vector<float> vectors = tensor_values<float>(file, "vectors", DType::f32, {0, 0});
    const std::uint64_t n = file.at("vectors").shape[0], dimension = file.at("vectors").shape[1];
    const std::vector<char> text = tensor_values<char>(file, "words", DType::u8, {0});
    std::vector<std::uint64_t> counts;
    if (file.find("counts") != nullptr) counts = tensor_values<std::uint64_t>(file, "counts", DType::u64, {n});
    const auto found = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\0'));
    if (found != n || (!text.empty() && text.back() != '\0') || dimension == 0)
        throw Error("words and vectors do not fit", {.file = path.string(), .key = "words", .expected = std::to_string(n) + " words, each ended by a zero byte, and vectors of a value or more", .found = std::to_string(found)});
    std::vector<std::string> words;
    words.reserve(n);
    for (auto at = text.begin(); at != text.end();) {
        const auto end = std::find(at, text.end(), '\0');
        words.emplace_back(at, end);
        at = end + 1;
    }
    return WordVectors(std::move(words), std::move(vectors), dimension, std::move(counts));
}

// Throws Error where a word cannot be told in a word2vec file: it is empty or has white space in it.
inline void check_words(const WordVectors& vectors, const std::filesystem::path& path) {
    for (const std::string& word : vectors.words())
        if (word.empty() || word.find_first_of(std::string_view(" \t\n\r\v\f\0", 7)) != word.npos) throw Error("word2vec's formats cannot hold a word that is empty or has white space in it", {.file = path.string(), .key = "word", .found = '\'' + word + '\''});
}

}  // namespace detail

// Reads any of the formats, told apart by what is in the file. Throws Error that names file, place, what was expected and what was found.
inline WordVectors load_word_vectors(const std::filesystem::path& path) try {
    const MappedFile file(path);
    const std::string_view text = file.text();
    if (text.size() > 8 && text.substr(4, 5) == std::string_view("\0\0\0\0{", 5)) return detail::read_safetensors_word_vectors(path);
    std::string_view rest = text, first = detail::take_line(rest);
    const std::optional<detail::WordVectorsHeader> said = detail::word_vectors_header(first);
    detail::WordVectorsHeader header = said.value_or(detail::WordVectorsHeader{});
    if (!said) {  // GloVe: the numbers of lines and fields say it
        detail::take_field(first);
        while (!detail::take_field(first).empty()) ++header.dimension;
        header.words = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + (!text.empty() && text.back() != '\n');
        rest = text;
    }
    if (header.dimension == 0)
        throw Error("no word vectors", {.file = path.string(), .key = "line 1", .expected = "the numbers of words and of dimensions, or a word and its values", .found = '\'' + std::string(text.substr(0, std::min<std::size_t>(text.find('\n'), 60))) + '\''});
    const std::size_t room = header.words == 0 ? 0 : (rest.size() + 1) / header.words;  // bytes; a word and its values take 2, and 2 for each value
    if (header.words > 0 && (room < 4 || header.dimension > (room - 2) / 2))
        throw Error("the first line promises more than the file holds", {.file = path.string(), .key = "line 1", .expected = "what fits " + std::to_string(rest.size()) + " bytes", .found = std::to_string(header.words) + " words of " + std::to_string(header.dimension) + " values"});
    std::string_view ahead = rest, values = detail::take_line(ahead);
    const bool printable = std::none_of(values.begin(), values.end(), [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; });
    detail::take_field(values);
    std::vector<float> ignored;
    const bool is_text = !said || header.words == 0 || detail::read_values(values, header.dimension, ignored).empty();
    detail::ReadWords read;
    try {
        read = is_text ? detail::read_word2vec_text(rest, header, said.has_value(), path) : detail::read_word2vec_binary(rest, header, path);
    } catch (const Error&) {
        if (is_text || !printable) throw;
        detail::read_word2vec_text(rest, header, true, path);  // text after all, and broken: says where
        throw;
    }
    return WordVectors(std::move(read.words), std::move(read.values), header.dimension);
} catch (const Error& e) {
    throw e.in_file(path);
}

// word2vec's text format. Values are written so that the same number is read back. Throws Error, leaving what was there before, where a word
// has white space in it or the file cannot be written.
inline void save_word2vec_text(const WordVectors& vectors, const std::filesystem::path& path) {
    detail::check_words(vectors, path);
    FileReplacement file(path);
    std::string text = std::to_string(vectors.size()) + ' ' + std::to_string(vectors.dimension()) + '\n';
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        text += vectors.words()[i];
        for (const float value : vectors.vector(i)) {
            char number[32];
            text += ' ';
            text.append(number, std::to_chars(number, number + sizeof number, value).ptr);
        }
        text += '\n';
        if (text.size() >= std::size_t{1} << 20) file.write(text), text.clear();
    }
    file.write(text);
    file.commit();
}

// word2vec's binary format, byte for byte as gensim writes it. Throws as save_word2vec_text.
inline void save_word2vec_binary(const WordVectors& vectors, const std::filesystem::path& path) {
    detail::check_words(vectors, path);
    FileReplacement file(path);
    std::string text = std::to_string(vectors.size()) + ' ' + std::to_string(vectors.dimension()) + '\n';
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        const auto values = std::as_bytes(vectors.vector(i));
        text += vectors.words()[i] + ' ';
        text.append(reinterpret_cast<const char*>(values.data()), values.size());
        if (text.size() >= std::size_t{1} << 20) file.write(text), text.clear();
    }
    file.write(text);
    file.commit();
}

// Vectors, words and counts as safetensors. Throws Error where a word has a zero byte in it or the file cannot be written.
inline void save_word_vectors_safetensors(const WordVectors& vectors, const std::filesystem::path& path) {
    std::string words;
    for (const std::string& word : vectors.words()) {
        if (word.find('\0') != word.npos) throw Error("a word has a zero byte in it", {.file = path.string(), .key = "word", .found = '\'' + word + '\''});
        words.append(word).push_back('\0');
    }
    const std::uint64_t n = vectors.size();
    std::vector<NamedTensor> tensors{{"vectors", {DType::f32, {n, vectors.dimension()}, std::as_bytes(vectors.values())}}, {"words", {DType::u8, {words.size()}, std::as_bytes(std::span(words))}}};
    if (!vectors.counts().empty()) tensors.insert(tensors.begin(), {"counts", {DType::u64, {n}, std::as_bytes(std::span(vectors.counts()))}});
    write_safetensors(path, tensors, {{"format", "word vectors"}});
}

}  // namespace morsel
