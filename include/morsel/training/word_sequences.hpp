// Sentences as ids of a vocabulary made from them: what word vectors are trained on. A word is any item that comes in sequences: a word of a
// text, a product of a session. Rare ones are left out, as if they had not been there (gensim and word2vec.c do so too).
// Reads files twice, by all threads: to count, then to encode; held in memory are 4 bytes for each word that is kept.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/flat_map.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/core/threads.hpp"
#include "morsel/training/count_words.hpp"
#include "morsel/training/text_blocks.hpp"
#include "morsel/training/word_counts.hpp"

namespace morsel {

struct WordSequences {
    std::vector<std::string> words = {};       // by id: the most frequent first, equal ones by their bytes
    std::vector<std::uint64_t> counts = {};    // [words]
    std::vector<std::uint32_t> ids = {};       // of all sequences, one after another
    std::vector<std::uint64_t> begins = {0};   // [sequences + 1] in `ids`
    std::size_t size() const noexcept { return begins.size() - 1; }
};

struct WordSequenceOptions {
    std::uint64_t min_count = 5;                // words that occur less often are left out
    std::optional<std::size_t> max_vocab = {};  // words at most, the most frequent
    std::size_t max_length = 10000;             // words of a sequence; longer ones are cut into several
};

namespace detail {

// Fills words and counts, and gives ids by word. Throws Error where no word is left.
inline StringMap choose_vocabulary(const WordCounts& counts, const WordSequenceOptions& options, WordSequences& sequences) {
    StringMap ids;
    for (const auto& [word, count] : counts.sorted()) {
        if (count < options.min_count || sequences.words.size() >= options.max_vocab.value_or(std::numeric_limits<std::uint32_t>::max())) break;
        ids.set(word, static_cast<std::uint32_t>(sequences.words.size()));
        sequences.words.emplace_back(word);
        sequences.counts.push_back(count);
    }
    if (sequences.words.empty())
        throw Error("no words to train on", {.expected = "a word that occurs " + std::to_string(options.min_count) + " times or more", .found = std::to_string(counts.size()) + " different words"});
    return ids;
}

// Takes words one by one and cuts where a sequence ends or is full.
class SequenceWriter {
  public:
    SequenceWriter(const StringMap& known, std::size_t max_length) : known_(&known), max_length_(std::max<std::size_t>(max_length, 1)) {}

    void word(std::string_view word) {
        if (read_++ == max_length_) end(), read_ = 1;
        if (const auto id = known_->find(word)) ids.push_back(*id);
    }
    void end() {
        if (ids.size() > begin_) lengths.push_back(static_cast<std::uint32_t>(ids.size() - begin_));
        begin_ = ids.size(), read_ = 0;
    }

    std::vector<std::uint32_t> ids = {};
    std::vector<std::uint32_t> lengths = {};  // of sequences that have a word

