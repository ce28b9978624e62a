// How good a vocabulary is, measured on counted words: the text it was trained on, or better, text held out. Words are encoded by the
// model once for each distinct one.
// Bytes are those of the words: where words are no bytes of the text, white space between them is not among them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/models/model.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"
#include "morsel/training/bpe_options.hpp"
#include "morsel/training/word_counts.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct VocabularyReport {
    std::uint64_t words = 0, bytes = 0, tokens = 0;  // of the text
    std::uint64_t unknown = 0;                       // of the tokens
    std::vector<std::uint64_t> uses = {};            // [id]

    double bytes_per_token() const { return tokens > 0 ? static_cast<double>(bytes) / static_cast<double>(tokens) : 0; }
    double tokens_per_word() const { return words > 0 ? static_cast<double>(tokens) / static_cast<double>(words) : 0; }
    // Tokens of the vocabulary that occur fewer than `least` times: 1 gives those that are not used at all.
    std::size_t rarer_than(std::uint64_t least) const {
        return static_cast<std::size_t>(std::count_if(uses.begin(), uses.end(), [&](std::uint64_t n) { return n < least; }));
    }
};

inline VocabularyReport vocabulary_report(const TokenizationModel& model, const WordCounts& counts) {
    VocabularyReport report;
    const Vocabulary& vocabulary = vocabulary_of(model);
    report.uses.resize(static_cast<std::size_t>(vocabulary.id_bound()));
    std::optional<TokenId> unknown;
    if (const auto* m = std::get_if<WordPiece>(&model)) unknown = vocabulary.id(m->unk_token);
    if (const auto* m = std::get_if<Bpe>(&model); m != nullptr && m->unk_token) unknown = vocabulary.id(*m->unk_token);
    std::string shown;
    ModelTokens tokens;
    counts.for_each([&](std::string_view word, std::uint64_t count) {
        report.words += count, report.bytes += count * word.size();
        if (counts.are_bytes()) {
            shown.clear();
            for (const char byte : word) unicode::append(shown, byte_to_character[static_cast<unsigned char>(byte)]);
            word = shown;
        }
        tokens.clear();
        tokenize(model, word, tokens);
        report.tokens += count * tokens.size();
        for (const ModelToken& token : tokens) {
            report.uses[token.id] += count;
            if (token.id == unknown) report.unknown += count;
        }
    });
    return report;
}

// Points of a curve.
using Curve = std::vector<std::pair<double, double>>;

// How training shortens the text: (tokens of the vocabulary, tokens of the corpus for each one that is left) after every so many merges,
// at most `points` of them. `before`: tokens of the corpus before the first merge. (In runs like "aaa" a merge takes fewer places than
// its count says, so the curve may be a little too high.)
inline Curve growth_curve(const LearnedBpe& learned, std::uint64_t before, std::size_t points = 400) {
    Curve curve;
    double tokens = static_cast<double>(before);
    const std::size_t first = learned.tokens.size() - std::min(learned.tokens.size(), learned.merges.size());
    const std::size_t step = std::max<std::size_t>(1, learned.merges.size() / std::max<std::size_t>(points, 1));
    for (std::size_t i = 0; i <= learned.merges.size(); ++i) {
        if ((i % step == 0 || i == learned.merges.size()) && tokens > 0) curve.emplace_back(static_cast<double>(first + i), static_cast<double>(before) / tokens);
        if (i < learned.merges.size()) tokens -= static_cast<double>(learned.merges[i].count);
    }
    return curve;
}

// Which share of a text the most frequent tokens are: (n, percent of all tokens that are among the n most used).
inline Curve coverage_curve(const VocabularyReport& report, std::size_t points = 400) {
    std::vector<std::uint64_t> uses = report.uses;
    std::sort(uses.begin(), uses.end(), std::greater<>());
    Curve curve{{0, 0}};
    std::uint64_t sum = 0;
    const std::size_t step = std::max<std::size_t>(1, uses.size() / std::max<std::size_t>(points, 1));
    for (std::size_t i = 0; i < uses.size() && report.tokens > 0; ++i) {
        sum += uses[i];
        if (i < 50 || (i + 1) % step == 0 || i + 1 == uses.size()) curve.emplace_back(static_cast<double>(i + 1), 100 * static_cast<double>(sum) / static_cast<double>(report.tokens));
    }
    return curve;
}

}  // namespace morsel
