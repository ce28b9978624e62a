// The CPU device: a context object that owns the thread pool and scratch memory, its buffers, and moving floats in and out.
// One `Cpu` per calling thread; its matrices and buffers may be shared once made.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "morsel/core/threads.hpp"
#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/device.hpp"
#include "morsel/ops/stored_rows.hpp"

namespace morsel {

struct CpuMatrix;

// How `linear` multiplies; sums are f32 in any case. Where a machine lacks the units for a setting, its products are f32.
enum class MatrixPrecision : std::uint8_t {
    f32,     // fused multiply-adds of f32 only
    bf16x3,  // many rows: f32 as sums of three bf16, good to 22 bits; few rows of quantised weights: 20-bit fixed point
    bf16x2,  // sums of two: good to 16 bits, and 1.5 to 2 times as fast
    bf16,    // many rows: activations and weights rounded to bf16
};

struct CpuOptions {
    unsigned threads = 0;  // counting the caller; 0: available_processors()
    MatrixPrecision precision = MatrixPrecision::bf16x3;
    Isa isa = Isa::best;  // the newest instructions to use where the machine has them
};

namespace detail {

struct FreeMemory {
    void operator()(void* memory) const noexcept { std::free(memory); }
};

// Uninitialised memory aligned to 64 bytes; large blocks in huge pages where the system has them, which made streaming weights
// 18 % faster (13.1 to 15.6 GB/s, one thread; software prefetch on top: nothing). Throws std::bad_alloc.
inline void* allocate_memory(std::size_t bytes) {
    constexpr std::size_t huge_page = std::size_t{1} << 21;
    const std::size_t alignment = bytes >= 2 * huge_page ? huge_page : 64;
    if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
    void* memory = std::aligned_alloc(alignment, (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment);
    if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (alignment == huge_page) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

// In bytes.
inline std::size_t second_level_cache() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
    if (const long size = sysconf(_SC_LEVEL2_CACHE_SIZE); size >= 1 << 17 && size <= 1 << 26) return static_cast<std::size_t>(size);
#endif
    return std::size_t{1} << 20;
}

}  // namespace detail

// Owned floats, aligned to 64 bytes.
class CpuBuffer {
  public:
    CpuBuffer() = default;
    // Uninitialised. Throws std::bad_alloc.
    explicit CpuBuffer(std::size_t size) : size_(size) {
        if (size > SIZE_MAX / sizeof(float)) throw std::bad_alloc();
        data_.reset(static_cast<float*>(detail::allocate_memory(size * sizeof(float))));
    }
    float* data() noexcept { return data_.get(); }
    const float* data() const noexcept { return data_.get(); }
    std::size_t size() const noexcept { return size_; }

  private:
    std::unique_ptr<float, detail::FreeMemory> data_;
    std::size_t size_ = 0;
};

class Cpu {
  public:
    using Matrix = CpuMatrix;
    using Buffer = CpuBuffer;
    using Options = CpuOptions;

    explicit Cpu(CpuOptions options = {})
        : pool_(options.threads),
          isa_(std::min(options.isa, detected_isa())),
          precision_(options.precision),
          cache_bytes_(detail::second_level_cache()),
          scratch_(shared_scratches + pool_.size()) {}

    ThreadPool& pool() noexcept { return pool_; }
    Isa isa() const noexcept { return isa_; }
    MatrixPrecision precision() const noexcept { return precision_; }
    // Of the second-level cache of one processor; 1 MB where the system does not say.
    std::size_t cache_bytes() const noexcept { return cache_bytes_; }

    // Scratch of at least `count` floats, uninitialised, kept until a larger one of the same index is asked for. The first few
    // indices are for what all threads share, asked for outside parallel sections: 0 padded or ungated rows, 1 activations as a
    // kernel wants them. Thread t of the pool has shared_scratches + t.
    static constexpr std::size_t shared_scratches = 2;
    float* scratch(std::size_t index, std::size_t count) {
        if (scratch_[index].size() < count) scratch_[index] = CpuBuffer(std::max(count, scratch_[index].size() * 2));
        return scratch_[index].data();
    }

    // Memory for weights, aligned to 64 bytes: cut from blocks of 64 MB that matrices share, so that small ones lie in huge pages
    // too. A block is freed with its last matrix.
    std::shared_ptr<std::uint8_t> weight_memory(std::size_t bytes) {
        constexpr std::size_t block = std::size_t{64} << 20;
        if (weights_ == nullptr || weights_left_ < bytes) {
            const std::size_t size = std::max(bytes, block);
            weights_.reset(static_cast<std::uint8_t*>(detail::allocate_memory(size)), detail::FreeMemory{});
            weights_left_ = size;
        }
        std::shared_ptr<std::uint8_t> piece = weights_;
        const std::size_t taken = std::min(weights_left_, (bytes + 63) / 64 * 64);
        weights_ = std::shared_ptr<std::uint8_t>(weights_, weights_.get() + taken);
        weights_left_ -= taken;
        return piece;
    }

  private:
    ThreadPool pool_;
    Isa isa_;
    MatrixPrecision precision_;
    std::size_t cache_bytes_;
    std::vector<CpuBuffer> scratch_;
    std::shared_ptr<std::uint8_t> weights_;  // the rest of the current block
    std::size_t weights_left_ = 0;           // bytes
};

// `count` uninitialised floats.
inline CpuBuffer allocate(Cpu&, std::size_t count) { return CpuBuffer(count); }

// A gain or bias as f32; any readable type. Throws Error where the view is not a vector.
inline CpuBuffer prepare_vector(Cpu&, const TensorView& view) {
    const StoredMatrix stored = stored_matrix(view);
    if (stored.rows != 1) throw Error("not a vector", {.expected = "1 dimension", .found = shape_text(view.shape)});
    CpuBuffer buffer(stored.columns);
    read_row(view.dtype, view.bytes.data(), stored.columns, buffer.data());
    return buffer;
}

inline void upload(Cpu&, std::span<const float> from, float* to) { std::copy(from.begin(), from.end(), to); }
inline void download(Cpu&, const float* from, std::span<float> to) { std::copy(from, from + to.size(), to.begin()); }
inline void copy(Cpu&, const float* from, float* to, std::size_t count) { std::memmove(to, from, count * sizeof(float)); }

}  // namespace morsel