  private:
    const StringMap* known_;
    std::size_t max_length_, begin_ = 0, read_ = 0;
};

inline void append(const SequenceWriter& writer, WordSequences& sequences) {
    sequences.ids.insert(sequences.ids.end(), writer.ids.begin(), writer.ids.end());
    for (const std::uint32_t length : writer.lengths) sequences.begins.push_back(sequences.begins.back() + length);
}

inline bool is_split_at_white_space(const WordSplitting& splitting) {
    return !splitting.normalizer && splitting.pre_tokenizer && splitting.pre_tokenizer->steps.size() == 1 &&
           std::holds_alternative<WhitespaceSplitPreTokenizer>(splitting.pre_tokenizer->steps.front());
}

// f(word) for every word of a line.
template <class F> void for_each_word(std::string_view line, const WordSplitting& splitting, bool at_white_space, F&& f) {
    if (at_white_space) {
        std::size_t begin = 0;
        for (std::size_t at = 0; at < line.size();) {
            const std::size_t here = at;
            const auto byte = static_cast<unsigned char>(line[at]);
            const bool space = byte < 0x80 ? (++at, byte == ' ' || (byte >= '\t' && byte <= '\r')) : unicode::is_white_space(unicode::next_code_point(line, at));
            if (!space) continue;
            if (begin < here) f(line.substr(begin, here - begin));
            begin = at;
        }
        if (begin < line.size()) f(line.substr(begin));
        return;
    }
    std::vector<AlignedText> pieces{aligned(line)};
    if (splitting.normalizer) normalize(*splitting.normalizer, pieces[0]);
    if (splitting.pre_tokenizer) pre_tokenize(*splitting.pre_tokenizer, pieces);
    for (const AlignedText& piece : pieces)
        if (!piece.text.empty()) f(piece.text);
}

}  // namespace detail

// Words are what stands between white space.
inline WordSplitting white_space_splitting() { return {.normalizer = {}, .pre_tokenizer = PreTokenizer{{WhitespaceSplitPreTokenizer{}}}}; }

// Sequences in memory; items may be any strings but empty ones, which do not count. Throws Error where no word is left.
inline WordSequences word_sequences(std::span<const std::vector<std::string>> sentences, const WordSequenceOptions& options = {}) {
    WordCounts counts;
    for (const auto& sentence : sentences)
        for (const std::string& word : sentence) counts.add(word);
    WordSequences sequences;
    const StringMap ids = detail::choose_vocabulary(counts, options, sequences);
    detail::SequenceWriter writer(ids, options.max_length);
    for (const auto& sentence : sentences) {
        for (const std::string& word : sentence)
            if (!word.empty()) writer.word(word);
        writer.end();
    }
    detail::append(writer, sequences);
    return sequences;
}

// Every line of the files is a sequence. The same at any number of threads. Throws Error on a file that cannot be read twice or is no UTF-8,
// on a splitting that gives bytes in place of words, where no word is left, and where `progress` says stop.
inline WordSequences read_word_sequences(std::span<const std::filesystem::path> files, ThreadPool& pool, const WordSequenceOptions& options = {},
                                         const WordSplitting& splitting = white_space_splitting(), const ProgressCallback& progress = {}) {
    for (const auto& file : files)
        if (std::error_code ignored; std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored))
            throw Error("not a regular file: the corpus is read twice", {.file = file.string()});
    const WordCounts counts = count_files(files, splitting, pool, progress);
    if (counts.are_bytes()) throw Error("word vectors need words, not bytes", {.key = "pre_tokenizer", .expected = "one that is not byte-level"});
    WordSequences sequences;
    const StringMap ids = detail::choose_vocabulary(counts, options, sequences);

    struct Part {
        std::size_t file = 0, begin = 0;
        detail::SequenceWriter writer;
    };
    std::vector<Part> parts;
    std::mutex mutex;
    const bool at_white_space = detail::is_split_at_white_space(splitting);
    TextBlocks blocks(files);
    std::atomic<bool> cancelled = false;
    std::size_t told = 0;  // bytes, by the calling thread, which may have read none
    pool.run([&](unsigned thread) {
        TextBlock block;
        while (!cancelled.load(std::memory_order_relaxed) && blocks.next(block)) {
            detail::SequenceWriter writer(ids, options.max_length);
            detail::for_each_line(block.text, [&](std::string_view line) {
                detail::for_each_word(line, splitting, at_white_space, [&](std::string_view word) { writer.word(word); });
                writer.end();
                return true;
            });
            {
                const std::lock_guard lock(mutex);
                parts.push_back({block.file, block.begin, std::move(writer)});
            }
            if (thread == 0 && progress && !progress({"encode", told = blocks.done(), blocks.total()})) cancelled = true;
        }
    });
    if (cancelled || (progress && told < blocks.done() && !progress({"encode", blocks.done(), blocks.total()}))) throw Error("cancelled");
    std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.file != b.file ? a.file < b.file : a.begin < b.begin; });
    std::size_t total = 0;
    for (const Part& part : parts) total += part.writer.ids.size();
    sequences.ids.reserve(total);
    for (Part& part : parts) {
        detail::append(part.writer, sequences);
        part.writer.ids = {}, part.writer.lengths = {};
    }
    return sequences;
}

}  // namespace morsel
