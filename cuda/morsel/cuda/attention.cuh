// Attention of the CUDA device: which kernel computes it. One new token a sequence: decode_attention.cuh, fused with RoPE and the cache.
// Else rope_and_cache, and then plain_attention.cuh.
#pragma once
#include "morsel/cuda/decode_attention.cuh"
#include "morsel/cuda/plain_attention.cuh"

namespace morsel {

// qkv [rows, qkv_width] after rope_and_cache; out [rows, n_heads · head_dim]. Segments lie one after another.
inline void attention(Cuda& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments, const KvCache<Cuda>& cache, std::size_t layer, float* out) {
    detail::each_segment_table(device, segments, cache, layer, [&](const kernels::SegmentTable& table) { detail::plain_attention(device, qkv, shape, table, cache, out); });
}

// rope_and_cache and attention in one.
inline void attend(Cuda& device, float* qkv, const AttentionShape& shape, const RopeTable<Cuda>& rope, std::span<const Segment> segments, KvCache<Cuda>& cache, std::size_t layer, float* out) {
    const bool decoding = std::all_of(segments.begin(), segments.end(), [](const Segment& s) { return s.row_count == 1; });
    if (decoding && detail::with_head_dim(shape.head_dim, []<int>() {})) {
        std::size_t positions = 1;
        for (const Segment& s : segments) {
            cache.reserve(device, s.slot, s.past + 1);
            positions = std::max(positions, device.step != nullptr ? cache.pages[s.slot].capacity : s.past + 1);
        }
        const float* cosine_sine = rope.reserve(device, positions);
        detail::each_segment_table(device, segments, cache, layer, [&](const kernels::SegmentTable& table) {
            detail::decode_attention(device, qkv, shape, table, rope, cosine_sine, cache, positions, out);
        });
        return;
    }
    rope_and_cache(device, qkv, shape, rope, segments, cache, layer);
    attention(device, qkv, shape, segments, cache, layer, out);
}

}  // namespace morsel
