// Who runs, as the memory checks see it; written by the scheduler (scheduler.cpp), read by every checked access (memory_check.cpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace simt {

struct Running {
    bool kernel = false;         // a thread of a kernel runs, not host code
    std::uint32_t launch = 1;    // serial number; 1 stands for the host
    std::uint32_t block_run = 1; // serial number over all launches, for shared memory
    std::uint32_t block = 0;     // linear index in its grid
    std::uint32_t thread = 0;    // linear index in its block
    std::uint32_t epoch = 0;     // block barriers so far
    std::uint32_t warp_epoch = 0;
    bool waited = true;          // for the kernels before, where the launch is a dependent one
    bool fenced = false;         // the thread has called __threadfence
    const std::byte* stacks_begin = nullptr;
    const std::byte* stacks_end = nullptr;
    const std::byte* arguments_begin = nullptr;  // of the kernel
    const std::byte* arguments_end = nullptr;
};
extern Running running;

// While it lives, what runs is this layer and not the kernel: parts of the standard library that both use are compiled with checks.
struct Aside {
    bool was = std::exchange(running.kernel, false);
    Aside() = default;
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;
    ~Aside() { running.kernel = was; }
};

constexpr std::size_t shared_limit = 227 << 10;  // bytes of shared memory that a block can have, declared and dynamic

void begin_launch();
void begin_block(std::size_t shared_bytes);  // poisons shared memory
std::size_t declared_shared();               // bytes of shared variables that a block of the last launch has written, at most
void publish();                              // an atomic of a thread that has fenced: what its block wrote before is ordered
void check_atomic(const void* at, std::size_t bytes);
std::byte* shared_memory();
std::string thread_name(std::uint32_t thread, std::uint32_t block);

}  // namespace simt
