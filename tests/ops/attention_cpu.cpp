// Attention, rotary positions, the key-value cache and norms of the CPU device against plain loops, on every instruction set.
#include "morsel/ops/cpu.hpp"
#include "morsel/ops/reference.hpp"
#include "support/all_isas.hpp"
#include "support/catch.hpp"
#include "support/stored_matrix.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using morsel_test::all_isas;
using morsel_test::largest_difference;
using morsel_test::random_floats;

namespace {

// One sequence of keys and values kept row by row, rotated by the reference.
struct PlainSequence {
    std::vector<float> keys, values;  // [positions][n_kv_heads][head_dim]
    std::size_t positions = 0;
};

struct Setup {
    AttentionShape shape;
    std::vector<float> inverse_frequency;
    float scaling = 1;
};

// What rope_and_cache and attention should give for one segment: updates qkv and the sequence, appends to `expected`.
void plain_attention(const Setup& setup, std::vector<float>& qkv, const Segment& segment, PlainSequence& sequence,
                     std::vector<float>& expected) {
    const AttentionShape& s = setup.shape;
    const std::size_t d = s.head_dim, kv_width = s.n_kv_heads * d;
    sequence.keys.resize(segment.past * kv_width), sequence.values.resize(segment.past * kv_width);
    for (std::size_t i = 0; i < segment.row_count; ++i) {
        float* row = qkv.data() + (segment.row_begin + i) * s.qkv_width();
        for (std::size_t head = 0; head < s.n_heads + s.n_kv_heads; ++head) {
            const float* gain = head < s.n_heads ? s.q_norm : s.k_norm;
            if (gain != nullptr) reference::rms_norm(row + head * d, gain, s.eps, 1, d, row + head * d);
            reference::rope(row + head * d, segment.past + i, setup.inverse_frequency, setup.scaling);
        }
        sequence.keys.insert(sequence.keys.end(), row + s.n_heads * d, row + s.n_heads * d + kv_width);
        sequence.values.insert(sequence.values.end(), row + s.n_heads * d + kv_width, row + s.qkv_width());
    }
    for (std::size_t i = 0; i < segment.row_count; ++i) {
        const std::size_t end = segment.past + i + 1, begin = s.window > 0 && end > s.window ? end - s.window : 0;
        for (std::size_t head = 0; head < s.n_heads; ++head) {
            const std::size_t kv = head * s.n_kv_heads / s.n_heads;
            std::vector<float> keys, values, out(d);
            for (std::size_t t = begin; t < end; ++t) {
                const auto at = static_cast<std::ptrdiff_t>(t * kv_width + kv * d);
                keys.insert(keys.end(), sequence.keys.begin() + at, sequence.keys.begin() + at + static_cast<std::ptrdiff_t>(d));
                values.insert(values.end(), sequence.values.begin() + at, sequence.values.begin() + at + static_cast<std::ptrdiff_t>(d));
            }
            reference::attend(qkv.data() + (segment.row_begin + i) * s.qkv_width() + head * d, keys.data(), values.data(), end - begin, d,
                              s.scale, out.data());
            std::copy(out.begin(), out.end(),
                      expected.begin() + static_cast<std::ptrdiff_t>(((segment.row_begin + i) * s.n_heads + head) * d));
        }
    }
}

}  // namespace

TEST_CASE("attention over several sequences, in steps, equals plain loops", "[ops]") {
    struct Case {
        std::size_t n_heads, n_kv_heads, head_dim, rotary, window;
        bool norms;
        std::size_t table;
    };
    const Case cases[] = {{3, 1, 64, 64, 0, false, 2048}, {4, 4, 12, 12, 0, false, 8},   {4, 2, 16, 8, 5, false, 0},
                          {9, 3, 64, 64, 20, true, 40},   {2, 2, 96, 96, 17, false, 64}, {1, 1, 13, 6, 1, false, 64},
                          {7, 1, 32, 32, 0, true, 64},    {8, 2, 80, 20, 33, false, 64}, {2, 1, 128, 128, 16, false, 64}};
    for (const Isa isa : all_isas) {
        Cpu device({.threads = 2, .isa = isa});
        if (device.isa() != isa) continue;
        for (const Case& c : cases) {
            const std::vector<float> q_norm = random_floats(c.head_dim, 5), k_norm = random_floats(c.head_dim, 6);
            Setup setup{{.n_heads = c.n_heads,
                         .n_kv_heads = c.n_kv_heads,
                         .head_dim = c.head_dim,
                         .scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim)),
                         .window = c.window,
                         .eps = 1e-6f,
                         .q_norm = c.norms ? q_norm.data() : nullptr,
                         .k_norm = c.norms ? k_norm.data() : nullptr},
                        {},
                        1.25f};
            for (std::size_t j = 0; j < c.rotary / 2; ++j)
                setup.inverse_frequency.push_back(std::pow(10000.0f, -2.0f * static_cast<float>(j) / static_cast<float>(c.rotary)));
            const RopeTable<Cpu> table = make_rope_table(device, setup.inverse_frequency, setup.scaling, c.table);
            KvCache<Cpu> cache = make_kv_cache(device, 2, 3, 0, c.n_kv_heads, c.head_dim);
            PlainSequence sequences[3];
            const std::size_t steps[][3] = {{1, 33, 16}, {15, 1, 1}, {1, 1, 0}, {40, 2, 17}, {1, 1, 1}};  // new tokens per sequence
            std::uint64_t seed = 1;
            for (const auto& step : steps) {
                std::vector<Segment> segments;
                std::size_t rows = 0;
                for (std::size_t slot = 3; slot-- > 0;) {
                    if (step[slot] == 0) continue;
                    segments.push_back({.row_begin = rows, .row_count = step[slot], .past = sequences[slot].positions, .slot = slot});
                    rows += step[slot];
                }
                std::vector<float> qkv = random_floats(rows * setup.shape.qkv_width(), ++seed), plain_qkv = qkv;
                std::vector<float> expected(rows * c.n_heads * c.head_dim), found(expected.size(), NAN);
                for (const Segment& segment : segments) {
                    plain_attention(setup, plain_qkv, segment, sequences[segment.slot], expected);
                    sequences[segment.slot].positions += segment.row_count;
                }
                rope_and_cache(device, qkv.data(), setup.shape, table, segments, cache, 1);
                attention(device, qkv.data(), setup.shape, segments, cache, 1, found.data());
                INFO("isa " << static_cast<int>(isa) << " heads " << c.n_heads << "/" << c.n_kv_heads << " head_dim " << c.head_dim
                            << " window " << c.window);
                CHECK(largest_difference(found, expected) < 3e-6);
            }
        }
    }
}

