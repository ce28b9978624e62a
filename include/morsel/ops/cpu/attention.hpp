// Causal attention of the CPU device over the key-value cache.
#pragma once
#include "morsel/ops/cpu/rope.hpp"

namespace morsel {

// qkv [rows, qkv_width] after rope_and_cache; out [rows, n_heads · head_dim].
inline void attention(Cpu&, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments,
                      const KvCache<Cpu>& cache, std::size_t layer, float* out) {
    const std::size_t d = shape.head_dim;
    for (const Segment& segment : segments) {
        const KvCache<Cpu>::Pages& pages = cache.at(layer, segment.slot);
        for (std::size_t i = 0; i < segment.row_count; ++i) {
            const std::size_t end = segment.past + i + 1, begin = shape.window > 0 && end > shape.window ? end - shape.window : 0;
            for (std::size_t head = 0; head < shape.n_heads; ++head) {
                const std::size_t kv = head / (shape.n_heads / shape.n_kv_heads);
                std::vector<float> keys((end - begin) * d);
                for (std::size_t t = begin; t < end; ++t) {
                    for (std::size_t j = 0; j < d; ++j)
                        keys[(t - begin) * d + j] = pages.keys.data()[(kv * pages.capacity + t / 16 * 16) * d + j * 16 + t % 16];
                }
                reference::attend(qkv + (segment.row_begin + i) * shape.qkv_width() + head * d, keys.data(),
                                  pages.values.data() + (kv * pages.capacity + begin) * d, end - begin, d, shape.scale,
                                  out + ((segment.row_begin + i) * shape.n_heads + head) * d);
            }
        }
    }
}

}  // namespace morsel
