// Disentangled attention on tensor cores, out of the pieces of attention_tiles.cuh. The 64 queries and 64 keys that a block has at a time are at
// most so far apart, or so near, that their distances take few rows of the position tables that lie one after another, the band: 127 rows
// where positions follow one another, fewer where far distances share rows, more where there are holes. 64 of them at a time come to shared
// memory; the products of queries with the one table's rows, and of keys with the other's, go there too, and each score takes from them
// those of its own distance. A warp multiplies only the quarters of the band that its own queries, or keys, can need.
// Held equal to plain_disentangled_attention.cuh. Nothing is loaded ahead: all rows are f32 in memory and rounded on their way, so what hides
// the wait is another block of the SM: it holds two at head sizes up to 64 (asserted by scripts/check_cuda), on sm_90 at all.
#pragma once
#include "morsel/cuda/attention_tiles.cuh"
#include "morsel/cuda/plain_disentangled_attention.cuh"

namespace morsel {

namespace kernels {

// Products of 64 queries or keys with 64 rows of a table: [tile_rows][product_stride] floats, so that eight rows start in different banks.
inline constexpr unsigned product_stride = tile_rows + 8;

template <int D>
constexpr std::size_t tiled_disentangled_shared_bytes() {
    return std::size_t{4} * Tile<D>::bytes + 2 * tile_rows * product_stride * 4;
}

// The quarters of rows [row, row + 64), a bit each, that hold any of rows lowest … highest.
__device__ inline unsigned quarters_within(unsigned row, unsigned lowest, unsigned highest) {
    unsigned quarters = 0;
#pragma unroll
    for (unsigned i = 0; i < 4; ++i)
        if (lowest < row + (i + 1) * 16 && highest >= row + i * 16) quarters |= 1u << i;
    return quarters;
}

// Accumulators of a warp's 16 rows, of those quarters, times `scale`, to rows [first, first + 16) of the products.
__device__ inline void store_products(float* products, unsigned first, const float (&c)[8][4], unsigned quarters, float scale) {
    const unsigned lane = threadIdx.x % 32;
    float* row = products + (first + lane / 4) * product_stride + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < 8; ++n)
        if ((quarters >> (n / 2) & 1) != 0)
#pragma unroll
            for (int i = 0; i < 4; ++i) row[static_cast<unsigned>(i / 2) * 8 * product_stride + static_cast<unsigned>(n) * 8 + static_cast<unsigned>(i % 2)] = c[n][i] * scale;
}

// qkv [rows, qkv_width], n_kv_heads is n_heads; out [rows, n_heads · head_dim]. grid (64 rows, n_heads, segments)
template <int D>
__global__ void __launch_bounds__(128) tiled_disentangled_attention(const float* qkv, const Heads h, const SegmentTable table, const Distances distances, float* out) {
    std::uint8_t* shared = ptx::dynamic_shared<std::uint8_t>();
    const Tile<D> keys{shared}, values{shared + Tile<D>::bytes}, met_by_queries{shared + 2 * Tile<D>::bytes}, met_by_keys{shared + 3 * Tile<D>::bytes};
    float *of_queries = reinterpret_cast<float*>(shared + 4 * Tile<D>::bytes), *of_keys = of_queries + tile_rows * product_stride;
    const CachedSegment& segment = table.segments[blockIdx.z];
    ptx::take_turn();
    const unsigned first = blockIdx.x * tile_queries, count = segment.row_count, head = blockIdx.y;
    if (first >= count) return;
    const std::size_t width = h.qkv_width(), table_width = std::size_t{h.n_heads} * D;
    const float *rows = qkv + segment.row_begin * width, *head_keys = rows + (h.n_heads + head) * D, *head_values = head_keys + table_width;
    const unsigned lane = threadIdx.x % 32, warp_rows = threadIdx.x / 32 * 16;  // the warp's 16 of 64 queries, and of 64 keys
    const float scale = h.scale * log2_e;
    // Rows behind the last one are as far from others as it is; what they give is masked or not stored.
    const auto position = [&](unsigned row) { return distances.positions[segment.row_begin + min(row, count - 1)]; };
    const unsigned query_positions[2] = {position(first + warp_rows + lane / 4), position(first + warp_rows + lane / 4 + 8)};
    unsigned q[D / 16][4];
    load_queries<D>(q, rows + head * D, width, first + warp_rows, count, scale);
    RunningRows<D> running;
    for (unsigned from = 0; from < count; from += tile_rows) {
        keys.load_rows(head_keys, width, from, count);
        values.load_rows(head_values, width, from, count);
        __syncthreads();
        float s[8][4];
        multiply_rows<D>(s, q, keys);

        // The band of a range of queries and a range of keys, both of the block's.
        const auto lowest = [&](unsigned query, unsigned key) { return distances.row_between(position(first + query), position(from + key)); };
        const unsigned band_begin = lowest(0, tile_rows - 1), band_end = lowest(tile_queries - 1, 0) + 1;
        const unsigned query_band[2] = {lowest(warp_rows, tile_rows - 1), lowest(warp_rows + 15, 0)}, key_band[2] = {lowest(0, warp_rows + 15), lowest(tile_queries - 1, warp_rows)};
        for (unsigned row = band_begin; row < band_end; row += tile_rows) {
            if (distances.keys != nullptr) met_by_queries.load_rows(distances.keys + head * D, table_width, row, band_end);
            if (distances.queries != nullptr) met_by_keys.load_rows(distances.queries + head * D, table_width, row, band_end);
            __syncthreads();
            float products[8][4];
            if (distances.keys != nullptr) {
                const unsigned quarters = quarters_within(row, query_band[0], query_band[1]);
                multiply_rows<D>(products, q, met_by_queries, quarters);
                store_products(of_queries, warp_rows, products, quarters, 1.0f);
            }
            if (distances.queries != nullptr) {
                const unsigned quarters = quarters_within(row, key_band[0], key_band[1]);
                unsigned k[D / 16][4];
                keys.load_fragments(k, warp_rows);
                multiply_rows<D>(products, k, met_by_keys, quarters);
                store_products(of_keys, warp_rows, products, quarters, scale);
            }
            __syncthreads();
#pragma unroll
            for (int n = 0; n < 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const unsigned key = static_cast<unsigned>(n) * 8 + lane % 4 * 2 + static_cast<unsigned>(i % 2), query = warp_rows + lane / 4 + static_cast<unsigned>(i / 2) * 8;
                    const unsigned at = distances.row_between(query_positions[i / 2], position(from + key)) - row;
                    if (at >= tile_rows) continue;  // of another part of the band
                    if (distances.keys != nullptr) s[n][i] += of_queries[query * product_stride + at];
                    if (distances.queries != nullptr) s[n][i] += of_keys[key * product_stride + at];
                }
            // No barrier: the next part's rows take the place of what was read before the last one, its products come behind the next one.
        }
        if (from + tile_rows > count) {
#pragma unroll
            for (int n = 0; n < 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    if (from + static_cast<unsigned>(n) * 8 + lane % 4 * 2 + static_cast<unsigned>(i % 2) >= count) s[n][i] = -INFINITY;
        }
        running.add(s, values);
        __syncthreads();
    }
    running.store(out + segment.row_begin * table_width + head * D, table_width, first + warp_rows, count);
}

}  // namespace kernels

}  // namespace morsel
