// Attention of the CUDA device: which kernel computes it. One new token a sequence: decode_attention.cuh, fused with RoPE and the cache.
// More: prefill_attention.cuh in bf16; in f32, and for head sizes without a fast kernel, plain_attention.cuh.
#pragma once
#include "morsel/cuda/decode_attention.cuh"
#include "morsel/cuda/plain_attention.cuh"
#include "morsel/cuda/prefill_attention.cuh"

namespace morsel {

// qkv [rows, qkv_width] after rope_and_cache; out [rows, n_heads · head_dim]. Segments lie one after another.
inline void attention(Cuda& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments, const KvCache<Cuda>& cache, std::size_t layer, float* out) {
    detail::each_segment_table(device, segments, &cache, layer, [&](const kernels::SegmentTable& table) {
        if (cache.type == DType::bf16 && detail::prefill_attention<true>(device, qkv, shape, table, cache.position_bytes(), out)) return;
        detail::plain_attention<true>(device, qkv, shape, table, cache.type, out);
    });
}

// Bidirectional: every row of a segment sees all rows of it. qkv [rows, qkv_width]; out [rows, n_heads · head_dim].
inline void attention(Cuda& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments, float* out) {
    detail::each_segment_table(device, segments, nullptr, 0, [&](const kernels::SegmentTable& table) {
        if (device.precision() == CudaPrecision::bf16 && detail::prefill_attention<false>(device, qkv, shape, table, shape.head_dim * 4, out)) return;
        detail::plain_attention<false>(device, qkv, shape, table, DType::f32, out);
    });
}

// rope_and_cache and attention in one.
inline void attend(Cuda& device, float* qkv, const AttentionShape& shape, const RopeTable<Cuda>& rope, std::span<const Segment> segments, KvCache<Cuda>& cache, std::size_t layer, float* out) {
    const bool decoding = std::all_of(segments.begin(), segments.end(), [](const Segment& s) { return s.row_count == 1; });
    if (decoding && detail::has_fast_attention(shape.head_dim)) {
        std::size_t positions = 1;
        for (const Segment& s : segments) {
            cache.reserve(device, s.slot, s.past + 1);
            positions = std::max(positions, positions_of(device, cache, s));
        }
        const float* cosine_sine = rope.reserve(device, positions);
        detail::each_segment_table(device, segments, &cache, layer, [&](const kernels::SegmentTable& table) {
            detail::decode_attention(device, qkv, shape, table, rope, cosine_sine, cache, positions, out);
        });
        return;
    }
    rope_and_cache(device, qkv, shape, rope, segments, cache, layer);
    attention(device, qkv, shape, segments, cache, layer, out);
}

}  // namespace morsel
