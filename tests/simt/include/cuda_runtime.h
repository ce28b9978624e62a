// Stands in for CUDA's header of this name: the language (keywords, built-in variables, warp functions, atomics) and the part of the
// runtime that cuda/morsel uses, on the SIMT layer. Streams are in order and done at once; captured graphs are lists of calls.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "simt/layer/simt.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __restrict__
#define __grid_constant__
#define __launch_bounds__(...)

// ---- Vector types ----
struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

inline simt::Index3& threadIdx = simt::now.thread;
inline simt::Index3& blockIdx = simt::now.block;
inline simt::Index3& blockDim = simt::now.block_size;
inline simt::Index3& gridDim = simt::now.grid_size;

// ---- Synchronisation and warps ----
inline void __syncthreads() { simt::barrier(); }
inline int __syncthreads_count(int predicate) { return static_cast<int>(simt::barrier_count(predicate != 0)); }
inline int __syncthreads_or(int predicate) { return simt::barrier_count(predicate != 0) > 0 ? 1 : 0; }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) { simt::warp_barrier(mask); }
inline void __threadfence() { simt::thread_fence(); }

namespace simt {
template <class T>
std::uint64_t to_slot(T value) {
    static_assert(sizeof(T) <= 8);
    std::uint64_t slot = 0;
    __builtin_memcpy(&slot, &value, sizeof value);
    return slot;
}
template <class T>
T from_slot(std::uint64_t slot) {
    T value;
    __builtin_memcpy(&value, &slot, sizeof value);
    return value;
}
std::uint64_t value_of_lane(std::uint32_t mask, std::uint64_t value, int lane);  // checks that the lane takes part
std::uint32_t ballot(std::uint32_t mask, bool predicate);
std::uint64_t reduce(std::uint32_t mask, std::uint64_t value, std::uint64_t (*combine)(std::uint64_t, std::uint64_t));
int lane();
std::uint64_t atomic_add(void* at, std::size_t size, std::uint64_t value);
std::uint64_t atomic_max(void* at, std::size_t size, std::uint64_t value);
std::uint32_t atomic_add_float(float* at, float value);
std::uint32_t atomic_or(unsigned* at, unsigned bits);
std::uint32_t atomic_wrap_increment(unsigned* at, unsigned limit);
}  // namespace simt

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
    return simt::from_slot<T>(simt::value_of_lane(mask, simt::to_slot(value), simt::lane() / width * width + (lane & (width - 1))));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
    const int other = simt::lane() ^ bits;
    return simt::from_slot<T>(simt::value_of_lane(mask, simt::to_slot(value), other / width > simt::lane() / width ? simt::lane() : other));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const int from = simt::lane() - static_cast<int>(delta);
    return simt::from_slot<T>(simt::value_of_lane(mask, simt::to_slot(value), from < simt::lane() / width * width ? simt::lane() : from));
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const int from = simt::lane() + static_cast<int>(delta);
    return simt::from_slot<T>(simt::value_of_lane(mask, simt::to_slot(value), from >= (simt::lane() / width + 1) * width ? simt::lane() : from));
}
inline unsigned __ballot_sync(unsigned mask, int predicate) { return simt::ballot(mask, predicate != 0); }
inline int __any_sync(unsigned mask, int predicate) { return simt::ballot(mask, predicate != 0) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return simt::ballot(mask, predicate == 0) == 0; }
inline unsigned __reduce_add_sync(unsigned mask, unsigned value) {
    return static_cast<unsigned>(simt::reduce(mask, value, [](std::uint64_t a, std::uint64_t b) { return a + b; }));
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value) {
    return static_cast<unsigned>(simt::reduce(mask, value, [](std::uint64_t a, std::uint64_t b) { return a < b ? b : a; }));
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value) {
    return static_cast<unsigned>(simt::reduce(mask, value, [](std::uint64_t a, std::uint64_t b) { return a < b ? a : b; }));
}

