// word2vec: vectors of words out of the company they keep. T. Mikolov, K. Chen, G. Corrado, J. Dean, "Efficient estimation of word
// representations in vector space", 2013, and T. Mikolov et al., "Distributed representations of words and phrases and their
// compositionality", 2013; options and their meaning as in gensim.
// Every thread takes the next thousand words of the corpus and changes the shared weights without asking the others (Hogwild: F. Niu et al.,
// 2011), so several threads never give the same bits twice; one thread always does, because all chance is a function of seed and place.
// Predictions wait in a short line between being drawn and being trained, so that their rows are in the cache by then; what there is to wait
// for is memory.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/philox.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/models/word_vectors.hpp"
#include "morsel/ops/cpu/device.hpp"
#include "morsel/training/alias_table.hpp"
#include "morsel/training/huffman.hpp"
#include "morsel/training/word2vec_options.hpp"
#include "morsel/training/word2vec_step.hpp"
#include "morsel/training/word_sequences.hpp"

namespace morsel {

namespace detail {

// Throws Error where an option is out of its range.
inline void check(const Word2VecOptions& options) {
    const auto wrong = [](const char* key, const char* expected, double found) { return Error("out of range", {.key = key, .expected = expected, .found = std::to_string(found)}); };
    if (options.dimension == 0 || options.dimension > 65536) throw wrong("dimension", "1 to 65536", static_cast<double>(options.dimension));
    if (options.window == 0 || options.window > 10000) throw wrong("window", "1 to 10000", static_cast<double>(options.window));
    if (options.negative > 10000) throw wrong("negative", "at most 10000", static_cast<double>(options.negative));
    if (options.negative == 0 && !options.hierarchical_softmax) throw Error("nothing to learn by", {.key = "negative", .expected = "negative samples or hierarchical softmax"});
    if (!(std::abs(options.ns_exponent) <= 10)) throw wrong("ns_exponent", "-10 to 10", options.ns_exponent);
    if (!(options.sample >= 0 && options.sample < 1)) throw wrong("sample", "at least 0 and below 1", options.sample);
    if (!(options.alpha > 0 && options.alpha <= 10)) throw wrong("alpha", "above 0, at most 10", options.alpha);
    if (!(options.min_alpha >= 0 && options.min_alpha <= options.alpha)) throw wrong("min_alpha", "0 to alpha", options.min_alpha);
}

// Which draws of the seed are for what.
enum Word2VecDraws : std::uint32_t { training_draws = 0, starting_draws = 1 };

// What all threads share. Rows of `output` are those of negative sampling, then the inner nodes of the tree, where there are such.
struct Word2VecState {
    const WordSequences& corpus;
    const Word2VecOptions& options;
    std::size_t stride = 0;            // floats of a row
    CpuBuffer input = {}, output = {};  // [words, stride], [output rows, stride]
    AliasTable negatives = {};
    HuffmanPaths paths = {};
    std::vector<std::uint32_t> keep = {};  // [words] of 2³²: the chance of a word to be trained on, less one
    std::uint32_t first_node = 0;          // output row of the tree's root
};

// Chance to keep a word of that share of the corpus: (√(f/t) + 1) · t/f, as word2vec.c has it.
inline double keep_probability(double frequency, double threshold) {
    return threshold > 0 ? std::min(1.0, (std::sqrt(frequency / threshold) + 1) * threshold / frequency) : 1.0;
}

inline Word2VecState word2vec_state(const WordSequences& corpus, const Word2VecOptions& options) {
    check(options);
    const std::size_t words = corpus.words.size();
    if (words == 0 || corpus.counts.size() != words) throw Error("no words to train on", {.key = "words"});
    Word2VecState state{.corpus = corpus, .options = options};
    state.stride = (options.dimension + row_grain - 1) / row_grain * row_grain;
    std::size_t output_rows = 0;
    double total = 0;
    for (const std::uint64_t count : corpus.counts) total += static_cast<double>(count);
    if (options.negative > 0) {
        std::vector<double> weights;
        for (const std::uint64_t count : corpus.counts) weights.push_back(std::pow(static_cast<double>(count) / total, options.ns_exponent));
        state.negatives = AliasTable(weights);
        output_rows += words;
    }
    if (options.hierarchical_softmax) {
        state.paths = huffman_paths(corpus.counts);
        state.first_node = static_cast<std::uint32_t>(output_rows);
        output_rows += words - 1;
    }
    if (output_rows > std::numeric_limits<std::uint32_t>::max()) throw Error("too many words", {.key = "words", .found = std::to_string(words)});
    for (const std::uint64_t count : corpus.counts) state.keep.push_back(static_cast<std::uint32_t>(keep_probability(static_cast<double>(count) / total, options.sample) * (0x1p32 - 1)));

    state.input = CpuBuffer(words * state.stride);
    state.output = CpuBuffer(output_rows * state.stride);
    std::fill_n(state.output.data(), state.output.size(), 0.0f);
    std::fill_n(state.input.data(), state.input.size(), 0.0f);
    for (std::size_t word = 0; word < words; ++word) {
        PhiloxStream random(options.seed, word, starting_draws);
        for (std::size_t i = 0; i < options.dimension; ++i)
            state.input.data()[word * state.stride + i] = (2 * uniform_float(random.next()) - 1) / static_cast<float>(options.dimension);
    }
    return state;
}

// One thread's way through parts of the corpus.
class Word2VecWorker {
  public:
    Word2VecWorker(Word2VecState& state, Isa isa)
        : state_(state), kernels_(word2vec_kernels(isa)), hidden_(state.stride), error_(state.stride), max_inputs_(state.options.model == Word2VecModel::cbow ? 2 * state.options.window : 1) {
        std::size_t longest = 0;
        for (std::size_t word = 0; word + 1 < state.paths.begins.size(); ++word) longest = std::max(longest, state.paths.nodes_of(word).size());
        max_targets_ = (longest + (state.options.negative > 0 ? 1 + state.options.negative : 0) + row_grain - 1) / row_grain * row_grain;
        inputs_.resize(waiting * max_inputs_), targets_.resize(waiting * max_targets_), labels_.resize(waiting * max_targets_), rates_.resize(waiting * max_targets_);
    }

