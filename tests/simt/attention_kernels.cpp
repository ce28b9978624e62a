// The attention kernels against their plain reference: every head size, grouped queries, norms, windows, batches, and key counts around
// every boundary of warps, chunks and windows.
#include "morsel/cuda/ops.cuh"
#include "morsel/models/rope.hpp"
#include "morsel/ops/reference.hpp"
#include "support/cuda_floats.hpp"
#include "support/cuda_schedules.hpp"
#include "support/stored_matrix.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

struct Case {
    std::size_t heads = 2, kv_heads = 1, head_dim = 32, window = 0;
    bool norms = false;
    std::size_t rotary = 0;  // elements of a head that are rotated; 0: all
};

// One sequence of `total` tokens: what attention gives for the last `rows` of them.
struct Sequence {
    Case c;
    std::vector<float> qkv, gain, frequencies;
    std::size_t width;

    Sequence(const Case& given, std::size_t total, std::uint64_t seed) : c(given), width((given.heads + 2 * given.kv_heads) * given.head_dim) {
        qkv = random_floats(total * width, seed);
        gain = random_floats(c.head_dim, seed + 1);
        const std::size_t rotary = c.rotary > 0 ? c.rotary : c.head_dim;
        for (std::size_t i = 0; i < rotary / 2; ++i) frequencies.push_back(1.0f / std::pow(10000.0f, static_cast<float>(2 * i) / static_cast<float>(rotary)));
    }
    AttentionShape shape(const float* gains) const {
        return {.n_heads = c.heads, .n_kv_heads = c.kv_heads, .head_dim = c.head_dim, .scale = 1 / std::sqrt(static_cast<float>(c.head_dim)), .window = c.window, .eps = 1e-5f,
                .q_norm = c.norms ? gains : nullptr, .k_norm = c.norms ? gains : nullptr};
    }
    std::vector<float> expected(std::size_t rows, bool bf16_cache) const {
        const std::size_t total = qkv.size() / width, d = c.head_dim;
        std::vector<float> x = qkv;
        for (std::size_t t = 0; t < total; ++t)
            for (std::size_t head = 0; head < c.heads + c.kv_heads; ++head) {
                float* one = x.data() + t * width + head * d;
                if (c.norms) reference::rms_norm(one, gain.data(), 1e-5f, 1, d, one);
                reference::rope(one, t, frequencies, 1.0f);
            }
        std::vector<float> out;
        std::vector<std::vector<float>> keys(c.kv_heads), values(c.kv_heads);
        for (std::size_t kv = 0; kv < c.kv_heads; ++kv)
            for (std::size_t t = 0; t < total; ++t)
                for (std::size_t i = 0; i < d; ++i) {
                    const float *key = x.data() + t * width + (c.heads + kv) * d, *value = key + c.kv_heads * d;
                    keys[kv].push_back(bf16_cache ? to_f32(to_bf16(key[i])) : key[i]), values[kv].push_back(bf16_cache ? to_f32(to_bf16(value[i])) : value[i]);
                }
        for (std::size_t t = total - rows; t < total; ++t)
            for (std::size_t head = 0; head < c.heads; ++head) {
                const std::size_t kv = head / (c.heads / c.kv_heads), begin = c.window > 0 && t + 1 > c.window ? t + 1 - c.window : 0;
                std::vector<float> one(d);
                reference::attend(x.data() + t * width + head * d, keys[kv].data() + begin * d, values[kv].data() + begin * d, t + 1 - begin, d, 1 / std::sqrt(static_cast<float>(d)), one.data());
                out.insert(out.end(), one.begin(), one.end());
            }
        return out;
    }
};

// `total` tokens: all but the last `rows` in one piece, then those.
void check_attention(Cuda& device, const Case& c, std::size_t total, std::size_t rows, double tolerance) {
    INFO(c.heads << "/" << c.kv_heads << " heads of " << c.head_dim << ", window " << c.window << ", " << total << " tokens, the last " << rows << (c.norms ? ", norms" : ""));
    const Sequence s(c, total, total + c.head_dim);
    const CudaBuffer gain = to_device(device, s.gain);
    const AttentionShape shape = s.shape(gain.data());
    CudaBuffer qkv = to_device(device, s.qkv), out(total * c.heads * c.head_dim);
    KvCache<Cuda> cache = make_kv_cache(device, 2, 1, 0, c.kv_heads, c.head_dim);
    const RopeTable<Cuda> rope = make_rope_table(device, s.frequencies, 1.0f, 16);
    const Segment before{.row_count = total - rows}, last{.row_count = rows, .past = total - rows};
    if (rows < total) rope_and_cache(device, qkv.data(), shape, rope, std::span(&before, 1), cache, 1);
    attend(device, qkv.data() + (total - rows) * s.width, shape, rope, std::span(&last, 1), cache, 1, out.data());
    const std::vector<float> expected = s.expected(rows, cache.type == DType::bf16);
    CHECK(largest_difference(from_device(device, out.data(), expected.size()), expected) <= tolerance);
}

