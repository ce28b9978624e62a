// How byte-pair encoding learns: the counts of the first step, every merge, and what the words look like after it.
//   morsel-example-train-bpe [TEXT [MERGES]]
#include <cstdio>
#include <exception>
#include <morsel/training/bpe_trainer.hpp>
#include <morsel/training/count_words.hpp>
#include <morsel/training/trained_tokenizer.hpp>
#include <string>
#include <vector>

namespace {

// The words of the text after some merges, one a line.
void print_words(const morsel::WordCounts& counts, morsel::LearnedBpe learned, std::size_t merges) {
    learned.merges.resize(merges);
    const morsel::Bpe model = morsel::bpe_model(learned);
    for (const auto& [word, count] : counts.sorted()) {
        morsel::ModelTokens tokens;
        tokenize(model, word, tokens);
        std::printf("   ");
        for (const auto& token : tokens) std::printf(" %s", learned.tokens[token.id].c_str());
        std::printf("\n");
    }
}

}  // namespace

int main(int argc, char** argv) try {
    const std::vector<std::string> texts{argc > 1 ? argv[1] : "low lower newest wider"};
    const std::size_t steps = argc > 2 ? std::stoul(argv[2]) : 4;
    const morsel::WordCounts counts = morsel::count_texts(texts, {.pre_tokenizer = morsel::PreTokenizer{{morsel::WhitespaceSplitPreTokenizer{}}}});
    const morsel::LearnedBpe learned = morsel::train_bpe(counts, {});

    std::printf("characters:\n");
    print_words(counts, learned, 0);
    morsel::TrainingWords words = morsel::training_words(counts, {});
    morsel::PairIndex pairs;
    const morsel::TokenList& tokens = words.tokens;
    const morsel::WordSymbols symbols(words, pairs);
    std::printf("\npairs that occur more than once:\n");
    for (std::uint32_t i = 0; i < pairs.size(); ++i)
        if (pairs.count(i) > 1)
            std::printf("    \"%s %s\": %lld\n", tokens[static_cast<morsel::TokenId>(pairs.key(i) >> 32)].c_str(), tokens[static_cast<morsel::TokenId>(pairs.key(i))].c_str(),
                        static_cast<long long>(pairs.count(i)));
    for (std::size_t i = 0; i < std::min(steps, learned.merges.size()); ++i) {
        const morsel::LearnedMerge& merge = learned.merges[i];
        std::printf("\nmerge %zu: \"%s %s\" -> \"%s\", %llu times\n", i + 1, learned.tokens[merge.left].c_str(), learned.tokens[merge.right].c_str(),
                    learned.tokens[merge.id].c_str(), static_cast<unsigned long long>(merge.count));
        print_words(counts, learned, i + 1);
    }
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
