// Exponential and activations in branchless arithmetic: plain scalar functions which, called in loops of known length inside a
// function of some target, become vector code for it. Relative error of exponential is below 2 ulp over its range.
// Method: Cody and Waite reduction, minimax polynomial as in Cephes' expf; erfc after Press et al., Numerical Recipes, 6.2
// (fractional error 1.2e-7).
#pragma once
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "morsel/ops/device.hpp"

namespace morsel::detail {

// e^x; below -87 it stays at e^-87, above 88 at e^88; NaN and infinities give NaN. The limits compare bits: as float comparisons
// they became branches (jump threading, split paths), which kept g++ 12 from making vectors of the loops around.
[[gnu::always_inline]] inline float exponential(float unlimited) {
    std::uint32_t bits = std::bit_cast<std::uint32_t>(unlimited);
    bits = bits < 0xc2ae0000u ? bits : 0xc2ae0000u;  // negative floats: further from zero is greater
    std::int32_t limited = static_cast<std::int32_t>(bits);
    limited = limited < 0x42b00000 ? limited : 0x42b00000;
    const float x = std::bit_cast<float>(limited);
    const float shifted = x * 1.44269504f + 12582912.0f;  // 1.5 · 2^23: the sum's low bits are the rounded integer
    const float n = shifted - 12582912.0f;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * std::bit_cast<float>((std::bit_cast<std::int32_t>(shifted) + (127 - 0x4b400000)) << 23) + (unlimited - unlimited);
}

[[gnu::always_inline]] inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

// x · Φ(x)
[[gnu::always_inline]] inline float gelu(float x) {
    const float z = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffu) * 0.70710678118654752f;
    const float t = 1.0f / (1.0f + 0.5f * z);
    float p = 0.17087277f;
    p = p * t - 0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t - 1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t - 0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    p = p * t - 1.26551223f;
    const float upper = t * exponential(p - z * z);  // erfc(|x| / √2)
    return 0.5f * x * (x < 0 ? upper : 2.0f - upper);
}

[[gnu::always_inline]] inline float gelu_tanh(float x) { return x * sigmoid(2.0f * 0.79788456080286536f * (x + 0.044715f * x * x * x)); }

// In place over `count` values; each loop is of one kind, so that it vectorises.
[[gnu::always_inline]] inline void activate(Activation activation, float* __restrict x, std::size_t count) {
    switch (activation) {
        case Activation::none: return;
        case Activation::silu:
            for (std::size_t i = 0; i < count; ++i) x[i] *= sigmoid(x[i]);
            return;
        case Activation::gelu:
            for (std::size_t i = 0; i < count; ++i) x[i] = gelu(x[i]);
            return;
        case Activation::gelu_tanh:
            for (std::size_t i = 0; i < count; ++i) x[i] = gelu_tanh(x[i]);
            return;
        case Activation::relu:
            for (std::size_t i = 0; i < count; ++i) x[i] = x[i] < 0 ? 0.0f : x[i];
            return;
        case Activation::tanh:
            for (std::size_t i = 0; i < count; ++i) x[i] = std::tanh(x[i]);
            return;
    }
}

// f.template operator()<Kind>() for the activations that have vector forms, which is all but tanh; gives whether it has one.
template <class F>
bool with_vector_activation(Activation activation, F&& f) {
    switch (activation) {
        case Activation::none: return f.template operator()<Activation::none>(), true;
        case Activation::silu: return f.template operator()<Activation::silu>(), true;
        case Activation::gelu: return f.template operator()<Activation::gelu>(), true;
        case Activation::gelu_tanh: return f.template operator()<Activation::gelu_tanh>(), true;
        case Activation::relu: return f.template operator()<Activation::relu>(), true;
        case Activation::tanh: return false;
    }
    return false;
}

// What follows the product, for `rows` rows of 16 columns: y [rows][16] from matrix row `column` on, of which `count` exist;
// where gated, `up` [rows][16] from matrix row `column + half`. out is the result's first row, out_stride floats a row.
[[gnu::always_inline]] inline void finish(const Epilogue& epilogue, std::size_t column, std::size_t half, std::size_t count,
                                          std::size_t rows, float* __restrict y, float* __restrict up, float* __restrict out,
                                          std::size_t out_stride) {
    const float* bias = epilogue.bias != nullptr ? epilogue.bias + column : nullptr;
    out += column;
    for (std::size_t row = 0; row < rows; ++row, y += 16, out += out_stride) {
        if (bias != nullptr) {
            for (std::size_t i = 0; i < count; ++i) y[i] += bias[i];
        }
        activate(epilogue.activation, y, 16);
        if (up != nullptr) {
            if (bias != nullptr) {
                for (std::size_t i = 0; i < count; ++i) up[i] += bias[half + i];
            }
            for (std::size_t i = 0; i < 16; ++i) y[i] *= up[i];
            up += 16;
        }
        if (epilogue.accumulate) {
            for (std::size_t i = 0; i < count; ++i) out[i] += y[i];
        } else {
            for (std::size_t i = 0; i < count; ++i) out[i] = y[i];
        }
    }
}

}  // namespace morsel::detail
