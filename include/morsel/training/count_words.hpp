// From text to word counts, by the normalizer and pre-tokenizer that the tokenizer will use. A sequence is treated by itself; of files
// every line is one, with its line ending, as Hugging Face's trainers feed them (so no word crosses a line).
// Byte-level pre-tokenizers of known patterns are counted as raw bytes by the cutter of the fast encoder. Where white space ends every
// word, text is counted by what stands between ASCII spaces, and only distinct stretches are cut further. All others go the plain way.
// Threads take blocks of lines and count into tables of their own, which are added up; the result does not depend on their number.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/core/threads.hpp"
#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/tokenizer/splitting/byte_level_scanner.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"
#include "morsel/training/word_counts.hpp"

namespace morsel {

// How text becomes words.
struct WordSplitting {
    std::optional<Normalizer> normalizer = {};
    std::optional<PreTokenizer> pre_tokenizer = {};
};

// Counts sequence after sequence into one table. For one thread at a time.
class WordCounter {
  public:
    explicit WordCounter(const WordSplitting& splitting) : splitting_(splitting) {
        if (splitting.pre_tokenizer && !splitting.normalizer) bytes_ = byte_level_scanner(*splitting.pre_tokenizer);
        if (bytes_) cutter_ = fast::PieceCutter(bytes_->scanner), space_ = std::make_unique<fast::CutSpace>();
        if (splitting.pre_tokenizer && !splitting.normalizer && !splitting.pre_tokenizer->steps.empty()) {
            const auto& first = splitting.pre_tokenizer->steps.front();
            by_spaces_ = std::holds_alternative<BertPreTokenizer>(first) || std::holds_alternative<WhitespacePreTokenizer>(first) ||
                         std::holds_alternative<WhitespaceSplitPreTokenizer>(first);
        }
        counts_ = WordCounts(bytes_.has_value());
    }

    // Gives false, having counted some of it, where the sequence is no UTF-8.
    [[nodiscard]] bool add(std::string_view sequence, std::uint64_t times = 1) {
        if (sequence.empty()) return true;
        if (bytes_) return add_bytes(sequence, times);
        if (!unicode::is_valid_utf8(sequence)) return false;
        if (by_spaces_) add_stretches(sequence, times);
        else add_plain(sequence, times);
        return true;
    }

    // All that was counted. To be called once, at the end.
    WordCounts finish() {
        stretches_.for_each([&](std::string_view stretch, std::uint64_t times) { add_plain(stretch, times); });
        stretches_ = WordCounts();
        return std::move(counts_);
    }

  private:
    void add_plain(std::string_view sequence, std::uint64_t times) {
        std::vector<AlignedText> pieces{aligned(sequence)};
        if (splitting_.normalizer) normalize(*splitting_.normalizer, pieces[0]);
        if (splitting_.pre_tokenizer) pre_tokenize(*splitting_.pre_tokenizer, pieces);
        for (const AlignedText& piece : pieces) counts_.add(piece.text, times);
    }

    void add_stretches(std::string_view sequence, std::uint64_t times) {
        const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
        for (std::size_t i = 0; i < sequence.size(); ++i) {
            const std::size_t begin = i;
            while (i < sequence.size() && !is_space(sequence[i])) ++i;
            stretches_.add(sequence.substr(begin, i - begin), times);
        }
    }

    bool add_bytes(std::string_view sequence, std::uint64_t times) {
        if (bytes_->prefix_space && sequence.front() != ' ') {
            prefixed_.assign(1, ' ').append(sequence);
            sequence = prefixed_;
        }
        for (std::size_t at = 0; at < sequence.size();) {
            const fast::Pieces pieces = cutter_.cut(sequence, at, *space_);
            if (pieces.count == 0) return false;
            if (times == 1) counts_.add_pieces(pieces.text, space_->starts, pieces.count);
            else
                for (std::size_t i = 0; i < pieces.count; ++i) counts_.add({pieces.text + space_->starts[i], space_->starts[i + 1] - space_->starts[i]}, times);
            at += pieces.bytes;
        }
        return true;
    }

