// Learns word vectors from a text file and answers questions: the words most like one, and "a is to b as c is to …".
//   morsel-example-word2vec FILE WORD…        most like each word
//   morsel-example-word2vec FILE A B C        … and with exactly three also the analogy
// The vectors are kept beside the file, as FILE.vectors.bin, for gensim and others; without arguments a small made-up text is learned.
#include <cstdio>
#include <exception>
#include <morsel/models/word_vectors_io.hpp>
#include <morsel/training/word2vec.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

// Kings and queens, men and women, each doing what they do.
std::vector<std::vector<std::string>> made_up() {
    const std::vector<std::vector<std::string>> people{{"king", "royal", "he"}, {"queen", "royal", "she"}, {"man", "common", "he"}, {"woman", "common", "she"}, {"prince", "young", "he"}, {"princess", "young", "she"}};
    const std::vector<std::vector<std::string>> habits{{"royal", "crown", "palace", "rules"}, {"common", "market", "house", "works"}, {"young", "toys", "garden", "plays"}, {"he", "beard", "his"}, {"she", "dress", "her"}};
    std::mt19937 random(1);
    std::vector<std::vector<std::string>> sentences(4000);
    for (auto& sentence : sentences) {
        const auto& person = people[random() % people.size()];
        for (int i = 0; i < 2; ++i) {
            sentence.push_back(person[0]);
            for (const auto& habit : habits)
                if (habit[0] == person[1] || habit[0] == person[2]) sentence.push_back(habit[random() % habit.size()]);
        }
    }
    return sentences;
}

void print(const std::vector<morsel::SimilarWord>& words) {
    for (const auto& word : words) std::printf("    %-20.*s %.3f\n", static_cast<int>(word.word.size()), word.word.data(), word.similarity);
}

}  // namespace

int main(int argc, char** argv) try {
    morsel::Cpu device;
    const bool own = argc < 3;
    morsel::Word2VecOptions options{.model = morsel::Word2VecModel::skip_gram, .dimension = own ? 20u : 100u};
    if (own) options.sample = 0, options.alpha = 0.05;
    const std::vector<std::filesystem::path> files{own ? "" : argv[1]};
    const morsel::WordSequences corpus = own ? morsel::word_sequences(made_up()) : morsel::read_word_sequences(files, device.pool());
    const morsel::WordVectors vectors = morsel::train_word2vec(device, corpus, options);
    if (!own) morsel::save_word2vec_binary(vectors, std::string(argv[1]) + ".vectors.bin");

    std::vector<std::string> words(argv + std::min(argc, 2), argv + argc);
    if (own) words = {"man", "king", "woman"};
    for (const std::string& word : words) {
        std::printf("like %s:\n", word.c_str());
        print(most_similar(vectors, {.positive = {word}, .count = 5}));
    }
    if (words.size() != 3) return 0;
    std::printf("%s is to %s as %s is to:\n", words[0].c_str(), words[1].c_str(), words[2].c_str());
    print(analogy(vectors, words[0], words[1], words[2], 3));
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
