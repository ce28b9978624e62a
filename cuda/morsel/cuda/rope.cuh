// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) in Hugging Face's half-split form on the GPU, the key-value cache, and the
// kernel that fills it. Cosines and sines come from a table that the host computes in f32, as the reference does; it grows with the
// positions. For decoding this is part of the attention kernel (decode_attention.cuh).
#pragma once
#include <cmath>
#include <memory>
#include <mutex>
#include <vector>

#include "morsel/cuda/block.cuh"
#include "morsel/cuda/device.cuh"

namespace morsel {

// Cosines and sines of the rotation, times the attention scaling.
template <>
struct RopeTable<Cuda> {
    struct Table {
        std::vector<float> inverse_frequency;  // [rotary_dim / 2]
        float scaling = 1;
        std::size_t positions = 0;
        std::vector<CudaBuffer> cosine_sine;  // the last: [positions][2][rotary_dim / 2]; other devices may still use those before it
        std::mutex growing;
    };
    std::shared_ptr<Table> table;  // grows on demand

    std::size_t half() const { return table == nullptr ? 0 : table->inverse_frequency.size(); }
    // The table with at least that many positions, [positions][2][half()]. Several devices may ask at once.
    const float* reserve(Cuda& device, std::size_t positions) const {
        Table& t = *table;
        if (half() == 0) return nullptr;
        const std::lock_guard lock(t.growing);
        if (positions > t.positions) {
            const std::size_t grown = std::max(positions, t.positions * 2);
            std::vector<float> values(grown * 2 * half());
            for (std::size_t position = 0; position < grown; ++position)
                for (std::size_t j = 0; j < half(); ++j) {
                    const float angle = static_cast<float>(position) * t.inverse_frequency[j];
                    float* row = values.data() + position * 2 * half();
                    row[j] = std::cos(angle) * t.scaling, row[half() + j] = std::sin(angle) * t.scaling;
                }
            CudaBuffer buffer(values.size());
            upload(device, values, buffer.data());
            t.cosine_sine.push_back(std::move(buffer));
            t.positions = grown;
        }
        return t.cosine_sine.back().data();
    }
};

// inverse_frequency [rotary_dim / 2]; empty: no rotation. `positions`: how many to compute now.
inline RopeTable<Cuda> make_rope_table(Cuda& device, std::span<const float> inverse_frequency, float scaling = 1.0f, std::size_t positions = 2048) {
    RopeTable<Cuda> rope{std::make_shared<RopeTable<Cuda>::Table>()};
    rope.table->inverse_frequency.assign(inverse_frequency.begin(), inverse_frequency.end());
    rope.table->scaling = scaling;
    rope.reserve(device, positions);
    return rope;
}

// Keys and values of earlier tokens, bf16 or f32. Grows as positions are written; a slot is one sequence.
template <>
struct KvCache<Cuda> {
    std::size_t layers = 0, slots = 0, n_kv_heads = 0, head_dim = 0;
    DType type = DType::bf16;
    struct Pages {
        std::size_t capacity = 0;    // positions
        detail::DeviceBytes memory;  // [layers][keys, values][n_kv_heads][capacity][head_dim]
    };
    std::vector<Pages> pages;  // [slots]

    std::size_t position_bytes() const { return head_dim * (type == DType::f32 ? 4 : 2); }
    std::size_t strips() const { return layers * 2 * n_kv_heads; }
    // Of one layer: [n_kv_heads][capacity][head_dim].
    std::uint8_t* keys(std::size_t layer, std::size_t slot) const { return pages[slot].memory.get() + layer * 2 * n_kv_heads * pages[slot].capacity * position_bytes(); }
    std::uint8_t* values(std::size_t layer, std::size_t slot) const { return pages[slot].memory.get() + (layer * 2 + 1) * n_kv_heads * pages[slot].capacity * position_bytes(); }

