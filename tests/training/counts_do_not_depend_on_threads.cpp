// Word counts: equal to counting by a map, whatever the threads, the length of lines or the way through the table.
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "morsel/training/count_words.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

std::map<std::string, std::uint64_t> as_map(const WordCounts& counts) {
    std::map<std::string, std::uint64_t> out;
    counts.for_each([&](std::string_view word, std::uint64_t count) { out[std::string(word)] += count; });
    return out;
}

struct TemporaryFile {
    std::filesystem::path path = std::filesystem::temp_directory_path() / ("morsel_counts_" + std::to_string(std::random_device{}()));
    explicit TemporaryFile(const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
    ~TemporaryFile() { std::filesystem::remove(path); }
};

std::string random_text(std::mt19937& random, std::size_t size) {
    static const std::vector<std::string> parts{"the", " of", " ", "\n", "\r\n", "  ", "1776", "'s", "日本語", "é", "!?", "\t", "indentation", "            ", "averyveryverylongword", "👍", "\u00a0", "\u3000", "\v", "(x)"};
    std::string text;
    while (text.size() < size) text += parts[random() % parts.size()];
    return text;
}

}  // namespace

TEST_CASE("a table of words counts as a map does") {
    std::mt19937 random(3);
    WordCounts counts, half;
    std::map<std::string, std::uint64_t> expected;
    for (int i = 0; i < 50000; ++i) {
        std::string word;
        for (std::size_t n = 1 + random() % 24; n > 0; --n) word += static_cast<char>(random() % 3);  // zero bytes, too
        const std::uint64_t count = 1 + random() % 5;
        (i % 2 == 0 ? counts : half).add(word, count);
        expected[word] += count;
    }
    counts.merge(half);
    CHECK(as_map(counts) == expected);
    CHECK(counts.size() == expected.size());
    CHECK(counts.count(expected.begin()->first) == expected.begin()->second);
    CHECK(counts.count("not there") == 0);
    const auto sorted = counts.sorted();
    for (std::size_t i = 1; i < sorted.size(); ++i)
        CHECK((sorted[i - 1].count > sorted[i].count || (sorted[i - 1].count == sorted[i].count && sorted[i - 1].word < sorted[i].word)));
}

TEST_CASE("files are counted line by line, the same at any number of threads, as the plain way does") {
    std::mt19937 random(5);
    const TemporaryFile file(random_text(random, 2'500'000));
    const std::vector<std::filesystem::path> files{file.path, file.path};
    const std::string text = read_file(file.path);
    for (const WordSplitting& splitting : {WordSplitting{{}, PreTokenizer{{ByteLevelPreTokenizer{false}}}}, WordSplitting{{}, PreTokenizer{{ByteLevelPreTokenizer{true}}}},
                                           WordSplitting{{}, PreTokenizer{{BertPreTokenizer{}}}}, WordSplitting{{}, PreTokenizer{{WhitespacePreTokenizer{}, DigitsPreTokenizer{true}}}},
                                           WordSplitting{{}, PreTokenizer{{MetaspacePreTokenizer{}}}}}) {
        std::map<std::string, std::uint64_t> plain;  // by the pre-tokenizer itself, characters instead of bytes
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t newline = text.find('\n', at), end = newline == text.npos ? text.size() : newline + 1;
            std::vector<AlignedText> pieces{aligned(std::string_view(text).substr(at, end - at))};
            pre_tokenize(*splitting.pre_tokenizer, pieces);
            for (const auto& piece : pieces) plain[piece.text] += 2;
            at = end;
        }
        for (const unsigned threads : {1u, 2u, 7u}) {
            ThreadPool pool(threads);
            const WordCounts counts = count_files(files, splitting, pool);
            std::map<std::string, std::uint64_t> shown;
            counts.for_each([&](std::string_view word, std::uint64_t count) {
                std::string characters;
                for (const char byte : word) counts.are_bytes() ? unicode::append(characters, byte_to_character[static_cast<unsigned char>(byte)]) : characters.push_back(byte);
                shown[characters] = count;
            });
            CHECK(shown == plain);
        }
    }
}

TEST_CASE("bytes that are no UTF-8 are an error that names the place") {
    const TemporaryFile file("good line\nbad \xff line\n");
    ThreadPool pool(1);
    for (const auto& splitting : {WordSplitting{{}, PreTokenizer{{ByteLevelPreTokenizer{}}}}, WordSplitting{{}, PreTokenizer{{WhitespaceSplitPreTokenizer{}}}}}) {
        try {
            count_files(std::vector{file.path}, splitting, pool);
            FAIL("no error");
        } catch (const Error& e) {
            CHECK(e.file() == file.path.string());
            CHECK(e.key() == "byte 14");
        }
    }
    CHECK_THROWS_AS(count_files(std::vector<std::filesystem::path>{"/does/not/exist"}, {}, pool), Error);
}

TEST_CASE("progress can stop counting") {
    const TemporaryFile file("some text\n");
    ThreadPool pool(1);
    CHECK_THROWS_AS(count_files(std::vector{file.path}, {}, pool, [](const Progress&) { return false; }), Error);
}
