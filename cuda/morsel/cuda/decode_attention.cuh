// Attention of one new token a sequence (decoding), fused with RoPE and the append to the key-value cache; split over keys as in
// Flash-Decoding (Dao et al. 2023). Head sizes 32, 64, 80, 96, 128.
// A block takes 256 keys, aligned to the sequence's start whatever the GPU, so results depend on neither it nor the batch. Four lanes
// share a key, each with a quarter of the head in 16-byte loads, so a warp step reads eight keys; each such group of lanes runs its own
// online softmax. Query heads that share a key-value head are taken together, so keys and values are read once for them.
// The block that finishes last (a counter says which) adds the parts up in order of keys. The new token's key is computed in registers
// by the block that holds its position, written to the cache, and never read back here.
// An SM holds two blocks or more; at Phi-3's head size, 96, four (asserted by scripts/check_cuda).
#pragma once
#include "morsel/cuda/rope.cuh"
#include "morsel/cuda/vector16.cuh"

namespace morsel {

namespace kernels {

inline constexpr unsigned decode_chunk = 256;  // keys a block
inline constexpr unsigned decode_threads = 128;

struct DecodeAttention {
    const float* qkv = nullptr;  // [rows, qkv_width], before RoPE
    Heads h = {};
    SegmentTable table = {};
    const float* cosine_sine = nullptr;  // [positions][2][half]
    unsigned half = 0;
    float* partial = nullptr;      // [rows][n_heads][gridDim.x][head_dim + 2]: sums, then their maximum and total
    unsigned* counters = nullptr;  // [rows][n_heads / Group], 0 before and after
    float* out = nullptr;          // [rows, n_heads · head_dim]
};

template <class KV>
using Cached16 = Vector16<dtype_of<KV>>;

// A quarter of a head of D elements: vectors lane, lane + 4, … of 16 bytes of KV.
template <int D, class KV>
struct Quarter {
    static constexpr int vector = Cached16<KV>::count, vectors = (D / vector + 3) / 4;
    float x[vectors][vector];

    // First element of vector v of that lane; D or more where there is none.
    __device__ static unsigned first(int v, unsigned lane) { return (static_cast<unsigned>(v) * 4 + lane) * vector; }

    // From one head of a qkv row: normalised where gain is not null, rotated. All lanes of the warp take part.
    __device__ void load_rotated(const float* head, const float* gain, float eps, const float* cosine_sine, unsigned half, unsigned lane) {
        float scale = 1;
        if (gain != nullptr) {
            float squares = 0;
#pragma unroll
            for (int v = 0; v < vectors; ++v)
                if (first(v, lane) < D)
                    for (int j = 0; j < vector; ++j) squares += head[first(v, lane) + j] * head[first(v, lane) + j];
            squares += __shfl_xor_sync(all_lanes, squares, 1);
            squares += __shfl_xor_sync(all_lanes, squares, 2);
            scale = 1.0f / sqrtf(squares / D + eps);
        }
        const auto at = [&](unsigned i) { return gain != nullptr ? head[i] * scale * gain[i] : head[i]; };
#pragma unroll
        for (int v = 0; v < vectors; ++v)
#pragma unroll
            for (int j = 0; j < vector; ++j) {
                const unsigned i = first(v, lane) + static_cast<unsigned>(j);
                if (i >= D) x[v][j] = 0;
                else if (i < half) x[v][j] = at(i) * cosine_sine[i] - at(i + half) * cosine_sine[half + i];
                else if (i < 2 * half) x[v][j] = at(i) * cosine_sine[i - half] + at(i - half) * cosine_sine[i];
                else x[v][j] = at(i);
            }
    }
    // As it is.
    __device__ void load(const float* head, unsigned lane) {
#pragma unroll
        for (int v = 0; v < vectors; ++v)
#pragma unroll
            for (int j = 0; j < vector; ++j) x[v][j] = first(v, lane) < D ? head[first(v, lane) + static_cast<unsigned>(j)] : 0.0f;
    }
    // Rounds to what the cache holds, and stores it there where `to` is not null. to [D]
    __device__ void round_and_store(KV* to, unsigned lane) {
#pragma unroll
        for (int v = 0; v < vectors; ++v) {
            const uint4 packed = Cached16<KV>::narrow(x[v]);
            Cached16<KV>::widen(packed, x[v]);
            if (to != nullptr && first(v, lane) < D) ptx::store_vector(to + first(v, lane), packed);
        }
    }
};

// A running softmax-weighted sum of one group of four lanes.
template <int D, class KV>
struct OnlineSum {
    float best = -1e30f, total = 0;  // finite, so that a group without keys takes part in no inf - inf
    Quarter<D, KV> sum;

