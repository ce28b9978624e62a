// linear on the CPU: x · Wᵀ and what follows it.
#pragma once
#include "morsel/ops/cpu/matrix.hpp"
#include "morsel/ops/reference.hpp"

namespace morsel {

// x [rows, in_features]; out [rows, out_features], or [rows, out_features / 2] where gated. x and out may not overlap.
inline void linear(Cpu& device, const float* x, std::size_t rows, const CpuMatrix& weight, const Epilogue& epilogue, float* out) {
    (void)device;
    reference::linear(x, rows, weight.values.data(), weight.out_features, weight.in_features, epilogue, out);
}

}  // namespace morsel
