// The parts of a tokenizer as tokenizer.json writes them: normalizers, pre-tokenizers, post-processors, decoders, added tokens, truncation
// and padding. The inverse of the readers beside each of them; the form and the order of keys are those of Hugging Face tokenizers 0.23.
// What that format has no words for is an Error that names the part.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "morsel/core/error.hpp"
#include "morsel/formats/base64.hpp"
#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

using OrderedJson = nlohmann::ordered_json;  // for small trees only: looking up a key is linear

namespace detail {

inline std::string character_text(char32_t c) {
    std::string text;
    unicode::append(text, c);
    return text;
}

// The text of the known pattern that this scanner stands for; empty where there is none.
inline std::string_view regex_of(const SplitScanner& scanner) noexcept {
    for (const split::Known& known : split::known)
        if (known.scanner.next == scanner.next && known.scanner.is_match == scanner.is_match) return known.regex;
    return {};
}

inline OrderedJson to_json(const Pattern& pattern, const char* key) {
    if (const auto* literal = std::get_if<std::string>(&pattern.matcher)) {
        if (pattern.source.empty() || pattern.source == *literal) return {{"String", *literal}};
        return {{"Regex", pattern.source}};
    }
    std::string_view regex = pattern.source;
    if (const auto* scanner = std::get_if<SplitScanner>(&pattern.matcher)) {
        const SplitScanner named = known_scanner(regex);
        if (named.next != scanner->next || named.is_match != scanner->is_match) regex = regex_of(*scanner);
    }
    if (regex.empty()) throw Error("this pattern has no regular expression to write", {.key = key});
    return {{"Regex", regex}};
}

inline const char* name_of(SplitBehavior behavior) noexcept {
    switch (behavior) {
        case SplitBehavior::removed: return "Removed";
        case SplitBehavior::isolated: return "Isolated";
        case SplitBehavior::merged_with_previous: return "MergedWithPrevious";
        case SplitBehavior::merged_with_next: return "MergedWithNext";
        case SplitBehavior::contiguous: return "Contiguous";
    }
    return "";
}

// ---- normalizers
inline OrderedJson to_json(const UnicodeNormalizer& n) {
    switch (n.form) {
        case unicode::NormalForm::nfc: return {{"type", "NFC"}};
        case unicode::NormalForm::nfd: return {{"type", "NFD"}};
        case unicode::NormalForm::nfkc: return {{"type", "NFKC"}};
        case unicode::NormalForm::nfkd: return {{"type", "NFKD"}};
    }
    return {};
}
inline OrderedJson to_json(const BertNormalizer& n) {
    return {{"type", "BertNormalizer"}, {"clean_text", n.clean_text}, {"handle_chinese_chars", n.handle_chinese_chars},
            {"strip_accents", n.strip_accents ? OrderedJson(*n.strip_accents) : OrderedJson(nullptr)}, {"lowercase", n.lowercase}};
}
inline OrderedJson to_json(const LowercaseNormalizer&) { return {{"type", "Lowercase"}}; }
inline OrderedJson to_json(const StripNormalizer& n) { return {{"type", "Strip"}, {"strip_left", n.left}, {"strip_right", n.right}}; }
inline OrderedJson to_json(const StripAccentsNormalizer&) { return {{"type", "StripAccents"}}; }
inline OrderedJson to_json(const ReplaceNormalizer& n) { return {{"type", "Replace"}, {"pattern", to_json(n.pattern, "normalizer.pattern")}, {"content", n.content}}; }
inline OrderedJson to_json(const PrependNormalizer& n) { return {{"type", "Prepend"}, {"prepend", n.prefix}}; }
inline OrderedJson to_json(const ByteLevelNormalizer&) { return {{"type", "ByteLevel"}}; }
inline OrderedJson to_json(const PrecompiledNormalizer& n) { return {{"type", "Precompiled"}, {"precompiled_charsmap", base64_encode(n.charsmap.blob())}}; }
inline OrderedJson to_json(const NmtNormalizer&) { return {{"type", "Nmt"}}; }

// ---- pre-tokenizers
inline OrderedJson to_json(const ByteLevelPreTokenizer& p) {
    return {{"type", "ByteLevel"}, {"add_prefix_space", p.add_prefix_space}, {"trim_offsets", p.trim_offsets}, {"use_regex", p.use_regex}};
}
inline OrderedJson to_json(const BertPreTokenizer&) { return {{"type", "BertPreTokenizer"}}; }
inline OrderedJson to_json(const MetaspacePreTokenizer& p) {
    using Prepend = MetaspacePreTokenizer::Prepend;
    const char* scheme = p.prepend == Prepend::always ? "always" : p.prepend == Prepend::first ? "first" : "never";
    return {{"type", "Metaspace"}, {"replacement", character_text(p.replacement)}, {"prepend_scheme", scheme}, {"split", p.split}};
}
inline OrderedJson to_json(const SplitPreTokenizer& p) {
    return {{"type", "Split"}, {"pattern", to_json(p.pattern, "pre_tokenizer.pattern")}, {"behavior", name_of(p.behavior)}, {"invert", p.invert}};
}
inline OrderedJson to_json(const PunctuationPreTokenizer& p) { return {{"type", "Punctuation"}, {"behavior", name_of(p.behavior)}}; }
inline OrderedJson to_json(const DigitsPreTokenizer& p) { return {{"type", "Digits"}, {"individual_digits", p.individual_digits}}; }
inline OrderedJson to_json(const WhitespacePreTokenizer&) { return {{"type", "Whitespace"}}; }
inline OrderedJson to_json(const WhitespaceSplitPreTokenizer&) { return {{"type", "WhitespaceSplit"}}; }
inline OrderedJson to_json(const UnicodeScriptsPreTokenizer&) { return {{"type", "UnicodeScripts"}}; }
inline OrderedJson to_json(const CharDelimiterSplitPreTokenizer& p) { return {{"type", "CharDelimiterSplit"}, {"delimiter", character_text(p.delimiter)}}; }
inline OrderedJson to_json(const FixedLengthPreTokenizer& p) { return {{"type", "FixedLength"}, {"length", p.length}}; }

// ---- decoders; null: said by having none
inline OrderedJson to_json(const ByteLevelDecoder&) { return to_json(ByteLevelPreTokenizer{}); }  // its fields do nothing here
inline OrderedJson to_json(const WordPieceDecoder& d) { return {{"type", "WordPiece"}, {"prefix", d.prefix}, {"cleanup", d.cleanup}}; }
inline OrderedJson to_json(const MetaspaceDecoder& d) {
    using Prepend = MetaspacePreTokenizer::Prepend;
    return to_json(MetaspacePreTokenizer{.replacement = d.replacement, .prepend = d.strip_first ? Prepend::always : Prepend::never});
}
inline OrderedJson to_json(const ByteFallbackDecoder&) { return {{"type", "ByteFallback"}}; }
inline OrderedJson to_json(const FuseDecoder&) { return {{"type", "Fuse"}}; }
inline OrderedJson to_json(const StripDecoder& d) { return {{"type", "Strip"}, {"content", character_text(d.content)}, {"start", d.start}, {"stop", d.stop}}; }
inline OrderedJson to_json(const ReplaceDecoder& d) { return {{"type", "Replace"}, {"pattern", to_json(d.pattern, "decoder.pattern")}, {"content", d.content}}; }
inline OrderedJson to_json(const BpeDecoder& d) { return {{"type", "BPEDecoder"}, {"suffix", d.suffix}}; }
inline OrderedJson to_json(const CtcDecoder& d) {
    return {{"type", "CTC"}, {"pad_token", d.pad_token}, {"word_delimiter_token", d.word_delimiter_token}, {"cleanup", d.cleanup}};
}
inline OrderedJson to_json(const BytesDecoder&) { throw Error("tokenizer.json has no decoder for bytes as characters", {.key = "decoder"}); }
inline OrderedJson to_json(const JoinDecoder&) { return nullptr; }
// The chain that published tokenizer.json files of SentencePiece models have. A run of bytes that is no UTF-8 then decodes as there: to one
// U+FFFD for each of its bytes.
inline OrderedJson to_json(const SentencePieceDecoder& d) {
    if (d.strip_all_leading) throw Error("tokenizer.json cannot say that all leading spaces vanish", {.key = "decoder"});
    OrderedJson steps = OrderedJson::array({to_json(ReplaceDecoder{Pattern{"", std::string(space_symbol)}, " "}), to_json(ByteFallbackDecoder{}), to_json(FuseDecoder{})});
    if (d.strip_first) steps.push_back(to_json(StripDecoder{' ', 1, 0}));
    return {{"type", "Sequence"}, {"decoders", steps}};
}

// None: null; one: itself; several: a Sequence that lists them under `name`.
inline OrderedJson sequence_json(std::vector<OrderedJson> steps, const char* name) {
    if (steps.empty()) return nullptr;
    if (steps.size() == 1) return std::move(steps.front());
    OrderedJson list = OrderedJson::array();
    for (OrderedJson& step : steps) list.push_back(std::move(step));
    return {{"type", "Sequence"}, {name, std::move(list)}};
}

inline std::vector<OrderedJson> steps_json(const auto& steps) {
    std::vector<OrderedJson> out;
    for (const auto& step : steps) out.push_back(std::visit([](const auto& s) { return to_json(s); }, step));
    return out;
}

// ---- post-processors
inline bool same_pieces(const std::vector<TemplatePiece>& a, const std::vector<TemplatePiece>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const TemplatePiece& x, const TemplatePiece& y) {
        return x.sequence == y.sequence && x.type_id == y.type_id && x.ids == y.ids && x.tokens == y.tokens;
    });
}

