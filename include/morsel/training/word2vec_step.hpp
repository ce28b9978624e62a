// The inner loop of word2vec: one prediction and its gradient. A hidden vector x predicts for each of some target rows w whether it belongs
// (label 1) or not (0), by the sigmoid of x · w; all products are taken first, so the step is along the exact gradient of
//   Σ_t log σ(±x · w_t)   with respect to x and every w_t.
// Written once with the compilers' vector types and compiled for AVX-512, for AVX2 and for what the program is compiled for; chosen at run
// time. Leaves out word2vec.c's table of sigmoids and gensim's rule that nothing is learned where |x · w| ≥ 6: the sigmoid is computed.
#pragma once
#include <cstddef>
#include <cstdint>

#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/vector_math.hpp"

namespace morsel::detail {

inline constexpr std::size_t row_grain = 16;  // floats: rows are padded to a multiple of it with zeros, which stay zeros

// x [stride]; weights [rows, stride], aligned to 64 bytes; targets [count], rows of it. gradients [count, up to a multiple of row_grain]: labels on
// entry, alpha · (label − prediction) on return. error [stride] receives Σ gradient · row, the rows as they were.
using Word2VecStep = void (*)(const float* x, float* error, float* weights, std::size_t stride, const std::uint32_t* targets, float* gradients, std::size_t count, float alpha);

// The sum of a vector's values.
template <std::size_t Width> [[gnu::always_inline]] inline float sum_of_lanes(const float* lanes) {
    typedef float Four __attribute__((vector_size(16), may_alias));
    const Four* parts = reinterpret_cast<const Four*>(lanes);
    Four sum = parts[0];
    for (std::size_t i = 1; i < Width / 4; ++i) sum += parts[i];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

template <std::size_t Width>  // floats in a vector register
[[gnu::always_inline]] inline void word2vec_step(const float* x, float* error, float* weights, std::size_t stride, const std::uint32_t* targets, float* gradients, std::size_t count,
                                                 float alpha) {
    typedef float Lanes __attribute__((vector_size(Width * sizeof(float)), may_alias));
    const std::size_t vectors = stride / Width;
    const Lanes* const hidden = reinterpret_cast<const Lanes*>(x);
    Lanes* const errors = reinterpret_cast<Lanes*>(error);
    for (std::size_t first = 0; first < count; first += row_grain) {
        alignas(64) float products[row_grain] = {};
        const std::size_t end = count - first < row_grain ? count - first : row_grain;
        for (std::size_t t = 0; t < end; t += 2) {  // two at a time share the loads of x; an odd last one is taken twice
            const Lanes* const row = reinterpret_cast<const Lanes*>(weights + targets[first + t] * stride);
            const Lanes* const other = reinterpret_cast<const Lanes*>(weights + targets[first + (t + 1 < end ? t + 1 : t)] * stride);
            Lanes a = hidden[0] * row[0], b = hidden[0] * other[0];
            for (std::size_t i = 1; i < vectors; ++i) a += hidden[i] * row[i], b += hidden[i] * other[i];
            alignas(64) float lanes[2][Width];
            *reinterpret_cast<Lanes*>(lanes[0]) = a, *reinterpret_cast<Lanes*>(lanes[1]) = b;
            products[t] = sum_of_lanes<Width>(lanes[0]), products[t + 1] = sum_of_lanes<Width>(lanes[1]);
        }
        for (std::size_t t = 0; t < row_grain; ++t) gradients[first + t] = alpha * (gradients[first + t] - sigmoid(products[t]));
    }
    for (std::size_t t = 0; t < count;) {  // two at a time, unless they are the same row
        Lanes* const row = reinterpret_cast<Lanes*>(weights + targets[t] * stride);
        const float g = gradients[t];
        const bool two = t + 1 < count && targets[t + 1] != targets[t];
        Lanes* const other = two ? reinterpret_cast<Lanes*>(weights + targets[t + 1] * stride) : nullptr;
        const float h = two ? gradients[t + 1] : 0;
        if (t == 0) {
            for (std::size_t i = 0; i < vectors; ++i) errors[i] = Lanes{};
        }
        if (two) {
            for (std::size_t i = 0; i < vectors; ++i) {
                const Lanes v = hidden[i], r = row[i], o = other[i];
                errors[i] += g * r + h * o;
                row[i] = r + g * v;
                other[i] = o + h * v;
            }
        } else {
            for (std::size_t i = 0; i < vectors; ++i) {
                const Lanes r = row[i];
                errors[i] += g * r;
                row[i] = r + g * hidden[i];
            }
        }
        t += two ? 2 : 1;
    }
}

// to [stride] += factor · from.
template <std::size_t Width> [[gnu::always_inline]] inline void add_scaled(float* to, const float* from, float factor, std::size_t stride) {
    typedef float Lanes __attribute__((vector_size(Width * sizeof(float)), may_alias));
    Lanes* const sum = reinterpret_cast<Lanes*>(to);
    const Lanes* const values = reinterpret_cast<const Lanes*>(from);
    for (std::size_t i = 0; i < stride / Width; ++i) sum[i] += factor * values[i];
}

struct Word2VecKernels {
    Word2VecStep step;
    void (*add)(float* to, const float* from, float factor, std::size_t stride);
};

inline void word2vec_step_generic(const float* x, float* error, float* weights, std::size_t stride, const std::uint32_t* targets, float* gradients, std::size_t count, float alpha) {
    word2vec_step<4>(x, error, weights, stride, targets, gradients, count, alpha);
}
inline void add_scaled_generic(float* to, const float* from, float factor, std::size_t stride) { add_scaled<4>(to, from, factor, stride); }

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] inline void word2vec_step_avx2(const float* x, float* error, float* weights, std::size_t stride, const std::uint32_t* targets, float* gradients, std::size_t count,
                                                           float alpha) {
    word2vec_step<8>(x, error, weights, stride, targets, gradients, count, alpha);
}
[[gnu::target("avx2,fma")]] inline void add_scaled_avx2(float* to, const float* from, float factor, std::size_t stride) { add_scaled<8>(to, from, factor, stride); }
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] inline void word2vec_step_avx512(const float* x, float* error, float* weights, std::size_t stride,
                                                                                               const std::uint32_t* targets, float* gradients, std::size_t count, float alpha) {
    word2vec_step<16>(x, error, weights, stride, targets, gradients, count, alpha);
}
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] inline void add_scaled_avx512(float* to, const float* from, float factor, std::size_t stride) {
    add_scaled<16>(to, from, factor, stride);
}
#endif

inline Word2VecKernels word2vec_kernels(Isa isa) {
#if defined(__x86_64__)
    if (isa >= Isa::avx512) return {word2vec_step_avx512, add_scaled_avx512};
    if (isa >= Isa::avx2) return {word2vec_step_avx2, add_scaled_avx2};
#endif
    (void)isa;
    return {word2vec_step_generic, add_scaled_generic};
}

}  // namespace morsel::detail
