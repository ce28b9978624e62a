// RMSNorm and LayerNorm on the CPU, and argmax.
#pragma once
#include <cstddef>

#include "morsel/ops/cpu/device.hpp"
#include "morsel/ops/reference.hpp"

namespace morsel {

// x, out [rows, width], which may be the same; gain [width].
inline void rms_norm(Cpu&, const float* x, const float* gain, float eps, std::size_t rows, std::size_t width, float* out) {
    reference::rms_norm(x, gain, eps, rows, width, out);
}

// x, out [rows, width], which may be the same; gain, bias [width]; bias may be null.
inline void layer_norm(Cpu&, const float* x, const float* gain, const float* bias, float eps, std::size_t rows, std::size_t width, float* out) {
    reference::layer_norm(x, gain, bias, eps, rows, width, out);
}

// Index of the greatest of `count` values, the first where several are.
inline TokenId argmax(Cpu&, const float* values, std::size_t count) {
    return static_cast<TokenId>(std::max_element(values, values + count) - values);
}

}  // namespace morsel
