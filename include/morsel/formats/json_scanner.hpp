// A strict pull scanner for JSON read from untrusted files: no tree, no recursion, no memory but the string being decoded.
// The caller asks for what must come next; anything else is an Error with line and column. It follows RFC 8259 to the letter:
// no comments, no trailing commas, no lone surrogates, no control characters in strings. Integers must be written as integers.
// The text must be valid UTF-8 already (`unicode::is_valid_utf8`). Used where a tree would cost too much or hide duplicate keys:
// vocabularies, safetensors headers and sharded indexes.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

#include "morsel/core/error.hpp"
#include "morsel/formats/json.hpp"

namespace morsel::detail {

class JsonScanner {
  public:
    static constexpr std::size_t max_depth = max_json_depth;  // of values that are skipped

    // `file` and `part` ("header") are for messages.
    JsonScanner(std::string_view text, std::filesystem::path file, std::string part = {})
        : text_(text), file_(std::move(file)), part_(std::move(part)) {}

    // The next character that is no space, not taken; -1 at the end.
    int peek() {
        // Vocabularies are often indented: eight spaces a step.
        for (std::uint64_t word; text_.size() - at_ >= 8 && (std::memcpy(&word, text_.data() + at_, 8), word == 0x2020202020202020u);) at_ += 8;
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
        return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : -1;
    }
    bool take(char c) {
        if (peek() != static_cast<unsigned char>(c)) return false;
        ++at_;
        return true;
    }
    void expect(char c) {
        if (!take(c)) throw error(std::string("expected '") + c + "'");
    }
    // Nothing but spaces may follow.
    void end() {
        if (peek() >= 0) throw error("something follows the value");
    }

    // Walks the members of an object: true once for every member, its key decoded into `key`. `first` starts as true.
    bool member(std::string& key, bool& first) {
        if (first) expect('{');
        if (take('}')) {
            if (first || !after_comma_) return first = false, false;
            throw error("a comma before '}'");
        }
        if (!first && !after_comma_) throw error("expected ',' or '}'");
        first = false;
        string(key);
        expect(':');
        return true;
    }
    // After each member's value.
    void member_done() { after_comma_ = take(','); }

    // A string, decoded into `out`.
    void string(std::string& out) {
        out.clear();
        scan_string(&out);
    }
    // A string where it stands in the text, or in `decoded` if it has escapes.
    std::string_view string_in_place(std::string& decoded) {
        expect('"');
        const std::size_t begin = at_;
        at_ = end_of_plain(at_);
        if (at_ < text_.size() && text_[at_] == '"') return text_.substr(begin, at_++ - begin);
        at_ = begin - 1;
        string(decoded);
        return decoded;
    }

    // Any number, as it is written.
    std::string_view number() {
        const int c = peek();
        if (c != '-' && !is_digit(c)) throw error("expected a number");
        const std::size_t begin = at_;
        scalar(c);
        return text_.substr(begin, at_ - begin);
    }

    // Any value, checked, as it is written.
    std::string_view value() {
        peek();
        const std::size_t begin = at_;
        skip();
        return text_.substr(begin, at_ - begin);
    }

    // An integer from 0 to 2^64-1, written without sign, point or exponent.
    std::uint64_t integer() {
        if (!is_digit(peek())) throw error("expected an integer that is not negative");
        const bool zero = text_[at_] == '0';
        std::uint64_t value = 0;
        const std::size_t begin = at_;
        for (; at_ < text_.size() && is_digit(static_cast<unsigned char>(text_[at_])); ++at_) {
            const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
            if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) throw error("the integer does not fit 64 bits");
            value = value * 10 + digit;
        }
        if (zero && at_ - begin > 1) throw error("an integer with a leading zero");
        if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E')) throw error("expected an integer, not a fraction");
        return value;
    }

    bool take_null() {
        if (peek() != 'n') return false;
        literal("null");
        return true;
    }

