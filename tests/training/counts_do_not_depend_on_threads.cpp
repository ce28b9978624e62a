// Word counts: equal to counting by a map, whatever the threads, the length of lines or the way through the table.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "morsel/training/count_words.hpp"
#include "morsel/training/resumable_counts.hpp"
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
    static const std::vector<std::string> parts{"the", " of", " ", "\n", "\r\n", "  ", "1776", "'s", "日本語", "é", "!?", "\t", "indentation", "            ", "averyveryverylongword", "👍", "\u00a0", "\u3000", "\v", "\u0301", "\u00b4", "\u00ad", "(x)", "HTTP/1.1", "I.B.M.", "\x7f"};
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
    const TemporaryFile file(random_text(random, 1'500'000));
    const std::vector<std::filesystem::path> files{file.path, file.path};
    const std::string text = read_file(file.path);
    for (const WordSplitting& splitting : {WordSplitting{{}, PreTokenizer{{ByteLevelPreTokenizer{false}}}}, WordSplitting{{}, PreTokenizer{{ByteLevelPreTokenizer{true}}}},
                                           WordSplitting{{}, PreTokenizer{{BertPreTokenizer{}}}}, WordSplitting{{}, PreTokenizer{{WhitespacePreTokenizer{}, DigitsPreTokenizer{true}}}},
                                           WordSplitting{{}, PreTokenizer{{MetaspacePreTokenizer{}}}},
                                           WordSplitting{Normalizer{{BertNormalizer{}}}, PreTokenizer{{BertPreTokenizer{}}}},
                                           WordSplitting{Normalizer{{UnicodeNormalizer{unicode::NormalForm::nfkc}}}, PreTokenizer{{WhitespacePreTokenizer{}}}}}) {
        std::map<std::string, std::uint64_t> plain;  // by the pre-tokenizer itself, characters instead of bytes
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t newline = text.find('\n', at), end = newline == text.npos ? text.size() : newline + 1;
            std::vector<AlignedText> pieces{aligned(std::string_view(text).substr(at, end - at))};
            if (splitting.normalizer) normalize(*splitting.normalizer, pieces[0]);
            pre_tokenize(*splitting.pre_tokenizer, pieces);
            for (const auto& piece : pieces) plain[piece.text] += 2;
            at = end;
        }
        for (const unsigned threads : {1u, 2u, 7u}) {
            ThreadPool pool(threads);
            CountedWords counted = count_words(files, {.splitting = splitting, .memory = threads == 2 ? 200'000u : 0u}, pool);
            CHECK((counted.spilled() > 2) == (threads == 2));
            const WordCounts counts = counted.take();
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

TEST_CASE("parts of files are together the whole") {
    std::mt19937 random(8);
    const TemporaryFile large(random_text(random, 3'000'000)), small("one\ntwo\nthree"), empty("");
    const std::vector<std::filesystem::path> files{large.path, small.path, empty.path};
    const WordSplitting splitting{{}, PreTokenizer{{WhitespaceSplitPreTokenizer{}}}};
    ThreadPool pool(2);
    const auto whole = as_map(count_files(files, splitting, pool));
    for (const std::size_t count : {2u, 3u, 20u}) {
        WordCounts sum;
        for (std::size_t index = 0; index < count; ++index) sum.merge(count_words(files, {.splitting = splitting, .part = {index, count}}, pool).take());
        CHECK(as_map(sum) == whole);
    }
}

TEST_CASE("text comes through a pipe, and by patterns of names") {
    const TemporaryFile pipe("");
    std::filesystem::remove(pipe.path);
    REQUIRE(::mkfifo(pipe.path.c_str(), 0600) == 0);
    std::thread writer([&] { std::ofstream(pipe.path, std::ios::binary) << "a b\n" << std::string(3'000'000, 'x') << " a\nlast a"; });
    ThreadPool pool(1);
    const WordSplitting splitting{{}, PreTokenizer{{WhitespaceSplitPreTokenizer{}}}};
    const WordCounts counts = count_files(std::vector{pipe.path}, splitting, pool);
    writer.join();
    CHECK(as_map(counts) == std::map<std::string, std::uint64_t>{{"a", 3}, {"b", 1}, {"last", 1}, {std::string(3'000'000, 'x'), 1}});
    CHECK_THROWS_AS(count_words(std::vector{pipe.path}, {.part = {0, 2}}, pool), Error);

    const TemporaryFile one("x"), two("y");
    const std::string pattern = (one.path.parent_path() / "morsel_counts_*").string();
    const auto found = files_of(std::vector<std::string>{pattern, "-"});
    CHECK(std::find(found.begin(), found.end(), one.path) != found.end());
    CHECK(std::is_sorted(found.begin(), found.end() - 1));
    CHECK(found.back() == "-");
    CHECK_THROWS_AS(files_of(std::vector<std::string>{one.path.string() + "*.none"}), Error);
    CHECK_THROWS_AS(count_files(std::vector{one.path.parent_path()}, {}, pool), Error);
}

TEST_CASE("tables are kept in files, added up, and not believed") {
    std::mt19937 random(4);
    WordCounts first, second;
    for (int i = 0; i < 2000; ++i) first.add("w" + std::to_string(random() % 900), 1 + random() % 3), second.add("w" + std::to_string(random() % 1500), std::uint64_t{1} << (random() % 40));
    first.add(std::string(100, 'x'), 7);
    const TemporaryFile a(""), b(""), bad("");
    save_word_counts(first, a.path, "by spaces"), save_word_counts(second, b.path, "by spaces");
    CHECK(as_map(load_word_counts(std::vector{a.path}).counts) == as_map(first));
    const LoadedWordCounts both = load_word_counts(std::vector{a.path, b.path, a.path});
    WordCounts sum;
    sum.merge(first), sum.merge(second), sum.merge(first);
    CHECK(as_map(both.counts) == as_map(sum));
    CHECK(both.splitting == "by spaces");

    const auto refused = [&](const std::string& bytes) {
        std::ofstream(bad.path, std::ios::binary) << bytes;
        try {
            load_word_counts(std::vector{bad.path});
        } catch (const Error& e) {
            return e.file() == bad.path.string();
        }
        return false;
    };
    WordCounts few(false);
    few.add("ab", 300), few.add("b", 1), few.add("\u00e9", 2);
    const std::string good = word_table_bytes(few, "s");
    CHECK_FALSE(refused(good));
    for (std::size_t size = 0; size < good.size(); ++size) CHECK(refused(good.substr(0, size)));
    for (std::size_t i = 0; i < good.size(); ++i)
        for (const int flip : {1, 4, 0x80}) {
            std::string damaged = good;
            damaged[i] = static_cast<char>(damaged[i] ^ flip);
            CHECK(refused(damaged));
        }
    CHECK(refused(good + "x"));
    // well made by a stranger: out of order, no UTF-8, sums beyond what adds up, a length without end
    const auto made = [](std::initializer_list<std::pair<std::string, std::uint64_t>> words) {
        std::string bytes;
        WordTableWriter writer(WordTableHeader{}, [&](std::string_view more) { bytes += more; });
        for (const auto& [word, count] : words) writer.add(word, count);
        writer.finish();
        return bytes;
    };
    CHECK_FALSE(refused(made({{"a", 1}, {"b", 1}})));
    CHECK(refused(made({{"b", 1}, {"a", 1}})));
    CHECK(refused(made({{"a", 1}, {"a", 1}})));
    CHECK(refused(made({{"\xff", 1}})));
    CHECK(refused(made({{"", 1}})));
    CHECK(refused(made({{"a", std::uint64_t{1} << 62}, {"b", 1}})));
    CHECK(refused(std::string("MORSELWC\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 20)));
    std::ofstream(a.path, std::ios::binary) << made({{"a", std::uint64_t{1} << 62}});
    CHECK_THROWS_AS(load_word_counts(std::vector{a.path, a.path}), Error);  // too large only together
    save_word_counts(first, a.path, "otherwise");
    CHECK_THROWS_AS(load_word_counts(std::vector{a.path, b.path}), Error);
    save_word_counts(WordCounts(true), a.path, "by spaces");
    CHECK_THROWS_AS(load_word_counts(std::vector{a.path, b.path}), Error);
    CHECK_THROWS_AS(save_word_counts(first, "/does/not/exist/words"), Error);
}

TEST_CASE("counting that was stopped goes on, and the table is the same") {
    std::mt19937 random(9);
    const TemporaryFile first(random_text(random, 5'300'000)), second(random_text(random, 2'700'000));
    const std::vector<std::filesystem::path> files{first.path, second.path};
    const WordSplitting splitting{{}, PreTokenizer{{ByteLevelPreTokenizer{false}}}};
    const std::filesystem::path output = first.path.string() + ".counts", part = output.string() + ".part", whole = first.path.string() + ".whole";
    ThreadPool one(1);
    count_words(files, {.splitting = splitting}, one).save(whole, "s");
    for (const unsigned threads : {1u, 3u})
        for (const std::size_t memory : {std::size_t{0}, std::size_t{300'000}}) {
            ThreadPool pool(threads);
            const CountingOptions options{.splitting = splitting, .memory = memory};
            std::filesystem::remove(output);
            int stops = 0;
            for (std::size_t last = 0;; ++stops) {
                REQUIRE(stops < 20);
                std::size_t calls = 0, begun = 0;
                try {
                    const auto stop = [&](const Progress& p) {
                        if (calls++ == 0) begun = p.done;
                        return calls < 2;
                    };
                    count_words_resumably(files, output, "s", options, pool, stop);
                    break;
                } catch (const Error& e) {
                    CHECK(std::string(e.what()).find("cancelled") != std::string::npos);
                    if (threads == 1) CHECK(begun > last);  // not from the beginning; of several threads the calling one may see little
                    last = begun;
                    CHECK(std::filesystem::exists(part));
                    CHECK_FALSE(std::filesystem::exists(output));
                }
            }
            if (threads == 1) CHECK(stops > 1);
            CHECK(read_file(output) == read_file(whole));
            CHECK_FALSE(std::filesystem::exists(part));
            count_words_resumably(files, output, "s", options, pool, {}, std::chrono::milliseconds(0));  // kept after every block
            CHECK(read_file(output) == read_file(whole));
        }
    const auto stop_after_a_block = [](const Progress&) { return false; };
    CHECK_THROWS_AS(count_words_resumably(files, output, "s", {.splitting = splitting}, one, stop_after_a_block), Error);
    const auto refused = [&](std::span<const std::filesystem::path> of, const char* how, const char* what) {
        try {
            count_words_resumably(of, output, how, {.splitting = splitting}, one);
        } catch (const Error& e) {
            return std::string(e.what()).find(what) != std::string::npos;
        }
        return false;
    };
    CHECK(refused(files, "t", "split otherwise"));
    CHECK(refused(std::vector{files[1], files[0]}, "s", "other files"));
    CHECK(refused(std::vector<std::filesystem::path>{"/dev/null"}, "s", "regular files"));
    std::string bytes = read_file(part);
    bytes[bytes.size() / 2] ^= 1;
    std::ofstream(part, std::ios::binary) << bytes;
    CHECK(refused(files, "s", part.c_str()));
    std::filesystem::copy_file(whole, part, std::filesystem::copy_options::overwrite_existing);
    CHECK(refused(files, "s", "how far"));
    std::filesystem::remove(part);
    CHECK_THROWS_AS(count_words_resumably(files, output, "s", {.splitting = splitting}, one, stop_after_a_block), Error);
    std::ofstream(second.path, std::ios::app) << "more\n";
    CHECK(refused(files, "s", "changed since"));
    for (const auto& path : {output, part, whole}) std::filesystem::remove(path);
}
