// UTF-8: every scalar value round-trips, every malformed byte string is replaced as the Unicode Standard's maximal subparts say.
// The oracle is a second decoder that goes by the definition: it tries all encodings instead of using lead byte tables.
#include "support/catch.hpp"

#include <random>
#include <set>
#include <string>
#include <vector>

#include "morsel/unicode/utf8.hpp"
#include "support/rounds.hpp"

using namespace morsel;

namespace {

// Every prefix of the encoding of every scalar value, so that "can these bytes begin a character?" is a look-up.
const std::set<std::string>& prefixes() {
    static const std::set<std::string> all = [] {
        std::set<std::string> set;
        for (char32_t c = 0; c <= 0x10FFFF; c += c >= 0x3000 && (c & 63) == 0 ? 32 : 1) {  // last bytes of the high planes need no full sweep
            if (c >= 0xD800 && c <= 0xDFFF) continue;
            std::string text;
            if (c < 0x80) text = {static_cast<char>(c)};
            else if (c < 0x800) text = {static_cast<char>(0xC0 + c / 64), static_cast<char>(0x80 + c % 64)};
            else if (c < 0x10000) text = {static_cast<char>(0xE0 + c / 4096), static_cast<char>(0x80 + c / 64 % 64), static_cast<char>(0x80 + c % 64)};
            else text = {static_cast<char>(0xF0 + c / 262144), static_cast<char>(0x80 + c / 4096 % 64), static_cast<char>(0x80 + c / 64 % 64), static_cast<char>(0x80 + c % 64)};
            for (std::size_t n = 1; n < text.size(); ++n) set.insert(text.substr(0, n));
        }
        return set;
    }();
    return all;
}

std::string lossy_by_definition(const std::string& bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes.size();) {
        std::size_t n = 1;
        while (i + n < bytes.size() && n < 4 && prefixes().count(bytes.substr(i, n)) && (bytes[i + n] & 0xC0) == 0x80 &&
               (prefixes().count(bytes.substr(i, n + 1)) || n + 1 == (static_cast<unsigned char>(bytes[i]) >= 0xF0 ? 4u : static_cast<unsigned char>(bytes[i]) >= 0xE0 ? 3u : 2u)))
            ++n;
        const auto lead = static_cast<unsigned char>(bytes[i]);
        const std::size_t whole = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (lead < 0x80 || (n == whole && prefixes().count(bytes.substr(i, 1)))) out += bytes.substr(i, n);
        else out += "\xEF\xBF\xBD";
        i += n;
    }
    return out;
}

}  // namespace

TEST_CASE("every scalar value round-trips and everything else becomes U+FFFD") {
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        std::string text;
        unicode::append(text, c);
        const auto point = unicode::decode(text, 0);
        const char32_t expected = c >= 0xD800 && c <= 0xDFFF ? 0xFFFD : c;
        if (point.value != expected || !point.valid || point.size != text.size() || unicode::encoded_size(expected) != text.size() ||
            unicode::previous_start("a" + text, 1 + text.size()) != 1)
            FAIL("U+" << std::hex << static_cast<std::uint32_t>(c));
    }
    std::string beyond;
    unicode::append(beyond, 0x110000);
    CHECK(beyond == "\xEF\xBF\xBD");
}

TEST_CASE("malformed bytes: one U+FFFD per maximal subpart") {
    const std::string r = "\xEF\xBF\xBD";
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"\xFF", r}, {"\xC0\xAF", r + r}, {"\xE0\x80\x9F", r + r + r}, {"\xED\xA0\x80", r + r + r}, {"\xE4\xB8", r}, {"\x80", r},
        {"\xF5\x80\x80\x80", r + r + r + r}, {"\xF4\x90\x80\x80", r + r + r + r}, {"\xF0\x90\x80", r}, {"\xF0\x90\x80z", r + "z"},
        {"a\xE4\xB8\xF0\x9F\x98\x80", "a" + r + "\xF0\x9F\x98\x80"}, {"\xC2\xC2\xA9", r + "\xC2\xA9"}, {"\xE1\xA0\xE1\xA0\x80", r + "\xE1\xA0\x80"},
        // the example of the Unicode Standard, table 3-8
        {"a\xF1\x80\x80\xE1\x80\xC2" "b\x80" "c\x80\xBF" "d", "a" + r + r + r + "b" + r + "c" + r + r + "d"},
    };
    for (const auto& [bytes, text] : cases) {
        CHECK(unicode::to_valid_utf8(bytes) == text);
        CHECK(!unicode::is_valid_utf8(bytes));
        CHECK(unicode::is_valid_utf8(unicode::to_valid_utf8(bytes)));
    }
    CHECK(unicode::to_valid_utf8("") == "");
    CHECK(unicode::is_valid_utf8(""));
    CHECK(unicode::to_valid_utf8(std::string("a\0b", 3)) == std::string("a\0b", 3));
}

TEST_CASE("all strings of one to three bytes and random longer ones agree with the definition") {
    std::string bytes;
    std::size_t different = 0;
    const auto check = [&] { different += unicode::to_valid_utf8(bytes) != lossy_by_definition(bytes); };
    const unsigned char interesting[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    for (int a = 0; a < 256; ++a) {
        bytes = {static_cast<char>(a)}, check();
        for (int b = 0; b < 256; ++b) {
            bytes = {static_cast<char>(a), static_cast<char>(b)}, check();
            for (const auto c : interesting) bytes = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)}, check();
        }
    }
    std::mt19937 random(1);
    for (int i = 0; i < morsel_test::rounds(100000); ++i) {
        bytes.clear();
        for (unsigned n = 4 + random() % 8; n > 0; --n) bytes += static_cast<char>(interesting[random() % std::size(interesting)]);
        check();
    }
    CHECK(different == 0);
}

TEST_CASE("ASCII runs and valid prefixes end at the right byte wherever it stands") {
    for (std::size_t size = 0; size < 40; ++size) {
        for (std::size_t at = 0; at < size; ++at) {
            std::string text(size, 'x');
            text[at] = '\xE9';
            CHECK(unicode::ascii_run(text) == at);
            CHECK(unicode::valid_prefix(text) == at);
        }
        CHECK(unicode::ascii_run(std::string(size, 'x')) == size);
    }
    CHECK(unicode::count_code_points("a\xC3\xA9\xF0\x9F\x98\x80") == 3);
}

TEST_CASE("UTF-8 is checked strictly") {
    const auto bad = [](std::string_view text) { return unicode::valid_prefix(text); };
    CHECK(unicode::is_valid_utf8("aé€😀\x7f"));
    CHECK(unicode::is_valid_utf8("\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80\xC2\x80\xE0\xA0\x80\xF0\x90\x80\x80"));
    for (const std::string_view text : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE4\xB8", "\xE4\xB8\x41", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                                        "\xF5\x80\x80\x80", "\xF0\x90\x80", "\xF0\x90\x80\x41", "\xFE", "\xFF"}) {
        CHECK(bad(text) == 0);
        CHECK(bad("ab" + std::string(text)) == 2);
    }
}
