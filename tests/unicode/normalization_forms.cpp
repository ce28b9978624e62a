// The four normalization forms against Unicode's own NormalizationTest.txt (read from Debian's package unicode-data, where there is
// one), and against the text of Unicode Standard Annex 15.
#include "support/catch.hpp"

#include <chrono>
#include <cstdio>
#include <sstream>
#include <random>
#include <string>
#include <vector>

#include "morsel/tokenizer/text/aligned_text.hpp"
#include "morsel/unicode/normalize.hpp"
#include "support/rounds.hpp"

using namespace morsel;
using unicode::NormalForm;

static std::string utf8(std::u32string_view text) {
    std::string out;
    for (const char32_t c : text) unicode::append(out, c);
    return out;
}

TEST_CASE("the examples of Unicode Standard Annex 15") {
    struct Case {
        std::u32string text, nfd, nfc, nfkd, nfkc;
    };
    const std::vector<Case> cases = {
        {U"\u212B", U"A\u030A", U"\u00C5", U"A\u030A", U"\u00C5"},
        {U"\u2126", U"\u03A9", U"\u03A9", U"\u03A9", U"\u03A9"},
        {U"\u00F4", U"o\u0302", U"\u00F4", U"o\u0302", U"\u00F4"},
        {U"\u1E69", U"s\u0323\u0307", U"\u1E69", U"s\u0323\u0307", U"\u1E69"},
        {U"\u1E0B\u0323", U"d\u0323\u0307", U"\u1E0D\u0307", U"d\u0323\u0307", U"\u1E0D\u0307"},
        {U"q\u0307\u0323", U"q\u0323\u0307", U"q\u0323\u0307", U"q\u0323\u0307", U"q\u0323\u0307"},
        {U"\uFB01", U"\uFB01", U"\uFB01", U"fi", U"fi"},
        {U"2\u2075", U"2\u2075", U"2\u2075", U"25", U"25"},
        {U"\u1E9B\u0323", U"\u017F\u0323\u0307", U"\u1E9B\u0323", U"s\u0323\u0307", U"\u1E69"},
        {U"\uAC01", U"\u1100\u1161\u11A8", U"\uAC01", U"\u1100\u1161\u11A8", U"\uAC01"},
        {U"\u0958", U"\u0915\u093C", U"\u0915\u093C", U"\u0915\u093C", U"\u0915\u093C"},  // excluded from composition: grows
    };
    for (const auto& c : cases) {
        CHECK(unicode::normalized(utf8(c.text), NormalForm::nfd) == utf8(c.nfd));
        CHECK(unicode::normalized(utf8(c.text), NormalForm::nfc) == utf8(c.nfc));
        CHECK(unicode::normalized(utf8(c.text), NormalForm::nfkd) == utf8(c.nfkd));
        CHECK(unicode::normalized(utf8(c.text), NormalForm::nfkc) == utf8(c.nfkc));
    }
}

// Columns: source; NFC; NFD; NFKC; NFKD. The conformance clauses of the file's head, all five columns each.
TEST_CASE("NormalizationTest.txt") {
    std::string content;
    if (std::FILE* unpacked = popen("bzip2 -dc /usr/share/unicode/NormalizationTest.txt.bz2 2>/dev/null", "r")) {
        char buffer[65536];
        for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, unpacked)) > 0;) content.append(buffer, n);
        pclose(unpacked);
    }
    if (content.empty()) return;
    std::istringstream file(content);
    std::size_t lines = 0, wrong = 0;
    const auto check = [&](const std::string& text, NormalForm form, const std::string& expected) {
        wrong += unicode::normalized(text, form) != expected;
        wrong += unicode::is_normalized_quick(text, form) && text != expected;
    };
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#' || line[0] == '@') continue;
        std::vector<std::string> columns;
        std::istringstream fields(line);
        for (std::string field; columns.size() < 5 && std::getline(fields, field, ';');) {
            std::istringstream points(field);
            std::string text;
            for (std::uint32_t c; points >> std::hex >> c;) unicode::append(text, c);
            columns.push_back(text);
        }
        if (columns.size() < 5) continue;
        ++lines;
        for (int i = 0; i < 5; ++i) {
            const std::size_t k = static_cast<std::size_t>(i);
            check(columns[k], NormalForm::nfc, columns[i < 3 ? 1 : 3]);
            check(columns[k], NormalForm::nfd, columns[i < 3 ? 2 : 4]);
            check(columns[k], NormalForm::nfkc, columns[3]);
            check(columns[k], NormalForm::nfkd, columns[4]);
        }
    }
    CHECK(lines > 18000);
    CHECK(wrong == 0);
}

TEST_CASE("a megabyte of combining marks, and one of Hangul, take linear time and keep their alignment") {
    for (const std::string unit : {"\xCC\x81", "\xCC\xA3\xCC\x81", "\xEA\xB0\x80", "e\xCC\x81"}) {
        std::string text = "e";
        while (text.size() < 1'000'000) text += unit;
        const auto begin = std::chrono::steady_clock::now();
        for (const auto form : {NormalForm::nfd, NormalForm::nfc, NormalForm::nfkd, NormalForm::nfkc}) {
            AlignedText aligned_text = aligned(text);
            transform(aligned_text, unicode::normalized_changes(text, form));
            CHECK(aligned_text.text == unicode::normalized(text, form));
            CHECK(aligned_text.origin.size() == aligned_text.text.size());
            CHECK(aligned_text.origin.back().end + 2 >= text.size());  // a composite is aligned with its first character
        }
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
    }
}

TEST_CASE("the quick check says of every character, and of any bytes, what the tables say") {
    using unicode::append, unicode::combining_class, unicode::is_normalized_quick, unicode::next_code_point;
    const auto by_tables = [](std::string_view text, NormalForm form) {
        std::uint8_t last = 0;
        for (std::size_t i = 0; i < text.size();) {
            const char32_t c = next_code_point(text, i);
            const std::uint8_t flags = unicode::detail::normalization_flags(c), ccc = combining_class(c);
            if ((flags >> static_cast<unsigned>(form) & 1) != 0 || (ccc != 0 && ccc < last)) return false;
            last = ccc;
        }
        return true;
    };
    const NormalForm forms[] = {NormalForm::nfd, NormalForm::nfkd, NormalForm::nfc, NormalForm::nfkc};
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        std::string text;
        append(text, c);
        for (const NormalForm form : forms)
            if (is_normalized_quick(text, form) != by_tables(text, form)) FAIL("U+" << std::hex << static_cast<std::uint32_t>(c));
    }
    std::mt19937 random(3);
    const std::vector<std::string> parts = {"a", "\u4e2d", "\u9fff", "\u304b", "\u304c", "\u3099", "\u302a", "\u3029", "\uac00", "\ud7a3", "\u00e9", "\u02ff", "\u0439", "\u0340", "\u0374", "\u0301", "\u0323", "\u0345", "\xe4", "\xe4\xb8", "\xcc\x81", "\x81", "\xe3\x82", "\xed\xa0\x80"};
    for (int round = 0; round < morsel_test::rounds(100000); ++round) {
        std::string text;
        for (std::size_t n = random() % 7; n > 0; --n) text += parts[random() % parts.size()];
        for (const NormalForm form : forms) REQUIRE(is_normalized_quick(text, form) == by_tables(text, form));
    }
}
