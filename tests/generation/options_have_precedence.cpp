// Options: the caller's over the file's over the defaults; bad values are errors that name file and field.
#include <cstdint>
#include <limits>
#include <string>

#include "morsel/generation/generation_config.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

GenerationConfig parsed(const char* text) {
    const Json json = parse_json(text, "generation_config.json");
    return generation_config_from_json(JsonObject(json, "generation_config.json"));
}

template <class Work> std::string key_of_error(Work work) {
    try {
        work();
    } catch (const Error& error) {
        return error.key();
    }
    return "no error";
}
std::string refused(const GenerationConfig& config) {
    return key_of_error([&] { resolve(config, 5, 100); });
}

}  // namespace

TEST_CASE("the defaults are Hugging Face's") {
    const auto s = resolve({}, 5);
    CHECK(s.max_new_tokens == 20);
    CHECK_FALSE(s.processing.do_sample);
    CHECK(s.processing.temperature == 1);
    CHECK(s.processing.top_k == 50);
    CHECK(s.processing.top_p == 1);
    CHECK(s.processing.repetition_penalty == 1);
    CHECK(s.eos_token_ids.empty());
    CHECK(s.seed == 0);
}

TEST_CASE("the caller goes before the file, the file before the defaults") {
    const auto file = parsed(R"({"do_sample": true, "temperature": 0.6, "top_p": 0.9, "top_k": null, "max_length": 4096, "eos_token_id": [2, 7],
                                 "bos_token_id": 1, "pad_token_id": 0, "transformers_version": "4.1", "stop_strings": "END"})");
    const auto s = resolve(merged({.temperature = 0.2F, .top_k = 0, .seed = 9}, file), 96);
    CHECK(s.processing.do_sample);
    CHECK(s.processing.temperature == 0.2F);
    CHECK(s.processing.top_k == 0);
    CHECK(s.processing.top_p == 0.9F);
    CHECK(s.max_new_tokens == 4000);
    CHECK(s.eos_token_ids == std::vector<TokenId>{2, 7});
    CHECK(s.bos_token_id == TokenId{1});
    CHECK(s.stop_strings == std::vector<std::string>{"END"});
    CHECK(s.seed == 9);
    CHECK(resolve(merged({.max_new_tokens = 3, .do_sample = false, .eos_token_id = std::vector<TokenId>{}}, file), 96).max_new_tokens == 3);
}

TEST_CASE("lengths: new tokens before total length, a level before the next") {
    CHECK(resolve({.max_new_tokens = 7, .max_length = 100}, 5).max_new_tokens == 7);
    CHECK(resolve(merged({.max_length = 8}, {.max_new_tokens = 7}), 5).max_new_tokens == 3);
    CHECK(resolve({.max_length = 8}, 50).max_new_tokens == 0);
    CHECK(resolve({.max_new_tokens = 0}, 5).max_new_tokens == 0);
    CHECK(resolve({.max_new_tokens = std::numeric_limits<std::int64_t>::max()}, 5).max_new_tokens == std::size_t{1} * std::numeric_limits<std::int64_t>::max());
    CHECK(resolve({.min_new_tokens = 4, .min_length = 20}, 5).min_new_tokens == 15);
    CHECK(resolve({.min_new_tokens = 4, .min_length = 6}, 5).min_new_tokens == 4);
}

TEST_CASE("one end token or many") {
    CHECK(parsed(R"({"eos_token_id": 2})").eos_token_id == std::vector<TokenId>{2});
    CHECK(parsed(R"({"eos_token_id": [32000, 32001, 32007]})").eos_token_id == std::vector<TokenId>{32000, 32001, 32007});
    CHECK_FALSE(parsed(R"({"eos_token_id": null})").eos_token_id);
}

TEST_CASE("values out of range are refused by name") {
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    CHECK(refused({.do_sample = true, .temperature = 0.0F}) == "temperature");
    CHECK(refused({.temperature = 0.0F}) == "no error");  // not used: the most probable token
    for (const float bad : {-1.0F, nan, -nan, inf, -inf}) {
        CHECK(refused({.temperature = bad}) == "temperature");
        CHECK(refused({.top_p = bad}) == "top_p");
        CHECK(refused({.min_p = bad}) == "min_p");
        CHECK(refused({.typical_p = bad}) == "typical_p");
        CHECK(refused({.epsilon_cutoff = bad}) == "epsilon_cutoff");
        CHECK(refused({.eta_cutoff = bad}) == "eta_cutoff");
        CHECK(refused({.repetition_penalty = bad}) == "repetition_penalty");
    }
    CHECK(refused({.top_p = 0.0F}) == "top_p");
    CHECK(refused({.top_p = 1.01F}) == "top_p");
    CHECK(refused({.min_p = 1.5F}) == "min_p");
    CHECK(refused({.epsilon_cutoff = 1.0F}) == "epsilon_cutoff");
    CHECK(refused({.repetition_penalty = 0.0F}) == "repetition_penalty");
    CHECK(refused({.top_k = 0}) == "no error");
    CHECK(refused({.top_k = 1000000}) == "no error");  // all tokens, as the reference has it
    CHECK(refused({.max_new_tokens = -1}) == "max_new_tokens");
    CHECK(refused({.max_length = -1}) == "max_length");
    CHECK(refused({.min_new_tokens = -1}) == "min_new_tokens");
    CHECK(refused({.min_length = -1}) == "min_length");
    CHECK(refused({.top_k = -1}) == "top_k");
    CHECK(refused({.no_repeat_ngram_size = -1}) == "no_repeat_ngram_size");
    CHECK(refused({.eos_token_id = std::vector<TokenId>{3, 100}}) == "eos_token_id");
    CHECK(refused({.bos_token_id = 100}) == "bos_token_id");
    CHECK(refused({.stop_strings = std::vector<std::string>{"a", ""}}) == "stop_strings");
}

TEST_CASE("a bad file names the key") {
    const auto key = [](const char* text) { return key_of_error([&] { parsed(text); }); };
    CHECK(key(R"({"temperature": "hot"})") == "temperature");
    CHECK(key(R"({"top_k": 1.5})") == "top_k");
    CHECK(key(R"({"eos_token_id": -1})") == "eos_token_id");
    CHECK(key(R"({"eos_token_id": [1, "x"]})") == "eos_token_id");
    CHECK(key(R"({"eos_token_id": 4294967296})") == "eos_token_id");
    CHECK(key(R"({"do_sample": 1})") == "do_sample");
    CHECK(key(R"({"top_p": 1e400})") != "no error");
}
