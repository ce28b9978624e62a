// The outputs that the project began with: listings of three tokenizers, and a character that GPT-2 cuts into three tokens.
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "morsel/tokenizer/stream_decoder.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"

namespace {

void listing(const char* name, const char* model, bool add_special_tokens) {
    const auto file = morsel_test::reference_data("gold/seed_outputs.json");
    const auto directory = morsel_test::reference_data(std::string("models/") + model);
    if (!file || !directory) return;
    const auto gold = nlohmann::json::parse(std::ifstream(*file)).at(name);
    const auto tokenizer = morsel_test::load_tokenizer(*directory);
    const std::vector<morsel::TokenId> ids = gold["input_ids"];
    CHECK(tokenizer.encode_ids(gold["prompt"].get<std::string>(), {.add_special_tokens = add_special_tokens}) == ids);
    for (const auto& pair : gold["decode_each"]) {
        const morsel::TokenId id = pair[0];
        std::string text = tokenizer.decode(std::span(&id, 1));
        if (name == std::string("bert")) text = tokenizer.id_to_token(id).value_or("?");  // printed as it stands in the vocabulary
        CHECK(text == pair[1].get<std::string>());
    }
}

}  // namespace

TEST_CASE("the prompt of the seed as Phi-3 sees it") { listing("phi3", "phi-3-mini-4k-instruct", true); }
TEST_CASE("the prompt of the seed as BERT sees it") { listing("bert", "bert-base-cased", true); }
TEST_CASE("the prompt of the seed as GPT-2 sees it") { listing("gpt2", "gpt2", true); }

TEST_CASE("three tokens of GPT-2 are one character, each alone is none") {
    const auto directory = morsel_test::reference_data("models/gpt2");
    if (!directory) return;
    const auto tokenizer = morsel_test::load_tokenizer(*directory);
    const std::vector<morsel::TokenId> ids = {12520, 241, 234};
    CHECK(tokenizer.decode(ids) == " \U0001F4CC");
    CHECK(tokenizer.decode(std::span(ids).subspan(0, 1)) == " \uFFFD");
    CHECK(tokenizer.decode(std::span(ids).subspan(1, 1)) == "\uFFFD");
    CHECK(tokenizer.decode(std::span(ids).subspan(2, 1)) == "\uFFFD");
    morsel::StreamDecoder stream(tokenizer);
    CHECK(stream.push(12520) == " ");
    CHECK(stream.push(241) == "");
    CHECK(stream.push(234) == "\U0001F4CC");
    CHECK(stream.flush() == "");
}
