// What a BPE trainer is asked for, and what it gives: options with the names and meaning of Hugging Face tokenizers' BpeTrainer, tokens in
// order of their ids, merges in order of their ranks.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "morsel/core/dtype.hpp"

namespace morsel {

struct BpeTrainerOptions {
    std::size_t vocab_size = 30000;                     // tokens at most; special tokens and alphabet are kept even beyond
    std::uint64_t min_frequency = 0;                    // training ends where the best pair occurs less often
    std::vector<std::string> special_tokens = {};       // first ids, in this order
    std::optional<std::size_t> limit_alphabet = {};     // characters at most, the most frequent
    std::u32string initial_alphabet = {};               // characters to have whether they occur or not
    std::optional<std::size_t> max_token_length = {};   // as in the reference: merges give tokens of fewer characters, or of two
    std::string continuing_subword_prefix = {};         // put before every character but a word's first: "##"
    std::string end_of_word_suffix = {};                // put behind a word's last character: "</w>"
};

struct LearnedMerge {
    TokenId left = 0, right = 0, id = 0;  // id: what the pair becomes
    std::uint64_t count = 0;              // occurrences when it was chosen
};

struct LearnedBpe {
    std::vector<std::string> tokens = {};       // by id
    std::vector<LearnedMerge> merges = {};      // by rank
    std::size_t ties = 0;                       // merges that had a rival of the same count: decided by ids
    std::string continuing_subword_prefix = {}, end_of_word_suffix = {};
};

}  // namespace morsel
