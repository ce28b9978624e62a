// Large memory in few pages. What is written for the first time costs a fault for every 4 KB of it, a few µs on a virtual machine: a
// quarter of a first pass of a tokenizer over code or Chinese. In pages of 2 MB it is a twentieth of that, and look-ups all over a large
// table find their page's address in the processor. A hint: where the system has none, nothing happens.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace morsel {

inline constexpr std::size_t huge_page = std::size_t{2} << 20;  // bytes

// Asks for huge pages where whole ones fit into these bytes; best before they are written.
inline void prefer_huge_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__linux__)
    const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(memory), first = (begin + huge_page - 1) / huge_page * huge_page, end = (begin + bytes) / huge_page * huge_page;
    if (first < end) static_cast<void>(madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE));
#endif
}

// Room for `count` values at least; where there is too little, for half as many again as before.
template <class T> void reserve_more(std::vector<T>& values, std::size_t count) {
    if (count <= values.capacity()) return;
    std::vector<T> more;
    more.reserve(std::max(count, values.capacity() + values.capacity() / 2));
    prefer_huge_pages(static_cast<void*>(more.data()), more.capacity() * sizeof(T));
    more.insert(more.end(), values.begin(), values.end());
    values.swap(more);
}

}  // namespace morsel