inline OrderedJson to_json(const TemplateProcessing& t) {
    OrderedJson specials = OrderedJson::object();
    const auto pieces = [&](const std::vector<TemplatePiece>& from) {
        OrderedJson list = OrderedJson::array();
        for (const TemplatePiece& piece : from) {
            if (piece.sequence) {
                list.push_back({{"Sequence", {{"id", *piece.sequence == 0 ? "A" : "B"}, {"type_id", piece.type_id}}}});
                continue;
            }
            // The name of a group of tokens is its first token; another group that begins so gets a name of its own.
            if (piece.tokens.empty() || piece.tokens.size() != piece.ids.size()) throw Error("special tokens without names", {.key = "post_processor"});
            std::string name = piece.tokens.front();
            const OrderedJson value = {{"ids", piece.ids}, {"tokens", piece.tokens}};
            const auto taken = [&] { return specials.contains(name) && (specials[name]["ids"] != value["ids"] || specials[name]["tokens"] != value["tokens"]); };
            while (taken()) name += '+';
            specials[name] = {{"id", name}, {"ids", piece.ids}, {"tokens", piece.tokens}};
            list.push_back({{"SpecialToken", {{"id", name}, {"type_id", piece.type_id}}}});
        }
        return list;
    };
    OrderedJson single = pieces(t.single), pair = pieces(t.pair);
    return {{"type", "TemplateProcessing"}, {"single", std::move(single)}, {"pair", std::move(pair)}, {"special_tokens", std::move(specials)}};
}

