// Every instruction set that the CPU device has kernels for; a device takes the best of those the machine has, up to the one asked for.
#pragma once
#include "morsel/ops/cpu/isa.hpp"

namespace morsel_test {

inline constexpr morsel::Isa all_isas[] = {morsel::Isa::generic, morsel::Isa::avx2, morsel::Isa::avx512, morsel::Isa::avx512_bf16, morsel::Isa::amx};

}  // namespace morsel_test