// The last of `total` tokens, whose position only the device's step knows: the host believes that there were three before it.
void check_attention_of_a_step(Cuda& device, const Case& c, std::size_t total) {
    INFO("heads of " << c.head_dim);
    const Sequence s(c, total, c.head_dim);
    const AttentionShape shape = s.shape(nullptr);
    CudaBuffer qkv = to_device(device, s.qkv), out(c.heads * c.head_dim), step(sizeof(CudaStep) / sizeof(float));
    KvCache<Cuda> cache = make_kv_cache(device, 1, 1, 64, c.kv_heads, c.head_dim);
    const Segment before{.row_count = total - 1}, last{.row_count = 1, .past = 3};
    rope_and_cache(device, qkv.data(), shape, make_rope_table(device, s.frequencies), std::span(&before, 1), cache, 0);
    const CudaStep there{.past = static_cast<std::uint32_t>(total - 1)};
    std::vector<float> bytes(step.size());
    std::memcpy(bytes.data(), &there, sizeof there);
    upload(device, bytes, step.data());
    device.step = reinterpret_cast<const CudaStep*>(step.data());
    const RopeTable<Cuda> short_table = make_rope_table(device, s.frequencies, 1.0f, 16);
    attend(device, qkv.data() + (total - 1) * s.width, shape, short_table, std::span(&last, 1), cache, 0, out.data());
    device.step = nullptr;
    CHECK(largest_difference(from_device(device, out.data(), out.size()), s.expected(1, false)) <= 1e-5);
}

}  // namespace

TEST_CASE("a step finds its position in the table of rotations, however far the device has gone") {
    Cuda device({.precision = CudaPrecision::f32});
    for (const std::size_t head_dim : {12u, 32u, 256u}) check_attention_of_a_step(device, {.head_dim = head_dim}, 51);
}

TEST_CASE("attention of one new token equals its reference") {
    Cuda device, exact({.precision = CudaPrecision::f32});
    under_every_schedule([&] {
        check_attention(device, {.heads = 6, .kv_heads = 2, .head_dim = 64}, 300, 1, 2e-3);
        check_attention(device, {.heads = 2, .kv_heads = 2, .head_dim = 96, .window = 100}, 520, 1, 2e-3);
        check_attention(exact, {.heads = 2, .kv_heads = 1, .head_dim = 80, .norms = true}, 270, 1, 1e-5);
        check_attention(device, {.heads = 2, .kv_heads = 1, .head_dim = 32}, 257, 1, 2e-3);
        check_attention(device, {.heads = 4, .kv_heads = 2, .head_dim = 80}, 34, 1, 2e-3);
        check_attention(device, {.heads = 2, .kv_heads = 1, .head_dim = 128, .norms = true}, 258, 1, 2e-3);
    });
    for (const std::size_t head_dim : {32u, 64u, 80u, 96u, 128u})
        for (const std::size_t group : {1u, 2u, 3u, 4u, 6u}) {
            check_attention(device, {.heads = 2 * group, .kv_heads = 2, .head_dim = head_dim}, 35, 1, 2e-3);
            if (group <= 2) check_attention(exact, {.heads = group, .kv_heads = 1, .head_dim = head_dim, .norms = true}, 35, 1, 1e-5);
        }
    for (const std::size_t total : {1u, 2u, 31u, 32u, 33u, 34u, 255u, 256u, 257u, 258u, 512u, 513u}) check_attention(exact, {}, total, 1, 1e-5);
    for (const std::size_t total : {2046u, 2047u, 2048u, 2049u, 2050u}) check_attention(exact, {.heads = 1, .window = 2047}, total, 1, 1e-5);
    check_attention(device, {.heads = 1, .window = 2047}, 2048, 1, 2e-3);
    check_attention(exact, {.heads = 2, .kv_heads = 2, .head_dim = 64, .norms = true, .rotary = 32}, 40, 1, 1e-5);
}

TEST_CASE("attention of many new tokens equals its reference") {
    Cuda device({.precision = CudaPrecision::f32});
    under_every_schedule([&] { check_attention(device, {.heads = 2, .kv_heads = 1, .head_dim = 12, .window = 5}, 20, 13, 1e-5); });
    for (const std::size_t head_dim : {8u, 16u, 33u * 2, 96u, 256u}) check_attention(device, {.heads = 2, .head_dim = head_dim}, 9, 9, 1e-5);
    check_attention(device, {.heads = 1, .window = 130}, 150, 20, 1e-5);
}

