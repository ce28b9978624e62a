// Quantised weights on the GPU: GGUF's blocks of 32 as rows of aligned planes, so that a lane reads a block's 32 codes in one load of 16
// bytes (two for 8 bits); and products with one to four rows that read them so. A row of nb blocks is
//   codes   [nb][16]: nibbles in order of elements; [nb][32] bytes for 8 bits
//   high    [nb][4]: fifth bits; [nb][8]: fifth and sixth; none for 4 and 8 bits
//   scales  [nb] f16 d, f16 m; for super-blocks [nb] int8 scale, and int8 second scale or uint8 minimum, then [nb / 8] f16 d, f16 m
// which is what the file takes, within 11 % (q4_0: 20 bytes for 18; q4_k: 18.5 for 18). Element i of a block is d · scale · (code − zero) ± m · min,
// as in ops/stored_rows.hpp. Activations lie in shared memory in the order in which 32 lanes, a block each, read them: no conflicts.
#pragma once
#include "morsel/cuda/few_rows.cuh"
#include "morsel/cuda/matrix.cuh"

namespace morsel {

namespace kernels {

// One block of 32 weights in registers.
template <DType Type>
struct QuantisedBlock {
    static constexpr QuantFormat format = quant_format(Type);
    static constexpr unsigned code_bytes = format.bits == 8 ? 32 : 16, high_bytes = format.bits == 5 ? 4 : format.bits == 6 ? 8 : 0;
    uint4 codes[code_bytes / 16];
    unsigned high[2];
    float scale[2], minimum;

