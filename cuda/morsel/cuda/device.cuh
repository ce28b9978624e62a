// The CUDA device: a context object with a stream, a cuBLAS handle whose workspace is pinned (so that results repeat and graphs can be
// captured), scratch memory and a staging buffer; its buffers; and how kernels are launched. No globals: one `Cuda` per calling
// thread, made by that thread (or the thread's cudaSetDevice is the same); prepared weights are shared between those of one GPU. Every
// failure is a morsel::Error that names the call or the kernel.
#pragma once
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "morsel/core/error.hpp"
#include "morsel/cuda/ptx.cuh"
#include "morsel/ops/device.hpp"
#include "morsel/ops/stored_rows.hpp"

namespace morsel {

struct CudaMatrix;

// What products and the key-value cache are computed with. Sums and activations are f32 in any case, and so is all that stands
// between products; products of few rows (decoding) read weights as stored and multiply in f32 in both settings.
enum class CudaPrecision : std::uint8_t {
    bf16,  // many rows: activations and weights rounded to bf16, but where weights are stored as f32, both to TF32 (11 bits); keys and values in bf16
    f32,   // f32 throughout
};

// One kernel launch, for observers: what it reads and writes of device memory, each byte once, as its parameters say.
struct CudaLaunch {
    const char* name = "";
    dim3 grid = {}, block = {};
    std::size_t shared_bytes = 0;
    std::size_t read = 0, written = 0;  // bytes
};

struct CudaOptions {
    int device = 0;
    CudaPrecision precision = CudaPrecision::bf16;
    bool dependent_launch = true;  // programmatic dependent launch, where the GPU has it (sm_90)
    std::function<void(const CudaLaunch&)> on_launch = {};
};

namespace detail {

inline void check_cuda(cudaError_t error, const char* call) {
    if (error != cudaSuccess) throw Error(std::string("CUDA: ") + cudaGetErrorString(error), {.key = call});
}
inline void check_cublas(cublasStatus_t status, const char* call) {
    if (status != CUBLAS_STATUS_SUCCESS) throw Error(std::string("cuBLAS: ") + cublasGetStatusString(status), {.key = call});
}

struct FreeDevice {
    void operator()(void* memory) const noexcept { cudaFree(memory); }
};
struct FreeHost {
    void operator()(void* memory) const noexcept { cudaFreeHost(memory); }
};
using DeviceBytes = std::unique_ptr<std::uint8_t, FreeDevice>;

// Uninitialised device memory, aligned to 256.
inline DeviceBytes allocate_device(std::size_t bytes) {
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, std::max<std::size_t>(bytes, 1));
    if (error != cudaSuccess)
        throw Error(std::string("CUDA: ") + cudaGetErrorString(error), {.key = "cudaMalloc", .expected = std::to_string(bytes) + " bytes of device memory"});
    return DeviceBytes(static_cast<std::uint8_t*>(memory));
}

struct DestroyStream {
    void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
};
struct DestroyCublas {
    void operator()(cublasHandle_t handle) const noexcept { cublasDestroy(handle); }
};
struct DestroyEvent {
    void operator()(cudaEvent_t event) const noexcept { cudaEventDestroy(event); }
};
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, DestroyEvent>;
inline Event make_event() {
    cudaEvent_t event = nullptr;
    check_cuda(cudaEventCreate(&event), "cudaEventCreate");
    return Event(event);
}

}  // namespace detail

// Owned floats in device memory.
class CudaBuffer {
  public:
    CudaBuffer() = default;
    explicit CudaBuffer(std::size_t size) : data_(detail::allocate_device(size * sizeof(float))), size_(size) {}
    float* data() noexcept { return reinterpret_cast<float*>(data_.get()); }
    const float* data() const noexcept { return reinterpret_cast<const float*>(data_.get()); }
    std::size_t size() const noexcept { return size_; }

  private:
    detail::DeviceBytes data_;
    std::size_t size_ = 0;
};

// The state of a sequence that is decoded, in device memory, so that one captured graph serves every step: what embedding and attention
// read in place of the host's arguments, and sampling moves on.
struct CudaStep {
    TokenId token = 0;           // to be run next
    std::uint32_t past = 0;      // tokens in the cache before it
    std::uint32_t produced = 0;  // new tokens so far
    std::uint32_t history = 0;   // prompt and new tokens so far
    std::uint32_t failed = 0;    // steps whose logits were not finite, or left no token possible
};

class Cuda {
  public:
    using Matrix = CudaMatrix;
    using Buffer = CudaBuffer;
    using Options = CudaOptions;

