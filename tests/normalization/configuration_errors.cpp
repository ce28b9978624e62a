// Wrong descriptions of normalizers and pre-tokenizers are refused while loading, with the file, the key and the value at fault.
#include "support/catch.hpp"

#include <string>

#include "morsel/tokenizer/splitting/pre_tokenizers.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"

using namespace morsel;

namespace {

std::string normalizer_error(const std::string& json) {
    const Json value = parse_json(json);
    try {
        normalizer_from_json(JsonObject(value, "tokenizer.json", "normalizer"));
    } catch (const Error& e) {
        return e.what();
    }
    return "accepted";
}
std::string pre_tokenizer_error(const std::string& json) {
    const Json value = parse_json(json);
    try {
        pre_tokenizer_from_json(JsonObject(value, "tokenizer.json", "pre_tokenizer"));
    } catch (const Error& e) {
        return e.what();
    }
    return "accepted";
}
bool has(const std::string& message, const std::string& part) { return message.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("normalizers") {
    CHECK(has(normalizer_error(R"({"type":"Foo"})"), "tokenizer.json: normalizer.type: unknown normalizer (found Foo)"));
    CHECK(has(normalizer_error(R"({"type":"Precompiled","precompiled_charsmap":""})"), "precompiled_charsmap"));
    CHECK(has(normalizer_error(R"({})"), "normalizer.type"));
    CHECK(has(normalizer_error(R"({"type":"Prepend"})"), "normalizer.prepend"));
    CHECK(has(normalizer_error(R"({"type":"Replace","pattern":{"Glob":"*"},"content":""})"), "unknown kind of pattern"));
    CHECK(has(normalizer_error(R"({"type":"Replace","pattern":{"Regex":"(a|b)*"},"content":""})"), "morsel/tokenizer/pcre2.hpp"));
    CHECK(has(normalizer_error(R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Bar"}]})"), "normalizers[1].type"));
    CHECK(has(normalizer_error(R"({"type":"Sequence","normalizers":{}})"), "an array"));
    CHECK(has(normalizer_error(R"({"type":"Sequence","normalizers":[1]})"), "an object"));
    CHECK(has(normalizer_error(R"({"type":"BertNormalizer","lowercase":"yes"})"), "normalizer.lowercase"));
    CHECK(normalizer_error(R"({"type":"Sequence","normalizers":[]})") == "accepted");
}

TEST_CASE("pre-tokenizers") {
    CHECK(has(pre_tokenizer_error(R"({"type":"Foo"})"), "tokenizer.json: pre_tokenizer.type: unknown pre-tokenizer (found Foo)"));
    CHECK(has(pre_tokenizer_error(R"({"type":"Metaspace","replacement":"ab"})"), "one character"));
    CHECK(has(pre_tokenizer_error(R"({"type":"Metaspace","replacement":""})"), "one character"));
    CHECK(has(pre_tokenizer_error(R"({"type":"Metaspace","replacement":"_","prepend_scheme":"last"})"), "always, first or never"));
    CHECK(has(pre_tokenizer_error(R"({"type":"Metaspace","replacement":"_","add_prefix_space":false})"), "contradicts"));
    CHECK(pre_tokenizer_error(R"({"type":"Metaspace","replacement":"_","add_prefix_space":false,"prepend_scheme":"never"})") == "accepted");
    CHECK(has(pre_tokenizer_error(R"({"type":"FixedLength","length":0})"), "pre_tokenizer.length"));
    CHECK(has(pre_tokenizer_error(R"({"type":"Split","pattern":{"String":" "},"behavior":"Sideways"})"), "Sideways"));
    CHECK(has(pre_tokenizer_error(R"({"type":"Split","behavior":"Isolated"})"), "pre_tokenizer.pattern"));
    CHECK(has(pre_tokenizer_error(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":1}]})"), "pretokenizers[0].individual_digits"));
    std::string nested = R"({"type":"Digits"})";
    for (int i = 0; i < 50; ++i) nested = R"({"type":"Sequence","pretokenizers":[)" + nested + "]}";
    CHECK(pre_tokenizer_error(nested) == "accepted");
}

TEST_CASE("nested sequences keep their order") {
    const Json value = parse_json(R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"1"},{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"2"},{"type":"Prepend","prepend":"3"}]},{"type":"Prepend","prepend":"4"}]})");
    AlignedText text = aligned("x");
    normalize(normalizer_from_json(JsonObject(value, {})), text);
    CHECK(text.text == "4321x");
}
