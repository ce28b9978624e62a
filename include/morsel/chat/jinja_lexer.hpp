// Cuts a chat template into text, tags and the tokens inside tags. Second part of the template engine.
// Follows Jinja 3.1's lexer as transformers sets it up: trim_blocks and lstrip_blocks on, keep_trailing_newline off, line ends read as
// \n; "-" beside a delimiter strips all white space, "+" switches trimming off. Leaves out line statements and \N{…} escapes.
#pragma once
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_value.hpp"

namespace morsel::jinja {

struct Token {
    enum class Kind { text, variable_begin, variable_end, block_begin, block_end, name, string, integer, floating, op, end } kind = Kind::end;
    std::string text = {};  // of a string: its value
    std::uint32_t line = 1;
};

// An Error at a line of the template.
[[noreturn]] inline void fail(std::uint32_t line, std::string reason, std::string expected = {}, std::string found = {}) {
    throw Error(std::move(reason), {.key = "chat template line " + std::to_string(line), .expected = std::move(expected), .found = std::move(found)});
}

// Python's white space: Unicode's, and the four separators U+001C to U+001F.
inline bool is_space(char32_t c) { return unicode::is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

inline std::string_view strip_left(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at;
        if (!is_space(unicode::next_code_point(text, at))) return text.substr(start);
    }
    return {};
}
inline std::string_view strip_right(std::string_view text) {
    while (!text.empty()) {
        const std::size_t start = unicode::previous_start(text, text.size());
        std::size_t at = start;
        if (!is_space(unicode::next_code_point(text, at))) break;
        text = text.substr(0, start);
    }
    return text;
}

// The value of a string literal without its quotes: Python's escapes; an unknown one stays as it is.
inline std::string unescape(std::string_view text, std::uint32_t line) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        const char c = text[++i];
        constexpr std::string_view plain = "\\'\"abfnrtv", meaning = "\\'\"\a\b\f\n\r\t\v";
        if (const auto known = plain.find(c); known != std::string_view::npos) {
            out += meaning[known];
        } else if (c == '\n') {
            continue;
        } else if (c == 'x' || c == 'u' || c == 'U' || (c >= '0' && c <= '7')) {
            const bool octal = c >= '0' && c <= '7';
            std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
            if (octal) {
                digits = 1;
                while (digits < 3 && i + digits < text.size() && text[i + digits] >= '0' && text[i + digits] <= '7') ++digits;
            }
            const std::string_view number = text.substr(octal ? i : i + 1, digits);
            std::uint32_t code = 0;
            const auto read = std::from_chars(number.data(), number.data() + number.size(), code, octal ? 8 : 16);
            if (number.size() != digits || read.ptr != number.data() + number.size() || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
                fail(line, "bad escape in a string", "hexadecimal digits of a code point", "\\" + std::string(1, c) + std::string(number));
            char bytes[4];
            out.append(bytes, unicode::encode(static_cast<char32_t>(code), bytes));
            i += octal ? digits - 1 : digits;
        } else if (c == 'N') {
            fail(line, "named characters (\\N) are not supported");
        } else {
            out += '\\', out += c;
        }
    }
    return out;
}

