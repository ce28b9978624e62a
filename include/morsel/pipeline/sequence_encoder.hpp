// Texts to token sequences as an encoder wants them: cut to a length, special tokens kept around what is left. Here the tokenizer
// meets the encoder; they share nothing but ids.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/streaming/incremental_encoder.hpp"
#include "morsel/tokenizer/tokenizer.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct SequenceOptions {
    std::size_t max_length = 512;      // tokens, special ones included; longer texts are cut on the right
    std::size_t max_characters = 0;    // what lies behind so many code points is not looked at; 0: no limit
    bool special_tokens = true;        // what the post-processor adds
    bool lower_case = false;           // of the text, before the tokenizer
};

class SequenceEncoder {
  public:
    // Throws Error where max_length has no room for a token.
    SequenceEncoder(std::shared_ptr<const Tokenizer> tokenizer, const SequenceOptions& options) : tokenizer_(std::move(tokenizer)), options_(options) {
        AddedIds added = added_ids(tokenizer_->parts(), {.add_special_tokens = options_.special_tokens});
        before_ = std::move(added.before), after_ = std::move(added.behind);
        if (options_.max_length <= before_.size() + after_.size())
            throw Error("no room for a token beside the special ones", {.key = "max_seq_length", .expected = "at least " + std::to_string(before_.size() + after_.size() + 1), .found = std::to_string(options_.max_length)});
    }

    // The ids of prompt and text.
    std::vector<TokenId> encode(std::string_view text, std::string_view prompt = {}) const {
        std::string changed;
        if (!prompt.empty() || options_.lower_case) {
            changed = std::string(prompt) + std::string(text);
            if (options_.lower_case) changed = lowered(changed);
            text = changed;
        }
        if (options_.max_characters > 0 && text.size() > options_.max_characters) {
            std::size_t end = 0;
            for (std::size_t n = 0; n < options_.max_characters && end < text.size(); ++n) unicode::next_code_point(text, end);
            text = text.substr(0, end);
        }
        const std::size_t room = options_.max_length - before_.size() - after_.size();
        const std::vector<TokenId> inner = plain_ids(text, room);
        std::vector<TokenId> ids = before_;
        ids.insert(ids.end(), inner.begin(), inner.begin() + static_cast<std::ptrdiff_t>(std::min(inner.size(), room)));
        ids.insert(ids.end(), after_.begin(), after_.end());
        return ids;
    }

    // How many tokens at the start of a sequence belong to the prompt, as sentence_transformers counts them: those of the prompt
    // alone, without a special token at its end.
    std::size_t prompt_length(std::string_view prompt) const {
        if (prompt.empty()) return 0;
        const std::vector<TokenId> ids = encode(prompt);
        return ids.size() - (!ids.empty() && tokenizer_->is_special(ids.back()) ? 1 : 0);
    }

    const Tokenizer& tokenizer() const noexcept { return *tokenizer_; }
    std::size_t max_length() const noexcept { return options_.max_length; }

  private:
    // At least the first `room` ids of the text, where it has so many; nothing added.
    std::vector<TokenId> plain_ids(std::string_view text, std::size_t room) const {
        constexpr std::size_t section = std::size_t{1} << 13;  // bytes
        EncodeOptions options;
        options.add_special_tokens = false;
        if (text.size() <= 2 * section) return tokenizer_->encode_ids(text, options);
        // What lies far behind the cut of a long text is not encoded.
        std::vector<TokenId> ids;
        SectionEncoder encoder(*tokenizer_);
        for (; !text.empty() && ids.size() < room; text.remove_prefix(std::min(text.size(), section))) {
            encoder.append(text.substr(0, section));
            encoder.settle(ids);
        }
        if (ids.size() < room) encoder.encode_rest(ids);
        return ids;
    }

    static std::string lowered(std::string_view text) {
        std::string out;
        for (std::size_t i = 0; i < text.size();) {
            const unicode::LowerCase lower = unicode::lower(unicode::next_code_point(text, i));
            unicode::append(out, lower.first);
            if (lower.second != 0) unicode::append(out, lower.second);
        }
        return out;
    }

    std::shared_ptr<const Tokenizer> tokenizer_;
    SequenceOptions options_;
    std::vector<TokenId> before_, after_;  // special tokens around every text
};

}  // namespace morsel
