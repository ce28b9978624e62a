// Sixteen bytes, what a lane reads at a time, as floats and back.
#pragma once
#include "morsel/core/dtype.hpp"
#include "morsel/cuda/ptx.cuh"

namespace morsel::kernels {

// 16 bytes of that type as floats: 4 of f32, 8 of bf16 and f16.
template <DType Type>
struct Vector16;
template <>
struct Vector16<DType::f32> {
    static constexpr int count = 4;
    __device__ static void widen(uint4 w, float (&to)[4]) {
        to[0] = __uint_as_float(w.x), to[1] = __uint_as_float(w.y), to[2] = __uint_as_float(w.z), to[3] = __uint_as_float(w.w);
    }
    __device__ static uint4 narrow(const float (&x)[4]) { return make_uint4(__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]), __float_as_uint(x[3])); }
};
template <>
struct Vector16<DType::bf16> {
    static constexpr int count = 8;
    __device__ static void widen(uint4 w, float (&to)[8]) {
        to[0] = ptx::low_bf16(w.x), to[1] = ptx::high_bf16(w.x), to[2] = ptx::low_bf16(w.y), to[3] = ptx::high_bf16(w.y);
        to[4] = ptx::low_bf16(w.z), to[5] = ptx::high_bf16(w.z), to[6] = ptx::low_bf16(w.w), to[7] = ptx::high_bf16(w.w);
    }
    __device__ static uint4 narrow(const float (&x)[8]) { return make_uint4(ptx::pack_bf16(x[0], x[1]), ptx::pack_bf16(x[2], x[3]), ptx::pack_bf16(x[4], x[5]), ptx::pack_bf16(x[6], x[7])); }
};
template <>
struct Vector16<DType::f16> {
    static constexpr int count = 8;
    __device__ static void widen(uint4 w, float (&to)[8]) {
        const unsigned words[4] = {w.x, w.y, w.z, w.w};
        for (int i = 0; i < 4; ++i) {
            to[2 * i] = ptx::f16_to_float(static_cast<std::uint16_t>(words[i]));
            to[2 * i + 1] = ptx::f16_to_float(static_cast<std::uint16_t>(words[i] >> 16));
        }
    }
};

// The DType of an element of keys and values.
template <class T>
inline constexpr DType dtype_of = DType::bf16;
template <>
inline constexpr DType dtype_of<float> = DType::f32;

}  // namespace morsel::kernels
