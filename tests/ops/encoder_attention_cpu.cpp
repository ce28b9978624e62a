// Bidirectional and disentangled attention of the CPU device against plain loops, on every instruction set, for lengths around the
// widths of the kernels, many sequences, holes between positions; sums of embeddings and gathered rows.
#include "morsel/ops/cpu.hpp"
#include "morsel/ops/reference.hpp"
#include "support/all_isas.hpp"
#include "support/catch.hpp"
#include "support/plain_encoder_attention.hpp"
#include "support/stored_matrix.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using morsel_test::all_isas;
using morsel_test::largest_difference;
using morsel_test::plain_encoder_attention;
using morsel_test::random_floats;

namespace {

}  // namespace

TEST_CASE("bidirectional attention equals plain loops", "[ops]") {
    for (const Isa isa : all_isas) {
        for (const auto& [heads, kv_heads, head_dim] : {std::array<std::size_t, 3>{3, 3, 8}, {2, 2, 32}, {4, 2, 64}, {1, 1, 13}, {2, 1, 80}}) {
            Cpu device({.threads = 3, .isa = isa});
            if (device.isa() != isa) continue;
            const AttentionShape shape{.n_heads = heads, .n_kv_heads = kv_heads, .head_dim = head_dim, .scale = 1.5f / std::sqrt(float(head_dim))};
            std::vector<Segment> segments;
            std::size_t rows = 0;
            for (const std::size_t length : {1u, 2u, 15u, 16u, 17u, 0u, 33u, 100u, 5u}) segments.push_back({.row_begin = rows, .row_count = length}), rows += length;
            const std::vector<float> qkv = random_floats(rows * shape.qkv_width(), head_dim);
            std::vector<float> found(rows * heads * head_dim, NAN);
            attention(device, qkv.data(), shape, segments, found.data());
            INFO("isa " << static_cast<int>(isa) << " heads " << heads << " head_dim " << head_dim);
            CHECK(largest_difference(found, plain_encoder_attention(qkv, shape, segments, {}, {})) < 3e-6);
        }
    }
}

TEST_CASE("disentangled attention equals plain loops, with and without holes between positions", "[ops]") {
    for (const Isa isa : all_isas) {
        for (const auto& [heads, head_dim, rows_of_table, terms] :
             {std::array<std::size_t, 4>{3, 8, 12, 3}, {2, 64, 300, 3}, {1, 13, 40, 1}, {2, 32, 7, 2}, {1, 16, 64, 3}}) {
            Cpu device({.threads = 2, .isa = isa});
            if (device.isa() != isa) continue;
            const AttentionShape shape{.n_heads = heads, .n_kv_heads = heads, .head_dim = head_dim, .scale = 1.0f / std::sqrt(3 * float(head_dim))};
            std::vector<Segment> segments;
            std::vector<TokenId> positions;
            std::size_t longest = 1, part = 0;
            for (const std::size_t length : {1u, 15u, 16u, 17u, 0u, 45u, 90u, 6u, 33u}) {
                segments.push_back({.row_begin = positions.size(), .row_count = length});
                TokenId position = 3;  // sequences need not begin at 0
                for (std::size_t i = 0; i < length; ++i) {
                    positions.push_back(position);
                    longest = std::max<std::size_t>(longest, position - 3 + 1);
                    position += part > 5 && (i * 7 + part) % 5 == 0 ? 1 + static_cast<TokenId>(i % 40) : 1;  // the last three have holes
                }
                ++part;
            }
            const std::vector<float> qkv = random_floats(positions.size() * shape.qkv_width(), head_dim), keys = random_floats(rows_of_table * heads * head_dim, 2),
                                     queries = random_floats(rows_of_table * heads * head_dim, 3);
            std::vector<std::uint32_t> row_of_distance(2 * longest - 1);
            for (std::size_t i = 0; i < row_of_distance.size(); ++i)
                row_of_distance[i] = static_cast<std::uint32_t>(std::clamp<std::ptrdiff_t>(std::ptrdiff_t(i) - std::ptrdiff_t(longest) + 1 + std::ptrdiff_t(rows_of_table / 2), 0, std::ptrdiff_t(rows_of_table) - 1));
            const PositionTables tables{(terms & 1) != 0 ? keys.data() : nullptr, (terms & 2) != 0 ? queries.data() : nullptr, row_of_distance};
            std::vector<float> found(positions.size() * heads * head_dim, NAN);
            disentangled_attention(device, qkv.data(), shape, segments, positions, tables, found.data());
            INFO("isa " << static_cast<int>(isa) << " heads " << heads << " head_dim " << head_dim << " terms " << terms);
            CHECK(largest_difference(found, plain_encoder_attention(qkv, shape, segments, positions, tables)) < 4e-6);
        }
    }
}

TEST_CASE("sums of embeddings and gathered rows", "[ops]") {
    Cpu device({.threads = 3});
    for (const std::size_t width : {5u, 32u, 70u}) {
        const std::vector<float> first = random_floats(9 * width, 1), second = random_floats(40 * width, 2);
        const CpuMatrix a = prepare_matrix(device, {DType::f32, {9, width}, std::as_bytes(std::span(first))});
        const CpuMatrix b = prepare_matrix(device, {DType::f32, {40, width}, std::as_bytes(std::span(second))});
        std::vector<TokenId> ids_a, ids_b;
        for (TokenId i = 0; i < 100; ++i) ids_a.push_back(i * 5 % 9), ids_b.push_back(i * 7 % 40);
        const EmbeddingRows<Cpu> tables[] = {{&a, ids_a}, {&b, ids_b}};
        std::vector<float> sum(100 * width), expected(100 * width);
        embed_sum(device, std::span<const EmbeddingRows<Cpu>>(tables), sum.data());
        for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = first[ids_a[i / width] * width + i % width] + second[ids_b[i / width] * width + i % width];
        CHECK(sum == expected);

        std::vector<std::int64_t> rows;
        for (std::int64_t i = 0; i < 50; ++i) rows.push_back(i % 4 == 3 ? -1 : (i * 11) % 100);
        std::vector<float> gathered(50 * width, NAN), wanted(50 * width);
        gather_rows(device, sum.data(), width, rows, gathered.data());
        for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = rows[i / width] < 0 ? 0.0f : sum[std::size_t(rows[i / width]) * width + i % width];
        CHECK(gathered == wanted);
    }
}
