// Added tokens: strings that are cut out of the text before the model sees it, "<|end|>", "[MASK]" and the like.
// Two passes, as in Hugging Face tokenizers: tokens that are not `normalized` are looked for in the raw text, then, after
// normalization of what lies between, the normalized form of the others. Leftmost match, longest at that place. A `single_word`
// token inside a word is no match, and no shorter token is tried there; `lstrip` and `rstrip` swallow neighbouring white space.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/core/flat_map.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/tokenizer/text/pattern_trie.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct AddedToken {
    std::string content = {};
    TokenId id = 0;
    bool single_word = false;
    bool lstrip = false, rstrip = false;
    bool normalized = false;
    bool special = false;  // left out of decoded text on request
};

// A stretch of text that is an added token, or that is left for the next step.
struct AddedSplit {
    const AddedToken* token = nullptr;  // null: ordinary text
    std::size_t begin = 0, end = 0;     // bytes
};

class AddedTokens {
  public:
    // Adds a token and gives it its id: that of the same string in the vocabulary where it is there, else the next free one after
    // vocabulary and added tokens (the reference ignores the id that a tokenizer.json names), or the `given` one. Empty tokens
    // are ignored.
    void add(AddedToken token, const Vocabulary& vocabulary, std::optional<TokenId> given = std::nullopt) {
        if (token.content.empty()) return;
        if (token.special) special_.insert(token.content);
        const std::size_t known = index_of(token.content);
        if (given) {
            token.id = *given;
        } else if (known != none) {
            token.id = tokens_[known].id;
        } else if (const auto id = vocabulary.id(token.content)) {
            token.id = *id;
        } else {
            std::uint64_t next = vocabulary.size();
            for (const AddedToken& t : tokens_) next = std::max(next, vocabulary.size() == 0 || t.id >= vocabulary.size() ? std::uint64_t{t.id} + 1 : 0);
            if (next > 0xffffffffu) throw Error("no token id is left", {.key = "added_tokens"});
            token.id = static_cast<TokenId>(next);
        }
        if (known != none) {
            tokens_[known] = std::move(token);
        } else {
            index_.set(token.content, static_cast<std::uint32_t>(tokens_.size()));
            tokens_.push_back(std::move(token));
        }
    }

    // To be called after the last `add`. `normalize` gives the normalized form of a string.
    template <class Normalize> void finish(Normalize&& normalize) {
        raw_ = {}, normalized_ = {}, texts_.clear();
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            const AddedToken& token = tokens_[i];
            by_id_.set(token.id, static_cast<std::uint32_t>(i));
            texts_.push_back(token.normalized ? normalize(token.content) : token.content);
            longest_ = std::max(longest_, texts_.back().size());
            (token.normalized ? normalized_ : raw_).add(texts_.back(), static_cast<std::uint32_t>(i));
        }
    }

    const std::vector<AddedToken>& tokens() const noexcept { return tokens_; }
    std::optional<TokenId> id(std::string_view content) const noexcept {
        const std::size_t i = index_of(content);
        return i == none ? std::nullopt : std::optional(tokens_[i].id);
    }
    // The token of that id, or null.
    const AddedToken* find(TokenId id) const noexcept {
        const std::uint32_t* i = by_id_.find(id);
        return i == nullptr ? nullptr : &tokens_[*i];
    }
    // What the id of a token is shown and decoded as, of a `normalized` one the normalized string, as in the reference; nothing where
    // the id is no added token.
    std::optional<std::string_view> text(TokenId id) const noexcept {
        const std::uint32_t* i = by_id_.find(id);
        return i == nullptr ? std::nullopt : std::optional<std::string_view>(texts_[*i]);
    }
    bool is_special(std::string_view content) const { return special_.contains(std::string(content)); }

    // Cuts raw text, or normalized text, at the tokens of that kind. `parse_special` false leaves special tokens in the text.
    std::vector<AddedSplit> split_raw(std::string_view text, bool parse_special = true) const { return split(raw_, text, parse_special); }
    std::vector<AddedSplit> split_normalized(std::string_view text, bool parse_special = true) const { return split(normalized_, text, parse_special); }
    // The same one by one: f(AddedSplit) gives false to stop, and so does this then.
    template <class F> bool for_each_raw(std::string_view text, bool parse_special, F&& f) const { return for_each(raw_, text, parse_special, f); }
    template <class F> bool for_each_normalized(std::string_view text, bool parse_special, F&& f) const { return for_each(normalized_, text, parse_special, f); }

    // Bytes of the longest string that is looked for.
    std::size_t longest() const noexcept { return longest_; }
    // Whether such a string covers or touches byte `cut` of a text, or begins one byte behind it. Says so of some that splitting would not
    // find; never the other way round.
    bool touches(std::string_view text, std::size_t cut) const noexcept {
        for (std::size_t begin = cut > longest_ ? cut - longest_ : 0; begin < cut + 2 && longest_ > 0; ++begin)
            for (const PatternTrie* trie : {&raw_, &normalized_})
                if (const std::size_t length = trie->longest_at(text, begin); length > 0 && begin + length >= cut) return true;
        return false;
    }

  private:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::size_t index_of(std::string_view content) const noexcept {
        const auto found = index_.find(content);
        return found ? *found : none;
    }

    static bool ends_with_word(std::string_view text) {
        return !text.empty() && unicode::is_word(unicode::decode(text, unicode::previous_start(text, text.size())).value);
    }
    static bool begins_with_word(std::string_view text) { return !text.empty() && unicode::is_word(unicode::decode(text, 0).value); }

    std::vector<AddedSplit> split(const PatternTrie& trie, std::string_view text, bool parse_special) const {
        std::vector<AddedSplit> splits;
        for_each(trie, text, parse_special, [&](const AddedSplit& split) { return splits.push_back(split), true; });
        return splits;
    }

    template <class F> bool for_each(const PatternTrie& trie, std::string_view text, bool parse_special, F&& f) const {
        std::size_t done = 0;  // everything before is done
        for (std::size_t from = 0;;) {
            const auto match = trie.find(text, from);
            if (!match) break;
            from = match->end;
            const AddedToken& token = tokens_[match->value];
            std::size_t begin = match->begin, end = match->end;
            if (!parse_special && token.special) continue;
            if (token.single_word && (ends_with_word(text.substr(0, begin)) || begins_with_word(text.substr(end)))) continue;
            if (token.lstrip) {
                // Not before `done`: what an earlier token has swallowed stays with that token.
                while (begin > done) {
                    const std::size_t start = unicode::previous_start(text, begin);
                    const auto point = unicode::decode(text, start);
                    if (start + point.size != begin || !unicode::is_white_space(point.value)) break;  // a stray tail is no part of a space
                    begin = start;
                }
                begin = std::max(begin, done);
            }
            if (token.rstrip) {
                while (end < text.size()) {
                    const auto point = unicode::decode(text, end);
                    if (!unicode::is_white_space(point.value)) break;
                    end += point.size;
                }
            }
            if (done < begin && !f(AddedSplit{nullptr, done, begin})) return false;
            if (!f(AddedSplit{&token, begin, end})) return false;
            done = end;
        }
        return done == text.size() || f(AddedSplit{nullptr, done, text.size()});
    }

    std::vector<AddedToken> tokens_;
    std::vector<std::string> texts_;        // [tokens_.size()] what is looked for and shown; since `finish`
    StringMap index_;                       // content → index
    FlatMap<std::uint32_t> by_id_;          // id → index
    std::unordered_set<std::string> special_;
    PatternTrie raw_, normalized_;
    std::size_t longest_ = 0;               // bytes
};

}  // namespace morsel
