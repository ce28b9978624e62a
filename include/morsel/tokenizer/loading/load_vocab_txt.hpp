// vocab.txt, one token a line, the file of BERT's WordPiece tokenizers. Whether text is lower-cased stands in
// tokenizer_config.json; without it the vocabulary tells: one with no capital letter in any ordinary token is uncased.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "morsel/core/mapped_file.hpp"
#include "morsel/tokenizer/loading/components_from_json.hpp"
#include "morsel/tokenizer/loading/load_roles.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

// The id of a token is its line, from 0; white space at the end of a line does not belong to the token. Only LF ends a line. Of a
// token that stands twice the last line counts. Throws Error where the text is no UTF-8 or begins with a byte order mark.
inline Vocabulary parse_vocab_txt(std::string_view text, const std::filesystem::path& file) {
    if (text.starts_with("\xEF\xBB\xBF")) throw Error("begins with a byte order mark", {.file = file.string()});
    if (!unicode::is_valid_utf8(text)) throw Error("not UTF-8", {.file = file.string(), .key = detail::line_and_column(text, unicode::valid_prefix(text))});
    Vocabulary vocabulary;
    TokenId id = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        while (!line.empty()) {
            const std::size_t last = unicode::previous_start(line, line.size());
            if (!unicode::is_white_space(unicode::decode(line, last).value)) break;
            line = line.substr(0, last);
        }
        vocabulary.add(line, id++);
    }
    vocabulary.finish();
    return vocabulary;
}

// Throws Error.
inline TokenizerParts load_vocab_txt(const std::filesystem::path& file, const TokenizerSideFiles& side, const TokenizerOptions& options = {}) {
    WordPiece wordpiece;
    wordpiece.vocabulary = parse_vocab_txt(MappedFile(file).text(), file);
    find_longest_token(wordpiece);

    bool has_capitals = false;
    wordpiece.vocabulary.for_each([&](std::string_view token, TokenId) {
        if (token.starts_with('[') && token.ends_with(']')) return;  // [CLS]
        for (const char c : token) has_capitals = has_capitals || (c >= 'A' && c <= 'Z');
    });
    BertNormalizer normalizer;
    normalizer.lowercase = !has_capitals;
    TokenizerParts parts;
    parts.special_tokens = {.unk = "[UNK]", .sep = "[SEP]", .pad = "[PAD]", .cls = "[CLS]", .mask = "[MASK]"};
    if (side.has_config()) {
        const JsonObject config = side.config();
        normalizer.lowercase = config.get_or("do_lower_case", normalizer.lowercase);
        normalizer.handle_chinese_chars = config.get_or("tokenize_chinese_chars", true);
        normalizer.strip_accents = config.find<bool>("strip_accents");
    }
    if (options.do_lower_case) normalizer.lowercase = *options.do_lower_case;
    parts.model = std::move(wordpiece);
    apply_roles(side, parts);
    auto& model = std::get<WordPiece>(parts.model);
    model.unk_token = parts.special_tokens.unk.value_or("[UNK]");

    parts.normalizer.emplace();
    parts.normalizer->steps.emplace_back(normalizer);
    parts.pre_tokenizer.emplace();
    parts.pre_tokenizer->steps.emplace_back(BertPreTokenizer{});
    parts.decoders = {WordPieceDecoder{"##", true}};
    // Only roles that the vocabulary has: a vocabulary without [CLS] gets nothing around its texts.
    for (const auto& [key, member] : detail::roles)
        if (auto& token = parts.special_tokens.*member; token && !model.vocabulary.id(*token) && !side.has_config()) token.reset();
    add_side_tokens(side, parts);
    const auto id_of = [&](const std::optional<std::string>& token) { return token ? parts.added_tokens.id(*token) : std::nullopt; };
    const auto cls = id_of(parts.special_tokens.cls), sep = id_of(parts.special_tokens.sep);
    if (cls && sep) parts.post_processors = {bert_template(*parts.special_tokens.cls, *cls, *parts.special_tokens.sep, *sep)};
    return parts;
}

}  // namespace morsel