    explicit Cuda(CudaOptions options = {}) : options_(std::move(options)) {
        detail::check_cuda(cudaSetDevice(options_.device), "cudaSetDevice");
        cudaStream_t stream = nullptr;
        detail::check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
        stream_.reset(stream);
        cublasHandle_t handle = nullptr;
        detail::check_cublas(cublasCreate(&handle), "cublasCreate");
        cublas_.reset(handle);
        detail::check_cublas(cublasSetStream(handle, stream), "cublasSetStream");
        workspace_ = detail::allocate_device(workspace_bytes);
        detail::check_cublas(cublasSetWorkspace(handle, workspace_.get(), workspace_bytes), "cublasSetWorkspace");
        int major = 0, processors = 0, shared = 0;
        detail::check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, options_.device), "cudaDeviceGetAttribute");
        detail::check_cuda(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, options_.device), "cudaDeviceGetAttribute");
        detail::check_cuda(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, options_.device), "cudaDeviceGetAttribute");
        if (major < 8) throw Error("the GPU is too old", {.key = "device", .expected = "compute capability 8.0 or later", .found = std::to_string(major)});
        dependent_launch_ = options_.dependent_launch && major >= 9;
        processors_ = static_cast<std::size_t>(processors), shared_limit_ = static_cast<std::size_t>(shared);
    }
    ~Cuda() {
        if (stream_ != nullptr) cudaStreamSynchronize(stream_.get());  // nothing may still use what is freed now
    }
    Cuda(const Cuda&) = delete;
    Cuda& operator=(const Cuda&) = delete;

    cudaStream_t stream() const noexcept { return stream_.get(); }
    cublasHandle_t cublas() const noexcept { return cublas_.get(); }
    const CudaOptions& options() const noexcept { return options_; }
    CudaPrecision precision() const noexcept { return options_.precision; }
    std::size_t processors() const noexcept { return processors_; }
    std::size_t shared_limit() const noexcept { return shared_limit_; }  // bytes a block can have

    // Device memory of at least `bytes`, uninitialised, kept until more of the same index is asked for. What was there is given
    // up, so it must not grow while a captured graph uses it.
    std::uint8_t* scratch(std::size_t index, std::size_t bytes) {
        Scratch& one = scratch_[index];
        if (one.bytes < bytes) {
            synchronize();
            const std::size_t grown = std::max(bytes, one.bytes * 2);
            one = {};  // before there is more: the two need not fit together
            one.memory = detail::allocate_device(grown);
            one.bytes = grown;
        }
        return one.memory.get();
    }
    float* scratch_floats(std::size_t index, std::size_t count) { return reinterpret_cast<float*>(scratch(index, count * sizeof(float))); }

    // Counters that are 0 between kernels: those that use them leave them so. [most_counters]
    static constexpr std::size_t most_counters = 65536;
    unsigned* counters() {
        if (counters_ == nullptr) {
            counters_ = detail::allocate_device(most_counters * sizeof(unsigned));
            detail::check_cuda(cudaMemsetAsync(counters_.get(), 0, most_counters * sizeof(unsigned), stream()), "cudaMemsetAsync");
        }
        return reinterpret_cast<unsigned*>(counters_.get());
    }

    // Where not null, a step for each row, that operations read its token and position from; see CudaStep.
    const CudaStep* step = nullptr;

    void synchronize() { detail::check_cuda(cudaStreamSynchronize(stream()), "cudaStreamSynchronize"); }

    // Host memory that copies to the device at full speed, for uploads in pieces. [staging_bytes]
    static constexpr std::size_t staging_bytes = std::size_t{16} << 20;
    std::uint8_t* staging() {
        if (staging_ == nullptr) {
            void* memory = nullptr;
            detail::check_cuda(cudaMallocHost(&memory, staging_bytes), "cudaMallocHost");
            staging_.reset(static_cast<std::uint8_t*>(memory));
        }
        return staging_.get();
    }

    template <class... Expected, class... Given>
    void launch(const CudaLaunch& what, void (*kernel)(Expected...), Given... arguments) {
        if (what.grid.x == 0 || what.grid.y == 0 || what.grid.z == 0) return;
        Kernel& facts = facts_of(kernel, what.name);
        if (what.shared_bytes > facts.shared_bytes) {
            detail::check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(what.shared_bytes)), what.name);
            facts.shared_bytes = what.shared_bytes;
        }
        cudaLaunchAttribute attribute{};
        attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attribute.val.programmaticStreamSerializationAllowed = 1;
        cudaLaunchConfig_t config{};
        config.gridDim = what.grid, config.blockDim = what.block, config.dynamicSmemBytes = what.shared_bytes, config.stream = stream();
        config.attrs = &attribute, config.numAttrs = dependent_launch_ && facts.waits ? 1 : 0;
        detail::check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<Expected>(arguments)...), what.name);
        if (options_.on_launch) options_.on_launch(what);
    }

  private:
    static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;
    struct Kernel {
        std::size_t shared_bytes = std::size_t{32} << 10;  // of dynamic shared memory that it may have: 48 KB less what is declared in it, or what was asked for
        bool waits = false;                                // compiled for sm_90 or later, so that it waits for kernels before it
    };
    struct Scratch {
        detail::DeviceBytes memory;
        std::size_t bytes = 0;
    };
    template <class... Expected>
    Kernel& facts_of(void (*kernel)(Expected...), const char* name) {
        const void* key = reinterpret_cast<const void*>(kernel);
        if (const auto known = kernels_.find(key); known != kernels_.end()) return known->second;
        Kernel facts;
        if (dependent_launch_) {
            cudaFuncAttributes attributes{};
            detail::check_cuda(cudaFuncGetAttributes(&attributes, kernel), name);
            facts.waits = attributes.ptxVersion >= 90;
        }
        return kernels_.emplace(key, facts).first->second;
    }

    CudaOptions options_;
    std::unique_ptr<std::remove_pointer_t<cudaStream_t>, detail::DestroyStream> stream_;
    std::unique_ptr<std::remove_pointer_t<cublasHandle_t>, detail::DestroyCublas> cublas_;
    detail::DeviceBytes workspace_, counters_;
    std::unique_ptr<std::uint8_t, detail::FreeHost> staging_;
    std::array<Scratch, 6> scratch_;
    std::map<const void*, Kernel> kernels_;  // those launched so far
    std::size_t processors_ = 0, shared_limit_ = 0;
    bool dependent_launch_ = false;
};

