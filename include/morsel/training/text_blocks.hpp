// Text for counting, out of files, pipes or the standard input, as blocks of whole lines: several threads take blocks in turn, each into
// memory of its own. A regular file is read from beginning to end, so nothing depends on how large it is.
#pragma once
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"

namespace morsel {

// A share of every file: of `count` readers, this one takes the lines that begin in the part of that index. Pipes have no parts.
struct TextPart {
    std::size_t index = 0, count = 1;
};

// Where reading goes on: a byte of a file of that number, at the beginning of a line.
struct TextPlace {
    std::size_t file = 0, byte = 0;
};

// Whole lines, with their endings; where they are.
struct TextBlock {
    std::string text = {};
    std::size_t file = 0;   // which one
    std::size_t begin = 0;  // byte
};

class TextBlocks {
  public:
    static constexpr std::size_t block = std::size_t{1} << 20;         // bytes; a block ends at the next line feed
    static constexpr std::size_t longest_line = std::size_t{1} << 31;  // bytes

    // "-" is the standard input. `from` is for regular files without parts. Throws Error where a file cannot be read or is none.
    explicit TextBlocks(std::span<const std::filesystem::path> files, TextPart part = {}, TextPlace from = {})
        : files_(files.begin(), files.end()), part_(part), done_(from.byte), file_(from.file), first_byte_(from.byte) {
        for (const auto& file : files_) {
            struct stat status = {};
            if (file == "-" ? ::fstat(STDIN_FILENO, &status) != 0 : ::stat(file.c_str(), &status) != 0) throw failure(file, "cannot open");
            if (S_ISDIR(status.st_mode)) throw Error("not a file", {.file = file.string(), .found = "a directory"});
            if (!S_ISREG(status.st_mode)) sized_ = false;
            else total_ += static_cast<std::size_t>(status.st_size) / part.count;
            if (static_cast<std::size_t>(&file - files_.data()) < from.file) done_ += static_cast<std::size_t>(status.st_size);
            if (part.count > 1 && !S_ISREG(status.st_mode)) throw Error("only a regular file can be shared", {.file = file.string()});
        }
    }
    TextBlocks(const TextBlocks&) = delete;
    TextBlocks& operator=(const TextBlocks&) = delete;
    ~TextBlocks() { close(); }

    std::size_t total() const noexcept { return sized_ ? total_ : 0; }  // bytes, about; 0: not known
    const std::filesystem::path& file(std::size_t number) const noexcept { return files_[number]; }

    // The next block, into memory of the caller; false at the end. From any thread.
    bool next(TextBlock& out) {
        const std::lock_guard lock(mutex_);
        for (;;) {
            if (fd_ < 0) {
                if (file_ == files_.size()) return false;
                open();
            }
            if (at_ < end_ && read_block(out)) return true;
            close();
            ++file_;
        }
    }
    std::size_t done() const {
        const std::lock_guard lock(mutex_);
        return done_;
    }

    // Where the blocks end that were given so far.
    TextPlace place() const {
        const std::lock_guard lock(mutex_);
        return {file_, fd_ < 0 ? first_byte_ : at_};
    }

  private:
    static Error failure(const std::filesystem::path& file, std::string what) { return Error(what + ": " + std::strerror(errno), {.file = file.string()}); }

    void open() {
        const auto& path = files_[file_];
        fd_ = path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd_ < 0) throw failure(path, "cannot open");
        at_ = std::exchange(first_byte_, 0), end_ = ~std::size_t{0};
        rest_.clear();
        if (at_ > 0 && ::lseek(fd_, static_cast<off_t>(at_), SEEK_SET) < 0) throw failure(path, "cannot read");
        if (part_.count == 1) return;
        struct stat status = {};
        if (::fstat(fd_, &status) != 0) throw failure(path, "cannot open");
        const auto size = static_cast<std::size_t>(status.st_size);
        at_ = size / part_.count * part_.index, end_ = part_.index + 1 == part_.count ? size : size / part_.count * (part_.index + 1);
        if (at_ == 0 || at_ >= end_) return;
        // the line that begins before this part belongs to the one before
        --at_;
        if (::lseek(fd_, static_cast<off_t>(at_), SEEK_SET) < 0) throw failure(path, "cannot read");
        std::string skipped;
        while (skipped.find('\n') == skipped.npos && skipped.size() < longest_line && fill(skipped, skipped.size() + 4096)) {}
        const std::size_t line = std::min(skipped.find('\n'), skipped.size() - 1) + 1;
        at_ += line;
        rest_ = skipped.substr(line);
    }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

    // Reads until `text` has that size; false at the end of the file.
    bool fill(std::string& text, std::size_t size) {
        std::size_t have = text.size();
        text.resize(size);
        while (have < size) {
            const ssize_t n = ::read(fd_, text.data() + have, size - have);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw failure(files_[file_], "cannot read");
            if (n == 0) break;
            have += static_cast<std::size_t>(n);
        }
        const bool all = have == size;
        text.resize(have);
        return all;
    }

    bool read_block(TextBlock& out) {
        out.text = std::move(rest_);
        rest_ = {};
        out.file = file_, out.begin = at_;
        for (std::size_t size = block; fill(out.text, std::max(size, out.text.size())); size *= 2) {
            if (out.text.rfind('\n') != out.text.npos) break;
            if (size >= longest_line) throw Error("a line is too long", {.file = files_[file_].string(), .key = "byte " + std::to_string(at_), .expected = "at most " + std::to_string(longest_line) + " bytes"});
        }
        if (out.text.empty()) return false;
        std::size_t end = out.text.rfind('\n') == out.text.npos ? out.text.size() : out.text.rfind('\n') + 1;
        if (end_ - at_ < end) {  // the next part's lines
            const std::size_t last = out.text.find('\n', end_ - at_ - 1);
            end = last == out.text.npos ? out.text.size() : last + 1;
        }
        rest_.assign(out.text, end);
        out.text.resize(end);
        at_ += end, done_ += end;
        return true;
    }

    std::vector<std::filesystem::path> files_;
    TextPart part_;
    bool sized_ = true;
    std::size_t total_ = 0, done_ = 0;  // bytes
    mutable std::mutex mutex_;
    std::size_t file_ = 0, first_byte_ = 0;  // the file that is open or comes next; where that one begins
    std::size_t at_ = 0, end_ = 0;           // of the file that is open; bytes
    int fd_ = -1;
    std::string rest_;  // read already
};

// Patterns like corpus/*.txt as the files they name, in order of their names; other words as they are. Throws Error on a pattern that
// names none.
inline std::vector<std::filesystem::path> files_of(std::span<const std::string> patterns) {
    std::vector<std::filesystem::path> files;
    for (const std::string& pattern : patterns) {
        std::error_code error;
        if (pattern.find_first_of("*?[") == pattern.npos || std::filesystem::exists(pattern, error)) {
            files.emplace_back(pattern);
            continue;
        }
        glob_t found = {};
        const int status = ::glob(pattern.c_str(), 0, nullptr, &found);
        for (std::size_t i = 0; status == 0 && i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
        ::globfree(&found);
        if (status != 0) throw Error("no file has such a name", {.file = pattern});
    }
    return files;
}

}  // namespace morsel
