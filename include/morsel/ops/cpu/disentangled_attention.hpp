// Disentangled attention of the CPU device (DeBERTa, He et al. 2020, arXiv:2006.03654, equation 4): to the score of a query and a key
// come the products of the query with a vector for their distance, and of the key with another.
// Distances are i - j only, so both terms of one head are a band: row u of it is what key slot - query slot + center = u takes.
// For a few queries and all keys only as many rows of the band as there are keys are read, in the order of the keys: no buffer of
// queries x distances, no gather. Keys lie at their positions; slots between them that no token has are hidden.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "morsel/ops/cpu/attention_kernels.hpp"
#include "morsel/ops/cpu/encoder_attention.hpp"

namespace morsel {

namespace detail {

// What one head adds to scores, rows in the order of u.
struct PositionBand {
    const float* keys = nullptr;     // [panels][head_dim][16], met by queries; or null
    const float* queries = nullptr;  // [head_dim][stride], met by keys; or null
    std::size_t stride = 0;
};

// Adds the band's terms to scores [count][panels · 16] of keys [panels][head_dim][16]; from[n] is the u of query n and key slot 0.
// found [count][found_stride] is scratch: products of queries and band rows from `first` on, a multiple of 16.
[[gnu::always_inline]] inline void add_band_plain(const Query* queries, std::size_t count, const std::size_t* from, const PositionBand& band,
                                                  const float* keys, std::size_t panels, std::size_t head_dim, std::size_t first,
                                                  std::size_t found_panels, float* found, float* scores) {
    if (band.keys != nullptr) {
        scores_plain(queries, count, band.keys + first * head_dim, found_panels, head_dim, found);
        for (std::size_t n = 0; n < count; ++n)
            for (std::size_t t = 0; t < panels * 16; ++t) scores[n * panels * 16 + t] += found[n * found_panels * 16 + from[n] - first + t];
    }
    if (band.queries == nullptr) return;
    for (std::size_t n = 0; n < count; ++n) {
        for (std::size_t p = 0; p < panels; ++p) {
            float sum[16] = {};
            for (std::size_t j = 0; j < head_dim; ++j) {
                const float* key = keys + (p * head_dim + j) * 16;
                const float* query = band.queries + j * band.stride + from[n] + p * 16;
                for (std::size_t i = 0; i < 16; ++i) sum[i] += key[i] * query[i];
            }
            for (std::size_t i = 0; i < 16; ++i) scores[(n * panels + p) * 16 + i] += sum[i];
        }
    }
}

// Slots that no token has: never seen.
[[gnu::always_inline]] inline void hide(const std::uint8_t* shown, std::size_t count, std::size_t padded, float* scores) {
    for (std::size_t n = 0; n < count; ++n)
        for (std::size_t t = 0; t < padded; ++t) scores[n * padded + t] = shown[t] != 0 ? scores[n * padded + t] : -1e30f;
}

// Everything of one call: queries of one head and where they are.
struct DisentangledCall {
    Query queries[query_group];
    std::size_t from[query_group] = {};
    std::size_t count = 0;
    PositionBand band;
    const float* keys = nullptr;         // [panels][head_dim][16]
    const float* values = nullptr;       // [keys][stride]
    std::size_t stride = 0, panels = 0, head_dim = 0;
    const std::uint8_t* shown = nullptr;  // [panels · 16], or null where all slots up to the queries' end are shown
    float scale = 0;
    float* scores = nullptr;             // [count][panels · 16]
    float* found = nullptr;              // scratch

