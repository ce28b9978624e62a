// Word counts as a file, in order of the words' bytes: to keep what a corpus was counted to, to add up what was counted elsewhere, and
// for what does not fit memory. Merging any number of such tables takes the memory of one word for each.
//
//   "MORSELWC"  version 1, flags (1: words are bytes), length and bytes of a text that says how the words were split
//   for each word, the smallest first: its count, at least 1; its length, at least 1; its bytes
//   0, the number of words, the sum of their counts, a checksum of 64 bits, the lowest byte first
//
// Numbers but the checksum are LEB128: seven bits a byte, the lowest first. A reader trusts nothing: not lengths, order, UTF-8 or sums.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/file_replacement.hpp"
#include "morsel/core/flat_map.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/training/word_counts.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

inline constexpr std::uint64_t largest_sum_of_counts = std::uint64_t{1} << 62;

struct WordTableHeader {
    bool bytes = false;          // WordCounts::are_bytes
    std::string splitting = {};  // how words were made, in the caller's words; tables of different splitting are not to be merged
};

namespace detail {

inline constexpr std::string_view word_table_magic = "MORSELWC";
inline constexpr std::uint64_t word_table_version = 1;

// Against damage, not against malice: the counts themselves are checked.
inline std::uint64_t word_table_sum(std::uint64_t sum, std::string_view word, std::uint64_t count) {
    constexpr HashSeed seed{0x243f6a8885a308d3u, 0x13198a2e03707345u};
    return hash_of(sum ^ hash_of(word, seed) ^ count * 0x9e3779b97f4a7c15u, seed);
}

}  // namespace detail

// Writes words in order to any `put(std::string_view)`.
template <class Put> class WordTableWriter {
  public:
    WordTableWriter(const WordTableHeader& header, Put put) : put_(std::move(put)) {
        buffer_ = detail::word_table_magic;
        number(detail::word_table_version), number(header.bytes ? 1 : 0), number(header.splitting.size());
        buffer_ += header.splitting;
        sum_ = detail::word_table_sum(header.bytes, header.splitting, 0);
    }
    void add(std::string_view word, std::uint64_t count) {
        number(count), number(word.size());
        buffer_ += word;
        ++words_, total_ += count;
        sum_ = detail::word_table_sum(sum_, word, count);
        if (buffer_.size() > std::size_t{1} << 18) flush();
    }
    void finish() {
        number(0), number(words_), number(total_);
        for (int i = 0; i < 8; ++i) buffer_ += static_cast<char>(sum_ >> (8 * i) & 0xff);
        flush();
    }

  private:
    void number(std::uint64_t n) {
        for (; n >= 0x80; n >>= 7) buffer_ += static_cast<char>(n | 0x80);
        buffer_ += static_cast<char>(n);
    }
    void flush() {
        put_(std::string_view(buffer_));
        buffer_.clear();
    }
    Put put_;
    std::string buffer_;
    std::uint64_t words_ = 0, total_ = 0, sum_ = 0;
};

// Reads a table word by word out of bytes that outlive it. All Errors name the file, and the byte where that helps.
class WordTableReader {
  public:
    WordTableReader(std::string_view table, std::filesystem::path file) : table_(table), file_(std::move(file)) {
        if (!table.starts_with(detail::word_table_magic)) throw Error("not a table of word counts", {.file = file_.string()});
        at_ = detail::word_table_magic.size();
        if (const std::uint64_t version = number(); version != detail::word_table_version)
            throw Error("unknown version", {.file = file_.string(), .expected = std::to_string(detail::word_table_version), .found = std::to_string(version)});
        const std::uint64_t flags = number();
        if (flags > 1) throw fail("unknown flags");
        header_.bytes = flags == 1;
        header_.splitting = text();
        sum_ = detail::word_table_sum(header_.bytes, header_.splitting, 0);
    }

    const WordTableHeader& header() const noexcept { return header_; }
    std::string_view word() const noexcept { return word_; }
    std::uint64_t count() const noexcept { return count_; }

    // The next word; false behind the last, when all sums are right.
    bool next() {
        count_ = number();
        if (count_ == 0) return check_end(), false;
        if (count_ > largest_sum_of_counts - total_) throw fail("counts are too large to add up");
        const std::string_view before = word_;
        word_ = text();
        if (word_.empty()) throw fail("an empty word");
        if (word_ <= before) throw fail("words are not in order");
        if (!header_.bytes && !unicode::is_valid_utf8(word_)) throw fail("a word is no UTF-8");
        ++words_, total_ += count_;
        sum_ = detail::word_table_sum(sum_, word_, count_);
        return true;
    }

