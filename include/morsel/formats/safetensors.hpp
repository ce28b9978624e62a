// safetensors: eight bytes with the header's length, a JSON header that names tensors, then their bytes. Opened by mapping, so
// loading copies nothing. Follows the format of github.com/huggingface/safetensors (0.8), every rule of its validation in the same
// order, and is stricter where the reference leaves ambiguity: a repeated name is refused, a tensor must be a JSON object, sums
// of sizes are checked, rank is at most 64. Whatever the bytes are, the result is an object or an Error; memory is at most
// 8 times the header and nothing is allocated from a number that the file only claims.
// Leaves out: writing (safetensors_writer.hpp), models in several files (safetensors_index.hpp).
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/json_scanner.hpp"
#include "morsel/formats/tensor_source.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

inline constexpr std::uint64_t max_safetensors_header = 100'000'000;  // bytes, the format's own limit

namespace detail {

// The dtype that safetensors writes so, case-sensitive.
inline std::optional<DType> safetensors_dtype(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(DType::c64); ++i)
        if (dtype_info(static_cast<DType>(i)).name == name) return static_cast<DType>(i);
    return std::nullopt;
}

}  // namespace detail

class SafetensorsFile final : public TensorSource {
  public:
    // Maps and checks the file. Throws Error whose text begins with the class of the fault: "header too small", "header too
    // large", "invalid header length", "invalid UTF-8", "not valid JSON", "duplicate key", "invalid offset", "size overflow",
    // "misaligned", "wrong tensor size", "incomplete buffer".
    explicit SafetensorsFile(const std::filesystem::path& path) : file_(path), path_(path) { load(file_.bytes()); }
    // The same for bytes in memory, which must outlive the object; `name` is for messages.
    explicit SafetensorsFile(std::span<const std::byte> bytes, std::filesystem::path name = {}) : path_(std::move(name)) { load(bytes); }