    std::size_t first() const { return *std::min_element(from, from + count) / 16 * 16; }
    // Panels of the band that the queries meet.
    std::size_t found_panels() const { return (*std::max_element(from, from + count) + panels * 16 - first() + 15) / 16; }
};

[[gnu::always_inline]] inline void disentangled_plain(const DisentangledCall& c) {
    const std::size_t padded = c.panels * 16;
    scores_plain(c.queries, c.count, c.keys, c.panels, c.head_dim, c.scores);
    add_band_plain(c.queries, c.count, c.from, c.band, c.keys, c.panels, c.head_dim, c.first(), c.found_panels(), c.found, c.scores);
    if (c.shown != nullptr) hide(c.shown, c.count, padded, c.scores);
    float factor[query_group];
    for (std::size_t n = 0; n < c.count; ++n) factor[n] = softmax(c.scores + n * padded, 0, c.queries[n].end, padded, c.scale);
    weighted_plain(c.queries, c.count, c.values, c.stride, c.scores, padded, 0, c.queries[0].end, c.head_dim, factor);
}
inline void disentangled_generic(const DisentangledCall& call) { disentangled_plain(call); }

#if defined(__x86_64__)
template <std::size_t Count>
[[gnu::target("avx2,fma")]] void disentangled_avx2(const DisentangledCall& c) {
    const std::size_t padded = c.panels * 16, first = c.first(), found_panels = c.band.keys != nullptr ? c.found_panels() : 0;
    all_scores_avx2<Count>(c.queries, c.keys, c.panels, c.head_dim, c.scores);
    if (found_panels > 0) all_scores_avx2<Count>(c.queries, c.band.keys + first * c.head_dim, found_panels, c.head_dim, c.found);
    for (std::size_t p = 0; p < c.panels; ++p) {
        __m256 sum[Count][2];
#pragma GCC unroll 6
        for (std::size_t n = 0; n < Count; ++n) {
#pragma GCC unroll 2
            for (std::size_t h = 0; h < 2; ++h) {
                sum[n][h] = _mm256_loadu_ps(c.scores + n * padded + p * 16 + h * 8);
                if (found_panels > 0) sum[n][h] = _mm256_add_ps(sum[n][h], _mm256_loadu_ps(c.found + n * found_panels * 16 + c.from[n] - first + p * 16 + h * 8));
            }
        }
        if (c.band.queries != nullptr) {
            const float* key = c.keys + p * c.head_dim * 16;
            const float* query = c.band.queries + p * 16;
            for (std::size_t j = 0; j < c.head_dim; ++j, key += 16, query += c.band.stride) {
                const __m256 k[2] = {_mm256_loadu_ps(key), _mm256_loadu_ps(key + 8)};
#pragma GCC unroll 6
                for (std::size_t n = 0; n < Count; ++n) {
#pragma GCC unroll 2
                    for (std::size_t h = 0; h < 2; ++h) sum[n][h] = _mm256_fmadd_ps(k[h], _mm256_loadu_ps(query + c.from[n] + h * 8), sum[n][h]);
                }
            }
        }
#pragma GCC unroll 6
        for (std::size_t n = 0; n < Count; ++n) {
#pragma GCC unroll 2
            for (std::size_t h = 0; h < 2; ++h) _mm256_storeu_ps(c.scores + n * padded + p * 16 + h * 8, sum[n][h]);
        }
    }
    if (c.shown != nullptr) hide(c.shown, Count, padded, c.scores);
    float factor[Count];
    for (std::size_t n = 0; n < Count; ++n) factor[n] = softmax_avx2(c.scores + n * padded, 0, c.queries[n].end, padded, c.scale);
    all_weighted_avx2<Count>(c.queries, c.values, c.stride, c.scores, padded, 0, c.queries[0].end, c.head_dim, factor);
}

template <std::size_t Count>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] void disentangled_avx512(const DisentangledCall& c) {
    const std::size_t padded = c.panels * 16, first = c.first(), found_panels = c.band.keys != nullptr ? c.found_panels() : 0;
    const auto all_scores = [&](const float* keys, std::size_t panels, float* out) __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))) {
        std::size_t p = 0;
        for (; p + 2 <= panels; p += 2) score_panels_avx512<Count, 2>(c.queries, keys + p * c.head_dim * 16, c.head_dim, panels * 16, out + p * 16);
        if (p < panels) score_panels_avx512<Count, 1>(c.queries, keys + p * c.head_dim * 16, c.head_dim, panels * 16, out + p * 16);
    };
    all_scores(c.keys, c.panels, c.scores);
    if (found_panels > 0) all_scores(c.band.keys + first * c.head_dim, found_panels, c.found);
    for (std::size_t p = 0; p < c.panels; ++p) {
        __m512 sum[Count];
#pragma GCC unroll 6
        for (std::size_t n = 0; n < Count; ++n) {
            sum[n] = _mm512_loadu_ps(c.scores + n * padded + p * 16);
            if (found_panels > 0) sum[n] = _mm512_add_ps(sum[n], _mm512_loadu_ps(c.found + n * found_panels * 16 + c.from[n] - first + p * 16));
        }
        if (c.band.queries != nullptr) {
            const float* key = c.keys + p * c.head_dim * 16;
            const float* query = c.band.queries + p * 16;
            for (std::size_t j = 0; j < c.head_dim; ++j, key += 16, query += c.band.stride) {
                const __m512 k = _mm512_loadu_ps(key);
#pragma GCC unroll 6
                for (std::size_t n = 0; n < Count; ++n) sum[n] = _mm512_fmadd_ps(k, _mm512_loadu_ps(query + c.from[n]), sum[n]);
            }
        }
#pragma GCC unroll 6
        for (std::size_t n = 0; n < Count; ++n) _mm512_storeu_ps(c.scores + n * padded + p * 16, sum[n]);
    }
    if (c.shown != nullptr) hide(c.shown, Count, padded, c.scores);
    float factor[Count];
    for (std::size_t n = 0; n < Count; ++n) factor[n] = softmax_avx512(c.scores + n * padded, 0, c.queries[n].end, padded, c.scale);
    const std::size_t vectors = (c.head_dim + 15) / 16, end = c.queries[0].end;
    std::size_t v = 0;
    for (; v + 4 <= vectors; v += 4) weighted_vectors_avx512<Count, 4>(c.queries, c.values, c.stride, c.scores, padded, 0, end, v * 16, c.head_dim, factor);
    if (v + 2 <= vectors) weighted_vectors_avx512<Count, 2>(c.queries, c.values, c.stride, c.scores, padded, 0, end, v * 16, c.head_dim, factor), v += 2;
    if (v < vectors) weighted_vectors_avx512<Count, 1>(c.queries, c.values, c.stride, c.scores, padded, 0, end, v * 16, c.head_dim, factor);
}
#endif

