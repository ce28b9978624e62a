// The CPU device: a context object that owns the thread pool and scratch memory, its buffers, and moving floats in and out.
// One `Cpu` per calling thread; its matrices and buffers may be shared once made.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "morsel/core/threads.hpp"
#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/device.hpp"
#include "morsel/ops/stored_rows.hpp"

namespace morsel {

struct CpuMatrix;

// How `linear` multiplies; sums are f32 in any case. On machines without the units it names, all but the last are f32.
enum class MatrixPrecision : std::uint8_t {
    f32,     // fused multiply-adds of f32 only
    bf16x3,  // many rows: f32 as sums of three bf16, good to 22 bits; few rows of quantised weights: 20-bit fixed point
    bf16x2,  // sums of two: good to 16 bits, and 1.5 to 2 times as fast
    bf16,    // many rows: activations and weights rounded to bf16
};

struct CpuOptions {
    unsigned threads = 0;  // counting the caller; 0: available_processors()
    MatrixPrecision precision = MatrixPrecision::bf16x3;
    Isa isa = Isa::best;   // the newest instructions to use where the machine has them
};

// Owned floats, aligned to 64 bytes.
class CpuBuffer {
  public:
    CpuBuffer() = default;
    explicit CpuBuffer(std::size_t size)
        : data_(static_cast<float*>(::operator new(size * sizeof(float), std::align_val_t{64}))), size_(size) {}
    float* data() noexcept { return data_.get(); }
    const float* data() const noexcept { return data_.get(); }
    std::size_t size() const noexcept { return size_; }

  private:
    struct Free {
        void operator()(float* p) const noexcept { ::operator delete(p, std::align_val_t{64}); }
    };
    std::unique_ptr<float, Free> data_;
    std::size_t size_ = 0;
};

class Cpu {
  public:
    using Matrix = CpuMatrix;
    using Buffer = CpuBuffer;
    using Options = CpuOptions;

    explicit Cpu(CpuOptions options = {})
        : pool_(options.threads), isa_(std::min(options.isa, detected_isa())), precision_(options.precision), scratch_(shared_scratches + pool_.size()) {}

    ThreadPool& pool() noexcept { return pool_; }
    Isa isa() const noexcept { return isa_; }
    MatrixPrecision precision() const noexcept { return precision_; }

    // Scratch of at least `count` floats, uninitialised, kept until a larger one of the same index is asked for. The first few
    // indices are for what all threads share, asked for outside parallel sections: 0 padded or ungated rows, 1 activations as a
    // kernel wants them. Thread t of the pool has shared_scratches + t.
    static constexpr std::size_t shared_scratches = 2;
    float* scratch(std::size_t index, std::size_t count) {
        if (scratch_[index].size() < count) scratch_[index] = CpuBuffer(std::max(count, scratch_[index].size() * 2));
        return scratch_[index].data();
    }

  private:
    ThreadPool pool_;
    Isa isa_;
    MatrixPrecision precision_;
    std::vector<CpuBuffer> scratch_;
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
