// How the commands load tokenizers: split patterns that no built-in scanner knows go to PCRE2 where the build found it.
#pragma once
#include <string>
#include <utility>

#include "morsel/tokenizer/tokenizer_parts.hpp"
#ifdef MORSEL_HAS_PCRE2
#include "morsel/tokenizer/pcre2.hpp"
#endif

namespace cli {

// `encoding`: for a .tiktoken file whose name does not say it.
inline morsel::TokenizerOptions tokenizer_options(std::string encoding = {}) {
    morsel::TokenizerOptions options;
    options.tiktoken.encoding = std::move(encoding);
#ifdef MORSEL_HAS_PCRE2
    options.regex = morsel::pcre2_regex();
#endif
    return options;
}

}  // namespace cli
