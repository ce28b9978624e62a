// morsel train word2vec: files of lines to vectors of their words, in the format that the output's name asks for.
#include "train_word2vec.hpp"

#include <cstdio>
#include <morsel/core/file_replacement.hpp>
#include <morsel/models/word_vectors_io.hpp>
#include <morsel/training/word2vec.hpp>
#include <morsel/visual/svg_principal_plane.hpp>
#include <string>
#include <vector>

namespace {

using namespace morsel;

// The most frequent words, as far as two dimensions show them.
std::string picture(const WordVectors& vectors) {
    const std::size_t words = std::min<std::size_t>(vectors.size(), 200), dimension = vectors.dimension();
    std::vector<float> units;
    for (std::size_t i = 0; i < words; ++i)
        for (const float value : vectors.vector(i)) units.push_back(static_cast<float>(value * vectors.inverse_norm(i)));
    const std::string title = "The " + std::to_string(words) + " most frequent words";
    return svg_principal_plane(units, dimension, std::span(vectors.words()).first(words), {.title = title, .width = 1000, .height = 750});
}

}  // namespace

int cli::train_word2vec(const Arguments& arguments, const WordSplitting& splitting, const ProgressCallback& progress) {
    if (!arguments.has("--files")) throw UsageError("--files is missing");
    Word2VecOptions options;
    options.model = arguments.has("--skip-gram") ? Word2VecModel::skip_gram : Word2VecModel::cbow;
    options.dimension = arguments.number<std::size_t>("--dimension").value_or(options.dimension);
    options.window = arguments.number<std::size_t>("--window").value_or(options.window);
    options.hierarchical_softmax = arguments.has("--hierarchical-softmax");
    options.negative = arguments.number<std::size_t>("--negative").value_or(options.hierarchical_softmax ? 0 : options.negative);
    options.sample = arguments.number<double>("--sample").value_or(options.sample);
    options.alpha = arguments.number<double>("--alpha").value_or(options.alpha);
    options.min_alpha = std::min(options.min_alpha, options.alpha);
    options.epochs = arguments.number<std::size_t>("--epochs").value_or(options.epochs);
    options.seed = arguments.number<std::uint64_t>("--seed").value_or(options.seed);

    Cpu device({.threads = arguments.number<unsigned>("--threads").value_or(0)});
    const auto files = files_of(arguments.texts("--files"));
    const WordSequences corpus = read_word_sequences(files, device.pool(), {.min_count = arguments.number<std::uint64_t>("--min-count").value_or(5), .max_vocab = arguments.number<std::size_t>("--vocab-size")}, splitting, progress);
    const WordVectors vectors = train_word2vec(device, corpus, options, progress);
    const std::filesystem::path output = arguments.text("--output");
    const auto extension = output.extension();
    (extension == ".bin" ? save_word2vec_binary : extension == ".safetensors" ? save_word_vectors_safetensors : save_word2vec_text)(vectors, output);
    if (arguments.has("--pictures")) {
        const std::filesystem::path directory = arguments.text("--pictures");
        std::filesystem::create_directories(directory);
        replace_file(directory / "words.svg", picture(vectors));
    }
    std::fprintf(stderr, "%s%zu words of %zu values, from %zu in %zu sequences\n", arguments.has("--quiet") ? "" : "\n", vectors.size(), vectors.dimension(), corpus.ids.size(), corpus.size());
    return 0;
}
