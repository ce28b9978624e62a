// RMSNorm (Zhang and Sennrich 2019) and LayerNorm (Ba et al. 2016) on the CPU, and argmax. Sums of squares run in 16 lanes, added in
// a fixed order: the same bits for a row whatever its batch and the number of threads.
#pragma once
#include <cmath>
#include <cstddef>

#include "morsel/ops/cpu/device.hpp"
#include "morsel/ops/cpu/isa.hpp"

namespace morsel {

namespace detail {

[[gnu::always_inline]] inline float lane_sum(const float* lane) {
    float half[8];
    for (std::size_t i = 0; i < 8; ++i) half[i] = lane[i] + lane[i + 8];
    return ((half[0] + half[4]) + (half[1] + half[5])) + ((half[2] + half[6]) + (half[3] + half[7]));
}

// Σ (x - shift)^2, or Σ x where not Squares.
template <bool Squares>
[[gnu::always_inline]] inline float sum_row(const float* x, float shift, std::size_t width) {
    float lane[16] = {};
    std::size_t i = 0;
    for (; i + 16 <= width; i += 16) {
        for (std::size_t j = 0; j < 16; ++j) {
            const float y = x[i + j] - shift;
            lane[j] += Squares ? y * y : y;
        }
    }
    for (std::size_t j = 0; i + j < width; ++j) {
        const float y = x[i + j] - shift;
        lane[j] += Squares ? y * y : y;
    }
    return lane_sum(lane);
}

[[gnu::always_inline]] inline void rms_norm_row(const float* x, const float* gain, float eps, std::size_t width, float* out) {
    const float scale = 1.0f / std::sqrt(sum_row<true>(x, 0.0f, width) / static_cast<float>(width) + eps);
    for (std::size_t i = 0; i < width; ++i) out[i] = x[i] * scale * gain[i];
}

[[gnu::always_inline]] inline void layer_norm_row(const float* x, const float* gain, const float* bias, float eps, std::size_t width,
                                                  float* out) {
    const float mean = sum_row<false>(x, 0.0f, width) / static_cast<float>(width);
    const float scale = 1.0f / std::sqrt(sum_row<true>(x, mean, width) / static_cast<float>(width) + eps);
    if (bias == nullptr) {
        for (std::size_t i = 0; i < width; ++i) out[i] = (x[i] - mean) * scale * gain[i];
    } else {
        for (std::size_t i = 0; i < width; ++i) out[i] = (x[i] - mean) * scale * gain[i] + bias[i];
    }
}

inline void rms_norm_generic(const float* x, const float* gain, float eps, std::size_t width, float* out) {
    rms_norm_row(x, gain, eps, width, out);
}
inline void layer_norm_generic(const float* x, const float* gain, const float* bias, float eps, std::size_t width, float* out) {
    layer_norm_row(x, gain, bias, eps, width, out);
}
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] inline void rms_norm_avx2(const float* x, const float* gain, float eps, std::size_t width, float* out) {
    rms_norm_row(x, gain, eps, width, out);
}
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] inline void layer_norm_avx512(const float* x, const float* gain, const float* bias,
                                                                                             float eps, std::size_t width, float* out) {
    layer_norm_row(x, gain, bias, eps, width, out);
}
[[gnu::target("avx2,fma")]] inline void layer_norm_avx2(const float* x, const float* gain, const float* bias, float eps, std::size_t width,
                                                        float* out) {
    layer_norm_row(x, gain, bias, eps, width, out);
}
#endif

// One row; x and out may be the same.
inline void rms_norm_one(Isa isa, const float* x, const float* gain, float eps, std::size_t width, float* out) {
#if defined(__x86_64__)
    if (isa >= Isa::avx2) return rms_norm_avx2(x, gain, eps, width, out);
#endif
    (void)isa;
    rms_norm_generic(x, gain, eps, width, out);
}

// Calls f(row) for each row, on all threads where there is enough to do.
template <class F>
void each_row(Cpu& device, std::size_t rows, std::size_t width, F&& f) {
    const std::size_t grain = std::max<std::size_t>(1, 16384 / std::max<std::size_t>(width, 1));
    device.pool().split(rows, grain, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t row = begin; row < end; ++row) f(row);
    });
}

}  // namespace detail

// x, out [rows, width], which may be the same; gain [width].
inline void rms_norm(Cpu& device, const float* x, const float* gain, float eps, std::size_t rows, std::size_t width, float* out) {
    detail::each_row(device, rows, width,
                     [&](std::size_t row) { detail::rms_norm_one(device.isa(), x + row * width, gain, eps, width, out + row * width); });
}

// x, out [rows, width], which may be the same; gain, bias [width]; bias may be null.
inline void layer_norm(Cpu& device, const float* x, const float* gain, const float* bias, float eps, std::size_t rows, std::size_t width,
                       float* out) {
    detail::each_row(device, rows, width, [&](std::size_t row) {
#if defined(__x86_64__)
        if (device.isa() >= Isa::avx512)
            return detail::layer_norm_avx512(x + row * width, gain, bias, eps, width, out + row * width);
        if (device.isa() >= Isa::avx2) return detail::layer_norm_avx2(x + row * width, gain, bias, eps, width, out + row * width);
#endif
        detail::layer_norm_generic(x + row * width, gain, bias, eps, width, out + row * width);
    });
}

// Index of the greatest of `count` values, the first where several are. NaN is never greatest.
inline TokenId argmax(Cpu&, const float* values, std::size_t count) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < count; ++i) {
        if (values[i] > values[best] || values[best] != values[best]) best = i;
    }
    return static_cast<TokenId>(best);
}

}  // namespace morsel
