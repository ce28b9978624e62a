// Scores and weighted sums of attention for a few query vectors of one key-value head at a time. Keys come in panels of 16
// (scores of 16 keys without a horizontal sum), values in rows. Two passes: all scores, softmax, weighted sum; a query vector's
// arithmetic is the same whatever vectors it is computed beside.
// Follows the softmax of Vaswani et al. 2017 with the maximum taken off first; leaves out online softmax, which would save the
// scores' memory (4 bytes a key and vector, in cache) for more exponentials.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "morsel/ops/cpu/attention_kernels_avx2.hpp"
#include "morsel/ops/cpu/attention_query.hpp"
#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/vector_math.hpp"
#include "morsel/ops/cpu/vector_math_avx512.hpp"

namespace morsel::detail {

// Softmax of scale · scores over [begin, end) in place; zero elsewhere in [0, padded), a multiple of 16. Gives 1 / sum.
[[gnu::always_inline]] inline float softmax(float* scores, std::size_t begin, std::size_t end, std::size_t padded, float scale) {
    constexpr float unseen = -1e30f;
    for (std::size_t t = 0; t < begin; ++t) scores[t] = unseen;
    for (std::size_t t = end; t < padded; ++t) scores[t] = unseen;
    float lane[16];
    for (float& x : lane) x = unseen;
    for (std::size_t t = 0; t < padded; t += 16) {
        for (std::size_t i = 0; i < 16; ++i) lane[i] = scores[t + i] > lane[i] ? scores[t + i] : lane[i];
    }
    const float best = *std::max_element(lane, lane + 16) * scale;
    for (std::size_t t = 0; t < padded; t += 16) {
        for (std::size_t i = 0; i < 16; ++i) scores[t + i] = exponential(scores[t + i] * scale - best);
    }
    for (std::size_t t = 0; t < begin; ++t) scores[t] = 0;
    for (std::size_t t = end; t < padded; ++t) scores[t] = 0;
    for (float& x : lane) x = 0;
    for (std::size_t t = 0; t < padded; t += 16) {
        for (std::size_t i = 0; i < 16; ++i) lane[i] += scores[t + i];
    }
    float sum = 0;
    for (const float x : lane) sum += x;
    return 1.0f / sum;
}

// keys [panels][head_dim][16]; scores [count][panels · 16]. Plain loops, for machines without AVX-512.
[[gnu::always_inline]] inline void scores_plain(const Query* queries, std::size_t count, const float* keys, std::size_t panels,
                                                std::size_t head_dim, float* scores) {
    for (std::size_t p = 0; p < panels; ++p, keys += head_dim * 16) {
        for (std::size_t n = 0; n < count; ++n) {
            float sum[16] = {};
            for (std::size_t j = 0; j < head_dim; ++j) {
                for (std::size_t i = 0; i < 16; ++i) sum[i] += queries[n].q[j] * keys[j * 16 + i];
            }
            std::copy_n(sum, 16, scores + (n * panels + p) * 16);
        }
    }
}

// values [keys][stride], weights [count][weight_stride] of which [begin, end) count; out[j] = factor · Σ weight · value.
[[gnu::always_inline]] inline void weighted_plain(const Query* queries, std::size_t count, const float* values, std::size_t stride,
                                                  const float* weights, std::size_t weight_stride, std::size_t begin, std::size_t end,
                                                  std::size_t head_dim, const float* factor) {
    for (std::size_t n = 0; n < count; ++n) {
        for (std::size_t j = 0; j < head_dim; j += 16) {
            float sum[16] = {};
            for (std::size_t t = begin; t < end; ++t) {
                for (std::size_t i = 0; i < 16; ++i) sum[i] += weights[n * weight_stride + t] * values[t * stride + j + i];
            }
            for (std::size_t i = 0; i < std::min<std::size_t>(16, head_dim - j); ++i) queries[n].out[j + i] = sum[i] * factor[n];
        }
    }
}

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 holds its own _mm512_undefined_ps for uninitialised
#endif

// softmax() in two passes over the scores.
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline float softmax_avx512(float* scores, std::size_t begin, std::size_t end,
                                                                                                std::size_t padded, float scale) {
    const auto seen = [=](std::size_t t) {  // of keys t … t + 15
        const unsigned from = t >= begin ? 0xffffu : begin - t < 16 ? 0xffffu << (begin - t) : 0u;
        const unsigned to = end >= t + 16 ? 0xffffu : end > t ? (1u << (end - t)) - 1u : 0u;
        return static_cast<__mmask16>(from & to);
    };
    // f(t, mask) for every vector; [whole, whole_end) are seen to the last key: most of them, whose masks need no working out.
    const std::size_t whole = std::min((begin + 15) / 16 * 16, padded), whole_end = std::max(whole, std::min(end / 16 * 16, padded));
    const auto each = [&](auto&& f) __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))) {
        for (std::size_t t = 0; t < whole; t += 16) f(t, seen(t));
        for (std::size_t t = whole; t < whole_end; t += 16) f(t, __mmask16{0xffff});
        for (std::size_t t = whole_end; t < padded; t += 16) f(t, seen(t));
    };
    __m512 most = _mm512_set1_ps(-1e30f), sum = _mm512_setzero_ps();
    each([&](std::size_t t, __mmask16 mask) __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))) { most = _mm512_mask_max_ps(most, mask, most, _mm512_loadu_ps(scores + t)); });
    const __m512 factor = _mm512_set1_ps(scale), best = _mm512_set1_ps(largest_avx512(most) * scale);
    each([&](std::size_t t, __mmask16 mask) __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))) {
        const __m512 e = _mm512_maskz_mov_ps(mask, exponential_avx512(_mm512_fmsub_ps(_mm512_loadu_ps(scores + t), factor, best)));
        _mm512_storeu_ps(scores + t, e);
        sum = _mm512_add_ps(sum, e);
    });
    return 1.0f / total_avx512(sum);
}