    // Any value, checked and dropped. Nesting is kept in a fixed array, so hostile depth costs no stack.
    void skip() {
        std::array<char, max_depth> open;  // '{' or '[' of each level
        std::size_t depth = 0;
        for (;;) {
            bool closed = false;  // a value ended here
            const int c = peek();
            if (c == '{' || c == '[') {
                if (depth == max_depth) throw error("nested too deeply");
                open[depth++] = static_cast<char>(c);
                ++at_;
                if (take(c == '{' ? '}' : ']')) closed = true, --depth;
                else if (c == '{') scan_string(nullptr), expect(':');
            } else {
                scalar(c);
                closed = true;
            }
            while (closed && depth > 0) {
                const char kind = open[depth - 1];
                if (take(',')) {
                    if (kind == '{') scan_string(nullptr), expect(':');
                    break;
                }
                expect(kind == '{' ? '}' : ']');
                --depth;
            }
            if (closed && depth == 0) return;
        }
    }

    Error error(std::string reason) const {
        return Error("not valid JSON: " + std::move(reason),
                     {.file = file_.string(), .key = (part_.empty() ? "" : part_ + ", ") + line_and_column(text_, at_)});
    }
    std::size_t position() const noexcept { return at_; }

  private:
    static bool is_digit(int c) { return c >= '0' && c <= '9'; }

    // From `at` on: where a quote, a backslash or a control character is, or the end of the text. Eight bytes a step: the first of them
    // that is one has its highest bit set below, those behind it may have it without reason.
    std::size_t end_of_plain(std::size_t at) const noexcept {
        constexpr std::uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
        for (; text_.size() - at >= 8; at += 8) {
            std::uint64_t word;
            std::memcpy(&word, text_.data() + at, 8);
            const std::uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
            const std::uint64_t found = (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * 0x20) & ~word)) & highs;
            if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
        }
        while (at < text_.size() && text_[at] != '"' && text_[at] != '\\' && static_cast<unsigned char>(text_[at]) >= 0x20) ++at;
        return at;
    }

    void literal(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) throw error("unknown word");
        at_ += word.size();
    }

    void digits() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_digit(static_cast<unsigned char>(text_[at_]))) ++at_;
        if (at_ == begin) throw error("expected a digit");
    }

    void scalar(int c) {
        if (c == '"') return scan_string(nullptr);
        if (c == 't') return literal("true");
        if (c == 'f') return literal("false");
        if (c == 'n') return literal("null");
        if (c == '-') ++at_;
        else if (!is_digit(c)) throw error(c < 0 ? "the text ends early" : "expected a value");
        if (at_ < text_.size() && text_[at_] == '0') ++at_;
        else digits();
        if (at_ < text_.size() && text_[at_] == '.') ++at_, digits();
        if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
            ++at_;
            if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
            digits();
        }
    }

    void scan_string(std::string* out) {
        expect('"');
        for (;;) {
            const std::size_t begin = at_;
            at_ = end_of_plain(at_);
            if (out) out->append(text_.substr(begin, at_ - begin));
            if (at_ == text_.size()) throw error("a string does not end");
            if (text_[at_] == '"') return void(++at_);
            if (text_[at_] != '\\') throw error("a control character inside a string");
            ++at_;
            escape(out);
        }
    }

    void escape(std::string* out) {
        if (at_ == text_.size()) throw error("a string does not end");
        static constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
        const char c = text_[at_++];
        if (const std::size_t i = from.find(c); i != std::string_view::npos) {
            if (out) out->push_back(to[i]);
            return;
        }
        if (c != 'u') throw error("unknown escape");
        std::uint32_t code = hex4();
        if (code >= 0xDC00 && code <= 0xDFFF) throw error("a lone surrogate");
        if (code >= 0xD800 && code <= 0xDBFF) {
            if (text_.substr(at_, 2) != "\\u") throw error("a lone surrogate");
            at_ += 2;
            const std::uint32_t low = hex4();
            if (low < 0xDC00 || low > 0xDFFF) throw error("a lone surrogate");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        if (!out) return;
        const auto put = [&](std::uint32_t byte) { out->push_back(static_cast<char>(byte)); };
        if (code < 0x80) put(code);
        else if (code < 0x800) put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
        else if (code < 0x10000) put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
        else put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F)), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
    }

    std::uint32_t hex4() {
        std::uint32_t value = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = at_ < text_.size() ? text_[at_] : ' ';
            const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
            if (digit < 0) throw error("expected four hexadecimal digits");
            value = value << 4 | static_cast<std::uint32_t>(digit);
        }
        return value;
    }

    std::string_view text_;
    std::size_t at_ = 0;  // byte position in text_
    bool after_comma_ = false;
    std::filesystem::path file_;
    std::string part_;
};

}  // namespace morsel::detail
