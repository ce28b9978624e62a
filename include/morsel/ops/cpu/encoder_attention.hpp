// Bidirectional attention of the CPU device: every row of a sequence sees all rows of it. Keys and values of one head are laid
// out as the kernels of attention_kernels.hpp want them (panels of 16 keys; values in padded rows), then its queries run over them in
// groups. Threads take (sequence, head) pairs in turn. A row's result does not depend on the batch around it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>

#include "morsel/ops/cpu/attention_kernels.hpp"
#include "morsel/ops/cpu/block_kernels.hpp"
#include "morsel/ops/cpu/device.hpp"

namespace morsel {

namespace detail {

// One head's keys and values in the layout of the kernels; zero beyond the last key.
// from: the head's column of a row, rows `stride` floats apart. keys [panels][head_dim][16], panels = (count + 15) / 16.
inline void pack_keys(Isa isa, const float* from, std::size_t count, std::size_t stride, std::size_t head_dim, float* keys) {
    for (std::size_t t = 0; t < count; t += 16, keys += head_dim * 16) {
        const std::size_t n = std::min<std::size_t>(16, count - t);
        if (head_dim % 16 == 0) {
            pack_rows(isa, from + t * stride, n, stride, head_dim, 16, keys);
            continue;
        }
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < head_dim; ++j) keys[j * 16 + i] = from[(t + i) * stride + j];
        for (std::size_t j = 0; n < 16 && j < head_dim; ++j) std::fill(keys + j * 16 + n, keys + (j + 1) * 16, 0.0f);
    }
}

// values [count][padded], padded = (head_dim + 15) / 16 * 16
inline void pack_values(const float* from, std::size_t count, std::size_t stride, std::size_t head_dim, float* values) {
    const std::size_t padded = (head_dim + 15) / 16 * 16;
    for (std::size_t t = 0; t < count; ++t, values += padded) {
        std::copy_n(from + t * stride, head_dim, values);
        std::fill(values + head_dim, values + padded, 0.0f);
    }
}

}  // namespace detail

// qkv [rows, qkv_width]; out [rows, n_heads · head_dim].
inline void attention(Cpu& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments, float* out) {
    const std::size_t d = shape.head_dim, group = shape.n_heads / shape.n_kv_heads, width = shape.qkv_width(), padded = (d + 15) / 16 * 16;
    std::size_t longest = 0;
    for (const Segment& s : segments) longest = std::max(longest, s.row_count);
    const std::size_t keys_size = (longest + 15) / 16 * 16;
    device.pool().run([&](unsigned thread) {
        float* keys = device.scratch(Cpu::shared_scratches + thread, keys_size * (d + padded + detail::query_group));
        float* values = keys + keys_size * d;
        float* scores = values + keys_size * padded;
        std::size_t item = 0;
        for (const Segment& s : segments) {
            for (std::size_t kv = 0; kv < shape.n_kv_heads; ++kv) {
                if (item++ % device.pool().size() != thread) continue;
                const float* rows = qkv + s.row_begin * width;
                detail::pack_keys(device.isa(), rows + (shape.n_heads + kv) * d, s.row_count, width, d, keys);
                detail::pack_values(rows + (shape.n_heads + shape.n_kv_heads + kv) * d, s.row_count, width, d, values);
                detail::Query queries[detail::query_group];
                std::size_t count = 0;
                for (std::size_t i = 0; i < s.row_count * group; ++i) {
                    const std::size_t row = i / group, head = kv * group + i % group;
                    queries[count++] = {rows + row * width + head * d, out + ((s.row_begin + row) * shape.n_heads + head) * d, 0, s.row_count};
                    if (count < detail::query_group && i + 1 < s.row_count * group) continue;
                    detail::attend(device.isa(), queries, count, keys, values, padded, d, shape.scale, scores);
                    count = 0;
                }
            }
        }
    });
}

}  // namespace morsel
