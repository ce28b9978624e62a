// Orders of threads, for tests of kernels that run both on the SIMT layer, which has three of them, and on a real GPU, which has its own.
#pragma once
#include <cstddef>
#include <string>

#include "support/catch.hpp"

#if !defined(__CUDACC__)
#include "simt/layer/simt.hpp"
#endif

namespace morsel_test {

// The order that launches have from now on: forward, reverse, shuffled, and so on.
inline void use_schedule([[maybe_unused]] std::size_t number) {
#if !defined(__CUDACC__)
    simt::set_schedule(static_cast<simt::Schedule>(number % 3), number);
#endif
}

// What host code has done to device memory directly since the last call, or an empty string.
inline std::string host_fault() {
#if defined(__CUDACC__)
    return {};
#else
    return simt::take_host_fault();
#endif
}

// Runs a check in every order.
template <class F>
void under_every_schedule(F&& check) {
#if defined(__CUDACC__)
    check();
#else
    for (std::size_t number = 0; number < 3; ++number) {
        INFO("schedule " << number);
        use_schedule(number);
        check();
        CHECK(host_fault().empty());
    }
    use_schedule(0);
#endif
}

}  // namespace morsel_test
