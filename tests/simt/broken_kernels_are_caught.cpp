// Tests of the test: kernels with one deliberate mistake each must be caught under every schedule, and their right twins must pass.
#include <string>
#include <vector>

#include "morsel/cuda/ptx.cuh"
#include "support/catch.hpp"
#include "support/cuda_schedules.hpp"
#include "support/text.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

struct Device {
    cudaStream_t stream = nullptr;
    Device() { cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking); }
    ~Device() { cudaStreamDestroy(stream); }
};

struct Floats {
    float* at = nullptr;
    Floats(Device& d, const std::vector<float>& values) {
        REQUIRE(cudaMallocAsync(reinterpret_cast<void**>(&at), values.size() * 4, d.stream) == cudaSuccess);
        cudaMemcpyAsync(at, values.data(), values.size() * 4, cudaMemcpyHostToDevice, d.stream);
    }
    explicit Floats(std::size_t count) { REQUIRE(cudaMalloc(reinterpret_cast<void**>(&at), count * 4) == cudaSuccess); }
    ~Floats() { cudaFree(at); }
    std::vector<float> read(Device& d, std::size_t count) const {
        std::vector<float> values(count);
        cudaMemcpyAsync(values.data(), at, count * 4, cudaMemcpyDeviceToHost, d.stream);
        return values;
    }
};

std::string text_of(cudaError_t error) { return error == cudaSuccess ? "" : cudaGetErrorString(error); }

// The fault of a launch, or "".
template <class... E, class... A>
std::string fault(Device& d, unsigned grid, unsigned block, std::size_t shared, void (*kernel)(E...), A... arguments) {
    cudaLaunchConfig_t config;
    config.gridDim = dim3(grid), config.blockDim = dim3(block), config.dynamicSmemBytes = shared, config.stream = d.stream;
    return text_of(cudaLaunchKernelEx(&config, kernel, arguments...));
}

// That of one block launched so that it may start before the kernels before it have ended.
template <class... E, class... A>
std::string fault_of_dependent(Device& d, unsigned block, void (*kernel)(E...), A... arguments) {
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config;
    config.gridDim = dim3(1), config.blockDim = dim3(block), config.stream = d.stream, config.attrs = &attribute, config.numAttrs = 1;
    return text_of(cudaLaunchKernelEx(&config, kernel, arguments...));
}

// ---- The kernels: `Mistake` is false for the right twin. ----

template <bool Mistake>
__global__ void reverse_block(const float* x, float* out) {  // out[i] = x[n - 1 - i], through shared memory
    float* tile = ptx::dynamic_shared<float>();
    tile[threadIdx.x] = x[threadIdx.x];
    if constexpr (!Mistake) __syncthreads();
    out[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

template <bool Mistake>
__global__ void reverse_twice(const float* x, float* out) {  // the second use of the tile needs a barrier of its own
    __shared__ float tile[128];
    float value = x[threadIdx.x];
    for (int i = 0; i < 2; ++i) {
        if constexpr (!Mistake) __syncthreads();
        tile[threadIdx.x] = value;
        __syncthreads();
        value = tile[blockDim.x - 1 - threadIdx.x];
    }
    out[threadIdx.x] = value;
}

template <bool Mistake>
__global__ void copy_through_async(const float* x, float* out) {
    float* tile = ptx::dynamic_shared<float>();
    ptx::copy_async(tile + threadIdx.x * 4, x + threadIdx.x * 4);
    ptx::copy_async_commit();
    ptx::copy_async_wait<Mistake ? 1 : 0>();
    __syncthreads();
    for (unsigned i = 0; i < 4; ++i) out[threadIdx.x * 4 + i] = tile[blockDim.x * 4 - 1 - threadIdx.x * 4 - i];
    ptx::copy_async_wait<0>();
}

__global__ void copy_without_barrier(const float* x, float* out) {  // waits for its own copies, reads another thread's
    float* tile = ptx::dynamic_shared<float>();
    ptx::copy_async(tile + threadIdx.x * 4, x + threadIdx.x * 4);
    ptx::copy_async_commit();
    ptx::copy_async_wait<0>();
    out[threadIdx.x] = tile[(threadIdx.x * 4 + 8) % (blockDim.x * 4)];
}

template <bool Mistake>
__global__ void sum_of_half_warps(const float* x, float* out) {  // each half by itself
    float sum = x[threadIdx.x];
    const unsigned half = threadIdx.x % 32 < 16 ? 0x0000FFFFu : 0xFFFF0000u;
    for (int bits = 8; bits > 0; bits /= 2) sum += __shfl_xor_sync(Mistake && threadIdx.x % 32 >= 16 ? 0x0000FFFFu : half, sum, bits);
    out[threadIdx.x] = sum;
}

__global__ void shuffle_after_return(const float* x, float* out) {  // half the lanes have left, the mask still names them
    if (threadIdx.x % 32 >= 16) return;
    out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, x[threadIdx.x], 1);
}

__global__ void shuffle_from_outside(const float* x, float* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000FFFFu, x[threadIdx.x], 20);
}

