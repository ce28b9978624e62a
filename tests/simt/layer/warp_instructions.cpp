// The emulated warp instructions of tests/simt/include/morsel/cuda/ptx.cuh: ldmatrix and mma.sync.m16n8k16, with the fragment layouts
// of the PTX ISA (9.7.14.5.8 and 9.7.14.5.15), written as their tables read; and 16-byte loads and stores.
#include <cstring>

#include "morsel/core/dtype.hpp"
#include "simt/include/morsel/cuda/ptx.cuh"
#include "simt/layer/simt.hpp"

namespace simt {

void load_vector(void* to, const void* at) {
    check_access(at, 16, 16, false);
    std::memcpy(to, at, 16);
}
void store_vector(void* at, const void* from) {
    check_access(at, 16, 16, true);
    std::memcpy(at, from, 16);
}

void load_matrices(unsigned* to, const void* row, bool transposed) {
    check_access(row, 16, 16, false);
    struct In {
        const void* row;
        bool transposed;
    } in{row, transposed};
    together(&in, sizeof in, to, 16, [](const std::byte* const* in, std::byte* const* out) {
        for (unsigned lane = 0; lane < 32; ++lane)
            for (unsigned matrix = 0; matrix < 4; ++matrix) {
                std::uint16_t pair[2];
                for (unsigned i = 0; i < 2; ++i) {
                    const bool transposed = reinterpret_cast<const In*>(in[0])->transposed;
                    const unsigned a = lane / 4, b = lane % 4 * 2 + i, r = transposed ? b : a, column = transposed ? a : b;
                    const void* at = reinterpret_cast<const In*>(in[matrix * 8 + r])->row;
                    pair[i] = static_cast<const std::uint16_t*>(at)[column];
                }
                std::memcpy(out[lane] + matrix * 4, pair, 4);
            }
    });
}

void multiply(float* c, const unsigned* a, unsigned b0, unsigned b1, bool f16) {
    struct In {
        unsigned a[4], b[2];
        bool f16;
    } in{{a[0], a[1], a[2], a[3]}, {b0, b1}, f16};
    together(&in, sizeof in, c, 16, [](const std::byte* const* in, std::byte* const* out) {
        const auto value = [](unsigned packed, unsigned half, bool f16) {
            const auto bits = static_cast<std::uint16_t>(packed >> (half * 16));
            return f16 ? morsel::to_f32(morsel::f16{bits}) : morsel::to_f32(morsel::bf16{bits});
        };
        float a[16][16], b[16][8];
        for (unsigned lane = 0; lane < 32; ++lane) {
            const In& one = *reinterpret_cast<const In*>(in[lane]);
            const unsigned group = lane / 4, t = lane % 4;
            for (unsigned half = 0; half < 2; ++half) {
                for (unsigned i = 0; i < 4; ++i) a[group + i % 2 * 8][t * 2 + half + i / 2 * 8] = value(one.a[i], half, one.f16);
                for (unsigned i = 0; i < 2; ++i) b[t * 2 + half + i * 8][group] = value(one.b[i], half, one.f16);
            }
        }
        for (unsigned lane = 0; lane < 32; ++lane)
            for (unsigned i = 0; i < 4; ++i) {
                const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
                float sum;
                std::memcpy(&sum, out[lane] + i * 4, 4);
                for (unsigned k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
                std::memcpy(out[lane] + i * 4, &sum, 4);
            }
    });
}

}  // namespace simt
