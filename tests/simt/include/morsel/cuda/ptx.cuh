// The emulated twin of cuda/morsel/cuda/ptx.cuh: the same functions for the SIMT layer. Copies arrive only when they are waited for,
// alignment is checked, products and conversions follow the PTX ISA.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "morsel/core/dtype.hpp"

namespace simt {

using Registers4 = unsigned[4];
void load_matrices(unsigned* to, const void* row, bool transposed);
void multiply(float* c, const unsigned* a, unsigned b0, unsigned b1, bool f16);
void load_vector(void* to, const void* at);
void store_vector(void* at, const void* from);

}  // namespace simt

namespace morsel::ptx {

template <class T>
T* dynamic_shared() {
    return static_cast<T*>(simt::dynamic_shared());
}

inline uint4 load_stream(const void* at) {
    uint4 v;
    simt::load_vector(&v, at);
    return v;
}
inline float4 load_vector(const float* at) {
    float4 v;
    simt::load_vector(&v, at);
    return v;
}
inline uint4 load_vector(const void* at) { return load_stream(at); }
inline void store_vector(float* at, float4 v) { simt::store_vector(at, &v); }
inline void store_vector(void* at, uint4 v) { simt::store_vector(at, &v); }

inline void copy_async(void* shared, const void* global, bool valid = true) { simt::async_copy(shared, global, 16, valid ? 16 : 0); }
inline void copy_async_commit() { simt::async_commit(); }
template <int Left>
void copy_async_wait() {
    simt::async_wait(Left);
}

inline void load_matrices(unsigned (&to)[4], const void* row) { simt::load_matrices(to, row, false); }
inline void load_matrices_transposed(unsigned (&to)[4], const void* row) { simt::load_matrices(to, row, true); }
inline void multiply_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { simt::multiply(c, a, b0, b1, false); }
inline void multiply_f16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { simt::multiply(c, a, b0, b1, true); }

inline unsigned pack_bf16(float low, float high) { return to_bf16(low).bits | static_cast<unsigned>(to_bf16(high).bits) << 16; }
inline float low_bf16(unsigned packed) { return __uint_as_float(packed << 16); }
inline float high_bf16(unsigned packed) { return __uint_as_float(packed & 0xFFFF0000u); }
inline float f16_to_float(std::uint16_t bits) { return to_f32(f16{bits}); }
inline float exp2_fast(float x) { return std::exp2(x); }

inline void wait_for_previous_kernels() { simt::wait_for_previous_kernels(); }
inline void let_next_kernel_start() {}
inline void take_turn() { simt::wait_for_previous_kernels(); }

}  // namespace morsel::ptx
