// What a WordPiece trainer is asked for, and what it gives.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "morsel/training/bpe_options.hpp"

namespace morsel {

enum class WordPieceObjective { ratio, log_likelihood, count };  // pair_score.hpp

struct WordPieceTrainerOptions {
    WordPieceObjective objective = WordPieceObjective::log_likelihood;
    std::size_t vocab_size = 30000;      // tokens at most; special tokens and alphabet are kept even beyond
    std::uint64_t min_frequency = 0;     // pairs that occur less often are no candidates
    std::uint64_t min_word_count = 0;    // words that occur less often are left out
    std::vector<std::string> special_tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    std::optional<std::size_t> limit_alphabet = {};    // characters at most, the most frequent
    std::u32string initial_alphabet = {};              // characters to have whether they occur or not
    std::optional<std::size_t> max_token_length = {};  // characters at most, but two are always allowed
    std::string continuing_subword_prefix = "##";
};

struct LearnedWordPiece {
    std::vector<std::string> tokens = {};   // by id; what vocab.txt holds
    struct Merge {
        std::string left, right, result;    // as they are shown: "##u", "##g", "##ug"
        std::uint64_t count = 0;            // adjacent places when it was chosen
    };
    std::vector<Merge> merges = {};         // in the order in which they were chosen
    std::size_t rare_merges = 0;            // of pairs that occurred fewer than ten times

    // The ratio likes pairs that occur once and always together. More than a tenth of such merges is a sign that min_frequency
    // should be higher.
    bool rare_pairs_dominate() const noexcept { return 10 * rare_merges > merges.size(); }
};

}  // namespace morsel