  private:
    Error fail(std::string what) const { return Error(std::move(what), {.file = file_.string(), .key = "byte " + std::to_string(at_)}); }
    std::uint64_t number() {
        std::uint64_t n = 0;
        for (unsigned shift = 0;; shift += 7) {
            if (at_ == table_.size()) throw fail("the file is cut short");
            const auto byte = static_cast<unsigned char>(table_[at_++]);
            if (shift == 63 && byte > 1) throw fail("a number is too large");
            n |= std::uint64_t{byte & 0x7fu} << shift;
            if (byte < 0x80) return n;
        }
    }
    std::string_view text() {
        const std::uint64_t size = number();
        if (size > table_.size() - at_) throw fail("the file is cut short");
        at_ += size;
        return table_.substr(at_ - size, size);
    }
    void check_end() {
        if (number() != words_ || number() != total_) throw fail("the sums at the end are wrong");
        std::uint64_t sum = 0;
        if (table_.size() - at_ != 8) throw fail(table_.size() - at_ < 8 ? "the file is cut short" : "there is more behind the end");
        for (int i = 0; i < 8; ++i) sum |= std::uint64_t{static_cast<unsigned char>(table_[at_++])} << (8 * i);
        if (sum != sum_) throw fail("the checksum is wrong");
    }

    std::string_view table_;
    std::filesystem::path file_;
    std::size_t at_ = 0;  // byte
    WordTableHeader header_;
    std::string_view word_;
    std::uint64_t count_ = 0, words_ = 0, total_ = 0, sum_ = 0;
};

// f(word, count) in order, with the sums of all tables, however split; the text lives as long as the call. Throws Error where bytes meet characters.
template <class F> void merge_word_tables(std::vector<WordTableReader>& tables, F&& f) {
    const auto later = [&](std::size_t a, std::size_t b) { return tables[a].word() > tables[b].word(); };
    std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> queue(later);
    for (std::size_t i = 0; i < tables.size(); ++i) {
        if (tables[i].header().bytes != tables[0].header().bytes) throw Error("tables of bytes and of characters cannot be merged");
        if (tables[i].next()) queue.push(i);
    }
    std::uint64_t total = 0;
    while (!queue.empty()) {
        const std::string_view word = tables[queue.top()].word();
        std::uint64_t count = 0;
        std::vector<std::size_t> same;
        for (; !queue.empty() && tables[queue.top()].word() == word; queue.pop()) {
            const std::uint64_t more = tables[queue.top()].count();
            if (more > largest_sum_of_counts - total) throw Error("counts are too large to add up");
            count += more, total += more;
            same.push_back(queue.top());
        }
        f(word, count);
        for (const std::size_t i : same)
            if (tables[i].next()) queue.push(i);
    }
}

namespace detail {

template <class Put> void write_word_table(const WordCounts& counts, const std::string& splitting, Put&& put) {
    std::vector<CountedWord> words;
    words.reserve(counts.size());
    counts.for_each([&](std::string_view word, std::uint64_t count) { words.push_back({word, count}); });
    std::sort(words.begin(), words.end(), [](const CountedWord& a, const CountedWord& b) { return a.word < b.word; });
    WordTableWriter writer(WordTableHeader{counts.are_bytes(), splitting}, put);
    for (const CountedWord& w : words) writer.add(w.word, w.count);
    writer.finish();
}

}  // namespace detail

// Writes a table; the file appears whole or not at all. Throws Error.
inline void save_word_counts(const WordCounts& counts, const std::filesystem::path& path, const std::string& splitting = {}) {
    FileReplacement file(path);
    detail::write_word_table(counts, splitting, [&](std::string_view bytes) { file.write(bytes); });
    file.commit();
}

// The table in memory as bytes, for sending it elsewhere.
inline std::string word_table_bytes(const WordCounts& counts, const std::string& splitting = {}) {
    std::string bytes;
    detail::write_word_table(counts, splitting, [&](std::string_view more) { bytes += more; });
    return bytes;
}

struct LoadedWordCounts {
    WordCounts counts;
    std::string splitting = {};
};

// The sum of tables. Throws Error.
inline LoadedWordCounts load_word_counts(std::span<const std::filesystem::path> files) {
    std::vector<MappedFile> mapped;
    std::vector<WordTableReader> tables;
    for (const auto& file : files) mapped.emplace_back(file);
    for (const MappedFile& file : mapped) tables.emplace_back(file.text(), file.path());
    if (tables.empty()) return {};
    for (std::size_t i = 0; i < tables.size(); ++i)
        if (tables[i].header().bytes == tables[0].header().bytes && tables[i].header().splitting != tables[0].header().splitting)
            throw Error("words of these tables were split in different ways", {.file = files[i].string(), .expected = "'" + tables[0].header().splitting + "'", .found = "'" + tables[i].header().splitting + "'"});
    LoadedWordCounts out{WordCounts(tables[0].header().bytes), tables[0].header().splitting};
    merge_word_tables(tables, [&](std::string_view word, std::uint64_t count) { out.counts.add(word, count); });
    return out;
}

}  // namespace morsel
