// What lies between token vectors and the vectors of sentences and words, piece by piece: every pooling alone, as older and as newer
// directories name it, dense layers with every activation, words by their bytes. Against sentence-transformers and transformers
// (tests/reference/sentence_models.py), the dense layers against their definition in double precision.
#include <cmath>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "morsel/formats/safetensors_writer.hpp"
#include "morsel/pipeline/span_vectors.hpp"
#include "support/catch.hpp"
#include "support/embedders.hpp"

using namespace morsel_test;

TEST_CASE("each pooling alone gives the reference's vectors, however the directory names it") {
    const auto all = texts();
    const std::span<const std::string> input(all);
    const auto together = expected("poolings", "plain");  // [texts, 6 · 16], in this order
    const std::tuple<const char*, const char*, Pooling> modes[] = {{"cls_token", "cls", Pooling::cls_token}, {"max_tokens", "max", Pooling::max_tokens}, {"mean_tokens", "mean", Pooling::mean_tokens},
        {"mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::mean_sqrt_len_tokens}, {"weightedmean_tokens", "weightedmean", Pooling::weightedmean_tokens}, {"lasttoken", "lasttoken", Pooling::lasttoken}};
    const Copy copy("poolings");
    copy.write("config_sentence_transformers.json", "{}");
    for (std::size_t mode = 0; mode < 6; ++mode) {
        const auto& [flag, name, pooling] = modes[mode];
        INFO(name);
        std::vector<float> wanted;
        for (std::size_t i = 0; i < all.size(); ++i) wanted.insert(wanted.end(), together.begin() + std::ptrdiff_t(96 * i + 16 * mode), together.begin() + std::ptrdiff_t(96 * i + 16 * (mode + 1)));
        const std::string other = mode == 0 ? "max_tokens" : "cls_token";
        for (const std::string& config : {R"({"word_embedding_dimension":16,"pooling_mode_)" + std::string(flag) + R"(":true,"pooling_mode_)" + other + "\":false}", R"({"embedding_dimension":16,"pooling_mode":")" + std::string(name) + "\"}"}) {
            copy.write("1_Pooling/config.json", config);
            CHECK(largest_difference(open<Embedder>(copy.directory.path()).embed(input).values, wanted) < 1e-5);
        }
        CHECK(largest_difference(open<Embedder>(copy.directory.path(), {.pooling = pooling}).embed(input).values, wanted) < 1e-5);
        // To unit length, whatever the directory says; a mean and a sum then point the same way.
        const Embeddings units = open<Embedder>(copy.directory.path(), {.pooling = pooling, .normalize = true}).embed(input);
        for (std::size_t i = 0; i < all.size(); ++i) {
            double squares = 0, along = 0, size = 0;
            for (std::size_t k = 0; k < 16; ++k) squares += double{units[i][k]} * double{units[i][k]}, along += double{units[i][k]} * double{wanted[16 * i + k]}, size += double{wanted[16 * i + k]} * double{wanted[16 * i + k]};
            CHECK(std::abs(squares - 1) < 1e-6);
            CHECK(std::abs(along - std::sqrt(size)) < 1e-5);
        }
    }
}

