// The kernels of attention_kernels.hpp in AVX2: up to six query vectors against one panel of 16 keys, or against 16 columns of values, in twelve
// registers of sums; fewer vectors take more panels at once, so that sums enough are under way. Each sum runs over its terms in order, whatever
// the vectors beside it.
#pragma once
#include <algorithm>
#include <cstddef>

#include "morsel/ops/cpu/attention_query.hpp"
#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/vector_math_avx2.hpp"

#if defined(__x86_64__)

namespace morsel::detail {

// The largest of 8 values, and their sum: halves folded over each other.
[[gnu::target("avx2,fma"), gnu::always_inline]] inline float largest_avx2(__m256 x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
}
[[gnu::target("avx2,fma"), gnu::always_inline]] inline float total_avx2(__m256 x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

// softmax() in two passes over the scores, two vectors at a time, so that two maxima and two sums are under way.
[[gnu::target("avx2,fma")]] inline float softmax_avx2(float* scores, std::size_t begin, std::size_t end, std::size_t padded, float scale) {
    std::fill(scores, scores + begin, -1e30f);
    std::fill(scores + end, scores + padded, -1e30f);
    __m256 most[2] = {_mm256_set1_ps(-1e30f), _mm256_set1_ps(-1e30f)}, sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (std::size_t t = 0; t < padded; t += 16) {
#pragma GCC unroll 2
        for (std::size_t h = 0; h < 2; ++h) most[h] = _mm256_max_ps(most[h], _mm256_loadu_ps(scores + t + h * 8));
    }
    const __m256 factor = _mm256_set1_ps(scale), best = _mm256_set1_ps(largest_avx2(_mm256_max_ps(most[0], most[1])) * scale);
    // Slots that are not seen give e^-87 at most, 2^-125: that many of them are nothing in a sum that has an e^0.
    for (std::size_t t = 0; t < padded; t += 16) {
#pragma GCC unroll 2
        for (std::size_t h = 0; h < 2; ++h) {
            const __m256 e = exponential_avx2(_mm256_fmsub_ps(_mm256_loadu_ps(scores + t + h * 8), factor, best));
            _mm256_storeu_ps(scores + t + h * 8, e);
            sum[h] = _mm256_add_ps(sum[h], e);
        }
    }
    std::fill(scores, scores + begin, 0.0f);
    std::fill(scores + end, scores + padded, 0.0f);
    return 1.0f / total_avx2(_mm256_add_ps(sum[0], sum[1]));
}

// keys [Panels][head_dim][16]; scores [Count][score_stride].
template <std::size_t Count, std::size_t Panels>
[[gnu::target("avx2,fma")]] inline void score_panels_avx2(const Query* queries, const float* keys, std::size_t head_dim, std::size_t score_stride, float* scores) {
    __m256 sum[Count][Panels][2];
    const float* q[Count];
#pragma GCC unroll 6
    for (std::size_t n = 0; n < Count; ++n) {
        q[n] = queries[n].q;
#pragma GCC unroll 4
        for (std::size_t p = 0; p < Panels; ++p) sum[n][p][0] = sum[n][p][1] = _mm256_setzero_ps();
    }
    for (std::size_t j = 0; j < head_dim; ++j) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < Panels; ++p) {
            const float* key = keys + (p * head_dim + j) * 16;
            const __m256 first = _mm256_loadu_ps(key), second = _mm256_loadu_ps(key + 8);
#pragma GCC unroll 6
            for (std::size_t n = 0; n < Count; ++n) {
                const __m256 factor = _mm256_set1_ps(q[n][j]);
                sum[n][p][0] = _mm256_fmadd_ps(factor, first, sum[n][p][0]);
                sum[n][p][1] = _mm256_fmadd_ps(factor, second, sum[n][p][1]);
            }
        }
    }
#pragma GCC unroll 6
    for (std::size_t n = 0; n < Count; ++n) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < Panels; ++p)
            for (std::size_t h = 0; h < 2; ++h) _mm256_storeu_ps(scores + n * score_stride + p * 16 + h * 8, sum[n][p][h]);
    }
}

