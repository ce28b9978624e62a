// Search by meaning: every line of a text file gets a vector, and the lines nearest to a query are printed. The vectors are kept in an index
// file beside the text, so that only the first search waits for them.
//   morsel-example-search MODEL FILE QUERY
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <morsel/morsel.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
    if (argc < 4) return std::fprintf(stderr, "usage: %s MODEL FILE QUERY\n", argv[0]), 2;
    std::vector<std::string> lines;
    std::ifstream file(argv[2]);
    for (std::string line; std::getline(file, line);)
        if (!line.empty()) lines.push_back(line);

    auto embedder = morsel::TextEmbedder<morsel::Cpu>::from_pretrained(argv[1]);
    const std::filesystem::path path = std::string(argv[2]) + ".index";
    if (!std::filesystem::exists(path)) {
        morsel::VectorIndexWriter writer(path, embedder.dimensions(), morsel::VectorStorage::f16);
        writer.add(embedder.embed(std::span<const std::string>(lines)).values);
        writer.commit();
    }
    const morsel::VectorIndex index(path);
    if (index.size() != lines.size() || index.dimensions() != embedder.dimensions()) return std::fprintf(stderr, "%s is of another text or model: remove it\n", path.c_str()), 1;

    for (const morsel::SearchHit& hit : index.search(embedder.embed(argv[3]), 5)) std::printf("%.3f  %s\n", static_cast<double>(hit.score), lines[hit.row].c_str());
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
