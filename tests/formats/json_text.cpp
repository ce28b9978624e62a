// JSON from files: errors say file and place, nothing may follow the value, depth is limited, numbers keep their kind.
#include "morsel/formats/json.hpp"

#include <string>

#include "formats/file_bytes.hpp"
#include "morsel/formats/json_scanner.hpp"
#include "morsel/unicode/utf8.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

std::string message(const std::string& text) {
    try {
        parse_json(text, "f.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

// What the strict scanner says of the same text.
bool scans(const std::string& text) {
    try {
        detail::JsonScanner scan(text, "f.json");
        scan.skip();
        scan.end();
        return unicode::is_valid_utf8(text);
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

TEST_CASE("valid JSON is read by the parser and by the scanner") {
    for (const char* text : {"{}", "[]", " [1,-0,0.5,-1e-9,1E+2] ", "\"\\u00e9\\ud83d\\ude00\\n\"", "true", "null", "{\"a\":{\"b\":[{}]}}", "\"é\""}) {
        INFO(text);
        CHECK(message(text) == "");
        CHECK(scans(text));
    }
}

TEST_CASE("invalid JSON is refused by the parser and by the scanner") {
    for (const std::string& text : {std::string(), std::string("[1,]"), std::string("{\"a\":1,}"), std::string("[1] x"), std::string("[1]\0", 4), std::string("[1]\0x", 5), std::string("{'a':1}"),
                                   std::string("[01]"), std::string("[1.]"), std::string("[.5]"), std::string("[+1]"), std::string("[1e]"), std::string("[-]"), std::string("nul"),
                                   std::string("tru"), std::string("\"\\ud800\""), std::string("\"\\udc00x\""), std::string("\"\\q\""), std::string("\"a\nb\""), std::string("\"abc"), std::string("[1 2]"),
                                   std::string("{\"a\" 1}"), std::string("{1:2}"), std::string("\xEF\xBB\xBF[]"), std::string("\"\xFF\""), std::string("\"\xED\xA0\x80\""), std::string("[1}"),
                                   std::string("[[]"), std::string("]"), std::string("NaN"), std::string("// x\n[]")}) {
        INFO(text);
        CHECK(message(text).find("f.json") == 0);
        CHECK_FALSE(scans(text));
    }
}

TEST_CASE("deep nesting is refused without using the stack") {
    for (const std::size_t depth : {std::size_t{200}, std::size_t{1'000'000}}) {
        CHECK(message(std::string(depth, '[') + std::string(depth, ']')).find("deep") != std::string::npos);
        CHECK_FALSE(scans(std::string(depth, '[') + std::string(depth, ']')));
    }
    CHECK(message(std::string(100, '[') + std::string(100, ']')) == "");
    CHECK(scans(std::string(128, '[') + std::string(128, ']')));
    CHECK_FALSE(scans(std::string(129, '[') + std::string(129, ']')));
}
