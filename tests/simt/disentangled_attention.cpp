// Disentangled attention on the GPU, plain and on tensor cores, against plain loops: lengths around the boundaries of warps and tiles,
// several sequences, holes between positions, distances that share rows and that do not, each term alone and both; and a whole DeBERTa
// against the CPU's.
#include "morsel/cuda/ops.cuh"
#include "morsel/models/deberta.hpp"
#include "morsel/ops/cpu.hpp"
#include "support/cuda_floats.hpp"
#include "support/cuda_schedules.hpp"
#include "support/plain_encoder_attention.hpp"
#include "support/random_tensors.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

// Packed sequences at positions that begin at 3.
struct Sequences {
    std::vector<Segment> segments;
    std::vector<TokenId> positions;  // [rows]
    std::size_t longest = 1;         // slots from a first to a last position
};

Sequences sequences(const std::vector<std::size_t>& lengths, bool holes) {
    Sequences s;
    for (const std::size_t length : lengths) {
        s.segments.push_back({.row_begin = s.positions.size(), .row_count = length});
        TokenId position = 3;
        for (std::size_t i = 0; i < length; ++i) {
            s.positions.push_back(position);
            s.longest = std::max<std::size_t>(s.longest, position - 3 + 1);
            position += holes && (i * 7 + length) % 5 == 0 ? 1 + static_cast<TokenId>(i % 40) : 1;
        }
    }
    return s;
}

struct Terms {
    bool c2p = true, p2c = true;
};

void check_disentangled(Cuda& device, const Sequences& s, std::size_t heads, std::size_t head_dim, const DebertaConfig& distances, Terms terms, double tolerance) {
    INFO(heads << " heads of " << head_dim << ", " << s.positions.size() << " rows, " << 2 * distances.span() << " rows of distances, c2p " << terms.c2p << ", p2c " << terms.p2c);
    const AttentionShape shape{.n_heads = heads, .n_kv_heads = heads, .head_dim = head_dim, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim * (1u + terms.c2p + terms.p2c)))};
    const std::size_t table = 2 * distances.span() * heads * head_dim;
    const std::vector<float> qkv = random_floats(s.positions.size() * shape.qkv_width(), head_dim), keys = random_floats(table, 2), queries = random_floats(table, 3);
    const std::vector<std::uint32_t> row_of_distance = relative_rows(distances, s.longest);
    const std::vector<float> expected = plain_encoder_attention(qkv, shape, s.segments, s.positions, {terms.c2p ? keys.data() : nullptr, terms.p2c ? queries.data() : nullptr, row_of_distance});
    const CudaBuffer qkv_there = to_device(device, qkv), keys_there = to_device(device, keys), queries_there = to_device(device, queries);
    CudaBuffer out = to_device(device, std::vector<float>(expected.size(), NAN));
    disentangled_attention(device, qkv_there.data(), shape, s.segments, s.positions, {terms.c2p ? keys_there.data() : nullptr, terms.p2c ? queries_there.data() : nullptr, row_of_distance}, out.data());
    CHECK(largest_difference(from_device(device, out.data(), expected.size()), expected) <= tolerance);
}

// Every distance has its own row up to `most`; `buckets` of v2, or 0.
DebertaConfig distances(std::size_t most, std::size_t buckets = 0) {
    DebertaConfig c;
    c.v2 = buckets > 0, c.max_relative_positions = most, c.position_buckets = buckets;
    return c;
}

const std::vector<std::size_t> boundaries = {1, 15, 16, 17, 31, 33, 63, 64, 65, 127, 130};
constexpr double f32_tolerance = 1e-5, bf16_tolerance = 2e-2;

// A DeBERTa of any size with random weights.
class RandomDeberta : public RandomTensors {
  public:
    explicit RandomDeberta(const DebertaConfig& c) {
        const std::size_t h = c.hidden_size;
        for (const std::string& name : morsel::detail::deberta_tensor_names(c)) {
            if (name.ends_with(".bias")) vector(name, name.find("intermediate") != std::string::npos ? c.intermediate_size : h);
            else if (name.find("LayerNorm") != std::string::npos || name.ends_with("q_bias") || name.ends_with("v_bias")) vector(name, h);
            else if (name.find("word_embeddings") != std::string::npos) matrix(name, DType::f32, c.vocab_size, h, 1.0f);
            else if (name.find("rel_embeddings") != std::string::npos) matrix(name, DType::f32, 2 * c.span(), h, 1.0f);
            else if (name.find("intermediate") != std::string::npos) matrix(name, DType::f32, c.intermediate_size, h, 0.2f);
            else if (name.ends_with("in_proj.weight")) matrix(name, DType::f32, 3 * h, h, 0.2f);
            else if (name.find("attention") == std::string::npos) matrix(name, DType::f32, h, c.intermediate_size, 0.2f);
            else matrix(name, DType::f32, h, h, 0.2f);
        }
    }
};

