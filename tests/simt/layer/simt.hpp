// The SIMT layer: runs CUDA kernels on the CPU, one fiber a CUDA thread, so that their numbers and their synchronisation are tested
// where there is no GPU. Kernels are compiled unchanged: tests/simt/include stands before CUDA's headers in the include path, and
// holds a cuda_runtime.h, a cublas_v2.h and a morsel/cuda/ptx.cuh made of this. Blocks run one after another.
// What it finds: wrong numbers under three orders of threads and blocks; every load and store of a kernel is checked for bounds,
// alignment, uninitialised memory and races (memory_check.cpp; the compiler inserts the calls, -fsanitize=thread without its
// library); barriers and warp collectives that some thread never reaches; wrong masks; cp.async without a wait.
// What it cannot find: timing, spills, occupancy, and races whose two sides are ordered by luck inside one warp instruction.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace simt {

struct Index3 {
    unsigned x = 0, y = 0, z = 0;
};

// What CUDA calls threadIdx, blockIdx, blockDim and gridDim, of the thread that runs now.
struct Builtins {
    Index3 thread, block, block_size, grid_size;
};
extern Builtins now;

// In which order runnable threads of a block, and blocks of a grid, take turns.
enum class Schedule : std::uint8_t { forward, reverse, shuffled };
void set_schedule(Schedule schedule, std::uint64_t seed = 1);

// Programs whose accesses the compiler does not announce switch their checks off; alignment and synchronisation are still checked.
void check_accesses(bool on);

// What one launch touched, in bytes of device memory, each byte once however often it was accessed.
struct Traffic {
    std::size_t read = 0, written = 0;
};
Traffic last_traffic();

// Runs kernel(arguments) for every thread of the grid; the [bytes] of arguments may be read by it. Returns an empty string, or what
// the first wrong thing was. `dependent`: launched so that it may start before the kernels before it have finished.
std::string launch(Index3 grid, Index3 block, std::size_t shared_bytes, void (*kernel)(const void*), const void* arguments, std::size_t bytes, bool dependent);

// ---- Called by threads of a kernel ----

unsigned linear_thread();                    // in its block
void* dynamic_shared();                      // [shared_bytes], aligned to 128
void barrier();                              // __syncthreads
unsigned barrier_count(bool predicate);      // __syncthreads_count
void warp_barrier(std::uint32_t mask);       // __syncwarp: also orders memory
// All lanes of `mask` deposit `value` and then see every deposit: values[32]. Orders no memory. Valid until the lane's next collective.
const std::uint64_t* exchange(std::uint32_t mask, std::uint64_t value);
// The lane's registers of a warp-wide operation: `size` bytes of each lane, all 32 lanes; `compute` runs once, in the last lane.
void together(const void* in, std::size_t size, void* out, std::size_t out_size,
              void (*compute)(const std::byte* const* in, std::byte* const* out));
void async_copy(void* shared, const void* global, std::size_t bytes, std::size_t valid);  // cp.async, arrives at async_wait only
void async_commit();
void async_wait(std::size_t groups_left);
void thread_fence();
void wait_for_previous_kernels();            // griddepcontrol.wait: before it, a dependent kernel may touch nothing that kernels write
// Reads, changes and writes back `size` bytes as an atomic does.
std::uint64_t atomic(void* at, std::size_t size, const std::function<std::uint64_t(std::uint64_t)>& change);
// Stops the kernel with that message.
[[noreturn]] void fail(const std::string& what);

// ---- Memory ----

void* allocate_device(std::size_t bytes, bool poisoned);  // null where too much
bool free_device(void* memory);            // false where it is none
// Whether [at, at + bytes) lies inside one device allocation.
bool is_device(const void* at, std::size_t bytes);
// Host code wrote these device bytes (a copy or a memset did).
void mark_written(const void* at, std::size_t bytes);
// A warning of host code that touched device memory directly since the last call, or an empty string.
std::string take_host_fault();
// What vector loads and stores of kernels do besides the access itself. `alignment` in bytes.
void check_access(const void* at, std::size_t bytes, std::size_t alignment, bool write);

}  // namespace simt
