// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) in Hugging Face's half-split form, the key-value cache, and the
// step that fills it. Angle, sine and cosine are f32, as the reference computes them.
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "morsel/ops/cpu/norm.hpp"

namespace morsel {

// Cosines and sines of the rotation, times the attention scaling, of positions [0, positions); later ones are computed per call.
template <>
struct RopeTable<Cpu> {
    std::vector<float> inverse_frequency;  // [rotary_dim / 2]
    float scaling = 1;                     // longrope and yarn multiply cosine and sine by it
    std::size_t positions = 0;
    std::vector<float> cosine_sine;  // [positions][2][rotary_dim / 2]

    // Cosines, then sines, of one position: out [2][rotary_dim / 2].
    void compute(std::size_t position, float* out) const {
        const std::size_t half = inverse_frequency.size();
        for (std::size_t j = 0; j < half; ++j) {
            const float angle = static_cast<float>(position) * inverse_frequency[j];
            out[j] = std::cos(angle) * scaling, out[half + j] = std::sin(angle) * scaling;
        }
    }
};

// inverse_frequency [rotary_dim / 2]; empty: no rotation. `positions`: how many to compute now.
inline RopeTable<Cpu> make_rope_table(Cpu&, std::span<const float> inverse_frequency, float scaling = 1.0f, std::size_t positions = 2048) {
    const std::size_t half = inverse_frequency.size();
    RopeTable<Cpu> table{
        {inverse_frequency.begin(), inverse_frequency.end()}, scaling, positions, std::vector<float>(positions * 2 * half)};
    for (std::size_t position = 0; position < positions; ++position)
        table.compute(position, table.cosine_sine.data() + position * 2 * half);
    return table;
}

// Keys and values of earlier tokens. Grows as positions are written; a slot is one sequence.
template <>
struct KvCache<Cpu> {
    std::size_t layers = 0, slots = 0, n_kv_heads = 0, head_dim = 0;
    // Of one slot. 16 keys lie interleaved, so that their scores need no horizontal sum.
    struct Pages {
        std::size_t capacity = 0;  // positions, a multiple of 16
        CpuBuffer keys;            // [layers][n_kv_heads][capacity / 16][head_dim][16]
        CpuBuffer values;          // [layers][n_kv_heads][capacity][value_stride()]
    };
    std::vector<Pages> pages;  // [slots]
    std::size_t value_stride() const { return (head_dim + 15) / 16 * 16; }

    // Of one layer and head: [capacity / 16][head_dim][16], and [capacity][value_stride()].
    float* keys(std::size_t layer, std::size_t slot, std::size_t head) {
        return pages[slot].keys.data() + (layer * n_kv_heads + head) * pages[slot].capacity * head_dim;
    }
    float* values(std::size_t layer, std::size_t slot, std::size_t head) {
        return pages[slot].values.data() + (layer * n_kv_heads + head) * pages[slot].capacity * value_stride();
    }
    const float* keys(std::size_t layer, std::size_t slot, std::size_t head) const {
        return const_cast<KvCache*>(this)->keys(layer, slot, head);
    }
    const float* values(std::size_t layer, std::size_t slot, std::size_t head) const {
        return const_cast<KvCache*>(this)->values(layer, slot, head);
    }

    // Makes room for `positions` of a slot, keeping what is there.
    void reserve(std::size_t slot, std::size_t positions) {
        Pages& old = pages[slot];
        if (positions <= old.capacity) return;
        const std::size_t capacity = (std::max({positions, old.capacity * 2, std::size_t{64}}) + 15) / 16 * 16, heads = layers * n_kv_heads;
        Pages grown{capacity, CpuBuffer(heads * capacity * head_dim), CpuBuffer(heads * capacity * value_stride())};
        const auto move_heads = [&](const CpuBuffer& from, CpuBuffer& to, std::size_t per_position) {
            const std::size_t kept = old.capacity * per_position, size = capacity * per_position;  // floats per head
            for (std::size_t head = 0; head < heads; ++head) {
                if (kept > 0) std::copy_n(from.data() + head * kept, kept, to.data() + head * size);
                std::fill_n(to.data() + head * size + kept, size - kept, 0.0f);
            }
        };
        move_heads(old.keys, grown.keys, head_dim);
        move_heads(old.values, grown.values, value_stride());
        old = std::move(grown);
    }
};

// A cache for `slots` sequences, with room for `capacity` positions each at first.
inline KvCache<Cpu> make_kv_cache(Cpu&, std::size_t layers, std::size_t slots, std::size_t capacity, std::size_t n_kv_heads,
                                  std::size_t head_dim) {
    KvCache<Cpu> cache;
    cache.layers = layers, cache.slots = slots, cache.n_kv_heads = n_kv_heads, cache.head_dim = head_dim;
    cache.pages.resize(slots);
    for (std::size_t slot = 0; slot < slots; ++slot) cache.reserve(slot, capacity);
    return cache;
}

namespace detail {

// Rotates one head [head_dim]: pairs (j, j + half); cosine and sine [half].
inline void rotate(float* head, const float* cosine, const float* sine, std::size_t half) {
    for (std::size_t j = 0; j < half; ++j) {
        const float a = head[j], b = head[j + half];
        head[j] = a * cosine[j] - b * sine[j];
        head[j + half] = b * cosine[j] + a * sine[j];
    }
}

}  // namespace detail

// Normalises (where the shape has norms) and rotates the query and key heads of qkv [rows, qkv_width] in place, and writes keys and
// values to `layer` of the cache.
inline void rope_and_cache(Cpu& device, float* qkv, const AttentionShape& shape, const RopeTable<Cpu>& table,
                           std::span<const Segment> segments, KvCache<Cpu>& cache, std::size_t layer) {
    const std::size_t d = shape.head_dim, half = table.inverse_frequency.size(), heads = shape.n_heads + shape.n_kv_heads;
    for (const Segment& segment : segments) {
        cache.reserve(segment.slot, segment.past + segment.row_count);
        // Rows of one panel of keys go to one thread: neighbours would share cache lines.
        device.pool().split(segment.row_count, 16, [&](std::size_t begin, std::size_t end, unsigned thread) {
            for (std::size_t i = begin; i < end; ++i) {
                const std::size_t position = segment.past + i;
                float* row = qkv + (segment.row_begin + i) * shape.qkv_width();
                const float* cosine = table.cosine_sine.data() + position * 2 * half;
                if (position >= table.positions && half > 0) {
                    float* computed = device.scratch(Cpu::shared_scratches + thread, 2 * half);
                    table.compute(position, computed);
                    cosine = computed;
                }
                for (std::size_t head = 0; head < heads; ++head) {
                    const float* gain = head < shape.n_heads ? shape.q_norm : shape.k_norm;
                    if (gain != nullptr) detail::rms_norm_one(device.isa(), row + head * d, gain, shape.eps, d, row + head * d);
                    detail::rotate(row + head * d, cosine, cosine + half, half);
                }
                for (std::size_t head = 0; head < shape.n_kv_heads; ++head) {
                    const float* key = row + (shape.n_heads + head) * d;
                    float* panel = cache.keys(layer, segment.slot, head) + position / 16 * 16 * d + position % 16;
                    for (std::size_t j = 0; j < d; ++j) panel[j * 16] = key[j];
                    std::copy_n(key + shape.n_kv_heads * d, d, cache.values(layer, segment.slot, head) + position * cache.value_stride());
                }
            }
        });
    }
}

}  // namespace morsel