    // Block b of a row of `blocks`.
    __device__ void load(const std::uint8_t* row, unsigned blocks, unsigned b) {
#pragma unroll
        for (unsigned i = 0; i < code_bytes / 16; ++i) codes[i] = ptx::load_stream(row + std::size_t{b} * code_bytes + i * 16);
        const std::uint8_t* at = row + std::size_t{blocks} * code_bytes;
        if constexpr (high_bytes > 0) high[0] = reinterpret_cast<const unsigned*>(at)[b * (high_bytes / 4)];
        if constexpr (high_bytes == 8) high[1] = reinterpret_cast<const unsigned*>(at)[b * 2 + 1];
        at += std::size_t{blocks} * high_bytes;
        unsigned dm;
        int first = 1, second = 1;
        if constexpr (format.super) {
            const unsigned two = reinterpret_cast<const std::uint16_t*>(at)[b];
            first = static_cast<std::int8_t>(two & 255), second = format.min_sign != 0 ? static_cast<int>(two >> 8) : static_cast<std::int8_t>(two >> 8);
            dm = reinterpret_cast<const unsigned*>(at + (blocks * 2 + 3) / 4 * 4)[b / 8];
        } else {
            dm = reinterpret_cast<const unsigned*>(at)[b];
        }
        const float d = ptx::f16_to_float(static_cast<std::uint16_t>(dm)), m = ptx::f16_to_float(static_cast<std::uint16_t>(dm >> 16));
        scale[0] = d * static_cast<float>(first);
        scale[1] = format.super && format.min_sign == 0 ? d * static_cast<float>(second) : scale[0];
        minimum = static_cast<float>(format.min_sign) * m * static_cast<float>(second);
    }
    // code − zero of element i, which is known when this is compiled.
    __device__ float code(int i) const {
        const int bits = format.bits == 8 ? 8 : 4, at = i * bits / 32;
        const unsigned words[4] = {codes[at / 4].x, codes[at / 4].y, codes[at / 4].z, codes[at / 4].w};
        unsigned value = words[at % 4] >> (i * bits % 32) & (format.bits == 8 ? 255u : 15u);
        if constexpr (format.bits == 5) value |= (high[0] >> i & 1u) << 4;
        if constexpr (format.bits == 6) value |= (high[i / 16] >> (i % 16 * 2) & 3u) << 4;
        return static_cast<float>(static_cast<int>(value) - format.zero);
    }
    __device__ float element(int i) const { return format.min_sign != 0 ? scale[i / 16] * code(i) + minimum : scale[i / 16] * code(i); }
};

// Where element i of a staged row lies: of each 1024, lane by lane what the lanes read together.
__device__ inline unsigned block_place(unsigned i) { return i / 1024 * 1024 + i % 32 / 4 * 128 + i / 32 % 32 * 4 + i % 4; }

// As gemv (gemv.cuh), a warp an output.
template <DType Type, int MostRows, bool Gated>
__global__ void __launch_bounds__(256, MostRows == 1 ? 4 : 1) gemv_quantised(const __grid_constant__ Gemv g) {
    constexpr int weight_rows = Gated ? 2 : 1;
    const unsigned padded = (g.k + 1023) / 1024 * 1024, blocks = g.k / 32, lane = threadIdx.x % 32;
    float* staged = ptx::dynamic_shared<float>();  // [MostRows][padded], then [32] for sums
    float* space = staged + MostRows * padded;
    const unsigned output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    const bool any = output < g.outputs;
    const std::uint8_t* row[weight_rows];
    for (int r = 0; r < weight_rows; ++r) row[r] = g.weight + std::size_t{(any ? output : 0) + static_cast<unsigned>(r) * g.outputs} * g.row_bytes;
    ptx::wait_for_previous_kernels();

    float scale[MostRows];
    stage_rows(g, padded, staged, space, [](unsigned i) { return block_place(i); }, scale);

    float sum[weight_rows][MostRows] = {};
    for (unsigned b = lane; any && b < blocks; b += 32) {
        QuantisedBlock<Type> w[weight_rows];
#pragma unroll
        for (int r = 0; r < weight_rows; ++r) w[r].load(row[r], blocks, b);
#pragma unroll
        for (int m = 0; m < MostRows; ++m) {
            const float* x = staged + static_cast<unsigned>(m) * padded + b / 32 * 1024 + lane * 4;
            float dot[weight_rows][2] = {}, plain = 0;
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                const float4 four = ptx::load_vector(x + j * 128);
                if constexpr (QuantisedBlock<Type>::format.min_sign != 0) plain += (four.x + four.y) + (four.z + four.w);
#pragma unroll
                for (int r = 0; r < weight_rows; ++r)
                    dot[r][j / 4] = fmaf(w[r].code(4 * j + 3), four.w, fmaf(w[r].code(4 * j + 2), four.z, fmaf(w[r].code(4 * j + 1), four.y, fmaf(w[r].code(4 * j), four.x, dot[r][j / 4]))));
            }
#pragma unroll
            for (int r = 0; r < weight_rows; ++r) sum[r][m] = fmaf(w[r].scale[0], dot[r][0], fmaf(w[r].scale[1], dot[r][1], fmaf(w[r].minimum, plain, sum[r][m])));
        }
    }
#pragma unroll
    for (int m = 0; m < MostRows; ++m) {
#pragma unroll
        for (int r = 0; r < weight_rows; ++r) sum[r][m] = warp_sum(sum[r][m]) * scale[m];
        if (lane == 0 && any && static_cast<unsigned>(m) < g.rows) finish_output<Gated>(g, static_cast<unsigned>(m), output, sum[0][m], sum[weight_rows - 1][m]);
    }
}

// A block of 32 weights a thread, as f32 or bf16 [rows][k].
template <DType Type, DType To>
__global__ void convert_quantised(const std::uint8_t* weight, std::size_t row_bytes, unsigned blocks, std::uint8_t* to) {
    ptx::take_turn();
    const unsigned b = blockIdx.x * blockDim.x + threadIdx.x;
    if (b >= blocks) return;
    QuantisedBlock<Type> block;
    block.load(weight + blockIdx.y * row_bytes, blocks, b);
    const std::size_t at = (std::size_t{blockIdx.y} * blocks + b) * 32;
#pragma unroll
    for (int i = 0; i < 32; i += 4) {
        const float4 four = make_float4(block.element(i), block.element(i + 1), block.element(i + 2), block.element(i + 3));
        if constexpr (To == DType::f32) {
            ptx::store_vector(reinterpret_cast<float*>(to) + at + i, four);
        } else {
            auto* words = reinterpret_cast<unsigned*>(to) + (at + static_cast<unsigned>(i)) / 2;
            words[0] = ptx::pack_bf16(four.x, four.y), words[1] = ptx::pack_bf16(four.z, four.w);
        }
    }
}

// As embed (embedding.cuh).
template <DType Type>
__global__ void embed_quantised(const std::uint8_t* table, std::size_t row_bytes, const TokenId* ids, const CudaStep* steps, unsigned width, float* out) {
    ptx::take_turn();
    const TokenId id = steps != nullptr ? steps[blockIdx.x].token : ids[blockIdx.x];
    for (unsigned b = threadIdx.x; b < width / 32; b += blockDim.x) {
        QuantisedBlock<Type> block;
        block.load(table + id * row_bytes, width / 32, b);
        float* to = out + std::size_t{blockIdx.x} * width + b * 32;
#pragma unroll
        for (int i = 0; i < 32; ++i) to[i] = block.element(i);
    }
}

}  // namespace kernels

namespace detail {

// Calls f.operator()<Type>() for a quantised type.
template <class F>
void with_quantised_type(DType type, F&& f) {
    switch (type) {
        case DType::q4_0: return f.template operator()<DType::q4_0>();
        case DType::q4_1: return f.template operator()<DType::q4_1>();
        case DType::q5_0: return f.template operator()<DType::q5_0>();
        case DType::q5_1: return f.template operator()<DType::q5_1>();
        case DType::q8_0: return f.template operator()<DType::q8_0>();
        case DType::q4_k: return f.template operator()<DType::q4_k>();
        case DType::q5_k: return f.template operator()<DType::q5_k>();
        default: return f.template operator()<DType::q6_k>();
    }
}

}  // namespace detail

}  // namespace morsel
