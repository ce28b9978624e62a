// Exact search: the hits are those of the definition, whatever the storage, the threads and the instruction set; files load whole or not
// at all.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "formats/file_bytes.hpp"
#include "morsel/core/philox.hpp"
#include "morsel/search/vector_index.hpp"
#include "support/catch.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

std::vector<float> random_vectors(std::size_t count, std::uint64_t seed) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(uniform_double(philox_bits(seed, {.step = i})) - 0.4) * 3;
    return values;
}

// Cosines by the definition, in double.
std::vector<double> cosines(const std::vector<float>& vectors, const float* query, std::size_t dimensions) {
    std::vector<double> all;
    for (std::size_t at = 0; at < vectors.size(); at += dimensions) {
        double dot = 0, a = 0, b = 0;
        for (std::size_t i = 0; i < dimensions; ++i) {
            const double x = vectors[at + i], y = query[i];
            dot += x * y, a += x * x, b += y * y;
        }
        all.push_back(a > 0 && b > 0 ? dot / std::sqrt(a * b) : 0);
    }
    return all;
}

}  // namespace

TEST_CASE("the nearest vectors are those of the definition") {
    ThreadPool pool(3);
    for (const std::size_t dimensions : {1, 3, 16, 31, 32, 40, 384}) {
        const auto vectors = random_vectors(500 * dimensions, dimensions), queries = random_vectors(7 * dimensions, 99);
        for (const auto& [storage, tolerance] : {std::pair(VectorStorage::f32, 2e-6), {VectorStorage::f16, 6e-4}, {VectorStorage::i8, 8e-3}}) {
            const VectorIndex index(vectors, dimensions, storage);
            REQUIRE(index.size() == 500);
            const auto all = index.search_all(queries, 10, &pool);
            REQUIRE(all.size() == 7);
            for (std::size_t q = 0; q < 7; ++q) {
                INFO("dimensions " << dimensions << ", storage " << static_cast<int>(storage) << ", query " << q);
                const std::span<const float> query(queries.data() + q * dimensions, dimensions);
                CHECK(index.search(query, 10) == all[q]);  // one query or seven, one thread or three: the same bits
                const auto expected = cosines(vectors, query.data(), dimensions);
                auto sorted = expected;
                std::sort(sorted.begin(), sorted.end(), std::greater<>());
                REQUIRE(all[q].size() == 10);
                for (std::size_t i = 0; i < 10; ++i) {
                    CHECK(std::abs(double(all[q][i].score) - expected[all[q][i].row]) <= tolerance);
                    CHECK(std::abs(double(all[q][i].score) - sorted[i]) <= tolerance);
                    if (i > 0) CHECK(all[q][i - 1].score >= all[q][i].score);
                }
            }
        }
    }
}

TEST_CASE("every kernel gives the plain loop's sums") {
    for (const std::size_t dimensions : {1, 7, 8, 15, 16, 17, 47, 64, 100}) {
        const auto vector = random_vectors(dimensions, 5), queries = random_vectors(4 * dimensions, 6);
        for (const VectorStorage storage : {VectorStorage::f32, VectorStorage::f16, VectorStorage::i8}) {
            std::vector<std::byte> row(stored_row_bytes(storage, dimensions));  // of its exact size: a read beyond shows under a sanitizer
            store_row(storage, vector, row.data());
            std::vector<float> read(dimensions);
            read_row(storage, row.data(), read);
            const float* pointers[4];
            for (std::size_t q = 0; q < 4; ++q) pointers[q] = queries.data() + q * dimensions;
            for (const Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
                if (isa > detected_isa()) continue;
                for (std::size_t n = 1; n <= 4; ++n) {
                    float out[4] = {};
                    detail::dot_row(isa, storage, row.data(), pointers, n, dimensions, out);
                    for (std::size_t q = 0; q < n; ++q) {
                        double expected = 0, size = 0;
                        for (std::size_t i = 0; i < dimensions; ++i) expected += double(read[i]) * double(pointers[q][i]), size += std::abs(double(read[i]) * double(pointers[q][i]));
                        CHECK(std::abs(double(out[q]) - expected) <= 1e-6 * size);
                    }
                }
            }
        }
    }
}