    // Trains on sequences first … last - 1 at that learning rate; `place` numbers the call in the whole run.
    void train(std::size_t first, std::size_t last, float alpha, std::uint64_t place) {
        const WordSequences& corpus = state_.corpus;
        PhiloxStream random(state_.options.seed, place, training_draws);
        alpha_ = alpha;
        for (std::size_t sequence = first; sequence < last; ++sequence) {
            kept_.clear();
            for (std::uint64_t i = corpus.begins[sequence]; i < corpus.begins[sequence + 1]; ++i)
                if (const std::uint32_t id = corpus.ids[i]; state_.options.sample == 0 || random.next() <= state_.keep[id]) kept_.push_back(id);
            for (std::size_t centre = 0; centre < kept_.size(); ++centre) {
                const std::size_t window = state_.options.window;
                const std::size_t reach = state_.options.shrink_windows ? window - static_cast<std::size_t>(std::uint64_t{random.next()} * window >> 32) : window;
                const std::size_t begin = centre - std::min(centre, reach), end = std::min(kept_.size(), centre + reach + 1);
                if (state_.options.model == Word2VecModel::cbow) {
                    std::uint32_t* const inputs = inputs_.data() + newest_ * max_inputs_;
                    std::size_t count = 0;
                    for (std::size_t i = begin; i < end; ++i)
                        if (i != centre) inputs[count++] = kept_[i];
                    if (count > 0) predict(kept_[centre], count, random);
                } else {
                    for (std::size_t i = begin; i < end; ++i)
                        if (i != centre) inputs_[newest_ * max_inputs_] = kept_[i], predict(kept_[centre], 1, random);
                }
            }
        }
        for (std::size_t i = std::min(in_line_, until_resolved - 1); i > 0; --i) resolve((newest_ + waiting - i) % waiting);
        while (in_line_ > 0) learn();
    }

