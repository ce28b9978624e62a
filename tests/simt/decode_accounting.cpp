// What a decode step moves, summed from the parameters of its launches: for Phi-3-mini (whose weights are only pretended) hardly more
// than the weights and the keys and values it must read, in five launches a layer. And the sums are true: on a small model every launch
// reads and writes the bytes that it says.
#include <iostream>

#include "morsel/cuda/ops.cuh"
#include "morsel/models/llama.hpp"
#include "support/catch.hpp"
#include "support/random_llama.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

CudaMatrix pretended(std::size_t out, std::size_t in) {
    CudaMatrix m;
    m.type = DType::bf16, m.out_features = out, m.in_features = in, m.row_bytes = in * 2, m.bytes = out * in * 2;
    m.data = std::shared_ptr<std::uint8_t>(morsel::detail::allocate_device(m.bytes));
    return m;
}

}  // namespace

TEST_CASE("a decode step of Phi-3-mini moves its weights and its cache, and little else") {
    simt::record_only(true);
    std::vector<CudaLaunch> launches;
    Cuda device({.on_launch = [&](const CudaLaunch& launch) { launches.push_back(launch); }});
    Llama<Cuda> model;
    LlamaConfig& c = model.config;
    c.model_type = "phi3", c.vocab_size = 32064, c.hidden_size = 3072, c.intermediate_size = 8192, c.num_hidden_layers = 32;
    c.num_attention_heads = c.num_key_value_heads = 32, c.head_dim = 96, c.max_position_embeddings = 4096, c.sliding_window = 2047;
    model.embed_tokens = pretended(c.vocab_size, c.hidden_size), model.lm_head = pretended(c.vocab_size, c.hidden_size);
    model.norm = CudaBuffer(c.hidden_size);
    std::size_t weights = model.lm_head.bytes;
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
        LlamaLayer<Cuda>& layer = model.layers.emplace_back();
        layer.input_layernorm = CudaBuffer(c.hidden_size), layer.post_attention_layernorm = CudaBuffer(c.hidden_size);
        layer.qkv_proj = pretended(9216, 3072), layer.o_proj = pretended(3072, 3072), layer.gate_up_proj = pretended(16384, 3072), layer.down_proj = pretended(3072, 8192);
        weights += layer.qkv_proj.bytes + layer.o_proj.bytes + layer.gate_up_proj.bytes + layer.down_proj.bytes;
    }
    CHECK((weights + 500000) / 1000000 == 7445);  // 7.445 GB: 3.82 billion parameters less the embedding table
    for (const std::size_t context : {0u, 512u, 2047u, 4000u}) {
        LlamaState<Cuda> state = make_llama_state(device, model);
        state.tokens[0].assign(context, 1);
        CudaBuffer out(c.vocab_size);
        launches.clear();
        const TokenId id = 1;
        logits(device, model, forward(device, model, state, 0, std::span(&id, 1)), 1, out.data());
        std::size_t moved = 0;
        for (const CudaLaunch& launch : launches) moved += launch.read + launch.written;
        const std::size_t kv = std::min<std::size_t>(context + 1, 2047) * 393216, needed = weights + kv;
        INFO("context " << context << ", " << launches.size() << " launches, " << moved << " of " << needed << " bytes");
        CHECK(moved >= needed - 393216);  // the new token's keys and values are written, not read
        CHECK(static_cast<double>(moved) <= 1.02 * static_cast<double>(needed));
        CHECK(launches.size() <= 5 * c.num_hidden_layers + 3);
        std::cout << "Phi-3-mini decode at " << context << " tokens: " << launches.size() << " launches, " << static_cast<double>(moved) / 1e9 << " GB moved, "
                  << static_cast<double>(moved) / static_cast<double>(needed) << " of what must be; at 3.0 TB/s " << 3.0e12 / static_cast<double>(moved) << " tokens/s\n";
    }
    simt::record_only(false);
}

TEST_CASE("launches move the bytes that they say") {
    std::size_t seen = 0;
    Cuda device({.on_launch = [&](const CudaLaunch& launch) {
        const simt::Traffic traffic = simt::last_traffic();
        INFO(launch.name << " says it reads " << launch.read << " and writes " << launch.written << ", and did " << traffic.read << " and " << traffic.written);
        // Parts of a split are read back by the last block only, and masked keys are not read.
        CHECK(static_cast<double>(traffic.read) <= 1.001 * static_cast<double>(launch.read));
        CHECK(static_cast<double>(traffic.read) >= 0.95 * static_cast<double>(launch.read));
        CHECK(traffic.written == launch.written);
        ++seen;
    }});
    const LlamaConfig c = small_llama_config();
    const Llama<Cuda> model = load_llama(device, c, RandomWeights(c, DType::bf16));
    LlamaState<Cuda> state = make_llama_state(device, model);
    CudaBuffer out(c.vocab_size);
    std::vector<TokenId> ids;
    for (TokenId i = 0; i < 300; ++i) ids.push_back(i % 50);
    for (std::size_t at = 0; at < 300; at += 50) forward(device, model, state, 0, std::span(ids).subspan(at, 50));  // no row of the table twice
    for (int i = 0; i < 2; ++i) logits(device, model, forward(device, model, state, 0, std::span(ids).first(1)), 1, out.data());
    CHECK(seen > 30);
}
