// The runtime of the SIMT layer: what tests/simt/include/cuda_runtime.h and cublas_v2.h declare. Everything happens at once, in order.
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "simt/layer/memory_check.hpp"

struct CUgraph_st {
    std::vector<std::function<cudaError_t()>> calls;
};
struct CUgraphExec_st {
    std::vector<std::function<cudaError_t()>> calls;
};
struct CUstream_st {
    std::unique_ptr<CUgraph_st> capture;
};
struct cublasContext {
    cudaStream_t stream = nullptr;
};

namespace {

struct Runtime {
    std::string fault;
    std::map<const void*, std::size_t> allowed_shared;  // of kernels that asked for it
    std::size_t captures = 0;                           // under way
    std::string broken_capture;                         // by what
    bool record_only = false;
};
constexpr std::size_t unasked_shared = 48 << 10;  // what a block can have, declared and dynamic, where nothing was asked for
Runtime& runtime() {
    static Runtime one;
    return one;
}

cudaError_t refuse(std::string why, cudaError_t error = cudaErrorInvalidValue) {
    runtime().fault = std::move(why);
    return error;
}

// Refuses a call that no capture allows where one is under way, which then fails too.
cudaError_t outside_captures(const char* call) {
    if (runtime().captures == 0) return cudaSuccess;
    runtime().broken_capture = std::string(call) + " during a capture";
    return refuse(runtime().broken_capture);
}

// Runs the call, or records it where the stream is being captured.
cudaError_t enqueue_call(cudaStream_t stream, std::function<cudaError_t()> call) {
    if (stream == nullptr) return refuse("a call on the default stream");
    if (stream->capture == nullptr) return call();
    stream->capture->calls.push_back(std::move(call));
    return cudaSuccess;
}

cudaError_t copy_now(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return cudaSuccess;
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (simt::is_device(to, bytes) != to_device || simt::is_device(from, bytes) != from_device) return refuse("a copy of " + std::to_string(bytes) + " bytes does not fit its memory or direction");
    if (runtime().record_only) return cudaSuccess;
    std::memmove(to, from, bytes);
    if (to_device) simt::mark_written(to, bytes);
    return cudaSuccess;
}

// Rounded to TF32: 10 bits behind the leading one.
float to_tf32(float x) { return std::isfinite(x) ? std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000u) & 0xFFFFE000u) : x; }

float element(const void* base, cudaDataType_t type, std::size_t i, bool tf32) {
    if (type == CUDA_R_32F) return tf32 ? to_tf32(static_cast<const float*>(base)[i]) : static_cast<const float*>(base)[i];
    const std::uint16_t bits = static_cast<const std::uint16_t*>(base)[i];
    return type == CUDA_R_16BF ? morsel::to_f32(morsel::bf16{bits}) : morsel::to_f32(morsel::f16{bits});
}

}  // namespace