// All line ends as \n, and the last one dropped.
inline std::string normalized_source(std::string_view source) {
    std::string out;
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            out += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        } else {
            out += source[i];
        }
    }
    if (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

class Lexer {
  public:
    explicit Lexer(std::string_view source) : owned_(normalized_source(source)), source_(owned_) {}

    // All tokens, ended by one of Kind::end. Text that is empty after trimming gives none.
    std::vector<Token> run() {
        while (at_ < source_.size()) {
            const std::size_t open = find_open();
            std::string_view text = source_.substr(at_, open - at_);
            if (open == source_.size()) {
                add_text(text);
                break;
            }
            const char kind = source_[open + 1];
            const char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
            add_text(trimmed_before(text, kind, sign));
            count_lines(at_, open);
            at_ = open + (sign == '-' || sign == '+' ? 3 : 2);
            if (kind == '#') comment();
            else if (kind == '%' && raw_follows()) raw();
            else inside(kind == '{');
        }
        add(Token::Kind::end, {});
        return std::move(tokens_);
    }

  private:
    std::size_t find_open() const {
        for (std::size_t i = at_; i + 1 < source_.size(); ++i)
            if (source_[i] == '{' && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
        return source_.size();
    }

    // Text before a tag: "-" strips it, else the indentation of a tag that begins its line goes (not before {{ or with "+").
    std::string_view trimmed_before(std::string_view text, char kind, char sign) const {
        if (sign == '-') return strip_right(text);
        if (sign == '+' || kind == '{') return text;
        const std::size_t newline = text.rfind('\n');
        if (newline == std::string_view::npos && !line_starting_) return text;
        const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
        return strip_left(text.substr(line)).empty() ? text.substr(0, line) : text;
    }

    void count_lines(std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) line_ += source_[i] == '\n' ? 1 : 0;
    }
    void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
    void add_text(std::string_view text) {
        if (!text.empty()) add(Token::Kind::text, std::string(text));
    }

    // After a closing delimiter that ends at `end`: what "-" and trim_blocks swallow.
    void close(std::size_t from, std::size_t end, char sign, bool trim) {
        if (sign == '-') end = source_.size() - strip_left(source_.substr(end)).size();
        else if (trim && sign != '+' && end < source_.size() && source_[end] == '\n') ++end;
        count_lines(from, end);
        line_starting_ = end > 0 && source_[end - 1] == '\n';
        at_ = end;
    }

    void comment() {
        const std::size_t end = source_.find("#}", at_);
        if (end == std::string_view::npos) fail(line_, "comment without end", "#}");
        const char sign = end > at_ ? source_[end - 1] : ' ';
        close(at_, end + 2, sign, true);
    }

    // The position after "word" and its closing delimiter for a tag whose inside begins at `i`; npos where it is another tag.
    std::size_t end_of_word_tag(std::size_t i, std::string_view word, char& sign) const {
        i = source_.size() - strip_left(source_.substr(i)).size();
        if (!source_.substr(i).starts_with(word)) return std::string_view::npos;
        i += word.size();
        i = source_.size() - strip_left(source_.substr(i)).size();
        sign = i < source_.size() ? source_[i] : ' ';
        if (sign == '-' || sign == '+') ++i;
        return source_.substr(i).starts_with("%}") ? i + 2 : std::string_view::npos;
    }
    bool raw_follows() const {
        char sign = ' ';
        return end_of_word_tag(at_, "raw", sign) != std::string_view::npos;
    }
    void raw() {
        char sign = ' ';
        const std::size_t begin = end_of_word_tag(at_, "raw", sign);
        close(at_, begin, sign, false);
        for (std::size_t open = source_.find("{%", at_); open != std::string_view::npos; open = source_.find("{%", open + 2)) {
            const char before = open + 2 < source_.size() ? source_[open + 2] : ' ';
            char after = ' ';
            const std::size_t end = end_of_word_tag(open + (before == '-' || before == '+' ? 3 : 2), "endraw", after);
            if (end == std::string_view::npos) continue;
            add_text(trimmed_before(source_.substr(at_, open - at_), '%', before));
            close(at_, end, after, true);
            return;
        }
        fail(line_, "raw block without end", "endraw");
    }

    // The tokens up to the end of a tag. Brackets are counted: "}}" inside a dict does not end {{ … }}.
    void inside(bool variable) {
        add(variable ? Token::Kind::variable_begin : Token::Kind::block_begin, {});
        const std::string_view closing = variable ? "}}" : "%}";
        std::vector<char> open;
        const std::uint32_t begin = line_;
        while (true) {
            const std::size_t before = at_;
            at_ = source_.size() - strip_left(source_.substr(at_)).size();
            count_lines(before, at_);
            if (at_ == source_.size()) fail(begin, "tag without end", std::string(closing));
            const std::string_view rest = source_.substr(at_);
            if (open.empty()) {
                const bool signed_end = rest.size() > 2 && (rest[0] == '-' || (rest[0] == '+' && !variable)) && rest.substr(1).starts_with(closing);
                if (signed_end || rest.starts_with(closing)) {
                    add(variable ? Token::Kind::variable_end : Token::Kind::block_end, {});
                    close(at_, at_ + (signed_end ? 3 : 2), rest[0], !variable);
                    return;
                }
            }
            const char c = rest[0];
            if (c == '\'' || c == '"') string(c);
            else if (c >= '0' && c <= '9') number();
            else if (is_name(c)) name();
            else op(open);
        }
    }

    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c) || static_cast<unsigned char>(c) >= 0x80; }

    void name() {
        std::size_t end = at_;
        while (end < source_.size() && is_name(source_[end])) ++end;
        add(Token::Kind::name, std::string(source_.substr(at_, end - at_)));
        at_ = end;
    }

    void string(char quote) {
        std::size_t end = at_ + 1;
        while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
        if (end >= source_.size()) fail(line_, "string without end", std::string(1, quote));
        add(Token::Kind::string, unescape(source_.substr(at_ + 1, end - at_ - 1), line_));
        count_lines(at_, end);
        at_ = end + 1;
    }

    void number() {
        std::size_t end = at_;
        bool floating = false;
        const auto digits = [&] {
            while (end < source_.size() && (is_digit(source_[end]) || (source_[end] == '_' && end + 1 < source_.size() && is_digit(source_[end + 1])))) ++end;
        };
        digits();
        if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) floating = true, ++end, digits();
        if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
            std::size_t exponent = end + 1;
            if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
            if (exponent < source_.size() && is_digit(source_[exponent])) floating = true, end = exponent, digits();
        }
        std::string text;
        for (const char c : source_.substr(at_, end - at_))
            if (c != '_') text += c;
        if (end < source_.size() && is_name(source_[end])) fail(line_, "bad number", "decimal digits", text + source_[end]);
        add(floating ? Token::Kind::floating : Token::Kind::integer, std::move(text));
        at_ = end;
    }

    void op(std::vector<char>& open) {
        constexpr std::array<std::string_view, 6> two = {"//", "**", "==", "!=", ">=", "<="};
        const std::string_view rest = source_.substr(at_);
        std::string_view text = rest.substr(0, 1);
        for (const std::string_view t : two)
            if (rest.starts_with(t)) text = t;
        constexpr std::string_view known = "+-/*%~[](){}<>=.:|,;";
        if (text.size() == 1 && known.find(text[0]) == std::string_view::npos) {
            std::size_t end = at_;
            unicode::next_code_point(source_, end);
            fail(line_, "unexpected character", {}, std::string(source_.substr(at_, end - at_)));
        }
        if (text == "(" || text == "[" || text == "{") open.push_back(text[0]);
        if (text == ")" || text == "]" || text == "}") {
            const char wanted = text == ")" ? '(' : text == "]" ? '[' : '{';
            if (open.empty() || open.back() != wanted) fail(line_, "unbalanced bracket", {}, std::string(text));
            open.pop_back();
        }
        add(Token::Kind::op, std::string(text));
        at_ += text.size();
    }

    std::string owned_;
    std::string_view source_;
    std::size_t at_ = 0;  // bytes
    std::uint32_t line_ = 1;
    bool line_starting_ = true;  // what was read last ended with a newline
    std::vector<Token> tokens_;
};

}  // namespace morsel::jinja
