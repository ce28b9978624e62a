// What word2vec is asked for: the options of gensim's Word2Vec and of word2vec.c, with gensim's defaults.
#pragma once
#include <cstddef>
#include <cstdint>

namespace morsel {

enum class Word2VecModel : std::uint8_t {
    skip_gram,  // a word's neighbours, each by itself, predict the word
    cbow,       // all neighbours together predict the word: faster, for frequent words as good
};

struct Word2VecOptions {
    Word2VecModel model = Word2VecModel::cbow;
    std::size_t dimension = 100;        // of the vectors
    std::size_t window = 5;             // words at most on either side
    bool shrink_windows = true;         // a random width from 1 to `window` for each word, so that near neighbours weigh more
    std::size_t negative = 5;           // random words for each true one (negative sampling); 0: none
    bool hierarchical_softmax = false;  // predict along a binary tree; beside negative sampling or in its place
    double ns_exponent = 0.75;          // random words are drawn in proportion to count^ns_exponent
    double sample = 1e-3;               // share of the corpus above which a word is left out at random; 0: never
    bool cbow_mean = true;              // the mean of the neighbours' vectors, or their sum
    // As in gensim and word2vec.c each neighbour gets the whole gradient of a mean, and its share of the gradient of a sum, where it should
    // be the other way round. true: the exact gradient.
    bool exact_cbow_gradient = false;
    double alpha = 0.025;               // learning rate at the beginning
    double min_alpha = 0.0001;          // and at the end; it falls linearly
    std::size_t epochs = 5;             // times through the corpus
    std::uint64_t seed = 1;
};

}  // namespace morsel