// ---- Atomics ----
inline unsigned atomicAdd(unsigned* at, unsigned value) { return static_cast<unsigned>(simt::atomic_add(at, 4, value)); }
inline int atomicAdd(int* at, int value) { return static_cast<int>(static_cast<unsigned>(simt::atomic_add(at, 4, static_cast<unsigned>(value)))); }
inline unsigned long long atomicAdd(unsigned long long* at, unsigned long long value) { return simt::atomic_add(at, 8, value); }
inline float atomicAdd(float* at, float value) { return std::bit_cast<float>(simt::atomic_add_float(at, value)); }
inline unsigned atomicMax(unsigned* at, unsigned value) { return static_cast<unsigned>(simt::atomic_max(at, 4, value)); }
inline unsigned long long atomicMax(unsigned long long* at, unsigned long long value) { return simt::atomic_max(at, 8, value); }
inline unsigned atomicOr(unsigned* at, unsigned bits) { return simt::atomic_or(at, bits); }
inline unsigned atomicInc(unsigned* at, unsigned limit) { return simt::atomic_wrap_increment(at, limit); }

// ---- Arithmetic ----
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
using std::max;
using std::min;

// ---- Runtime ----
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2, cudaErrorInvalidConfiguration = 9, cudaErrorLaunchFailure = 719 };
const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();

struct CUstream_st;
using cudaStream_t = CUstream_st*;
struct CUevent_st;
using cudaEvent_t = CUevent_st*;
enum cudaMemcpyKind { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault };
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin = 97, cudaDevAttrMultiProcessorCount = 16, cudaDevAttrComputeCapabilityMajor = 75, cudaDevAttrComputeCapabilityMinor = 76 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
inline constexpr unsigned cudaStreamNonBlocking = 1;

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaMalloc(void** memory, std::size_t bytes);
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, std::size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);

// ---- Graphs ----
struct CUgraph_st;
using cudaGraph_t = CUgraph_st*;
struct CUgraphExec_st;
using cudaGraphExec_t = CUgraphExec_st*;
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

// ---- Launches ----
enum cudaLaunchAttributeID { cudaLaunchAttributeProgrammaticStreamSerialization = 6 };
struct cudaLaunchAttributeValue { int programmaticStreamSerializationAllowed; };
struct cudaLaunchAttribute {
    cudaLaunchAttributeID id;
    cudaLaunchAttributeValue val;
};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    std::size_t dynamicSmemBytes = 0;
    cudaStream_t stream = nullptr;
    cudaLaunchAttribute* attrs = nullptr;
    unsigned numAttrs = 0;
};

namespace simt {
cudaError_t allow_shared(const void* kernel, int bytes);
// Runs, or records where the stream is being captured. `arguments` is copied.
cudaError_t enqueue(const cudaLaunchConfig_t& config, const void* kernel, void (*call)(const void*), const void* arguments, std::size_t bytes);
// Counts launches and copies in place of running them, from now on: for the accounting of models too large to run.
void record_only(bool on);
bool recording_only();
}  // namespace simt

template <class... Expected, class... Given>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Expected...), Given&&... given) {
    struct Bound {
        void (*kernel)(Expected...);
        std::tuple<Expected...> arguments;
    };
    static_assert((std::is_trivially_copyable_v<Expected> && ...));
    const Bound bound{kernel, std::tuple<Expected...>(std::forward<Given>(given)...)};
    const auto call = [](const void* at) {
        const auto& bound = *static_cast<const Bound*>(at);
        std::apply(bound.kernel, bound.arguments);
    };
    return simt::enqueue(*config, reinterpret_cast<const void*>(kernel), call, &bound, sizeof bound);
}
struct cudaFuncAttributes {
    int ptxVersion = 0;
};
template <class... Expected>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, void (*)(Expected...)) {
    attributes->ptxVersion = 90;
    return cudaSuccess;
}
template <class... Expected>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Expected...), cudaFuncAttribute, int value) {
    return simt::allow_shared(reinterpret_cast<const void*>(kernel), value);
}
