// A text decoded token by token; every part of it must be UTF-8 by itself.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "morsel/tokenizer/tokenizer.hpp"
#include "morsel/unicode/utf8.hpp"
#include "support/catch.hpp"

namespace morsel_test {

inline std::string streamed(const morsel::Tokenizer& tokenizer, const std::vector<morsel::TokenId>& ids, bool skip_special_tokens) {
    morsel::StreamDecoder decoder(tokenizer, skip_special_tokens);
    std::string text;
    for (const morsel::TokenId id : ids) {
        const std::string_view part = decoder.push(id);
        if (!morsel::unicode::is_valid_utf8(part)) FAIL("a part of the stream is not UTF-8");
        text += part;
    }
    return text += decoder.flush();
}

}  // namespace morsel_test