// Fewer vectors than a group are those of decoding, which reads from memory: fetching ahead is 10 to 15 % faster at 2048 keys.
template <std::size_t Count, std::size_t Panels>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] inline void score_panels_avx512(const Query* queries, const float* keys,
                                                                                               std::size_t head_dim,
                                                                                               std::size_t score_stride, float* scores) {
    __m512 sum[Count][Panels][2];
    const float* q[Count];
#pragma GCC unroll 6
    for (std::size_t n = 0; n < Count; ++n) {
        q[n] = queries[n].q;
#pragma GCC unroll 2
        for (std::size_t p = 0; p < Panels; ++p) sum[n][p][0] = sum[n][p][1] = _mm512_setzero_ps();
    }
    std::size_t j = 0;
    for (; j + 2 <= head_dim; j += 2) {
#pragma GCC unroll 2
        for (std::size_t c = 0; c < 2; ++c) {
            __m512 key[Panels];
#pragma GCC unroll 2
            for (std::size_t p = 0; p < Panels; ++p) {
                key[p] = _mm512_loadu_ps(keys + (p * head_dim + j + c) * 16);
                if constexpr (Count < query_group) __builtin_prefetch(keys + ((p + Panels) * head_dim + j + c) * 16);
            }
#pragma GCC unroll 6
            for (std::size_t n = 0; n < Count; ++n) {
                const __m512 factor = _mm512_set1_ps(q[n][j + c]);
#pragma GCC unroll 2
                for (std::size_t p = 0; p < Panels; ++p) sum[n][p][c] = _mm512_fmadd_ps(factor, key[p], sum[n][p][c]);
            }
        }
    }
#pragma GCC unroll 6
    for (std::size_t n = 0; n < Count; ++n) {
#pragma GCC unroll 2
        for (std::size_t p = 0; p < Panels; ++p) {
            if (j < head_dim)
                sum[n][p][0] = _mm512_fmadd_ps(_mm512_set1_ps(q[n][j]), _mm512_loadu_ps(keys + (p * head_dim + j) * 16), sum[n][p][0]);
            _mm512_storeu_ps(scores + n * score_stride + p * 16, _mm512_add_ps(sum[n][p][0], sum[n][p][1]));
        }
    }
}

template <std::size_t Count, std::size_t Vectors>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] inline void weighted_vectors_avx512(
    const Query* queries, const float* values, std::size_t stride, const float* weights, std::size_t weight_stride, std::size_t begin,
    std::size_t end, std::size_t column, std::size_t head_dim, const float* factor) {
    __m512 sum[Count][Vectors];
#pragma GCC unroll 6
    for (std::size_t n = 0; n < Count; ++n) {
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v) sum[n][v] = _mm512_setzero_ps();
    }
    values += column;
    for (std::size_t t = begin; t < end; ++t) {
        __m512 value[Vectors];
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v) {
            value[v] = _mm512_loadu_ps(values + t * stride + v * 16);
            if constexpr (Count < query_group) prefetch(values + t * stride + v * 16);
        }