TEST_CASE("attention of many new tokens on tensor cores equals its reference") {
    Cuda device;
    under_every_schedule([&] {
        check_attention(device, {.heads = 2, .kv_heads = 1, .head_dim = 64, .window = 40}, 150, 70, 2e-2);
        check_attention(device, {.heads = 1, .head_dim = 96}, 66, 66, 2e-2);
        for (const std::size_t head_dim : {32u, 80u, 128u}) check_attention(device, {.heads = 1, .head_dim = head_dim}, 40, 17, 2e-2);
    });
    check_attention(device, {.heads = 1, .window = 2047}, 2055, 11, 2e-2);  // rows on both sides of Phi-3's window
    for (const std::size_t head_dim : {32u, 64u, 80u, 96u, 128u}) check_attention(device, {.heads = 2, .head_dim = head_dim}, 80, 17, 2e-2);
    for (const std::size_t total : {2u, 15u, 16u, 17u, 63u, 64u, 65u, 128u, 129u}) check_attention(device, {.heads = 1}, total, total, 2e-2);
    for (const std::size_t window : {1u, 15u, 16u, 17u, 63u, 64u, 65u, 66u, 79u, 80u, 81u}) check_attention(device, {.heads = 1, .window = window}, 150, 100, 2e-2);
}

TEST_CASE("attention in both directions equals its reference") {
    for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) {
        Cuda device({.precision = precision});
        for (const std::size_t d : {32u, 64u, 24u}) {
            const std::size_t heads = 2, width = 3 * heads * d;
            const std::vector<std::size_t> lengths = {1, 17, 70, 3};
            std::vector<Segment> segments;
            std::size_t rows = 0;
            for (const std::size_t length : lengths) segments.push_back({.row_begin = rows, .row_count = length}), rows += length;
            const std::vector<float> qkv = random_floats(rows * width, d);
            std::vector<float> expected(rows * heads * d);
            const AttentionShape shape{.n_heads = heads, .n_kv_heads = heads, .head_dim = d, .scale = 1 / std::sqrt(static_cast<float>(d))};
            for (const Segment& s : segments)
                for (std::size_t head = 0; head < heads; ++head) {
                    std::vector<float> keys, values;
                    for (std::size_t t = 0; t < s.row_count; ++t) {
                        const float* row = qkv.data() + (s.row_begin + t) * width;
                        keys.insert(keys.end(), row + (heads + head) * d, row + (heads + head + 1) * d), values.insert(values.end(), row + (2 * heads + head) * d, row + (2 * heads + head + 1) * d);
                    }
                    for (std::size_t t = 0; t < s.row_count; ++t)
                        reference::attend(qkv.data() + (s.row_begin + t) * width + head * d, keys.data(), values.data(), s.row_count, d, shape.scale, expected.data() + ((s.row_begin + t) * heads + head) * d);
                }
            const CudaBuffer on_device = to_device(device, qkv);
            CudaBuffer out(expected.size());
            attention(device, on_device.data(), shape, segments, out.data());
            CHECK(largest_difference(from_device(device, out.data(), expected.size()), expected) <= (precision == CudaPrecision::f32 ? 1e-5 : 2e-2));
        }
    }
}

TEST_CASE("sequences of a batch do not see one another, and give what each gives alone") {
    Cuda device;
    const Case c{.heads = 2, .kv_heads = 1, .head_dim = 64};
    const std::vector<std::size_t> lengths = {1, 40, 257, 7, 300, 33, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14};  // more than one launch takes
    std::vector<Sequence> sequences;
    for (const std::size_t length : lengths) sequences.emplace_back(c, length, length * 5);
    KvCache<Cuda> cache = make_kv_cache(device, 1, lengths.size(), 0, c.kv_heads, c.head_dim);
    const RopeTable<Cuda> rope = make_rope_table(device, sequences[0].frequencies);
    const AttentionShape shape = sequences[0].shape(nullptr);
    const std::size_t width = sequences[0].width, out_width = c.heads * c.head_dim;
    std::vector<float> last_rows;
    std::vector<Segment> segments;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        const Segment before{.row_count = lengths[i] - 1, .slot = i};
        CudaBuffer qkv = to_device(device, sequences[i].qkv);
        if (lengths[i] > 1) rope_and_cache(device, qkv.data(), shape, rope, std::span(&before, 1), cache, 0);
        last_rows.insert(last_rows.end(), sequences[i].qkv.end() - std::ptrdiff_t(width), sequences[i].qkv.end());
        segments.push_back({.row_begin = i, .row_count = 1, .past = lengths[i] - 1, .slot = i});
    }
    CudaBuffer qkv = to_device(device, last_rows), out(lengths.size() * out_width), alone(out_width);
    attend(device, qkv.data(), shape, rope, segments, cache, 0, out.data());
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        const Segment one{.row_count = 1, .past = lengths[i] - 1, .slot = i};
        attend(device, qkv.data() + i * width, shape, rope, std::span(&one, 1), cache, 0, alone.data());
        CHECK(from_device(device, alone.data(), out_width) == from_device(device, out.data() + i * out_width, out_width));
        CHECK(largest_difference(from_device(device, alone.data(), out_width), sequences[i].expected(1, true)) <= 2e-3);
    }
}
