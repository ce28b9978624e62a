// Contextual embeddings: a vector for every token of a sentence, and the same word in several contexts, where its vectors differ.
//   morsel-example-contextual-embeddings MODEL [SENTENCE]      MODEL: deberta-base, bert-base-cased …
#include <cstdio>
#include <exception>
#include <morsel/morsel.hpp>
#include <string>
#include <vector>

namespace {

// The vector of `word` in `sentence`, the mean of its tokens.
std::vector<float> word_in(morsel::ContextualEmbedder<morsel::Cpu>& embedder, const std::string& sentence, const std::string& word) {
    const std::size_t at = sentence.find(word);
    const std::vector<morsel::Span> span = {{at, at + word.size()}};
    return morsel::pool_spans(embedder.encode(sentence), span).values;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 2) return std::fprintf(stderr, "usage: %s MODEL [SENTENCE]\n", argv[0]), 2;
    auto embedder = morsel::ContextualEmbedder<morsel::Cpu>::from_pretrained(argv[1]);
    const std::string sentence = argc > 2 ? argv[2] : "King loves apples while queen likes oranges";

    const morsel::TokenVectors tokens = embedder.encode(sentence);
    std::printf("%zu tokens of %zu dimensions\n", tokens.size(), tokens.dimensions);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto v = tokens[i];
        std::printf("  %-12s bytes %2zu to %2zu   [%7.4f, %7.4f, %7.4f, … %7.4f]\n", tokens.encoding.tokens[i].c_str(), tokens.encoding.offsets[i].begin, tokens.encoding.offsets[i].end,
                    static_cast<double>(v[0]), static_cast<double>(v[1]), static_cast<double>(v[2]), static_cast<double>(v[v.size() - 1]));
    }

    const std::vector<std::string> contexts = {"She sat on the bank of the river.", "The river burst its bank after the rain.", "He took his money to the bank.", "The bank raised its interest rates."};
    std::printf("\n\"bank\" in four sentences, cosines of its vectors:\n");
    std::vector<std::vector<float>> vectors;
    for (const std::string& context : contexts) vectors.push_back(word_in(embedder, context, "bank"));
    for (std::size_t i = 0; i < contexts.size(); ++i) {
        for (const auto& other : vectors) std::printf("  %.3f", static_cast<double>(morsel::cosine(vectors[i], other)));
        std::printf("   %s\n", contexts[i].c_str());
    }
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
