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

// How many of `left` query vectors the kernels take next.
inline std::size_t next_queries(std::size_t left) { return left >= query_group ? query_group : left < 3 ? left : 3; }

// f.template operator()<Count>() for a count that next_queries gives.
template <class F>
void with_query_count(std::size_t count, F&& f) {
    switch (count) {
        case query_group: return f.template operator()<query_group>();
        case 3: return f.template operator()<3>();
        case 2: return f.template operator()<2>();
        default: return f.template operator()<1>();
    }
}

}  // namespace morsel::detail
