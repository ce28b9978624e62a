// Device memory of the SIMT layer and the checks of every access. The compiler calls __tsan_read4 and its like before each load and
// store of the programs under test (-fsanitize=thread); the library that would answer is not linked, these functions are.
// Every 2 bytes of device and shared memory have a cell: who wrote last, who read last. Two accesses by different threads, one of
// them a write, are a race unless a barrier, a __syncwarp of the same warp, a kernel's end, or fence-and-atomic lies between.
#include "simt/layer/memory_check.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "simt/layer/simt.hpp"

extern "C" {
extern char __executable_start, __data_start, _end;  // of the program, by the linker
}

namespace simt {

Running running;
static bool checks_on = true;
void check_accesses(bool on) { checks_on = on; }

namespace {

constexpr std::size_t arena_bytes = std::size_t{64} << 30, gap = 512;
constexpr std::uint8_t poison = 0xFF;  // NaN in every float type
constexpr std::uint16_t atomic_bit = 0x8000;

struct Stamp {
    std::uint32_t launch = 0;  // 0: never
    std::uint32_t block = 0, epoch = 0;
    std::uint16_t thread = 0;  // and atomic_bit
    std::uint16_t warp_epoch = 0;
};
struct Cell {
    Stamp write, read, read_other;  // read_other: by another warp than read
};

struct FreeCells {
    void operator()(void* cells) const { std::free(cells); }
};
struct Allocation {
    std::size_t bytes = 0;
    std::unique_ptr<Cell, FreeCells> cells;  // of 2 bytes each
};

struct Memory {
    std::byte* arena = nullptr;
    std::byte* next = nullptr;
    std::map<std::byte*, Allocation> live;
    std::byte* last_begin = nullptr;  // the allocation found last
    Allocation* last = nullptr;
    alignas(128) std::byte shared[shared_limit];
    std::size_t shared_bytes = 0;
    std::vector<Cell> shared_cells = std::vector<Cell>(shared_limit / 2);
    std::vector<Cell> static_cells;       // of variables that kernels declare __shared__: of the program's whole data, by byte
    std::vector<std::uint32_t> touched;   // which of them this block has written
    std::size_t most_touched = 0;         // by a block of this launch
    std::vector<Stamp> published;                    // by block: its last fence-and-atomic of this launch
    bool acquired = false;                           // this block has done one itself
    Traffic traffic;
    std::string host_fault;

