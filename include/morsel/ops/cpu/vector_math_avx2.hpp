// The activations of vector_math.hpp and what follows a product, in AVX2: eight values at a time. gelu is one fraction of two
// polynomials: 3.2 ns for 8 values on a Zen 3, where looking coefficients up in two halves of the table of vector_math_avx512.hpp took 8.0.
#pragma once
#include <cstddef>

#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/vector_math.hpp"

#if defined(__x86_64__)

namespace morsel::detail {

// As exponential(float).
[[gnu::target("avx2,fma"), gnu::always_inline]] inline __m256 exponential_avx2(__m256 unlimited) {
    const __m256 x = _mm256_min_ps(_mm256_max_ps(unlimited, _mm256_set1_ps(-87.0f)), _mm256_set1_ps(88.0f));
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x));
    __m256 p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
    const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_add_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(power)), _mm256_sub_ps(unlimited, unlimited));  // the last term: NaN stays NaN
}

// erf(x / sqrt 2) / 2 for |x| <= 5.5 is x P(x²) / Q(x²): coefficients of P, then of Q. Printed by scripts/generate_gelu_fraction.py.
inline constexpr float gelu_fraction[2][6] = {
    {0.398942113f, 0.0349878259f, 0.00475137588f, 0.000181086551f, 6.49887215e-06f, 2.22283045e-08f},
    {1.0f, 0.254365832f, 0.0293078255f, 0.00195293431f, 7.79258407e-05f, 1.19330207e-06f},
};

// The largest error over [-9, 9] is 8.9e-7, below 1.3e-7 where |x| < 1 (the script's --check).
[[gnu::target("avx2,fma"), gnu::always_inline]] inline __m256 gelu_avx2(__m256 x) {
    const __m256 limited = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-5.5f)), _mm256_set1_ps(5.5f)), square = _mm256_mul_ps(limited, limited);
    __m256 above = _mm256_set1_ps(gelu_fraction[0][5]), below = _mm256_set1_ps(gelu_fraction[1][5]);
#pragma GCC unroll 5
    for (std::size_t d = 5; d-- > 0;) {
        above = _mm256_fmadd_ps(above, square, _mm256_set1_ps(gelu_fraction[0][d]));
        below = _mm256_fmadd_ps(below, square, _mm256_set1_ps(gelu_fraction[1][d]));
    }
    return _mm256_mul_ps(x, _mm256_add_ps(_mm256_set1_ps(0.5f), _mm256_div_ps(_mm256_mul_ps(limited, above), below)));
}

template <Activation Kind> [[gnu::target("avx2,fma"), gnu::always_inline]] inline __m256 activate_avx2(__m256 x) {
    const __m256 one = _mm256_set1_ps(1.0f);
    if constexpr (Kind == Activation::gelu) return gelu_avx2(x);
    if constexpr (Kind == Activation::silu) return _mm256_div_ps(x, _mm256_add_ps(one, exponential_avx2(_mm256_sub_ps(_mm256_setzero_ps(), x))));
    if constexpr (Kind == Activation::relu) return _mm256_max_ps(_mm256_setzero_ps(), x);
    if constexpr (Kind == Activation::gelu_tanh) {  // x · sigmoid(2 √(2/π) (x + 0.044715 x³))
        const __m256 inner = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_mul_ps(x, x), x), _mm256_set1_ps(0.044715f), x);
        return _mm256_div_ps(x, _mm256_add_ps(one, exponential_avx2(_mm256_mul_ps(inner, _mm256_set1_ps(-2.0f * 0.79788456080286536f)))));
    }
    return x;
}

// As finish() for all 16 columns and any activation but tanh.
template <Activation Kind>
[[gnu::target("avx2,fma,f16c")]] void finish_vectors_avx2(const Epilogue& epilogue, std::size_t column, std::size_t half, std::size_t rows, const float* y, const float* up, float* out,
                                                          std::size_t out_stride) {
    __m256 bias[2], up_bias[2];
    for (std::size_t h = 0; h < 2; ++h) {
        bias[h] = epilogue.bias != nullptr ? _mm256_loadu_ps(epilogue.bias + column + h * 8) : _mm256_setzero_ps();
        up_bias[h] = epilogue.bias != nullptr && up != nullptr ? _mm256_loadu_ps(epilogue.bias + column + half + h * 8) : _mm256_setzero_ps();
    }
    out += column;
    for (std::size_t row = 0; row < rows; ++row, y += 16, out += out_stride) {
#pragma GCC unroll 2
        for (std::size_t h = 0; h < 2; ++h) {
            __m256 x = activate_avx2<Kind>(_mm256_add_ps(_mm256_loadu_ps(y + h * 8), bias[h]));
            if (up != nullptr) x = _mm256_mul_ps(x, _mm256_add_ps(_mm256_loadu_ps(up + row * 16 + h * 8), up_bias[h]));
            if (epilogue.accumulate) x = _mm256_add_ps(_mm256_loadu_ps(out + h * 8), x);
            _mm256_storeu_ps(out + h * 8, x);
        }
    }
}

// A panel of fewer columns, the last of a matrix, is finished by the plain loops.
[[gnu::target("avx2,fma,f16c")]] inline void finish_avx2(const Epilogue& epilogue, std::size_t column, std::size_t half, std::size_t count, std::size_t rows, float* y, float* up, float* out,
                                                         std::size_t out_stride) {
    const auto vectors = [&]<Activation Kind>() { finish_vectors_avx2<Kind>(epilogue, column, half, rows, y, up, out, out_stride); };
    if (count < 16 || !with_vector_activation(epilogue.activation, vectors)) finish(epilogue, column, half, count, rows, y, up, out, out_stride);
}

}  // namespace morsel::detail

#endif
