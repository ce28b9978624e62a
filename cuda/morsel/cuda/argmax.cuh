// The index of the greatest of many values, the first where several are: every value becomes a key of 64 bits that orders by value and
// then by lower index, and the greatest key wins, in whatever order blocks arrive. NaN is never greatest.
#pragma once
#include "morsel/cuda/block.cuh"
#include "morsel/cuda/device.cuh"

namespace morsel {

namespace kernels {

// A float as an unsigned number of the same order; NaN lowest of all.
__device__ inline unsigned ordered_bits(float x) {
    const unsigned bits = __float_as_uint(x);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// *best, which is 0 before, becomes (ordered value << 32 | ~index) of the greatest.
template <class = void>
__global__ void argmax(const float* values, unsigned count, unsigned long long* best) {
    ptx::take_turn();
    unsigned long long own = 0;
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        const unsigned value = ordered_bits(values[i] == 0.0f ? 0.0f : values[i]);  // -0 equals 0
        const unsigned long long key = static_cast<unsigned long long>(value) << 32 | ~i;
        own = key > own ? key : own;
    }
    for (int bits = 16; bits > 0; bits /= 2) {
        const unsigned long long other = __shfl_xor_sync(all_lanes, own, bits);
        own = other > own ? other : own;
    }
    if (threadIdx.x % 32 == 0) atomicMax(best, own);
}

}  // namespace kernels

// Index of the greatest of `count` values on the device, the first where several are; 0 where all are NaN. NaN is never greatest.
inline TokenId argmax(Cuda& device, const float* values, std::size_t count) {
    if (count == 0) return 0;
    auto* best = reinterpret_cast<unsigned long long*>(device.scratch(scratch_sampling, sizeof(unsigned long long)));
    detail::check_cuda(cudaMemsetAsync(best, 0, sizeof *best, device.stream()), "argmax");
    device.launch({.name = "argmax", .grid = dim3(static_cast<unsigned>(std::min<std::size_t>((count + 1023) / 1024, 132))), .block = dim3(256), .read = count * 4, .written = 8}, kernels::argmax<>,
                  values, static_cast<unsigned>(count), best);
    unsigned long long key = 0;
    detail::check_cuda(cudaMemcpyAsync(&key, best, sizeof key, cudaMemcpyDeviceToHost, device.stream()), "argmax");
    device.synchronize();
    return key >> 32 == 0 ? 0 : static_cast<TokenId>(~static_cast<std::uint32_t>(key));
}

}  // namespace morsel
