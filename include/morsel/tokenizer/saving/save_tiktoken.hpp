// A byte-level BPE vocabulary as the ranks of tiktoken: lines of a token's bytes in base64 and its id. Neither the pattern that splits text
// nor special tokens have a place there. tiktoken has no list of merges: it joins neighbours whose token has the least rank. So a tokenizer
// is written only where that gives its own merges: each token has one pair, the one that its bytes are left with last, and ranks rise
// with ids.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/file_replacement.hpp"
#include "morsel/formats/base64.hpp"
#include "morsel/tokenizer/loading/load_tiktoken.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

// Throws Error, and writes nothing, where the tokenizer is of another kind or says what such a file cannot.
inline void save_tiktoken(const TokenizerParts& parts, const std::filesystem::path& path) {
    const auto fail = [&](std::string what, std::string_view token = {}) { return Error(std::move(what), {.file = path.string(), .key = std::string(token.substr(0, 60))}); };
    const auto* bpe = std::get_if<Bpe>(&parts.model);
    const bool byte_level = parts.pre_tokenizer && !parts.pre_tokenizer->steps.empty() && std::holds_alternative<ByteLevelPreTokenizer>(parts.pre_tokenizer->steps.back());
    if (bpe == nullptr || !byte_level) throw fail("ranks hold byte-level BPE only");
    if (!bpe->continuing_subword_prefix.empty() || !bpe->end_of_word_suffix.empty()) throw fail("ranks hold no prefix and no suffix");
    std::unordered_map<char32_t, char> byte_of;
    for (std::size_t byte = 0; byte < 256; ++byte) byte_of[byte_to_character[byte]] = static_cast<char>(byte);

    std::vector<TokenId> added;
    for (const AddedToken& token : parts.added_tokens.tokens()) added.push_back(token.id);
    std::sort(added.begin(), added.end());
    std::vector<std::pair<TokenId, std::string>> lines;
    bpe->vocabulary.for_each([&](std::string_view token, TokenId id) {
        if (std::binary_search(added.begin(), added.end(), id)) return;
        std::string bytes;
        for (std::size_t at = 0; at < token.size();) {
            const auto byte = byte_of.find(unicode::next_code_point(token, at));
            if (byte == byte_of.end()) throw fail("a token is no bytes", token);
            bytes += byte->second;
        }
        lines.emplace_back(id, std::move(bytes));
    });
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const auto& [id, bytes] : lines) text += base64_encode(bytes) + ' ' + std::to_string(id) + '\n';

    // What a reader makes of it.
    const Vocabulary vocabulary = detail::tiktoken_vocabulary(text, path);
    std::vector<std::size_t> starts;
    std::vector<std::uint64_t> ranks;
    std::size_t merges = 0;
    vocabulary.for_each([&](std::string_view token, TokenId id) {
        if (unicode::count_code_points(token) < 2) return;
        if (token.size() > detail::max_token_bytes || !detail::last_pair(vocabulary, token, starts, ranks)) throw fail("ranks do not lead to a token", token);
        const Merge* merge = bpe->merges.find(pack_pair(*vocabulary.id(token.substr(0, starts[1])), *vocabulary.id(token.substr(starts[1]))));
        if (merge == nullptr || merge->id != id) throw fail("ranks lead to a token by another merge", token);
        ++merges;
    });
    std::vector<std::pair<std::uint32_t, TokenId>> order;
    bpe->merges.for_each([&](std::uint64_t, const Merge& merge) { order.emplace_back(merge.rank, merge.id); });
    std::sort(order.begin(), order.end());
    const bool rising = std::is_sorted(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (order.size() != merges || !rising) throw fail("merges are in another order than their tokens");
    replace_file(path, text);
}

}  // namespace morsel