    Memory() {
        void* mapped = mmap(nullptr, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        arena = next = mapped == MAP_FAILED ? nullptr : static_cast<std::byte*>(mapped);
    }
};
Memory& memory() {
    static Memory one;
    return one;
}
// Where the arena is, for the quick test of every access.
std::byte *arena_begin = nullptr, *arena_end = nullptr;

Allocation* find(Memory& m, const void* at) {
    auto* byte = static_cast<std::byte*>(const_cast<void*>(at));
    if (m.last != nullptr && byte >= m.last_begin && byte < m.last_begin + m.last->bytes) return m.last;
    auto it = m.live.upper_bound(byte);
    if (it == m.live.begin()) return nullptr;
    --it;
    if (byte >= it->first + it->second.bytes) return nullptr;
    m.last_begin = it->first, m.last = &it->second;
    return m.last;
}

Cell* cells_of(Allocation& a) {
    if (a.cells == nullptr) a.cells.reset(static_cast<Cell*>(std::calloc((a.bytes + 1) / 2, sizeof(Cell))));
    return a.cells.get();
}

bool ordered(const Memory& m, const Stamp& before, std::uint32_t launch, bool atomic) {
    if (before.launch != launch) return true;
    if (atomic && (before.thread & atomic_bit) != 0) return true;
    const std::uint16_t thread = before.thread & ~atomic_bit;
    if (before.block != running.block) {
        if (!m.acquired || before.block >= m.published.size()) return false;
        const Stamp& p = m.published[before.block];
        return p.launch == launch && (before.epoch < p.epoch || thread == p.thread);
    }
    if (thread == running.thread || before.epoch < running.epoch) return true;
    return thread / 32 == running.thread / 32 && before.warp_epoch < running.warp_epoch;
}

[[noreturn]] void race(const Stamp& before, const char* did, const char* does, const char* what, std::size_t offset) {
    fail("race: " + thread_name(running.thread, running.block) + " " + does + " byte " + std::to_string(offset) + " of " + what + " that " +
         thread_name(before.thread & ~atomic_bit, before.block) + " " + did + ", with no barrier between");
}

void touch(Memory& m, Cell& cell, bool write, bool atomic, std::uint32_t launch, const char* what, std::size_t offset) {
    const Stamp stamp{launch, running.block, running.epoch, static_cast<std::uint16_t>(running.thread | (atomic ? atomic_bit : 0)),
                      static_cast<std::uint16_t>(running.warp_epoch)};
    if (!ordered(m, cell.write, launch, atomic)) race(cell.write, "wrote", write ? "writes" : "reads", what, offset);
    if (write) {
        if (!ordered(m, cell.read, launch, atomic)) race(cell.read, "read", "writes", what, offset);
        if (!ordered(m, cell.read_other, launch, atomic)) race(cell.read_other, "read", "writes", what, offset);
        cell.write = stamp;
        return;
    }
    if (cell.read.launch == launch && (cell.read.block != stamp.block || (cell.read.thread & ~atomic_bit) / 32 != running.thread / 32))
        cell.read_other = cell.read;
    cell.read = stamp;
}

void access(const void* at, std::size_t bytes, bool write, bool atomic) {
    auto* byte = static_cast<std::byte*>(const_cast<void*>(at));
    if (!checks_on) return;
    if (!running.kernel) {
        if (byte >= arena_begin && byte < arena_end && memory().host_fault.empty()) memory().host_fault = "host code touches device memory";
        return;
    }
    if (byte >= running.stacks_begin && byte < running.stacks_end) return;  // registers and local memory
    const Aside aside;
    Memory& m = memory();
    const char* does = write ? " writes" : " reads";
    if (byte >= arena_begin && byte < arena_end) {
        Allocation* a = find(m, byte);
        if (a == nullptr || byte + bytes > m.last_begin + a->bytes)
            fail("out of bounds: " + thread_name(running.thread, running.block) + does + " " + std::to_string(bytes) + " bytes of device memory " +
                 (a == nullptr ? "that belong to no allocation" : "across the end of an allocation of " + std::to_string(a->bytes)));
        const auto offset = static_cast<std::size_t>(byte - m.last_begin);
        Cell* cells = cells_of(*a);
        for (std::size_t i = offset / 2; i < (offset + bytes + 1) / 2; ++i) {
            Cell& cell = cells[i];
            if (!running.waited && (write || cell.write.launch > 1))
                fail("dependent launch: " + thread_name(running.thread, running.block) + does + " device memory before it has waited for the kernels before");
            if (write ? cell.write.launch != running.launch : cell.read.launch != running.launch) {
                (write ? m.traffic.written : m.traffic.read) += 2;
                if (!write && cell.write.launch == 0)
                    fail("uninitialised: " + thread_name(running.thread, running.block) + " reads byte " + std::to_string(i * 2) + " of an allocation of " +
                         std::to_string(a->bytes) + " that nothing has written");
            }
            touch(m, cell, write, atomic, running.launch, "device memory", i * 2);
        }
        return;
    }
    if (byte >= m.shared && byte < m.shared + shared_limit) {
        const auto offset = static_cast<std::size_t>(byte - m.shared);
        if (offset + bytes > m.shared_bytes)
            fail("out of bounds: " + thread_name(running.thread, running.block) + does + " byte " + std::to_string(offset) + " of " +
                 std::to_string(m.shared_bytes) + " bytes of shared memory");
        for (std::size_t i = offset / 2; i < (offset + bytes + 1) / 2; ++i) {
            Cell& cell = m.shared_cells[i];
            if (!write && cell.write.launch != running.block_run)
                fail("uninitialised: " + thread_name(running.thread, running.block) + " reads byte " + std::to_string(i * 2) +
                     " of shared memory that no thread of the block has written");
            touch(m, cell, write, atomic, running.block_run, "shared memory", i * 2);
        }
        return;
    }
    if (!write && byte >= running.arguments_begin && byte < running.arguments_end) return;
    if (byte >= reinterpret_cast<std::byte*>(&now) && byte < reinterpret_cast<std::byte*>(&now + 1)) return;
    if (byte >= reinterpret_cast<std::byte*>(&__data_start) && byte < reinterpret_cast<std::byte*>(&_end)) {  // static __shared__
        const auto offset = static_cast<std::size_t>(byte - reinterpret_cast<std::byte*>(&__data_start));
        if (m.static_cells.empty()) m.static_cells.resize(static_cast<std::size_t>(&_end - &__data_start));
        for (std::size_t i = offset; i < offset + bytes; ++i) {
            Cell& cell = m.static_cells[i];
            if (write && cell.write.launch != running.block_run) m.touched.push_back(static_cast<std::uint32_t>(i));
            if (!write && cell.write.launch != running.block_run)
                fail("uninitialised: " + thread_name(running.thread, running.block) + " reads a shared variable that no thread of the block has written");
            touch(m, cell, write, atomic, running.block_run, "a shared variable", i);
        }
        return;
    }
    if (!write && byte >= reinterpret_cast<std::byte*>(&__executable_start) && byte < reinterpret_cast<std::byte*>(&__data_start)) return;  // constants
    fail("out of bounds: " + thread_name(running.thread, running.block) + does + " memory that is not the device's");
}

void poison_touched(Memory& m) {
    for (const std::uint32_t i : m.touched) reinterpret_cast<std::byte*>(&__data_start)[i] = std::byte{poison};
    m.most_touched = std::max(m.most_touched, m.touched.size());
    m.touched.clear();
}

}  // namespace

std::byte* shared_memory() { return memory().shared; }
Traffic last_traffic() { return memory().traffic; }

void begin_launch() {
    memory().traffic = {};
    memory().published.clear();
    poison_touched(memory());
    memory().most_touched = 0;
}

void begin_block(std::size_t shared_bytes) {
    Memory& m = memory();
    m.shared_bytes = shared_bytes;
    m.acquired = false;
    std::memset(m.shared, poison, shared_bytes);
    poison_touched(m);
}

std::size_t declared_shared() { return std::max(memory().most_touched, memory().touched.size()); }

void publish() {
    Memory& m = memory();
    m.acquired = true;
    if (m.published.size() <= running.block) m.published.resize(running.block + 1);
    m.published[running.block] = {running.launch, running.block, running.epoch, static_cast<std::uint16_t>(running.thread), 0};
}

void check_atomic(const void* at, std::size_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(at) % bytes != 0) {
        const Aside aside;
        fail("misaligned: an atomic of " + std::to_string(bytes) + " bytes");
    }
    access(at, bytes, false, true);
    access(at, bytes, true, true);
}

void check_access(const void* at, std::size_t bytes, std::size_t alignment, bool write) {
    if (running.kernel && reinterpret_cast<std::uintptr_t>(at) % alignment != 0) {
        const Aside aside;
        fail("misaligned: " + thread_name(running.thread, running.block) + " accesses " + std::to_string(bytes) + " bytes at an address that is not a multiple of " +
             std::to_string(alignment));
    }
    access(at, bytes, write, false);
}

void* allocate_device(std::size_t bytes, bool poisoned) {
    Memory& m = memory();
    const std::size_t size = (bytes + 255) / 256 * 256 + gap;
    if (m.arena == nullptr || bytes > arena_bytes || static_cast<std::size_t>(m.arena + arena_bytes - m.next) < size) return nullptr;
    arena_begin = m.arena, arena_end = m.arena + arena_bytes;
    std::byte* at = m.next;
    m.next += size;
    m.live[at].bytes = bytes;
    if (poisoned) std::memset(at, poison, bytes);
    return at;
}

bool free_device(void* at) {
    Memory& m = memory();
    const auto it = m.live.find(static_cast<std::byte*>(at));
    if (it == m.live.end()) return false;
    madvise(reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(at) + 4095) & ~std::uintptr_t{4095}), it->second.bytes > 8192 ? it->second.bytes - 8192 : 0, MADV_DONTNEED);
    m.last = nullptr;
    m.live.erase(it);
    return true;
}

