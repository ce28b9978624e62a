// Ranks of byte-level BPE as OpenAI's tiktoken keeps them: lines of a token's bytes in base64 and its rank, which is its id →
// TokenizerParts. The file says neither how text is split nor which special tokens there are: the encoding's name does, or the caller.
// tiktoken merges whatever neighbours make a token together; here a token's one pair is found by encoding the token itself, since
// inside a longer text its bytes go through the same merges: a token can only be made of the pair that is left last.
// As in tiktoken nothing is normalized and nothing added (Qwen's own code brings text to NFC first).
#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/base64.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

namespace detail {

// Whether the text begins like a rank file: some base64, a space, a number.
inline bool looks_like_tiktoken(std::string_view text) {
    const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size()));
    const std::size_t space = line.find(' ');
    if (line.size() > 1000 || space == line.npos || space == 0 || space + 1 == line.size()) return false;
    std::string_view rank = line.substr(space + 1);
    if (rank.ends_with('\r')) rank.remove_suffix(1);
    return base64_decode(line.substr(0, space)) && !rank.empty() && rank.find_first_not_of("0123456789") == rank.npos;
}

struct TiktokenEncoding {
    SplitScanner scanner = {};
    std::vector<std::pair<std::string, TokenId>> special_tokens = {};
    std::string_view bos = {}, eos = {};
};

