// Causal attention of the CPU device over the key-value cache: grouped queries, an optional sliding window, any number of new
// tokens of any number of sequences. Query vectors that share a key-value head are computed together, so its keys and values are
// read once for several. Threads take blocks of rows in turn, so that the longer rows of a causal triangle spread evenly.
#pragma once
#include <cstddef>
#include <span>

#include "morsel/ops/cpu/attention_kernels.hpp"
#include "morsel/ops/cpu/rope.hpp"

namespace morsel {

// qkv [rows, qkv_width] after rope_and_cache; out [rows, n_heads · head_dim].
inline void attention(Cpu& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments,
                      const KvCache<Cpu>& cache, std::size_t layer, float* out) {
    const std::size_t d = shape.head_dim, group = shape.n_heads / shape.n_kv_heads, stride = cache.value_stride();
    constexpr std::size_t block_rows = 8;
    std::size_t work = 0;  // query-key pairs, to see whether threads are worth waking
    for (const Segment& s : segments) work += s.row_count * (s.past + s.row_count) * shape.n_heads;
    const auto take = [&](std::size_t first, std::size_t step) {
        std::size_t item = 0;
        for (const Segment& segment : segments) {
            for (std::size_t row = 0; row < segment.row_count; row += block_rows) {
                for (std::size_t kv = 0; kv < shape.n_kv_heads; ++kv, ++item) {
                    if (item % step != first) continue;
                    const std::size_t rows = std::min(block_rows, segment.row_count - row), last = segment.past + row + rows;
                    const std::size_t first_end = segment.past + row + 1;
                    const std::size_t skip =
                        shape.window > 0 && first_end > shape.window ? (first_end - shape.window) / 16 * 16 : 0;  // keys
                    float* scores = device.scratch(Cpu::shared_scratches + first, detail::query_group * ((last - skip + 15) / 16 * 16));
                    detail::Query queries[detail::query_group];
                    std::size_t count = 0;
                    for (std::size_t i = 0; i < rows * group; ++i) {
                        const std::size_t r = segment.row_begin + row + i / group, head = kv * group + i % group;
                        const std::size_t end = segment.past + row + i / group + 1;
                        const std::size_t begin = shape.window > 0 && end > shape.window ? end - shape.window : 0;
                        queries[count++] = {qkv + r * shape.qkv_width() + head * d, out + (r * shape.n_heads + head) * d, begin - skip,
                                            end - skip};
                        if (count < detail::query_group && i + 1 < rows * group) continue;
                        detail::attend(device.isa(), queries, count, cache.keys(layer, segment.slot, kv) + skip * d,
                                       cache.values(layer, segment.slot, kv) + skip * stride, stride, d, shape.scale, scores);
                        count = 0;
                    }
                }
            }
        }
    };
    const unsigned threads = device.pool().size();
    if (threads == 1 || work * d < 32768) return take(0, 1);
    device.pool().run([&](unsigned thread) { take(thread, threads); });
}

}  // namespace morsel
