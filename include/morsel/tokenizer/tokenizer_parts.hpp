// All that makes up a tokenizer, as plain values: what the loaders fill in and Tokenizer works with.
#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "morsel/tokenizer/added_tokens.hpp"
#include "morsel/tokenizer/decoding/decoders.hpp"
#include "morsel/tokenizer/models/model.hpp"
#include "morsel/tokenizer/padding.hpp"
#include "morsel/tokenizer/post_processors.hpp"
#include "morsel/tokenizer/splitting/pre_tokenizers.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"
#include "morsel/tokenizer/truncation.hpp"

namespace morsel {

// The strings of the tokens with a role; nothing where the tokenizer has none.
struct SpecialTokens {
    std::optional<std::string> bos = {}, eos = {}, unk = {}, sep = {}, pad = {}, cls = {}, mask = {};
};

struct TokenizerParts {
    TokenizationModel model = {};
    AddedTokens added_tokens = {};
    std::optional<Normalizer> normalizer = {};
    std::optional<PreTokenizer> pre_tokenizer = {};
    PostProcessors post_processors = {};
    Decoders decoders = {};
    // Texts of ids that decoding shows as something else than their token (SentencePiece's control and unknown tokens).
    std::unordered_map<TokenId, std::string> decoded_as = {};
    std::optional<Truncation> truncation = {};  // as the file says; applied only where EncodeOptions ask for it
    std::optional<Padding> padding = {};        // likewise
    SpecialTokens special_tokens = {};
    std::string chat_template = {};             // Jinja source; empty: none
    std::optional<std::size_t> model_max_length = {};  // tokens
    bool clean_up_tokenization_spaces = false;  // the model's wish; see DecodeOptions
};

// What a .tiktoken file does not say.
struct TiktokenOptions {
    std::string encoding = {};  // "cl100k_base", "o200k_base", "llama3", … ; empty: the name of the file
    std::string pattern = {};   // a split pattern instead of the encoding's; then there are no special tokens but these:
    std::vector<std::pair<std::string, TokenId>> special_tokens = {};  // instead of the encoding's
};

// What a caller can say when loading.
struct TokenizerOptions {
    // What each thread that encodes may remember of words it has met, in bytes; at least 1 MiB. It makes encoding fast, and is filled by
    // use alone.
    std::size_t cache_bytes = std::size_t{64} << 20;
    // Engine for split patterns that no built-in scanner knows; morsel/tokenizer/pcre2.hpp offers one. Empty: such a file is refused.
    RegexCompiler regex = {};
    // For vocab.txt: lower-case the text. Default: tokenizer_config.json, else whether no ordinary token has a capital letter.
    std::optional<bool> do_lower_case = {};
    TiktokenOptions tiktoken = {};
};

}  // namespace morsel
