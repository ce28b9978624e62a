// A whole model directory through TextGenerator: what transformers' generate() gives, the chat template, sampling that depends on
// the seed alone, stop strings, cancelling, and bad options. The fixture and its expectations: tests/reference/tiny_llm.py.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#if __has_include("morsel/cuda.cuh")
#include "morsel/cuda.cuh"
#endif
#include "morsel/formats/json.hpp"
#include "morsel/morsel.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

using Generator = TextGenerator<Cpu>;

Generator load(unsigned threads = 1) {
    Generator::Options options;
    options.device.threads = threads;
    return Generator::from_pretrained(test_data() / "tiny-llm", options);
}

Json expected() { return parse_json_file(test_data() / "tiny-llm/expected.json"); }

GenerationConfig config_of(const Json& options) { return generation_config_from_json(JsonObject(options, "expected.json")); }

}  // namespace

TEST_CASE("generate gives what the reference's generate gives") {
    const Json all = expected();
    REQUIRE(all.at("cases").size() == 8);
    for (const unsigned threads : {1u, 2u}) {
        Generator lm = load(threads);
        for (const Json& one : all.at("cases")) {
            INFO(one.at("prompt").get<std::string>() << " with " << one.at("options").dump());
            std::string streamed;
            const GeneratedText result = lm.generate(one.at("prompt").get<std::string>(), config_of(one.at("options")), [&](std::string_view text) {
                streamed += text;
                return true;
            });
            CHECK(result.prompt_ids == one.at("prompt_ids").get<std::vector<TokenId>>());
            CHECK(result.ids == one.at("ids").get<std::vector<TokenId>>());
            CHECK(result.text == one.at("text").get<std::string>());
            CHECK(streamed == result.text);
            CHECK(result.stop_reason == (result.ids.back() == 2 || result.ids.back() == 0 ? StopReason::eos : StopReason::length));
        }
    }
}

TEST_CASE("the file of weights stands for its directory") {
    Generator lm = Generator::from_pretrained(test_data() / "tiny-llm/model.safetensors");
    CHECK(lm.generate("A token is", {.max_new_tokens = 5}).ids == load().generate("A token is", {.max_new_tokens = 5}).ids);
}

TEST_CASE("chat renders the template, generates, and may keep its cache") {
    const Json chat = expected().at("chat");
    std::vector<ChatMessage> messages;
    for (const Json& m : chat.at("messages")) messages.push_back({m.at("role").get<std::string>(), m.at("content").get<std::string>()});
    Generator lm = load();
    CHECK(lm.render_chat(messages) == chat.at("rendered").get<std::string>());
    const GeneratedText fresh = lm.chat(messages, {.max_new_tokens = 24});
    CHECK(fresh.prompt_ids == chat.at("prompt_ids").get<std::vector<TokenId>>());
    CHECK(fresh.ids == chat.at("ids").get<std::vector<TokenId>>());
    // The same again, all but one token of the prompt out of the cache; then a longer conversation beside a generator without one.
    CHECK(lm.chat(messages, {.max_new_tokens = 24}).ids == fresh.ids);
    messages.push_back({"assistant", fresh.text});
    messages.push_back({"user", "Thanks."});
    Generator other = load();
    CHECK(lm.chat(messages, {.max_new_tokens = 24}).ids == other.chat(messages, {.max_new_tokens = 24}).ids);
}

TEST_CASE("the same seed gives the same text at any number of threads, another seed another") {
    const GenerationConfig config = {.max_new_tokens = 40, .do_sample = true, .temperature = 0.9f, .top_p = 0.95f, .seed = 11};
    Generator one = load(1), three = load(3);
    const GeneratedText text = one.generate("A token", config);
    CHECK(text.ids == three.generate("A token", config).ids);
    CHECK(text.ids == one.generate("A token", config).ids);
    CHECK(text.ids == one.share().generate("A token", config).ids);
    GenerationConfig other = config;
    other.seed = 12;
    CHECK(text.ids != one.generate("A token", other).ids);
}

TEST_CASE("a stop string ends the text before it, and a callback can cancel") {
    Generator lm = load();
    const std::string whole = lm.generate("A token is", {.max_new_tokens = 32}).text;
    const std::string stop = " wor wor";
    REQUIRE(whole.find(stop) != std::string::npos);
    GenerationConfig config = {.max_new_tokens = 32};
    config.stop_strings = {"never", stop};
    std::string streamed;
    const GeneratedText stopped = lm.generate("A token is", config, [&](std::string_view text) { return streamed += text, true; });
    CHECK(stopped.stop_reason == StopReason::stop_string);
    CHECK(stopped.text == whole.substr(0, whole.find(stop)));
    CHECK(streamed == stopped.text);

    int calls = 0;
    const GeneratedText cancelled = lm.generate("A token is", {.max_new_tokens = 32}, [&](std::string_view) { return ++calls < 3; });
    CHECK(cancelled.stop_reason == StopReason::cancelled);
    CHECK(calls == 3);
    CHECK(cancelled.ids.size() < 32);
}