// Columns [column, column + 16 · Vectors) of the sums, as weighted_plain.
template <std::size_t Count, std::size_t Vectors>
[[gnu::target("avx2,fma")]] inline void weighted_vectors_avx2(const Query* queries, const float* values, std::size_t stride, const float* weights, std::size_t weight_stride, std::size_t begin,
                                                              std::size_t end, std::size_t column, std::size_t head_dim, const float* factor) {
    __m256 sum[Count][2 * Vectors];
#pragma GCC unroll 6
    for (std::size_t n = 0; n < Count; ++n) {
#pragma GCC unroll 8
        for (std::size_t v = 0; v < 2 * Vectors; ++v) sum[n][v] = _mm256_setzero_ps();
    }
    values += column;
    for (std::size_t t = begin; t < end; ++t) {
#pragma GCC unroll 8
        for (std::size_t v = 0; v < 2 * Vectors; v += 2) {
            const __m256 first = _mm256_loadu_ps(values + t * stride + v * 8), second = _mm256_loadu_ps(values + t * stride + v * 8 + 8);
#pragma GCC unroll 6
            for (std::size_t n = 0; n < Count; ++n) {
                const __m256 weight = _mm256_set1_ps(weights[n * weight_stride + t]);
                sum[n][v] = _mm256_fmadd_ps(weight, first, sum[n][v]);
                sum[n][v + 1] = _mm256_fmadd_ps(weight, second, sum[n][v + 1]);
            }
        }
    }
    const bool whole = head_dim - column >= 16 * Vectors;
#pragma GCC unroll 6
    for (std::size_t n = 0; n < Count; ++n) {
        float row[16 * Vectors];
        float* const to = whole ? queries[n].out + column : row;
#pragma GCC unroll 8
        for (std::size_t v = 0; v < 2 * Vectors; ++v) _mm256_storeu_ps(to + v * 8, _mm256_mul_ps(sum[n][v], _mm256_set1_ps(factor[n])));
        if (!whole) std::copy_n(row, head_dim - column, queries[n].out + column);
    }
}

// Panels, or vectors of 16 columns, at once.
template <std::size_t Count> inline constexpr std::size_t panels_together = Count == 6 ? 1 : Count == 3 ? 2 : 4;

// keys [panels][head_dim][16]; scores [Count][panels · 16].
template <std::size_t Count> [[gnu::target("avx2,fma")]] void all_scores_avx2(const Query* queries, const float* keys, std::size_t panels, std::size_t head_dim, float* scores) {
    constexpr std::size_t together = panels_together<Count>;
    std::size_t p = 0;
    for (; p + together <= panels; p += together) score_panels_avx2<Count, together>(queries, keys + p * head_dim * 16, head_dim, panels * 16, scores + p * 16);
    for (; p < panels; ++p) score_panels_avx2<Count, 1>(queries, keys + p * head_dim * 16, head_dim, panels * 16, scores + p * 16);
}

// As weighted_plain, of scores [Count][padded].
template <std::size_t Count>
[[gnu::target("avx2,fma")]] void all_weighted_avx2(const Query* queries, const float* values, std::size_t stride, const float* scores, std::size_t padded, std::size_t begin, std::size_t end,
                                                   std::size_t head_dim, const float* factor) {
    constexpr std::size_t together = panels_together<Count>;
    const std::size_t vectors = (head_dim + 15) / 16;
    std::size_t v = 0;
    for (; v + together <= vectors; v += together) weighted_vectors_avx2<Count, together>(queries, values, stride, scores, padded, begin, end, v * 16, head_dim, factor);
    for (; v < vectors; ++v) weighted_vectors_avx2<Count, 1>(queries, values, stride, scores, padded, begin, end, v * 16, head_dim, factor);
}

template <std::size_t Count>
[[gnu::target("avx2,fma")]] void attend_avx2(const Query* queries, const float* keys, const float* values, std::size_t stride, std::size_t panels, std::size_t begin, std::size_t end,
                                             std::size_t head_dim, float scale, float* scores) {
    const std::size_t padded = panels * 16;
    all_scores_avx2<Count>(queries, keys, panels, head_dim, scores);
    float factor[Count];
    for (std::size_t n = 0; n < Count; ++n) factor[n] = softmax_avx2(scores + n * padded, queries[n].begin, queries[n].end, padded, scale);
    all_weighted_avx2<Count>(queries, values, stride, scores, padded, begin, end, head_dim, factor);
}

}  // namespace morsel::detail

#endif
