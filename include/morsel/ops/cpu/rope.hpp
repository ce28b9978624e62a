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
    std::vector<float> cosine_sine;        // [positions][2][rotary_dim / 2]
};

// inverse_frequency [rotary_dim / 2]; empty: no rotation. `positions`: how many to compute now.
inline RopeTable<Cpu> make_rope_table(Cpu&, std::span<const float> inverse_frequency, float scaling = 1.0f, std::size_t positions = 0) {
    const std::size_t half = inverse_frequency.size();
    RopeTable<Cpu> table{{inverse_frequency.begin(), inverse_frequency.end()}, scaling, positions, std::vector<float>(positions * 2 * half)};
    float* to = table.cosine_sine.data();
    for (std::size_t position = 0; position < positions; ++position, to += 2 * half) {
        for (std::size_t j = 0; j < half; ++j) {
            const float angle = static_cast<float>(position) * inverse_frequency[j];
            to[j] = std::cos(angle) * scaling, to[half + j] = std::sin(angle) * scaling;
        }
    }
    return table;
}

// Keys and values of earlier tokens. Grows as positions are written; a slot is one sequence.
template <>
struct KvCache<Cpu> {
    std::size_t layers = 0, slots = 0, n_kv_heads = 0, head_dim = 0;
    // Of one layer and slot.
    struct Pages {
        std::size_t capacity = 0;  // positions, a multiple of 16
        CpuBuffer keys;            // [n_kv_heads][capacity / 16][head_dim][16]: scores of 16 keys need no horizontal sum
        CpuBuffer values;          // [n_kv_heads][capacity][head_dim]
    };
    std::vector<Pages> pages;      // [layers][slots]
    Pages& at(std::size_t layer, std::size_t slot) { return pages[layer * slots + slot]; }
    const Pages& at(std::size_t layer, std::size_t slot) const { return pages[layer * slots + slot]; }

    // Makes room for `positions`, keeping what is there.
    void reserve(std::size_t layer, std::size_t slot, std::size_t positions) {
        Pages& old = at(layer, slot);
        if (positions <= old.capacity) return;
        const std::size_t capacity = (std::max(positions, old.capacity * 2) + 15) / 16 * 16;
        Pages grown{capacity, CpuBuffer(n_kv_heads * capacity * head_dim), CpuBuffer(n_kv_heads * capacity * head_dim)};
        const std::size_t from = old.capacity * head_dim, to = capacity * head_dim;  // floats per head
        for (std::size_t head = 0; head < n_kv_heads; ++head) {
            if (from > 0) {
                std::copy_n(old.keys.data() + head * from, from, grown.keys.data() + head * to);
                std::copy_n(old.values.data() + head * from, from, grown.values.data() + head * to);
            }
            std::fill_n(grown.keys.data() + head * to + from, to - from, 0.0f);
            std::fill_n(grown.values.data() + head * to + from, to - from, 0.0f);
        }
        old = std::move(grown);
    }
};

// A cache for `slots` sequences, with room for `capacity` positions each at first.
inline KvCache<Cpu> make_kv_cache(Cpu&, std::size_t layers, std::size_t slots, std::size_t capacity, std::size_t n_kv_heads, std::size_t head_dim) {
    KvCache<Cpu> cache{layers, slots, n_kv_heads, head_dim, std::vector<KvCache<Cpu>::Pages>(layers * slots)};
    for (std::size_t layer = 0; layer < layers; ++layer) {
        for (std::size_t slot = 0; slot < slots; ++slot) cache.reserve(layer, slot, capacity);
    }
    return cache;
}

// Normalises (where the shape has norms) and rotates the query heads of qkv [rows, qkv_width] in place, and writes the rotated
// keys and the values to `layer` of the cache.
inline void rope_and_cache(Cpu& device, float* qkv, const AttentionShape& shape, const RopeTable<Cpu>& table,
                           std::span<const Segment> segments, KvCache<Cpu>& cache, std::size_t layer) {
    const std::size_t d = shape.head_dim;
    for (const Segment& segment : segments) {
        cache.reserve(layer, segment.slot, segment.past + segment.row_count);
        KvCache<Cpu>::Pages& pages = cache.at(layer, segment.slot);
        for (std::size_t i = 0; i < segment.row_count; ++i) {
            const std::size_t position = segment.past + i;
            float* row = qkv + (segment.row_begin + i) * shape.qkv_width();
            for (std::size_t head = 0; head < shape.n_heads + shape.n_kv_heads; ++head) {
                const float* gain = head < shape.n_heads ? shape.q_norm : shape.k_norm;
                if (gain != nullptr) rms_norm(device, row + head * d, gain, shape.eps, 1, d, row + head * d);
                reference::rope(row + head * d, position, table.inverse_frequency, table.scaling);
            }
            for (std::size_t head = 0; head < shape.n_kv_heads; ++head) {
                const float* key = row + (shape.n_heads + head) * d;
                float* panel = pages.keys.data() + (head * pages.capacity + position / 16 * 16) * d + position % 16;
                for (std::size_t j = 0; j < d; ++j) panel[j * 16] = key[j];
                std::copy_n(key + shape.n_kv_heads * d, d, pages.values.data() + (head * pages.capacity + position) * d);
            }
        }
    }
}

}  // namespace morsel
