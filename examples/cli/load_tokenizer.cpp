#include "load_tokenizer.hpp"

#include "morsel/tokenizer/from_pretrained.hpp"
#ifdef MORSEL_HAS_PCRE2
#include "morsel/tokenizer/pcre2.hpp"
#endif

namespace cli {

morsel::TokenizerOptions tokenizer_options(const std::string& encoding) {
    morsel::TokenizerOptions options;
    options.tiktoken.encoding = encoding;
#ifdef MORSEL_HAS_PCRE2
    options.regex = morsel::pcre2_regex();
#endif
    return options;
}

morsel::Tokenizer load_tokenizer(const std::string& path, const std::string& encoding) {
    return morsel::Tokenizer::from_pretrained(path, tokenizer_options(encoding));
}

}  // namespace cli
