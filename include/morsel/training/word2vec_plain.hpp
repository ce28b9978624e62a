// word2vec as its formulas say it, one prediction after the other in double precision: what word2vec.hpp is held to by tests. The same draws in
// the same order, no vector code, no line of predictions, one thread.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "morsel/training/word2vec.hpp"

namespace morsel {

// The neighbours' vectors make a hidden one, which tells rows of label 1 from rows of label 0.
struct PlainPrediction {
    std::vector<std::uint32_t> inputs = {}, targets = {};
    std::vector<int> labels = {};  // [targets]
};

struct PlainWord2Vec {
    std::size_t dimension = 0;
    std::vector<double> input = {}, output = {};  // [words, dimension], [output rows, dimension]
    double (*sigmoid)(double) = [](double x) { return 1 / (1 + std::exp(-x)); };

    // The mean or the sum of the inputs' vectors.
    std::vector<double> hidden(const PlainPrediction& p, bool mean) const {
        std::vector<double> x(dimension);
        for (const std::uint32_t word : p.inputs)
            for (std::size_t i = 0; i < dimension; ++i) x[i] += input[word * dimension + i] / (mean ? static_cast<double>(p.inputs.size()) : 1.0);
        return x;
    }
    double product(std::span<const double> x, std::uint32_t row) const {
        double sum = 0;
        for (std::size_t i = 0; i < dimension; ++i) sum += x[i] * output[row * dimension + i];
        return sum;
    }
    // −Σ log σ(±x · w): what training makes small.
    double loss(const PlainPrediction& p, bool mean) const {
        const std::vector<double> x = hidden(p, mean);
        double sum = 0;
        for (std::size_t t = 0; t < p.targets.size(); ++t) sum += std::log1p(std::exp(p.labels[t] == 1 ? -product(x, p.targets[t]) : product(x, p.targets[t])));
        return sum;
    }
    // One step of gradient descent; `exact`: on the inputs, too, whose share of a mean's gradient gensim does not take.
    void learn(const PlainPrediction& p, bool mean, bool exact, double alpha) {
        const std::vector<double> x = hidden(p, mean);
        std::vector<double> error(dimension), gradients;
        for (std::size_t t = 0; t < p.targets.size(); ++t) gradients.push_back(alpha * (p.labels[t] - sigmoid(product(x, p.targets[t]))));
        for (std::size_t t = 0; t < p.targets.size(); ++t)
            for (std::size_t i = 0; i < dimension; ++i) error[i] += gradients[t] * output[p.targets[t] * dimension + i];
        for (std::size_t t = 0; t < p.targets.size(); ++t)
            for (std::size_t i = 0; i < dimension; ++i) output[p.targets[t] * dimension + i] += gradients[t] * x[i];
        for (const std::uint32_t word : p.inputs)
            for (std::size_t i = 0; i < dimension; ++i) input[word * dimension + i] += error[i] / (mean == exact ? static_cast<double>(p.inputs.size()) : 1.0);
    }
};

// What train_word2vec gives with one thread, but for rounding. Another `sigmoid` is for comparison with those who look it up in a table.
inline PlainWord2Vec train_word2vec_plain(const WordSequences& corpus, const Word2VecOptions& options, double (*sigmoid)(double) = PlainWord2Vec().sigmoid) {
    const detail::Word2VecState state = detail::word2vec_state(corpus, options);
    PlainWord2Vec model{.dimension = options.dimension, .sigmoid = sigmoid};
    for (std::size_t word = 0; word < corpus.words.size(); ++word) model.input.insert(model.input.end(), state.input.data() + word * state.stride, state.input.data() + word * state.stride + options.dimension);
    model.output.resize(state.output.size() / state.stride * options.dimension);
    const std::vector<std::size_t> parts = detail::word2vec_parts(corpus);
    const std::size_t n_parts = parts.size() - 1;
    for (std::size_t place = 0; place < n_parts * options.epochs; ++place) {
        const std::size_t part = place % n_parts;
        PhiloxStream random(options.seed, place, detail::training_draws);
        const double done = static_cast<double>(place / n_parts * corpus.ids.size() + corpus.begins[parts[part]]) / static_cast<double>(corpus.ids.size() * options.epochs);
        const double alpha = options.alpha + (options.min_alpha - options.alpha) * done;
        for (std::size_t sequence = parts[part]; sequence < parts[part + 1]; ++sequence) {
            std::vector<std::uint32_t> words;
            for (std::uint64_t i = corpus.begins[sequence]; i < corpus.begins[sequence + 1]; ++i)
                if (options.sample == 0 || random.next() <= state.keep[corpus.ids[i]]) words.push_back(corpus.ids[i]);
            const auto learn = [&](std::uint32_t word, std::vector<std::uint32_t> inputs) {
                PlainPrediction p{.inputs = std::move(inputs)};
                if (options.negative > 0) p.targets = {word}, p.labels = {1};
                for (std::size_t i = 0; i < options.negative; ++i)
                    if (const std::uint32_t drawn = state.negatives(random.next()); drawn != word) p.targets.push_back(drawn), p.labels.push_back(0);
                if (options.hierarchical_softmax)
                    for (std::size_t i = 0; i < state.paths.nodes_of(word).size(); ++i)
                        p.targets.push_back(state.first_node + state.paths.nodes_of(word)[i]), p.labels.push_back(1 - state.paths.turns_of(word)[i]);
                model.learn(p, options.cbow_mean, options.exact_cbow_gradient, alpha);
            };
            for (std::size_t i = 0; i < words.size(); ++i) {
                const std::size_t reach = options.shrink_windows ? options.window - static_cast<std::size_t>(uniform_below(std::uint64_t{random.next()} << 32, options.window)) : options.window;
                std::vector<std::uint32_t> neighbours;
                for (std::size_t j = i < reach ? 0 : i - reach; j <= i + reach && j < words.size(); ++j)
                    if (j != i) neighbours.push_back(words[j]);
                if (options.model == Word2VecModel::skip_gram)
                    for (const std::uint32_t neighbour : neighbours) learn(words[i], {neighbour});
                else if (!neighbours.empty())
                    learn(words[i], neighbours);
            }
        }
    }
    return model;
}

}  // namespace morsel