template <bool Mistake>
__global__ void scale(const float* x, float* out, unsigned count) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (Mistake || i < count) out[i] = 2 * x[i];
}

__global__ void beyond_shared(float* out) {
    float* tile = ptx::dynamic_shared<float>();
    tile[threadIdx.x + 1] = 1;
    __syncthreads();
    out[threadIdx.x] = 1;
}

__global__ void unaligned(const float* x, float* out, unsigned from) { out[threadIdx.x] = ptx::load_vector(x + from + threadIdx.x * 4).w; }

template <bool Mistake>
__global__ void divergent_barrier(float* out) {
    if (Mistake && threadIdx.x % 32 == 0) __syncthreads();  // the others wait for this lane, and it waits for them
    else __syncwarp();
    if (!Mistake) __syncthreads();
    out[threadIdx.x] = 1;
}

__global__ void uninitialised(float* out) {
    float* tile = ptx::dynamic_shared<float>();
    if (threadIdx.x < 8) tile[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
}

template <bool Mistake>
__global__ void within_a_warp(const float* x, float* out) {  // lanes exchange through shared memory: __syncwarp orders it
    float* tile = ptx::dynamic_shared<float>();
    tile[threadIdx.x] = x[threadIdx.x];
    if constexpr (!Mistake) __syncwarp();
    out[threadIdx.x] = tile[threadIdx.x ^ 1];
}

// Uploaded memory may be read before the kernels before this one have ended, what they wrote may not.
template <bool Mistake>
__global__ void adds_to_what_was_written(const float* uploaded, const float* written, float* out) {
    const float known = uploaded[threadIdx.x];
    if constexpr (!Mistake) ptx::wait_for_previous_kernels();
    out[threadIdx.x] = known + written[threadIdx.x];
}

__global__ void has_eight_kilobytes(float* out) {
    __shared__ float space[2048];
    for (unsigned i = threadIdx.x; i < 2048; i += blockDim.x) space[i] = 1;
    out[threadIdx.x] = space[threadIdx.x];
}

template <bool Mistake>
__global__ void two_blocks_one_place(float* out) { out[Mistake ? threadIdx.x : blockIdx.x * blockDim.x + threadIdx.x] = 1; }

// Each block writes a part; the last to finish adds the parts up. Without the fence the parts may not be there.
template <bool Mistake>
__global__ void last_block_sums(const float* x, float* parts, unsigned* done, float* out) {
    __shared__ bool last;
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = x[blockIdx.x];
        if constexpr (!Mistake) __threadfence();
        last = atomicInc(done, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last || threadIdx.x != 0) return;
    float sum = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) sum += parts[i];
    *out = sum;
}

std::vector<float> numbers(std::size_t count) {
    std::vector<float> x(count);
    for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(i + 1);
    return x;
}

}  // namespace