inline void attend_disentangled(Isa isa, const DisentangledCall& call) {
#if defined(__x86_64__)
    if (isa >= Isa::avx2) {
        DisentangledCall part = call;
        for (std::size_t done = 0; done < call.count; done += part.count) {
            part.count = next_queries(call.count - done);
            std::copy_n(call.queries + done, part.count, part.queries);
            std::copy_n(call.from + done, part.count, part.from);
            with_query_count(part.count, [&]<std::size_t Count>() { (isa >= Isa::avx512 ? disentangled_avx512<Count> : disentangled_avx2<Count>)(part); });
        }
        return;
    }
#endif
    (void)isa;
    disentangled_generic(call);
}

// One head of a position table [rows, stride] as a band for keys of up to `longest` slots: row u is for the distance
// longest - 1 - u. `interleaved`: [u / 16][head_dim][16], else [head_dim][size]. Rows without a distance are zero; size is a multiple of 16.
inline void lay_band(Isa isa, const float* table, std::size_t stride, std::span<const std::uint32_t> row_of_distance, std::size_t head_dim,
                     bool interleaved, std::size_t size, float* band) {
    constexpr std::size_t widest = 128;  // head_dim that is transposed in vectors
    const std::size_t distances = row_of_distance.size();
    const auto row = [&](std::size_t u) { return u < distances ? table + row_of_distance[distances - 1 - u] * stride : nullptr; };
    if (head_dim % 16 == 0 && head_dim <= widest) {
        alignas(64) float rows[16 * widest], columns[16 * widest];
        for (std::size_t u = 0; u < size; u += 16) {
            for (std::size_t r = 0; r < 16; ++r) {
                const float* from = row(u + r);
                if (from != nullptr)
                    std::copy_n(from, head_dim, rows + r * head_dim);
                else
                    std::fill_n(rows + r * head_dim, head_dim, 0.0f);
            }
            pack_rows(isa, rows, 16, head_dim, head_dim, 16, interleaved ? band + u * head_dim : columns);
            for (std::size_t j = 0; !interleaved && j < head_dim; ++j) std::copy_n(columns + j * 16, 16, band + j * size + u);
        }
        return;
    }
    for (std::size_t u = 0; u < size; ++u) {
        const float* from = row(u);
        for (std::size_t j = 0; j < head_dim; ++j) band[interleaved ? (u / 16 * head_dim + j) * 16 + u % 16 : j * size + u] = from != nullptr ? from[j] : 0.0f;
    }
}

}  // namespace detail

