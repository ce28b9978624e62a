// From text to word counts. A sequence is treated by itself; of files every line is one, with its line ending, as Hugging Face's trainers
// feed them (so no word crosses a line). Threads take blocks of lines and count into tables of their own, which are added up; the result does
// not depend on their number. With a limit of memory, tables that become too large are written to temporary files in order of the words and
// merged at the end: exact, whatever the limit.
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
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/core/threads.hpp"
#include "morsel/training/counted_words.hpp"
#include "morsel/training/text_blocks.hpp"
#include "morsel/training/word_counter.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct CountingOptions {
    WordSplitting splitting = {};
    std::size_t memory = 0;                           // bytes that all tables together may take while counting; 0: no limit
    std::filesystem::path temporary_directory = {};  // where tables go that become too large; empty: the system's
    TextPart part = {};                               // count a share of every file only
};

// Words of texts in memory, each one sequence. Throws Error on a text that is no UTF-8.
inline WordCounts count_texts(std::span<const std::string> texts, const WordSplitting& splitting) {
    WordCounter counter(splitting);
    for (std::size_t i = 0; i < texts.size(); ++i)
        if (!counter.add(texts[i])) throw Error("text is no UTF-8", {.key = "text " + std::to_string(i)});
    return counter.take();
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

// Words of files, every line one sequence; "-" is the standard input. Throws Error on a file that cannot be read or is no UTF-8, and where
// `progress` says stop.
inline CountedWords count_words(std::span<const std::filesystem::path> files, const CountingOptions& options, ThreadPool& pool, const ProgressCallback& progress = {}) {
    TextBlocks blocks(files, options.part);
    const std::size_t limit = options.memory / pool.size() / 3;  // of a table: it doubles beside itself when it grows
    const std::filesystem::path directory = options.temporary_directory.empty() ? std::filesystem::temp_directory_path() : options.temporary_directory;
    std::vector<std::unique_ptr<WordCounter>> counters;
    for (unsigned i = 0; i < pool.size(); ++i) counters.push_back(std::make_unique<WordCounter>(options.splitting));
    std::mutex mutex;
    std::vector<SpilledTable> spilled;
    std::atomic<bool> stopped = false, cancelled = false;
    std::size_t told = 0;  // bytes, by the calling thread, which may have read none
    struct Place {
        std::size_t file, byte;
    };
    std::optional<Place> bad;  // of those seen the first
    const auto spill = [&](WordCounter& counter) {
        SpilledTable table(counter.take(), directory);
        const std::lock_guard lock(mutex);
        spilled.push_back(std::move(table));
    };
    pool.run([&](unsigned thread) {
        TextBlock block;
        try {
            while (!stopped.load(std::memory_order_relaxed) && blocks.next(block)) {
                detail::for_each_line(block.text, [&](std::string_view line) {
                    if (counters[thread]->add(line)) return true;
                    const std::lock_guard lock(mutex);
                    const std::size_t at = block.begin + static_cast<std::size_t>(line.data() - block.text.data()) + unicode::valid_prefix(line);
                    if (!bad || std::pair(block.file, at) < std::pair(bad->file, bad->byte)) bad = Place{block.file, at};
                    stopped = true;
                    return false;
                });
                if (options.memory > 0 && counters[thread]->memory() > limit) spill(*counters[thread]);
                if (thread == 0 && progress && !progress({"count", told = blocks.done(), blocks.total()})) cancelled = true, stopped = true;
            }
        } catch (...) {
            stopped = true;
            throw;
        }
    });
    if (cancelled) throw Error("cancelled");
    if (bad) throw Error("no UTF-8", {.file = blocks.file(bad->file).string(), .key = "byte " + std::to_string(bad->byte)});
    if (progress && told < blocks.done() && !progress({"count", blocks.done(), blocks.total()})) throw Error("cancelled");
    if (!spilled.empty()) {
        for (auto& counter : counters) spill(*counter), counter.reset();
        return CountedWords(std::move(spilled));
    }
    std::vector<WordCounts> tables(pool.size());
    pool.run([&](unsigned thread) {
        tables[thread] = counters[thread]->take();
        counters[thread].reset();
    });
    return CountedWords(detail::add_up(tables));
}

// The same as one table in memory.
inline WordCounts count_files(std::span<const std::filesystem::path> files, const WordSplitting& splitting, ThreadPool& pool, const ProgressCallback& progress = {}) {
    return count_words(files, {.splitting = splitting}, pool, progress).take();
}

}  // namespace morsel
