// Static word vectors: one vector a word, whatever its sentence. A table and what one asks of it: similar words, analogies, the odd one out.
// Similarity is the cosine; queries of several words go by the mean of their unit vectors, as in gensim's KeyedVectors and the tools of
// word2vec. Made by training/word2vec.hpp or read from files by word_vectors_io.hpp; immutable. Searches are exact, over all rows.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/flat_map.hpp"

namespace morsel {

class WordVectors {
  public:
    WordVectors() = default;
    // vectors [words, dimension]; counts [words] or empty, occurrences in the corpus. Words are any bytes. Throws Error where sizes do not
    // fit, a word is there twice, a value is not finite or a vector is longer than 3e18.
    WordVectors(std::vector<std::string> words, std::vector<float> vectors, std::size_t dimension, std::vector<std::uint64_t> counts = {})
        : words_(std::move(words)), vectors_(std::move(vectors)), counts_(std::move(counts)), dimension_(dimension) {
        const auto mismatch = [&](const char* key, std::size_t found) {
            return Error("wrong size", {.key = key, .expected = std::to_string(words_.size()) + " words of " + std::to_string(dimension_) + " values", .found = std::to_string(found)});
        };
        if (words_.size() > std::numeric_limits<std::uint32_t>::max()) throw Error("too many words", {.key = "words", .found = std::to_string(words_.size())});
        if (dimension_ == 0 ? !words_.empty() : vectors_.size() % dimension_ != 0 || vectors_.size() / dimension_ != words_.size()) throw mismatch("vectors", vectors_.size());
        if (!counts_.empty() && counts_.size() != words_.size()) throw mismatch("counts", counts_.size());
        ids_.reserve(words_.size());
        inverse_norms_.reserve(words_.size());
        for (std::size_t i = 0; i < words_.size(); ++i) {
            if (ids_.find(words_[i])) throw Error("a word is there twice", {.key = "word " + std::to_string(i), .found = '\'' + words_[i] + '\''});
            ids_.set(words_[i], static_cast<std::uint32_t>(i));
            double squares = 0;
            for (const float value : vector(i)) squares += double{value} * double{value};
            if (!(squares < 1e37)) throw Error("a value is not finite, or too large to compare", {.key = "vector of '" + words_[i] + '\''});
            inverse_norms_.push_back(squares > 0 ? 1 / std::sqrt(squares) : 0);
        }
    }

    std::size_t size() const noexcept { return words_.size(); }
    std::size_t dimension() const noexcept { return dimension_; }
    const std::vector<std::string>& words() const noexcept { return words_; }            // by id
    const std::vector<std::uint64_t>& counts() const noexcept { return counts_; }        // [words], or empty
    std::span<const float> values() const noexcept { return vectors_; }                  // [words, dimension]
    std::span<const float> vector(std::size_t id) const noexcept { return std::span(vectors_).subspan(id * dimension_, dimension_); }
    double inverse_norm(std::size_t id) const noexcept { return inverse_norms_[id]; }    // 1 / length; 0 for a vector of zeros

    std::optional<std::uint32_t> find(std::string_view word) const noexcept { return ids_.find(word); }
    // Throws Error where the word is not there.
    std::uint32_t id(std::string_view word) const {
        if (const auto found = ids_.find(word)) return *found;
        throw Error("not in the vocabulary", {.key = "word", .found = '\'' + std::string(word) + '\''});
    }

