// Decoders: from the tokens of ids back to text, as tokenizer.json names them. A chain of steps, each from a list of strings to a
// list of strings; the text is what the last list gives when joined. These are the plain definitions (after Hugging Face
// tokenizers); stream_decoder.hpp computes the same token by token and is tested against them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/splitting/pattern.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct ByteLevelDecoder {};     // byte-level characters → bytes; what is no UTF-8 becomes U+FFFD
struct WordPieceDecoder {
    std::string prefix = "##";  // tokens with it join the one before; a space goes before all others
    bool cleanup = true;        // no space before punctuation and English contractions
};
struct MetaspaceDecoder {
    char32_t replacement = U'\u2581';
    bool strip_first = true;    // all replacements in the first token vanish; elsewhere they are spaces
};
struct ByteFallbackDecoder {};  // runs of <0xHH> → their characters, or one U+FFFD a byte where they are no UTF-8
struct FuseDecoder {};          // all tokens become one
struct StripDecoder {
    char32_t content = ' ';
    std::size_t start = 0, stop = 0;  // at most so many at either end of each token
};
struct ReplaceDecoder {
    Pattern pattern = {};
    std::string content = {};
};
struct BpeDecoder {
    std::string suffix = "</w>";  // becomes a space, in the last token nothing
};
struct CtcDecoder {
    std::string pad_token = "<pad>", word_delimiter_token = "|";
    bool cleanup = true;
};
// SentencePiece's own: ▁ → space without the first, <0xHH> → bytes with one U+FFFD for each byte that belongs to no character.
struct SentencePieceDecoder {
    bool strip_first = true;        // the ▁ that a dummy prefix put in front
    bool strip_all_leading = false; // the ▁ of every token until there is text
};
struct BytesDecoder {};  // ByT5's: a token of one character below U+0100 is that byte; what is no UTF-8 vanishes
struct JoinDecoder {};  // no decoder in the file: tokens with spaces between

using Decoder = std::variant<ByteLevelDecoder, WordPieceDecoder, MetaspaceDecoder, ByteFallbackDecoder, FuseDecoder, StripDecoder, ReplaceDecoder, BpeDecoder,
                             CtcDecoder, SentencePieceDecoder, BytesDecoder, JoinDecoder>;
using Decoders = std::vector<Decoder>;  // a chain

namespace detail {

inline std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
    if (from.empty()) return std::string(text);
    std::string out;
    std::size_t done = 0;
    for (std::size_t at; (at = text.find(from, done)) != std::string_view::npos; done = at + from.size()) out.append(text, done, at - done).append(to);
    return out.append(text, done);
}

