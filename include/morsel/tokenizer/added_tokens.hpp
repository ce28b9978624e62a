// Added tokens: strings that are cut out of the text before the model sees it, "<|end|>", "[MASK]" and the like.
// Two passes, as in Hugging Face tokenizers: tokens that are not `normalized` are looked for in the raw text, then, after
// normalization of what lies between, the normalized form of the others. Leftmost match, longest at that place. A `single_word`
// token inside a word is no match, and no shorter token is tried there; `lstrip` and `rstrip` swallow neighbouring white space.
#pragma once
#include <algorithm>
#include <array>
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

// Finds the longest of many strings at a place: a trie over bytes. Finding all matches of a text costs at most O(length · longest
// pattern), in practice one table look-up a byte.
class PatternTrie {
  public:
    void add(std::string_view pattern, std::uint32_t value) {
        if (pattern.empty()) return;
        begins_[static_cast<unsigned char>(pattern[0])] = true;
        std::uint32_t node = 0;
        for (const char c : pattern) {
            const std::uint64_t edge = pack_pair(node, static_cast<unsigned char>(c));
            const std::uint32_t* next = children_.find(edge);
            if (next != nullptr) {
                node = *next;
            } else {
                node = static_cast<std::uint32_t>(values_.size());
                values_.push_back(none);
                children_.set(edge, node);
            }
        }
        values_[node] = value;
    }

    bool empty() const noexcept { return values_.size() == 1; }

    struct Match {
        std::size_t begin, end;
        std::uint32_t value;
    };

    // The next match at or after `from`.
    std::optional<Match> find(std::string_view text, std::size_t from) const noexcept {
        if (empty()) return std::nullopt;
        for (std::size_t begin = from; begin < text.size(); ++begin) {
            if (!begins_[static_cast<unsigned char>(text[begin])]) continue;
            if (const auto longest = match_at(text, begin)) return longest;
        }
        return std::nullopt;
    }

    // Bytes of the longest pattern that begins at `begin`; 0 where none does.
    std::size_t longest_at(std::string_view text, std::size_t begin) const noexcept {
        if (begin >= text.size() || !begins_[static_cast<unsigned char>(text[begin])]) return 0;
        const auto match = match_at(text, begin);
        return match ? match->end - begin : 0;
    }

    // f(end, value) for every pattern that begins at `begin`, the shortest first.
    template <class F> void for_each_at(std::string_view text, std::size_t begin, F&& f) const {
        std::uint32_t node = 0;
        for (std::size_t at = begin; at < text.size(); ++at) {
            const std::uint32_t* next = children_.find(pack_pair(node, static_cast<unsigned char>(text[at])));
            if (next == nullptr) break;
            node = *next;
            if (values_[node] != none) f(at + 1, values_[node]);
        }
    }

  private:
    std::optional<Match> match_at(std::string_view text, std::size_t begin) const noexcept {
        std::optional<Match> longest;
        for_each_at(text, begin, [&](std::size_t end, std::uint32_t value) { longest = Match{begin, end, value}; });
        return longest;
    }

    static constexpr std::uint32_t none = 0xffffffffu;
    std::array<bool, 256> begins_ = {};
    FlatMap<std::uint32_t> children_;                // (node, byte) → node
    std::vector<std::uint32_t> values_ = {none};     // of each node
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
        std::size_t done = 0;  // everything before is in a split
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
                    if (!unicode::is_white_space(unicode::decode(text, start).value)) break;
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
            if (done < begin) splits.push_back({nullptr, done, begin});
            splits.push_back({&token, begin, end});
            done = end;
        }
        if (done != text.size()) splits.push_back({nullptr, done, text.size()});
        return splits;
    }

    std::vector<AddedToken> tokens_;
    std::vector<std::string> texts_;        // [tokens_.size()] what is looked for and shown; since `finish`
    StringMap index_;                       // content → index
    FlatMap<std::uint32_t> by_id_;          // id → index
    std::unordered_set<std::string> special_;
    PatternTrie raw_, normalized_;
};

}  // namespace morsel
