// Normalizers: what a tokenizer does to a section of text before it is split, as tokenizer.json describes it ("normalizer").
// One plain struct per kind, one function that applies any of them. Follows Hugging Face tokenizers' normalizers; alignment is
// kept per byte (aligned_text.hpp).
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/formats/base64.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/tokenizer/splitting/pattern.hpp"
#include "morsel/tokenizer/text/aligned_text.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"
#include "morsel/tokenizer/text/charsmap.hpp"
#include "morsel/tokenizer/text/reference_classes.hpp"
#include "morsel/unicode/normalize.hpp"
#include "morsel/unicode/properties.hpp"

namespace morsel {

struct UnicodeNormalizer {  // NFC, NFD, NFKC, NFKD
    unicode::NormalForm form = unicode::NormalForm::nfc;
};
struct BertNormalizer {
    bool clean_text = true;                             // drop controls, all white space becomes a space
    bool handle_chinese_chars = true;                   // a space on both sides of every ideograph
    std::optional<bool> strip_accents = std::nullopt;   // absent: as `lowercase`
    bool lowercase = true;
};
struct LowercaseNormalizer {};
struct StripNormalizer {  // white space at the ends
    bool left = true, right = true;
};
struct StripAccentsNormalizer {};  // drops all marks; meant to follow NFD or NFKD
struct ReplaceNormalizer {
    Pattern pattern = {};
    std::string content = {};
};
struct PrependNormalizer {  // in front of a text that is not empty
    std::string prefix = {};
};
struct ByteLevelNormalizer {};
struct NmtNormalizer {};  // drops controls, other kinds of white space become a space

// SentencePiece's character map as tokenizers apply it: a grapheme cluster of less than 6 bytes as a whole, else character by
// character, and of the rules that begin there the shortest (SentencePiece itself: the longest).
struct PrecompiledNormalizer {
    Charsmap charsmap = {};
};

struct Normalizer {
    // Nested sequences are flattened while loading.
    std::vector<std::variant<UnicodeNormalizer, BertNormalizer, LowercaseNormalizer, StripNormalizer, StripAccentsNormalizer, ReplaceNormalizer,
                             PrependNormalizer, ByteLevelNormalizer, NmtNormalizer, PrecompiledNormalizer>>
        steps = {};
};

namespace detail {

inline void apply(const UnicodeNormalizer& n, AlignedText& text) {
    if (!unicode::is_normalized_quick(text.text, n.form)) transform(text, unicode::normalized_changes(text.text, n.form, unicode::Repertoire::unicode_9));
}

inline void apply(const LowercaseNormalizer&, AlignedText& text) {
    map_each(text, [](char32_t c, auto&& emit) {
        const unicode::LowerCase lower = unicode::lower(c);
        emit(lower.first);
        if (lower.second != 0) emit(lower.second);
    });
}

inline void apply(const BertNormalizer& n, AlignedText& text) {
    if (n.clean_text) {
        filter(text, [](char32_t c) { return c != 0 && c != unicode::replacement_character && !reference::is_control(c); });
        map_each(text, [](char32_t c, auto&& emit) { emit(unicode::is_white_space(c) ? U' ' : c); });
    }
    if (n.handle_chinese_chars) {
        map_each(text, [](char32_t c, auto&& emit) {
            const bool apart = unicode::is_bert_cjk(c);
            if (apart) emit(U' ');
            emit(c);
            if (apart) emit(U' ');
        });
    }
    if (n.strip_accents.value_or(n.lowercase)) {
        apply(UnicodeNormalizer{unicode::NormalForm::nfd}, text);
        filter(text, [](char32_t c) { return !reference::is_nonspacing_mark(c); });
    }
    if (n.lowercase) apply(LowercaseNormalizer{}, text);
}

inline void apply(const StripNormalizer& n, AlignedText& text) { strip(text, n.left, n.right, unicode::is_white_space); }
inline void apply(const StripAccentsNormalizer&, AlignedText& text) {
    filter(text, [](char32_t c) { return !reference::is_mark(c); });
}

inline void apply(const ReplaceNormalizer& n, AlignedText& text) {
    std::vector<Span> matches;
    for_each_match(n.pattern, text.text, [&](Span match) { matches.push_back(match); });
    replace(text, matches, n.content);
}

inline void apply(const PrependNormalizer& n, AlignedText& text) { prepend(text, n.prefix); }
inline void apply(const ByteLevelNormalizer&, AlignedText& text) { to_byte_level(text); }

inline void apply(const NmtNormalizer&, AlignedText& text) {
    filter(text, [](char32_t c) {
        return !((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F);
    });
    map_each(text, [](char32_t c, auto&& emit) {
        const bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                           c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
        emit(space ? U' ' : c);
    });
}

// Whether the map changes characters one for one at most. Else the offsets of all that comes behind may drift, as in the reference.
inline bool keeps_count(const PrecompiledNormalizer& n, std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t size = unicode::decode(text, i).size;
        if (const auto rule = n.charsmap.shortest_prefix(text.substr(i)))
            if (rule->length != size || unicode::count_code_points(rule->replacement) != 1 || reference::short_grapheme_end(text, i) != i + size) return false;
        i += size;
    }
    return true;
}

inline void apply(const PrecompiledNormalizer& n, AlignedText& text) {
    std::vector<unicode::ChangedCharacter> out;
    bool modified = false;
    const auto take = [&](std::string_view part) {
        const auto rule = part.empty() || part[0] == '\0' ? std::nullopt : n.charsmap.shortest_prefix(part.substr(0, part.find('\0')));
        if (!rule) return false;
        modified = true;
        std::ptrdiff_t change = 0;  // characters it has more than the part
        for (std::size_t i = 0; i < part.size(); --change) unicode::next_code_point(part, i);
        for (std::size_t i = 0; i < rule->replacement.size(); ++change) out.push_back({unicode::next_code_point(rule->replacement, i), 0});
        // Of the characters that are there at the very start, those that vanish are not accounted for: so in the reference.
        if (change < 0 && !out.empty()) out.back().change += change;
        for (std::size_t i = out.size(); change > 0; --change) out[--i].change = 1;
        return true;
    };
    for (std::size_t i = 0; i < text.text.size();) {
        const std::size_t end = reference::short_grapheme_end(text.text, i);
        const std::string_view grapheme = std::string_view(text.text).substr(i, end - i);
        if (grapheme.size() >= 6 || !take(grapheme)) {
            for (std::size_t at = i; at < end;) {
                const std::size_t begin = at;
                const char32_t c = unicode::next_code_point(text.text, at);
                if (!take(std::string_view(text.text).substr(begin, at - begin))) out.push_back({c, 0});
            }
        }
        i = end;
    }
    if (modified) transform(text, out);
}

}  // namespace detail

// Applies all steps in order.
inline void normalize(const Normalizer& normalizer, AlignedText& text) {
    for (const auto& step : normalizer.steps) std::visit([&](const auto& n) { detail::apply(n, text); }, step);
}

// Reads the object under "normalizer" of a tokenizer.json. Throws Error for unknown types and missing or wrong values.
inline Normalizer normalizer_from_json(const JsonObject& root, const RegexCompiler& compiler = {}) {
    Normalizer out;
    // Sequences may hold sequences; a list of what is still to be read keeps the order without recursion.
    std::vector<JsonObject> pending{root};
    while (!pending.empty()) {
        const JsonObject object = std::move(pending.back());
        pending.pop_back();
        const auto type = object.get<std::string>("type");
        if (type == "Sequence") {
            const Json& list = object.at("normalizers");
            if (!list.is_array()) throw object.error("normalizers", "wrong value", "an array", json_text(list));
            for (std::size_t i = list.size(); i-- > 0;)
                pending.emplace_back(list[i], object.file(), object.path_of("normalizers[" + std::to_string(i) + "]"));
        } else if (type == "NFC") out.steps.emplace_back(UnicodeNormalizer{unicode::NormalForm::nfc});
        else if (type == "NFD") out.steps.emplace_back(UnicodeNormalizer{unicode::NormalForm::nfd});
        else if (type == "NFKC") out.steps.emplace_back(UnicodeNormalizer{unicode::NormalForm::nfkc});
        else if (type == "NFKD") out.steps.emplace_back(UnicodeNormalizer{unicode::NormalForm::nfkd});
        else if (type == "BertNormalizer")
            out.steps.emplace_back(BertNormalizer{object.get_or("clean_text", true), object.get_or("handle_chinese_chars", true),
                                                  object.find<bool>("strip_accents"), object.get_or("lowercase", true)});
        else if (type == "Lowercase") out.steps.emplace_back(LowercaseNormalizer{});
        else if (type == "Strip") out.steps.emplace_back(StripNormalizer{object.get_or("strip_left", true), object.get_or("strip_right", true)});
        else if (type == "StripAccents") out.steps.emplace_back(StripAccentsNormalizer{});
        else if (type == "Replace")
            out.steps.emplace_back(ReplaceNormalizer{pattern_from_json(object, "pattern", compiler), object.get<std::string>("content")});
        else if (type == "Prepend") out.steps.emplace_back(PrependNormalizer{object.get<std::string>("prepend")});
        else if (type == "ByteLevel") out.steps.emplace_back(ByteLevelNormalizer{});
        else if (type == "Nmt") out.steps.emplace_back(NmtNormalizer{});
        else if (type == "Precompiled") {
            const auto bytes = base64_decode(object.get<std::string>("precompiled_charsmap"));
            if (!bytes) throw object.error("precompiled_charsmap", "not base64");
            try {
                out.steps.emplace_back(PrecompiledNormalizer{Charsmap(*bytes)});
            } catch (const Error& e) {
                throw object.error("precompiled_charsmap", e.reason(), e.expected(), e.found());
            }
        }
        else throw object.error("type", "unknown normalizer", {}, type);
    }
    return out;
}

}  // namespace morsel
