// Attention of the CUDA device: which kernel computes it.
#pragma once
#include "morsel/cuda/plain_attention.cuh"

namespace morsel {

// qkv [rows, qkv_width] after rope_and_cache; out [rows, n_heads · head_dim]. Segments lie one after another.
inline void attention(Cuda& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments, const KvCache<Cuda>& cache, std::size_t layer, float* out) {
    detail::each_segment_table(device, segments, cache, layer, [&](const kernels::SegmentTable& table) { detail::plain_attention(device, qkv, shape, table, cache, out); });
}

// rope_and_cache and attention in one.
inline void attend(Cuda& device, float* qkv, const AttentionShape& shape, const RopeTable<Cuda>& rope, std::span<const Segment> segments, KvCache<Cuda>& cache, std::size_t layer, float* out) {
    rope_and_cache(device, qkv, shape, rope, segments, cache, layer);
    attention(device, qkv, shape, segments, cache, layer, out);
}

}  // namespace morsel