namespace simt {

int lane() { return static_cast<int>(linear_thread() % 32); }

std::uint64_t value_of_lane(std::uint32_t mask, std::uint64_t value, int lane) {
    if (lane < 0 || lane > 31 || (mask >> lane & 1) == 0) {
        const Aside aside;
        fail("mask: a shuffle reads lane " + std::to_string(lane) + ", which does not take part");
    }
    return exchange(mask, value)[lane];
}
std::uint32_t ballot(std::uint32_t mask, bool predicate) {
    const std::uint64_t* values = exchange(mask, predicate ? 1 : 0);
    std::uint32_t bits = 0;
    for (std::uint32_t i = 0; i < 32; ++i)
        if ((mask >> i & 1) != 0 && values[i] != 0) bits |= 1u << i;
    return bits;
}
std::uint64_t reduce(std::uint32_t mask, std::uint64_t value, std::uint64_t (*combine)(std::uint64_t, std::uint64_t)) {
    const std::uint64_t* values = exchange(mask, value);
    bool first = true;
    std::uint64_t result = 0;
    for (std::uint32_t i = 0; i < 32; ++i) {
        if ((mask >> i & 1) == 0) continue;
        result = first ? values[i] : combine(result, values[i]);
        first = false;
    }
    return result;
}
std::uint64_t atomic_add(void* at, std::size_t size, std::uint64_t value) {
    return atomic(at, size, [value](std::uint64_t old) { return old + value; });
}
std::uint64_t atomic_max(void* at, std::size_t size, std::uint64_t value) {
    return atomic(at, size, [value](std::uint64_t old) { return old < value ? value : old; });
}
std::uint32_t atomic_add_float(float* at, float value) {
    return static_cast<std::uint32_t>(atomic(at, 4, [value](std::uint64_t old) { return std::bit_cast<std::uint32_t>(std::bit_cast<float>(static_cast<std::uint32_t>(old)) + value); }));
}
std::uint32_t atomic_or(unsigned* at, unsigned bits) {
    return static_cast<std::uint32_t>(atomic(at, 4, [bits](std::uint64_t old) { return old | bits; }));
}
std::uint32_t atomic_wrap_increment(unsigned* at, unsigned limit) {
    return static_cast<std::uint32_t>(atomic(at, 4, [limit](std::uint64_t old) { return old >= limit ? 0 : old + 1; }));
}

cudaError_t allow_shared(const void* kernel, int bytes) {
    if (bytes > static_cast<int>(shared_limit)) return refuse("more shared memory than a block can have: " + std::to_string(bytes));
    runtime().allowed_shared[kernel] = static_cast<std::size_t>(bytes);
    return cudaSuccess;
}

void record_only(bool on) { runtime().record_only = on; }
bool recording_only() { return runtime().record_only; }

cudaError_t enqueue(const cudaLaunchConfig_t& config, const void* kernel, void (*call)(const void*), const void* arguments, std::size_t bytes) {
    const dim3 grid = config.gridDim, block = config.blockDim;
    const std::size_t threads = std::size_t{block.x} * block.y * block.z;
    if (threads == 0 || threads > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 || grid.x > 0x7FFFFFFF)
        return refuse("launch of " + std::to_string(grid.x) + " × " + std::to_string(grid.y) + " × " + std::to_string(grid.z) + " blocks of " + std::to_string(threads) + " threads",
                      cudaErrorInvalidConfiguration);
    const auto allowed = runtime().allowed_shared.find(kernel);
    const bool asked = allowed != runtime().allowed_shared.end();
    if (config.dynamicSmemBytes > (asked ? allowed->second : unasked_shared))
        return refuse("launch with " + std::to_string(config.dynamicSmemBytes) + " bytes of shared memory, more than was asked for");
    const std::size_t most_declared = asked ? shared_limit - allowed->second : unasked_shared - config.dynamicSmemBytes;
    std::vector<std::byte> kept(static_cast<const std::byte*>(arguments), static_cast<const std::byte*>(arguments) + bytes);
    const std::size_t shared = config.dynamicSmemBytes;
    bool dependent = false;
    for (unsigned i = 0; i < config.numAttrs; ++i) dependent = dependent || config.attrs[i].val.programmaticStreamSerializationAllowed != 0;
    return enqueue_call(config.stream, [=, kept = std::move(kept)]() -> cudaError_t {
        if (runtime().record_only) return cudaSuccess;
        std::string fault = launch({grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, call, kept.data(), kept.size(), dependent);
        if (fault.empty() && declared_shared() > most_declared)
            fault = std::to_string(declared_shared()) + " bytes of shared variables beside " + std::to_string(shared) + " of dynamic shared memory" + (asked ? ", or what was asked for" : "") +
                    ": more than a block can have";
        return fault.empty() ? cudaSuccess : refuse(std::move(fault), cudaErrorLaunchFailure);
    });
}

}  // namespace simt

const char* cudaGetErrorString(cudaError_t error) { return error == cudaSuccess ? "no error" : runtime().fault.c_str(); }
const char* cudaGetErrorName(cudaError_t error) { return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaError"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : refuse("no such device"); }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    switch (attribute) {
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(simt::shared_limit); break;
        case cudaDevAttrMultiProcessorCount: *value = 132; break;
        case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
        case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    }
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return *stream = new CUstream_st, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return stream != nullptr && stream->capture != nullptr ? refuse("synchronising a stream that is being captured") : cudaSuccess; }
cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    if (const cudaError_t error = outside_captures("cudaMalloc"); error != cudaSuccess) return error;
    *memory = simt::allocate_device(bytes, !runtime().record_only);
    return *memory != nullptr ? cudaSuccess : refuse("out of memory", cudaErrorMemoryAllocation);
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
    if (stream == nullptr || stream->capture != nullptr) return refuse("an allocation on the default stream or during a capture");
    return cudaMalloc(memory, bytes);
}
cudaError_t cudaFree(void* memory) {
    if (memory == nullptr) return cudaSuccess;
    if (const cudaError_t error = outside_captures("cudaFree"); error != cudaSuccess) return error;
    return simt::free_device(memory) ? cudaSuccess : refuse("freeing what was not allocated");
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) { return cudaFree(memory); }
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
    *memory = std::malloc(bytes);
    return *memory != nullptr ? cudaSuccess : refuse("out of host memory", cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* memory) {
    std::free(memory);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    return enqueue_call(stream, [=] { return copy_now(to, from, bytes, kind); });
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
    return enqueue_call(stream, [=] {
        for (std::size_t row = 0; row < height; ++row)
            if (const cudaError_t error = copy_now(static_cast<std::byte*>(to) + row * to_pitch, static_cast<const std::byte*>(from) + row * from_pitch, width, kind); error != cudaSuccess) return error;
        return cudaSuccess;
    });
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
    return enqueue_call(stream, [=]() -> cudaError_t {
        if (bytes == 0) return cudaSuccess;
        if (!simt::is_device(to, bytes)) return refuse("a memset that does not fit its memory");
        if (runtime().record_only) return cudaSuccess;
        std::memset(to, value, bytes);
        simt::mark_written(to, bytes);
        return cudaSuccess;
    });
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return *event = nullptr, cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) { return *milliseconds = 1, cudaSuccess; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream == nullptr || stream->capture != nullptr) return refuse("capture of the default stream, or of one that is being captured");
    stream->capture = std::make_unique<CUgraph_st>();
    ++runtime().captures;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    *graph = stream->capture.release();
    if (*graph == nullptr) return refuse("no capture");
    if (--runtime().captures > 0 || runtime().broken_capture.empty()) return cudaSuccess;
    delete std::exchange(*graph, nullptr);
    return refuse(std::exchange(runtime().broken_capture, {}));
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) { return *executable = new CUgraphExec_st{graph->calls}, cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
    for (const auto& call : executable->calls)
        if (const cudaError_t error = call(); error != cudaSuccess) return error;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return cudaSuccess;
}

