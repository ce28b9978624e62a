// Whatever bytes come in and whatever is done to them: texts stay valid UTF-8, every byte has an origin inside the caller's bytes,
// all bytes of a character have the same, and origins never run backwards. No step may crash on malformed or hostile input.
#include "support/catch.hpp"

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "morsel/tokenizer/splitting/pre_tokenizers.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"
#include "support/rounds.hpp"

using namespace morsel;

namespace {

void check_alignment(const AlignedText& text, std::size_t base, std::size_t size) {
    REQUIRE(unicode::is_valid_utf8(text.text));
    REQUIRE(text.origin.size() == text.text.size());
    REQUIRE(text.start >= base);
    Span last{base, base};
    for (std::size_t i = 0; i < text.text.size();) {
        const std::size_t begin = i;
        unicode::next_code_point(text.text, i);
        const Span at = text.origin[begin];
        for (std::size_t k = begin; k < i; ++k)
            if (!(text.origin[k] == at)) FAIL("bytes of one character differ in origin");
        if (at.begin > at.end || at.begin < last.begin || at.end > base + size) FAIL("origin out of order or range");
        last = at;
    }
}

const char* const normalizers[] = {
    R"({"type":"NFC"})", R"({"type":"NFD"})", R"({"type":"NFKC"})", R"({"type":"NFKD"})", R"({"type":"BertNormalizer"})", R"({"type":"Lowercase"})", R"({"type":"Strip"})",
    R"({"type":"StripAccents"})", R"({"type":"Nmt"})", R"({"type":"ByteLevel"})", R"({"type":"Prepend","prepend":"▁"})", R"({"type":"Replace","pattern":{"String":" "},"content":"▁▁"})",
    R"({"type":"Replace","pattern":{"Regex":"\\s+"},"content":""})", R"({"type":"Replace","pattern":{"String":""},"content":"-"})"};
const char* const pre_tokenizers[] = {
    R"({"type":"ByteLevel"})", R"({"type":"ByteLevel","use_regex":false})", R"({"type":"BertPreTokenizer"})", R"({"type":"Metaspace","replacement":"▁"})",
    R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false})", R"({"type":"Punctuation","behavior":"MergedWithNext"})", R"({"type":"Digits","individual_digits":true})",
    R"({"type":"Whitespace"})", R"({"type":"WhitespaceSplit"})", R"({"type":"UnicodeScripts"})", R"({"type":"CharDelimiterSplit","delimiter":"a"})", R"({"type":"FixedLength","length":2})",
    R"({"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":true})", R"({"type":"Split","pattern":{"String":""},"behavior":"Contiguous","invert":false})"};

Normalizer normalizer(const char* json) {
    const Json value = parse_json(json);
    return normalizer_from_json(JsonObject(value, {}));
}
PreTokenizer pre_tokenizer(const char* json) {
    const Json value = parse_json(json);
    return pre_tokenizer_from_json(JsonObject(value, {}));
}

}  // namespace

TEST_CASE("malformed bytes become U+FFFD aligned with themselves") {
    const AlignedText text = aligned("a\xE4\xB8" "b\xFF", 10);
    CHECK(text.text == "a\uFFFD" "b\uFFFD");
    CHECK(text.origin == std::vector<Span>{{10, 11}, {11, 13}, {11, 13}, {11, 13}, {13, 14}, {14, 15}, {14, 15}, {14, 15}});
    CHECK(text.start == 10);
    CHECK(origin_of(text, 1, 4) == Span{11, 13});
    CHECK(slice(text, 1, 5).start == 11);
    CHECK(aligned("", 7).start == 7);
    CHECK(origin_of(aligned("", 7), 0, 0) == Span{7, 7});
}

TEST_CASE("random bytes through every normalizer and pre-tokenizer") {
    std::vector<Normalizer> n;
    std::vector<PreTokenizer> p;
    for (const char* json : normalizers) n.push_back(normalizer(json));
    for (const char* json : pre_tokenizers) p.push_back(pre_tokenizer(json));
    const std::string parts[] = {"a", " ", "\n", "\xC3\xA9", "\xCC\x81", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80", "\xEF\xBF\xBD", "\x80", "\xE4\xB8", "\xED\xA0\x80", "\xF4\x90", "\xFF", std::string(1, '\0'),
                                 "\xC4\xB0", "\xEF\xAC\x81", "\xEA\xB0\x81", "\xE2\x96\x81", "1", "!", "\xE0\xA5\x98", "\xC2\xAD", "\xCD\x84", "\xCC\xA3"};
    std::mt19937 random(3);
    for (int i = 0; i < morsel_test::rounds(3000); ++i) {
        std::string bytes;
        for (unsigned k = random() % 24; k > 0; --k) bytes += random() % 3 ? parts[random() % std::size(parts)] : std::string(1, static_cast<char>(random()));
        const std::size_t base = random() % 5;
        AlignedText text = aligned(bytes, base);
        CHECK(text.text == unicode::to_valid_utf8(bytes));
        std::size_t covered = base;  // the origins of the characters partition the caller's bytes
        for (std::size_t k = 0; k < text.text.size(); ++k)
            if (k == 0 || !(text.origin[k] == text.origin[k - 1])) {
                REQUIRE(text.origin[k].begin == covered);
                covered = text.origin[k].end;
            }
        CHECK(covered == base + bytes.size());
        for (unsigned k = random() % 4; k > 0; --k) {
            normalize(n[random() % n.size()], text);
            check_alignment(text, base, bytes.size());
        }
        std::vector<AlignedText> pieces{text};
        for (unsigned k = 1 + random() % 2; k > 0; --k) {
            pre_tokenize(p[random() % p.size()], pieces);
            for (const auto& piece : pieces) {
                CHECK(!(piece.text.empty() && !text.text.empty()));
                check_alignment(piece, base, bytes.size());
            }
        }
    }
}

TEST_CASE("a megabyte of one kind of character takes linear time in every step") {
    for (const std::string unit : {"a", " ", "\xCC\x81", "\xE4\xB8\xAD", "!", "1", "\xFF", "a "}) {
        std::string text;
        while (text.size() < 1'000'000) text += unit;
        const AlignedText input = aligned(text);
        for (const char* json : normalizers) {
            INFO(json);
            AlignedText copy = input;
            const auto begin = std::chrono::steady_clock::now();
            normalize(normalizer(json), copy);
            CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
        }
    }
    for (const std::string unit : {"a", "\xE4\xB8\xAD", "  \n", "\xFF"}) {
        std::string text;
        while (text.size() < 300'000) text += unit;
        for (const char* json : pre_tokenizers) {
            INFO(json);
            std::vector<AlignedText> pieces{aligned(text)};
            const auto begin = std::chrono::steady_clock::now();
            pre_tokenize(pre_tokenizer(json), pieces);
            CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
        }
    }
}