    // Makes room for `positions` of a slot, keeping what is there.
    void reserve(Cuda& device, std::size_t slot, std::size_t positions) {
        Pages& old = pages[slot];
        if (positions <= old.capacity) return;
        Pages grown;
        grown.capacity = (std::max(positions, old.capacity * 2) + 63) / 64 * 64;
        grown.memory = detail::allocate_device(strips() * grown.capacity * position_bytes());
        if (old.capacity > 0)
            detail::check_cuda(cudaMemcpy2DAsync(grown.memory.get(), grown.capacity * position_bytes(), old.memory.get(), old.capacity * position_bytes(), old.capacity * position_bytes(),
                                                 strips(), cudaMemcpyDeviceToDevice, device.stream()),
                               "kv cache");
        device.synchronize();
        old = std::move(grown);
    }
};

// Positions that a segment's step may be run for: while the device reads its position from `step`, all that its slot has room for.
inline std::size_t positions_of(const Cuda& device, const KvCache<Cuda>& cache, const Segment& s) { return device.step != nullptr ? cache.pages[s.slot].capacity : s.past + s.row_count; }

// A cache for `slots` sequences, with room for `capacity` positions each at first.
inline KvCache<Cuda> make_kv_cache(Cuda& device, std::size_t layers, std::size_t slots, std::size_t capacity, std::size_t n_kv_heads, std::size_t head_dim) {
    KvCache<Cuda> cache;
    cache.layers = layers, cache.slots = slots, cache.n_kv_heads = n_kv_heads, cache.head_dim = head_dim;
    cache.type = device.precision() == CudaPrecision::f32 ? DType::f32 : DType::bf16;
    cache.pages.resize(slots);
    for (std::size_t slot = 0; slot < slots; ++slot) cache.reserve(device, slot, capacity);
    return cache;
}

namespace kernels {

// A Segment as kernels need it, with its slot's keys and values of one layer, each [n_kv_heads][capacity][head_dim].
struct CachedSegment {
    unsigned row_begin = 0, row_count = 0, past = 0, capacity = 0;
    std::uint8_t *keys = nullptr, *values = nullptr;
    const CudaStep* step = nullptr;  // gives `past` where it is not null

    __device__ unsigned position_of(unsigned row) const { return (step != nullptr ? step->past : past) + row - row_begin; }
};
inline constexpr unsigned most_segments = 16;  // a launch takes so many
struct SegmentTable {
    unsigned count = 0, rows = 0;  // rows from the first segment's row_begin
    CachedSegment segments[most_segments];

    __device__ const CachedSegment& of_row(unsigned row) const {
        unsigned s = 0;
        while (s + 1 < count && row >= segments[s].row_begin + segments[s].row_count) ++s;
        return segments[s];
    }
};

// The sizes of an AttentionShape as kernels need them.
struct Heads {
    unsigned n_heads = 0, n_kv_heads = 0, head_dim = 0, window = 0;
    float scale = 0, eps = 0;
    const float *q_norm = nullptr, *k_norm = nullptr;  // [head_dim] or null
    __device__ unsigned qkv_width() const { return (n_heads + 2 * n_kv_heads) * head_dim; }
};

// One element of keys and values.
__device__ inline float read_cached(const float* at) { return *at; }
__device__ inline float read_cached(const bf16* at) { return ptx::low_bf16(at->bits); }
__device__ inline void write_cached(float* at, float value) { *at = value; }
__device__ inline void write_cached(bf16* at, float value) { at->bits = static_cast<std::uint16_t>(ptx::pack_bf16(value, 0.0f)); }

// One warp a head of one row: normalises (where there are norms) and rotates query and key heads in place, and writes keys and values
// to the cache. cosine_sine [positions][2][half].
template <class KV>
__global__ void rope_and_cache(float* qkv, const Heads h, const SegmentTable table, const float* cosine_sine, unsigned half) {
    ptx::take_turn();
    const unsigned row = table.segments[0].row_begin + blockIdx.x, lane = threadIdx.x % 32, d = h.head_dim;
    const unsigned head = blockIdx.y * (blockDim.x / 32) + threadIdx.x / 32;
    if (head >= h.n_heads + 2 * h.n_kv_heads) return;
    const CachedSegment& segment = table.of_row(row);
    const unsigned position = segment.position_of(row);
    float* x = qkv + std::size_t{row} * h.qkv_width() + head * d;
    const bool key = head >= h.n_heads && head < h.n_heads + h.n_kv_heads, value = head >= h.n_heads + h.n_kv_heads;
    if (!value) {
        const float* gain = key ? h.k_norm : h.q_norm;
        float scale = 1;
        if (gain != nullptr) {
            float squares = 0;
            for (unsigned i = lane; i < d; i += 32) squares += x[i] * x[i];
            scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(d) + h.eps);
            for (unsigned i = lane; i < d; i += 32) x[i] = x[i] * scale * gain[i];
            __syncwarp();
        }
        const float* cosine = cosine_sine + std::size_t{position} * 2 * half;
        for (unsigned j = lane; j < half; j += 32) {
            const float a = x[j], b = x[j + half];
            x[j] = a * cosine[j] - b * cosine[half + j];
            x[j + half] = b * cosine[j] + a * cosine[half + j];
        }
        __syncwarp();
    }
    if (!key && !value) return;
    const unsigned kv = head - h.n_heads - (value ? h.n_kv_heads : 0);
    auto* to = reinterpret_cast<KV*>(value ? segment.values : segment.keys) + (std::size_t{kv} * segment.capacity + position) * d;
    for (unsigned i = lane; i < d; i += 32) write_cached(to + i, x[i]);
}

}  // namespace kernels

