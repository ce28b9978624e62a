// Exact nearest neighbours by cosine: vectors of unit length, row after row in a file that is mapped, and every row compared with
// every query. A million vectors of 384 dimensions take 1.5 GB as f32, 0.77 as f16, 0.39 as i8, and the time of reading it once a query.
//
//   VectorIndexWriter writer("lines.index", 384, VectorStorage::f16);
//   writer.add(vectors);                                        // [any, 384], as often as needed
//   writer.commit();
//   const VectorIndex index("lines.index");
//   for (const SearchHit& hit : index.search(query, 5)) …       // row and cosine, best first
//
// The file, little endian: "MORSELIX", version (u32), storage (u32), rows (u64), dimensions (u64), tag (u64), zeros up to 64 bytes, then
// the rows as stored_vectors.hpp lays them out. Leaves out approximate search, deleting and changing rows.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/file_replacement.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/core/threads.hpp"
#include "morsel/search/stored_vectors.hpp"

namespace morsel {

struct SearchHit {
    std::size_t row = 0;
    float score = 0;  // cosine, −1 … 1 but for rounding
    friend bool operator==(const SearchHit&, const SearchHit&) = default;
};

inline constexpr std::size_t max_vector_dimensions = 1 << 20;

namespace detail {

inline constexpr std::string_view index_magic = "MORSELIX";
inline constexpr std::size_t index_header_bytes = 64;

inline void check_dimensions(std::size_t dimensions) {
    if (dimensions == 0 || dimensions > max_vector_dimensions)
        throw Error("wrong number of dimensions", {.key = "dimensions", .expected = "1 to " + std::to_string(max_vector_dimensions), .found = std::to_string(dimensions)});
}

// Appends vectors [any, dimensions] to `rows`, each scaled to unit length; a vector of zeros stays one. Throws Error on numbers that
// are not finite, and on a count that is no multiple of `dimensions`, before anything is appended.
inline void append_unit_rows(std::span<const float> vectors, std::size_t dimensions, VectorStorage storage, std::vector<std::byte>& rows) {
    if (vectors.size() % dimensions != 0) throw Error("wrong number of values", {.key = "vectors", .expected = "a multiple of " + std::to_string(dimensions), .found = std::to_string(vectors.size())});
    const std::size_t row_bytes = stored_row_bytes(storage, dimensions), n = vectors.size() / dimensions;
    std::vector<double> lengths(n);
    for (std::size_t row = 0; row < n; ++row) {
        double squares = 0;
        for (const float x : vectors.subspan(row * dimensions, dimensions)) squares += double{x} * double{x};
        if (!(squares <= std::numeric_limits<double>::max())) throw Error("a vector has a value that is not finite", {.key = "vectors", .found = "row " + std::to_string(row)});
        lengths[row] = std::sqrt(squares);
    }
    std::size_t at = rows.size();
    rows.resize(at + n * row_bytes);
    std::vector<float> unit(dimensions);
    for (std::size_t row = 0; row < n; ++row, at += row_bytes) {
        const double factor = lengths[row] > 0 ? 1 / lengths[row] : 0;
        for (std::size_t i = 0; i < dimensions; ++i) unit[i] = static_cast<float>(double{vectors[row * dimensions + i]} * factor);
        store_row(storage, unit, rows.data() + at);
    }
}

}  // namespace detail

// Writes an index of any size; the file appears when it is whole.
class VectorIndexWriter {
  public:
    // Throws Error where the file cannot be made.
    VectorIndexWriter(std::filesystem::path path, std::size_t dimensions, VectorStorage storage = VectorStorage::f32)
        : file_((detail::check_dimensions(dimensions), std::move(path))), dimensions_(dimensions), storage_(storage) {
        file_.write(std::array<std::byte, detail::index_header_bytes>{});
    }

