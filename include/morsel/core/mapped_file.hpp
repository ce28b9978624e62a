// A whole file as bytes: mapped read-only, so opening costs nothing and pages come in as they are read.
// The mapping is private to the object and ends with it. A file that another process shrinks while it is mapped makes the kernel
// raise SIGBUS on access; where files can change under the program, read them with `read_file` instead.
// POSIX only for now.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "morsel/core/error.hpp"

namespace morsel {

class MappedFile {
  public:
    MappedFile() = default;

    // Throws Error where the path is missing, unreadable or not a regular file (a FIFO would hang, a device has no size).
    explicit MappedFile(const std::filesystem::path& path) : path_(path) {
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) throw Error(std::string("cannot open: ") + std::strerror(errno), {.file = path.string()});
        struct stat status = {};
        const bool known = ::fstat(fd, &status) == 0;
        if (!known || !S_ISREG(status.st_mode)) {
            ::close(fd);
            throw Error("not a regular file", {.file = path.string(), .found = S_ISDIR(status.st_mode) ? "a directory" : ""});
        }
        size_ = static_cast<std::size_t>(status.st_size);
        if (size_ > 0) {
            void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
            if (address == MAP_FAILED) {
                const int reason = errno;
                ::close(fd);
                throw Error(std::string("cannot map: ") + std::strerror(reason), {.file = path.string()});
            }
            data_ = static_cast<const std::byte*>(address);
        }
        ::close(fd);
    }

    MappedFile(MappedFile&& other) noexcept
        : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    MappedFile& operator=(MappedFile&& other) noexcept {
        std::swap(path_, other.path_), std::swap(data_, other.data_), std::swap(size_, other.size_);
        return *this;
    }
    ~MappedFile() {
        if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    }

    std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
    std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }
    const std::filesystem::path& path() const noexcept { return path_; }

    // Tells the kernel that these pages will not be read again soon: a loader that repacks weights calls it tensor by tensor, so
    // that the resident size never holds the file and its packed copy at once. The bytes stay readable. Bytes elsewhere are left alone.
    void release(std::span<const std::byte> part) const noexcept {
        const std::less_equal<const std::byte*> before;
        if (data_ == nullptr || !before(data_, part.data()) || !before(part.data() + part.size(), data_ + size_)) return;
        const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
        const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
        if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }

  private:
    std::filesystem::path path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;  // bytes
};

// The file's text, in owned memory. Throws Error as MappedFile does.
inline std::string read_file(const std::filesystem::path& path) { return std::string(MappedFile(path).text()); }

}  // namespace morsel