inline OrderedJson to_json(const PostProcessors& processors) {
    std::vector<OrderedJson> steps;
    for (std::size_t i = 0; i < processors.size(); ++i) {
        const auto* trim = std::get_if<TrimOffsets>(&processors[i]);
        // RoBERTa's: (trimming,) one type, the template of <s> A </s> </s> B </s>.
        const std::size_t at = trim != nullptr ? i + 1 : i;
        if (at < processors.size() && std::holds_alternative<SingleType>(processors[at])) {
            const auto* t = at + 1 < processors.size() ? std::get_if<TemplateProcessing>(&processors[at + 1]) : nullptr;
            const bool ends = t != nullptr && t->single.size() == 3 && t->single[0].tokens.size() == 1 && t->single[0].ids.size() == 1 && t->single[2].tokens.size() == 1 && t->single[2].ids.size() == 1;
            if (!ends) throw Error("tokenizer.json cannot say that all tokens have one type without RoBERTa's template", {.key = "post_processor"});
            const TemplatePiece &cls = t->single[0], &sep = t->single[2];
            const TemplateProcessing expected = roberta_template(cls.tokens[0], cls.ids[0], sep.tokens[0], sep.ids[0]);
            if (!same_pieces(t->single, expected.single) || !same_pieces(t->pair, expected.pair)) throw Error("tokenizer.json cannot say that all tokens have one type without RoBERTa's template", {.key = "post_processor"});
            steps.push_back({{"type", "RobertaProcessing"}, {"sep", {sep.tokens[0], sep.ids[0]}}, {"cls", {cls.tokens[0], cls.ids[0]}},
                             {"trim_offsets", trim != nullptr}, {"add_prefix_space", trim == nullptr || trim->add_prefix_space}});
            i = at + 1;
        } else if (trim != nullptr) {
            steps.push_back(to_json(ByteLevelPreTokenizer{.add_prefix_space = trim->add_prefix_space}));
        } else {
            steps.push_back(to_json(std::get<TemplateProcessing>(processors[i])));
        }
    }
    return sequence_json(std::move(steps), "processors");
}

inline const char* name_of(Direction direction) noexcept { return direction == Direction::left ? "Left" : "Right"; }

inline OrderedJson to_json(const Truncation& t) {
    const char* strategy = t.strategy == TruncationStrategy::only_first ? "OnlyFirst" : t.strategy == TruncationStrategy::only_second ? "OnlySecond" : "LongestFirst";
    return {{"direction", name_of(t.direction)}, {"max_length", t.max_length}, {"strategy", strategy}, {"stride", t.stride}};
}
inline OrderedJson to_json(const Padding& p) {
    return {{"strategy", p.length ? OrderedJson{{"Fixed", *p.length}} : OrderedJson("BatchLongest")}, {"direction", name_of(p.direction)},
            {"pad_to_multiple_of", p.multiple_of > 0 ? OrderedJson(p.multiple_of) : OrderedJson(nullptr)}, {"pad_id", p.id}, {"pad_type_id", p.type_id}, {"pad_token", p.token}};
}

// In order of ids. Throws Error where a file would give a token another id than it has.
inline OrderedJson to_json(const AddedTokens& added, const Vocabulary& vocabulary) {
    std::vector<AddedToken> tokens = added.tokens();
    std::stable_sort(tokens.begin(), tokens.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
    AddedTokens read_back;
    OrderedJson list = OrderedJson::array();
    for (const AddedToken& t : tokens) {
        read_back.add(t, vocabulary);
        if (const auto id = read_back.id(t.content); id != t.id)
            throw Error("tokenizer.json cannot give this token its id", {.key = "added_tokens: " + t.content, .expected = std::to_string(id.value_or(0)), .found = std::to_string(t.id)});
        list.push_back({{"id", t.id}, {"content", t.content}, {"single_word", t.single_word}, {"lstrip", t.lstrip}, {"rstrip", t.rstrip}, {"normalized", t.normalized}, {"special", t.special}});
    }
    return list;
}

}  // namespace detail

}  // namespace morsel
