// The scheduler of the SIMT layer: a block's threads as fibers that take turns, its barriers and its warp collectives. A thread runs
// until it waits; what waits is released by the last one that arrives. Where nobody can run and somebody waits, the kernel would hang
// on a GPU, and this says who waits for what.
#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "simt/layer/fibers.hpp"
#include "simt/layer/memory_check.hpp"
#include "simt/layer/simt.hpp"

namespace simt {

Builtins now;

namespace {

constexpr std::size_t most_threads = 1024;

enum class State : std::uint8_t { ready, at_barrier, in_warp, done };

struct AsyncCopy {
    std::byte* to;
    const std::byte* from;
    std::size_t bytes, valid, group;
};

struct Thread {
    Fiber fiber;
    State state = State::ready;
    Index3 index;
    bool fenced = false, waited = true;
    std::vector<AsyncCopy> copies;
    std::size_t group = 0;  // cp.async groups committed so far
    std::uint64_t values[32];
};

enum class Collective : std::uint8_t { barrier, exchange, together };

// Lanes of one warp on their way to the same collective.
struct Meeting {
    std::uint32_t mask = 0, arrived = 0;
    Collective kind = Collective::barrier;
    std::uint64_t values[32] = {};
    const std::byte* in[32] = {};
    std::byte* out[32] = {};
};
struct Warp {
    std::vector<Meeting> meetings;
    std::uint32_t epoch = 0;
    std::uint32_t live = 0;  // lanes that have not returned
};

struct Machine {
    Schedule schedule = Schedule::forward;
    std::mt19937_64 random{1};
    Stacks stacks{most_threads};
    std::vector<Thread> threads = std::vector<Thread>(most_threads);
    std::vector<Warp> warps = std::vector<Warp>(most_threads / 32);
    Fiber scheduler;
    std::size_t count = 0;    // threads of the block
    std::size_t current = 0;  // the one that runs
    std::size_t live = 0, waiting = 0, sum = 0, last_sum = 0;
    std::uint32_t epoch = 0;
    void (*kernel)(const void*) = nullptr;
    const void* arguments = nullptr;
    std::string fault;
};
Machine& machine() {
    static Machine one;
    return one;
}

void wait_as(State state) {
    Machine& m = machine();
    Thread& self = m.threads[m.current];
    self.state = state;
    self.fiber.switch_to(m.scheduler);
}

void open_barrier(Machine& m) {
    ++m.epoch;
    m.waiting = 0;
    m.last_sum = m.sum, m.sum = 0;
    for (std::size_t t = 0; t < m.count; ++t)
        if (m.threads[t].state == State::at_barrier) m.threads[t].state = State::ready;
}

void entry() {
    Machine& m = machine();
    m.kernel(m.arguments);
    Thread& self = m.threads[m.current];
    const Aside aside;
    if (!self.copies.empty()) fail("cp.async: " + thread_name(static_cast<std::uint32_t>(m.current), running.block) + " returns before its copies have arrived");
    if (!self.waited) fail("dependent launch: " + thread_name(static_cast<std::uint32_t>(m.current), running.block) + " returns without waiting for the kernels before");
    self.state = State::done;
    --m.live;
    m.warps[m.current / 32].live &= ~(1u << m.current % 32);
    if (m.live > 0 && m.waiting == m.live) open_barrier(m);
    self.fiber.switch_to(m.scheduler);
}

std::string who_waits(const Machine& m) {
    std::string text = "hangs: ";
    std::size_t shown = 0, waiting = 0;
    for (std::size_t t = 0; t < m.count; ++t) {
        if (m.threads[t].state == State::done || m.threads[t].state == State::ready) continue;
        ++waiting;
        if (shown < 2) text += (shown++ > 0 ? ", " : "") + thread_name(static_cast<std::uint32_t>(t), running.block) + (m.threads[t].state == State::at_barrier ? " at a barrier" : " in a warp collective");
    }
    return text + "; " + std::to_string(waiting) + " of " + std::to_string(m.count) + " threads wait for others that never come";
}

// Runs one block to its end, or to a fault.
void run_block(Machine& m) {
    std::vector<std::uint32_t> order(m.count);
    for (std::size_t i = 0; i < m.count; ++i) order[i] = static_cast<std::uint32_t>(m.schedule == Schedule::reverse ? m.count - 1 - i : i);
    while (m.live > 0 && m.fault.empty()) {
        if (m.schedule == Schedule::shuffled) std::shuffle(order.begin(), order.end(), m.random);
        bool any = false;
        for (const std::uint32_t t : order) {
            if (m.threads[t].state != State::ready) continue;
            any = true;
            m.current = t;
            now.thread = m.threads[t].index;
            running.thread = t, running.epoch = m.epoch, running.warp_epoch = m.warps[t / 32].epoch, running.fenced = m.threads[t].fenced,
            running.waited = m.threads[t].waited;
            running.kernel = true;
            m.scheduler.switch_to(m.threads[t].fiber);
            running.kernel = false;
            if (!m.fault.empty()) return;
        }
        if (!any) m.fault = who_waits(m);
    }
}

// Arrives at a collective; returns when all lanes of the mask have.
template <class Deposit, class Finish>
void meet(std::uint32_t mask, Collective kind, Deposit deposit, Finish finish) {
    const Aside aside;
    Machine& m = machine();
    Warp& warp = m.warps[m.current / 32];
    const std::uint32_t lane = m.current % 32, bit = 1u << lane;
    const auto who = [&] { return thread_name(static_cast<std::uint32_t>(m.current), running.block); };
    if ((mask & bit) == 0) fail("mask: " + who() + " calls a warp collective whose mask lacks it");
    if ((mask & ~warp.live) != 0) fail("mask: " + who() + " waits for lanes that do not exist or have returned");
    auto meeting = std::find_if(warp.meetings.begin(), warp.meetings.end(), [&](const Meeting& one) { return (one.mask & mask) != 0; });
    if (meeting == warp.meetings.end()) {
        warp.meetings.push_back({});
        meeting = warp.meetings.end() - 1;
        meeting->mask = mask, meeting->kind = kind;
    } else if (meeting->mask != mask) {
        fail("mask: " + who() + " calls a warp collective with another mask than lanes that wait for it");
    } else if (meeting->kind != kind) {
        fail("mask: " + who() + " calls another warp collective than lanes that wait for it");
    }
    meeting->arrived |= bit;
    deposit(*meeting, lane);
    if (meeting->arrived != mask) {
        wait_as(State::in_warp);
        return;
    }
    const Meeting done = *meeting;
    warp.meetings.erase(meeting);
    finish(done, warp);
    for (std::uint32_t i = 0; i < 32; ++i)
        if ((mask >> i & 1) != 0 && i != lane) m.threads[m.current / 32 * 32 + i].state = State::ready;
}

}  // namespace

std::string thread_name(std::uint32_t thread, std::uint32_t block) {
    return "thread " + std::to_string(thread) + " of block " + std::to_string(block);
}

void set_schedule(Schedule schedule, std::uint64_t seed) {
    machine().schedule = schedule;
    machine().random.seed(seed);
}

std::string launch(Index3 grid, Index3 block, std::size_t shared_bytes, void (*kernel)(const void*), const void* arguments, std::size_t bytes, bool dependent) {
    Machine& m = machine();
    m.kernel = kernel, m.arguments = arguments, m.fault.clear();
    running.arguments_begin = static_cast<const std::byte*>(arguments), running.arguments_end = running.arguments_begin + bytes;
    m.count = std::size_t{block.x} * block.y * block.z;
    now.block_size = block, now.grid_size = grid;
    running.stacks_begin = m.stacks[0], running.stacks_end = m.stacks[most_threads];
    ++running.launch;
    begin_launch();
    const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
    std::vector<std::uint32_t> order(blocks);
    for (std::size_t i = 0; i < blocks; ++i) order[i] = static_cast<std::uint32_t>(m.schedule == Schedule::reverse ? blocks - 1 - i : i);
    if (m.schedule == Schedule::shuffled) std::shuffle(order.begin(), order.end(), m.random);
    for (const std::uint32_t b : order) {
        now.block = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        running.block = b;
        ++running.block_run;
        m.epoch = 0, m.waiting = 0, m.sum = 0, m.live = m.count;
        for (std::size_t w = 0; w * 32 < m.count; ++w) {
            const std::size_t lanes = std::min<std::size_t>(32, m.count - w * 32);
            m.warps[w].meetings.clear();
            m.warps[w].epoch = 0, m.warps[w].live = lanes == 32 ? 0xFFFFFFFFu : (1u << lanes) - 1;
        }
        for (std::size_t t = 0; t < m.count; ++t) {
            Thread& thread = m.threads[t];
            thread.state = State::ready, thread.fenced = false, thread.waited = !dependent, thread.group = 0;
            thread.copies.clear();
            thread.index = {static_cast<unsigned>(t % block.x), static_cast<unsigned>(t / block.x % block.y), static_cast<unsigned>(t / block.x / block.y)};
            thread.fiber.start(m.stacks[t], Stacks::bytes, entry);
        }
        begin_block(shared_bytes);
        run_block(m);
        if (!m.fault.empty()) break;
    }
    return m.fault;
}

unsigned linear_thread() { return static_cast<unsigned>(machine().current); }
void* dynamic_shared() { return shared_memory(); }

void barrier() { barrier_count(false); }

unsigned barrier_count(bool predicate) {
    Machine& m = machine();
    m.sum += predicate ? 1 : 0;
    if (++m.waiting == m.live) open_barrier(m);
    else wait_as(State::at_barrier);
    running.epoch = m.epoch;
    return static_cast<unsigned>(m.last_sum);
}

void warp_barrier(std::uint32_t mask) {
    Machine& m = machine();
    meet(mask, Collective::barrier, [](Meeting&, std::uint32_t) {}, [mask](const Meeting&, Warp& warp) {
        if (mask == warp.live) ++warp.epoch;  // of part of a warp: orders memory too, but is not followed here
    });
    running.warp_epoch = m.warps[m.current / 32].epoch;
}

const std::uint64_t* exchange(std::uint32_t mask, std::uint64_t value) {
    Machine& m = machine();
    meet(mask, Collective::exchange, [value](Meeting& meeting, std::uint32_t lane) { meeting.values[lane] = value; },
         [&m, mask](const Meeting& meeting, Warp&) {
             for (std::uint32_t i = 0; i < 32; ++i)
                 if ((mask >> i & 1) != 0) std::memcpy(m.threads[m.current / 32 * 32 + i].values, meeting.values, sizeof meeting.values);
         });
    return m.threads[m.current].values;
}

void together(const void* in, std::size_t, void* out, std::size_t, void (*compute)(const std::byte* const* in, std::byte* const* out)) {
    meet(0xFFFFFFFFu, Collective::together,
         [in, out](Meeting& meeting, std::uint32_t lane) {
             meeting.in[lane] = static_cast<const std::byte*>(in), meeting.out[lane] = static_cast<std::byte*>(out);
         },
         [compute](const Meeting& meeting, Warp&) { compute(meeting.in, meeting.out); });
}

void async_copy(void* shared, const void* global, std::size_t bytes, std::size_t valid) {
    Thread& self = machine().threads[machine().current];
    if (valid > 0) check_access(global, valid, bytes, false);
    const Aside aside;
    if (reinterpret_cast<std::uintptr_t>(shared) % bytes != 0) fail("misaligned: cp.async of " + std::to_string(bytes) + " bytes");
    self.copies.push_back({static_cast<std::byte*>(shared), static_cast<const std::byte*>(global), bytes, valid, self.group});
}

void async_commit() { ++machine().threads[machine().current].group; }

void async_wait(std::size_t groups_left) {
    Thread& self = machine().threads[machine().current];
    std::vector<AsyncCopy> later;
    for (const AsyncCopy& copy : self.copies) {
        if (copy.group + groups_left >= self.group) {
            later.push_back(copy);
            continue;
        }
        check_access(copy.to, copy.bytes, copy.bytes, true);
        std::memcpy(copy.to, copy.from, copy.valid);
        std::memset(copy.to + copy.valid, 0, copy.bytes - copy.valid);
    }
    self.copies = std::move(later);
}

void wait_for_previous_kernels() { machine().threads[machine().current].waited = running.waited = true; }

void thread_fence() { machine().threads[machine().current].fenced = running.fenced = true; }

std::uint64_t atomic(void* at, std::size_t size, const std::function<std::uint64_t(std::uint64_t)>& change) {
    check_atomic(at, size);
    if (running.fenced) publish();
    std::uint64_t old = 0;
    std::memcpy(&old, at, size);
    const std::uint64_t changed = change(old);
    std::memcpy(at, &changed, size);
    return old;
}

void fail(const std::string& what) {
    running.kernel = false;
    Machine& m = machine();
    if (m.fault.empty()) m.fault = what;
    m.threads[m.current].fiber.switch_to(m.scheduler);
    std::abort();  // never resumed
}

}  // namespace simt
