// How many tokens a text has, whether it has more than so many, and how much of it so many tokens hold: for budgets of a context window.
// A long text is encoded section by section (stable_cuts.hpp), and of a section only the number of ids is kept; what lies beyond a limit
// is not encoded at all.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/streaming/incremental_encoder.hpp"
#include "morsel/tokenizer/streaming/stable_cuts.hpp"
#include "morsel/tokenizer/tokenizer.hpp"

namespace morsel {

// The number of ids that encode(text, options) gives, or nothing where it is more than `limit`. Throws Error as encode does; text behind the
// limit is not looked at.
inline std::optional<std::size_t> count_tokens_up_to(const Tokenizer& tokenizer, std::string_view text, std::size_t limit, const EncodeOptions& options = {}) {
    constexpr std::size_t section_bytes = std::size_t{1} << 14;
    const auto within = [&](std::size_t count) { return count <= limit ? std::optional(count) : std::nullopt; };
    if (options.text_pair || options.truncation || options.padding || options.dropout || text.size() <= section_bytes) return within(tokenizer.encode_ids(text, options).size());
    const AddedIds added = added_ids(tokenizer.parts(), options);
    SectionEncoder encoder(tokenizer, options.special_tokens_in_text);
    std::vector<TokenId> ids;
    std::size_t count = added.before.size() + added.behind.size();
    for (; !text.empty() && count <= limit; text.remove_prefix(std::min(text.size(), section_bytes))) {
        encoder.append(text.substr(0, section_bytes));
        encoder.settle(ids);
        count += ids.size();
        ids.clear();
    }
    if (count > limit) return std::nullopt;
    encoder.encode_rest(ids);
    return within(count + ids.size());
}

// The number of ids that encode(text, options) gives. Throws Error as encode does.
inline std::size_t count_tokens(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options = {}) {
    return *count_tokens_up_to(tokenizer, text, static_cast<std::size_t>(-1), options);
}

// How many bytes of the text to keep so that they encode to at most `max_tokens` tokens, those that the post-processor adds included: all of
// them where they fit, else up to the end of a token of encode(text) that is the end of a character, with no later token beginning before it.
// Of these ends it is the last within the first max_tokens tokens whose bytes, encoded by themselves, keep the limit; where that is not so
// (it is for BPE) 1, 3, 7 ... tokens less are tried. Throws Error where max_tokens has no room for the added tokens.
inline std::size_t truncate_to_tokens(const Tokenizer& tokenizer, std::string_view text, std::size_t max_tokens, const EncodeOptions& options = {}) {
    if (options.text_pair || options.truncation || options.padding || options.dropout)
        throw Error("one text can be cut to a number of tokens, without truncation, padding and dropout", {.key = "options"});
    const AddedIds added = added_ids(tokenizer.parts(), options);
    const std::size_t specials = added.before.size() + added.behind.size();
    if (specials > max_tokens) throw Error("no room for the special tokens", {.key = "max_tokens", .expected = "at least " + std::to_string(specials), .found = std::to_string(max_tokens)});
    const std::size_t room = max_tokens - specials;
    EncodeOptions plain = options;
    plain.add_special_tokens = false;

    // The first part of the text that holds more than enough tokens and encodes as it does in the whole; without such, the whole.
    std::size_t known = text.size();
    const StableCuts cuts(tokenizer.parts());
    for (std::size_t size = std::max<std::size_t>(room, 256) * 8; cuts.possible() && size < text.size(); size *= 2) {
        const auto cut = cuts.last(text, size / 2, size);
        if (!cut || count_tokens_up_to(tokenizer, text.substr(0, *cut), room, plain)) continue;
        known = *cut;
        break;
    }
    if (known == text.size() && count_tokens_up_to(tokenizer, text, room, plain)) return text.size();
    const Encoding encoding = tokenizer.encode(text.substr(0, known), plain);
    const std::size_t n = encoding.size();
    std::vector<std::size_t> next_begin(n + 1, known);  // [i] the first byte of tokens i and later
    for (std::size_t i = n; i-- > 0;) next_begin[i] = std::min(next_begin[i + 1], encoding.offsets[i].begin);
    std::vector<std::size_t> end(n + 1, 0);             // [i] the last byte of tokens before i
    for (std::size_t i = 0; i < n; ++i) end[i + 1] = std::max(end[i], encoding.offsets[i].end);

    for (std::size_t tokens = std::min(room, n), step = 1;; step *= 2) {
        while (tokens > 0 && end[tokens] > next_begin[tokens]) --tokens;
        if (tokens == 0) return 0;
        if (count_tokens_up_to(tokenizer, text.substr(0, end[tokens]), room, plain)) return end[tokens];
        tokens -= std::min(tokens, step);
    }
}

}  // namespace morsel