TEST_CASE("dense layers compute their activation of weight times vector plus bias") {
    const auto all = texts();
    const std::span<const std::string> input(all);
    const auto module = [](const std::string& path, const std::string& type) { return R"({"path":")" + path + R"(","type":"sentence_transformers.models.)" + type + "\"}"; };
    const std::string front = "[" + module("", "Transformer") + "," + module("1_Pooling", "Pooling");
    const Copy copy("dense");
    copy.write("modules.json", front + "]");
    const Embeddings pooled = open<Embedder>(copy.directory.path()).embed(input);
    REQUIRE(pooled.dimensions == 16);
    // A second layer behind the directory's own: 5 → 3.
    std::vector<float> weight(15), bias{0.25f, -0.5f, 1};
    for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i * 7 % 11) / 5 - 1;
    std::filesystem::create_directory(copy.directory.path() / "4_Dense");
    const std::vector<NamedTensor> tensors = {{"linear.weight", {DType::f32, {3, 5}, std::as_bytes(std::span<const float>(weight))}}, {"linear.bias", {DType::f32, {3}, std::as_bytes(std::span<const float>(bias))}}};
    write_safetensors(copy.directory.path() / "4_Dense/model.safetensors", tensors);
    const SafetensorsFile first(data("dense") / "2_Dense/model.safetensors");
    const auto first_weight = elements<float>(first.at("linear.weight")), first_bias = elements<float>(first.at("linear.bias"));

    const std::pair<const char*, double (*)(double)> activations[] = {
        {R"("torch.nn.modules.linear.Identity")", [](double x) { return x; }}, {R"("torch.nn.modules.activation.Tanh")", [](double x) { return std::tanh(x); }},
        {R"("torch.nn.modules.activation.ReLU")", [](double x) { return std::max(x, 0.0); }}, {R"("torch.nn.modules.activation.GELU")", [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }},
        {R"("torch.nn.modules.activation.SiLU")", [](double x) { return x / (1 + std::exp(-x)); }}};
    for (const auto& [name, function] : activations)
        for (const bool has_bias : {true, false}) {
            INFO(name << (has_bias ? "" : ", without bias"));
            const std::string end = std::string(",\"bias\":") + (has_bias ? "true" : "false") + ",\"activation_function\":" + name + "}";
            copy.write("modules.json", front + "," + module("2_Dense", "Dense") + "," + module("4_Dense", "Dense") + "]");
            copy.write("2_Dense/config.json", R"({"in_features":16,"out_features":5)" + end);
            copy.write("4_Dense/config.json", R"({"in_features":5,"out_features":3)" + end);
            const auto layer = [&](const std::vector<double>& x, const std::vector<float>& w, const std::vector<float>& b) {
                std::vector<double> y(b.size());
                for (std::size_t o = 0; o < y.size(); ++o) {
                    for (std::size_t k = 0; k < x.size(); ++k) y[o] += x[k] * double{w[o * x.size() + k]};
                    y[o] = function(y[o] + (has_bias ? double{b[o]} : 0));
                }
                return y;
            };
            std::vector<float> wanted;
            for (std::size_t i = 0; i < all.size(); ++i)
                for (const double value : layer(layer({pooled[i].begin(), pooled[i].end()}, first_weight, first_bias), weight, bias)) wanted.push_back(static_cast<float>(value));
            Embedder embedder = open<Embedder>(copy.directory.path());
            CHECK(embedder.dimensions() == 3);
            CHECK(largest_difference(embedder.embed(input).values, wanted) < 3e-6 * std::max(1.0, largest_magnitude(wanted)));
        }
}

TEST_CASE("words of many bytes have the mean of the reference's tokens") {
    const Json words = parse_json_file(data("encoder") / "expected.json").at("words");
    const std::string text = words.at("text").get<std::string>();
    std::vector<Span> spans;
    for (const Json& span : words.at("spans")) spans.push_back({span[0].get<std::size_t>(), span[1].get<std::size_t>()});
    CHECK(word_spans(text) == spans);
    Contextual embedder = open<Contextual>(data("encoder"));
    const SpanVectors vectors = pool_spans(embedder.encode(text), spans);
    CHECK(vectors.tokens == words.at("tokens").get<std::vector<std::size_t>>());
    CHECK(largest_difference(vectors.values, elements<float>(SafetensorsFile(data("encoder") / "expected.safetensors").at("words"))) < 3e-5);
}

TEST_CASE("products of bf16 keep the direction of sentence vectors, whatever units the machine has") {
    const auto gold = reference_data("gold/checkpoints/minilm-tiny");
    if (!gold) return;
    std::vector<std::string> all;
    for (const Json& one : parse_json_file(*gold / "sentences.json")) all.push_back(one.at("text").get<std::string>());
    const auto wanted = elements<float>(SafetensorsFile(*gold / "sentences.expected.safetensors").at("sentence_embeddings"));
    for (const Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::best}) {
        Embedder embedder = open<Embedder>(*gold, {.device = {.precision = MatrixPrecision::bf16, .isa = isa}});
        for (const std::size_t batch_tokens : {std::size_t{1}, std::size_t{4096}}) {
            const Embeddings got = embedder.embed(std::span<const std::string>(all), {.batch_tokens = batch_tokens});
            for (std::size_t i = 0; i < all.size(); ++i) CHECK(cosine(got[i], std::span(wanted).subspan(i * got.dimensions, got.dimensions)) >= 0.999f);
        }
    }
}