  private:
    std::vector<std::string> words_;
    std::vector<float> vectors_;
    std::vector<std::uint64_t> counts_;
    std::size_t dimension_ = 0;
    StringMap ids_;
    std::vector<double> inverse_norms_;  // [words]
};

struct SimilarWord {
    std::uint32_t id = 0;
    std::string_view word = {};  // lives as long as the vectors
    float similarity = 0;        // cosine
};

namespace detail {

// Sixteen sums side by side: a loop that becomes vector code without leave to reorder sums.
inline float dot(std::span<const float> a, std::span<const float> b) {
    float sums[16] = {};
    std::size_t i = 0;
    for (; i + 16 <= a.size(); i += 16)
        for (std::size_t j = 0; j < 16; ++j) sums[j] += a[i + j] * b[i + j];
    for (std::size_t j = 0; i + j < a.size(); ++j) sums[j] += a[i + j] * b[i + j];
    for (std::size_t half = 8; half > 0; half /= 2)
        for (std::size_t j = 0; j < half; ++j) sums[j] += sums[j + half];
    return sums[0];
}

// weight · unit vector of each, added up and brought to length 1 (unless it is 0).
inline std::vector<float> direction(const WordVectors& vectors, std::span<const std::uint32_t> positive, std::span<const std::uint32_t> negative) {
    std::vector<double> sum(vectors.dimension());
    const auto add = [&](std::uint32_t id, double weight) {
        const auto vector = vectors.vector(id);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += weight * vectors.inverse_norm(id) * double{vector[i]};
    };
    for (const std::uint32_t id : positive) add(id, 1);
    for (const std::uint32_t id : negative) add(id, -1);
    double squares = 0;
    for (const double value : sum) squares += value * value;
    std::vector<float> unit(sum.size());
    for (std::size_t i = 0; i < sum.size(); ++i) unit[i] = squares > 0 ? static_cast<float>(sum[i] / std::sqrt(squares)) : 0.0f;
    return unit;
}

inline std::vector<std::uint32_t> ids_of(const WordVectors& vectors, std::span<const std::string_view> words) {
    std::vector<std::uint32_t> ids;
    for (const std::string_view word : words) ids.push_back(vectors.id(word));
    return ids;
}

}  // namespace detail

// The words closest to a direction [dimension], the closest first, equal ones by id; those listed in `except` are passed over, and with
// `restrict_vocab` all but that many of the first, the most frequent words.
inline std::vector<SimilarWord> closest_words(const WordVectors& vectors, std::span<const float> to, std::size_t count = 10, std::span<const std::uint32_t> except = {},
                                              std::optional<std::size_t> restrict_vocab = {}) {
    if (to.size() != vectors.dimension()) throw Error("wrong size", {.key = "vector", .expected = std::to_string(vectors.dimension()) + " values", .found = std::to_string(to.size())});
    const double norm = std::sqrt(detail::dot(to, to)), scale = norm > 0 ? 1 / norm : 0;
    std::vector<SimilarWord> best;  // a heap, the worst of the best in front
    const auto better = [](const SimilarWord& a, const SimilarWord& b) { return a.similarity != b.similarity ? a.similarity > b.similarity : a.id < b.id; };
    const std::size_t rows = std::min(vectors.size(), restrict_vocab.value_or(vectors.size()));
    for (std::size_t i = 0; i < rows && count > 0; ++i) {
        const SimilarWord candidate{static_cast<std::uint32_t>(i), vectors.words()[i], static_cast<float>(double{detail::dot(vectors.vector(i), to)} * scale * vectors.inverse_norm(i))};
        if (best.size() == count && !better(candidate, best.front())) continue;
        if (std::find(except.begin(), except.end(), candidate.id) != except.end()) continue;
        if (best.size() == count) std::pop_heap(best.begin(), best.end(), better), best.pop_back();
        best.push_back(candidate);
        std::push_heap(best.begin(), best.end(), better);
    }
    std::sort(best.begin(), best.end(), better);
    return best;
}

struct SimilarWordsQuery {
    std::vector<std::string_view> positive = {};  // words to be like
    std::vector<std::string_view> negative = {};  // words to be unlike
    std::size_t count = 10;
    std::optional<std::size_t> restrict_vocab = {};  // look at so many of the first words only
};

// The words most like all of `positive` and unlike `negative`; words of the query are passed over. Throws Error on an unknown word, or
// where the query has none.
inline std::vector<SimilarWord> most_similar(const WordVectors& vectors, const SimilarWordsQuery& query) {
    if (query.positive.empty() && query.negative.empty()) throw Error("no words to be like", {.key = "positive"});
    std::vector<std::uint32_t> positive = detail::ids_of(vectors, query.positive);
    const std::vector<std::uint32_t> negative = detail::ids_of(vectors, query.negative);
    const std::vector<float> to = detail::direction(vectors, positive, negative);
    positive.insert(positive.end(), negative.begin(), negative.end());
    return closest_words(vectors, to, query.count, positive, query.restrict_vocab);
}

// "a is to b as c is to …": b − a + c (3CosAdd).
inline std::vector<SimilarWord> analogy(const WordVectors& vectors, std::string_view a, std::string_view b, std::string_view c, std::size_t count = 10) {
    return most_similar(vectors, {.positive = {b, c}, .negative = {a}, .count = count});
}

// Cosine of two words' vectors, 0 where one is all zeros. Throws Error on an unknown word.
inline float similarity(const WordVectors& vectors, std::string_view a, std::string_view b) {
    const std::uint32_t i = vectors.id(a), j = vectors.id(b);
    return static_cast<float>(double{detail::dot(vectors.vector(i), vectors.vector(j))} * vectors.inverse_norm(i) * vectors.inverse_norm(j));
}

// Which of the words is furthest from their mean direction; of equal ones the first. Throws Error on an unknown word, or where there is none.
inline std::string_view doesnt_match(const WordVectors& vectors, std::span<const std::string_view> words) {
    if (words.empty()) throw Error("no words to choose from", {.key = "words"});
    const std::vector<std::uint32_t> ids = detail::ids_of(vectors, words);
    const std::vector<float> mean = detail::direction(vectors, ids, {});
    std::size_t furthest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const double cosine = double{detail::dot(vectors.vector(ids[i]), mean)} * vectors.inverse_norm(ids[i]);
        if (cosine < least) least = cosine, furthest = i;
    }
    return words[furthest];
}

}  // namespace morsel
