// A whole model directory through TextGenerator: what transformers' generate() gives, the chat template, sampling that depends on
// the seed alone, stop strings, cancelling, bad options, and several texts at once. The fixture and its expectations: tests/reference/tiny_llm.py.
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

// Several prompts of different lengths, options and stops. The fourth is cancelled at its third piece of text.
std::vector<GenerationRequest> mixed_requests(std::vector<std::string>& streamed) {
    std::vector<GenerationRequest> requests = {
        {.prompt = "A token is", .config = {.max_new_tokens = 20}},
        {.prompt = "The", .config = {.max_new_tokens = 9, .do_sample = true, .temperature = 0.9f, .top_p = 0.95f, .seed = 11}},
        {.prompt = "A token is a piece of text, and a text is a list of tokens", .config = {.max_new_tokens = 30, .repetition_penalty = 1.3f, .no_repeat_ngram_size = 3}},
        {.prompt = "Once", .config = {.max_new_tokens = 40}},
        {.prompt = "Words and more words", .config = {.max_new_tokens = 25, .do_sample = true, .top_k = 5, .seed = 4}},
        {.prompt = "A token is", .config = {.max_new_tokens = 32}},
        {.prompt = "never continued", .config = {.max_new_tokens = 0}},
    };
    requests[5].config.stop_strings = {" wor wor"};
    streamed.assign(requests.size(), "");
    for (std::size_t i = 0; i < requests.size(); ++i)
        requests[i].on_text = [&text = streamed[i], i, pieces = 0](std::string_view piece) mutable {
            text += piece;
            return i != 3 || ++pieces < 3;
        };
    return requests;
}

template <class D>
void check_texts_at_once(TextGenerator<D>& lm, std::initializer_list<std::size_t> numbers) {
    std::vector<std::string> streamed;
    const std::vector<GenerationRequest> requests = mixed_requests(streamed);
    std::vector<GeneratedText> alone;
    for (const GenerationRequest& r : requests) alone.push_back(lm.generate(r.prompt, r.config, r.on_text));
    CHECK(alone[3].stop_reason == StopReason::cancelled);
    CHECK(alone[5].stop_reason == StopReason::stop_string);
    for (const std::size_t at_once : numbers) {
        INFO(at_once << " at once");
        std::vector<std::string> pieces;
        const std::vector<GenerationRequest> again = mixed_requests(pieces);
        const std::vector<GeneratedText> together = lm.generate(again, at_once);
        REQUIRE(together.size() == requests.size());
        for (std::size_t i = 0; i < requests.size(); ++i) {
            INFO("text " << i);
            CHECK(together[i].ids == alone[i].ids);
            CHECK(together[i].text == alone[i].text);
            CHECK(together[i].stop_reason == alone[i].stop_reason);
            CHECK(together[i].prompt_ids == alone[i].prompt_ids);
            CHECK(pieces[i] == streamed[i]);
            CHECK(together[i].timings.new_tokens == alone[i].ids.size());
        }
    }
}

// Ids at once are those one at a time, for a model without its tokenizer.
template <class D>
void check_ids_at_once(const std::filesystem::path& directory, const typename D::Options& options, std::initializer_list<std::size_t> numbers) {
    INFO(directory.string());
    D device(options);
    const LoadedDecoder<D> decoder = load_decoder(device, directory);
    DecodeWork<D> work;
    std::vector<std::vector<TokenId>> prompts;
    std::vector<GenerationSettings> settings;
    for (const std::size_t length : {21u, 1u, 30u, 23u, 7u}) {  // around 24, where longrope-tiny switches its factors
        const std::size_t i = prompts.size();
        prompts.emplace_back();
        for (std::size_t t = 0; t < length; ++t) prompts.back().push_back(static_cast<TokenId>((t * 29 + i * 11 + 5) % decoder.model->vocab_size()));
        GenerationSettings& one = settings.emplace_back();
        one.max_new_tokens = 6 + 7 * (i % 3), one.context_limit = decoder.model->max_tokens(), one.seed = i;
        if (i % 2 != 0) one.processing = {.do_sample = true, .temperature = 1.3f, .top_k = 0, .top_p = 0.9f};
    }
    const auto run = [&](std::size_t first, std::size_t count, std::size_t slots) {
        std::vector<std::vector<TokenId>> ids(count);
        std::vector<DecodedSequence> sequences;
        for (std::size_t i = 0; i < count; ++i)
            sequences.push_back({.continuation = Continuation(prompts[first + i], settings[first + i]), .on_token = [](TokenId) { return std::nullopt; },
                                 .on_done = [&ids, i](GenerationResult result) { ids[i] = std::move(result.ids); }});
        DecoderState<D> state = make_decoder_state(device, *decoder.model, slots);
        decode_tokens(device, *decoder.model, state, work, std::span(sequences));
        return ids;
    };
    std::vector<std::vector<TokenId>> alone;
    for (std::size_t i = 0; i < prompts.size(); ++i) alone.push_back(run(i, 1, 1)[0]);
    for (std::size_t i = 0; i < prompts.size(); ++i) CHECK(alone[i].size() == settings[i].max_new_tokens);
    for (const std::size_t slots : numbers) {
        INFO(slots << " at once");
        CHECK(run(0, prompts.size(), slots) == alone);
    }
}

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

