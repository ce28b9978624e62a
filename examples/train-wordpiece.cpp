// One corpus, three ideas of the best pair: what WordPiece learns by ratio, by likelihood and by count, and how it then cuts a word.
//   morsel-example-train-wordpiece [FILE VOCAB_SIZE WORD]
#include <cstdio>
#include <exception>
#include <morsel/training/count_words.hpp>
#include <morsel/training/trained_tokenizer.hpp>
#include <morsel/training/wordpiece_trainer.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
    morsel::WordCounts counts;
    if (argc > 1) {
        morsel::ThreadPool pool;
        counts = morsel::count_files(std::vector<std::filesystem::path>{argv[1]}, {.pre_tokenizer = morsel::PreTokenizer{{morsel::BertPreTokenizer{}}}}, pool);
    } else {
        counts.add("hug", 10), counts.add("pug", 5), counts.add("pun", 12), counts.add("bun", 4), counts.add("hugs", 5);
    }
    const std::size_t vocab_size = argc > 2 ? std::stoul(argv[2]) : 23;
    const std::string word = argc > 3 ? argv[3] : "hugs";
    const std::pair<const char*, morsel::WordPieceObjective> objectives[] = {
        {"ratio", morsel::WordPieceObjective::ratio}, {"log_likelihood", morsel::WordPieceObjective::log_likelihood}, {"count", morsel::WordPieceObjective::count}};
    for (const auto& [name, objective] : objectives) {
        const auto learned = morsel::train_wordpiece(counts, {.objective = objective, .vocab_size = vocab_size});
        std::printf("%s:", name);
        for (std::size_t i = 0; i < std::min<std::size_t>(12, learned.merges.size()); ++i)
            std::printf(" %s(%llu)", learned.merges[i].result.c_str(), static_cast<unsigned long long>(learned.merges[i].count));
        std::printf("\n  %s ->", word.c_str());
        const morsel::WordPiece model = morsel::wordpiece_model(learned.tokens);
        morsel::ModelTokens tokens;
        tokenize(model, word, tokens);
        for (const auto& token : tokens) std::printf(" %s", learned.tokens[token.id].c_str());
        std::printf("\n%s", learned.rare_pairs_dominate() ? "  (rare pairs dominate: a higher min_frequency would help)\n" : "");
    }
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
