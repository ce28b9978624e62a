// How the commands load tokenizers. In a file of its own, since the loaders are most of what morsel/tokenizer.hpp costs to compile.
#pragma once
#include <string>

#include "morsel/tokenizer/tokenizer.hpp"

namespace cli {

// Split patterns that no built-in scanner knows go to PCRE2 where the build found it. `encoding`: for a .tiktoken file whose name does
// not say it.
morsel::TokenizerOptions tokenizer_options(const std::string& encoding = {});
morsel::Tokenizer load_tokenizer(const std::string& path, const std::string& encoding = {});

}  // namespace cli