  private:
    // A prediction is drawn, two later its rows are asked for, and two later it is trained. Measured with 75,000 words, dimension 100, one
    // thread of a Xeon: without asking for the slots of the alias table 740,000 words/s, so 1,050,000, lines of 8 to 16 up to a fifth less.
    static constexpr std::size_t waiting = 4, until_resolved = 2;

    // Puts the newest inputs in line, to predict `word`: draws random bits for the negatives and asks for what tells which words they mean.
    void predict(std::uint32_t word, std::size_t n_inputs, PhiloxStream& random) {
        std::uint32_t* const targets = targets_.data() + newest_ * max_targets_;
        for (std::size_t i = 0; i < state_.options.negative; ++i) {
            targets[1 + i] = random.next();
            state_.negatives.prefetch(targets[1 + i]);
        }
        words_[newest_] = word, n_inputs_[newest_] = n_inputs;
        newest_ = (newest_ + 1) % waiting;
        ++in_line_;
        if (in_line_ >= until_resolved) resolve((newest_ + waiting - until_resolved) % waiting);
        if (in_line_ == waiting) learn();
    }

    // Random bits to targets with their labels, whose rows are asked for.
    void resolve(std::size_t slot) {
        std::uint32_t* const targets = targets_.data() + slot * max_targets_;
        float* const labels = labels_.data() + slot * max_targets_;
        float* const rates = rates_.data() + slot * max_targets_;
        const std::uint32_t word = words_[slot];
        std::size_t n = 0;
        if (state_.options.negative > 0) {
            targets[n] = word, rates[n] = alpha_, labels[n++] = 1;
            for (std::size_t i = 0; i < state_.options.negative; ++i) {
                const std::uint32_t drawn = state_.negatives(targets[1 + i]);
                std::size_t same = 0;
                while (same < n && targets[same] != drawn) ++same;
                if (same == n) targets[n] = drawn, rates[n] = alpha_, labels[n++] = 0;
                else if (same > 0) rates[same] += alpha_;
            }
        }
        if (state_.options.hierarchical_softmax) {
            const auto nodes = state_.paths.nodes_of(word);
            const auto turns = state_.paths.turns_of(word);
            for (std::size_t i = 0; i < nodes.size(); ++i) targets[n] = state_.first_node + nodes[i], rates[n] = alpha_, labels[n++] = turns[i] == 0 ? 1.0f : 0.0f;
        }
        for (std::size_t i = 0; i < n; ++i) prefetch_row(state_.output.data(), targets[i]);
        for (std::size_t i = 0; i < n_inputs_[slot]; ++i) prefetch_row(state_.input.data(), inputs_[slot * max_inputs_ + i]);
        n_targets_[slot] = n;
    }

    void prefetch_row(const float* rows, std::uint32_t row) const {
        const float* const begin = rows + row * state_.stride;
        for (std::size_t i = 0; i < state_.stride; i += 16) __builtin_prefetch(begin + i, 1);
    }

    // Trains the prediction that has waited longest.
    void learn() {
        const std::size_t slot = (newest_ + waiting - in_line_) % waiting, n = n_inputs_[slot], stride = state_.stride;
        const std::uint32_t* const inputs = inputs_.data() + slot * max_inputs_;
        --in_line_;
        float* x = state_.input.data() + inputs[0] * stride;
        const float share = 1 / static_cast<float>(n);
        if (n > 1) {
            x = hidden_.data();
            std::fill_n(x, stride, 0.0f);
            for (std::size_t i = 0; i < n; ++i) kernels_.add(x, state_.input.data() + inputs[i] * stride, state_.options.cbow_mean ? share : 1, stride);
        }
        const std::size_t at = slot * max_targets_;
        kernels_.step(x, error_.data(), state_.output.data(), stride, {n_targets_[slot], targets_.data() + at, rates_.data() + at, labels_.data() + at});
        const float factor = state_.options.cbow_mean == state_.options.exact_cbow_gradient ? share : 1;
        for (std::size_t i = 0; i < n; ++i) kernels_.add(state_.input.data() + inputs[i] * stride, error_.data(), factor, stride);
    }