TEST_CASE("equal scores come in the order of rows, few rows are no error") {
    const VectorIndex index(std::vector<float>{0, 2, 1, 0, 0, 1, 0, 0, 0, 3}, 2);
    const auto hits = index.search(std::vector<float>{0, 5}, 10);
    REQUIRE(hits.size() == 5);
    CHECK(hits == std::vector<SearchHit>{{0, 1}, {2, 1}, {4, 1}, {1, 0}, {3, 0}});
    CHECK(index.search(std::vector<float>{0, 5}, 2) == std::vector<SearchHit>{{0, 1}, {2, 1}});
    CHECK(index.search(std::vector<float>{0, 5}, 0).empty());
    CHECK(index.search(std::vector<float>{0, 0}, 1) == std::vector<SearchHit>{{0, 0}});
    CHECK(VectorIndex(std::vector<float>{}, 2).search(std::vector<float>{1, 1}, 3).empty());
    CHECK(index.vector(0) == std::vector<float>{0, 1});
    CHECK_THROWS_AS(index.vector(5), Error);
    CHECK_THROWS_AS(index.search(std::vector<float>{1}, 1), Error);
    CHECK_THROWS_AS(index.search(std::vector<float>{}, 1), Error);
    CHECK_THROWS_AS(index.search(std::vector<float>{1, std::numeric_limits<float>::infinity()}, 1), Error);
    CHECK_THROWS_AS(VectorIndex(std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()}, 2), Error);
    CHECK_THROWS_AS(VectorIndex(std::vector<float>{1, 2, 3}, 2), Error);
    CHECK_THROWS_AS(VectorIndex(std::vector<float>{1, 2, 3}, 0), Error);
}

TEST_CASE("an index saved and loaded gives the same hits") {
    const TemporaryDirectory directory;
    const auto vectors = random_vectors(100 * 24, 1), query = random_vectors(24, 2);
    for (const VectorStorage storage : {VectorStorage::f32, VectorStorage::f16, VectorStorage::i8}) {
        const auto path = directory.path() / "index";
        VectorIndexWriter writer(path, 24, storage);
        writer.add(std::span(vectors).first(24 * 30));
        writer.add({});
        writer.add(std::span(vectors).subspan(24 * 30));
        CHECK_THROWS_AS(writer.add(std::vector<float>(23)), Error);
        CHECK((storage != VectorStorage::f32 || !std::filesystem::exists(path)));  // not before it is whole
        writer.commit(77);
        const VectorIndex index(path);
        CHECK(index.tag() == 77);
        CHECK(index.size() == 100);
        CHECK(index.dimensions() == 24);
        CHECK(index.storage() == storage);
        CHECK(index.search(query, 5) == VectorIndex(vectors, 24, storage).search(query, 5));
    }
}

TEST_CASE("a damaged index file is refused") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "index";
    VectorIndexWriter writer(path, 3, VectorStorage::i8);
    writer.add(random_vectors(6, 1));
    writer.commit();
    const std::string whole = read_file(path);
    const auto verdict = [&](const std::string& bytes) -> std::string {
        try {
            const VectorIndex index(directory.write("damaged", bytes));
            index.search(std::vector<float>{1, 2, 3}, 2);
            return "";
        } catch (const Error& error) {
            return error.what();
        }
    };
    const auto with = [&](std::size_t at, std::uint64_t value, std::size_t size) {
        std::string bytes = whole;
        std::memcpy(bytes.data() + at, &value, size);
        return verdict(bytes);
    };
    CHECK(verdict(whole).empty());
    for (std::size_t size = 0; size < whole.size(); ++size) CHECK(!verdict(whole.substr(0, size)).empty());
    CHECK(verdict(whole + "x").find("wrong size") != std::string::npos);
    CHECK(verdict("PK" + whole.substr(2)).find("not a vector index") != std::string::npos);
    CHECK(with(8, 2, 4).find("version") != std::string::npos);
    CHECK(with(12, 3, 4).find("storage") != std::string::npos);
    CHECK(with(12, 0, 4).find("wrong size") != std::string::npos);
    CHECK(with(24, 0, 8).find("dimensions") != std::string::npos);
    CHECK(with(24, ~std::uint64_t{0}, 8).find("dimensions") != std::string::npos);
    for (const std::uint64_t rows : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, (~std::uint64_t{0}) / 7 + 1}) CHECK(with(16, rows, 8).find("wrong size") != std::string::npos);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::string bytes = whole;
    std::memcpy(bytes.data() + 64, &nan, 4);  // a scale that is no number: its row is never found
    const VectorIndex index(directory.write("damaged", bytes));
    CHECK(index.search(std::vector<float>{1, 2, 3}, 2).size() == 1);
}

TEST_CASE("float to half rounds to nearest even and comes back") {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const f16 half{static_cast<std::uint16_t>(bits)};
        const float value = to_f32(half);
        if (value != value) CHECK((to_f16(value).bits & 0x7fffu) > 0x7c00u);
        else if (to_f16(value).bits != bits) FAIL(bits);
        if (bits >= 0x7c00u) continue;
        // Halfway to the next goes to the even one, a little more or less to the nearer.
        const float next = bits == 0x7bffu ? 65536.0f : to_f32(f16{static_cast<std::uint16_t>(bits + 1)}), middle = value + (next - value) / 2;
        if (to_f16(middle).bits != (bits + 1) / 2 * 2) FAIL(bits);
        if (to_f16(std::nextafter(middle, 0.0f)).bits != bits || to_f16(-std::nextafter(middle, 1e9f)).bits != ((bits + 1) | 0x8000u)) FAIL(bits);
    }
}