// qkv [rows, qkv_width], positions [rows] ascending within a segment; out [rows, n_heads · head_dim]. n_kv_heads is n_heads.
inline void disentangled_attention(Cpu& device, const float* qkv, const AttentionShape& shape, std::span<const Segment> segments,
                                   std::span<const TokenId> positions, const PositionTables& tables, float* out) {
    const std::size_t d = shape.head_dim, width = shape.qkv_width(), padded = (d + 15) / 16 * 16, table_width = shape.n_heads * d;
    const std::size_t longest = (tables.row_of_distance.size() + 1) / 2;  // slots
    const std::size_t keys_size = (longest + 15) / 16 * 16, band_size = (2 * longest + 31) / 16 * 16 + 16;
    const std::size_t items = shape.n_heads * segments.size();  // head after head, so that a thread lays out few bands
    device.pool().split(items, 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
        float* keys = device.scratch(Cpu::shared_scratches + thread, keys_size * (d + padded + detail::query_group + 1) + band_size * (2 * d + detail::query_group));
        float* values = keys + keys_size * d;
        float* scores = values + keys_size * padded;
        auto* shown = reinterpret_cast<std::uint8_t*>(scores + keys_size * detail::query_group);
        float* band_keys = scores + keys_size * (detail::query_group + 1);
        float* band_queries = band_keys + band_size * d;
        detail::DisentangledCall call;
        call.keys = keys, call.values = values, call.stride = padded, call.head_dim = d, call.scale = shape.scale, call.scores = scores;
        call.found = band_queries + band_size * d;
        std::size_t laid = shape.n_heads;  // whose band there is
        for (std::size_t item = begin; item < end; ++item) {
            const std::size_t head = item / segments.size();
            const Segment& s = segments[item % segments.size()];
            if (s.row_count == 0) continue;
            if (laid != head) {
                if (tables.keys != nullptr) detail::lay_band(device.isa(), tables.keys + head * d, table_width, tables.row_of_distance, d, true, band_size, band_keys);
                if (tables.queries != nullptr) detail::lay_band(device.isa(), tables.queries + head * d, table_width, tables.row_of_distance, d, false, band_size, band_queries);
                call.band = {tables.keys != nullptr ? band_keys : nullptr, tables.queries != nullptr ? band_queries : nullptr, band_size};
                laid = head;
            }
            const TokenId* position = positions.data() + s.row_begin;
            const std::size_t slots = position[s.row_count - 1] - position[0] + std::size_t{1};
            const float* rows = qkv + s.row_begin * width;
            const float* key = rows + (shape.n_heads + head) * d;
            const float* value = key + shape.n_heads * d;
            call.panels = (slots + 15) / 16;
            if (slots == s.row_count) {
                detail::pack_keys(device.isa(), key, slots, width, d, keys);
                detail::pack_values(value, slots, width, d, values);
                call.shown = nullptr;
            } else {
                std::fill_n(keys, call.panels * 16 * d, 0.0f);
                std::fill_n(values, call.panels * 16 * padded, 0.0f);
                std::fill_n(shown, call.panels * 16, std::uint8_t{0});
                for (std::size_t row = 0; row < s.row_count; ++row) {
                    const std::size_t slot = position[row] - position[0];
                    for (std::size_t j = 0; j < d; ++j) keys[(slot / 16 * d + j) * 16 + slot % 16] = key[row * width + j];
                    std::copy_n(value + row * width, d, values + slot * padded);
                    shown[slot] = 1;
                }
                call.shown = shown;
            }
            for (std::size_t row = 0; row < s.row_count; ++row) {
                call.queries[call.count] = {rows + row * width + head * d, out + ((s.row_begin + row) * shape.n_heads + head) * d, 0, slots};
                call.from[call.count++] = longest - 1 - (position[row] - position[0]);
                if (call.count < detail::query_group && row + 1 < s.row_count) continue;
                detail::attend_disentangled(device.isa(), call);
                call.count = 0;
            }
        }
    });
}

}  // namespace morsel