    const TensorView* find(std::string_view name) const override {
        const auto less = [this](std::uint32_t i, std::string_view wanted) { return entries_[i].name < wanted; };
        const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name, less);
        return at != by_name_.end() && entries_[*at].name == name ? &entries_[*at].view : nullptr;
    }
    std::vector<std::string> names() const override {
        std::vector<std::string> names;
        names.reserve(entries_.size());
        for (const Entry& entry : entries_) names.push_back(entry.name);
        return names;
    }
    std::filesystem::path path() const override { return path_; }
    void release(const TensorView& view) const override { file_.release(view.bytes); }

    // The header's `__metadata__`, decoded on every call; empty where there is none.
    std::map<std::string, std::string> metadata() const {
        std::map<std::string, std::string> map;
        for (const Pair& pair : metadata_) map.emplace(key_of(pair), text_of(pair.value, pair.value_size));
        return map;
    }

  private:
    struct Entry {
        std::string name;
        TensorView view;
        std::uint64_t begin = 0, end = 0;  // bytes, from the end of the header
    };
    struct Pair {  // places in metadata_text_, bytes
        std::uint32_t key, key_size, value, value_size;
    };

    std::string_view text_of(std::uint32_t begin, std::uint32_t size) const { return std::string_view(metadata_text_).substr(begin, size); }
    std::string_view key_of(const Pair& pair) const { return text_of(pair.key, pair.key_size); }

    Error error(std::string reason, std::string key = {}, std::string expected = {}, std::string found = {}) const {
        return Error(std::move(reason), {.file = path_.string(), .key = std::move(key), .expected = std::move(expected), .found = std::move(found)});
    }

    void load(std::span<const std::byte> bytes) {
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        const auto guess = [&](std::string otherwise) {
            std::string seems = detail::seems_to_be(text);
            return seems.empty() ? otherwise : seems;
        };
        if (text.size() < 8) throw error("header too small", {}, "at least 8 bytes", guess(std::to_string(text.size()) + " bytes"));
        std::uint64_t length = 0;  // of the header, little endian
        for (std::size_t i = 0; i < 8; ++i) length |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
        if (length > max_safetensors_header)
            throw error("header too large", {}, "at most " + std::to_string(max_safetensors_header) + " bytes", guess(std::to_string(length)));
        if (length > text.size() - 8)
            throw error("invalid header length: the header would end after the file", {}, "at most " + std::to_string(text.size() - 8) + " bytes",
                        guess(std::to_string(length)));
        const std::string_view header = text.substr(8, static_cast<std::size_t>(length));
        if (const std::size_t bad = unicode::valid_prefix(header); bad != header.size())
            throw error("invalid UTF-8 in the header", "byte " + std::to_string(8 + bad));
        read_header(header);
        index();
        place(bytes.subspan(8 + header.size()));
    }

    void read_header(std::string_view header) {
        detail::JsonScanner scan(header, path_, "header");
        std::string key;
        bool first = true, metadata_seen = false;
        while (scan.member(key, first)) {
            if (key == "__metadata__") {
                if (std::exchange(metadata_seen, true)) throw scan.error("duplicate key __metadata__");
                if (!scan.take_null()) read_metadata(scan);
            } else {
                read_tensor(scan, key);
            }
            scan.member_done();
        }
        scan.end();
    }

    void read_metadata(detail::JsonScanner& scan) {
        std::string key, value;
        bool first = true;
        while (scan.member(key, first)) {
            scan.string(value);
            const auto at = static_cast<std::uint32_t>(metadata_text_.size());  // the header's limit keeps this below 2^32
            metadata_text_ += key;
            metadata_text_ += value;
            const auto key_size = static_cast<std::uint32_t>(key.size());
            metadata_.push_back({at, key_size, at + key_size, static_cast<std::uint32_t>(value.size())});
            scan.member_done();
        }
    }

    void read_tensor(detail::JsonScanner& scan, const std::string& name) {
        Entry entry;
        entry.name = name;
        std::string key, text;
        bool first = true, dtype = false, shape = false, offsets = false;
        const auto once = [&](bool& seen) {
            if (std::exchange(seen, true)) throw scan.error("duplicate key " + key + " in tensor '" + name + "'");
        };
        while (scan.member(key, first)) {
            if (key == "dtype") {
                once(dtype);
                scan.string(text);
                const auto type = detail::safetensors_dtype(text);
                if (!type) throw scan.error("unknown dtype '" + text.substr(0, 40) + "' of tensor '" + name + "'");
                entry.view.dtype = *type;
            } else if (key == "shape") {
                once(shape);
                read_shape(scan, entry.view.shape);
            } else if (key == "data_offsets") {
                once(offsets);
                scan.expect('[');
                entry.begin = scan.integer();
                scan.expect(',');
                entry.end = scan.integer();
                scan.expect(']');
            } else {
                scan.skip();
            }
            scan.member_done();
        }
        if (!dtype || !shape || !offsets)
            throw scan.error(std::string("tensor '") + name + "' has no " + (!dtype ? "dtype" : !shape ? "shape" : "data_offsets"));
        entries_.push_back(std::move(entry));
    }

    static void read_shape(detail::JsonScanner& scan, std::vector<std::uint64_t>& shape) {
        std::array<std::uint64_t, max_tensor_rank> dims;
        std::size_t rank = 0;
        scan.expect('[');
        if (!scan.take(']')) {
            do {
                if (rank == dims.size()) throw scan.error("more than " + std::to_string(max_tensor_rank) + " dimensions");
                dims[rank++] = scan.integer();
            } while (scan.take(','));
            scan.expect(']');
        }
        shape.assign(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(rank));
    }

    // Sorts names for `find`; a name or metadata key that occurs twice is refused, because readers disagree which one counts.
    void index() {
        by_name_.resize(entries_.size());
        for (std::size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = static_cast<std::uint32_t>(i);
        std::sort(by_name_.begin(), by_name_.end(), [this](auto a, auto b) { return entries_[a].name < entries_[b].name; });
        for (std::size_t i = 1; i < by_name_.size(); ++i)
            if (entries_[by_name_[i]].name == entries_[by_name_[i - 1]].name) throw error("duplicate key: two tensors of one name", entries_[by_name_[i]].name);
        std::sort(metadata_.begin(), metadata_.end(), [this](const Pair& a, const Pair& b) { return key_of(a) < key_of(b); });
        for (std::size_t i = 1; i < metadata_.size(); ++i)
            if (key_of(metadata_[i]) == key_of(metadata_[i - 1])) throw error("duplicate key in __metadata__", std::string(key_of(metadata_[i])));
    }

    // Gives every tensor its bytes: sorted by place they must follow each other without hole or overlap, and fill `data`.
    void place(std::span<const std::byte> data) {
        std::vector<std::uint32_t> order(by_name_);
        std::sort(order.begin(), order.end(), [this](auto a, auto b) {
            return std::pair(entries_[a].begin, entries_[a].end) < std::pair(entries_[b].begin, entries_[b].end);
        });
        std::uint64_t filled = 0;  // bytes
        for (const std::uint32_t i : order) {
            const Entry& entry = entries_[i];
            if (entry.begin != filled || entry.end < entry.begin)
                throw error("invalid offset: tensors must follow each other without hole or overlap", entry.name,
                            "[" + std::to_string(filled) + ", …]", "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]");
            filled = entry.end;
            std::uint64_t bits = 1;
            for (const std::uint64_t dim : entry.view.shape)
                if (!detail::checked_multiply(bits, dim, bits)) throw error("size overflow", entry.name, {}, shape_text(entry.view.shape));
            const DTypeInfo info = dtype_info(entry.view.dtype);
            if (!detail::checked_multiply(bits, info.block_bits, bits)) throw error("size overflow", entry.name, {}, shape_text(entry.view.shape));
            if (bits % 8 != 0) throw error("misaligned: the tensor does not end at a whole byte", entry.name, {}, std::string(info.name) + " " + shape_text(entry.view.shape));
            if (bits / 8 != entry.end - entry.begin)
                throw error("wrong tensor size: data_offsets do not fit dtype and shape", entry.name, std::to_string(bits / 8) + " bytes",
                            std::to_string(entry.end - entry.begin));
        }
        if (filled != data.size())
            throw error(filled > data.size() ? "incomplete buffer: the file ends before its last tensor" : "incomplete buffer: bytes follow the last tensor",
                        {}, std::to_string(filled) + " bytes of data", std::to_string(data.size()));
        for (Entry& entry : entries_)
            entry.view.bytes = data.subspan(static_cast<std::size_t>(entry.begin), static_cast<std::size_t>(entry.end - entry.begin));
    }

    MappedFile file_;  // empty where the bytes are the caller's
    std::filesystem::path path_;
    std::vector<Entry> entries_;           // in header order
    std::vector<std::uint32_t> by_name_;   // indices into entries_, sorted by name
    std::vector<Pair> metadata_;           // sorted by key
    std::string metadata_text_;
};

}  // namespace morsel