// Special tokens and splits of the encodings known by name. Throws Error for another name.
inline TiktokenEncoding tiktoken_encoding(const std::string& name, const std::filesystem::path& file) {
    const auto is = [&](std::initializer_list<std::string_view> names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    const std::string end = "<|endoftext|>";
    if (is({"gpt2", "r50k_base", "p50k_base"})) return {split::gpt2, {{end, 50256}}, {}, "<|endoftext|>"};
    if (is({"p50k_edit"})) return {split::gpt2, {{end, 50256}, {"<|fim_prefix|>", 50281}, {"<|fim_middle|>", 50282}, {"<|fim_suffix|>", 50283}}, {}, "<|endoftext|>"};
    if (is({"cl100k_base"}))
        return {split::cl100k_tiktoken, {{end, 100257}, {"<|fim_prefix|>", 100258}, {"<|fim_middle|>", 100259}, {"<|fim_suffix|>", 100260}, {"<|endofprompt|>", 100276}}, {}, "<|endoftext|>"};
    if (is({"o200k_base"})) return {split::o200k, {{end, 199999}, {"<|endofprompt|>", 200018}}, {}, "<|endoftext|>"};
    if (is({"o200k_harmony"})) {
        TiktokenEncoding harmony{split::o200k, {{"<|startoftext|>", 199998}, {end, 199999}, {"<|return|>", 200002}, {"<|constrain|>", 200003}, {"<|channel|>", 200005}, {"<|start|>", 200006},
                                               {"<|end|>", 200007}, {"<|message|>", 200008}, {"<|call|>", 200012}, {"<|endofprompt|>", 200018}}, "<|startoftext|>", "<|return|>"};
        for (TokenId id = 200000; id < 201088; ++id)
            if (std::none_of(harmony.special_tokens.begin(), harmony.special_tokens.end(), [&](const auto& t) { return t.second == id; }) || id == 200018)
                harmony.special_tokens.emplace_back("<|reserved_" + std::to_string(id) + "|>", id);
        return harmony;
    }
    if (is({"llama3"})) {
        TiktokenEncoding llama{split::llama3, {}, "<|begin_of_text|>", "<|end_of_text|>"};
        TokenId reserved = 0;
        for (TokenId i = 0; i < 256; ++i) {
            const std::string token = i == 0 ? "<|begin_of_text|>" : i == 1 ? "<|end_of_text|>" : i == 6 ? "<|start_header_id|>" : i == 7 ? "<|end_header_id|>" : i == 9 ? "<|eot_id|>" : "<|reserved_special_token_" + std::to_string(reserved++) + "|>";
            llama.special_tokens.emplace_back(token, 128000 + i);
        }
        return llama;
    }
    if (is({"qwen"})) {
        TiktokenEncoding qwen{split::qwen2, {{end, 151643}, {"<|im_start|>", 151644}, {"<|im_end|>", 151645}}, {}, "<|endoftext|>"};
        for (TokenId i = 0; i < 205; ++i) qwen.special_tokens.emplace_back("<|extra_" + std::to_string(i) + "|>", 151646 + i);
        return qwen;
    }
    throw Error("unknown encoding; TokenizerOptions::tiktoken can name one, or say pattern and special tokens",
                {.file = file.string(), .expected = "gpt2, r50k_base, p50k_base, p50k_edit, cl100k_base, o200k_base, o200k_harmony, llama3 or qwen", .found = name});
}

// Finding the pair of a token takes time quadratic in its length; the longest of published files have some 200 bytes.
inline constexpr std::size_t max_token_bytes = 4096;

// Tokens in the byte alphabet, in order of their lines. Throws Error with the line number.
inline Vocabulary tiktoken_vocabulary(std::string_view text, const std::filesystem::path& file) {
    Vocabulary vocabulary;
    std::vector<TokenId> ranks;
    std::string token;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) continue;
        const auto fail = [&](const std::string& reason, const std::string& expected) {
            return Error(reason, {.file = file.string(), .key = "line " + std::to_string(number), .expected = expected, .found = "'" + std::string(line.substr(0, 60)) + "'"});
        };
        const std::size_t space = line.find(' ');
        const auto bytes = base64_decode(line.substr(0, space));
        TokenId rank = 0;
        const char* const last = line.data() + line.size();
        const auto [stop, error] = space == line.npos ? std::from_chars_result{last, std::errc::invalid_argument} : std::from_chars(line.data() + space + 1, last, rank);
        if (!bytes || bytes->empty() || error != std::errc{} || stop != last) throw fail("wrong line", "a token in base64, a space and a rank below 2^32");
        token.clear();
        for (const char byte : *bytes) unicode::append(token, byte_to_character[static_cast<unsigned char>(byte)]);
        if (vocabulary.id(token)) throw fail("token is there twice", {});
        vocabulary.add(token, rank);
        ranks.push_back(rank);
    }
    std::sort(ranks.begin(), ranks.end());
    if (const auto twice = std::adjacent_find(ranks.begin(), ranks.end()); twice != ranks.end())
        throw Error("rank is there twice", {.file = file.string(), .found = std::to_string(*twice)});
    vocabulary.finish();
    for (std::size_t byte = 0; byte < 256; ++byte) {
        token.clear();
        unicode::append(token, byte_to_character[byte]);
        if (!vocabulary.id(token)) throw Error("a byte has no rank", {.file = file.string(), .expected = "all 256", .found = "no " + std::to_string(byte)});
    }
    return vocabulary;
}

// The pair that a token is made of: merges its characters as tiktoken does until two parts are left. False where that gets stuck.
inline bool last_pair(const Vocabulary& vocabulary, std::string_view token, std::vector<std::size_t>& starts, std::vector<std::uint64_t>& ranks) {
    constexpr std::uint64_t never = ~std::uint64_t{0};
    starts.clear();
    for (std::size_t at = 0; at < token.size();) starts.push_back(at), unicode::next_code_point(token, at);
    starts.push_back(token.size());
    const auto rank_at = [&](std::size_t i) -> std::uint64_t {  // of parts i and i + 1
        if (i + 2 >= starts.size()) return never;
        const auto id = vocabulary.id(token.substr(starts[i], starts[i + 2] - starts[i]));
        return id ? std::uint64_t{*id} : never;
    };
    if (starts.size() <= 3) return starts.size() == 3;
    ranks.clear();
    for (std::size_t i = 0; i + 2 < starts.size(); ++i) ranks.push_back(rank_at(i));
    while (starts.size() > 3) {
        const auto best = std::min_element(ranks.begin(), ranks.end());
        if (*best == never) return false;
        const std::size_t i = static_cast<std::size_t>(best - ranks.begin());
        starts.erase(starts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        ranks.erase(best);
        if (i < ranks.size()) ranks[i] = rank_at(i);
        if (i > 0) ranks[i - 1] = rank_at(i - 1);
    }
    return true;
}

}  // namespace detail

