// The activations of vector_math.hpp and what follows a product, in AVX-512. gelu is where it pays: erf by 16 short polynomials
// whose coefficients are looked up in registers takes 9 cycles for 16 values where the plain loop takes 65, a third of a product with
// 384 columns. The largest error of gelu over [-9, 9] is 5.2e-7, below 8e-8 where |x| < 1 (scripts/generate_gelu_table.py --check).
#pragma once
#include <cstddef>

#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/vector_math.hpp"

#if defined(__x86_64__)

namespace morsel::detail {

// erf(a / sqrt 2) / 2 for a in [0, 5.6): coefficient d of part i = floor(a · 16 / 5.6), in the distance from the part's middle in parts.
// Printed by scripts/generate_gelu_table.py.
inline constexpr float gelu_table[6][16] = {
    {0.0694601834f, 0.200208396f, 0.309213042f, 0.389712393f, 0.442371786f, 0.472885311f, 0.488547027f, 0.495667547f,
     0.498535067f, 0.499557912f, 0.499881089f, 0.499971509f, 0.49999392f, 0.499998838f, 0.499999791f, 0.49999997f},
    {0.137508005f, 0.121654145f, 0.095219247f, 0.0659358352f, 0.0403940342f, 0.0218933318f, 0.0104979724f, 0.00445346348f,
     0.00167143426f, 0.00055498298f, 0.00016303052f, 4.2369873e-05f, 9.74191607e-06f, 1.98166663e-06f, 3.56628334e-07f, 5.67806246e-08f},
    {-0.00421109237f, -0.0111767733f, -0.0145802787f, -0.0141349491f, -0.0111336652f, -0.00737540564f, -0.00417956617f, -0.00204582931f,
     -0.000870184449f, -0.000322918146f, -0.000104839426f, -2.98392133e-05f, -7.45656462e-06f, -1.63788695e-06f, -3.16532635e-07f, -5.38589688e-08f},
    {-0.00272145285f, -0.00179917656f, -0.00045565248f, 0.000673917762f, 0.00122107845f, 0.00120938511f, 0.000894982775f, 0.000535609492f,
     0.00026790562f, 0.000113939306f, 4.1624804e-05f, 1.31487641e-05f, 3.60782678e-06f, 8.6269489e-07f, 1.8021133e-07f, 3.29485736e-08f},
    {0.000126687723f, 0.000308702409f, 0.00033076675f, 0.000215854598f, 5.96611317e-05f, -5.21698676e-05f, -9.21740284e-05f, -8.10465208e-05f,
     -5.20368376e-05f, -2.66901807e-05f, -1.13466485e-05f, -4.07566313e-06f, -1.25118845e-06f, -3.30743092e-07f, -7.56763683e-08f, -1.50443711e-08f},
    {4.81877796e-05f, 2.15745822e-05f, -1.1853459e-05f, -3.07367991e-05f, -2.88373994e-05f, -1.50733822e-05f, -1.72758041e-06f, 5.03379397e-06f,
     5.87794375e-06f, 4.087251e-06f, 2.13489329e-06f, 8.97456118e-07f, 3.13221165e-07f, 9.23277454e-08f, 2.32315305e-08f, 5.02566477e-09f},
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 holds its own _mm512_undefined_ps for uninitialised
#endif

// The largest of 16 values, and their sum: halves folded over each other. (Masks that mask nothing: g++ 12 warns of its own intrinsics without.)
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline float largest_avx512(__m512 x) {
    x = _mm512_maskz_max_ps(0xffff, x, _mm512_maskz_shuffle_f32x4(0xffff, x, x, 0x4e));
    x = _mm512_maskz_max_ps(0xffff, x, _mm512_maskz_shuffle_f32x4(0xffff, x, x, 0xb1));
    x = _mm512_maskz_max_ps(0xffff, x, _mm512_maskz_permute_ps(0xffff, x, 0x4e));
    return _mm512_cvtss_f32(_mm512_maskz_max_ps(0xffff, x, _mm512_maskz_permute_ps(0xffff, x, 0xb1)));
}
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline float total_avx512(__m512 x) {
    x = _mm512_add_ps(x, _mm512_maskz_shuffle_f32x4(0xffff, x, x, 0x4e));
    x = _mm512_add_ps(x, _mm512_maskz_shuffle_f32x4(0xffff, x, x, 0xb1));
    x = _mm512_add_ps(x, _mm512_maskz_permute_ps(0xffff, x, 0x4e));
    return _mm512_cvtss_f32(_mm512_add_ps(x, _mm512_maskz_permute_ps(0xffff, x, 0xb1)));
}

// As exponential(float).
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline __m512 exponential_avx512(__m512 unlimited) {
    const __m512 x = _mm512_min_ps(_mm512_max_ps(unlimited, _mm512_set1_ps(-87.0f)), _mm512_set1_ps(88.0f));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x));
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    return _mm512_add_ps(_mm512_scalef_ps(p, n), _mm512_sub_ps(unlimited, unlimited));  // the last term: NaN stays NaN
}

