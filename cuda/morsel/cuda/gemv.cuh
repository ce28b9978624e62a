// Products of a weight matrix with one to four rows: decoding, where nearly all the bytes are. Weights are read once, 16 bytes a lane,
// four such loads under way before the first is used, as Little's law asks (3.35 TB/s × 0.65 µs = 16.5 KB on their way per SM; here 256
// threads × 4 × 16 bytes = 16 KB a block, two blocks or more an SM, which scripts/check_cuda asserts). A warp takes one or two output rows and adds its lanes up in a
// fixed order, so a result depends on nothing but its own row.
// The RMSNorm before a product costs no kernel: every block sums the squares of x (12 KB, from L2) and stages x · gain in shared memory;
// the scale is applied to the sum, which is linear in it.
#pragma once
#include "morsel/cuda/few_rows.cuh"
#include "morsel/cuda/matrix.cuh"
#include "morsel/cuda/quantised.cuh"
#include "morsel/cuda/vector16.cuh"

namespace morsel {

namespace kernels {

// Where element i of a staged row lies: the halves of each 8 elements apart, so that lanes that read 16 bytes each hit all banks.
template <int Count>
__device__ unsigned staged_place(unsigned i, unsigned padded) {
    return Count == 8 ? (i / 4 % 2) * (padded / 2) + i / 8 * 4 + i % 4 : i;
}

// Gated: an output's two weight rows are i and i + outputs; else a warp takes PerWarp consecutive rows. MostRows: of x, 1 or 4.
// So many blocks an SM: without a number ptxas takes 64 registers on sm_100 for f32 weights, and spills; with three, 80 for f16's widest, and spills.
template <DType Type, int MostRows, int PerWarp, bool Gated>
__global__ void __launch_bounds__(256, MostRows == 1 ? 4 : PerWarp == 1 ? 3 : 2) gemv(const __grid_constant__ Gemv g) {
    using W = Vector16<Type>;
    constexpr int V = W::count, unroll = 4;
    const unsigned padded = static_cast<unsigned>(g.row_bytes / (16 / V));
    float* staged = ptx::dynamic_shared<float>();  // [MostRows][padded], then [32] for sums
    float* space = staged + MostRows * padded;
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const unsigned unit = blockIdx.x * (blockDim.x / 32) + warp;  // of Gated: one output; else PerWarp of them

    const std::uint8_t* row[PerWarp];
    bool any[PerWarp];
    for (int r = 0; r < PerWarp; ++r) {
        const unsigned output = Gated ? unit : unit * PerWarp + static_cast<unsigned>(r);
        any[r] = output < g.outputs;
        row[r] = g.weight + std::size_t{Gated ? output + (r == 1 ? g.outputs : 0) : output} * g.row_bytes;
    }
    // The first weights do not depend on the kernels before this one.
    uint4 w[PerWarp][unroll];
    const auto load = [&](unsigned from) {
#pragma unroll
        for (int u = 0; u < unroll; ++u)
#pragma unroll
            for (int r = 0; r < PerWarp; ++r) {
                const unsigned i = from + static_cast<unsigned>(u * 32 * V);
                w[r][u] = any[r] && i < padded ? ptx::load_stream(row[r] + i * (16 / V)) : make_uint4(0, 0, 0, 0);
            }
    };
    load(lane * V);
    ptx::wait_for_previous_kernels();

    float scale[MostRows];
    stage_rows(g, padded, staged, space, [=](unsigned i) { return staged_place<V>(i, padded); }, scale);

    float sum[PerWarp][MostRows] = {};
    for (unsigned from = lane * V; from < padded; from += 32 * V * unroll) {
        if (from != lane * V) load(from);
#pragma unroll
        for (int u = 0; u < unroll; ++u) {
            const unsigned i = from + static_cast<unsigned>(u * 32 * V);
            if (i >= padded) break;
            float weights[PerWarp][V];
#pragma unroll
            for (int r = 0; r < PerWarp; ++r) W::widen(w[r][u], weights[r]);
#pragma unroll
            for (int m = 0; m < MostRows; ++m)
#pragma unroll
                for (int half = 0; half < V / 4; ++half) {
                    const float4 x = ptx::load_vector(staged + static_cast<unsigned>(m) * padded + staged_place<V>(i + static_cast<unsigned>(half * 4), padded));
#pragma unroll
                    for (int r = 0; r < PerWarp; ++r) {
                        const float* v = weights[r] + half * 4;
                        sum[r][m] = fmaf(v[3], x.w, fmaf(v[2], x.z, fmaf(v[1], x.y, fmaf(v[0], x.x, sum[r][m]))));
                    }
                }
        }
    }
#pragma unroll
    for (int r = 0; r < PerWarp; ++r)
#pragma unroll
        for (int m = 0; m < MostRows; ++m) sum[r][m] = warp_sum(sum[r][m]) * scale[m];
    if (lane != 0) return;
#pragma unroll
    for (int m = 0; m < MostRows; ++m) {
        if (static_cast<unsigned>(m) >= g.rows) break;
#pragma unroll
        for (int r = 0; r < (Gated ? 1 : PerWarp); ++r) {
            const unsigned output = Gated ? unit : unit * PerWarp + static_cast<unsigned>(r);
            if (output >= g.outputs) break;
            finish_output<Gated>(g, static_cast<unsigned>(m), output, sum[r][m], sum[PerWarp - 1][m]);
        }
    }
}

}  // namespace kernels

namespace detail {

// Floats that a row of x takes in shared memory.
inline std::size_t staged_elements(const CudaMatrix& weight) { return weight.quantised() ? (weight.in_features + 1023) / 1024 * 1024 : weight.row_elements(); }

// Rows of x that one launch takes: as many as fit in shared memory, at most 4.
inline std::size_t gemv_rows(const Cuda& device, const CudaMatrix& weight) {
    const std::size_t row = staged_elements(weight) * 4;
    return row * 4 + 128 <= device.shared_limit() ? 4 : 1;
}

// x [rows, in_features], rows ≤ gemv_rows(); gain: RMSNorm of x before the product, or null.
inline void gemv(Cuda& device, const float* x, const float* gain, float eps, std::size_t rows, const CudaMatrix& weight, const Epilogue& epilogue, float* out) {
    const std::size_t outputs = epilogue.gated ? weight.out_features / 2 : weight.out_features;
    const int most = rows == 1 ? 1 : 4;
    // Two rows a warp where that leaves every SM several blocks.
    const int per_warp = weight.quantised() ? 1 : epilogue.gated || outputs >= device.processors() * 64 ? 2 : 1;
    const std::size_t units = epilogue.gated || per_warp == 1 ? outputs : (outputs + 1) / 2;
    const std::size_t warps = units >= device.processors() * 8 ? 8 : 4;
    const kernels::Gemv g{weight.data.get(), weight.row_bytes, x, gain, eps, static_cast<unsigned>(rows), static_cast<unsigned>(weight.in_features), static_cast<unsigned>(outputs),
                          {epilogue.bias, epilogue.activation, epilogue.accumulate}, out};
    const std::size_t vectors = weight.in_features * (gain != nullptr ? 1 : 0) + (epilogue.bias != nullptr ? weight.out_features : 0);
    const CudaLaunch what{.name = "gemv", .grid = dim3(static_cast<unsigned>((units + warps - 1) / warps)), .block = dim3(static_cast<unsigned>(warps * 32)),
                          .shared_bytes = static_cast<std::size_t>(most) * staged_elements(weight) * 4 + 128,
                          .read = weight.bytes + (rows * (weight.in_features + (epilogue.accumulate ? outputs : 0)) + vectors) * 4, .written = rows * outputs * 4};
    if (weight.quantised())
        return with_quantised_type(weight.type, [&]<DType Type>() {
            if (most == 1) return device.launch(what, epilogue.gated ? kernels::gemv_quantised<Type, 1, true> : kernels::gemv_quantised<Type, 1, false>, g);
            device.launch(what, epilogue.gated ? kernels::gemv_quantised<Type, 4, true> : kernels::gemv_quantised<Type, 4, false>, g);
        });
    with_weight_type(weight.type, [&]<DType Type>() {
        const auto with = [&]<int Most>() {
            if (epilogue.gated) return device.launch(what, kernels::gemv<Type, Most, 2, true>, g);
            if (per_warp == 2) return device.launch(what, kernels::gemv<Type, Most, 2, false>, g);
            device.launch(what, kernels::gemv<Type, Most, 1, false>, g);
        };
        most == 1 ? with.template operator()<1>() : with.template operator()<4>();
    });
}

}  // namespace detail

}  // namespace morsel
