// A fiber: a function on its own stack that runs until it switches away. On x86-64 a switch is fourteen instructions (some 3 ns),
// because ucontext's does a system call (600 ns measured) and Boost.Context would be a package for these lines; elsewhere ucontext.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace simt {

#if defined(__x86_64__)
// Saves the callee-saved registers and the stack pointer, and goes on where `to` was saved.
extern "C" void simt_switch(void** from, void* to);
asm(R"(
.text
.weak simt_switch
.type simt_switch, @function
simt_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size simt_switch, .-simt_switch
)");

struct Fiber {
    void* at = nullptr;  // saved stack pointer

    void start(std::byte* stack, std::size_t bytes, void (*entry)()) {
        auto top = reinterpret_cast<std::uintptr_t>(stack + bytes) & ~std::uintptr_t{15};
        auto* frame = reinterpret_cast<void**>(top) - 8;  // six registers, the entry, and a return address that is never used
        for (int i = 0; i < 8; ++i) frame[i] = nullptr;
        frame[6] = reinterpret_cast<void*>(entry);
        at = frame;
    }
    void switch_to(Fiber& other) { simt_switch(&at, other.at); }
};
#else
struct Fiber {
    ucontext_t at;

    void start(std::byte* stack, std::size_t bytes, void (*entry)()) {
        getcontext(&at);
        at.uc_stack.ss_sp = stack, at.uc_stack.ss_size = bytes, at.uc_link = nullptr;
        makecontext(&at, entry, 0);
    }
    void switch_to(Fiber& other) { swapcontext(&at, &other.at); }
};
#endif

// Stacks for the threads of one block, mapped once.
class Stacks {
  public:
    static constexpr std::size_t bytes = 64 << 10;
    explicit Stacks(std::size_t count) : count_(count) {
        void* memory = mmap(nullptr, count * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        begin_ = static_cast<std::byte*>(memory);
    }
    Stacks(const Stacks&) = delete;
    Stacks& operator=(const Stacks&) = delete;
    ~Stacks() { munmap(begin_, count_ * bytes); }
    std::byte* operator[](std::size_t i) { return begin_ + i * bytes; }
    bool holds(const void* at) const { return at >= begin_ && at < begin_ + count_ * bytes; }

  private:
    std::byte* begin_ = nullptr;
    std::size_t count_ = 0;
};

}  // namespace simt
