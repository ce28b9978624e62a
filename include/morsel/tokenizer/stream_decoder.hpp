// Decoding as ids arrive, for showing text while it is generated: every call gives the text that no later id can change, always
// whole characters. All calls together give what Tokenizer::decode gives for the whole list.
#pragma once
#include <string_view>

#include "morsel/tokenizer/decoding/decoder_stream.hpp"
#include "morsel/tokenizer/tokenizer.hpp"

namespace morsel {

// One stream of ids; the tokenizer must outlive it. clean_up_tokenization_spaces does not apply here: it rewrites text that has
// already been shown.
class StreamDecoder {
  public:
    explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = false)
        : tokenizer_(&tokenizer), stream_(tokenizer.parts().decoders), skip_special_tokens_(skip_special_tokens) {}

    // New text, perhaps none. Valid until the next call.
    std::string_view push(TokenId id) {
        const auto token = tokenizer_->decoder_token(id, skip_special_tokens_);
        return token ? stream_.push(*token) : std::string_view();
    }
    // What is left at the end; an unfinished character shows as U+FFFD. The decoder can then begin anew.
    std::string_view flush() { return stream_.flush(); }

  private:
    const Tokenizer* tokenizer_;
    DecoderStream stream_;
    bool skip_special_tokens_;
};

}  // namespace morsel
