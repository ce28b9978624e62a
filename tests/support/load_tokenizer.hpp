// Tokenizer::from_pretrained, compiled once for all tests: the loaders are more than half of what morsel/tokenizer.hpp costs to compile.
#pragma once
#include <filesystem>

#include "morsel/tokenizer/tokenizer.hpp"

namespace morsel_test {

morsel::Tokenizer load_tokenizer(const std::filesystem::path& path, const morsel::TokenizerOptions& options = {});

}  // namespace morsel_test
