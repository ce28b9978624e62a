// A zip archive whose entries are stored, not compressed: names with the bytes they stand for, read where they lie.
// Follows PKWARE's APPNOTE 6.3 with zip64, for the archives that torch writes. Where readers of zip files disagree about what a
// file holds, it is refused: entries must fill the file from its first byte to the central directory without hole or overlap,
// local and central headers must agree, names occur once, the end record is at the end, checksums are right.
// Leaves out compression, encryption, several disks, comments behind the archive.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/formats/crc32.hpp"

namespace morsel {

class ZipArchive {
  public:
    struct Entry {
        std::string_view name;
        std::span<const std::byte> bytes;
    };

    // Called with each entry when its checksum is known to be right.
    using OnChecked = std::function<void(std::span<const std::byte>)>;

    // Reads and checks the archive; `file`, which must outlive the object, is its bytes and `path` is for messages. Throws Error
    // whose reason begins with "zip: ".
    ZipArchive(std::span<const std::byte> file, std::filesystem::path path, bool verify_checksums = true, const OnChecked& on_checked = {})
        : file_(file), path_(std::move(path)) {
        read_directory(find_directory());
        read_local_headers();
        index();
        if (verify_checksums)
            for (const Found& entry : entries_) {
                if (crc32(entry.bytes) != entry.crc) throw error("wrong checksum", std::string(entry.name));
                if (on_checked) on_checked(entry.bytes);
            }
        entries_ = {};
    }

    // The entry of that name, or null.
    const Entry* find(std::string_view name) const {
        const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name, [](const Entry& entry, std::string_view wanted) { return entry.name < wanted; });
        return at != by_name_.end() && at->name == name ? &*at : nullptr;
    }
    // Sorted by name.
    std::span<const Entry> entries() const noexcept { return by_name_; }

  private:
    struct Found {
        std::string_view name;
        std::span<const std::byte> bytes;
        std::uint64_t header = 0, size = 0;  // of the local header, bytes from the start of the file; of the content
        std::uint32_t crc = 0;
        std::uint16_t flags = 0;
    };
    struct Directory {
        std::uint64_t begin = 0, end = 0, count = 0;  // bytes, bytes, entries
    };

    static constexpr std::uint32_t none_32 = 0xFFFF'FFFF;  // stands for a number in the zip64 field
    static constexpr std::uint16_t none_16 = 0xFFFF, descriptor_flag = 1 << 3;
    static constexpr std::uint16_t known_flags = descriptor_flag | 1 << 11 | 1 << 1 | 1 << 2;  // UTF-8 names; hints of compressors

    Error error(std::string reason, std::string key = {}, std::string expected = {}, std::string found = {}) const {
        return Error("zip: " + reason, {.file = path_.string(), .key = std::move(key), .expected = std::move(expected), .found = std::move(found)});
    }

    // Little endian; the caller has checked that it is there.
    template <class T> T number(std::uint64_t at) const {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<std::uint64_t>(file_[static_cast<std::size_t>(at) + i]) << (8 * i);
        return static_cast<T>(value);
    }
    std::string_view text(std::uint64_t at, std::size_t size) const { return {reinterpret_cast<const char*>(file_.data()) + at, size}; }
    bool holds(std::uint64_t at, std::uint64_t size, std::uint64_t end) const { return at <= end && size <= end - at; }

