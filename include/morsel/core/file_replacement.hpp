// A file that appears whole or not at all: written under a temporary name beside its target, which it then replaces by rename. POSIX.
// Who reads the target sees the old content or the new one, never half of it; an error on the way leaves the old one as it was.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "morsel/core/error.hpp"

namespace morsel {

// A temporary file beside `target` that becomes it on commit() and vanishes otherwise.
class FileReplacement {
  public:
    explicit FileReplacement(std::filesystem::path target) : target_(std::move(target)), temporary_(target_.string() + ".XXXXXX") {
        fd_ = ::mkstemp(temporary_.data());
        if (fd_ < 0) throw failure("cannot create a temporary file");
    }
    FileReplacement(const FileReplacement&) = delete;
    FileReplacement& operator=(const FileReplacement&) = delete;
    ~FileReplacement() {
        if (fd_ >= 0) ::close(fd_), ::unlink(temporary_.c_str());
    }

    void write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) throw failure("cannot write");
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        }
    }
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
    // Overwrites the start of what was written: a header that is known last.
    void write_start(std::span<const std::byte> bytes) {
        for (off_t at = 0; !bytes.empty();) {
            const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), at);
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) throw failure("cannot write");
            bytes = bytes.subspan(static_cast<std::size_t>(written));
            at += written;
        }
    }

    void commit() {
        const mode_t mask = ::umask(0);  // mkstemp makes the file private; give it the mode that a new file has
        ::umask(mask);
        if (::fchmod(fd_, 0666 & ~mask) != 0 || ::fsync(fd_) != 0 || ::rename(temporary_.c_str(), target_.c_str()) != 0) throw failure("cannot write");
        ::close(std::exchange(fd_, -1));
    }

  private:
    Error failure(std::string what) const { return Error(what + ": " + std::strerror(errno), {.file = target_.string()}); }

    std::filesystem::path target_;
    std::string temporary_;
    int fd_ = -1;
};

// Writes a whole file that way. Throws Error.
inline void replace_file(const std::filesystem::path& path, std::string_view content) {
    FileReplacement file(path);
    file.write(content);
    file.commit();
}

}  // namespace morsel