bool is_device(const void* at, std::size_t bytes) {
    Memory& m = memory();
    const Allocation* a = find(m, at);
    return a != nullptr && static_cast<const std::byte*>(at) + bytes <= m.last_begin + a->bytes;
}

void mark_written(const void* at, std::size_t bytes) {
    Memory& m = memory();
    Allocation* a = find(m, at);
    if (a == nullptr) return;
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(at) - m.last_begin);
    Cell* cells = cells_of(*a);
    for (std::size_t i = offset / 2; i < (offset + bytes + 1) / 2; ++i) cells[i].write = {.launch = 1, .block = 0, .epoch = 0, .thread = 0, .warp_epoch = 0};
}

std::string take_host_fault() {
    std::string fault;
    std::swap(fault, memory().host_fault);
    return fault;
}

}  // namespace simt

// What -fsanitize=thread calls.
extern "C" {
#define SIMT_ACCESS(size)                                                                                       \
    void __tsan_read##size(void* at) { simt::access(at, size, false, false); }                                  \
    void __tsan_write##size(void* at) { simt::access(at, size, true, false); }                                  \
    void __tsan_unaligned_read##size(void* at) { simt::access(at, size, false, false); }                        \
    void __tsan_unaligned_write##size(void* at) { simt::access(at, size, true, false); }                        \
    void __tsan_volatile_read##size(void* at) { simt::access(at, size, false, false); }                         \
    void __tsan_volatile_write##size(void* at) { simt::access(at, size, true, false); }                         \
    void __tsan_read_write##size(void* at) { simt::access(at, size, false, false), simt::access(at, size, true, false); }
SIMT_ACCESS(1)
SIMT_ACCESS(2)
SIMT_ACCESS(4)
SIMT_ACCESS(8)
SIMT_ACCESS(16)
#undef SIMT_ACCESS
void __tsan_read_range(void* at, std::size_t bytes) { simt::access(at, bytes, false, false); }
void __tsan_write_range(void* at, std::size_t bytes) { simt::access(at, bytes, true, false); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) {}
void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) simt::access(from, bytes, false, false), simt::access(to, bytes, true, false);
    return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) simt::access(from, bytes, false, false), simt::access(to, bytes, true, false);
    return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, std::size_t bytes) {
    if (bytes > 0) simt::access(to, bytes, true, false);
    return std::memset(to, value, bytes);
}
// Atomics of host code; kernels use atomicAdd and its like.
#define SIMT_ATOMIC(bits, T)                                                                                                       \
    T __tsan_atomic##bits##_load(const volatile T* at, int) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }                       \
    void __tsan_atomic##bits##_store(volatile T* at, T value, int) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); }               \
    T __tsan_atomic##bits##_exchange(volatile T* at, T value, int) { return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST); }     \
    T __tsan_atomic##bits##_fetch_add(volatile T* at, T value, int) { return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); }     \
    T __tsan_atomic##bits##_fetch_sub(volatile T* at, T value, int) { return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST); }     \
    T __tsan_atomic##bits##_fetch_and(volatile T* at, T value, int) { return __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST); }     \
    T __tsan_atomic##bits##_fetch_or(volatile T* at, T value, int) { return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); }       \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile T* at, T* expected, T value, int, int) {                             \
        return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                         \
    }                                                                                                                               \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile T* at, T* expected, T value, int, int) {                               \
        return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                         \
    }
SIMT_ATOMIC(8, std::uint8_t)
SIMT_ATOMIC(16, std::uint16_t)
SIMT_ATOMIC(32, std::uint32_t)
SIMT_ATOMIC(64, std::uint64_t)
#undef SIMT_ATOMIC
}
