#include "support/load_tokenizer.hpp"

#include "morsel/tokenizer/from_pretrained.hpp"

morsel::Tokenizer morsel_test::load_tokenizer(const std::filesystem::path& path, const morsel::TokenizerOptions& options) {
    return morsel::Tokenizer::from_pretrained(path, options);
}
