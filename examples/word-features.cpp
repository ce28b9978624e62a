// Features for labelling words (names, parts of speech): one vector a word, the mean of its tokens', whatever pieces the tokenizer makes.
// Prints each word with its place and the word of the text whose vector is nearest, or with --json all vectors, a word a line.
//   morsel-example-word-features MODEL TEXT [--json]
#include <cstdio>
#include <exception>
#include <morsel/morsel.hpp>
#include <string>

int main(int argc, char** argv) try {
    if (argc < 3) return std::fprintf(stderr, "usage: %s MODEL TEXT [--json]\n", argv[0]), 2;
    const std::string text = argv[2];
    const bool json = argc > 3 && std::string(argv[3]) == "--json";
    auto embedder = morsel::ContextualEmbedder<morsel::Cpu>::from_pretrained(argv[1]);
    const morsel::SpanVectors words = morsel::pool_spans(embedder.encode(text), morsel::word_spans(text));
    const auto word = [&](std::size_t i) { return text.substr(words.spans[i].begin, words.spans[i].end - words.spans[i].begin); };
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (json) {
            std::printf("{\"word\":%s,\"begin\":%zu,\"end\":%zu,\"features\":[", morsel::Json(word(i)).dump(-1, ' ', false, morsel::Json::error_handler_t::replace).c_str(), words.spans[i].begin, words.spans[i].end);
            for (std::size_t k = 0; k < words.dimensions; ++k) std::printf("%s%.6g", k > 0 ? "," : "", static_cast<double>(words[i][k]));
            std::puts("]}");
            continue;
        }
        std::size_t nearest = i;
        float highest = -2;
        for (std::size_t other = 0; other < words.size(); ++other)
            if (const float score = morsel::cosine(words[i], words[other]); other != i && score > highest) nearest = other, highest = score;
        std::printf("%4zu to %4zu  %zu token%s  %-20s nearest: %-20s %.3f\n", words.spans[i].begin, words.spans[i].end, words.tokens[i], words.tokens[i] == 1 ? " " : "s", word(i).c_str(), word(nearest).c_str(),
                    static_cast<double>(highest));
    }
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
