// Pictures of embeddings: how alike the lines of a text are, where they lie in the plane in which they differ most, and, of models of the
// BERT family, which tokens the last layer looks at in the first line. Writes similarity.svg, plane.svg and attention.svg.
//   morsel-example-embedding-pictures MODEL DIRECTORY < LINES
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <morsel/morsel.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
    if (argc < 3) return std::fprintf(stderr, "usage: %s MODEL DIRECTORY < LINES\n", argv[0]), 2;
    const std::filesystem::path directory = argv[2];
    std::vector<std::string> lines;
    for (std::string line; std::getline(std::cin, line);)
        if (!line.empty()) lines.push_back(line);
    if (lines.empty()) return std::fprintf(stderr, "no lines on standard input\n"), 1;

    auto embedder = morsel::TextEmbedder<morsel::Cpu>::from_pretrained(argv[1]);
    const morsel::Embeddings vectors = embedder.embed(std::span<const std::string>(lines));
    std::vector<float> similarity;
    for (std::size_t i = 0; i < lines.size(); ++i)
        for (std::size_t j = 0; j < lines.size(); ++j) similarity.push_back(morsel::cosine(vectors[i], vectors[j]));
    morsel::replace_file(directory / "similarity.svg", morsel::svg_heat_map(similarity, lines, lines, {.title = "cosine of sentence embeddings", .write_values = lines.size() <= 16}));

    morsel::replace_file(directory / "plane.svg", morsel::svg_principal_plane(vectors.values, vectors.dimensions, lines, {.title = "sentence embeddings, principal components"}));

    auto tokens = morsel::ContextualEmbedder<morsel::Cpu>::from_pretrained(argv[1]);
    const morsel::AttentionMap map = morsel::attention_map(tokens, lines.front(), tokens.num_layers() - 1);
    morsel::replace_file(directory / "attention.svg", morsel::svg_heat_map(map.mean(), map.encoding.tokens, map.encoding.tokens,
                                                                           {.title = "attention of the last layer, mean of its heads", .row_title = "token", .column_title = "looks at"}));
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
