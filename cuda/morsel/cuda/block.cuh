// Every kernel is a template, if only `<class = void>`: nvcc ignores `inline` on kernels, and headers may be in several programs.
// What kernels share: sums and maxima over a warp and a block, in a fixed order, and the activations.
#pragma once
#include "morsel/cuda/ptx.cuh"
#include "morsel/ops/device.hpp"

namespace morsel::kernels {

inline constexpr unsigned all_lanes = 0xFFFFFFFFu;
inline constexpr float log2_e = 1.4426950408889634f;  // e^x = 2^(x log2 e)

__device__ inline float warp_sum(float x) {
    for (int bits = 16; bits > 0; bits /= 2) x += __shfl_xor_sync(all_lanes, x, bits);
    return x;
}
__device__ inline float warp_max(float x) {
    for (int bits = 16; bits > 0; bits /= 2) x = fmaxf(x, __shfl_xor_sync(all_lanes, x, bits));
    return x;
}

// Over the block, the same in every thread; `space` is 32 floats of shared memory that nothing else uses meanwhile.
__device__ inline float block_sum(float x, float* space) {
    x = warp_sum(x);
    __syncthreads();  // the space may still be read from the last use
    if (threadIdx.x % 32 == 0) space[threadIdx.x / 32] = x;
    __syncthreads();
    float sum = 0;
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) sum += space[warp];
    return sum;
}

__device__ inline float activate(Activation activation, float x) {
    switch (activation) {
        case Activation::silu: return x / (1.0f + expf(-x));
        case Activation::gelu: return 0.5f * x * erfcf(-x * 0.70710678118654752f);
        case Activation::gelu_tanh: return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
        case Activation::relu: return fmaxf(x, 0.0f);
        case Activation::tanh: return tanhf(x);
        case Activation::none: break;
    }
    return x;
}

// What a kernel needs of an Epilogue.
struct Finish {
    const float* bias = nullptr;  // [outputs], or [2 outputs] where gated
    Activation activation = Activation::none;
    bool accumulate = false;
};

}  // namespace morsel::kernels