    WordSplitting splitting_;
    std::optional<ByteLevelScanner> bytes_ = {};
    fast::PieceCutter cutter_;
    std::unique_ptr<fast::CutSpace> space_ = {};
    std::string prefixed_ = {};
    bool by_spaces_ = false;
    WordCounts stretches_;  // between spaces; cut into words at the end
    WordCounts counts_;
};

// Words of texts in memory, each one sequence. Throws Error on a text that is no UTF-8.
inline WordCounts count_texts(std::span<const std::string> texts, const WordSplitting& splitting) {
    WordCounter counter(splitting);
    for (std::size_t i = 0; i < texts.size(); ++i)
        if (!counter.add(texts[i])) throw Error("text is no UTF-8", {.key = "text " + std::to_string(i)});
    return counter.finish();
}

namespace detail {

// Adds the tables up, into the largest.
inline WordCounts add_up(std::vector<WordCounts>& tables) {
    std::size_t largest = 0;
    for (std::size_t i = 1; i < tables.size(); ++i)
        if (tables[i].size() > tables[largest].size()) largest = i;
    std::swap(tables[0], tables[largest]);
    for (; tables.size() > 1; tables.pop_back()) tables[0].merge(tables.back());
    return std::move(tables[0]);
}

// Calls line(text) for every line, with its ending. Gives false where that gives false.
template <class Line> bool for_each_line(std::string_view text, Line&& line) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t newline = text.find('\n', at), end = newline == text.npos ? text.size() : newline + 1;
        if (!line(text.substr(at, end - at))) return false;
        at = end;
    }
    return true;
}

}  // namespace detail

// Words of files, every line one sequence. Throws Error on a file that cannot be read or is no UTF-8, and where `progress` says stop.
inline WordCounts count_files(std::span<const std::filesystem::path> files, const WordSplitting& splitting, ThreadPool& pool, const ProgressCallback& progress = {}) {
    constexpr std::size_t block = std::size_t{1} << 20;  // bytes; ends at the next line feed
    std::vector<std::unique_ptr<WordCounter>> counters;
    for (unsigned i = 0; i < pool.size(); ++i) counters.push_back(std::make_unique<WordCounter>(splitting));
    std::vector<MappedFile> mapped;
    std::size_t total = 0, before = 0;  // bytes
    for (const auto& file : files) total += mapped.emplace_back(file).bytes().size();
    for (const MappedFile& file : mapped) {
        const std::string_view text = file.text();
        std::mutex mutex;
        std::size_t next = 0;  // byte, beginning of a line
        std::atomic<bool> stopped = false, cancelled = false;
        std::optional<std::size_t> bad;  // byte at which the line begins that is no UTF-8
        pool.run([&](unsigned thread) {
            while (!stopped.load(std::memory_order_relaxed)) {
                std::size_t begin, end;
                {
                    const std::lock_guard lock(mutex);
                    if (next == text.size()) return;
                    begin = next;
                    const std::size_t newline = text.size() - begin > block ? text.find('\n', begin + block - 1) : text.npos;
                    next = end = newline == text.npos ? text.size() : newline + 1;
                }
                detail::for_each_line(text.substr(begin, end - begin), [&](std::string_view line) {
                    if (counters[thread]->add(line)) return true;
                    const std::lock_guard lock(mutex);
                    const std::size_t at = static_cast<std::size_t>(line.data() - text.data());
                    bad = std::min(bad.value_or(at), at);
                    stopped = true;
                    return false;
                });
                file.release(file.bytes().subspan(begin, end - begin));
                if (thread == 0 && progress && !progress({"count", before + end, total})) cancelled = true, stopped = true;
            }
        });
        if (cancelled) throw Error("cancelled");
        if (bad) throw Error("no UTF-8", {.file = file.path().string(), .key = "byte " + std::to_string(*bad + unicode::valid_prefix(text.substr(*bad)))});
        before += text.size();
    }
    std::vector<WordCounts> tables(pool.size());
    pool.run([&](unsigned thread) {
        tables[thread] = counters[thread]->finish();
        counters[thread].reset();
    });
    return detail::add_up(tables);
}

}  // namespace morsel
