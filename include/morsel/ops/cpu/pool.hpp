// Sentence vectors out of token vectors on the CPU: pooling and scaling to unit length. Follows sentence_transformers' Pooling and
// Normalize: sums in the order of tokens, divisors never below 1e-9, lengths never below 1e-12.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "morsel/ops/cpu/device.hpp"

namespace morsel {

namespace detail {

// x [range.row_count, width] → out [width]; zeros for an empty range.
inline void pool_range(const float* x, std::size_t width, const PoolRange& range, Pooling mode, float* out) {
    const std::size_t n = range.row_count;
    std::fill_n(out, width, 0.0f);
    if (n == 0) return;
    if (mode == Pooling::cls_token || mode == Pooling::lasttoken) {
        std::copy_n(x + (mode == Pooling::cls_token ? 0 : n - 1) * width, width, out);
        return;
    }
    if (mode == Pooling::max_tokens) {
        std::copy_n(x, width, out);
        for (std::size_t row = 1; row < n; ++row)
            for (std::size_t i = 0; i < width; ++i) out[i] = std::max(out[i], x[row * width + i]);
        return;
    }
    float weights = 0;
    for (std::size_t row = 0; row < n; ++row) {
        const float weight = mode == Pooling::weightedmean_tokens ? static_cast<float>(range.position + row + 1) : 1.0f;
        weights += weight;
        for (std::size_t i = 0; i < width; ++i) out[i] += weight * x[row * width + i];
    }
    weights = std::max(weights, 1e-9f);
    const float divisor = mode == Pooling::mean_sqrt_len_tokens ? std::sqrt(weights) : weights;
    for (std::size_t i = 0; i < width; ++i) out[i] /= divisor;
}

}  // namespace detail

// x [any, width] → out [ranges.size()][width], rows out_stride floats apart.
inline void pool(Cpu& device, const float* x, std::size_t width, std::span<const PoolRange> ranges, Pooling mode, float* out, std::size_t out_stride) {
    device.pool().split(ranges.size(), 4, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) detail::pool_range(x + ranges[i].row_begin * width, width, ranges[i], mode, out + i * out_stride);
    });
}

// x [rows, width] to unit length, in place; rows of zeros stay.
inline void normalize_rows(Cpu&, float* x, std::size_t rows, std::size_t width) {
    for (std::size_t row = 0; row < rows; ++row, x += width) {
        double squares = 0;
        for (std::size_t i = 0; i < width; ++i) squares += double{x[i]} * double{x[i]};
        const float length = std::max(static_cast<float>(std::sqrt(squares)), 1e-12f);
        for (std::size_t i = 0; i < width; ++i) x[i] /= length;
    }
}

}  // namespace morsel
