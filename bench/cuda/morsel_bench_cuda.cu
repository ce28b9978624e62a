// All figures of the GPU in one run, one JSON object: bandwidth of a device copy, decode steps of Phi-3-mini's sizes with random bits for
// weights (tokens/s and share of the copy's bandwidth), its products of one row against cuBLAS, prefill, attention, and sampling.
//   morsel-bench-cuda [CONTEXT]      CONTEXT: tokens in the cache while decoding, default 512
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "morsel/cuda/ops.cuh"
#include "morsel/models/llama.hpp"

using namespace morsel;

namespace {

// Milliseconds of one call: the least of five batches of `calls`, between events of the device's stream.
double milliseconds(Cuda& device, int calls, const std::function<void()>& call) {
    const detail::Event from = detail::make_event(), to = detail::make_event();
    call();
    double least = 1e30;
    for (int batch = 0; batch < 5; ++batch) {
        detail::check_cuda(cudaEventRecord(from.get(), device.stream()), "cudaEventRecord");
        for (int i = 0; i < calls; ++i) call();
        detail::check_cuda(cudaEventRecord(to.get(), device.stream()), "cudaEventRecord");
        detail::check_cuda(cudaEventSynchronize(to.get()), "cudaEventSynchronize");
        float elapsed = 0;
        detail::check_cuda(cudaEventElapsedTime(&elapsed, from.get(), to.get()), "cudaEventElapsedTime");
        least = std::min(least, static_cast<double>(elapsed) / calls);
    }
    return least;
}

// bf16 weights that are small numbers: bytes 0x3c00 | i, without a host copy.
CudaMatrix random_weights(Cuda& device, std::size_t out, std::size_t in) {
    CudaMatrix m;
    m.type = DType::bf16, m.out_features = out, m.in_features = in, m.row_bytes = in * 2, m.bytes = out * in * 2;
    m.data = std::shared_ptr<std::uint8_t>(detail::allocate_device(m.bytes));
    detail::check_cuda(cudaMemsetAsync(m.data.get(), 0x3c, m.bytes, device.stream()), "cudaMemsetAsync");
    return m;
}
CudaBuffer ones(Cuda& device, std::size_t count) {
    CudaBuffer buffer(count);
    upload(device, std::vector<float>(count, 1.0f), buffer.data());
    return buffer;
}

Llama<Cuda> phi3_mini(Cuda& device) {
    Llama<Cuda> model;
    LlamaConfig& c = model.config;
    c.model_type = "phi3", c.vocab_size = 32064, c.hidden_size = 3072, c.intermediate_size = 8192, c.num_hidden_layers = 32;
    c.num_attention_heads = c.num_key_value_heads = 32, c.head_dim = 96, c.max_position_embeddings = 4096, c.sliding_window = 2047;
    model.embed_tokens = random_weights(device, c.vocab_size, c.hidden_size), model.lm_head = random_weights(device, c.vocab_size, c.hidden_size);
    model.norm = ones(device, c.hidden_size);
    for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
        LlamaLayer<Cuda>& layer = model.layers.emplace_back();
        layer.input_layernorm = ones(device, c.hidden_size), layer.post_attention_layernorm = ones(device, c.hidden_size);
        layer.qkv_proj = random_weights(device, 9216, 3072), layer.o_proj = random_weights(device, 3072, 3072);
        layer.gate_up_proj = random_weights(device, 16384, 3072), layer.down_proj = random_weights(device, 3072, 8192);
    }
    return model;
}

}  // namespace

