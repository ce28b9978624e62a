// How the commands load tokenizers: split patterns that no built-in scanner knows go to PCRE2 where the build found it.
#pragma once
#include "morsel/tokenizer/tokenizer_parts.hpp"
#ifdef MORSEL_HAS_PCRE2
#include "morsel/tokenizer/pcre2.hpp"
#endif

namespace cli {

inline morsel::TokenizerOptions tokenizer_options() {
    morsel::TokenizerOptions options;
#ifdef MORSEL_HAS_PCRE2
    options.regex = morsel::pcre2_regex();
#endif
    return options;
}

}  // namespace cli