    Word2VecState& state_;
    Word2VecKernels kernels_;
    CpuBuffer hidden_, error_;             // [stride]
    std::size_t max_inputs_, max_targets_;
    std::vector<std::uint32_t> kept_ = {};  // a sequence, less the words left out at random
    std::vector<std::uint32_t> inputs_ = {}, targets_ = {};  // [waiting, max]
    std::vector<float> labels_ = {}, rates_ = {};            // [waiting, max_targets_]
    std::uint32_t words_[waiting] = {};                      // to be predicted
    std::size_t n_inputs_[waiting] = {}, n_targets_[waiting] = {};
    std::size_t newest_ = 0, in_line_ = 0;
    float alpha_ = 0;
};

// Sequences in parts of about a thousand words, [parts + 1].
inline std::vector<std::size_t> word2vec_parts(const WordSequences& corpus) {
    constexpr std::uint64_t words_of_part = 1000;
    std::vector<std::size_t> parts{0};
    for (std::size_t i = 1; i <= corpus.size(); ++i)
        if (i == corpus.size() || corpus.begins[i] - corpus.begins[parts.back()] >= words_of_part) parts.push_back(i);
    return parts;
}

// The learning rate after so much of the whole run.
inline double learning_rate(const Word2VecOptions& options, double done) { return options.alpha - (options.alpha - options.min_alpha) * done; }

}  // namespace detail

// Trains on the device's threads; with one the result is the same on every run. Throws Error on options out of range, on a corpus without
// words, where weights grow beyond all bounds (a learning rate too high), and where `progress` says stop.
inline WordVectors train_word2vec(Cpu& device, const WordSequences& corpus, const Word2VecOptions& options = {}, const ProgressCallback& progress = {}) {
    detail::Word2VecState state = detail::word2vec_state(corpus, options);
    const std::vector<std::size_t> parts = detail::word2vec_parts(corpus);
    const std::size_t n_parts = parts.size() - 1, places = n_parts * options.epochs;
    const std::uint64_t words = corpus.ids.size();
    std::atomic<std::size_t> next = 0;
    std::atomic<bool> cancelled = false;
    std::uint64_t told = 0;  // words, by the calling thread, which may have trained none
    device.pool().run([&](unsigned thread) {
        detail::Word2VecWorker worker(state, device.isa());
        for (std::size_t place; !cancelled.load(std::memory_order_relaxed) && (place = next.fetch_add(1, std::memory_order_relaxed)) < places;) {
            const std::size_t part = place % n_parts;
            const std::uint64_t done = place / n_parts * words + corpus.begins[parts[part]];
            const double alpha = detail::learning_rate(options, static_cast<double>(done) / (static_cast<double>(words) * static_cast<double>(options.epochs)));
            worker.train(parts[part], parts[part + 1], static_cast<float>(alpha), place);
            if (thread == 0 && progress && !progress({"train", told = done + corpus.begins[parts[part + 1]] - corpus.begins[parts[part]], words * options.epochs})) cancelled = true;
        }
    });
    if (cancelled || (progress && told < words * options.epochs && !progress({"train", words * options.epochs, words * options.epochs}))) throw Error("cancelled");
    std::vector<float> vectors;
    vectors.reserve(corpus.words.size() * options.dimension);
    for (std::size_t word = 0; word < corpus.words.size(); ++word) {
        const float* const row = state.input.data() + word * state.stride;
        vectors.insert(vectors.end(), row, row + options.dimension);
    }
    return WordVectors(corpus.words, std::move(vectors), options.dimension, corpus.counts);
}

}  // namespace morsel
