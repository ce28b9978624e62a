// Byte-pair encoding (Sennrich, Haddow, Birch 2016), as Hugging Face tokenizers apply it: a pre-token is cut into characters,
// then the adjacent pair of lowest rank is merged, the leftmost first, until no adjacent pair is in the merge table.
// Options follow tokenizer.json: unk_token, fuse_unk, byte_fallback (all bytes of a character or none), ignore_merges,
// continuing_subword_prefix, end_of_word_suffix. Dropout (Provilkov, Emelianenko, Voita 2020) where the caller asks for it: the reference
// applies a file's dropout to whatever it encodes, and no two runs agree; here the file's value is only the default probability.
//
// A short word is scanned for its best pair after every merge (quadratic, but a few dozen symbols sit in one cache line or two);
// a long one, which for SentencePiece-style models is the whole text, keeps its candidates in a heap: O(n log n).
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/flat_map.hpp"
#include "morsel/core/philox.hpp"
#include "morsel/tokenizer/models/model_token.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct Merge {
    std::uint32_t rank = 0;  // place in the list of merges; lower goes first
    TokenId id = 0;          // what the pair becomes
};

struct Bpe {
    Vocabulary vocabulary = {};
    FlatMap<Merge> merges = FlatMap<Merge>();  // pack_pair(left id, right id) → merge
    std::optional<std::string> unk_token = {};
    std::string continuing_subword_prefix = {};  // put before every character but a word's first
    std::string end_of_word_suffix = {};         // put behind a word's last character
    bool fuse_unk = false;                       // one unknown token for neighbouring unknown characters
    bool byte_fallback = false;                  // an unknown character becomes its bytes <0xHH>, where all of them are tokens
    double dropout = 0;                          // as the file says; see BpeDropout
    bool ignore_merges = false;                  // a pre-token that is in the vocabulary is that token
    std::array<std::optional<TokenId>, 256> byte_tokens = {};  // of <0x00> … <0xFF>
    TokenId last_result = 0;                     // of add_merge: a guess of the next
};

// Merges left out at random: each time one is about to be made it is put off with this probability, until another one has been made.
// The same seed gives the same tokens for the same text.
struct BpeDropout {
    std::optional<double> probability = {};  // in [0, 1]; nothing: the model's own
    std::uint64_t seed = 0;
};

// Two tokens that merge, as strings.
struct MergeRule {
    std::string_view left, right;
};

// Adds merge number `rank` of two tokens, whose ids are given. Throws Error where a part or the result is no token, or the right part is
// shorter than the prefix.
inline void add_merge(Bpe& model, MergeRule rule, std::optional<TokenId> left, std::optional<TokenId> right, std::uint32_t rank) {
    const auto known = [&](std::optional<TokenId> id, std::string_view token, std::string_view what) {
        if (!id) throw Error(std::string(what) + " is not in the vocabulary", {.found = "'" + std::string(token.substr(0, 60)) + "'"});
        return *id;
    };
    const std::uint64_t pair = pack_pair(known(left, rule.left, "part of a merge"), known(right, rule.right, "part of a merge"));
    if (rule.right.size() < model.continuing_subword_prefix.size())
        throw Error("part of a merge is shorter than continuing_subword_prefix", {.found = "'" + std::string(rule.right) + "'"});
    const std::string_view behind = rule.right.substr(model.continuing_subword_prefix.size());
    // A trainer numbers the results in the order of its merges, so this one's is mostly the next id, or the same again.
    const auto is_result = [&](TokenId id) {
        const auto token = model.vocabulary.token(id);
        return token && token->size() == rule.left.size() + behind.size() && token->starts_with(rule.left) && token->ends_with(behind);
    };
    TokenId result = model.last_result + 1;
    if (!is_result(result) && !is_result(--result)) {
        const std::string token = std::string(rule.left) += behind;
        result = known(model.vocabulary.id(token), token, "result of a merge");
    }
    model.last_result = result;
    model.merges.set(pair, {rank, result});
}
inline void add_merge(Bpe& model, MergeRule rule, std::uint32_t rank) { add_merge(model, rule, model.vocabulary.id(rule.left), model.vocabulary.id(rule.right), rank); }

// Fills byte_tokens; to be called when the vocabulary is complete.
inline void find_byte_tokens(Bpe& model) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t b = 0; b < 256; ++b) {
        const char token[] = {'<', '0', 'x', digits[b / 16], digits[b % 16], '>'};
        model.byte_tokens[b] = model.vocabulary.id({token, sizeof token});
    }
}

