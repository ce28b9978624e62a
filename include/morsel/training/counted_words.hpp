// What counting gives: a table in memory, or several in temporary files where memory was limited. Either can be taken as one table, or be
// written to a file; the latter takes no more memory than there are tables, whatever the number of words.
#pragma once
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/file_replacement.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/training/word_table.hpp"

namespace morsel {

// A table in a temporary file, which vanishes with this object.
class SpilledTable {
  public:
    // Throws Error where the file cannot be written.
    SpilledTable(const WordCounts& counts, const std::filesystem::path& directory) {
        std::string name = (directory / "morsel-words-XXXXXX").string();
        const int fd = ::mkstemp(name.data());
        if (fd < 0) throw failure(name);
        path_ = name;
        try {
            detail::write_word_table(counts, {}, [&](std::string_view bytes) {
                while (!bytes.empty()) {
                    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
                    if (written < 0 && errno == EINTR) continue;
                    if (written <= 0) throw failure(name);
                    bytes.remove_prefix(static_cast<std::size_t>(written));
                }
            });
        } catch (...) {
            ::close(fd), ::unlink(path_.c_str());
            throw;
        }
        ::close(fd);
    }
    SpilledTable(SpilledTable&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    SpilledTable& operator=(SpilledTable&& other) noexcept {
        std::swap(path_, other.path_);
        return *this;
    }
    ~SpilledTable() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    const std::filesystem::path& path() const noexcept { return path_; }

  private:
    static Error failure(const std::string& name) { return Error(std::string("cannot write a temporary file: ") + std::strerror(errno), {.file = name}); }
    std::filesystem::path path_;
};

class CountedWords {
  public:
    explicit CountedWords(WordCounts table) : table_(std::move(table)) {}
    explicit CountedWords(std::vector<SpilledTable> spilled) : spilled_(std::move(spilled)) {}

    std::size_t spilled() const noexcept { return spilled_.size(); }  // temporary files; 0: all is in memory

    // All as one table in memory. To be called once.
    WordCounts take() {
        if (spilled_.empty()) return std::move(table_);
        std::vector<std::filesystem::path> paths;
        for (const SpilledTable& table : spilled_) paths.push_back(table.path());
        return std::move(load_word_counts(paths).counts);
    }

    // Writes all, and what is in other tables, as one file; it appears whole or not at all. Gives the number of words. Throws Error.
    std::size_t save(const std::filesystem::path& path, const std::string& splitting = {}, std::span<const std::filesystem::path> others = {}) const {
        if (spilled_.empty() && others.empty()) return save_word_counts(table_, path, splitting), table_.size();
        std::vector<MappedFile> mapped;
        std::vector<WordTableReader> tables;
        const std::string own = spilled_.empty() ? word_table_bytes(table_) : std::string();
        for (const SpilledTable& table : spilled_) mapped.emplace_back(table.path());
        for (const auto& other : others) mapped.emplace_back(other);
        if (spilled_.empty()) tables.emplace_back(own, path);
        for (const MappedFile& file : mapped) tables.emplace_back(file.text(), file.path());
        FileReplacement file(path);
        WordTableWriter writer(WordTableHeader{tables[0].header().bytes, splitting}, [&](std::string_view bytes) { file.write(bytes); });
        std::size_t words = 0;
        merge_word_tables(tables, [&](std::string_view word, std::uint64_t count) { writer.add(word, count), ++words; });
        writer.finish();
        file.commit();
        return words;
    }

  private:
    WordCounts table_;
    std::vector<SpilledTable> spilled_;
};

}  // namespace morsel