template <class D>
std::vector<float> hidden_states(D& device, const DebertaConfig& c, const TensorSource& weights, const EncoderBatch& batch) {
    const Deberta<D> model = load_deberta(device, c, weights);
    EncoderWork<D> work;
    std::vector<float> hidden(batch.rows() * c.hidden_size);
    download(device, forward(device, model, work, batch), hidden);
    return hidden;
}

}  // namespace

TEST_CASE("disentangled attention in f32 equals its reference") {
    Cuda device({.precision = CudaPrecision::f32});
    const Sequences s = sequences({1, 17, 130}, true);
    under_every_schedule([&] { check_disentangled(device, sequences({3, 20}, true), 2, 12, distances(10), {}, f32_tolerance); });
    check_disentangled(device, s, 1, 32, distances(512, 16), {.p2c = false}, f32_tolerance);
    check_disentangled(device, s, 1, 32, distances(512, 16), {.c2p = false}, f32_tolerance);
}

TEST_CASE("disentangled attention on tensor cores equals its reference") {
    Cuda device;
    const Sequences dense = sequences(boundaries, false), sparse = sequences(boundaries, true);
    under_every_schedule([&] {
        check_disentangled(device, dense, 2, 64, distances(512), {}, bf16_tolerance);
        check_disentangled(device, sparse, 1, 64, distances(512, 32), {}, bf16_tolerance);
    });
    for (const Sequences* s : {&dense, &sparse}) {
        for (const Terms terms : {Terms{true, false}, Terms{false, true}}) check_disentangled(device, *s, 1, 64, distances(512, 8), terms, bf16_tolerance);
        for (const DebertaConfig& d : {distances(7), distances(512, 256)}) check_disentangled(device, *s, 1, 64, d, {}, bf16_tolerance);
    }
    for (const std::size_t head_dim : {32u, 80u, 96u, 128u}) check_disentangled(device, sequences({70, 3}, true), 2, head_dim, distances(512, 64), {}, bf16_tolerance);
    check_disentangled(device, sequences({40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, false), 1, 64, distances(16), {}, bf16_tolerance);  // more than one launch takes
}

TEST_CASE("a DeBERTa on tensor cores equals the CPU's") {
    for (const bool v2 : {false, true}) {
        DebertaConfig c;
        c.v2 = v2, c.model_type = v2 ? "deberta-v2" : "deberta";
        c.vocab_size = 50, c.hidden_size = c.embedding_size = 64, c.num_hidden_layers = 2, c.num_attention_heads = 2, c.intermediate_size = 96, c.max_position_embeddings = 512;
        c.position_biased_input = false, c.relative_attention = c.c2p = c.p2c = true, c.max_relative_positions = 512;
        if (v2) c.position_buckets = 32, c.share_att_key = c.norm_rel_ebd = true;
        const RandomDeberta weights(c);
        EncoderBatch batch;
        for (const std::size_t length : {1u, 70u, 18u}) {
            std::vector<TokenId> ids, mask;
            for (std::size_t i = 0; i < length; ++i) ids.push_back(static_cast<TokenId>((i * 7 + length) % 50)), mask.push_back(length == 18 && (i == 5 || i > 15) ? 0 : 1);
            add_sequence(batch, c, ids, {}, mask);
        }
        Cpu cpu;
        const std::vector<float> expected = hidden_states(cpu, c, weights, batch);
        for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) {
            std::size_t tiled = 0;
            Cuda device({.precision = precision, .on_launch = [&](const CudaLaunch& launch) { tiled += std::string_view(launch.name) == "tiled_disentangled_attention"; }});
            const double tolerance = (precision == CudaPrecision::f32 ? 3e-5 : 2e-2) * (1 + largest_magnitude(expected));
            CHECK(largest_difference(hidden_states(device, c, weights, batch), expected) <= tolerance);
            CHECK(tiled == (precision == CudaPrecision::bf16 ? c.num_hidden_layers : 0));
        }
    }
    CHECK(host_fault().empty());
}
