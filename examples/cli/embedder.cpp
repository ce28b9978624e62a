#include "embedder.hpp"

#include <unistd.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <map>

#include "device.hpp"
#include "load_tokenizer.hpp"
#include "morsel/pipeline/contextual_embedder.hpp"
#include "morsel/pipeline/text_embedder.hpp"

namespace cli {
namespace {

using namespace morsel;

std::shared_ptr<const Tokenizer> tokenizer_of(const Arguments& arguments) {
    return std::make_shared<const Tokenizer>(load_tokenizer(arguments.text("--tokenizer", model_directory(arguments.text("--model")).string())));
}

// The device's options with --precision: f32 is whatever is as good.
template <class Options>
Options with_precision(const Arguments& arguments, Options device) {
    using Precision = decltype(device.precision);
    if (arguments.choice("--precision", {"f32", "bf16"}) == "bf16") device.precision = Precision::bf16;
    else if (device.precision == Precision::bf16) device.precision = Precision::f32;
    return device;
}

std::optional<Pooling> pooling_of(const Arguments& arguments) {
    const std::string name = arguments.choice("--pooling", {"model", "mean", "cls", "max", "mean_sqrt_len", "weighted", "last", "none"});
    for (const auto& [known, pooling] : {std::pair("mean", Pooling::mean_tokens), {"cls", Pooling::cls_token}, {"max", Pooling::max_tokens}, {"mean_sqrt_len", Pooling::mean_sqrt_len_tokens},
                                         {"weighted", Pooling::weightedmean_tokens}, {"last", Pooling::lasttoken}})
        if (name == known) return pooling;
    return std::nullopt;
}

bool show_progress(const Progress& progress) {
    if (isatty(2) == 1 && progress.total > 64) std::fprintf(stderr, "\r%zu of %zu%s", progress.done, progress.total, progress.done == progress.total ? "\n" : "");
    return true;
}

}  // namespace

// A TextEmbedder on whichever device.
struct Embedder::Model {
    std::function<Embeddings(std::span<const std::string>, const EmbedOptions&)> embed;
    std::size_t dimensions = 0;
    std::map<std::string, std::string> prompts;
};

Embedder::Embedder(const Arguments& arguments) : model_(std::make_unique<Model>()), prompt_(arguments.text("--prompt")), prompt_name_(arguments.text("--prompt-name")) {
    on_device(arguments, [&]<class D>(const typename D::Options& device) {
        TextEmbedderOptions<D> options;
        options.device = with_precision(arguments, device);
        options.pooling = pooling_of(arguments);
        if (arguments.has("--normalize")) options.normalize = true;
        options.max_seq_length = arguments.number<std::size_t>("--max-length");
        const auto embedder = std::make_shared<TextEmbedder<D>>(TextEmbedder<D>::from_pretrained(arguments.text("--model"), tokenizer_of(arguments), options));
        model_->embed = [embedder](std::span<const std::string> texts, const EmbedOptions& how) { return embedder->embed(texts, how); };
        model_->dimensions = embedder->dimensions();
        for (const auto& [name, prompt] : embedder->config().prompts) model_->prompts.emplace(name, prompt);
        return 0;
    });
}
Embedder::~Embedder() = default;

Embeddings Embedder::embed(std::span<const std::string> texts, const std::string& prompt_name) {
    const std::string& name = prompt_name_.empty() && prompt_.empty() ? prompt_name : prompt_name_;
    return model_->embed(texts, {.prompt = prompt_, .prompt_name = name, .progress = show_progress});
}

std::size_t Embedder::dimensions() const { return model_->dimensions; }

std::string Embedder::first_prompt(std::initializer_list<const char*> names) const {
    for (const char* name : names)
        if (model_->prompts.contains(name)) return name;
    return {};
}

std::vector<TokenVectors> token_vectors(const Arguments& arguments, std::span<const std::string> texts) {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    std::vector<TokenVectors> vectors;
    on_device(arguments, [&]<class D>(const typename D::Options& device) {
        ContextualEmbedderOptions<D> options;
        options.device = with_precision(arguments, device);
        options.max_length = arguments.number<std::size_t>("--max-length");
        vectors = ContextualEmbedder<D>::from_pretrained(arguments.text("--model"), tokenizer_of(arguments), options).encode(std::span(views), {.progress = show_progress});
        return 0;
    });
    return vectors;
}

std::vector<std::string> input_lines() {
    std::vector<std::string> lines;
    for (std::string line; std::getline(std::cin, line);) lines.push_back(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
    return lines;
}

std::vector<Option> with_embedding_options(std::vector<Option> options) {
    options.insert(options.begin(), {"--model", "PATH", "model directory (sentence-transformers, Hugging Face, model2vec), or its file of weights", true});
    const std::vector<Option> shared = {
        {"--tokenizer", "PATH", "its tokenizer, where that is not beside the weights"},
        {"--pooling", "KIND", "model (default: as the directory says, else mean), mean, cls, max, mean_sqrt_len, weighted, last"},
        {"--normalize", "", "vectors of unit length, whatever the directory says"},
        {"--prompt", "TEXT", "put in front of every text"},
        {"--prompt-name", "NAME", "one of the model's own prompts"},
        {"--max-length", "N", "tokens; longer texts are cut"},
        {"--precision", "KIND", "of products: f32 (default) or bf16"},
    };
    options.insert(options.end(), shared.begin(), shared.end());
    const std::vector<Option> device = device_options();
    options.insert(options.end(), device.begin(), device.end());
    return options;
}

}  // namespace cli
