// Building zip archives and pickles byte by byte; every part can be made wrong.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/file_bytes.hpp"

namespace morsel_test {

// Bit by bit, as the definition has it.
inline std::uint32_t plain_crc32(std::string_view bytes) {
    std::uint32_t crc = ~0u;
    for (const char c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

struct ZipEntry {
    std::string name, data;
    std::optional<std::string> local_name = {};
    std::optional<std::uint32_t> crc = {}, size = {}, local_size = {}, offset = {};
    std::uint16_t flags = 0, method = 0;
    std::optional<std::uint16_t> extra_size = {};  // of the local header
    std::string extra = {};                        // of the local header
    std::string behind = {};                       // follows the data
};

struct ZipBuilder {
    std::vector<ZipEntry> entries = {};
    std::string prefix = {}, before_directory = {}, comment = {}, suffix = {};
    std::optional<std::uint16_t> count = {};
    bool zip64 = false;  // end records of that form

    std::string build() const {
        std::string file = prefix, directory;
        for (const ZipEntry& e : entries) {
            const std::string local = e.local_name.value_or(e.name);
            const auto header = static_cast<std::uint32_t>(file.size());
            const std::uint32_t crc = e.crc.value_or(plain_crc32(e.data)), size = e.size.value_or(static_cast<std::uint32_t>(e.data.size()));
            const std::uint32_t local_size = e.local_size.value_or(size);
            const auto fixed = [&](std::uint32_t of, std::uint32_t sum) {
                return little_endian(e.flags) + little_endian(e.method) + std::string(4, '\0') + little_endian(sum) + little_endian(of) + little_endian(of);
            };
            const bool described = (e.flags & 8) != 0;
            file += "PK\x03\x04" + little_endian<std::uint16_t>(20) + fixed(described ? 0 : local_size, described ? 0 : crc) + little_endian(static_cast<std::uint16_t>(local.size())) +
                    little_endian(e.extra_size.value_or(static_cast<std::uint16_t>(e.extra.size()))) + local + e.extra + e.data + e.behind;
            directory += "PK\x01\x02" + little_endian<std::uint16_t>(20) + little_endian<std::uint16_t>(20) + fixed(size, crc) + little_endian(static_cast<std::uint16_t>(e.name.size())) +
                         std::string(12, '\0') + little_endian(e.offset.value_or(header)) + e.name;
        }
        file += before_directory;
        const std::uint64_t begin = file.size(), n = count.value_or(static_cast<std::uint16_t>(entries.size())), size = directory.size();
        file += directory;
        if (zip64) {
            const std::uint64_t record = file.size();
            file += "PK\x06\x06" + little_endian<std::uint64_t>(44) + little_endian<std::uint32_t>(0x2D'001E) + std::string(8, '\0') + little_endian(n) + little_endian(n) + little_endian(size) + little_endian(begin);
            file += std::string("PK\x06\x07") + std::string(4, '\0') + little_endian(record) + little_endian<std::uint32_t>(1);
        }
        const auto narrow = [](std::uint64_t value) { return little_endian(static_cast<std::uint16_t>(value)); };
        const auto offset = [](std::uint64_t value) { return little_endian(static_cast<std::uint32_t>(value)); };
        return file + std::string("PK\x05\x06") + std::string(4, '\0') + narrow(n) + narrow(n) + offset(size) + offset(begin) + narrow(comment.size()) + comment + suffix;
    }
};

// Pieces of pickles, protocol 2.
namespace pickled {

inline std::string text(std::string_view value) { return "X" + little_endian(static_cast<std::uint32_t>(value.size())) + std::string(value); }
inline std::string integer(std::int64_t value) { return std::string("\x8a\x08") + little_endian(value); }
inline std::string global(std::string_view module, std::string_view name) { return "c" + std::string(module) + "\n" + std::string(name) + "\n"; }
inline std::string tuple(const std::vector<std::string>& values) {
    std::string all = "(";
    for (const std::string& value : values) all += value;
    return all + "t";
}
inline std::string numbers(const std::vector<std::int64_t>& values) {
    std::vector<std::string> all;
    for (const std::int64_t value : values) all.push_back(integer(value));
    return tuple(all);
}
inline std::string storage(std::string_view key, std::int64_t elements, std::string_view type = "FloatStorage") {
    return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(elements)}) + "Q";
}
struct Tensor {
    std::string storage = pickled::storage("0", 4);
    std::int64_t offset = 0;
    std::vector<std::int64_t> size = {4}, strides = {1};
    std::string build() const {
        return global("torch._utils", "_rebuild_tensor_v2") + tuple({pickled::integer(offset).insert(0, storage), numbers(size), numbers(strides), "\x89", global("collections", "OrderedDict") + ")R"}) + "R";
    }
};
// A dict of these, key and value in turn.
inline std::string dict(const std::vector<std::string>& items) {
    std::string all = "}(";
    for (const std::string& item : items) all += item;
    return all + "u";
}
inline std::string whole(std::string_view value) { return "\x80\x02" + std::string(value) + "."; }

}  // namespace pickled

// An archive as torch writes it, around that pickle.
inline ZipBuilder torch_archive(const std::string& pickle, const std::vector<std::pair<std::string, std::string>>& storages = {{"0", std::string(16, 'w')}}) {
    ZipBuilder zip;
    zip.entries = {{.name = "archive/data.pkl", .data = pickle}, {.name = "archive/version", .data = "3\n"}};
    for (const auto& [key, bytes] : storages) zip.entries.push_back({.name = "archive/data/" + key, .data = bytes});
    return zip;
}

}  // namespace morsel_test