[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline __m512 gelu_avx512(__m512 x) {
    const __m512 sign = _mm512_set1_ps(-0.0f), half = _mm512_set1_ps(0.5f);
    const __m512 t = _mm512_min_ps(_mm512_mul_ps(_mm512_andnot_ps(sign, x), _mm512_set1_ps(16.0f / 5.6f)), _mm512_set1_ps(15.999999f));
    const __m512i part = _mm512_cvttps_epi32(t);
    const __m512 u = _mm512_sub_ps(_mm512_sub_ps(t, _mm512_cvtepi32_ps(part)), half);
    __m512 p = _mm512_permutexvar_ps(part, _mm512_loadu_ps(gelu_table[5]));
#pragma GCC unroll 5
    for (std::size_t d = 5; d-- > 0;) p = _mm512_fmadd_ps(p, u, _mm512_permutexvar_ps(part, _mm512_loadu_ps(gelu_table[d])));
    return _mm512_mul_ps(x, _mm512_add_ps(half, _mm512_or_ps(p, _mm512_and_ps(x, sign))));
}

[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline __m512 silu_avx512(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    return _mm512_div_ps(x, _mm512_add_ps(one, exponential_avx512(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

template <Activation Kind>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline __m512 activate_avx512(__m512 x) {
    if constexpr (Kind == Activation::gelu) return gelu_avx512(x);
    if constexpr (Kind == Activation::silu) return silu_avx512(x);
    if constexpr (Kind == Activation::relu) return _mm512_max_ps(_mm512_setzero_ps(), x);
    if constexpr (Kind == Activation::gelu_tanh) {  // x · sigmoid(2 √(2/π) (x + 0.044715 x³))
        const __m512 inner = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_mul_ps(x, x), x), _mm512_set1_ps(0.044715f), x);
        const __m512 e = exponential_avx512(_mm512_mul_ps(inner, _mm512_set1_ps(-2.0f * 0.79788456080286536f)));
        return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
    }
    return x;
}

// As finish(), for any activation but tanh.
template <Activation Kind>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] void finish_vectors_avx512(const Epilogue& epilogue, std::size_t column,
                                                                                              std::size_t half, std::size_t count,
                                                                                              std::size_t rows, const float* y, const float* up,
                                                                                              float* out, std::size_t out_stride) {
    const auto mask = static_cast<__mmask16>((1u << count) - 1u);
    __m512 bias = _mm512_setzero_ps(), up_bias = bias;
    if (epilogue.bias != nullptr) {
        bias = _mm512_maskz_loadu_ps(mask, epilogue.bias + column);
        if (up != nullptr) up_bias = _mm512_maskz_loadu_ps(mask, epilogue.bias + column + half);
    }
    out += column;
    for (std::size_t row = 0; row < rows; ++row, y += 16, out += out_stride) {
        __m512 x = activate_avx512<Kind>(_mm512_add_ps(_mm512_loadu_ps(y), bias));
        if (up != nullptr) x = _mm512_mul_ps(x, _mm512_add_ps(_mm512_loadu_ps(up + row * 16), up_bias));
        if (epilogue.accumulate) x = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), x);
        _mm512_mask_storeu_ps(out, mask, x);
    }
}

[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline void finish_avx512(const Epilogue& epilogue, std::size_t column,
                                                                                              std::size_t half, std::size_t count,
                                                                                              std::size_t rows, float* y, float* up,
                                                                                              float* out, std::size_t out_stride) {
    const auto vectors = [&]<Activation Kind>() { finish_vectors_avx512<Kind>(epilogue, column, half, count, rows, y, up, out, out_stride); };
    if (!with_vector_activation(epilogue.activation, vectors)) finish(epilogue, column, half, count, rows, y, up, out, out_stride);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace morsel::detail

#endif