// English detokenization of BERT's decoder: applied token by token, "do not" included.
inline std::string wordpiece_cleanup(std::string text) {
    static constexpr std::pair<std::string_view, std::string_view> rules[] = {
        {" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : rules)
        if (text.find(from) != std::string::npos) text = replace_all(text, from, to);
    return text;
}

// The byte that "<0xHH>" names.
inline std::optional<unsigned char> named_byte(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
    const int high = digit(token[3]), low = digit(token[4]);
    if (high < 0 || low < 0) return std::nullopt;
    return static_cast<unsigned char>(high * 16 + low);
}

// The bytes of a byte-level token; a token with any other character stays as it is.
inline void append_byte_level(std::string_view token, std::string& bytes) {
    const std::size_t before = bytes.size();
    for (std::size_t at = 0; at < token.size();) {
        const auto point = unicode::decode(token, at);
        const int byte = point.valid ? character_to_byte(point.value) : -1;
        if (byte < 0) {
            bytes.resize(before);
            bytes += token;
            return;
        }
        bytes += static_cast<char>(byte);
        at += point.size;
    }
}

// A run of bytes of ByteFallback: its text, or one token a byte where it is no UTF-8.
inline std::vector<std::string> byte_fallback_tokens(const std::string& bytes) {
    if (bytes.empty()) return {};
    if (unicode::is_valid_utf8(bytes)) return {bytes};
    return std::vector<std::string>(bytes.size(), "\xEF\xBF\xBD");
}

// Byte runs of SentencePiece: one U+FFFD for each byte outside of a character.
inline std::string sentencepiece_byte_text(std::string_view bytes) {
    std::string text;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto point = unicode::decode(bytes, at);
        if (point.valid) text.append(bytes, at, point.size), at += point.size;
        else text += "\xEF\xBF\xBD", ++at;
    }
    return text;
}

// The bytes of one of BytesDecoder's tokens.
inline std::string byte_token_text(std::string_view token) {
    const unicode::CodePoint point = unicode::decode(token, 0);
    if (!token.empty() && point.size == token.size() && point.valid && point.value < 0x100) return std::string(1, static_cast<char>(point.value));
    return std::string(token);
}
// The whole characters among these bytes.
inline std::string only_valid_utf8(std::string_view bytes) {
    std::string text;
    for (std::size_t at = 0; at < bytes.size();) {
        const unicode::CodePoint point = unicode::decode(bytes, at);
        if (point.valid) text.append(bytes, at, point.size);
        at += point.size;
    }
    return text;
}

inline constexpr std::string_view space_symbol = "\u2581";  // ▁

// ---- one step: a list of tokens to a list of tokens
using Tokens = std::vector<std::string>;

inline Tokens decode_step(const ByteLevelDecoder&, const Tokens& tokens) {
    std::string bytes;
    for (const std::string& token : tokens) append_byte_level(token, bytes);
    return {unicode::to_valid_utf8(bytes)};
}
inline std::string wordpiece_text(const WordPieceDecoder& d, std::string token, bool first) {
    if (!first) {
        if (token.starts_with(d.prefix)) token.erase(0, d.prefix.size());
        else token.insert(0, 1, ' ');
    }
    return d.cleanup ? wordpiece_cleanup(std::move(token)) : token;
}
inline Tokens decode_step(const WordPieceDecoder& d, Tokens tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = wordpiece_text(d, std::move(tokens[i]), i == 0);
    return tokens;
}
inline std::string metaspace_text(const MetaspaceDecoder& d, std::string_view token, bool first) {
    std::string symbol;
    unicode::append(symbol, d.replacement);
    return replace_all(token, symbol, first && d.strip_first ? "" : " ");
}
inline Tokens decode_step(const MetaspaceDecoder& d, Tokens tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = metaspace_text(d, tokens[i], i == 0);
    return tokens;
}
inline Tokens decode_step(const ByteFallbackDecoder&, const Tokens& tokens) {
    Tokens out;
    std::string bytes;
    const auto end_run = [&] {
        for (std::string& text : byte_fallback_tokens(bytes)) out.push_back(std::move(text));
        bytes.clear();
    };
    for (const std::string& token : tokens) {
        if (const auto byte = named_byte(token)) bytes += static_cast<char>(*byte);
        else end_run(), out.push_back(token);
    }
    end_run();
    return out;
}
inline Tokens decode_step(const FuseDecoder&, const Tokens& tokens) {
    std::string all;
    for (const std::string& token : tokens) all += token;
    return {all};
}
inline std::string strip_text(const StripDecoder& d, std::string_view token) {
    std::string content;
    unicode::append(content, d.content);
    for (std::size_t i = 0; i < d.start && token.starts_with(content); ++i) token.remove_prefix(content.size());
    for (std::size_t i = 0; i < d.stop && token.ends_with(content); ++i) token.remove_suffix(content.size());
    return std::string(token);
}
inline Tokens decode_step(const StripDecoder& d, Tokens tokens) {
    for (std::string& token : tokens) token = strip_text(d, token);
    return tokens;
}
inline std::string replace_text(const ReplaceDecoder& d, std::string_view token) {
    std::string out;
    for (const PatternPart& part : pattern_parts(d.pattern, token)) out += part.is_match ? std::string_view(d.content) : token.substr(part.at.begin, part.at.end - part.at.begin);
    return out;
}
inline Tokens decode_step(const ReplaceDecoder& d, Tokens tokens) {
    for (std::string& token : tokens) token = replace_text(d, token);
    return tokens;
}
inline Tokens decode_step(const BpeDecoder& d, Tokens tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = replace_all(tokens[i], d.suffix, i + 1 < tokens.size() ? " " : "");
    return tokens;
}
inline std::string ctc_text(const CtcDecoder& d, std::string_view token) {
    std::string text = replace_all(token, d.pad_token, "");
    if (d.cleanup) text = replace_all(wordpiece_cleanup(std::move(text)), d.word_delimiter_token, " ");
    return text;
}
inline Tokens decode_step(const CtcDecoder& d, const Tokens& tokens) {
    Tokens out;
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (i == 0 || tokens[i] != tokens[i - 1])
            if (std::string text = ctc_text(d, tokens[i]); !text.empty()) out.push_back(std::move(text));
    return out;
}
inline Tokens decode_step(const SentencePieceDecoder& d, const Tokens& tokens) {
    std::string text, bytes;
    bool stripped = false;
    for (const std::string& token : tokens) {
        if (const auto byte = named_byte(token)) {
            bytes += static_cast<char>(*byte);
            continue;
        }
        text += sentencepiece_byte_text(bytes), bytes.clear();
        std::string_view piece = token;
        if (text.empty() && !stripped && d.strip_first && piece.starts_with(space_symbol)) {
            piece.remove_prefix(space_symbol.size());
            stripped = !d.strip_all_leading;
        }
        text += replace_all(piece, space_symbol, " ");
    }
    return {text + sentencepiece_byte_text(bytes)};
}
inline Tokens decode_step(const BytesDecoder&, const Tokens& tokens) {
    std::string bytes;
    for (const std::string& token : tokens) bytes += byte_token_text(token);
    return {only_valid_utf8(bytes)};
}
inline Tokens decode_step(const JoinDecoder&, Tokens tokens) {
    for (std::size_t i = 1; i < tokens.size(); ++i) tokens[i].insert(0, 1, ' ');
    return tokens;
}

}  // namespace detail

// The text of a list of tokens. Always valid UTF-8.
inline std::string decode_tokens(const Decoders& decoders, std::vector<std::string> tokens) {
    for (const Decoder& decoder : decoders) tokens = std::visit([&](const auto& d) { return detail::decode_step(d, std::move(tokens)); }, decoder);
    std::string text;
    for (const std::string& token : tokens) text += token;
    return unicode::is_valid_utf8(text) ? text : unicode::to_valid_utf8(text);
}

// What transformers does to decoded text where clean_up_tokenization_spaces is set.
inline std::string clean_up_tokenization_spaces(std::string text) {
    static constexpr std::pair<std::string_view, std::string_view> rules[] = {
        {" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : rules) text = detail::replace_all(text, from, to);
    return text;
}

}  // namespace morsel
