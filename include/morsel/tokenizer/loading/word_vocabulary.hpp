// Words as tokens: the vocabulary that word2vec makes. Words of a corpus by falling count, those rarer than min_count left out; text is cut at
// white space and a word that is not there is the unknown token. Reads the lines "word count" that word2vec's -save-vocab writes.
#pragma once
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

struct WordCount {
    std::string word = {};
    std::uint64_t count = 0;
};

struct WordVocabularyOptions {
    std::uint64_t min_count = 5;          // word2vec's default
    std::string unk_token = "<unk>";      // gets id 0
    bool lower_case = false;              // the text; the words are taken as they are
};

// Words of equal count keep their order. Throws Error for a word that is there twice, is empty or has white space, or is the unknown token.
inline TokenizerParts word_tokenizer(std::span<const WordCount> counts, const WordVocabularyOptions& options = {}) {
    std::vector<const WordCount*> kept;
    for (const WordCount& entry : counts)
        if (entry.count >= options.min_count) kept.push_back(&entry);
    std::stable_sort(kept.begin(), kept.end(), [](const WordCount* a, const WordCount* b) { return a->count > b->count; });
    WordLevel model;
    model.unk_token = options.unk_token;
    model.vocabulary.add(options.unk_token, 0);
    TokenId next = 1;
    for (const WordCount* entry : kept) {
        bool has_space = entry->word.empty();
        for (std::size_t i = 0; i < entry->word.size();) has_space = unicode::is_white_space(unicode::next_code_point(entry->word, i)) || has_space;
        if (has_space) throw Error("a word is empty or has white space in it", {.key = "word", .found = "'" + entry->word + "'"});
        if (model.vocabulary.id(entry->word)) throw Error("a word is there twice, or is the unknown token", {.key = "word", .found = "'" + entry->word + "'"});
        model.vocabulary.add(entry->word, next++);
    }
    model.vocabulary.finish();
    TokenizerParts parts;
    parts.model = std::move(model);
    parts.special_tokens.unk = options.unk_token;
    if (options.lower_case) parts.normalizer.emplace().steps.emplace_back(LowercaseNormalizer{});
    parts.pre_tokenizer.emplace().steps.emplace_back(WhitespaceSplitPreTokenizer{});
    parts.decoders = {JoinDecoder{}};
    return parts;
}

// The lines of a file "word count". Throws Error with the line number.
inline std::vector<WordCount> read_word_counts(const std::filesystem::path& file) {
    const MappedFile mapped(file);
    std::string_view text = mapped.text();
    std::vector<WordCount> counts;
    for (std::size_t line_number = 1; !text.empty(); ++line_number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        const std::size_t space = line.rfind(' ');
        std::uint64_t count = 0;
        const char* const last = line.data() + line.size();
        const bool good = space != line.npos && space > 0 && [&] {
            const auto [at, error] = std::from_chars(line.data() + space + 1, last, count);
            return error == std::errc{} && at == last;
        }();
        if (!good) throw Error("wrong line", {.file = file.string(), .key = "line " + std::to_string(line_number), .expected = "a word, a space and its count", .found = "'" + std::string(line.substr(0, 60)) + "'"});
        counts.push_back({std::string(line.substr(0, space)), count});
    }
    return counts;
}

}  // namespace morsel
