// From logits to one token in one kernel, a block a sequence, without a sort: repetition penalty, end tokens held back, temperature,
// exact top-k and top-p, min-p, and the draw; or the argmax. The same meaning, and with the same seed the same token, as
// generation/logits_processors.hpp and sampling.hpp: masses are integers, so the order of addition does not matter.
// Logits are read once, into shared memory where they fit (54 000), else they are changed where they are. A selection by count or by mass
// is a histogram of 1024 buckets of a sixteenth each below the largest, which spreads real logits well, and then four of one byte of
// the bucket's keys: exact, whatever the distribution.
// Leaves out n-grams, typical, epsilon and eta: the host does those (decode_tokens.cuh).
#pragma once
#include <cstdint>

#include "morsel/core/philox.hpp"
#include "morsel/cuda/argmax.cuh"
#include "morsel/generation/logits_processors.hpp"

namespace morsel {

namespace kernels {

inline constexpr unsigned sampling_threads = 1024, sampling_buckets = 1024, most_end_tokens = 16;

struct Sampling {
    float repetition_penalty = 1, temperature = 1, top_p = 1, min_p = 0;
    unsigned top_k = 0;
    bool do_sample = false;
    unsigned long long seed = 0;
    unsigned sequence = 0;
    unsigned min_new_tokens = 0, end_token_count = 0;
    TokenId end_tokens[most_end_tokens] = {};
};

struct SamplingSpace {
    unsigned long long weight[sampling_buckets];
    unsigned long long warp[32];
    unsigned long long before;  // of a search: weight below the boundary
    unsigned boundary;
    float warp_best[32];
    unsigned warp_index[32];
    unsigned result;
};

// Number of the first i, in order, at which the sum of weight[0 … i] exceeds `drop`; sampling_buckets where none does. `reverse` counts
// from the last. space.before is then the sum of what comes before it. All threads take part.
__device__ inline unsigned find_boundary(SamplingSpace& space, unsigned long long drop, bool reverse) {
    const unsigned t = threadIdx.x, lane = t % 32;
    const unsigned long long own = space.weight[reverse ? sampling_buckets - 1 - t : t];
    unsigned long long sum = own;
    for (unsigned delta = 1; delta < 32; delta *= 2) {
        const unsigned long long other = __shfl_up_sync(all_lanes, sum, delta);
        if (lane >= delta) sum += other;
    }
    if (t == 0) space.boundary = sampling_buckets;
    if (lane == 31) space.warp[t / 32] = sum;
    __syncthreads();
    for (unsigned w = 0; w < t / 32; ++w) sum += space.warp[w];
    if (sum > drop && sum - own <= drop) space.boundary = reverse ? sampling_buckets - 1 - t : t, space.before = sum - own;
    __syncthreads();
    return space.boundary;
}

// Weights of a value: how many, or its share of the probability.
struct CountWeight {
    __device__ unsigned long long operator()(float) const { return 1; }
};
struct MassWeight {
    float max;
    __device__ unsigned long long operator()(float x) const {
        const double distance = static_cast<double>(x) - static_cast<double>(max);
        if (!(distance > -29.0)) return 0;  // e^-29 · 2^40 rounds to 0
        return static_cast<unsigned long long>(exp(distance) * 0x1p40 + 0.5);
    }
};

// A key in ascending order, and what its ties may still lose.
struct Boundary {
    bool found = false;
    unsigned key = 0;           // ordered_bits
    unsigned long long left = 0;  // drop − weight below the key
};

// The smallest value at which the weight of all values up to and including it exceeds `drop`. All threads take part.
template <class Weight>
__device__ Boundary select(SamplingSpace& space, const float* x, unsigned count, float max, unsigned long long drop, Weight weight) {
    const auto bucket_of = [max](float value) {
        const float distance = (max - value) * 16;
        return distance < static_cast<float>(sampling_buckets - 1) ? static_cast<unsigned>(distance) : sampling_buckets - 1;
    };
    __syncthreads();
    space.weight[threadIdx.x] = 0;
    __syncthreads();
    for (unsigned i = threadIdx.x; i < count; i += sampling_threads)
        if (const unsigned long long w = weight(x[i]); w > 0) atomicAdd(&space.weight[bucket_of(x[i])], w);
    __syncthreads();
    const unsigned bucket = find_boundary(space, drop, true);
    if (bucket == sampling_buckets) return {};
    Boundary result{true, 0, drop - space.before};
    for (int shift = 24; shift >= 0; shift -= 8) {
        __syncthreads();
        space.weight[threadIdx.x] = 0;
        __syncthreads();
        for (unsigned i = threadIdx.x; i < count; i += sampling_threads) {
            const unsigned key = ordered_bits(x[i]);
            if (bucket_of(x[i]) != bucket || (shift < 24 && key >> (shift + 8) != result.key >> (shift + 8))) continue;
            if (const unsigned long long w = weight(x[i]); w > 0) atomicAdd(&space.weight[key >> shift & 255], w);
        }
        __syncthreads();
        const unsigned digit = find_boundary(space, result.left, false);
        result.key |= digit << shift, result.left -= space.before;
    }
    return result;
}

// The largest of x and the first index of it. All threads take part; the same in each.
__device__ inline float largest(SamplingSpace& space, const float* x, unsigned count, unsigned* index) {
    float best = -INFINITY;
    unsigned at = ~0u;
    for (unsigned i = threadIdx.x; i < count; i += sampling_threads)
        if (x[i] > best) best = x[i], at = i;
    for (int bits = 16; bits > 0; bits /= 2) {
        const float other = __shfl_xor_sync(all_lanes, best, bits);
        const unsigned other_at = __shfl_xor_sync(all_lanes, at, bits);
        if (other > best || (other == best && other_at < at)) best = other, at = other_at;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) space.warp_best[threadIdx.x / 32] = best, space.warp_index[threadIdx.x / 32] = at;
    __syncthreads();
    best = space.warp_best[0], at = space.warp_index[0];
    for (unsigned w = 1; w < 32; ++w)
        if (space.warp_best[w] > best || (space.warp_best[w] == best && space.warp_index[w] < at)) best = space.warp_best[w], at = space.warp_index[w];
    *index = at;
    return best;
}

// The index at which the sum of weight(x[0 … i]) exceeds `target`, which is less than the sum of all. Each warp adds up a run of x,
// then the one that holds the target finds it. All threads take part.
template <class Weight>
__device__ unsigned find_in_order(SamplingSpace& space, const float* x, unsigned count, unsigned long long target, Weight weight) {
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32, run = (count + 1023) / 1024 * 32;  // of a warp
    unsigned long long sum = 0;
    for (unsigned i = warp * run + lane; i < min((warp + 1) * run, count); i += 32) sum += weight(x[i]);
    for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(all_lanes, sum, bits);
    __syncthreads();
    if (lane == 0) space.warp[warp] = sum;
    __syncthreads();
    for (unsigned w = 0; w < warp; ++w) target = space.warp[w] > target ? ~0ull : target == ~0ull ? target : target - space.warp[w];
    if (target < sum) {  // the same in all lanes
        for (unsigned from = warp * run; from < min((warp + 1) * run, count); from += 32) {
            const unsigned i = from + lane;
            unsigned long long upto = i < count ? weight(x[i]) : 0;
            for (unsigned delta = 1; delta < 32; delta *= 2) {
                const unsigned long long other = __shfl_up_sync(all_lanes, upto, delta);
                if (lane >= delta) upto += other;
            }
            const unsigned here = __ballot_sync(all_lanes, upto > target);
            if (here != 0) {
                if (lane == 0) space.result = from + static_cast<unsigned>(__ffs(static_cast<int>(here)) - 1);
                break;
            }
            target -= __shfl_sync(all_lanes, upto, 31);
        }
    }
    __syncthreads();
    return space.result;
}

// x[i] becomes −inf where it is less than the k-th largest, or of the least probable that make up 1 − top_p, or less than min_p of the
// most probable.
__device__ inline void keep_probable(SamplingSpace& space, float* x, unsigned count, float max, const Sampling& s) {
    if (s.top_k > 0 && s.top_k < count) {
        const Boundary b = select(space, x, count, max, count - s.top_k, CountWeight{});
        __syncthreads();
        for (unsigned i = threadIdx.x; i < count; i += sampling_threads)
            if (ordered_bits(x[i]) < b.key) x[i] = -INFINITY;
        __syncthreads();
    }
    if (s.top_p < 1) {
        const MassWeight mass{max};
        unsigned long long total = 0;
        for (unsigned i = threadIdx.x; i < count; i += sampling_threads) total += mass(x[i]);
        for (int bits = 16; bits > 0; bits /= 2) total += __shfl_xor_sync(all_lanes, total, bits);
        __syncthreads();
        if (threadIdx.x % 32 == 0) space.warp[threadIdx.x / 32] = total;
        __syncthreads();
        total = 0;
        for (unsigned w = 0; w < 32; ++w) total += space.warp[w];
        const auto drop = static_cast<unsigned long long>(static_cast<double>(1.0f - s.top_p) * static_cast<double>(total));
        Boundary b = select(space, x, count, max, drop, mass);
        // Of the ties at the boundary the last ones go. Their common mass says how many; the first always stays.
        unsigned long long keep = 1;
        if (!b.found) b.key = ordered_bits(max);
        const auto tie = [&](float value) { return ordered_bits(value) == b.key ? 1ull : 0ull; };
        unsigned ties = 0;
        for (unsigned from = 0; from < count; from += sampling_threads) {
            const unsigned i = from + threadIdx.x;
            ties += static_cast<unsigned>(__syncthreads_count(i < count && tie(x[i]) != 0));
        }
        if (b.found) {
            const unsigned bits = (b.key & 0x80000000u) != 0 ? b.key & 0x7FFFFFFFu : ~b.key;
            keep = ties - b.left / mass(__uint_as_float(bits));
        }
        unsigned last_kept = count;
        if (keep < ties) last_kept = find_in_order(space, x, count, keep - 1, tie);
        __syncthreads();
        for (unsigned i = threadIdx.x; i < count; i += sampling_threads) {
            const unsigned key = ordered_bits(x[i]);
            if (key < b.key || (key == b.key && i > last_kept)) x[i] = -INFINITY;
        }
        __syncthreads();
    }
    if (s.min_p > 0) {
        for (unsigned i = threadIdx.x; i < count; i += sampling_threads)
            if (exp(static_cast<double>(x[i]) - static_cast<double>(max)) < static_cast<double>(s.min_p)) x[i] = -INFINITY;
        __syncthreads();
    }
}

// One block a sequence. logits [sequences, stride], of which [count] may be chosen; changed where not InShared. samplings [sequences]. history
// [sequences, capacity]: prompt and tokens so far, the new one is appended. steps [sequences]. One block an SM is enough, so that nothing spills.
template <bool InShared>
__global__ void __launch_bounds__(1024, 1) sample(float* logits, unsigned stride, unsigned count, const Sampling* samplings, TokenId* history, unsigned capacity, CudaStep* steps) {
    __shared__ SamplingSpace space;
    __shared__ CudaStep step;
    __shared__ Sampling s;
    unsigned* seen = ptx::dynamic_shared<unsigned>();  // [(count + 31) / 32], then the logits where InShared
    const unsigned t = threadIdx.x, words = (count + 31) / 32;
    float* x = InShared ? reinterpret_cast<float*>(seen + words) : logits + std::size_t{blockIdx.x} * stride;
    ptx::take_turn();
    if (t == 0) step = steps[blockIdx.x], s = samplings[blockIdx.x];
    history += std::size_t{blockIdx.x} * capacity;
    bool wrong = false;
    for (unsigned i = t; i < count; i += sampling_threads) {
        const float value = logits[std::size_t{blockIdx.x} * stride + i];
        wrong = wrong || !(value < INFINITY);
        if constexpr (InShared) x[i] = value;
    }
    for (unsigned i = t; i < words; i += sampling_threads) seen[i] = 0;
    wrong = __syncthreads_or(wrong) != 0;
    if (s.repetition_penalty != 1) {
        for (unsigned i = t; i < step.history; i += sampling_threads) {
            const TokenId id = history[i];
            if (id >= count) continue;
            const unsigned bit = 1u << id % 32;
            if ((atomicOr(&seen[id / 32], bit) & bit) != 0) continue;
            x[id] = x[id] < 0 ? x[id] * s.repetition_penalty : x[id] / s.repetition_penalty;
        }
        __syncthreads();
    }
    if (step.produced < s.min_new_tokens) {
        if (t < s.end_token_count && s.end_tokens[t] < count) x[s.end_tokens[t]] = -INFINITY;
        __syncthreads();
    }
    if (s.do_sample && s.temperature != 1) {
        for (unsigned i = t; i < count; i += sampling_threads) x[i] = x[i] / s.temperature;
        __syncthreads();
    }
    unsigned chosen = 0;
    const float max = largest(space, x, count, &chosen);
    wrong = wrong || chosen == ~0u;
    if (s.do_sample && !wrong) {
        keep_probable(space, x, count, max, s);
        const MassWeight mass{max};
        unsigned long long total = 0;
        for (unsigned i = t; i < count; i += sampling_threads) total += mass(x[i]);
        for (int bits = 16; bits > 0; bits /= 2) total += __shfl_xor_sync(all_lanes, total, bits);
        __syncthreads();
        if (t % 32 == 0) space.warp[t / 32] = total;
        __syncthreads();
        total = 0;
        for (unsigned w = 0; w < 32; ++w) total += space.warp[w];
        const std::uint64_t random = philox_bits(s.seed, {.step = step.produced, .sequence = s.sequence});
        chosen = find_in_order(space, x, count, uniform_below(random, total), mass);
    }
    if (t != 0) return;
    if (!wrong && step.history < capacity) history[step.history] = chosen;
    steps[blockIdx.x] = {.token = wrong ? 0 : chosen, .past = step.past + 1, .produced = step.produced + 1, .history = step.history + 1, .failed = step.failed + (wrong ? 1u : 0u)};
}

}  // namespace kernels

// Whether the kernel does all that `processing` asks for.
inline bool samples_on_device(const LogitsProcessing& processing) {
    const LogitsProcessing& p = processing;
    return p.no_repeat_ngram_size == 0 && (!p.do_sample || (p.typical_p >= 1 && p.epsilon_cutoff <= 0 && p.eta_cutoff <= 0));
}

// Chooses a token for each of `sequences` from logits [sequences, stride], of which ids below `count` may be chosen, as samplings [sequences] say,
// and appends it to history [sequences, capacity]; steps [sequences] say how long that is. All on the device; logits may be changed.
inline void sample(Cuda& device, float* logits, std::size_t sequences, std::size_t stride, std::size_t count, const kernels::Sampling* samplings, TokenId* history, std::size_t capacity,
                   CudaStep* steps) {
    const std::size_t words = (count + 31) / 32 * 4, in_shared = words + count * 4;
    const bool fits = in_shared + sizeof(kernels::SamplingSpace) + 1024 <= device.shared_limit();
    const CudaLaunch what{.name = "sample", .grid = dim3(static_cast<unsigned>(sequences)), .block = dim3(kernels::sampling_threads), .shared_bytes = fits ? in_shared : words,
                          .read = sequences * (count * 4 + sizeof(kernels::Sampling)), .written = sequences * (fits ? 0 : count * 4)};
    device.launch(what, fits ? kernels::sample<true> : kernels::sample<false>, logits, static_cast<unsigned>(stride), static_cast<unsigned>(count), samplings, history,
                  static_cast<unsigned>(capacity), steps);
}

}  // namespace morsel
