// What a normalizer or pre-tokenizer looks for: a literal, a run of one kind of character, one of the known split patterns, or a
// regular expression compiled by whatever engine the program provides. Finds matches as the reference's Pattern does: matches and
// the gaps between them, in order, covering the text.
// Literals, single classes with a quantifier and the known patterns need no engine. No std::regex: it recurses on its input.
#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/tokenizer/splitting/split_patterns.hpp"
#include "morsel/tokenizer/text/aligned_text.hpp"
#include "morsel/unicode/properties.hpp"

namespace morsel {

// The next match at or after byte `from` of valid UTF-8, or nothing. Thread-safe. Throws Error where the engine gives up.
using CompiledRegex = std::function<std::optional<Span>(std::string_view text, std::size_t from)>;
// Makes one from a pattern; throws Error for a pattern it cannot compile. Empty: there is no engine.
using RegexCompiler = std::function<CompiledRegex(std::string_view pattern)>;

// Runs of `at_least` or more characters of one class; with at_least 1 and not greedy: each such character alone.
struct ClassRun {
    enum class Class { character, white_space, digit, number, letter, punctuation } of = Class::character;
    char32_t character = 0;  // for Class::character
    std::size_t at_least = 1;
    bool greedy = false;  // the longest run; else exactly one character
};

struct Pattern {
    std::string source = {};  // as written in the file
    std::variant<std::string, ClassRun, SplitScanner, CompiledRegex> matcher = std::string();
};

// A match, or the text between two.
struct PatternPart {
    Span at = {};
    bool is_match = false;
};

namespace detail {

inline bool in_class(const ClassRun& run, char32_t c) noexcept {
    switch (run.of) {
        case ClassRun::Class::character: return c == run.character;
        case ClassRun::Class::white_space: return unicode::is_white_space(c);
        case ClassRun::Class::digit: return unicode::is_decimal_digit(c);
        case ClassRun::Class::number: return unicode::is_number(c);
        case ClassRun::Class::letter: return unicode::is_letter(c);
        case ClassRun::Class::punctuation: return unicode::is_punctuation(c);
    }
    return false;
}

inline std::optional<Span> next_run(const ClassRun& run, std::string_view text, std::size_t from) {
    for (std::size_t i = from; i < text.size();) {
        const std::size_t begin = i;
        if (!in_class(run, unicode::next_code_point(text, i))) continue;
        std::size_t count = 1;
        while (run.greedy && i < text.size()) {
            std::size_t next = i;
            if (!in_class(run, unicode::next_code_point(text, next))) break;
            i = next, ++count;
        }
        if (count >= run.at_least) return Span{begin, i};
    }
    return std::nullopt;
}

// One atom of a regular expression: a literal character, an escaped one, or a class of which we know the meaning.
inline std::optional<ClassRun> parse_atom(std::string_view pattern, std::size_t& i) {
    using Class = ClassRun::Class;
    if (i >= pattern.size()) return std::nullopt;
    if (pattern[i] != '\\') {
        if (std::string_view(".^$*+?()[]{}|").find(pattern[i]) != std::string_view::npos) return std::nullopt;
        return ClassRun{Class::character, unicode::next_code_point(pattern, i), 1, false};
    }
    const auto takes = [&](std::string_view name) { return pattern.substr(i).starts_with(name) && (i += name.size(), true); };
    if (takes("\\s")) return ClassRun{Class::white_space, 0, 1, false};
    if (takes("\\d")) return ClassRun{Class::digit, 0, 1, false};
    if (takes("\\p{N}")) return ClassRun{Class::number, 0, 1, false};
    if (takes("\\p{Nd}")) return ClassRun{Class::digit, 0, 1, false};
    if (takes("\\p{L}")) return ClassRun{Class::letter, 0, 1, false};
    if (takes("\\p{P}")) return ClassRun{Class::punctuation, 0, 1, false};
    if (takes("\\n")) return ClassRun{Class::character, '\n', 1, false};
    if (takes("\\r")) return ClassRun{Class::character, '\r', 1, false};
    if (takes("\\t")) return ClassRun{Class::character, '\t', 1, false};
    if (i + 1 < pattern.size() && unicode::is_ascii_punctuation(static_cast<unsigned char>(pattern[i + 1]))) {
        ++i;
        return ClassRun{Class::character, unicode::next_code_point(pattern, i), 1, false};
    }
    return std::nullopt;
}

// A pattern that needs no engine: a literal, or one atom with nothing, "+" or "{n,}" behind it.
inline std::optional<std::variant<std::string, ClassRun>> trivial_regex(std::string_view pattern) {
    std::size_t i = 0;
    std::string literal;
    const auto first = parse_atom(pattern, i);
    if (!first) return pattern.empty() ? std::optional<std::variant<std::string, ClassRun>>(std::string()) : std::nullopt;
    ClassRun run = *first;
    const std::string_view rest = pattern.substr(i);
    if (rest == "+") return run.greedy = true, run;
    if (rest.size() >= 4 && rest.size() <= 6 && rest.front() == '{' && rest.ends_with(",}")) {
        std::size_t least = 0;
        for (const char c : rest.substr(1, rest.size() - 3)) {
            if (c < '0' || c > '9') return std::nullopt;
            least = least * 10 + static_cast<std::size_t>(c - '0');
        }
        if (least > 0) return run.greedy = true, run.at_least = least, run;
        return std::nullopt;
    }
    if (rest.empty()) return run;
    for (i = 0; i < pattern.size();) {
        const auto atom = parse_atom(pattern, i);
        if (!atom || atom->of != ClassRun::Class::character) return std::nullopt;
        unicode::append(literal, atom->character);
    }
    return literal;
}

// The next match of any matcher but a scanner. A literal that is empty matches before every character.
inline std::optional<Span> next_match(const Pattern& pattern, std::string_view text, std::size_t from) {
    if (const auto* literal = std::get_if<std::string>(&pattern.matcher)) {
        const std::size_t at = text.find(*literal, from);
        return at == std::string_view::npos ? std::nullopt : std::optional(Span{at, at + literal->size()});
    }
    if (const auto* run = std::get_if<ClassRun>(&pattern.matcher)) return next_run(*run, text, from);
    return std::get<CompiledRegex>(pattern.matcher)(text, from);
}

}  // namespace detail

// A regular expression in the reference's syntax (Oniguruma; the patterns in use read the same in PCRE2). Throws Error where
// it is no known or trivial pattern and there is no engine, or where the engine refuses it.
inline Pattern regex_pattern(std::string_view regex, const RegexCompiler& compiler) {
    Pattern pattern{std::string(regex)};
    if (const SplitScanner scanner = known_scanner(regex)) pattern.matcher = scanner;
    else if (auto trivial = detail::trivial_regex(regex)) std::visit([&](auto& value) { pattern.matcher = std::move(value); }, *trivial);
    else if (compiler) pattern.matcher = compiler(regex);
    else
        throw Error("regular expression \"" + std::string(regex) + "\" needs an engine; morsel/tokenizer/pcre2.hpp can provide one");
    return pattern;
}

// Reads {"String": "…"} or {"Regex": "…"} under `name`, or a plain string, taken literally. Throws Error for anything else.
inline Pattern pattern_from_json(const JsonObject& object, std::string_view name, const RegexCompiler& compiler) {
    const Json& value = object.at(name);
    if (value.is_string()) return Pattern{value.get<std::string>(), value.get<std::string>()};
    const JsonObject inner = object.object(name);
    if (inner.has("String")) {
        const auto literal = inner.get<std::string>("String");
        return Pattern{literal, literal};
    }
    if (!inner.has("Regex")) throw inner.error("", "unknown kind of pattern", "String or Regex", json_text(value));
    try {
        return regex_pattern(inner.get<std::string>("Regex"), compiler);
    } catch (const Error& e) {
        throw inner.error("Regex", e.reason(), e.expected(), e.found());
    }
}

// Calls emit(Span) for every match, from left to right. After an empty match the search goes on one character later, and an
// empty match right behind another match does not count. In an empty text nothing matches.
template <class Emit> void for_each_match(const Pattern& pattern, std::string_view text, Emit&& emit) {
    if (text.empty()) return;
    if (const auto* scanner = std::get_if<SplitScanner>(&pattern.matcher)) {
        for (std::size_t i = 0; i < text.size();) {
            const std::size_t end = scanner->next(text, i);
            if (scanner->matches(text, i)) emit(Span{i, end});
            i = end;
        }
        return;
    }
    std::size_t last_end = std::string_view::npos;
    for (std::size_t from = 0; from <= text.size();) {
        const auto match = detail::next_match(pattern, text, from);
        if (!match) return;
        from = match->end;
        if (match->begin == match->end) {
            const bool adjacent = match->end == last_end;
            if (from < text.size()) unicode::next_code_point(text, from);
            else ++from;
            if (adjacent) continue;
        }
        last_end = match->end;
        emit(*match);
    }
}

// Matches and gaps, in order, covering the text; of an empty text one empty gap.
inline std::vector<PatternPart> pattern_parts(const Pattern& pattern, std::string_view text) {
    std::vector<PatternPart> parts;
    if (text.empty()) return {{Span{0, 0}, false}};
    std::size_t done = 0;
    for_each_match(pattern, text, [&](Span match) {
        if (done != match.begin) parts.push_back({{done, match.begin}, false});
        parts.push_back({match, true});
        done = match.end;
    });
    if (done != text.size()) parts.push_back({{done, text.size()}, false});
    return parts;
}

}  // namespace morsel
