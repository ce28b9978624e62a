// vocab.json and merges.txt, the files of byte-level BPE tokenizers before tokenizer.json: GPT-2, RoBERTa, Qwen2.
// Which of them it is decides the pre-tokenizer and what goes around the text: tokenizer_class of tokenizer_config.json, else
// model_type of config.json, else RoBERTa where the vocabulary has <s>, </s> and <mask>, else GPT-2.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "morsel/core/mapped_file.hpp"
#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/loading/load_roles.hpp"
#include "morsel/tokenizer/loading/tokenizer_json_reader.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

// A JSON object of tokens and ids. Throws Error with line and column, or with the token whose id is wrong.
inline Vocabulary parse_vocab_json(std::string_view text, const std::filesystem::path& file) {
    detail::check_json_text(text, file);
    Vocabulary vocabulary;
    detail::JsonScanner scan(text, file);
    if (scan.peek() != '{') throw Error("wrong value", {.file = file.string(), .expected = "an object of tokens and ids", .found = detail::found_here(scan)});
    detail::VocabularyReader(scan, file, {}).object(vocabulary);
    scan.end();
    vocabulary.finish();
    return vocabulary;
}

// Lines "left right"; lines that begin with "#version" are skipped. Throws Error with the line number.
inline void parse_merges(std::string_view text, const std::filesystem::path& file, Bpe& bpe) {
    if (!unicode::is_valid_utf8(text)) throw Error("not UTF-8", {.file = file.string(), .key = detail::line_and_column(text, unicode::valid_prefix(text))});
    std::uint32_t rank = 0;
    std::size_t line_number = 0;
    while (!text.empty()) {
        ++line_number;
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with("#version")) continue;
        const auto fail = [&](const std::string& reason, const std::string& expected, const std::string& found) {
            return Error(reason, {.file = file.string(), .key = "line " + std::to_string(line_number), .expected = expected, .found = found});
        };
        const std::size_t space = line.find(' ');
        if (space == line.npos || space == 0 || space + 1 == line.size() || line.find(' ', space + 1) != line.npos)
            throw fail("wrong merge", "two tokens with one space between", "'" + std::string(line.substr(0, 60)) + "'");
        try {
            add_merge(bpe, {line.substr(0, space), line.substr(space + 1)}, rank++);
        } catch (const Error& e) {
            throw fail(e.reason(), e.expected(), e.found());
        }
    }
}

// Throws Error.
inline TokenizerParts load_vocab_merges(const std::filesystem::path& vocab_file, const std::filesystem::path& merges_file, const TokenizerSideFiles& side) {
    Bpe bpe;
    bpe.vocabulary = parse_vocab_json(MappedFile(vocab_file).text(), vocab_file);
    parse_merges(MappedFile(merges_file).text(), merges_file, bpe);

    std::string family;
    if (side.has_config()) family = side.config().get_or<std::string>("tokenizer_class", "");
    if (family.ends_with("Fast")) family.resize(family.size() - 4);
    if (family.empty() && detail::is_file(side.directory / "config.json"))
        family = JsonObject(parse_json_file(side.directory / "config.json"), side.directory / "config.json").get_or<std::string>("model_type", "");
    const Vocabulary& v = bpe.vocabulary;
    const bool looks_like_roberta = v.id("<s>") && v.id("</s>") && v.id("<mask>");
    const bool roberta = family == "RobertaTokenizer" || family == "roberta" || (family.empty() && looks_like_roberta);
    const bool qwen2 = family == "Qwen2Tokenizer" || family == "qwen2" || family == "qwen3";
    const bool gpt2 = family == "GPT2Tokenizer" || family == "gpt2" || family == "PreTrainedTokenizer" || (family.empty() && !roberta);
    if (!roberta && !qwen2 && !gpt2)
        throw Error("vocab.json and merges.txt of this kind of tokenizer are not supported yet; tokenizer.json is", {.file = vocab_file.string(), .key = "tokenizer_class", .found = family});

    TokenizerParts parts;
    parts.decoders = {ByteLevelDecoder{}};
    const bool prefix_space = side.has_config() && side.config().get_or("add_prefix_space", false);
    if (qwen2) {
        parts.normalizer.emplace();
        parts.normalizer->steps.emplace_back(UnicodeNormalizer{unicode::NormalForm::nfc});
        parts.pre_tokenizer.emplace();
        parts.pre_tokenizer->steps.emplace_back(SplitPreTokenizer{Pattern{"", split::qwen2}, SplitBehavior::isolated, false});
        parts.pre_tokenizer->steps.emplace_back(ByteLevelPreTokenizer{.add_prefix_space = false, .use_regex = false});
    } else {
        parts.pre_tokenizer.emplace();
        parts.pre_tokenizer->steps.emplace_back(ByteLevelPreTokenizer{.add_prefix_space = prefix_space});
    }
    if (roberta) {
        const auto cls = v.id("<s>"), sep = v.id("</s>");
        if (!cls || !sep) throw Error("a RoBERTa vocabulary needs <s> and </s>", {.file = vocab_file.string()});
        parts.post_processors = {TrimOffsets{prefix_space}, SingleType{}, roberta_template("<s>", *cls, "</s>", *sep)};
        parts.special_tokens = {.bos = "<s>", .eos = "</s>", .unk = "<unk>", .sep = "</s>", .pad = "<pad>", .cls = "<s>", .mask = "<mask>"};
    } else {
        const std::string end = "<|endoftext|>";
        parts.special_tokens = qwen2 ? SpecialTokens{.eos = end, .pad = end} : SpecialTokens{.bos = end, .eos = end, .unk = end};
    }
    parts.model = std::move(bpe);
    apply_roles(side, parts);
    if (roberta && parts.special_tokens.mask == "<mask>") parts.added_tokens.add({.content = "<mask>", .lstrip = true, .special = true}, vocabulary_of(parts.model));
    add_side_tokens(side, parts);
    return parts;
}

}  // namespace morsel