TEST_CASE("bad options and prompts are refused before any work") {
    Generator lm = load();
    const auto message = [&](const GenerationConfig& config, const std::string& prompt = "A token") -> std::string {
        try {
            (void)lm.generate(prompt, config);
        } catch (const Error& e) {
            return e.what();
        }
        return "no error";
    };
    const auto names = [](const std::string& text, const char* key) {
        INFO(text);
        return text.find(key) != std::string::npos;
    };
    CHECK(names(message({.do_sample = true, .temperature = 0.0f}), "temperature"));
    CHECK(names(message({.temperature = -1.0f}), "temperature"));
    CHECK(names(message({.top_k = -1}), "top_k"));
    CHECK(names(message({.top_p = 0.0f}), "top_p"));
    CHECK(names(message({.top_p = 1.5f}), "top_p"));
    CHECK(names(message({.repetition_penalty = 0.0f}), "repetition_penalty"));
    CHECK(names(message({.max_new_tokens = -5}), "max_new_tokens"));
    std::string long_prompt;
    for (int i = 0; i < 300; ++i) long_prompt += " \x01";
    CHECK(names(message({}, long_prompt), "256"));
    // At the end of the context it stops by itself.
    std::string almost;
    while (lm.tokenizer().encode_ids(almost + " is").size() <= 250) almost += " is";
    const GeneratedText last = lm.generate(almost, {.max_new_tokens = 1000, .min_new_tokens = 1000});
    CHECK(last.stop_reason == StopReason::length);
    CHECK(last.prompt_ids.size() + last.ids.size() == 256);
    CHECK(lm.generate("A token", {.max_new_tokens = 0}).ids.empty());
}

TEST_CASE("GPT-2 generates through the same pipeline") {
    const std::filesystem::path source = test_data() / "checkpoints/gpt2-tiny", directory = std::filesystem::temp_directory_path() / "morsel_gpt2";
    std::filesystem::create_directories(directory);
    for (const char* file : {"config.json", "generation_config.json", "model.safetensors"})
        std::filesystem::copy_file(source / file, directory / file, std::filesystem::copy_options::overwrite_existing);
    std::ofstream vocabulary(directory / "vocab.txt");  // any tokenizer with as many tokens as the model
    vocabulary << "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (int i = 5; i < 150; ++i) vocabulary << "word" << i << "\n";
    vocabulary.close();
    Generator lm = Generator::from_pretrained(directory);
    std::size_t runs = 0;
    const Json generate = parse_json_file(source / "generate.json");
    for (const Json& one : generate.at("runs")) {
        const GeneratedText result = lm.generate_from_ids(one.at("prompt_ids").get<std::vector<TokenId>>(), {.max_new_tokens = one.at("max_new_tokens").get<std::int64_t>()});
        CHECK(result.ids == one.at("greedy_ids").get<std::vector<TokenId>>());
        ++runs;
    }
    CHECK(runs == 2);
    const std::vector<TokenId> too_long(97, 5);
    CHECK_THROWS_AS(lm.generate_from_ids(too_long), Error);
    std::filesystem::remove_all(directory);
}

#if __has_include("morsel/cuda.cuh")  // on the emulated GPU of tests/simt
TEST_CASE("TextGenerator<Cuda> gives what the reference's generate gives") {
    simt::check_accesses(false);  // the kernels' own tests check them
    TextGeneratorOptions<Cuda> options;
    options.device.precision = CudaPrecision::f32;
    auto lm = TextGenerator<Cuda>::from_pretrained(test_data() / "tiny-llm", options);
    const Json all = expected();
    for (const Json& one : all.at("cases")) {
        INFO(one.at("prompt").get<std::string>() << " with " << one.at("options").dump());
        std::string streamed;
        const GeneratedText result = lm.generate(one.at("prompt").get<std::string>(), config_of(one.at("options")), [&](std::string_view text) {
            streamed += text;
            return true;
        });
        CHECK(result.ids == one.at("ids").get<std::vector<TokenId>>());
        CHECK(result.text == one.at("text").get<std::string>());
        CHECK(streamed == result.text);
    }
    const GenerationConfig sampled{.max_new_tokens = 12, .do_sample = true, .seed = 3};
    const std::vector<TokenId> ids = lm.generate("A token is", sampled).ids;
    CHECK(lm.share(options.device).generate("A token is", sampled).ids == ids);
    CHECK(load().generate("A token is", sampled).ids == ids);
    options.device.device = 7;
    CHECK_THROWS_AS(TextGenerator<Cuda>::from_pretrained(test_data() / "tiny-llm", options), Error);
}
#endif
