// What the kernels of attention work on at a time: a few query vectors of one key-value head (attention_kernels.hpp).
#pragma once
#include <cstddef>

namespace morsel::detail {

// The most query vectors at once: 6 x 2 panels x 2 chains, or 6 x 4 vectors of values, fill 24 registers of 32.
inline constexpr std::size_t query_group = 6;

// One query vector and the keys [begin, end) it sees.
struct Query {
    const float* q = nullptr;  // [head_dim]
    float* out = nullptr;      // [head_dim]
    std::size_t begin = 0, end = 0;
};

}  // namespace morsel::detail