namespace detail {

// The characters of a word as tokens, before any merge. Their places are counted from what is put out, as the reference does: a
// character that is dropped (no token, no unknown token) leaves no gap, so the ones behind it seem to stand further to the front.
inline void bpe_characters(const Bpe& model, std::string_view word, ModelTokens& out) {
    TokenId unknown_id = 0;
    std::size_t unknown_size = 0;  // bytes of a pending unknown token; 0: none is pending
    std::string affixed;
    std::size_t placed = 0;
    const auto put = [&](TokenId id, std::size_t size) {
        const std::size_t end = std::min(placed + size, word.size());  // bytes of an affix may be too many
        out.push_back({id, std::min(placed, end), end});
        placed += size;
    };
    for (std::size_t at = 0; at < word.size();) {
        const std::size_t size = unicode::decode(word, at).size, end = at + size;
        std::string_view character = word.substr(at, size);
        const bool prefixed = at > 0 && !model.continuing_subword_prefix.empty();
        const bool suffixed = end == word.size() && !model.end_of_word_suffix.empty();
        if (prefixed || suffixed) {
            affixed = prefixed ? model.continuing_subword_prefix : std::string();
            affixed += character;
            if (suffixed) affixed += model.end_of_word_suffix;
            character = affixed;
        }
        if (const auto id = model.vocabulary.id(character)) {
            if (unknown_size > 0) put(unknown_id, unknown_size);
            unknown_size = 0;
            put(*id, size);
        } else if (model.byte_fallback && std::all_of(character.begin(), character.end(), [&](char c) {
                       return model.byte_tokens[static_cast<unsigned char>(c)].has_value();
                   })) {
            // A pending unknown stays pending: the reference emits it behind these bytes, and so do we.
            for (const char byte : character) put(*model.byte_tokens[static_cast<unsigned char>(byte)], 1);
        } else if (model.unk_token) {
            if (unknown_size > 0 && model.fuse_unk) {
                unknown_size += size;
            } else {
                if (unknown_size > 0) put(unknown_id, unknown_size);
                const auto id = model.vocabulary.id(*model.unk_token);
                if (!id) throw Error("unk_token is not in the vocabulary", {.key = "model.unk_token", .found = *model.unk_token});
                unknown_id = *id, unknown_size = size;
            }
        }  // else: the character is dropped, and its neighbours may merge across the gap, as in the reference
        at = end;
    }
    if (unknown_size > 0) put(unknown_id, unknown_size);
}

// The definition, word for word; the reference of both functions below.
inline void bpe_merge_plain(const FlatMap<Merge>& merges, ModelTokens& symbols, std::size_t first) {
    for (;;) {
        const Merge* best = nullptr;
        std::size_t where = 0;
        for (std::size_t i = first; i + 1 < symbols.size(); ++i) {
            const Merge* merge = merges.find(pack_pair(symbols[i].id, symbols[i + 1].id));
            if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) best = merge, where = i;
        }
        if (best == nullptr) return;
        symbols[where] = {best->id, symbols[where].begin, symbols[where + 1].end};
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(where) + 1);
    }
}

// For words of at most `bpe_scan_limit` symbols: the same, with the ranks of all pairs kept and only two looked up per merge.
inline constexpr std::size_t bpe_scan_limit = 48;
inline void bpe_merge_scan(const FlatMap<Merge>& merges, ModelTokens& symbols, std::size_t first) {
    constexpr std::uint32_t no_rank = 0xffffffffu;
    std::array<Merge, bpe_scan_limit> pair;  // of symbols i and i + 1
    std::size_t count = symbols.size() - first;
    ModelToken* const s = symbols.data() + first;
    const auto look_up = [&](std::size_t i) {
        const Merge* merge = merges.find(pack_pair(s[i].id, s[i + 1].id));
        pair[i] = merge != nullptr ? *merge : Merge{no_rank, 0};
    };
    for (std::size_t i = 0; i + 1 < count; ++i) look_up(i);
    while (count > 1) {
        std::size_t where = 0;
        for (std::size_t i = 1; i + 1 < count; ++i)
            if (pair[i].rank < pair[where].rank) where = i;
        if (pair[where].rank == no_rank) break;
        s[where] = {pair[where].id, s[where].begin, s[where + 1].end};
        std::copy(s + where + 2, s + count, s + where + 1);
        std::copy(pair.begin() + static_cast<std::ptrdiff_t>(where) + 1, pair.begin() + static_cast<std::ptrdiff_t>(count) - 1,
                  pair.begin() + static_cast<std::ptrdiff_t>(where));
        --count;
        if (where > 0) look_up(where - 1);
        if (where + 1 < count) look_up(where);
    }
    symbols.resize(first + count);
}

