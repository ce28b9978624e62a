// Numbers as they come out of the fast way: memory that grows and is kept, without a value for what is not written yet. std::vector would
// fill every element before it is overwritten.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "morsel/core/huge_pages.hpp"

namespace morsel::fast {

template <class T> class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)), capacity_(std::exchange(other.capacity_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        memory_ = std::move(other.memory_), size_ = std::exchange(other.size_, 0), capacity_ = std::exchange(other.capacity_, 0);
        return *this;
    }

    std::size_t size() const noexcept { return size_; }
    std::size_t capacity() const noexcept { return capacity_; }
    T* data() noexcept { return memory_.get(); }
    std::span<const T> values() const noexcept { return {memory_.get(), size_}; }
    void clear() noexcept { size_ = 0; }
    void append(std::span<const T> values) {
        if (values.empty()) return;
        std::memcpy(reserve(values.size()), values.data(), values.size_bytes());
        size_ += values.size();
    }
    void push_back(T value) { *reserve(1) = value, ++size_; }

    // The place for `count` values more; `finish` says where they end.
    T* reserve(std::size_t count) {
        if (size_ + count > capacity_) grow(size_ + count);
        return memory_.get() + size_;
    }
    void finish(const T* end) noexcept { size_ = static_cast<std::size_t>(end - memory_.get()); }

  private:
    void grow(std::size_t need) {
        const std::size_t capacity = std::max(need, 2 * capacity_ + 256);
        std::unique_ptr<T[]> memory = std::make_unique_for_overwrite<T[]>(capacity);
        prefer_huge_pages(memory.get(), capacity * sizeof(T));
        if (size_ > 0) std::memcpy(memory.get(), memory_.get(), size_ * sizeof(T));
        memory_ = std::move(memory), capacity_ = capacity;
    }

    std::unique_ptr<T[]> memory_;
    std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace morsel::fast