namespace detail {

inline kernels::Heads heads_of(const AttentionShape& shape) {
    return {static_cast<unsigned>(shape.n_heads), static_cast<unsigned>(shape.n_kv_heads), static_cast<unsigned>(shape.head_dim), static_cast<unsigned>(shape.window), shape.scale, shape.eps,
            shape.q_norm, shape.k_norm};
}

inline bool has_fast_attention(std::size_t head_dim) { return head_dim == 32 || head_dim == 64 || head_dim == 80 || head_dim == 96 || head_dim == 128; }

// Calls f.operator()<D>() for a head size that the fast kernels have; false for another.
template <class F>
bool with_head_dim(std::size_t head_dim, F&& f) {
    switch (head_dim) {
        case 32: return f.template operator()<32>(), true;
        case 64: return f.template operator()<64>(), true;
        case 80: return f.template operator()<80>(), true;
        case 96: return f.template operator()<96>(), true;
        case 128: return f.template operator()<128>(), true;
        default: return false;
    }
}

// Calls f(table) for at most most_segments of the segments at a time. cache: null where there is none.
template <class F>
void each_segment_table(Cuda& device, std::span<const Segment> segments, const KvCache<Cuda>* cache, std::size_t layer, F&& f) {
    for (std::size_t begin = 0; begin < segments.size(); begin += kernels::most_segments) {
        kernels::SegmentTable table;
        for (const Segment& s : segments.subspan(begin, std::min<std::size_t>(kernels::most_segments, segments.size() - begin))) {
            kernels::CachedSegment& one = table.segments[table.count];
            if (device.step != nullptr) one.step = device.step + begin + table.count;
            ++table.count;
            one.row_begin = static_cast<unsigned>(s.row_begin), one.row_count = static_cast<unsigned>(s.row_count), one.past = static_cast<unsigned>(s.past);
            if (cache != nullptr) one.capacity = static_cast<unsigned>(cache->pages[s.slot].capacity), one.keys = cache->keys(layer, s.slot), one.values = cache->values(layer, s.slot);
            table.rows += static_cast<unsigned>(s.row_count);
        }
        if (table.rows > 0) f(table);
    }
}

}  // namespace detail

// Normalises (where the shape has norms) and rotates the query and key heads of qkv [rows, qkv_width] in place, and writes keys and
// values to `layer` of the cache. Segments lie one after another.
inline void rope_and_cache(Cuda& device, float* qkv, const AttentionShape& shape, const RopeTable<Cuda>& rope, std::span<const Segment> segments, KvCache<Cuda>& cache, std::size_t layer) {
    std::size_t positions = 1;
    for (const Segment& s : segments) {
        cache.reserve(device, s.slot, s.past + s.row_count);
        positions = std::max(positions, positions_of(device, cache, s));
    }
    const float* cosine_sine = rope.reserve(device, positions);
    const std::size_t heads = shape.n_heads + 2 * shape.n_kv_heads, half = rope.half();
    detail::each_segment_table(device, segments, &cache, layer, [&](const kernels::SegmentTable& table) {
        const CudaLaunch what{.name = "rope_and_cache", .grid = dim3(table.rows, static_cast<unsigned>((heads + 3) / 4)), .block = dim3(128), .read = table.rows * (shape.qkv_width() + 2 * half) * 4,
                              .written = table.rows * ((shape.n_heads + shape.n_kv_heads) * shape.head_dim * 4 + 2 * shape.n_kv_heads * cache.position_bytes())};
        device.launch(what, cache.type == DType::f32 ? kernels::rope_and_cache<float> : kernels::rope_and_cache<bf16>, qkv, detail::heads_of(shape), table, cosine_sine, static_cast<unsigned>(half));
    });
}

}  // namespace morsel
