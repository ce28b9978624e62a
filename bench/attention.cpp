// Attention of the CPU device, single parts: one new token behind a long past (bytes of keys and values per second) and a prompt
// from nothing (multiply-adds per second). The shape is SmolLM2-135M's. Arguments: new tokens, past, threads.
#include <benchmark/benchmark.h>

#include "morsel/ops/cpu.hpp"

namespace {

using namespace morsel;

void attention_rows(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0)), past = static_cast<std::size_t>(state.range(1));
    Cpu device({.threads = static_cast<unsigned>(state.range(2))});
    const AttentionShape shape{.n_heads = 9, .n_kv_heads = 3, .head_dim = 64, .scale = 0.125f};
    constexpr std::size_t layers = 30;
    const RopeTable<Cpu> table = make_rope_table(device, std::vector<float>(32, 0.01f));
    KvCache<Cpu> cache = make_kv_cache(device, layers, 1, past + rows, shape.n_kv_heads, shape.head_dim);
    CpuBuffer qkv(rows * shape.qkv_width()), out(rows * shape.n_heads * shape.head_dim);
    std::fill_n(qkv.data(), qkv.size(), 0.1f);
    const Segment segment{.row_begin = 0, .row_count = rows, .past = past, .slot = 0};
    for (std::size_t layer = 0; layer < layers; ++layer)
        rope_and_cache(device, qkv.data(), shape, table, std::span(&segment, 1), cache, layer);
    std::size_t layer = 0;
    for (auto _ : state) {
        attention(device, qkv.data(), shape, std::span(&segment, 1), cache, layer, out.data());
        layer = (layer + 1) % layers;
    }
    const auto passes = static_cast<double>(state.iterations());
    const double pairs = static_cast<double>(rows * past) + static_cast<double>(rows * (rows + 1)) / 2;  // of a query and a key it sees
    state.counters["FLOP"] = benchmark::Counter(passes * pairs * 9 * 64 * 4, benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
    state.counters["cache"] = benchmark::Counter(passes * static_cast<double>((past + rows) * 3 * 64 * 2 * 4), benchmark::Counter::kIsRate,
                                                 benchmark::Counter::kIs1000);
}
BENCHMARK(attention_rows)
    ->Args({1, 511, 1})
    ->Args({1, 511, 2})
    ->Args({1, 2047, 1})
    ->Args({512, 0, 1})
    ->Args({512, 0, 2})
    ->Args({2048, 0, 1})
    ->UseRealTime();

}  // namespace