    __device__ OnlineSum() {
#pragma unroll
        for (int v = 0; v < Quarter<D, KV>::vectors; ++v)
#pragma unroll
            for (int j = 0; j < Quarter<D, KV>::vector; ++j) sum.x[v][j] = 0;
    }
    // A key with that score (in powers of two) and value.
    __device__ void add(float score, const Quarter<D, KV>& value, bool valid) {
        const float highest = valid ? fmaxf(best, score) : best, rescale = ptx::exp2_fast(best - highest), weight = valid ? ptx::exp2_fast(score - highest) : 0.0f;
        best = highest, total = total * rescale + weight;
#pragma unroll
        for (int v = 0; v < Quarter<D, KV>::vectors; ++v)
#pragma unroll
            for (int j = 0; j < Quarter<D, KV>::vector; ++j) sum.x[v][j] = fmaf(weight, value.x[v][j], sum.x[v][j] * rescale);
    }
    // Adds that of the lane `bits` away.
    __device__ void merge(int bits) {
        const float other_best = __shfl_xor_sync(all_lanes, best, bits), other_total = __shfl_xor_sync(all_lanes, total, bits);
        const float highest = fmaxf(best, other_best), own = ptx::exp2_fast(best - highest), others = ptx::exp2_fast(other_best - highest);
        best = highest, total = total * own + other_total * others;
#pragma unroll
        for (int v = 0; v < Quarter<D, KV>::vectors; ++v)
#pragma unroll
            for (int j = 0; j < Quarter<D, KV>::vector; ++j) sum.x[v][j] = sum.x[v][j] * own + __shfl_xor_sync(all_lanes, sum.x[v][j], bits) * others;
    }
};

// Dot product of two heads, of which each lane of a group holds a quarter; the same in all four.
template <int D, class KV>
__device__ float dot(const Quarter<D, KV>& a, const Quarter<D, KV>& b) {
    float sum = 0;
#pragma unroll
    for (int v = 0; v < Quarter<D, KV>::vectors; ++v)
#pragma unroll
        for (int j = 0; j < Quarter<D, KV>::vector; ++j) sum = fmaf(a.x[v][j], b.x[v][j], sum);
    sum += __shfl_xor_sync(all_lanes, sum, 1);
    return sum + __shfl_xor_sync(all_lanes, sum, 2);
}

// grid (chunks, n_heads / Group, rows)
template <int D, int Group, class KV>
__global__ void __launch_bounds__(128) decode_attention(const DecodeAttention a) {
    using Part = Quarter<D, KV>;
    __shared__ float merged[decode_threads / 32][Group][D + 2];
    __shared__ bool last_block;
    ptx::take_turn();
    const Heads& h = a.h;
    const unsigned row = a.table.segments[0].row_begin + blockIdx.z, warp = threadIdx.x / 32, lane = threadIdx.x % 4, group = threadIdx.x % 32 / 4;
    const CachedSegment& segment = a.table.of_row(row);
    const unsigned position = segment.position_of(row);
    const unsigned begin = h.window > 0 && position + 1 > h.window ? position + 1 - h.window : 0;
    const unsigned first_chunk = begin / decode_chunk, last_chunk = position / decode_chunk, chunk = first_chunk + blockIdx.x;
    if (chunk > last_chunk) return;
    const unsigned per_kv = h.n_heads / h.n_kv_heads, head0 = blockIdx.y * Group, kv = head0 / per_kv;
    const std::size_t strip = std::size_t{kv} * segment.capacity * D;
    KV *keys = reinterpret_cast<KV*>(segment.keys) + strip, *values = reinterpret_cast<KV*>(segment.values) + strip;
    const float* x = a.qkv + std::size_t{row} * h.qkv_width();
    const float* rotation = a.cosine_sine + std::size_t{position} * 2 * a.half;

    Part q[Group];
#pragma unroll
    for (int g = 0; g < Group; ++g) {
        q[g].load_rotated(x + (head0 + static_cast<unsigned>(g)) * D, h.q_norm, h.eps, rotation, a.half, lane);
#pragma unroll
        for (int v = 0; v < Part::vectors; ++v)
#pragma unroll
            for (int j = 0; j < Part::vector; ++j) q[g].x[v][j] *= h.scale * log2_e;
    }
    OnlineSum<D, KV> sums[Group];
    const unsigned end = min((chunk + 1) * decode_chunk, position);  // of the cached keys
    for (unsigned from = chunk * decode_chunk; from < end; from += decode_threads / 4) {
        const unsigned t = from + warp * 8 + group;
        const bool valid = t >= begin && t < end;
        Part key, value;
#pragma unroll
        for (int v = 0; v < Part::vectors; ++v) {
            const bool inside = valid && Part::first(v, lane) < D;
            Cached16<KV>::widen(inside ? ptx::load_vector(static_cast<const void*>(keys + std::size_t{t} * D + Part::first(v, lane))) : make_uint4(0, 0, 0, 0), key.x[v]);
            Cached16<KV>::widen(inside ? ptx::load_vector(static_cast<const void*>(values + std::size_t{t} * D + Part::first(v, lane))) : make_uint4(0, 0, 0, 0), value.x[v]);
        }
#pragma unroll
        for (int g = 0; g < Group; ++g) sums[g].add(dot(q[g], key), value, valid);
    }
    if (chunk == last_chunk && warp == 0) {
        Part key, value;
        key.load_rotated(x + (h.n_heads + kv) * D, h.k_norm, h.eps, rotation, a.half, lane);
        value.load(x + (h.n_heads + h.n_kv_heads + kv) * D, lane);
        const bool writes = group == 0 && head0 % per_kv == 0;
        key.round_and_store(writes ? keys + std::size_t{position} * D : nullptr, lane);
        value.round_and_store(writes ? values + std::size_t{position} * D : nullptr, lane);
#pragma unroll
        for (int g = 0; g < Group; ++g) sums[g].add(dot(q[g], key), value, group == 0);
    }
#pragma unroll
    for (int g = 0; g < Group; ++g) {
        sums[g].merge(4), sums[g].merge(8), sums[g].merge(16);
        if (group != 0) continue;
#pragma unroll
        for (int v = 0; v < Part::vectors; ++v)
            for (int j = 0; j < Part::vector; ++j)
                if (Part::first(v, lane) < D) merged[warp][g][Part::first(v, lane) + static_cast<unsigned>(j)] = sums[g].sum.x[v][j];
        if (lane == 0) merged[warp][g][D] = sums[g].best, merged[warp][g][D + 1] = sums[g].total;
    }
    __syncthreads();
    const unsigned splits = last_chunk - first_chunk + 1;
    for (unsigned i = threadIdx.x; i < Group * D; i += decode_threads) {
        const unsigned g = i / D, e = i % D, head = head0 + g;
        float best = merged[0][g][D], total = 0, sum = 0;
        for (unsigned w = 1; w < decode_threads / 32; ++w) best = fmaxf(best, merged[w][g][D]);
        for (unsigned w = 0; w < decode_threads / 32; ++w) {
            const float share = ptx::exp2_fast(merged[w][g][D] - best);
            total += merged[w][g][D + 1] * share, sum += merged[w][g][e] * share;
        }
        if (splits == 1) {
            a.out[(std::size_t{row} * h.n_heads + head) * D + e] = sum / total;
        } else {
            float* part = a.partial + ((std::size_t{blockIdx.z} * h.n_heads + head) * gridDim.x + blockIdx.x) * (D + 2);
            part[e] = sum;
            if (e == 0) part[D] = best, part[D + 1] = total;
        }
    }
    if (splits == 1) return;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last_block = atomicInc(a.counters + blockIdx.z * gridDim.y + blockIdx.y, splits - 1) == splits - 1;
    __syncthreads();
    if (!last_block) return;
    __threadfence();
    for (unsigned i = threadIdx.x; i < Group * D; i += decode_threads) {
        const unsigned head = head0 + i / D, e = i % D;
        const float* part = a.partial + (std::size_t{blockIdx.z} * h.n_heads + head) * gridDim.x * (D + 2);
        float best = -1e30f, total = 0, sum = 0;
        for (unsigned s = 0; s < splits; ++s) best = fmaxf(best, part[s * (D + 2) + D]);
        for (unsigned s = 0; s < splits; ++s) {
            const float share = ptx::exp2_fast(part[s * (D + 2) + D] - best);
            total += part[s * (D + 2) + D + 1] * share, sum += part[s * (D + 2) + e] * share;
        }
        a.out[(std::size_t{row} * h.n_heads + head) * D + e] = sum / total;
    }
}

}  // namespace kernels

namespace detail {

// Query heads a block takes together: as many of those that share a key-value head as leave room in registers.
template <int D>
constexpr unsigned decode_group(unsigned per_kv) {
    constexpr unsigned most = D <= 64 ? 4 : 2;
    unsigned group = per_kv < most ? per_kv : most;
    while (per_kv % group != 0) --group;
    return group;
}

// One launch; false where there is no kernel for the head size. positions: of the sequence that is longest or may become so.
inline bool decode_attention(Cuda& device, const float* qkv, const AttentionShape& shape, const kernels::SegmentTable& table, const RopeTable<Cuda>& rope, const float* cosine_sine,
                             const KvCache<Cuda>& cache, std::size_t positions, float* out) {
    return with_head_dim(shape.head_dim, [&]<int D>() {
        const std::size_t seen = shape.window > 0 ? std::min(positions, shape.window + kernels::decode_chunk) : positions;
        const std::size_t chunks = (seen + kernels::decode_chunk - 1) / kernels::decode_chunk, rows = table.rows;
        const auto with = [&]<int Group, class KV>() {
            const std::size_t groups = shape.n_heads / Group;
            kernels::DecodeAttention a{qkv, heads_of(shape), table, cosine_sine, static_cast<unsigned>(rope.half()), nullptr, nullptr, out};
            if (chunks > 1) {
                a.partial = device.scratch_floats(scratch_attention, rows * shape.n_heads * chunks * (D + 2));
                a.counters = device.counters();
                if (rows * groups > Cuda::most_counters) throw Error("too many sequences and heads at once", {.key = "decode_attention"});
            }
            std::size_t keys = 0;
            for (unsigned s = 0; s < table.count; ++s) keys += shape.window > 0 ? std::min<std::size_t>(table.segments[s].past, shape.window - 1) : table.segments[s].past;
            const std::size_t partial = chunks > 1 ? rows * (shape.n_heads * chunks * (D + 2) + groups) * 4 : 0;  // and the counters
            device.launch({.name = "decode_attention", .grid = dim3(static_cast<unsigned>(chunks), static_cast<unsigned>(groups), static_cast<unsigned>(rows)),
                           .block = dim3(kernels::decode_threads), .read = rows * (shape.qkv_width() + 2 * rope.half()) * 4 + keys * 2 * shape.n_kv_heads * cache.position_bytes() + partial,
                           .written = rows * (shape.n_heads * D * 4 + 2 * shape.n_kv_heads * cache.position_bytes()) + partial},
                          kernels::decode_attention<D, Group, KV>, a);
        };
        if (cache.type == DType::f32) return with.template operator()<1, float>();
        switch (decode_group<D>(static_cast<unsigned>(shape.n_heads / shape.n_kv_heads))) {
            case 4:
                if constexpr (D <= 64) return with.template operator()<4, bf16>();
                break;
            case 3:
                if constexpr (D <= 64) return with.template operator()<3, bf16>();
                break;
            case 2: return with.template operator()<2, bf16>();
            default: return with.template operator()<1, bf16>();
        }
    });
}

}  // namespace detail

}  // namespace morsel