// `text` is the content of the file, `file` its name for messages; `fallback` names the encoding where the options do not. Throws Error.
inline TokenizerParts parse_tiktoken(std::string_view text, const std::filesystem::path& file, const TokenizerOptions& options, const std::string& fallback) {
    if (const std::string guess = detail::seems_to_be(text); !guess.empty()) throw Error("not a file of ranks", {.file = file.string(), .found = guess});
    Bpe bpe;
    bpe.vocabulary = detail::tiktoken_vocabulary(text, file);
    bpe.ignore_merges = true;
    bpe.merges.reserve(bpe.vocabulary.size());
    std::vector<std::size_t> starts;
    std::vector<std::uint64_t> ranks;
    bpe.vocabulary.for_each([&](std::string_view token, TokenId rank) {
        if (token.size() > detail::max_token_bytes) throw Error("token is too long", {.file = file.string(), .key = "rank " + std::to_string(rank)});
        if (!detail::last_pair(bpe.vocabulary, token, starts, ranks)) return;
        const auto left = bpe.vocabulary.id(token.substr(0, starts[1])), right = bpe.vocabulary.id(token.substr(starts[1]));
        if (left && right) bpe.merges.set(pack_pair(*left, *right), {rank, rank});
    });

    TokenizerParts parts;
    const TiktokenOptions& given = options.tiktoken;
    detail::TiktokenEncoding encoding;
    if (given.pattern.empty()) encoding = detail::tiktoken_encoding(given.encoding.empty() ? fallback : given.encoding, file);
    auto& steps = parts.pre_tokenizer.emplace().steps;
    if (encoding.scanner) {
        steps.emplace_back(SplitPreTokenizer{Pattern{"", encoding.scanner}, SplitBehavior::isolated, false});
    } else {
        try {
            Pattern pattern = regex_pattern(given.pattern, options.regex);
            // What no alternative matches is no part of the text.
            const bool covers = std::holds_alternative<SplitScanner>(pattern.matcher) && std::get<SplitScanner>(pattern.matcher).is_match == nullptr;
            steps.emplace_back(SplitPreTokenizer{std::move(pattern), covers ? SplitBehavior::isolated : SplitBehavior::removed, !covers});
        } catch (const Error& e) {
            throw e.in_file(file);
        }
    }
    steps.emplace_back(ByteLevelPreTokenizer{.add_prefix_space = false, .use_regex = false});
    parts.decoders = {ByteLevelDecoder{}};
    if (!given.special_tokens.empty()) encoding.special_tokens = given.special_tokens;
    for (const auto& [token, id] : encoding.special_tokens) {
        if (bpe.vocabulary.token(id)) throw Error("the id of a special token is a rank too", {.file = file.string(), .key = token, .found = std::to_string(id)});
        parts.added_tokens.add({.content = token, .special = true}, bpe.vocabulary, id);
    }
    if (!encoding.bos.empty()) parts.special_tokens.bos = encoding.bos;
    if (!encoding.eos.empty()) parts.special_tokens.eos = encoding.eos;
    parts.model = std::move(bpe);
    return parts;
}

inline TokenizerParts load_tiktoken(const std::filesystem::path& file, const TokenizerOptions& options, const std::string& fallback) {
    return parse_tiktoken(MappedFile(file).text(), file, options, fallback);
}

}  // namespace morsel
