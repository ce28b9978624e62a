// Building small files byte by byte, and temporary directories to put them in.
#pragma once
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace morsel_test {

template <class T> std::string little_endian(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string safetensors(std::string_view header, std::string_view data = {}) {
    return little_endian<std::uint64_t>(header.size()) + std::string(header) + std::string(data);
}

// A directory that vanishes with the object.
class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "morsel-test-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) std::abort();
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path write(std::string_view name, std::string_view bytes) const {
        std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return path_ / name;
    }

  private:
    std::filesystem::path path_;
};

// Writes GGUF files; every part can be made wrong.
struct GgufBuilder {
    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::uint32_t alignment = 32;  // used for placing, not written
    std::string pairs, infos, data;
    std::uint64_t n_pairs = 0, n_tensors = 0;

    static std::string string(std::string_view text) { return little_endian<std::uint64_t>(text.size()) + std::string(text); }
    GgufBuilder& pair(std::string_view key, std::uint32_t type, std::string_view value) {
        pairs += string(key) + little_endian(type) + std::string(value);
        ++n_pairs;
        return *this;
    }
    GgufBuilder& info(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type, std::uint64_t offset) {
        infos += string(name) + little_endian(static_cast<std::uint32_t>(dims.size()));
        for (const std::uint64_t dim : dims) infos += little_endian(dim);
        infos += little_endian(type) + little_endian(offset);
        ++n_tensors;
        return *this;
    }
    // A tensor with `bytes` as data, placed where the format wants it; dims innermost first.
    GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type, std::string_view bytes) {
        data.resize((data.size() + alignment - 1) / alignment * alignment);
        info(name, dims, type, data.size());
        data += bytes;
        return *this;
    }
    std::string header() const {
        return magic + little_endian(version) + little_endian(n_tensors) + little_endian(n_pairs) + pairs + infos;
    }
    std::string build() const {
        std::string file = header();
        if (n_tensors > 0) file.resize((file.size() + alignment - 1) / alignment * alignment);
        return file + data;
    }
};

}  // namespace morsel_test