#pragma GCC unroll 6
        for (std::size_t n = 0; n < Count; ++n) {
            const __m512 weight = _mm512_set1_ps(weights[n * weight_stride + t]);
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vectors; ++v) sum[n][v] = _mm512_fmadd_ps(weight, value[v], sum[n][v]);
        }
    }
#pragma GCC unroll 6
    for (std::size_t n = 0; n < Count; ++n) {
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Vectors; ++v) {
            const std::size_t at = column + v * 16, left = head_dim - at;
            const auto mask = static_cast<__mmask16>(left >= 16 ? 0xffffu : (1u << left) - 1u);
            _mm512_mask_storeu_ps(queries[n].out + at, mask, _mm512_mul_ps(sum[n][v], _mm512_set1_ps(factor[n])));
        }
    }
}

template <std::size_t Count>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] void attend_avx512(const Query* queries, const float* keys,
                                                                                  const float* values, std::size_t stride,
                                                                                  std::size_t panels, std::size_t begin, std::size_t end,
                                                                                  std::size_t head_dim, float scale, float* scores) {
    const std::size_t padded = panels * 16;
    std::size_t p = 0;
    for (; p + 2 <= panels; p += 2) score_panels_avx512<Count, 2>(queries, keys + p * head_dim * 16, head_dim, padded, scores + p * 16);
    if (p < panels) score_panels_avx512<Count, 1>(queries, keys + p * head_dim * 16, head_dim, padded, scores + p * 16);
    float factor[Count];
    for (std::size_t n = 0; n < Count; ++n) factor[n] = softmax_avx512(scores + n * padded, queries[n].begin, queries[n].end, padded, scale);
    const std::size_t vectors = (head_dim + 15) / 16;
    std::size_t v = 0;
    for (; v + 4 <= vectors; v += 4)
        weighted_vectors_avx512<Count, 4>(queries, values, stride, scores, padded, begin, end, v * 16, head_dim, factor);
    if (v + 2 <= vectors)
        weighted_vectors_avx512<Count, 2>(queries, values, stride, scores, padded, begin, end, v * 16, head_dim, factor), v += 2;
    if (v < vectors) weighted_vectors_avx512<Count, 1>(queries, values, stride, scores, padded, begin, end, v * 16, head_dim, factor);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

[[gnu::always_inline]] inline void attend_plain(const Query* queries, std::size_t count, const float* keys, const float* values,
                                                std::size_t stride, std::size_t panels, std::size_t begin, std::size_t end,
                                                std::size_t head_dim, float scale, float* scores) {
    float factor[query_group];
    scores_plain(queries, count, keys, panels, head_dim, scores);
    for (std::size_t n = 0; n < count; ++n)
        factor[n] = softmax(scores + n * panels * 16, queries[n].begin, queries[n].end, panels * 16, scale);
    weighted_plain(queries, count, values, stride, scores, panels * 16, begin, end, head_dim, factor);
}
inline void attend_generic(const Query* queries, std::size_t count, const float* keys, const float* values, std::size_t stride,
                           std::size_t panels, std::size_t begin, std::size_t end, std::size_t head_dim, float scale, float* scores) {
    attend_plain(queries, count, keys, values, stride, panels, begin, end, head_dim, scale, scores);
}
// Attention of `count` query vectors, at most query_group, of one key-value head. keys [panels][head_dim][16] and values
// [keys][stride] start at the same key, which queries' begin and end count from; scores is scratch [count][panels · 16].
inline void attend(Isa isa, const Query* queries, std::size_t count, const float* keys, const float* values, std::size_t stride,
                   std::size_t head_dim, float scale, float* scores) {
    std::size_t begin = queries[0].begin, end = queries[0].end;
    for (std::size_t n = 1; n < count; ++n) begin = std::min(begin, queries[n].begin), end = std::max(end, queries[n].end);
    const std::size_t panels = (end + 15) / 16;
#if defined(__x86_64__)
    if (isa >= Isa::avx2) {
        while (count > 0) {
            const std::size_t n = next_queries(count);
            with_query_count(n, [&]<std::size_t Count>() {
                (isa >= Isa::avx512 ? attend_avx512<Count> : attend_avx2<Count>)(queries, keys, values, stride, panels, begin, end, head_dim, scale, scores);
            });
            queries += n, count -= n;
        }
        return;
    }
#endif
    (void)isa;
    attend_generic(queries, count, keys, values, stride, panels, begin, end, head_dim, scale, scores);
}

}  // namespace morsel::detail
