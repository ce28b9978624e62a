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

// Brings the rows of x to shared memory, all threads of the block together: element i of row m to staged[m · padded + place(i)], times the gain
// where there is one, zeros behind the row's end and for rows that are not there. space [32] is shared memory. Gives what the products of
// each row are to be multiplied by: the scale of its RMSNorm, in which they are linear, or 1. From then on the next kernel may start.
template <int MostRows, class Place>
__device__ void stage_rows(const Gemv& g, unsigned padded, float* staged, float* space, Place&& place, float (&scale)[MostRows]) {
#pragma unroll
    for (int m = 0; m < MostRows; ++m) {
        float squares = 0;
        const bool real = static_cast<unsigned>(m) < g.rows;
        for (unsigned i = threadIdx.x; i < padded; i += blockDim.x) {
            const float value = real && i < g.k ? g.x[static_cast<unsigned>(m) * g.k + i] : 0.0f;
            squares += value * value;
            staged[static_cast<unsigned>(m) * padded + place(i)] = g.gain != nullptr && i < g.k ? value * g.gain[i] : value;
        }
        scale[m] = g.gain != nullptr ? 1.0f / sqrtf(block_sum(squares, space) / static_cast<float>(g.k) + g.eps) : 1.0f;
    }
    __syncthreads();
    ptx::let_next_kernel_start();
}

// What follows the product of one row of x and an output: y, and where Gated that of its up row.
template <bool Gated>
__device__ void finish_output(const Gemv& g, unsigned row, unsigned output, float y, float up) {
    y = activate(g.finish.activation, y + (g.finish.bias != nullptr ? g.finish.bias[output] : 0.0f));
    if constexpr (Gated) y *= up + (g.finish.bias != nullptr ? g.finish.bias[output + g.outputs] : 0.0f);
    float& to = g.out[std::size_t{row} * g.outputs + output];
    to = g.finish.accumulate ? to + y : y;
}

}  // namespace morsel::kernels
