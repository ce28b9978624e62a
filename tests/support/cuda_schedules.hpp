// Runs a check of kernels under every order of threads that the SIMT layer has, and says where host code touched device memory. On a
// real GPU, where there is one order, it runs the check once.
#pragma once
#if __has_include("simt/layer/simt.hpp") && !defined(__CUDACC__)
#include "simt/layer/simt.hpp"
#endif

#include "support/catch.hpp"

namespace morsel_test {

template <class F>
void under_every_schedule(F&& check) {
#if defined(__CUDACC__)
    check();
#else
    for (const auto schedule : {simt::Schedule::forward, simt::Schedule::reverse, simt::Schedule::shuffled}) {
        INFO("schedule " << static_cast<int>(schedule));
        simt::set_schedule(schedule, 11);
        check();
        CHECK(simt::take_host_fault().empty());
    }
    simt::set_schedule(simt::Schedule::forward);
#endif
}

}  // namespace morsel_test