cublasStatus_t cublasCreate(cublasHandle_t* handle) { return *handle = new cublasContext, CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) { return handle->stream = stream, CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetWorkspace(cublasHandle_t, void* workspace, std::size_t bytes) { return simt::is_device(workspace, bytes) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE; }
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }
const char* cublasGetStatusString(cublasStatus_t) { return runtime().fault.c_str(); }

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void* alpha, const void* a,
                            cudaDataType_t type_a, int lda, const void* b, cudaDataType_t type_b, int ldb, const void* beta, void* c, cudaDataType_t type_c, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t) {
    const bool tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const auto size = [](cudaDataType_t type) -> std::size_t { return type == CUDA_R_32F ? 4 : 2; };
    const auto extent = [](int rows, int columns, int ld) { return static_cast<std::size_t>(columns - 1) * static_cast<std::size_t>(ld) + static_cast<std::size_t>(rows); };
    const bool ta = op_a == CUBLAS_OP_T, tb = op_b == CUBLAS_OP_T;
    if (m <= 0 || n <= 0 || k <= 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m || type_a != type_b || type_c != CUDA_R_32F) {
        refuse("cublasGemmEx: sizes or types do not fit");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    const std::size_t a_bytes = extent(ta ? k : m, ta ? m : k, lda) * size(type_a), b_bytes = extent(tb ? n : k, tb ? k : n, ldb) * size(type_b), c_bytes = extent(m, n, ldc) * 4;
    if (!simt::is_device(a, a_bytes) || !simt::is_device(b, b_bytes) || !simt::is_device(c, c_bytes)) {
        refuse("cublasGemmEx: a matrix is not inside device memory");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    const float al = *static_cast<const float*>(alpha), be = *static_cast<const float*>(beta);
    const cudaError_t error = enqueue_call(handle->stream, [=]() -> cudaError_t {
        if (runtime().record_only) return cudaSuccess;
        auto* out = static_cast<float*>(c);
        for (int j = 0; j < n; ++j)
            for (int i = 0; i < m; ++i) {
                float sum = 0;
                for (int l = 0; l < k; ++l)
                    sum += element(a, type_a, ta ? std::size_t(i) * std::size_t(lda) + std::size_t(l) : std::size_t(l) * std::size_t(lda) + std::size_t(i), tf32) *
                           element(b, type_b, tb ? std::size_t(l) * std::size_t(ldb) + std::size_t(j) : std::size_t(j) * std::size_t(ldb) + std::size_t(l), tf32);
                float& to = out[std::size_t(j) * std::size_t(ldc) + std::size_t(i)];
                to = be == 0 ? al * sum : al * sum + be * to;
            }
        for (int j = 0; j < n; ++j) simt::mark_written(out + std::size_t(j) * std::size_t(ldc), std::size_t(m) * 4);
        return cudaSuccess;
    });
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