TEST_CASE("a missing barrier is caught") {
    Device d;
    const Floats x(d, numbers(128)), out(128);
    under_every_schedule([&] {
        CHECK(fault(d, 1, 128, 512, reverse_block<false>, x.at, out.at) == "");
        CHECK(out.read(d, 128)[0] == 128);
        CHECK(contains(fault(d, 1, 128, 512, reverse_block<true>, x.at, out.at), "shared memory"));
        CHECK(fault(d, 1, 128, 0, reverse_twice<false>, x.at, out.at) == "");
        CHECK(out.read(d, 128)[5] == 6);
        CHECK(contains(fault(d, 1, 128, 0, reverse_twice<true>, x.at, out.at), "race"));
    });
}

TEST_CASE("a copy that is not waited for, or waited for by its own thread only, is caught") {
    Device d;
    const Floats x(d, numbers(256)), out(256);
    under_every_schedule([&] {
        CHECK(fault(d, 1, 64, 1024, copy_through_async<false>, x.at, out.at) == "");
        CHECK(out.read(d, 256)[0] == 256);
        CHECK(contains(fault(d, 1, 64, 1024, copy_through_async<true>, x.at, out.at), "uninitialised"));
        CHECK(fault(d, 1, 64, 1024, copy_without_barrier, x.at, out.at) != "");
    });
}

TEST_CASE("a wrong mask is caught") {
    Device d;
    const Floats x(d, numbers(64)), out(64);
    under_every_schedule([&] {
        CHECK(fault(d, 1, 64, 0, sum_of_half_warps<false>, x.at, out.at) == "");
        CHECK(out.read(d, 64)[0] == 136);
        CHECK(contains(fault(d, 1, 64, 0, sum_of_half_warps<true>, x.at, out.at), "mask"));
        CHECK(fault(d, 1, 32, 0, shuffle_after_return, x.at, out.at) != "");
        CHECK(contains(fault(d, 1, 32, 0, shuffle_from_outside, x.at, out.at), "does not take part"));
    });
}

TEST_CASE("accesses out of bounds, misaligned or uninitialised are caught") {
    Device d;
    const Floats x(d, numbers(100)), out(100), never(100);
    under_every_schedule([&] {
        CHECK(fault(d, 2, 64, 0, scale<false>, x.at, out.at, 100u) == "");
        CHECK(out.read(d, 100)[99] == 200);
        CHECK(contains(fault(d, 2, 64, 0, scale<true>, x.at, out.at, 100u), "out of bounds"));
        CHECK(contains(fault(d, 1, 64, 256, beyond_shared, out.at), "out of bounds"));
        CHECK(fault(d, 1, 16, 0, unaligned, x.at, out.at, 0u) == "");
        CHECK(contains(fault(d, 1, 16, 0, unaligned, x.at, out.at, 2u), "misaligned"));
        CHECK(contains(fault(d, 1, 16, 64, uninitialised, out.at), "uninitialised"));
        CHECK(contains(fault(d, 2, 64, 0, scale<false>, never.at, out.at, 100u), "uninitialised"));
        CHECK(contains(fault(d, 1, 64, 0, scale<false>, numbers(64).data(), out.at, 64u), "not the device's"));
    });
}

TEST_CASE("a barrier that some threads never reach is caught, and what must not be launched is refused") {
    Device d;
    const Floats x(d, numbers(64)), out(64);
    under_every_schedule([&] {
        CHECK(fault(d, 1, 64, 0, divergent_barrier<false>, out.at) == "");
        CHECK(contains(fault(d, 1, 64, 0, divergent_barrier<true>, out.at), "hangs"));
    });
    CHECK(fault(d, 1, 2048, 0, scale<false>, x.at, out.at, 64u) != "");
    CHECK(fault(d, 1, 64, 100 << 10, scale<false>, x.at, out.at, 64u) != "");
    CHECK(cudaFuncSetAttribute(scale<false>, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10) == cudaSuccess);
    CHECK(fault(d, 1, 64, 100 << 10, scale<false>, x.at, out.at, 64u) == "");
    float host = 0;
    CHECK(cudaMemcpyAsync(&host, x.at + 63, 8, cudaMemcpyDeviceToHost, d.stream) != cudaSuccess);
    CHECK(cudaMemcpyAsync(&host, x.at, 4, cudaMemcpyHostToDevice, d.stream) != cudaSuccess);
    simt::take_host_fault();
    host = x.at[0];
    CHECK(contains(simt::take_host_fault(), "host code"));
}