    // vectors [any, dimensions], of any length.
    void add(std::span<const float> vectors) {
        buffer_.clear();
        detail::append_unit_rows(vectors, dimensions_, storage_, buffer_);
        file_.write(buffer_);
        rows_ += vectors.size() / dimensions_;
    }
    // `tag` is the caller's: a number that tells what the rows were made from.
    void commit(std::uint64_t tag = 0) {
        std::array<std::byte, detail::index_header_bytes> header = {};
        const std::uint32_t version = 1, storage = static_cast<std::uint32_t>(storage_);
        const std::uint64_t numbers[] = {rows_, dimensions_, tag};
        std::memcpy(header.data(), detail::index_magic.data(), 8);
        std::memcpy(header.data() + 8, &version, 4), std::memcpy(header.data() + 12, &storage, 4);
        std::memcpy(header.data() + 16, numbers, 24);
        file_.write_start(header);
        file_.commit();
    }

  private:
    FileReplacement file_;
    std::size_t dimensions_;
    VectorStorage storage_;
    std::uint64_t rows_ = 0;
    std::vector<std::byte> buffer_;
};

// Immutable, so safe to share between threads.
class VectorIndex {
  public:
    // Maps a file. Throws Error where it is no index, of another version, or not as long as it says.
    explicit VectorIndex(const std::filesystem::path& path) : file_(path) {
        const auto fail = [&](std::string reason, std::string expected = {}, std::string found = {}) {
            return Error("index: " + reason, {.file = path.string(), .expected = std::move(expected), .found = std::move(found)});
        };
        const std::span<const std::byte> bytes = file_.bytes();
        if (bytes.size() < detail::index_header_bytes || !file_.text().starts_with(detail::index_magic)) throw fail("not a vector index");
        std::uint32_t version = 0, storage = 0;
        std::uint64_t rows = 0, dimensions = 0, size = 0;
        std::memcpy(&version, bytes.data() + 8, 4), std::memcpy(&storage, bytes.data() + 12, 4);
        std::memcpy(&rows, bytes.data() + 16, 8), std::memcpy(&dimensions, bytes.data() + 24, 8), std::memcpy(&tag_, bytes.data() + 32, 8);
        if (version != 1) throw fail("unsupported version", "1", std::to_string(version));
        if (storage > static_cast<std::uint32_t>(VectorStorage::i8)) throw fail("unknown storage", "0, 1 or 2", std::to_string(storage));
        if (dimensions == 0 || dimensions > max_vector_dimensions) throw fail("wrong number of dimensions", "1 to " + std::to_string(max_vector_dimensions), std::to_string(dimensions));
        storage_ = static_cast<VectorStorage>(storage), dimensions_ = static_cast<std::size_t>(dimensions), row_bytes_ = stored_row_bytes(storage_, dimensions_);
        if (__builtin_mul_overflow(rows, std::uint64_t{row_bytes_}, &size) || size != bytes.size() - detail::index_header_bytes)
            throw fail("wrong size of the file", std::to_string(rows) + " rows of " + std::to_string(row_bytes_) + " bytes", std::to_string(bytes.size() - detail::index_header_bytes) + " bytes");
        rows_ = bytes.subspan(detail::index_header_bytes);
    }

    // An index in memory: vectors [any, dimensions], of any length. Throws Error as the writer does.
    VectorIndex(std::span<const float> vectors, std::size_t dimensions, VectorStorage storage = VectorStorage::f32)
        : storage_(storage), dimensions_(dimensions), row_bytes_(stored_row_bytes(storage, dimensions)) {
        detail::check_dimensions(dimensions);
        detail::append_unit_rows(vectors, dimensions, storage, owned_);
        rows_ = owned_;
    }
    VectorIndex(const VectorIndex&) = delete;
    VectorIndex& operator=(const VectorIndex&) = delete;

    std::size_t size() const noexcept { return rows_.size() / row_bytes_; }  // rows
    std::size_t dimensions() const noexcept { return dimensions_; }
    VectorStorage storage() const noexcept { return storage_; }
    std::uint64_t tag() const noexcept { return tag_; }
    // A row as stored, of unit length: [dimensions].
    std::vector<float> vector(std::size_t row) const {
        if (row >= size()) throw Error("no such row", {.key = "row", .expected = "below " + std::to_string(size()), .found = std::to_string(row)});
        std::vector<float> values(dimensions_);
        read_row(storage_, rows_.data() + row * row_bytes_, values);
        return values;
    }