TEST_CASE("several texts at once are what each is alone") {
    for (const unsigned threads : {1u, 2u}) {
        Generator lm = load(threads);
        check_texts_at_once(lm, {1, 2, 3, 4, 5, 100});
    }
    Generator lm = load();
    CHECK(lm.generate(std::span<const GenerationRequest>()).empty());
    // Prompts as ids; and one bad request is refused before any text of another begins.
    const std::vector<TokenId> ids = lm.tokenizer().encode_ids("A token is");
    std::size_t calls = 0;
    std::vector<GenerationRequest> requests = {{.config = {.max_new_tokens = 5}, .on_text = [&](std::string_view) { return ++calls > 0; }, .prompt_ids = ids}, {.prompt = "A token", .config = {.max_new_tokens = 5}}};
    CHECK(lm.generate(requests)[0].ids == lm.generate("A token is", {.max_new_tokens = 5}).ids);
    calls = 0, requests[1].config.temperature = -1.0f;
    CHECK_THROWS_AS(lm.generate(requests), Error);
    requests[1] = {.prompt_ids = std::vector<TokenId>(300, 5)};
    CHECK_THROWS_AS(lm.generate(requests), Error);
    CHECK(calls == 0);
    // A conversation goes on behind it with its own cache.
    const std::vector<ChatMessage> messages = {{"user", "Hello"}};
    const GeneratedText reply = lm.chat(messages, {.max_new_tokens = 8});
    requests[1] = {.prompt = "A token", .config = {.max_new_tokens = 5}};
    (void)lm.generate(requests);
    CHECK(lm.chat(messages, {.max_new_tokens = 8}).ids == reply.ids);
}

TEST_CASE("sequences of every decoder at once are what each is alone") {
    std::vector<std::filesystem::path> directories;
    for (const char* name : {"llama-tiny", "phi3-longrope-tiny", "qwen3-tiny", "gpt2-tiny"}) directories.push_back(test_data() / "checkpoints" / name);
    for (const char* name : {"llama-tiny-bf16", "llama-tiny-f16", "phi3-tiny", "qwen2-tiny", "smollm2-tiny"})
        if (const auto path = reference_data(std::filesystem::path("gold/checkpoints") / name)) directories.push_back(*path);
    for (const std::filesystem::path& directory : directories) {
        for (const unsigned threads : {1u, 2u}) check_ids_at_once<Cpu>(directory, {.threads = threads}, {2, 4, 5});
        check_ids_at_once<Cpu>(directory, {.threads = 1, .precision = MatrixPrecision::f32}, {3, 5});
    }
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
    check_texts_at_once(lm, {2, 4});
    options.device.device = 7;
    CHECK_THROWS_WITH(lm.share(options.device), Catch::Contains("memory of another GPU"));
    CHECK_THROWS_AS(TextGenerator<Cuda>::from_pretrained(test_data() / "tiny-llm", options), Error);
}

TEST_CASE("sequences of every decoder at once are what each is alone on the GPU") {
    simt::check_accesses(false);
    for (const char* name : {"llama-tiny", "phi3-longrope-tiny", "qwen3-tiny", "gpt2-tiny"})
        for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) check_ids_at_once<Cuda>(test_data() / "checkpoints" / name, {.precision = precision}, {2, 4});
}
#endif