    // Where the end records say that the central directory is.
    Directory find_directory() const {
        const std::uint64_t size = file_.size();
        if (size < 22) throw error("too short to be an archive");
        const std::uint64_t end = size - 22;
        if (number<std::uint32_t>(end) != 0x0605'4B50 || number<std::uint16_t>(end + 20) != 0)
            throw error("no end record at the end of the file: it is cut off, or something follows the archive");
        if (number<std::uint16_t>(end + 4) != 0 || number<std::uint16_t>(end + 6) != 0) throw error("an archive in several parts");
        Directory small = {number<std::uint32_t>(end + 16), number<std::uint32_t>(end + 12), number<std::uint16_t>(end + 10)};
        if (number<std::uint16_t>(end + 8) != small.count) throw error("an archive in several parts");
        if (end < 20 || number<std::uint32_t>(end - 20) != 0x0706'4B50) return placed(small, end);

        const std::uint64_t locator = end - 20, record = number<std::uint64_t>(locator + 8);
        if (number<std::uint32_t>(locator + 4) != 0 || number<std::uint32_t>(locator + 16) > 1) throw error("an archive in several parts");
        if (!holds(record, 56, locator) || record + 56 != locator || number<std::uint32_t>(record) != 0x0606'4B50 || number<std::uint64_t>(record + 4) != 44)
            throw error("the zip64 end record is not where it should be");
        const Directory large = {number<std::uint64_t>(record + 48), number<std::uint64_t>(record + 40), number<std::uint64_t>(record + 32)};
        if (number<std::uint64_t>(record + 16) != 0 || number<std::uint64_t>(record + 24) != large.count) throw error("an archive in several parts");
        if ((small.begin != none_32 && small.begin != large.begin) || (small.end != none_32 && small.end != large.end) || (small.count != none_16 && small.count != large.count))
            throw error("the two end records disagree");
        return placed(large, record);
    }

    // `end` holds the size on the way in; the directory must end where the end records begin.
    Directory placed(Directory directory, std::uint64_t records) const {
        const std::uint64_t size = directory.end;
        if (!holds(directory.begin, size, records) || directory.begin + size != records)
            throw error("the central directory does not end where the end record begins", {}, "byte " + std::to_string(records), std::to_string(directory.begin) + " + " + std::to_string(size));
        if (directory.count > size / 46) throw error("more entries than the central directory has room for", {}, "at most " + std::to_string(size / 46), std::to_string(directory.count));
        directory.end = records;
        return directory;
    }

    void read_directory(const Directory& directory) {
        directory_begin_ = directory.begin;
        std::uint64_t at = directory.begin;
        while (at < directory.end) {
            if (!holds(at, 46, directory.end) || number<std::uint32_t>(at) != 0x0201'4B50) throw error("a broken entry in the central directory", {}, {}, "byte " + std::to_string(at));
            Found entry;
            entry.flags = number<std::uint16_t>(at + 8);
            const std::uint16_t method = number<std::uint16_t>(at + 10);
            entry.crc = number<std::uint32_t>(at + 16);
            std::uint64_t stored = number<std::uint32_t>(at + 20);
            entry.size = number<std::uint32_t>(at + 24);
            const std::uint64_t name_size = number<std::uint16_t>(at + 28), extra = number<std::uint16_t>(at + 30), comment = number<std::uint16_t>(at + 32);
            const std::uint16_t disk = number<std::uint16_t>(at + 34);
            entry.header = number<std::uint32_t>(at + 42);
            if (!holds(at + 46, name_size + extra + comment, directory.end)) throw error("a broken entry in the central directory", {}, {}, "byte " + std::to_string(at));
            entry.name = text(at + 46, name_size);
            check_name(entry.name);
            read_zip64(at + 46 + name_size, extra, {&entry.size, &stored, &entry.header}, entry.name);
            if ((entry.flags & ~known_flags) != 0) throw error((entry.flags & 1) != 0 ? "encrypted" : "unknown flags", std::string(entry.name), {}, std::to_string(entry.flags));
            if (method != 0) throw error("compressed: entries must be stored", std::string(entry.name), "method 0", std::to_string(method));
            if (stored != entry.size) throw error("two sizes of a stored entry", std::string(entry.name), std::to_string(entry.size), std::to_string(stored));
            if (disk != 0) throw error("an archive in several parts", std::string(entry.name));
            entries_.push_back(entry);
            at += 46 + name_size + extra + comment;
        }
        if (entries_.size() != directory.count) throw error("wrong number of entries", {}, std::to_string(directory.count), std::to_string(entries_.size()));
    }

    void check_name(std::string_view name) const {
        if (name.empty() || name.find('\0') != name.npos) throw error("an entry's name is empty or has a NUL byte", std::string(name));
    }

    // Takes numbers that did not fit 32 bits from the zip64 field, which has them in this order.
    void read_zip64(std::uint64_t at, std::uint64_t size, std::initializer_list<std::uint64_t*> numbers, std::string_view name) const {
        const std::uint64_t end = at + size;
        bool seen = false;
        while (at < end) {
            if (!holds(at, 4, end) || !holds(at + 4, number<std::uint16_t>(at + 2), end)) throw error("a broken extra field", std::string(name));
            std::uint64_t field = at + 4;
            const std::uint64_t field_end = field + number<std::uint16_t>(at + 2);
            if (number<std::uint16_t>(at) == 1) {
                if (std::exchange(seen, true)) throw error("two zip64 fields", std::string(name));
                for (std::uint64_t* value : numbers) {
                    if (*value != none_32) continue;
                    if (!holds(field, 8, field_end)) throw error("a broken zip64 field", std::string(name));
                    *value = number<std::uint64_t>(field);
                    field += 8;
                }
            }
            at = field_end;
        }
        for (const std::uint64_t* value : numbers)
            if (!seen && *value == none_32) throw error("no zip64 field", std::string(name));
    }

    // Finds each entry's content behind its local header, which must say what the central directory says.
    void read_local_headers() {
        std::sort(entries_.begin(), entries_.end(), [](const Found& a, const Found& b) { return a.header < b.header; });
        std::uint64_t filled = 0;  // all bytes before it are accounted for
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            Found& entry = entries_[i];
            const std::string name(entry.name);
            if (entry.header != filled)
                throw error(entry.header < filled ? "entries overlap" : "bytes that belong to no entry", name, "its header at byte " + std::to_string(filled), std::to_string(entry.header));
            if (!holds(filled, 30, directory_begin_) || number<std::uint32_t>(filled) != 0x0403'4B50) throw error("no local header", name);
            const std::uint64_t name_size = number<std::uint16_t>(filled + 26), extra = number<std::uint16_t>(filled + 28);
            if (!holds(filled + 30, name_size + extra, directory_begin_)) throw error("the local header does not fit", name);
            std::uint64_t size = number<std::uint32_t>(filled + 22), stored = number<std::uint32_t>(filled + 18);
            const std::uint32_t crc = number<std::uint32_t>(filled + 14);
            read_zip64(filled + 30 + name_size, extra, {&size, &stored}, entry.name);
            const bool described = (entry.flags & descriptor_flag) != 0;  // sizes and checksum stand behind the content
            const auto same = [&](std::uint64_t local, std::uint64_t central) { return local == central || (described && local == 0); };
            if (text(filled + 30, name_size) != entry.name) throw error("two names", name, {}, std::string(text(filled + 30, name_size)));
            if (number<std::uint16_t>(filled + 6) != entry.flags || number<std::uint16_t>(filled + 8) != 0 || !same(size, entry.size) || !same(stored, entry.size) || !same(crc, entry.crc))
                throw error("local and central header disagree", name);
            const std::uint64_t begin = filled + 30 + name_size + extra;
            if (!holds(begin, entry.size, directory_begin_))
                throw error("the content does not fit", name, "at most " + std::to_string(directory_begin_ - begin) + " bytes", std::to_string(entry.size));
            entry.bytes = file_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(entry.size));
            filled = begin + entry.size;
            if (described) filled += descriptor(entry, filled, i + 1 < entries_.size() ? std::min(entries_[i + 1].header, directory_begin_) : directory_begin_);
        }
        if (filled != directory_begin_) throw error("bytes that belong to no entry", {}, "the central directory at byte " + std::to_string(filled), std::to_string(directory_begin_));
    }

    // The size of the data descriptor between `at` and `end`: checksum and both sizes, with or without signature, of 32 or 64 bits.
    std::uint64_t descriptor(const Found& entry, std::uint64_t at, std::uint64_t end) const {
        const std::uint64_t size = at <= end ? end - at : 0;
        const std::uint64_t signature = size == 16 || size == 24 ? 4 : 0, width = size >= 20 ? 8 : 4;
        bool right = size == 12 || size == 16 || size == 20 || size == 24;
        if (right) {
            right = (signature == 0 || number<std::uint32_t>(at) == 0x0807'4B50) && number<std::uint32_t>(at + signature) == entry.crc;
            for (const std::uint64_t place : {at + signature + 4, at + signature + 4 + width})
                right = right && (width == 8 ? number<std::uint64_t>(place) : number<std::uint32_t>(place)) == entry.size;
        }
        if (!right) throw error("no data descriptor that fits behind the content", std::string(entry.name));
        return size;
    }

    void index() {
        by_name_.reserve(entries_.size());
        for (const Found& entry : entries_) by_name_.push_back({entry.name, entry.bytes});
        std::sort(by_name_.begin(), by_name_.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
        for (std::size_t i = 1; i < by_name_.size(); ++i)
            if (by_name_[i].name == by_name_[i - 1].name) throw error("two entries of one name", std::string(by_name_[i].name));
    }

    std::span<const std::byte> file_;
    std::filesystem::path path_;
    std::uint64_t directory_begin_ = 0;  // bytes
    std::vector<Found> entries_;         // in file order, while the archive is read
    std::vector<Entry> by_name_;
};

}  // namespace morsel
