// Scanners: a megabyte of one class takes the time of any other megabyte, pieces always cover the text, and a fragment's end counts
// as the end of the text. Fragments are the reason the last test states pieces in words.
#include "support/catch.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "morsel/tokenizer/splitting/pattern.hpp"
#include "morsel/tokenizer/splitting/split_patterns.hpp"

using namespace morsel;

static std::vector<std::string> pieces(const SplitScanner& scanner, std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t end = scanner.next(text, i);
        out.emplace_back(text.substr(i, end - i));
        i = end;
    }
    return out;
}

TEST_CASE("a megabyte of anything is scanned in linear time") {
    std::vector<SplitScanner> scanners = {split::smollm};
    for (const auto& known : split::known) scanners.push_back(known.scanner);
    const std::vector<std::string> units = {"a", "A", " ", "\n", "\t\n", " \n", "!", "1", "'", "'s", "a'", "\u0301", "A\u0301", "\u4e2d", "\u00e9", "\u00a0", "\u2028 ", " a", "\x01", "\u200b",
                                            "\xF0\x9F\x98\x80", "/", "_a", "\u02b0A", "'l", "\u3042", "1 ", "\x80", "\xF0\x9F"};
    for (const auto& unit : units) {
        std::string text;
        while (text.size() < 1'000'000) text += unit;
        for (const std::string& whole : {text, text + "x", "A" + text, "\n" + text}) {
            const auto begin = std::chrono::steady_clock::now();
            for (const auto& scanner : scanners) {
                std::size_t at = 0;
                while (at < whole.size()) {
                    const std::size_t end = scanner.next(whole, at);
                    if (end <= at) FAIL("no progress");
                    at = end;
                }
                if (at != whole.size()) FAIL("past the end");
            }
            INFO(unit);
            CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));  // 14 scanners, 0.1 s on an idle machine; quadratic would take hours
        }
    }
}

TEST_CASE("cuts that near-duplicates of a pattern make differently") {
    using Pieces = std::vector<std::string>;
    CHECK(pieces(split::gpt2, "I'm DON'T  go 12345") == Pieces{"I", "'m", " DON", "'", "T", " ", " go", " 12345"});
    CHECK(pieces(split::llama3, "I'm DON'T  go 12345") == Pieces{"I", "'m", " DON", "'T", " ", " go", " ", "123", "45"});
    CHECK(pieces(split::qwen2, "go 12") == Pieces{"go", " ", "1", "2"});
    CHECK(pieces(split::smollm, "a  12 b") == Pieces{"a", "  ", "1", "2", " b"});
    CHECK(pieces(split::llama3, "a \n  ") == Pieces{"a", " \n", "  "});
    CHECK(pieces(split::cl100k_tiktoken, "a \n  ") == Pieces{"a", " \n  "});
    CHECK(pieces(split::llama3, "it'\u017f") == Pieces{"it", "'\u017f"});
    CHECK(pieces(split::gpt2, "it'\u017f") == Pieces{"it", "'", "\u017f"});
    CHECK(pieces(split::o200k, "HelloWorld DON'T a/b//\n") == Pieces{"Hello", "World", " DON'T", " a", "/b", "//\n"});
    CHECK(pieces(split::o200k, "e\u0301a") == Pieces{"e\u0301a"});
    CHECK(pieces(split::llama3, "e\u0301a") == Pieces{"e", "\u0301a"});
    CHECK(pieces(split::deepseek_text, "_abc d\u0301!!\n") == Pieces{"_abc", " d\u0301", "!!\n"});
}

TEST_CASE("known patterns are found by their text, however they write line ends") {
    const std::string llama = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    std::string raw = llama;
    for (std::size_t at; (at = raw.find("\\r\\n")) != std::string::npos;) raw.replace(at, 4, "\r\n");
    CHECK(known_scanner(llama).next == split::llama3.next);
    CHECK(known_scanner(raw).next == split::llama3.next);
    CHECK(!known_scanner(llama + "|x"));
    CHECK(!known_scanner(llama.substr(1)));
    CHECK(!known_scanner(""));
    try {
        regex_pattern("(a|b)c?", {});
        FAIL("accepted");
    } catch (const Error& e) {
        CHECK(std::string(e.what()).find("(a|b)c?") != std::string::npos);
        CHECK(std::string(e.what()).find("morsel/tokenizer/pcre2.hpp") != std::string::npos);
    }
}
