// Pre-tokenizers: how a normalized section is cut into pieces that the model encodes one by one, as tokenizer.json describes it
// ("pre_tokenizer"). One plain struct per kind, one function that applies any of them. Follows Hugging Face tokenizers'
// pre-tokenizers: same cuts, same order, empty pieces dropped.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/tokenizer/splitting/pattern.hpp"
#include "morsel/tokenizer/splitting/split_behavior.hpp"
#include "morsel/tokenizer/text/aligned_text.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"
#include "morsel/tokenizer/text/reference_classes.hpp"
#include "morsel/unicode/properties.hpp"

namespace morsel {

struct ByteLevelPreTokenizer {
    bool add_prefix_space = true;
    bool trim_offsets = true;  // for the post-processor of the same name; does nothing here
    bool use_regex = true;     // cut with GPT-2's pattern first
};
struct BertPreTokenizer {};
struct MetaspacePreTokenizer {
    enum class Prepend { always, first, never };  // first: only at the very start of the caller's text
    char32_t replacement = 0x2581;                // "▁"
    Prepend prepend = Prepend::always;
    bool split = true;
};
struct SplitPreTokenizer {
    Pattern pattern = {};
    SplitBehavior behavior = SplitBehavior::isolated;
    bool invert = false;  // gaps are matches and matches are gaps
};
struct PunctuationPreTokenizer {
    SplitBehavior behavior = SplitBehavior::isolated;
};
struct DigitsPreTokenizer {
    bool individual_digits = false;
};
struct WhitespacePreTokenizer {};       // \w+|[^\w\s]+
struct WhitespaceSplitPreTokenizer {};  // at white space
struct UnicodeScriptsPreTokenizer {};
struct CharDelimiterSplitPreTokenizer {
    char32_t delimiter = U' ';
};
struct FixedLengthPreTokenizer {
    std::size_t length = 5;  // code points, > 0
};

struct PreTokenizer {
    // Nested sequences are flattened while loading.
    std::vector<std::variant<ByteLevelPreTokenizer, BertPreTokenizer, MetaspacePreTokenizer, SplitPreTokenizer, PunctuationPreTokenizer,
                             DigitsPreTokenizer, WhitespacePreTokenizer, WhitespaceSplitPreTokenizer, UnicodeScriptsPreTokenizer,
                             CharDelimiterSplitPreTokenizer, FixedLengthPreTokenizer>>
        steps = {};
};

namespace detail {

using Pieces = std::vector<AlignedText>;

// Cuts every piece at the characters for which in(char32_t) holds.
template <class In> void split_at(Pieces& pieces, SplitBehavior behavior, In&& in) {
    cut_each(pieces, behavior, false, [&](std::string_view text) { return character_parts(text, in); });
}

inline void apply(const ByteLevelPreTokenizer& p, Pieces& pieces) {
    if (p.add_prefix_space)
        for (auto& piece : pieces)
            if (!piece.text.starts_with(' ')) prepend(piece, " ");
    const Pattern gpt2{"", split::gpt2};
    if (p.use_regex) cut_each(pieces, SplitBehavior::isolated, false, [&](std::string_view text) { return pattern_parts(gpt2, text); });
    for (auto& piece : pieces) to_byte_level(piece);
}

inline void apply(const BertPreTokenizer&, Pieces& pieces) {
    split_at(pieces, SplitBehavior::removed, unicode::is_white_space);
    split_at(pieces, SplitBehavior::isolated, reference::is_punctuation);
}

inline void apply(const MetaspacePreTokenizer& p, Pieces& pieces) {
    std::string mark;
    unicode::append(mark, p.replacement);
    for (auto& piece : pieces) {
        map_each(piece, [&](char32_t c, auto&& emit) { emit(c == ' ' ? p.replacement : c); });
        const bool wanted = p.prepend == MetaspacePreTokenizer::Prepend::always || (p.prepend == MetaspacePreTokenizer::Prepend::first && piece.start == 0);
        if (wanted && !piece.text.starts_with(mark)) prepend(piece, mark);
    }
    if (p.split) split_at(pieces, SplitBehavior::merged_with_next, [&](char32_t c) { return c == p.replacement; });
}

inline void apply(const SplitPreTokenizer& p, Pieces& pieces) {
    cut_each(pieces, p.behavior, p.invert, [&](std::string_view text) { return pattern_parts(p.pattern, text); });
}
inline void apply(const PunctuationPreTokenizer& p, Pieces& pieces) { split_at(pieces, p.behavior, reference::is_punctuation); }
inline void apply(const DigitsPreTokenizer& p, Pieces& pieces) {
    split_at(pieces, p.individual_digits ? SplitBehavior::isolated : SplitBehavior::contiguous, reference::is_number);
}
inline void apply(const WhitespaceSplitPreTokenizer&, Pieces& pieces) { split_at(pieces, SplitBehavior::removed, unicode::is_white_space); }
inline void apply(const CharDelimiterSplitPreTokenizer& p, Pieces& pieces) {
    split_at(pieces, SplitBehavior::removed, [&](char32_t c) { return c == p.delimiter; });
}

// Runs of word characters, runs of what is neither word nor white space; white space is dropped.
inline void apply(const WhitespacePreTokenizer&, Pieces& pieces) {
    const auto kind = [](char32_t c) { return unicode::is_word(c) ? 0 : unicode::is_white_space(c) ? 1 : 2; };
    cut_each(pieces, SplitBehavior::removed, true, [&](std::string_view text) {
        std::vector<PatternPart> parts;
        int last = -1;
        for (std::size_t i = 0; i < text.size();) {
            const std::size_t begin = i;
            const int now = kind(unicode::next_code_point(text, i));
            if (now == last) parts.back().at.end = i;
            else parts.push_back({{begin, i}, now != 1});
            last = now;
        }
        return parts;
    });
}

// A new piece begins where the script changes. Hiragana, Katakana and U+30FC count as Han; spaces and characters that Unicode
// 9.0 did not have take the side they are on. As in the reference, what stands before the first character with a script is dropped.
inline void apply(const UnicodeScriptsPreTokenizer&, Pieces& pieces) {
    constexpr int any = 0;  // the id of Unknown
    const int common = unicode::script_id("Common"), devanagari = unicode::script_id("Devanagari"), han = unicode::script_id("Han"), hiragana = unicode::script_id("Hiragana"), katakana = unicode::script_id("Katakana");
    const auto script_of = [&](char32_t c) -> int {
        if (c == 0x30FC) return han;
        if (c == ' ' || unicode::detail::is_after_unicode_9(c)) return any;
        if (c == 0x589 || c == 0x61C) return common;  // of one script since 10.0
        if (c == 0x953 || c == 0x954) return devanagari;  // inherited since then
        const int script = unicode::script(c);
        return script == hiragana || script == katakana ? han : script;
    };
    cut_each(pieces, SplitBehavior::removed, false, [&](std::string_view text) {
        std::vector<PatternPart> parts;
        int last = -1;
        for (std::size_t i = 0; i < text.size();) {
            const std::size_t begin = i;
            const int script = script_of(unicode::next_code_point(text, i));
            if (script != any && script != last) parts.push_back({{begin, i}, false});
            else if (!parts.empty()) parts.back().at.end = i;
            if (script != any) last = script;
        }
        return parts;
    });
}

inline void apply(const FixedLengthPreTokenizer& p, Pieces& pieces) {
    cut_each(pieces, SplitBehavior::isolated, false, [&](std::string_view text) {
        std::vector<PatternPart> parts;
        for (std::size_t i = 0; i < text.size();) {
            const std::size_t begin = i;
            for (std::size_t n = 0; n < p.length && i < text.size(); ++n) unicode::next_code_point(text, i);
            parts.push_back({{begin, i}, false});
        }
        return parts;
    });
}

inline SplitBehavior behavior_from_json(const JsonObject& object, std::string_view name) {
    const auto text = object.get<std::string>(name);
    if (const auto behavior = split_behavior(text)) return *behavior;
    throw object.error(name, "unknown split behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous", text);
}

// The single code point of a string.
inline char32_t character_from_json(const JsonObject& object, std::string_view name) {
    const auto text = object.get<std::string>(name);
    std::size_t i = 0;
    if (!text.empty()) {
        const char32_t c = unicode::next_code_point(text, i);
        if (i == text.size()) return c;
    }
    throw object.error(name, "wrong value", "one character", '"' + text + '"');
}

inline MetaspacePreTokenizer metaspace_from_json(const JsonObject& object) {
    using Prepend = MetaspacePreTokenizer::Prepend;
    MetaspacePreTokenizer out;
    out.replacement = character_from_json(object, "replacement");
    const auto scheme = object.get_or<std::string>("prepend_scheme", "always");
    if (scheme == "always") out.prepend = Prepend::always;
    else if (scheme == "first") out.prepend = Prepend::first;
    else if (scheme == "never") out.prepend = Prepend::never;
    else throw object.error("prepend_scheme", "unknown scheme", "always, first or never", scheme);
    // Files older than prepend_scheme say only whether; one that says both must not contradict itself.
    if (!object.get_or("add_prefix_space", true) && out.prepend != Prepend::never)
        throw object.error("add_prefix_space", "contradicts prepend_scheme", "prepend_scheme never", scheme);
    out.split = object.get_or("split", true);
    return out;
}

}  // namespace detail

// Cuts every piece by all steps in order.
inline void pre_tokenize(const PreTokenizer& pre_tokenizer, std::vector<AlignedText>& pieces) {
    for (const auto& step : pre_tokenizer.steps) std::visit([&](const auto& p) { detail::apply(p, pieces); }, step);
}

// Reads the object under "pre_tokenizer" of a tokenizer.json. Throws Error for unknown types and missing or wrong values.
inline PreTokenizer pre_tokenizer_from_json(const JsonObject& root, const RegexCompiler& compiler = {}) {
    PreTokenizer out;
    std::vector<JsonObject> pending{root};  // a list instead of recursion: sequences may hold sequences
    while (!pending.empty()) {
        const JsonObject object = std::move(pending.back());
        pending.pop_back();
        const auto type = object.get<std::string>("type");
        if (type == "Sequence") {
            const Json& list = object.at("pretokenizers");
            if (!list.is_array()) throw object.error("pretokenizers", "wrong value", "an array", json_text(list));
            for (std::size_t i = list.size(); i-- > 0;)
                pending.emplace_back(list[i], object.file(), object.path_of("pretokenizers[" + std::to_string(i) + "]"));
        } else if (type == "ByteLevel")
            out.steps.emplace_back(ByteLevelPreTokenizer{object.get_or("add_prefix_space", true), object.get_or("trim_offsets", true), object.get_or("use_regex", true)});
        else if (type == "BertPreTokenizer") out.steps.emplace_back(BertPreTokenizer{});
        else if (type == "Metaspace") out.steps.emplace_back(detail::metaspace_from_json(object));
        else if (type == "Split")
            out.steps.emplace_back(SplitPreTokenizer{pattern_from_json(object, "pattern", compiler), detail::behavior_from_json(object, "behavior"), object.get_or("invert", false)});
        else if (type == "Punctuation")
            out.steps.emplace_back(PunctuationPreTokenizer{object.has("behavior") ? detail::behavior_from_json(object, "behavior") : SplitBehavior::isolated});
        else if (type == "Digits") out.steps.emplace_back(DigitsPreTokenizer{object.get_or("individual_digits", false)});
        else if (type == "Whitespace") out.steps.emplace_back(WhitespacePreTokenizer{});
        else if (type == "WhitespaceSplit") out.steps.emplace_back(WhitespaceSplitPreTokenizer{});
        else if (type == "UnicodeScripts") out.steps.emplace_back(UnicodeScriptsPreTokenizer{});
        else if (type == "CharDelimiterSplit") out.steps.emplace_back(CharDelimiterSplitPreTokenizer{detail::character_from_json(object, "delimiter")});
        else if (type == "FixedLength") {
            const auto length = object.get_or<std::size_t>("length", 5);
            if (length == 0) throw object.error("length", "wrong value", "at least 1", "0");
            out.steps.emplace_back(FixedLengthPreTokenizer{length});
        } else throw object.error("type", "unknown pre-tokenizer", {}, type);
    }
    return out;
}

}  // namespace morsel
