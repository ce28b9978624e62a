// tokenizer_config.json beside a tokenizer.json: which tokens it adds, and whose flags hold. Expected ids are those of transformers 5.24 on
// the same two files.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"

using namespace morsel;

namespace {

// The tiny byte-level tokenizer (420 tokens; word, [MASK] and <|end|> added) with this configuration beside it.
Tokenizer with_config(const std::string& config) {
    const std::filesystem::path directory = std::filesystem::temp_directory_path() / "morsel_configuration_adds_tokens";
    std::filesystem::create_directories(directory);
    std::filesystem::copy_file(morsel_test::test_data() / "tokenizers" / "byte_level.json", directory / "tokenizer.json", std::filesystem::copy_options::overwrite_existing);
    std::ofstream(directory / "tokenizer_config.json") << config;
    Tokenizer tokenizer = morsel_test::load_tokenizer(directory);
    std::filesystem::remove_all(directory);
    return tokenizer;
}

std::string token(const std::string& id, const std::string& content, const std::string& flag = "") {
    std::string json = "\"" + id + "\":{\"content\":\"" + content + "\"";
    for (const char* name : {"lstrip", "rstrip", "normalized", "single_word", "special"}) json += std::string(",\"") + name + "\":" + (flag == name ? "true" : "false");
    return json + "}";
}

using Ids = std::vector<TokenId>;

}  // namespace

TEST_CASE("added_tokens_decoder adds tokens, with the next free ids") {
    const Tokenizer tokenizer = with_config("{\"added_tokens_decoder\":{" + token("431", "<new2>") + "," + token("430", "<new>", "special") + "}}");
    const Ids ids = tokenizer.encode_ids("a <new> b<new2>");
    CHECK(ids == Ids{0, 277, 222, 423, 278, 424, 1});
    CHECK(tokenizer.decode(ids, {.skip_special_tokens = true}) == " a  b<new2>");
}

TEST_CASE("the flags in added_tokens_decoder hold") {
    const Tokenizer tokenizer = with_config("{\"added_tokens_decoder\":{" + token("420", "word", "lstrip") + "," + token("421", "[MASK]", "special") + "," + token("422", "<|end|>", "lstrip") + "}}");
    CHECK(tokenizer.encode_ids("x [MASK] y <|end|>  z word") == Ids{0, 222, 89, 222, 421, 222, 90, 422, 222, 222, 91, 420, 1});
}

TEST_CASE("tokens with a role and further special tokens are added") {
    for (const char* config : {R"({"pad_token":"<pp>","extra_special_tokens":["<extra>"],"additional_special_tokens":["<new>"]})",
                               R"({"pad_token":{"content":"<pp>"},"extra_special_tokens":{"image_token":"<extra>"}})", R"({"pad_token":"<pp>","additional_special_tokens":["<extra>"]})"}) {
        const Tokenizer tokenizer = with_config(config);
        CHECK(tokenizer.encode_ids("<pp> <extra>") == Ids{0, 423, 222, 424, 1});
        CHECK(tokenizer.encode_ids("a <new> b<new2>") == Ids{0, 277, 222, 29, 79, 70, 88, 31, 278, 29, 79, 70, 88, 19, 31, 1});
        CHECK(tokenizer.pad_id() == std::optional<TokenId>(423));
    }
}

TEST_CASE("wrong entries are errors") {
    CHECK_THROWS_AS(with_config(R"({"added_tokens_decoder":{"x":{}}})"), Error);
    CHECK_THROWS_AS(with_config(R"({"added_tokens_decoder":{"430":{"content":"a"}}})"), Error);
    CHECK_THROWS_AS(with_config(R"({"added_tokens_decoder":[1]})"), Error);
    CHECK_THROWS_AS(with_config(R"({"extra_special_tokens":[1]})"), Error);
}