int main(int argc, char** argv) try {
    const std::size_t context = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 512;
    std::size_t moved = 0;
    Cuda device({.on_launch = [&](const CudaLaunch& launch) { moved += launch.read + launch.written; }});

    const std::size_t copied = std::size_t{1} << 30;
    CudaBuffer a(copied / 4), b(copied / 4);
    const double copy_ms = milliseconds(device, 10, [&] { copy(device, a.data(), b.data(), copied / 4); });
    const double copy_rate = 2.0 * static_cast<double>(copied) / copy_ms / 1e9;  // TB/s, read and written
    std::printf("{\"copy_tb_s\": %.3f", copy_rate);

    const Llama<Cuda> model = phi3_mini(device);
    const LlamaConfig& c = model.config;
    LlamaState<Cuda> state = make_llama_state(device, model);
    state.tokens[0].assign(context, 1);
    state.cache.reserve(device, 0, context + 2);
    CudaBuffer scores(c.vocab_size);
    const TokenId one = 1;
    const auto step = [&] {
        state.tokens[0].resize(context);
        logits(device, model, forward(device, model, state, 0, std::span(&one, 1)), 1, scores.data());
    };
    step();
    moved = 0, step();
    const std::size_t step_bytes = moved;
    const double eager_ms = milliseconds(device, 20, step);
    detail::DeviceBytes device_step = detail::allocate_device(sizeof(CudaStep));
    const CudaStep at{.token = 1, .past = static_cast<std::uint32_t>(context), .produced = 0, .history = 0, .failed = 0};
    detail::check_cuda(cudaMemcpyAsync(device_step.get(), &at, sizeof at, cudaMemcpyHostToDevice, device.stream()), "cudaMemcpyAsync");
    device.synchronize();
    device.step = reinterpret_cast<const CudaStep*>(device_step.get());
    step();
    detail::check_cuda(cudaStreamBeginCapture(device.stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    step();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    detail::check_cuda(cudaStreamEndCapture(device.stream(), &graph), "cudaStreamEndCapture");
    detail::check_cuda(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    const double graph_ms = milliseconds(device, 20, [&] { detail::check_cuda(cudaGraphLaunch(executable, device.stream()), "cudaGraphLaunch"); });
    cudaGraphExecDestroy(executable), cudaGraphDestroy(graph);
    device.step = nullptr;
    std::printf(", \"context\": %zu, \"decode_tokens_s\": %.1f, \"decode_eager_tokens_s\": %.1f, \"decode_tb_s\": %.3f, \"decode_share_of_copy\": %.3f", context, 1e3 / graph_ms, 1e3 / eager_ms,
                static_cast<double>(step_bytes) / graph_ms / 1e9, static_cast<double>(step_bytes) / graph_ms / 1e9 / copy_rate);

    // Products of one row, ours and cuBLAS's; the weights of all layers in turn, so that none is in the cache.
    CudaBuffer x = ones(device, 8192), y(16384);
    for (const char* name : {"qkv", "down"}) {
        const bool qkv = std::string(name) == "qkv";
        std::size_t layer = 0;
        const auto weights = [&]() -> const CudaMatrix& { return qkv ? model.layers[layer++ % 32].qkv_proj : model.layers[layer++ % 32].down_proj; };
        const double bytes = static_cast<double>(weights().bytes);
        const double own = milliseconds(device, 64, [&] { linear(device, x.data(), 1, weights(), {}, y.data()); });
        const double theirs = milliseconds(device, 64, [&] { detail::linear_many(device, x.data(), 1, weights(), {}, y.data()); });
        std::printf(", \"gemv_%s_tb_s\": %.3f, \"gemv_%s_cublas_tb_s\": %.3f", name, bytes / own / 1e9, name, bytes / theirs / 1e9);
    }

    // Prefill of 2048 tokens: 2 floating-point operations a weight and token, and the attention.
    const std::vector<TokenId> prompt(2048, 1);
    const double prefill_ms = milliseconds(device, 2, [&] {
        state.tokens[0].clear();
        forward(device, model, state, 0, prompt);
    });
    // The products of that prefill alone, by cuBLAS from activations that are bf16 already: the rest is ours.
    CudaBuffer narrow = ones(device, 2048 * 8192 / 2), wide(std::size_t{2048} * 16384);
    const double products_ms = milliseconds(device, 2, [&] {
        for (const LlamaLayer<Cuda>& layer : model.layers)
            for (const CudaMatrix* w : {&layer.qkv_proj, &layer.o_proj, &layer.gate_up_proj, &layer.down_proj}) {
                const float alpha = 1, beta = 0;
                const int n = static_cast<int>(w->out_features), k = static_cast<int>(w->in_features);
                detail::check_cublas(cublasGemmEx(device.cublas(), CUBLAS_OP_T, CUBLAS_OP_N, n, 2048, k, &alpha, w->data.get(), CUDA_R_16BF, k, narrow.data(), CUDA_R_16BF, k, &beta, wide.data(),
                                                  CUDA_R_32F, n, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                                     "cublasGemmEx");
            }
    });
    std::printf(", \"prefill_tokens_s\": %.0f, \"prefill_tflop_s\": %.1f, \"prefill_share_of_cublas\": %.3f", 2048e3 / prefill_ms, 2.0 * 3.624e9 * 2048 / prefill_ms / 1e9,
                products_ms / prefill_ms);

    for (const std::size_t head_dim : {64u, 96u, 128u}) {  // causal, 4096 tokens, 16 heads
        const std::size_t heads = 16, length = 4096;
        const AttentionShape shape{.n_heads = heads, .n_kv_heads = heads, .head_dim = head_dim, .scale = 0.1f};
        CudaBuffer qkv = ones(device, length * shape.qkv_width()), out(length * heads * head_dim);
        KvCache<Cuda> cache = make_kv_cache(device, 1, 1, length, heads, head_dim);
        const Segment all{.row_count = length};
        const RopeTable<Cuda> none = make_rope_table(device, std::span<const float>());
        rope_and_cache(device, qkv.data(), shape, none, std::span(&all, 1), cache, 0);
        const double ms = milliseconds(device, 5, [&] { attention(device, qkv.data(), shape, std::span(&all, 1), cache, 0, out.data()); });
        std::printf(", \"attention_%zu_tflop_s\": %.1f", head_dim, 2.0 * length * length * heads * static_cast<double>(head_dim) / ms / 1e9);
    }

    std::vector<float> random(c.vocab_size);
    for (std::size_t i = 0; i < random.size(); ++i) random[i] = static_cast<float>((i * 2654435761u >> 8) % 10007) / 700.0f;
    upload(device, random, scores.data());
    detail::DeviceBytes history = detail::allocate_device(4096 * sizeof(TokenId));
    for (const bool top_k : {true, false}) {
        kernels::Sampling s;
        s.do_sample = true, s.temperature = 0.8f, s.top_k = top_k ? 50 : 0, s.top_p = 0.9f;
        detail::DeviceBytes sampling = detail::allocate_device(sizeof s);
        detail::check_cuda(cudaMemcpyAsync(sampling.get(), &s, sizeof s, cudaMemcpyHostToDevice, device.stream()), "cudaMemcpyAsync");
        const double ms = milliseconds(device, 20, [&] {
            sample(device, scores.data(), 1, c.vocab_size, c.vocab_size, reinterpret_cast<const kernels::Sampling*>(sampling.get()), reinterpret_cast<TokenId*>(history.get()), 4096, reinterpret_cast<CudaStep*>(device_step.get()));
        });
        std::printf(", \"sampling_%s_us\": %.1f", top_k ? "top_k" : "top_p", ms * 1e3);
    }
    std::printf("}\n");
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "morsel-bench-cuda: %s\n", e.what()), 1;
}
