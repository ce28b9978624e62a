// The operations of ops/device.hpp as plain loops over row-major floats: what every fast kernel is tested against, on any device.
// Sums are taken in double, so a kernel's error is measured against nearly the true value. Not for use in models.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "morsel/ops/device.hpp"

namespace morsel::reference {

inline float activate(Activation activation, float x) {
    switch (activation) {
        case Activation::silu: return x / (1.0f + std::exp(-x));
        case Activation::gelu: return 0.5f * x * std::erfc(-x * 0.70710678118654752f);
        case Activation::gelu_tanh: return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
        case Activation::relu: return std::max(x, 0.0f);
        case Activation::tanh: return std::tanh(x);
        case Activation::none: break;
    }
    return x;
}

// x [rows, k], weight [n, k], out [rows, n], or [rows, n / 2] where gated.
inline void linear(const float* x, std::size_t rows, const float* weight, std::size_t n, std::size_t k, const Epilogue& epilogue,
                   float* out) {
    const std::size_t width = epilogue.gated ? n / 2 : n;
    const auto dot = [&](std::size_t row, std::size_t j) {
        double sum = epilogue.bias != nullptr ? epilogue.bias[j] : 0.0;
        for (std::size_t i = 0; i < k; ++i) sum += static_cast<double>(x[row * k + i]) * weight[j * k + i];
        return static_cast<float>(sum);
    };
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t j = 0; j < width; ++j) {
            float y = activate(epilogue.activation, dot(row, j));
            if (epilogue.gated) y *= dot(row, j + width);
            float& to = out[row * width + j];
            to = epilogue.accumulate ? to + y : y;
        }
    }
}

inline void rms_norm(const float* x, const float* gain, float eps, std::size_t rows, std::size_t width, float* out) {
    for (std::size_t row = 0; row < rows; ++row, x += width, out += width) {
        double sum = 0;
        for (std::size_t i = 0; i < width; ++i) sum += static_cast<double>(x[i]) * x[i];
        const float scale = 1.0f / std::sqrt(static_cast<float>(sum / static_cast<double>(width)) + eps);
        for (std::size_t i = 0; i < width; ++i) out[i] = x[i] * scale * gain[i];
    }
}

inline void layer_norm(const float* x, const float* gain, const float* bias, float eps, std::size_t rows, std::size_t width, float* out) {
    for (std::size_t row = 0; row < rows; ++row, x += width, out += width) {
        double mean = 0, variance = 0;
        for (std::size_t i = 0; i < width; ++i) mean += x[i];
        mean /= static_cast<double>(width);
        for (std::size_t i = 0; i < width; ++i) variance += (x[i] - mean) * (x[i] - mean);
        const float scale = 1.0f / std::sqrt(static_cast<float>(variance / static_cast<double>(width)) + eps);
        for (std::size_t i = 0; i < width; ++i)
            out[i] = (x[i] - static_cast<float>(mean)) * scale * gain[i] + (bias != nullptr ? bias[i] : 0.0f);
    }
}

// Rotates one head [head_dim] to `position`: pairs (j, j + r) for r = inverse_frequency.size(), the rest passes. The angle is the
// f32 product, as Hugging Face's rotary embedding computes it.
inline void rope(float* head, std::size_t position, std::span<const float> inverse_frequency, float scaling) {
    const std::size_t half = inverse_frequency.size();
    for (std::size_t j = 0; j < half; ++j) {
        const float angle = static_cast<float>(position) * inverse_frequency[j];
        const float cosine = std::cos(angle) * scaling, sine = std::sin(angle) * scaling;
        const float a = head[j], b = head[j + half];
        head[j] = a * cosine - b * sine;
        head[j + half] = b * cosine + a * sine;
    }
}

// One query head against keys and values [count, head_dim] that it may all see; out [head_dim].
inline void attend(const float* q, const float* keys, const float* values, std::size_t count, std::size_t head_dim, float scale,
                   float* out) {
    std::vector<double> weight(count);
    double best = -INFINITY, total = 0;
    for (std::size_t t = 0; t < count; ++t) {
        double score = 0;
        for (std::size_t i = 0; i < head_dim; ++i) score += static_cast<double>(q[i]) * keys[t * head_dim + i];
        best = std::max(best, weight[t] = score * scale);
    }
    for (double& w : weight) total += w = std::exp(w - best);
    for (std::size_t i = 0; i < head_dim; ++i) {
        double sum = 0;
        for (std::size_t t = 0; t < count; ++t) sum += weight[t] * values[t * head_dim + i];
        out[i] = static_cast<float>(sum / total);
    }
}

}  // namespace morsel::reference
