// An extractive summary: the sentences of a text that are nearest to the meaning of the whole and not too near to each other, in the order
// of the text. Maximal marginal relevance: J. Carbonell, J. Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998.
//   morsel-example-summarize MODEL [SENTENCES] < TEXT        default: 3 sentences
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <iterator>
#include <morsel/morsel.hpp>
#include <string>
#include <vector>

namespace {

// Cut behind . ! ? and what closes a quotation, where white space follows, and at empty lines.
std::vector<std::string> sentences_of(const std::string& text) {
    std::vector<std::string> sentences;
    std::string current;
    const auto finish = [&] {
        if (current.find_first_not_of(" \t\n\r") != current.npos) sentences.push_back(current);
        current.clear();
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n' && i + 1 < text.size() && text[i + 1] == '\n') finish();
        if (current.empty() && (text[i] == ' ' || text[i] == '\n')) continue;
        current += text[i] == '\n' ? ' ' : text[i];
        const std::size_t last = current.find_last_not_of("\"')]");
        const bool ends = last != current.npos && (current[last] == '.' || current[last] == '!' || current[last] == '?');
        if (ends && (i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '\n')) finish();
    }
    finish();
    return sentences;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 2) return std::fprintf(stderr, "usage: %s MODEL [SENTENCES] < TEXT\n", argv[0]), 2;
    const std::size_t wanted = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 3;
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    const std::vector<std::string> sentences = sentences_of(text);

    auto embedder = morsel::TextEmbedder<morsel::Cpu>::from_pretrained(argv[1], {.normalize = true});
    const morsel::Embeddings vectors = embedder.embed(std::span<const std::string>(sentences));
    std::vector<float> whole(vectors.dimensions);  // the sum of all sentences
    for (std::size_t i = 0; i < vectors.size(); ++i)
        for (std::size_t k = 0; k < vectors.dimensions; ++k) whole[k] += vectors[i][k];

    std::vector<std::size_t> chosen;
    while (chosen.size() < std::min(wanted, sentences.size())) {
        std::size_t best = sentences.size();
        float highest = 0;
        for (std::size_t i = 0; i < sentences.size(); ++i) {
            if (std::find(chosen.begin(), chosen.end(), i) != chosen.end()) continue;
            float nearest = 0;  // to what is chosen already
            for (const std::size_t other : chosen) nearest = std::max(nearest, morsel::cosine(vectors[i], vectors[other]));
            const float score = 0.7f * morsel::cosine(vectors[i], whole) - 0.3f * nearest;
            if (best == sentences.size() || score > highest) best = i, highest = score;
        }
        chosen.push_back(best);
    }
    std::sort(chosen.begin(), chosen.end());
    for (const std::size_t i : chosen) std::printf("%s\n", sentences[i].c_str());
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
