// Disentangled attention on the GPU (DeBERTa, He et al. 2020, arXiv:2006.03654, equation 4): to the score of a query and a key come the
// products of the query with a vector for their distance, and of the key with another. Those vectors are the same for every input; the
// model computes them once at load. Nothing of the size of queries × distances is ever in device memory. Here is which kernel computes it:
// tiled_disentangled_attention.cuh in bf16; plain_disentangled_attention.cuh in f32 and for head sizes that the other does not have.
#pragma once
#include "morsel/cuda/embedding.cuh"
#include "morsel/cuda/plain_disentangled_attention.cuh"
#include "morsel/cuda/tiled_disentangled_attention.cuh"

namespace morsel {

namespace detail {

// One launch for a table of segments on tensor cores; false where there is no kernel for the head size, or a block has too little shared memory.
inline bool tiled_disentangled_attention(Cuda& device, const float* qkv, const AttentionShape& shape, const kernels::SegmentTable& table, const kernels::Distances& distances,
                                         CudaLaunch what, float* out) {
    std::size_t longest = 0;
    for (unsigned s = 0; s < table.count; ++s) longest = std::max<std::size_t>(longest, table.segments[s].row_count);
    bool fits = true;
    return with_head_dim(shape.head_dim, [&]<int D>() {
        constexpr std::size_t shared = kernels::tiled_disentangled_shared_bytes<D>();
        fits = shared <= device.shared_limit();
        if (!fits) return;
        what.name = "tiled_disentangled_attention", what.block = dim3(kernels::tile_threads), what.shared_bytes = shared;
        what.grid = dim3(static_cast<unsigned>((longest + kernels::tile_queries - 1) / kernels::tile_queries), static_cast<unsigned>(shape.n_heads), table.count);
        device.launch(what, kernels::tiled_disentangled_attention<D>, qkv, heads_of(shape), table, distances, out);
    }) && fits;
}

}  // namespace detail

// qkv [rows, qkv_width], positions [rows] ascending within a segment; out [rows, n_heads · head_dim]. n_kv_heads is n_heads.
inline void disentangled_attention(Cuda& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments, std::span<const TokenId> positions,
                                   const PositionTables& tables, float* out) {
    const auto [row_of, at] = detail::upload_lists(device, tables.row_of_distance, positions);
    const kernels::Distances distances{tables.keys, tables.queries, row_of, at, static_cast<unsigned>((tables.row_of_distance.size() + 1) / 2)};
    const std::size_t row = shape.n_heads * shape.head_dim * 4;
    std::size_t table_rows = 0;
    if (!tables.row_of_distance.empty()) table_rows = tables.row_of_distance.back() - tables.row_of_distance.front() + std::size_t{1};
    detail::each_segment_table(device, segments, nullptr, 0, [&](const kernels::SegmentTable& table) {
        const CudaLaunch what{.name = "plain_disentangled_attention", .grid = dim3(table.rows, static_cast<unsigned>(shape.n_heads)), .block = dim3(kernels::plain_attention_threads),
                              .read = (table.rows * 3 + ((tables.keys != nullptr ? 1 : 0) + (tables.queries != nullptr ? 1 : 0)) * table_rows) * row, .written = table.rows * row};
        if (device.precision() == CudaPrecision::bf16 && detail::tiled_disentangled_attention(device, qkv, shape, table, distances, what, out)) return;
        if (shape.head_dim > kernels::plain_attention_most_dim)
            throw Error("head size not supported on this device", {.key = "head_dim", .expected = "at most 256", .found = std::to_string(shape.head_dim)});
        device.launch(what, kernels::plain_disentangled_attention<>, qkv, detail::heads_of(shape), table, distances, out);
    });
}

}  // namespace morsel
