// Odd vocab.txt, vocab.json and merges.txt: what loads and what is refused, after Hugging Face tokenizers, but with errors where that
// library dies or silently drops entries.
#include <chrono>
#include <string>
#include <vector>

#include "morsel/tokenizer/loading/load_vocab_txt.hpp"
#include "morsel/tokenizer/loading/load_vocab_merges.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"

using namespace morsel;

namespace {

Vocabulary txt(const std::string& text) { return parse_vocab_txt(text, "vocab.txt"); }
Vocabulary vocab_json(const std::string& text) { return parse_vocab_json(text, "vocab.json"); }

Bpe merges(const std::string& text) {
    Bpe bpe;
    for (const char* token : {"a", "b", "ab", "abab", "#", "#a", "# a", "\u0120", "\u0120a"}) bpe.vocabulary.add(token, static_cast<TokenId>(bpe.vocabulary.size()));
    bpe.vocabulary.finish();
    parse_merges(text, "merges.txt", bpe);
    return bpe;
}

using Id = std::optional<TokenId>;

}  // namespace

TEST_CASE("vocab.txt") {
    CHECK(txt("").size() == 0);
    CHECK(txt("a\r\nb\r\n").id("b") == Id(1));
    CHECK(txt("a\nb").id("b") == Id(1));
    CHECK(txt(" a \nb").id(" a") == Id(0));  // white space at the end goes, at the start it stays
    const Vocabulary twice = txt("a\nb\na\n");
    CHECK(twice.id("a") == Id(2));
    CHECK_FALSE(twice.token(0).has_value());  // a hole is left
    CHECK(twice.id("b") == Id(1));
    const Vocabulary blank = txt("a\n\nb\n");
    CHECK(blank.id("") == Id(1));
    CHECK(blank.id("b") == Id(2));            // ids after a blank line do not shift
    CHECK(txt("a\rb\r").size() == 1);         // only LF ends a line
    CHECK(txt("a\u2028b\u0085c\nd").id("d") == Id(1));
    CHECK(txt(std::string("a\0b\nc", 5)).id(std::string("a\0b", 3)) == Id(0));
    CHECK_THROWS_AS(txt("a\n\xe9\n"), Error);
    CHECK_THROWS_AS(txt("\xEF\xBB\xBF" "a\n"), Error);
    const auto start = std::chrono::steady_clock::now();
    CHECK(txt(std::string(5'000'000, 'x') + "\na\n").id("a") == Id(1));
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 10);  // milliseconds; a quadratic reader takes hours
}

TEST_CASE("merges.txt") {
    const std::string header = "#version: 0.2\n";
    CHECK(merges("").merges.size() == 0);
    CHECK(merges("a b\n").merges.size() == 1);
    CHECK(merges(header + "a b\r\nab ab\r\n").merges.size() == 2);
    CHECK(merges("a b\n" + header + "ab ab").merges.size() == 2);
    CHECK(merges("a b\na b\n").merges.size() == 1);
    CHECK(merges("# a\n").merges.size() == 1);  // a merge, not a comment
    for (const char* bad : {"a\n", "a b a\n", "a\tb\n", "a  b\n", "a b \n", " a b\n", "a b\n\nab ab\n", "\xEF\xBB\xBF" "a b\n", "a \xe9\n", "a z\n", "b a\n", "abab abab\n"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(merges(bad), Error);
    }
    try {
        merges(header + "a b\na z\n");
        FAIL_CHECK("loaded");
    } catch (const Error& e) {
        CHECK(e.key() == "line 3");
        CHECK(e.file() == "merges.txt");
    }
}

TEST_CASE("vocab.json") {
    CHECK(vocab_json(R"({"a":0,"b":7})").id("b") == Id(7));
    CHECK(vocab_json(R"({"a":0,"a":3})").id("a") == Id(3));
    CHECK(vocab_json("{}").size() == 0);
    for (const char* bad : {"", "[]", "[0]", "3", "null", R"({"a":1.5})", R"({"a":-1})", R"({"a":4294967296})", R"({"a":"0"})", R"({"a":{}})", R"({"a":[]})", R"({"a":null})",
                            R"({"a":true})", R"({"a":0)", R"({"a":0}x)", "\xEF\xBB\xBF{}"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(vocab_json(bad), Error);
    }
    std::string deep;
    for (int i = 0; i < 1'000'000; ++i) deep += '[';
    CHECK_THROWS_AS(vocab_json(deep), Error);
}

TEST_CASE("paths that hold no tokenizer") {
    const auto directory = std::filesystem::temp_directory_path() / "morsel-no-tokenizer";
    std::filesystem::create_directories(directory);
    CHECK_THROWS_AS(morsel_test::load_tokenizer(directory), Error);
    CHECK_THROWS_AS(morsel_test::load_tokenizer(directory / "missing"), Error);
    CHECK_THROWS_AS(morsel_test::load_tokenizer("/dev/null"), Error);
    std::filesystem::remove_all(directory);
}