TEST_CASE("attention and norms give a row the same bits in any batch and at any number of threads", "[ops]") {
    const AttentionShape shape{.n_heads = 6, .n_kv_heads = 2, .head_dim = 64, .scale = 0.125f};
    const std::vector<float> input = random_floats(70 * shape.qkv_width(), 3), gain = random_floats(shape.qkv_width(), 4);
    std::vector<float> expected, expected_norm;
    for (const unsigned threads : {1u, 2u, 3u}) {
        for (const std::size_t step : {70u, 1u, 7u}) {
            Cpu device({.threads = threads});
            const RopeTable<Cpu> table = make_rope_table(device, std::vector<float>(32, 0.1f));
            KvCache<Cpu> cache = make_kv_cache(device, 1, 1, 4, 2, 64);
            std::vector<float> qkv = input, found(70 * 6 * 64), normed(input.size());
            for (std::size_t row = 0; row < 70; row += step) {
                const Segment segment{.row_begin = row, .row_count = std::min(step, 70 - row), .past = row, .slot = 0};
                rms_norm(device, input.data() + row * shape.qkv_width(), gain.data(), 1e-5f, segment.row_count, shape.qkv_width(),
                         normed.data() + row * shape.qkv_width());
                rope_and_cache(device, qkv.data(), shape, table, std::span(&segment, 1), cache, 0);
                attention(device, qkv.data(), shape, std::span(&segment, 1), cache, 0, found.data());
            }
            if (expected.empty()) expected = found, expected_norm = normed;
            CHECK(found == expected);
            CHECK(normed == expected_norm);
        }
    }
}

TEST_CASE("scores far apart neither overflow nor vanish", "[ops]") {
    Cpu device({.threads = 1});
    const AttentionShape shape{.n_heads = 1, .n_kv_heads = 1, .head_dim = 16, .scale = 1.0f};
    std::vector<float> qkv(3 * shape.qkv_width(), 0.0f), out(3 * 16);
    for (std::size_t row = 0; row < 3; ++row) {
        qkv[row * 48] = 100.0f;                                        // q
        qkv[row * 48 + 16] = static_cast<float>(row) * 10.0f - 10.0f;  // k: scores -1000, 0, 1000
        qkv[row * 48 + 32] = static_cast<float>(row + 1);              // v
    }
    const RopeTable<Cpu> table = make_rope_table(device, {});
    KvCache<Cpu> cache = make_kv_cache(device, 1, 1, 0, 1, 16);
    const Segment segment{.row_begin = 0, .row_count = 3};
    rope_and_cache(device, qkv.data(), shape, table, std::span(&segment, 1), cache, 0);
    attention(device, qkv.data(), shape, std::span(&segment, 1), cache, 0, out.data());
    CHECK(out[0] == Approx(1.0f));
    CHECK(out[16] == Approx(2.0f));
    CHECK(out[32] == Approx(3.0f));
}

TEST_CASE("norms equal plain loops, in place too, and argmax takes the first of equals", "[ops]") {
    for (const Isa isa : all_isas) {
        Cpu device({.threads = 2, .isa = isa});
        if (device.isa() != isa) continue;
        for (const std::size_t width : {1u, 15u, 16u, 17u, 576u, 1000u}) {
            for (const std::size_t rows : {1u, 3u, 100u}) {
                std::vector<float> x = random_floats(rows * width, width + rows), expected(x.size()), found(x.size());
                for (float& value : x) value += 3.0f;
                const std::vector<float> gain = random_floats(width, 1), bias = random_floats(width, 2);
                reference::rms_norm(x.data(), gain.data(), 1e-5f, rows, width, expected.data());
                rms_norm(device, x.data(), gain.data(), 1e-5f, rows, width, found.data());
                CHECK(largest_difference(found, expected) < 2e-6);
                for (const float* b : {static_cast<const float*>(nullptr), bias.data()}) {
                    reference::layer_norm(x.data(), gain.data(), b, 1e-5f, rows, width, expected.data());
                    layer_norm(device, x.data(), gain.data(), b, 1e-5f, rows, width, found.data());
                    CHECK(largest_difference(found, expected) < (width < 8 ? 1e-3 : 5e-6));
                }
                found = x;
                layer_norm(device, found.data(), gain.data(), bias.data(), 1e-5f, rows, width, found.data());
                CHECK(largest_difference(found, expected) < (width < 8 ? 1e-3 : 5e-6));
            }
        }
        const float values[] = {NAN, 1.0f, 7.0f, 2.0f, 7.0f, NAN};
        CHECK(argmax(device, values, 6) == 2);
        CHECK(argmax(device, values + 1, 1) == 0);
    }
}