TEST_CASE("a dependent launch that does not wait is caught") {
    Device d;
    const Floats x(d, numbers(64)), scaled(64), out(64);
    under_every_schedule([&] {
        REQUIRE(fault(d, 1, 64, 0, scale<false>, x.at, scaled.at, 64u) == "");
        CHECK(fault_of_dependent(d, 64, adds_to_what_was_written<false>, x.at, scaled.at, out.at) == "");
        CHECK(out.read(d, 64)[9] == 30);
        CHECK(contains(fault_of_dependent(d, 64, adds_to_what_was_written<true>, x.at, scaled.at, out.at), "dependent launch"));
    });
}

TEST_CASE("shared variables count towards what a block can have") {
    Device d;
    const Floats out(64);
    CHECK(fault(d, 1, 64, 40 << 10, has_eight_kilobytes, out.at) == "");
    CHECK(contains(fault(d, 1, 64, 41 << 10, has_eight_kilobytes, out.at), "more than a block can have"));
    const auto ask = [](int bytes) { return cudaFuncSetAttribute(has_eight_kilobytes, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes); };
    REQUIRE(ask(219 << 10) == cudaSuccess);
    CHECK(fault(d, 1, 64, 219 << 10, has_eight_kilobytes, out.at) == "");
    REQUIRE(ask(227 << 10) == cudaSuccess);
    CHECK(contains(fault(d, 1, 64, 0, has_eight_kilobytes, out.at), "more than a block can have"));
}

TEST_CASE("allocating during a capture breaks it") {
    Device d;
    for (const bool mistake : {false, true}) {
        REQUIRE(cudaStreamBeginCapture(d.stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
        void* memory = nullptr;
        if (mistake) CHECK(cudaMalloc(&memory, 16) != cudaSuccess);
        cudaGraph_t graph = nullptr;
        CHECK((cudaStreamEndCapture(d.stream, &graph) == cudaSuccess) == !mistake);
        CHECK((graph != nullptr) == !mistake);
        if (graph != nullptr) cudaGraphDestroy(graph);
    }
}

TEST_CASE("races inside a warp and between blocks are caught") {
    Device d;
    const Floats x(d, numbers(64)), out(64), parts(64), done(d, {0.0f});
    under_every_schedule([&] {
        CHECK(fault(d, 1, 64, 256, within_a_warp<false>, x.at, out.at) == "");
        CHECK(fault(d, 1, 64, 256, within_a_warp<true>, x.at, out.at) != "");
        CHECK(fault(d, 2, 32, 0, two_blocks_one_place<false>, out.at) == "");
        CHECK(contains(fault(d, 2, 32, 0, two_blocks_one_place<true>, out.at), "race"));
        auto* counter = reinterpret_cast<unsigned*>(done.at);
        CHECK(fault(d, 8, 32, 0, last_block_sums<false>, x.at, parts.at, counter, out.at) == "");
        CHECK(out.read(d, 1)[0] == 36);
        CHECK(contains(fault(d, 8, 32, 0, last_block_sums<true>, x.at, parts.at, counter, out.at), "race"));
        cudaMemsetAsync(counter, 0, 4, d.stream);
    });
}

TEST_CASE("launches count the bytes they touch, each once") {
    Device d;
    const Floats x(d, numbers(100)), out(100);
    REQUIRE(fault(d, 2, 64, 0, scale<false>, x.at, out.at, 100u) == "");
    CHECK(simt::last_traffic().read == 400);
    CHECK(simt::last_traffic().written == 400);
}
