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

// Some rows to predict. Rounded up to a multiple of row_grain there is room for more targets.
struct Targets {
    std::size_t count = 0;
    const std::uint32_t* rows = nullptr;  // [count], all different
    const float* rates = nullptr;         // [count] learning rate, times how often the row is meant
    float* gradients = nullptr;           // [count] labels on entry; rate · (label − prediction) on return
};

// x [stride]; weights [rows, stride], aligned to 64 bytes. error [stride] receives Σ gradient · row, the rows as they were.
using Word2VecStep = void (*)(const float* x, float* error, float* weights, std::size_t stride, const Targets& targets);

// The sum of a vector's values.
template <std::size_t Width> [[gnu::always_inline]] inline float sum_of_lanes(const float* lanes) {
    typedef float Four __attribute__((vector_size(16), may_alias));
    const Four* parts = reinterpret_cast<const Four*>(lanes);
    Four sum = parts[0];
    for (std::size_t i = 1; i < Width / 4; ++i) sum += parts[i];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

// products [Group] of x with so many rows at once, which share the loads of x. `vectors` registers a row.
template <std::size_t Width, std::size_t Group>
[[gnu::always_inline]] inline void products_of_rows(const float* x, const float* weights, std::size_t vectors, const std::uint32_t* rows, float* products) {
    typedef float Lanes __attribute__((vector_size(Width * sizeof(float)), may_alias));
    const Lanes* const hidden = reinterpret_cast<const Lanes*>(x);
    const Lanes* row[Group];
    Lanes sums[Group];
#pragma GCC unroll 8
    for (std::size_t t = 0; t < Group; ++t) row[t] = reinterpret_cast<const Lanes*>(weights) + rows[t] * vectors, sums[t] = hidden[0] * row[t][0];
    for (std::size_t i = 1; i < vectors; ++i) {
        const Lanes v = hidden[i];
#pragma GCC unroll 8
        for (std::size_t t = 0; t < Group; ++t) sums[t] += v * row[t][i];
    }
#pragma GCC unroll 8
    for (std::size_t t = 0; t < Group; ++t) products[t] = sum_of_lanes<Width>(reinterpret_cast<const float*>(&sums[t]));
}

// error += Σ gradient · row, and row += gradient · x. `begin`: error is set in place of being added to.
template <std::size_t Width, std::size_t Group>
[[gnu::always_inline]] inline void update_rows(const float* x, float* error, float* weights, std::size_t vectors, const std::uint32_t* rows, const float* gradients, bool begin) {
    typedef float Lanes __attribute__((vector_size(Width * sizeof(float)), may_alias));
    const Lanes* const hidden = reinterpret_cast<const Lanes*>(x);
    Lanes* const errors = reinterpret_cast<Lanes*>(error);
    Lanes* row[Group];
    float factor[Group];
#pragma GCC unroll 8
    for (std::size_t t = 0; t < Group; ++t) row[t] = reinterpret_cast<Lanes*>(weights) + rows[t] * vectors, factor[t] = gradients[t];
    for (std::size_t i = 0; i < vectors; ++i) {
        const Lanes v = hidden[i];
        Lanes sum = begin ? Lanes{} : errors[i];
#pragma GCC unroll 8
        for (std::size_t t = 0; t < Group; ++t) {
            const Lanes old = row[t][i];
            sum += factor[t] * old;
            row[t][i] = old + factor[t] * v;
        }
        errors[i] = sum;
    }
}

// Labels [row_grain] become gradients. A function of its own, since g++ believes __restrict of parameters only, and without it this is no vector code.
[[gnu::always_inline]] inline void to_gradients(const float* __restrict products, const float* __restrict rates, float* __restrict gradients) {
    for (std::size_t i = 0; i < row_grain; ++i) gradients[i] = rates[i] * (gradients[i] - sigmoid(products[i]));
}

template <std::size_t Width>  // floats in a vector register
[[gnu::always_inline]] inline void word2vec_step(const float* x, float* error, float* weights, std::size_t stride, const Targets& targets) {
    const std::size_t vectors = stride / Width;
    alignas(64) float products[64];
    for (std::size_t first = 0; first < targets.count; first += 64) {
        const std::size_t count = targets.count - first < 64 ? targets.count - first : 64;
        std::size_t t = 0;
        for (; count - t >= 6; t += 6) products_of_rows<Width, 6>(x, weights, vectors, targets.rows + first + t, products + t);
        for (; count - t >= 3; t += 3) products_of_rows<Width, 3>(x, weights, vectors, targets.rows + first + t, products + t);
        for (; t < count; ++t) products_of_rows<Width, 1>(x, weights, vectors, targets.rows + first + t, products + t);
        for (; t % row_grain != 0; ++t) products[t] = 0;
        for (std::size_t i = 0; i < count; i += row_grain) to_gradients(products + i, targets.rates + first + i, targets.gradients + first + i);
    }
    std::size_t t = 0;
    for (; targets.count - t >= 6; t += 6) update_rows<Width, 6>(x, error, weights, vectors, targets.rows + t, targets.gradients + t, t == 0);
    for (; targets.count - t >= 3; t += 3) update_rows<Width, 3>(x, error, weights, vectors, targets.rows + t, targets.gradients + t, t == 0);
    for (; t < targets.count; ++t) update_rows<Width, 1>(x, error, weights, vectors, targets.rows + t, targets.gradients + t, t == 0);
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

inline void word2vec_step_generic(const float* x, float* error, float* weights, std::size_t stride, const Targets& targets) {
    word2vec_step<4>(x, error, weights, stride, targets);
}
inline void add_scaled_generic(float* to, const float* from, float factor, std::size_t stride) { add_scaled<4>(to, from, factor, stride); }

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] inline void word2vec_step_avx2(const float* x, float* error, float* weights, std::size_t stride, const Targets& targets) {
    word2vec_step<8>(x, error, weights, stride, targets);
}
[[gnu::target("avx2,fma")]] inline void add_scaled_avx2(float* to, const float* from, float factor, std::size_t stride) { add_scaled<8>(to, from, factor, stride); }
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] inline void word2vec_step_avx512(const float* x, float* error, float* weights, std::size_t stride,
                                                                                               const Targets& targets) {
    word2vec_step<16>(x, error, weights, stride, targets);
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
