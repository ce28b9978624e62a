// linear of the CPU device, single parts: one row (decoding; bytes per second against a plain read of as much memory in the same
// run) and many rows (prefill; multiply-adds per second). Shapes are SmolLM2-135M's. Arguments: type, out, in, rows, threads.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <vector>

#include "morsel/ops/cpu.hpp"

namespace {

using namespace morsel;

// Bytes 0x3c to 0x3f: normal numbers of about 1 in every plain type and as every scale.
std::vector<std::byte> stored_bytes(DType type, std::size_t n, std::size_t k) {
    const DTypeInfo info = dtype_info(type);
    std::vector<std::byte> bytes(n * k / info.block_size * (info.block_bits / 8));
    std::minstd_rand random(1);
    for (std::byte& b : bytes) b = static_cast<std::byte>(0x3c + (random() >> 8 & 3));
    return bytes;
}

// Matrices enough to fill 128 MB, so that every pass reads memory and not a cache.
void linear_rows(benchmark::State& state, DType type, MatrixPrecision precision, Isa isa = Isa::best) {
    const auto n = static_cast<std::size_t>(state.range(0)), k = static_cast<std::size_t>(state.range(1)),
               rows = static_cast<std::size_t>(state.range(2));
    Cpu device({.threads = static_cast<unsigned>(state.range(3)), .precision = precision, .isa = isa});
    const std::vector<std::byte> bytes = stored_bytes(type, n, k);
    std::vector<CpuMatrix> weights;
    for (std::size_t total = 0; total < (std::size_t{128} << 20); total += bytes.size())
        weights.push_back(prepare_matrix(device, {type, {n, k}, bytes}));
    CpuBuffer x(rows * k), out(rows * n);
    std::fill_n(x.data(), rows * k, 0.5f);
    std::size_t i = 0;
    for (auto _ : state) {
        linear(device, x.data(), rows, weights[i], {}, out.data());
        i = (i + 1) % weights.size();
    }
    const auto passes = static_cast<double>(state.iterations());
    state.counters["weights"] =
        benchmark::Counter(passes * static_cast<double>(bytes.size()), benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
    state.counters["FLOP"] =
        benchmark::Counter(passes * 2.0 * static_cast<double>(n * k * rows), benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
}

void memory_read(benchmark::State& state) {
    Cpu device({.threads = static_cast<unsigned>(state.range(0))});
    const std::size_t count = std::size_t{16} << 20;
    std::vector<std::uint64_t> memory(count, 1);
    for (auto _ : state) {
        device.pool().split(count, 4096, [&](std::size_t begin, std::size_t end, unsigned) {
            std::uint64_t any[32] = {};
            for (std::size_t i = begin; i + 32 <= end; i += 32) {
                for (std::size_t j = 0; j < 32; ++j) any[j] |= memory[i + j];
            }
            for (const std::uint64_t word : any) benchmark::DoNotOptimize(word);
        });
    }
    state.counters["weights"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(count * 8), benchmark::Counter::kIsRate);
}
BENCHMARK(memory_read)->Arg(1)->Arg(2)->UseRealTime();

void decode_shapes(benchmark::internal::Benchmark* b) {
    for (const int threads : {1, 2}) b->Args({3072, 576, 1, threads});
    b->Args({49152, 576, 1, 2})->UseRealTime();
}
void prefill_shapes(benchmark::internal::Benchmark* b) {
    for (const int threads : {1, 2}) b->Args({3072, 576, 512, threads})->Args({576, 1536, 512, threads});
    b->UseRealTime();
}
BENCHMARK_CAPTURE(linear_rows, bf16_decode, DType::bf16, MatrixPrecision::bf16x3)->Apply(decode_shapes);
BENCHMARK_CAPTURE(linear_rows, q4_1_decode, DType::q4_1, MatrixPrecision::bf16x3)->Apply(decode_shapes);
BENCHMARK_CAPTURE(linear_rows, q8_0_decode, DType::q8_0, MatrixPrecision::bf16x3)->Apply(decode_shapes);
BENCHMARK_CAPTURE(linear_rows, q6_k_decode, DType::q6_k, MatrixPrecision::bf16x3)->Args({4096, 768, 1, 1})->UseRealTime();
BENCHMARK_CAPTURE(linear_rows, q4_k_decode, DType::q4_k, MatrixPrecision::bf16x3)->Args({4096, 768, 1, 1})->UseRealTime();
BENCHMARK_CAPTURE(linear_rows, bf16_prefill, DType::bf16, MatrixPrecision::bf16x3)->Apply(prefill_shapes);
BENCHMARK_CAPTURE(linear_rows, f32_prefill, DType::f32, MatrixPrecision::bf16x3)->Apply(prefill_shapes);
BENCHMARK_CAPTURE(linear_rows, q4_1_prefill, DType::q4_1, MatrixPrecision::bf16x3)->Apply(prefill_shapes);
BENCHMARK_CAPTURE(linear_rows, bf16_prefill_rounded, DType::bf16, MatrixPrecision::bf16)->Apply(prefill_shapes);
BENCHMARK_CAPTURE(linear_rows, bf16_prefill_vdpbf16ps, DType::bf16, MatrixPrecision::bf16, Isa::avx512_bf16)->Apply(prefill_shapes);
BENCHMARK_CAPTURE(linear_rows, bf16_prefill_exact, DType::bf16, MatrixPrecision::f32)->Apply(prefill_shapes);

}  // namespace