    // The `count` rows nearest to the query [dimensions], of any length, best first; of equal scores the lower row. A query of zeros
    // has cosine 0 with everything. Throws Error on a query of another size or with a value that is not finite.
    std::vector<SearchHit> search(std::span<const float> query, std::size_t count, ThreadPool* pool = nullptr) const { return search_all(query, count, pool).front(); }

    // The same for queries [any, dimensions]: each row is read once for four of them.
    std::vector<std::vector<SearchHit>> search_all(std::span<const float> queries, std::size_t count, ThreadPool* pool = nullptr) const {
        const std::vector<float> units = unit_queries(queries);
        const std::size_t n = units.size() / dimensions_;
        count = std::min(count, size());
        std::vector<std::vector<SearchHit>> best(n);
        if (count == 0) return best;
        const unsigned threads = pool != nullptr ? pool->size() : 1;
        for (std::size_t first = 0; first < n; first += detail::max_queries_at_once) {
            const std::size_t group = std::min(detail::max_queries_at_once, n - first);
            std::array<const float*, detail::max_queries_at_once> pointers = {};
            for (std::size_t q = 0; q < group; ++q) pointers[q] = units.data() + (first + q) * dimensions_;
            std::vector<std::array<std::vector<SearchHit>, detail::max_queries_at_once>> heaps(threads);  // worst on top
            const auto scan = [&](std::size_t begin, std::size_t end, unsigned thread) {
                std::array<float, detail::max_queries_at_once> scores = {};
                for (std::size_t row = begin; row < end; ++row) {
                    detail::dot_row(isa_, storage_, rows_.data() + row * row_bytes_, pointers.data(), group, dimensions_, scores.data());
                    for (std::size_t q = 0; q < group; ++q) offer(heaps[thread][q], {row, scores[q]}, count);
                }
            };
            if (pool != nullptr) pool->split(size(), 256, scan);
            else scan(0, size(), 0);
            for (std::size_t q = 0; q < group; ++q) {
                std::vector<SearchHit>& hits = best[first + q];
                for (const auto& heap : heaps) hits.insert(hits.end(), heap[q].begin(), heap[q].end());
                std::sort(hits.begin(), hits.end(), better);
                hits.resize(std::min(hits.size(), count));
            }
        }
        return best;
    }

  private:
    // NaN, which only a damaged file gives, never gets here.
    static bool better(const SearchHit& a, const SearchHit& b) { return a.score != b.score ? a.score > b.score : a.row < b.row; }

    static void offer(std::vector<SearchHit>& heap, const SearchHit& hit, std::size_t count) {
        if (heap.size() == count ? !better(hit, heap.front()) : hit.score != hit.score) return;
        if (heap.size() == count) {
            std::pop_heap(heap.begin(), heap.end(), better);
            heap.back() = hit;
        } else {
            heap.push_back(hit);
        }
        std::push_heap(heap.begin(), heap.end(), better);
    }

    std::vector<float> unit_queries(std::span<const float> queries) const {
        if (queries.empty() || queries.size() % dimensions_ != 0)
            throw Error("wrong number of values", {.key = "query", .expected = "a multiple of " + std::to_string(dimensions_), .found = std::to_string(queries.size())});
        std::vector<std::byte> bytes;
        detail::append_unit_rows(queries, dimensions_, VectorStorage::f32, bytes);
        std::vector<float> units(queries.size());
        std::memcpy(units.data(), bytes.data(), bytes.size());
        return units;
    }

    MappedFile file_;                // empty where the rows are owned
    std::vector<std::byte> owned_;   // empty where they are mapped
    std::span<const std::byte> rows_;  // [size, row_bytes_]
    VectorStorage storage_ = VectorStorage::f32;
    std::size_t dimensions_ = 1, row_bytes_ = 4;
    std::uint64_t tag_ = 0;
    Isa isa_ = detected_isa();
};

}  // namespace morsel
