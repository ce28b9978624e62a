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

// softmax() in two passes over the scores.
[[gnu::target("avx2,fma")]] inline float softmax_avx2(float* scores, std::size_t begin, std::size_t end, std::size_t padded, float scale) {
    std::fill(scores, scores + begin, -1e30f);
    std::fill(scores + end, scores + padded, -1e30f);
    __m256 most = _mm256_set1_ps(-1e30f);
    for (std::size_t t = 0; t < padded; t += 8) most = _mm256_max_ps(most, _mm256_loadu_ps(scores + t));
    float lane[8];
    _mm256_storeu_ps(lane, most);
    const __m256 factor = _mm256_set1_ps(scale), best = _mm256_set1_ps(*std::max_element(lane, lane + 8) * scale);
    for (std::size_t t = 0; t < padded; t += 8) _mm256_storeu_ps(scores + t, exponential_avx2(_mm256_fmsub_ps(_mm256_loadu_ps(scores + t), factor, best)));
    std::fill(scores, scores + begin, 0.0f);
    std::fill(scores + end, scores + padded, 0.0f);
    __m256 sum = _mm256_setzero_ps();
    for (std::size_t t = 0; t < padded; t += 8) sum = _mm256_add_ps(sum, _mm256_loadu_ps(scores + t));
    _mm256_storeu_ps(lane, sum);
    float total = 0;
    for (const float x : lane) total += x;
    return 1.0f / total;
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
    for (std::size_t n = 0; n < Count; ++n) {
        float row[16 * Vectors];
        for (std::size_t v = 0; v < 2 * Vectors; ++v) _mm256_storeu_ps(row + v * 8, _mm256_mul_ps(sum[n][v], _mm256_set1_ps(factor[n])));
        std::copy_n(row, std::min(16 * Vectors, head_dim - column), queries[n].out + column);
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
