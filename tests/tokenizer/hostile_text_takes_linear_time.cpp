// Long runs of one kind of character through every kind of tokenizer: linear time, no deep stack.
#include <chrono>
#include <string>
#include <vector>

#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"

using namespace morsel;

namespace {

double seconds(const Tokenizer& tokenizer, const std::string& text) {
    const auto start = std::chrono::steady_clock::now();
    CHECK(tokenizer.encode_ids(text).size() <= 3 * text.size() + 4);  // a byte that is no text is U+FFFD, three bytes
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string run_of(const std::string& unit, std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += unit;
    return text;
}

}  // namespace

TEST_CASE("runs of one kind of character") {
    const std::vector<std::pair<const char*, std::string>> units = {
        {"letters", "a"}, {"spaces", " "}, {"newlines", "\n"}, {"exclamation marks", "!"}, {"digits", "1"}, {"ideographs", "中"}, {"combining marks", "\u0301"},
        {"tabs and newlines", "\t\n"}, {"apostrophes", "'s"}, {"word marks", "\u2581"}, {"bytes that are no text", "\xff"}, {"specials", "<s>"}, {"almost specials", "<s"}};
    for (const char* name : {"byte_level.json", "byte_fallback.json", "wordpiece.json", "unigram.json", "suffix.json", "sentencepiece", "sentencepiece_rules"}) {
        const Tokenizer tokenizer = morsel_test::load_tokenizer(morsel_test::test_data() / "tokenizers" / name);
        for (const auto& [kind, unit] : units) {
            CAPTURE(name);
            CAPTURE(kind);
            const double small = seconds(tokenizer, run_of(unit, 40'000)), large = seconds(tokenizer, run_of(unit, 160'000));
            CHECK((large < 0.3 || large < 12 * small));  // four times the text; a quadratic step would take 16 times
        }
    }
}

TEST_CASE("one word of a megabyte takes less than a second or so") {
    for (const char* name : {"byte_fallback.json", "sentencepiece"}) {
        const Tokenizer tokenizer = morsel_test::load_tokenizer(morsel_test::test_data() / "tokenizers" / name);
        CAPTURE(name);
        CHECK(seconds(tokenizer, run_of("the tokens and the pairs ", 1'000'000)) < 8);  // 1 s on an idle machine; a quadratic merge takes an hour
    }
}