// What `Cuda::scratch` is asked for, by index.
enum CudaScratch : std::size_t { scratch_ids, scratch_activations, scratch_weights, scratch_products, scratch_attention, scratch_sampling };

// Throws Error where a device with those options could not use what `owner` prepared: it is another GPU's memory.
inline void require_same_memory(const Cuda& owner, const CudaOptions& options) {
    if (options.device != owner.options().device)
        throw Error("weights are in the memory of another GPU", {.key = "device", .expected = std::to_string(owner.options().device), .found = std::to_string(options.device)});
}

// `count` uninitialised floats.
inline CudaBuffer allocate(Cuda&, std::size_t count) { return CudaBuffer(count); }

inline void upload(Cuda& device, std::span<const float> from, float* to) {
    detail::check_cuda(cudaMemcpyAsync(to, from.data(), from.size_bytes(), cudaMemcpyHostToDevice, device.stream()), "upload");
    device.synchronize();
}
inline void download(Cuda& device, const float* from, std::span<float> to) {
    detail::check_cuda(cudaMemcpyAsync(to.data(), from, to.size_bytes(), cudaMemcpyDeviceToHost, device.stream()), "download");
    device.synchronize();
}
inline void copy(Cuda& device, const float* from, float* to, std::size_t count) {
    detail::check_cuda(cudaMemcpyAsync(to, from, count * sizeof(float), cudaMemcpyDeviceToDevice, device.stream()), "copy");
}

// A gain or bias as f32; any readable type. Throws Error where the view is not a vector.
inline CudaBuffer prepare_vector(Cuda& device, const TensorView& view) {
    const StoredMatrix stored = stored_matrix(view);
    if (stored.rows != 1) throw Error("not a vector", {.expected = "1 dimension", .found = shape_text(view.shape)});
    std::vector<float> values(stored.columns);
    read_row(view.dtype, view.bytes.data(), stored.columns, values.data());
    CudaBuffer buffer(stored.columns);
    upload(device, values, buffer.data());
    return buffer;
}

// Fills device memory from pieces of host memory: `fill(begin, count, to)` writes rows [begin, begin + count) of `row_bytes` each to
// pinned memory, half of which travels while the other half is filled.
template <class Fill>
void upload_rows(Cuda& device, std::size_t rows, std::size_t row_bytes, std::uint8_t* to, Fill&& fill) {
    const std::size_t half = Cuda::staging_bytes / 2, per_piece = std::max<std::size_t>(1, half / std::max<std::size_t>(row_bytes, 1));
    if (row_bytes > half) throw Error("a row of weights is too long", {.expected = "at most " + std::to_string(half) + " bytes", .found = std::to_string(row_bytes)});
    std::uint8_t* staging[2] = {device.staging(), device.staging() + half};
    const detail::Event sent[2] = {detail::make_event(), detail::make_event()};
    std::size_t piece = 0;
    for (std::size_t row = 0; row < rows; row += per_piece, ++piece) {
        const std::size_t count = std::min(per_piece, rows - row);
        if (piece >= 2) detail::check_cuda(cudaEventSynchronize(sent[piece % 2].get()), "cudaEventSynchronize");
        fill(row, count, staging[piece % 2]);
        detail::check_cuda(cudaMemcpyAsync(to + row * row_bytes, staging[piece % 2], count * row_bytes, cudaMemcpyHostToDevice, device.stream()), "upload_rows");
        detail::check_cuda(cudaEventRecord(sent[piece % 2].get(), device.stream()), "cudaEventRecord");
    }
    device.synchronize();
}

}  // namespace morsel
