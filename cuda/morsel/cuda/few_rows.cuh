// A product of a weight matrix with one to four rows, as its kernels (gemv.cuh, quantised.cuh) get it, and what they do with each result.
#pragma once
#include "morsel/cuda/block.cuh"

namespace morsel::kernels {

struct Gemv {
    const std::uint8_t* weight = nullptr;  // [out_features][row_bytes]
    std::size_t row_bytes = 0;
    const float* x = nullptr;     // [rows, k]
    const float* gain = nullptr;  // [k] of an RMSNorm of x, or null
    float eps = 0;
    unsigned rows = 1, k = 0;
    unsigned outputs = 0;  // out_features, or half of it where gated
    Finish finish = {};
    float* out = nullptr;  // [rows, outputs]
};

// What follows the product of one row of x and an output: y, and where Gated that of its up row.
template <bool Gated>
__device__ void finish_output(const Gemv& g, unsigned row, unsigned output, float y, float up) {
    y = activate(g.finish.activation, y + (g.finish.bias != nullptr ? g.finish.bias[output] : 0.0f));
    if constexpr (Gated) y *= up + (g.finish.bias != nullptr ? g.finish.bias[output + g.outputs] : 0.0f);
    float& to = g.out[std::size_t{row} * g.outputs + output];
    to = g.finish.accumulate ? to + y : y;
}

}  // namespace morsel::kernels
