// The words of a corpus as symbols, and the first ids of a vocabulary: special tokens, then the alphabet by code point, then decorated
// characters (with prefix, suffix or both). The state that every trainer of subwords begins with.
// As Hugging Face's BpeTrainer, but where that depends on chance: characters of equal count at the cut of limit_alphabet go by code
// point, the lower stays; decorated characters get ids by (code point, form) instead of in the order of a hash table.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/flat_map.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"
#include "morsel/training/bpe_options.hpp"
#include "morsel/training/word_counts.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

// Tokens by id, and back.
class TokenList {
  public:
    // The id of that token, a new one where it is not there.
    TokenId id(std::string_view token) {
        if (const auto known = ids_.find(token)) return *known;
        if (tokens_.size() >= std::numeric_limits<TokenId>::max()) throw Error("too many tokens");
        ids_.set(token, static_cast<TokenId>(tokens_.size()));
        tokens_.emplace_back(token);
        return static_cast<TokenId>(tokens_.size() - 1);
    }
    std::optional<TokenId> find(std::string_view token) const { return ids_.find(token); }
    bool contains(std::string_view token) const { return find(token).has_value(); }
    std::size_t size() const noexcept { return tokens_.size(); }
    const std::string& operator[](TokenId id) const noexcept { return tokens_[id]; }
    std::vector<std::string> take() { return std::move(tokens_); }

  private:
    StringMap ids_;
    std::vector<std::string> tokens_;
};

// Words of at least two symbols, one after another.
struct TrainingWords {
    TokenList tokens = {};
    std::vector<std::uint32_t> lengths = {};     // [token] characters; 0 for special tokens that no text has
    std::vector<TokenId> symbols = {};           // of all words
    std::vector<std::uint64_t> begins = {};      // [words + 1] in `symbols`
    std::vector<std::int64_t> counts = {};       // [words]
    std::size_t size() const noexcept { return counts.size(); }
};

namespace detail {

// f(character, is_first, is_last) for every symbol of a word.
template <class F> void for_each_symbol(std::string_view word, bool bytes, F&& f) {
    for (std::size_t i = 0; i < word.size();) {
        const bool first = i == 0;
        const char32_t c = bytes ? byte_to_character[static_cast<unsigned char>(word[i++])] : unicode::next_code_point(word, i);
        f(c, first, i >= word.size());
    }
}

// Throws Error where a token is there twice.
inline void check_distinct(std::span<const std::string> tokens) {
    StringMap known;
    for (const std::string& token : tokens) {
        if (known.find(token)) throw Error("a token is there twice", {.found = token});
        known.set(token, 0);
    }
}

inline std::string utf8_of(char32_t c) {
    std::string text;
    unicode::append(text, c);
    return text;
}

}  // namespace detail

