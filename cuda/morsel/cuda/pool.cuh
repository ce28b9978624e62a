// Sentence vectors out of token vectors on the GPU: pooling and scaling to unit length. Follows sentence_transformers' Pooling and
// Normalize: sums in the order of tokens, divisors never below 1e-9, lengths never below 1e-12.
#pragma once
#include "morsel/cuda/block.cuh"
#include "morsel/cuda/embedding.cuh"

namespace morsel {

namespace kernels {

// One block a range, a thread an element at a time. x [any, width] → out, rows out_stride apart.
template <class = void>
__global__ void pool(const float* x, unsigned width, const PoolRange* ranges, Pooling mode, float* out, std::size_t out_stride) {
    ptx::take_turn();
    const PoolRange range = ranges[blockIdx.x];
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
        const float* column = x + range.row_begin * width + i;
        float result = 0, weights = 0;
        if (range.row_count > 0 && mode == Pooling::cls_token) {
            result = column[0];
        } else if (range.row_count > 0 && mode == Pooling::lasttoken) {
            result = column[(range.row_count - 1) * width];
        } else if (range.row_count > 0 && mode == Pooling::max_tokens) {
            result = column[0];
            for (std::size_t row = 1; row < range.row_count; ++row) result = fmaxf(result, column[row * width]);
        } else {
            for (std::size_t row = 0; row < range.row_count; ++row) {
                const float weight = mode == Pooling::weightedmean_tokens ? static_cast<float>(range.position + row + 1) : 1.0f;
                weights += weight, result += weight * column[row * width];
            }
            weights = fmaxf(weights, 1e-9f);
            result /= mode == Pooling::mean_sqrt_len_tokens ? sqrtf(weights) : weights;
        }
        out[blockIdx.x * out_stride + i] = result;
    }
}

// One block a row, in place.
template <class = void>
__global__ void normalize_rows(float* x, unsigned width) {
    __shared__ float space[32];
    ptx::take_turn();
    float* row = x + std::size_t{blockIdx.x} * width;
    float squares = 0;
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) squares += row[i] * row[i];
    const float length = fmaxf(sqrtf(block_sum(squares, space)), 1e-12f);
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) row[i] /= length;
}

}  // namespace kernels

// x [any, width] → out [ranges.size()][width], rows out_stride floats apart.
inline void pool(Cuda& device, const float* x, std::size_t width, std::span<const PoolRange> ranges, Pooling mode, float* out, std::size_t out_stride) {
    if (ranges.empty()) return;
    const PoolRange* uploaded = std::get<0>(detail::upload_lists(device, ranges));
    std::size_t rows = 0;
    for (const PoolRange& range : ranges) rows += range.row_count;
    device.launch({.name = "pool", .grid = dim3(static_cast<unsigned>(ranges.size())), .block = dim3(256), .read = rows * width * 4, .written = ranges.size() * width * 4}, kernels::pool<>, x,
                  static_cast<unsigned>(width), uploaded, mode, out, out_stride);
}

// x [rows, width] to unit length, in place; rows of zeros stay.
inline void normalize_rows(Cuda& device, float* x, std::size_t rows, std::size_t width) {
    device.launch({.name = "normalize_rows", .grid = dim3(static_cast<unsigned>(rows)), .block = dim3(128), .read = rows * width * 4, .written = rows * width * 4}, kernels::normalize_rows<>, x,
                  static_cast<unsigned>(width));
}

}  // namespace morsel