// For long words: symbols in a doubly linked list, candidate pairs in a heap by (rank, position). An entry is stale when the pair
// at its position is no longer the one it was made for; it is then skipped. `leave_out`() tells for each entry whether dropout puts it off.
template <class LeaveOut> void bpe_merge_but(const FlatMap<Merge>& merges, ModelTokens& symbols, std::size_t first, LeaveOut&& leave_out) {
    constexpr std::size_t none = static_cast<std::size_t>(-1);
    struct Candidate {
        Merge merge;
        std::size_t left, right;  // symbols
        std::uint64_t pair;       // their ids when this was made
        bool operator>(const Candidate& o) const { return merge.rank != o.merge.rank ? merge.rank > o.merge.rank : left > o.left; }
    };
    struct Link {
        std::size_t previous, next;
    };
    const std::size_t count = symbols.size() - first;
    ModelToken* const s = symbols.data() + first;
    std::vector<Link> link(count);
    std::vector<bool> dead(count, false);
    std::vector<Candidate> initial;
    const auto candidate = [&](std::size_t left, std::size_t right) -> std::optional<Candidate> {
        const std::uint64_t pair = pack_pair(s[left].id, s[right].id);
        const Merge* merge = merges.find(pair);
        if (merge == nullptr) return std::nullopt;
        return Candidate{*merge, left, right, pair};
    };
    for (std::size_t i = 0; i < count; ++i) {
        link[i] = {i > 0 ? i - 1 : none, i + 1 < count ? i + 1 : none};
        if (i + 1 < count)
            if (const auto c = candidate(i, i + 1)) initial.push_back(*c);
    }
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>(), std::move(initial));
    std::vector<Candidate> put_off;
    while (!queue.empty()) {
        const Candidate top = queue.top();
        queue.pop();
        if (leave_out()) {
            put_off.push_back(top);
            continue;
        }
        for (const Candidate& c : put_off) queue.push(c);
        put_off.clear();
        if (dead[top.left] || link[top.left].next != top.right || pack_pair(s[top.left].id, s[top.right].id) != top.pair) continue;
        s[top.left] = {top.merge.id, s[top.left].begin, s[top.right].end};
        dead[top.right] = true;
        const std::size_t next = link[top.left].next = link[top.right].next, previous = link[top.left].previous;
        if (next != none) {
            link[next].previous = top.left;
            if (const auto c = candidate(top.left, next)) queue.push(*c);
        }
        if (previous != none)
            if (const auto c = candidate(previous, top.left)) queue.push(*c);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i)
        if (!dead[i]) s[kept++] = s[i];
    symbols.resize(first + kept);
}

inline void bpe_merge_heap(const FlatMap<Merge>& merges, ModelTokens& symbols, std::size_t first) {
    bpe_merge_but(merges, symbols, first, [] { return false; });
}

}  // namespace detail

// Appends the tokens of one pre-token (UTF-8). Throws Error where an unknown token is needed and unk_token is no token.
inline void tokenize(const Bpe& model, std::string_view word, ModelTokens& out) {
    if (word.empty()) return;
    if (model.ignore_merges) {
        if (const auto id = model.vocabulary.id(word)) {
            out.push_back({*id, 0, word.size()});
            return;
        }
    }
    const std::size_t first = out.size();
    detail::bpe_characters(model, word, out);
    if (out.size() - first <= detail::bpe_scan_limit) detail::bpe_merge_scan(model.merges, out, first);
    else detail::bpe_merge_heap(model.merges, out, first);
}

// The same with dropout, where a pre-token that is a token is merged like any other. `draws` counts the random numbers taken under the seed.
inline void tokenize(const Bpe& model, std::string_view word, const BpeDropout& dropout, std::uint64_t& draws, ModelTokens& out) {
    const double probability = dropout.probability.value_or(model.dropout);
    if (probability <= 0) return tokenize(model, word, out);
    const std::size_t first = out.size();
    detail::bpe_characters(model, word, out);
    detail::bpe_merge_but(model.merges, out, first, [&] { return uniform_double(philox_bits(dropout.seed, {.step = draws++})) < probability; });
}

}  // namespace morsel
