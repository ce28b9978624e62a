// What CUDA C++ has no word for, as functions: vector loads with cache hints, asynchronous copies, tensor-core products, conversions
// between float types, programmatic dependent launch. The only file with inline PTX (PTX ISA 8.x, sm_80 and later).
// Tests compile the kernels for the CPU against another file of this name, tests/simt/include/morsel/cuda/ptx.cuh, that gives each
// function an emulated twin.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace morsel::ptx {

// Shared memory of the launch's size, aligned to 16 bytes.
template <class T>
__device__ T* dynamic_shared() {
    extern __shared__ uint4 dynamic_shared_memory[];
    return reinterpret_cast<T*>(dynamic_shared_memory);
}

// 16 bytes of weights: read once, so they do not stay in L1. `at` is a multiple of 16.
__device__ inline uint4 load_stream(const void* at) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(at));
    return v;
}
// 16 bytes of global or shared memory that other kernels or threads write; `at` is a multiple of 16.
__device__ inline float4 load_vector(const float* at) { return *reinterpret_cast<const float4*>(at); }
__device__ inline uint4 load_vector(const void* at) { return *reinterpret_cast<const uint4*>(at); }
__device__ inline void store_vector(float* at, float4 v) { *reinterpret_cast<float4*>(at) = v; }
__device__ inline void store_vector(void* at, uint4 v) { *reinterpret_cast<uint4*>(at) = v; }

__device__ inline unsigned shared_address(const void* at) { return static_cast<unsigned>(__cvta_generic_to_shared(at)); }

// Copies 16 bytes from global to shared memory behind the thread's back; both are multiples of 16. Where not `valid`, zeros.
__device__ inline void copy_async(void* shared, const void* global, bool valid = true) {
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}
__device__ inline void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most `Left` of the thread's groups are still on their way. Others see the bytes after a barrier.
template <int Left>
__device__ void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
}

// Four 8 × 8 matrices of 16-bit elements: lane i gives the address of row i % 8 of matrix i / 8, a multiple of 16, and receives
// elements 2(i % 4), 2(i % 4) + 1 of row i / 4 of each; transposed: of column i / 4.
__device__ inline void load_matrices(unsigned (&to)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}
__device__ inline void load_matrices_transposed(unsigned (&to)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// c += a · b on tensor cores, a 16 × 16, b 16 × 8, c 16 × 8, in the fragments of mma.sync.m16n8k16 (PTX ISA, 9.7.14.5).
__device__ inline void multiply_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline void multiply_f16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two bf16 in one register, `low` in the lower half; nearest even.
__device__ inline unsigned pack_bf16(float low, float high) {
    unsigned packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}
__device__ inline float low_bf16(unsigned packed) { return __uint_as_float(packed << 16); }
__device__ inline float high_bf16(unsigned packed) { return __uint_as_float(packed & 0xFFFF0000u); }
__device__ inline float f16_to_float(std::uint16_t bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}
// 2^x within two units in the last place.
__device__ inline float exp2_fast(float x) {
    float value;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(value) : "f"(x));
    return value;
}

// Programmatic dependent launch: waits until the kernels before this one in the stream have finished and their writes are seen;
// what does not depend on them (weights) may be read before. Lets the next kernel start its own such part. No-ops where a kernel
// was launched without that attribute.
__device__ inline void wait_for_previous_kernels() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ inline void let_next_kernel_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
// Both, for a kernel that has nothing to do ahead: the next one may load its first weights as soon as all blocks of this one run.
__device__ inline void take_turn() {
    wait_for_previous_kernels();
    let_next_kernel_start();
}

}  // namespace morsel::ptx
