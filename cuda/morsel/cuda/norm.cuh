// RMSNorm (Zhang and Sennrich 2019) and LayerNorm (Ba et al. 2016) on the GPU: one block a row, sums in a fixed order, so a row's result
// does not depend on the rows beside it. For decoding RMSNorm is not a kernel of its own: the product that follows does it (gemv.cuh).
// LayerNorm behind a product takes its bias, its activation and the residual with it.
#pragma once
#include "morsel/cuda/block.cuh"
#include "morsel/cuda/device.cuh"

namespace morsel {

namespace kernels {

// x, out [rows, width], which may be the same.
template <class = void>
__global__ void rms_norm(const float* x, const float* gain, float eps, unsigned width, float* out) {
    __shared__ float space[32];
    ptx::take_turn();
    const float* row = x + std::size_t{blockIdx.x} * width;
    float sum = 0;
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) sum += row[i] * row[i];
    const float scale = 1.0f / sqrtf(block_sum(sum, space) / static_cast<float>(width) + eps);
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) out[std::size_t{blockIdx.x} * width + i] = row[i] * scale * gain[i];
}

// out = (row - mean) / deviation · gain + bias. row [width] in shared memory, each thread's own elements, whose sum is `sum`; bias may be null.
__device__ inline void normalise(const float* row, float sum, float* space, const float* gain, const float* bias, float eps, unsigned width, float* out) {
    const float mean = block_sum(sum, space) / static_cast<float>(width);
    float squares = 0;
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) squares += (row[i] - mean) * (row[i] - mean);
    const float scale = 1.0f / sqrtf(block_sum(squares, space) / static_cast<float>(width) + eps);
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) out[i] = (row[i] - mean) * scale * gain[i] + (bias != nullptr ? bias[i] : 0.0f);
}

// bias may be null. Added: to x comes a product [rows, width] before, finished by its own bias and activation.
template <bool Added>
__global__ void layer_norm(const float* x, const float* product, Finish finish, const float* gain, const float* bias, float eps, unsigned width, float* out) {
    __shared__ float space[32];
    float* row = ptx::dynamic_shared<float>();  // [width]
    ptx::take_turn();
    const std::size_t at = std::size_t{blockIdx.x} * width;
    float sum = 0;
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
        float value = x[at + i];
        if constexpr (Added) value += activate(finish.activation, product[at + i] + (finish.bias != nullptr ? finish.bias[i] : 0.0f));
        row[i] = value;
        sum += value;
    }
    normalise(row, sum, space, gain, bias, eps, width, out + at);
}

}  // namespace kernels

namespace detail {

// Threads for a row of `width`: whole warps, 32 to 256.
inline unsigned threads_for(std::size_t width) { return static_cast<unsigned>(std::clamp<std::size_t>((width / 4 + 31) / 32 * 32, 32, 256)); }

}  // namespace detail

// x, out [rows, width], which may be the same; gain [width].
inline void rms_norm(Cuda& device, const float* x, const float* gain, float eps, std::size_t rows, std::size_t width, float* out) {
    device.launch({.name = "rms_norm", .grid = dim3(static_cast<unsigned>(rows)), .block = dim3(detail::threads_for(width)), .read = (rows + 1) * width * 4, .written = rows * width * 4},
                  kernels::rms_norm<>, x, gain, eps, static_cast<unsigned>(width), out);
}

// The same; bias [width] may be null.
inline void layer_norm(Cuda& device, const float* x, const float* gain, const float* bias, float eps, std::size_t rows, std::size_t width, float* out) {
    device.launch({.name = "layer_norm", .grid = dim3(static_cast<unsigned>(rows)), .block = dim3(detail::threads_for(width)), .shared_bytes = width * 4,
                   .read = (rows + (bias != nullptr ? 2 : 1)) * width * 4, .written = rows * width * 4},
                  kernels::layer_norm<false>, x, nullptr, kernels::Finish{}, gain, bias, eps, static_cast<unsigned>(width), out);
}

namespace detail {

// out = layer_norm(out + finish(product)), in one launch; product, out [rows, width].
inline void add_and_layer_norm(Cuda& device, const float* product, const kernels::Finish& finish, const float* gain, const float* bias, float eps, std::size_t rows, std::size_t width, float* out) {
    device.launch({.name = "add_and_layer_norm", .grid = dim3(static_cast<unsigned>(rows)), .block = dim3(threads_for(width)), .shared_bytes = width * 4,
                   .read = (2 * rows + (bias != nullptr ? 2 : 1) + (finish.bias != nullptr ? 1 : 0)) * width * 4, .written = rows * width * 4},
                  kernels::layer_norm<true>, out, product, finish, gain, bias, eps, static_cast<unsigned>(width), out);
}

}  // namespace detail

}  // namespace morsel