// Words of fewer occurrences than `min_word_count` are left out. `first_tokens` come first, and their characters belong to the alphabet. Throws Error on counts whose sum does not fit 62 bits.
inline TrainingWords training_words(const WordCounts& counts, const BpeTrainerOptions& options, std::uint64_t min_word_count = 0,
                                    std::span<const std::string> first_tokens = {}) {
    constexpr std::uint64_t always = std::numeric_limits<std::uint64_t>::max();
    TrainingWords out;
    for (const auto& token : first_tokens) out.tokens.id(token);
    for (const auto& token : options.special_tokens) out.tokens.id(token);

    std::vector<std::uint64_t> occurrences;  // by code point, up to the highest
    const auto occurrences_of = [&](char32_t c) -> std::uint64_t& {
        if (c >= occurrences.size()) occurrences.resize(c + 1);
        return occurrences[c];
    };
    std::uint64_t total = 0;
    std::size_t symbols = 0;
    counts.for_each([&](std::string_view word, std::uint64_t count) {
        if (count < min_word_count) return;
        detail::for_each_symbol(word, counts.are_bytes(), [&](char32_t c, bool, bool) {
            ++symbols;
            occurrences_of(c) += count;
            if (count > (std::uint64_t{1} << 62) - total) throw Error("word counts are too large to add up", {.expected = "less than 2^62 characters in all"});
            total += count;
        });
    });
    for (const char32_t c : options.initial_alphabet) occurrences_of(c) = always;
    std::vector<char32_t> alphabet;
    for (char32_t c = 0; c < occurrences.size(); ++c)
        if (occurrences[c] > 0) alphabet.push_back(c);
    if (options.limit_alphabet && alphabet.size() > *options.limit_alphabet) {
        std::stable_sort(alphabet.begin(), alphabet.end(), [&](char32_t a, char32_t b) { return occurrences[a] > occurrences[b]; });
        alphabet.resize(*options.limit_alphabet);
        std::sort(alphabet.begin(), alphabet.end());
    }
    for (const char32_t c : alphabet) out.tokens.id(detail::utf8_of(c));

    // Characters without a token are dropped from words. [form] 1: prefixed, 2: suffixed, 3: both.
    constexpr TokenId none = std::numeric_limits<TokenId>::max();
    struct Forms {
        TokenId id[4] = {none, none, none, none};
        bool seen[4] = {};
        bool known = false;
    };
    std::unordered_map<char32_t, Forms> forms;
    for (char32_t c = 0; c < occurrences.size(); ++c)
        if (occurrences[c] > 0 && out.tokens.contains(detail::utf8_of(c))) forms[c].known = true;
    const bool prefixes = !options.continuing_subword_prefix.empty(), suffixes = !options.end_of_word_suffix.empty();
    const auto form_of = [&](bool first, bool last) { return static_cast<std::size_t>((prefixes && !first ? 1 : 0) + (suffixes && last ? 2 : 0)); };
    if (prefixes || suffixes)
        counts.for_each([&](std::string_view word, std::uint64_t count) {
            if (count < min_word_count) return;
            detail::for_each_symbol(word, counts.are_bytes(), [&](char32_t c, bool first, bool last) { forms[c].seen[form_of(first, last)] = true; });
        });
    std::vector<char32_t> known;
    for (const auto& [c, form] : forms)
        if (form.known) known.push_back(c);
    std::sort(known.begin(), known.end());
    for (const char32_t c : known) {
        Forms& of = forms[c];
        const std::string text = detail::utf8_of(c);
        for (std::size_t form = 0; form < 4; ++form)
            if (form == 0 || of.seen[form])
                of.id[form] = out.tokens.id((form & 1 ? options.continuing_subword_prefix : "") + text + (form & 2 ? options.end_of_word_suffix : ""));
    }
    out.lengths.resize(out.tokens.size());
    for (const char32_t c : known)
        for (const TokenId id : forms[c].id)
            if (id != none) out.lengths[id] = 1;

    std::vector<Forms> low(0x180);  // the characters of bytes and ASCII, without hashing
    for (const char32_t c : known)
        if (c < low.size()) low[c] = forms[c];
    out.symbols.reserve(symbols);
    out.begins.reserve(counts.size() + 1);
    out.counts.reserve(counts.size());
    out.begins.push_back(0);
    counts.for_each([&](std::string_view word, std::uint64_t count) {
        if (count < min_word_count) return;
        const std::size_t begin = out.symbols.size();
        detail::for_each_symbol(word, counts.are_bytes(), [&](char32_t c, bool first, bool last) {
            const TokenId id = c < low.size() ? low[c].id[form_of(first, last)] : forms.at(c).id[form_of(first, last)];
            if (id != none) out.symbols.push_back(id);
        });
        if (out.symbols.size() - begin < 2 && !suffixes && !prefixes) return out.symbols.resize(begin);
        out.begins.push_back(out.symbols.size());
        out.counts.push_back(static_cast<std::int64_t>(count));
    });
    return out;
}

namespace detail {

// For the plain trainers, which recount after every merge: each word's symbols by themselves.
inline std::vector<std::vector<TokenId>> symbols_of_words(const TrainingWords& words) {
    std::vector<std::vector<TokenId>> symbols;
    for (std::size_t w = 0; w < words.size(); ++w)
        symbols.emplace_back(words.symbols.begin() + static_cast<std::ptrdiff_t>(words.begins[w]), words.symbols.begin() + static_cast<std::ptrdiff_t>(words.begins[w + 1]));
    return symbols;
}

// Writes `id` in place of every pair, the leftmost of overlapping ones.
inline void replace_pair(std::vector<std::vector<TokenId>>& symbols, TokenId left, TokenId right, TokenId id) {
    for (auto& word : symbols) {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < word.size(); ++kept) {
            const bool here = i + 1 < word.size() && word[i] == left && word[i + 1] == right;
            word[kept] = here ? id : word[i];
            i += here ? 2 : 1;
        }
        word.resize(kept);
    }
}

}  // namespace detail

}  // namespace morsel
