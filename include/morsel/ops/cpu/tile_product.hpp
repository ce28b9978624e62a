// Products of many rows on AMX tiles (Intel Architecture Instruction Set Extensions, chapter 3): prefill. A tile instruction takes
// 16 rows x 32 columns of bf16 activations and a panel's 32 columns of bf16 weights, as stored, and adds 16 x 16 f32 sums.
// bf16 keeps 8 bits, so an f32 value is taken as the sum of up to three (Henry, Tang and Heinecke 2019, arXiv:1904.06376; oneMKL
// calls it bf16x3): x = x0 + x1 + x2, w likewise, and the product is the sum of xi wj over i + j <= 2. Weights stored as bf16 have
// one part, so that three products are exact to f32; f16 and quantised weights are taken in two, f32 in three.
// Two panels and 32 rows fill the eight tile registers. Activations of 32 rows and some columns stay in the first-level cache
// while a group of panels streams past them from the second.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/panel.hpp"

namespace morsel::detail {

inline constexpr std::size_t tile_elements = 16 * 32;  // of bf16: 1 KB

// The upper 16 bits of the result are x rounded to bf16, nearest even.
[[gnu::always_inline]] inline std::uint32_t bf16_above(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    return (u + 0x7fffu + (u >> 16 & 1u)) & 0xffff0000u;
}

// The most bf16 parts a value is split into.
inline constexpr std::size_t tile_parts = 3;

// Parts that weights of a type are worth, of at most `most`.
constexpr std::size_t weight_parts(DType type, std::size_t most) {
    return std::min<std::size_t>(most, type == DType::bf16 ? 1 : type == DType::f32 ? 3 : 2);
}

// A panel as `Parts` runs of pairs of bf16, each [blocks][16][16][2].
template <DType Type, std::size_t Parts>
[[gnu::always_inline]] inline void split_panel(const std::uint8_t* panel, std::size_t blocks, std::uint32_t* out) {
    for (std::size_t b = 0; b < blocks; ++b) {
        alignas(64) float w[32 * 16];
        unpack_block<Type, 16>(panel, b, 0, w);
        for (std::size_t pair = 0; pair < 16; ++pair) {
            for (std::size_t r = 0; r < 16; ++r) {
                float even = w[pair * 32 + r], odd = w[pair * 32 + 16 + r];
                for (std::size_t part = 0; part < Parts; ++part) {
                    const std::uint32_t even_bits = bf16_above(even), odd_bits = bf16_above(odd);
                    out[(part * blocks + b) * 256 + pair * 16 + r] = even_bits >> 16 | odd_bits;
                    even -= std::bit_cast<float>(even_bits), odd -= std::bit_cast<float>(odd_bits);
                }
            }
        }
    }
}

// Activations as tiles: rows [begin, end), begin a multiple of 16, of x [rows, blocks · 32], to
// out [rows / 16][blocks][Parts][16][32]; rows beyond `rows` are zero.
template <std::size_t Parts>
[[gnu::always_inline]] inline void to_tiles(const float* x, std::size_t rows, std::size_t begin, std::size_t end, std::size_t blocks,
                                            std::uint16_t* out) {
    for (std::size_t row = begin; row < end; ++row) {
        for (std::size_t b = 0; b < blocks; ++b) {
            std::uint16_t* to = out + (row / 16 * blocks + b) * Parts * tile_elements + row % 16 * 32;
            float left[32] = {};
            if (row < rows) std::copy_n(x + (row * blocks + b) * 32, 32, left);
            for (std::size_t part = 0; part < Parts; ++part, to += tile_elements) {
                for (std::size_t i = 0; i < 32; ++i) {
                    const std::uint32_t bits = bf16_above(left[i]);
                    to[i] = static_cast<std::uint16_t>(bits >> 16);
                    left[i] -= std::bit_cast<float>(bits);
                }
            }
        }
    }
}

// Weights of one panel for the tiles: parts beyond those it has are null.
struct TilePanel {
    const std::uint8_t* part[tile_parts] = {};
};

#if defined(__x86_64__)

[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline void to_tiles_avx512(const float* x, std::size_t rows,
                                                                                                std::size_t begin, std::size_t end,
                                                                                                std::size_t blocks, std::size_t parts,
                                                                                                std::uint16_t* out) {
    if (parts == 1)
        to_tiles<1>(x, rows, begin, end, blocks, out);
    else if (parts == 2)
        to_tiles<2>(x, rows, begin, end, blocks, out);
    else
        to_tiles<3>(x, rows, begin, end, blocks, out);
}

template <DType Type>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] void split_panel_avx512(const std::uint8_t* panel, std::size_t blocks,
                                                                                            std::size_t parts, std::uint32_t* out) {
    if (parts == 1) return split_panel<Type, 1>(panel, blocks, out);
    if (parts == 2) return split_panel<Type, 2>(panel, blocks, out);
    if constexpr (Type == DType::f32) split_panel<Type, 3>(panel, blocks, out);
}

// Gives the calling thread its tile registers, all eight of 16 rows x 64 bytes, until release_tiles.
[[gnu::target("amx-tile")]] inline void configure_tiles() {
    struct alignas(64) {
        std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
        std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    static_assert(sizeof config == 64);
    __asm__ volatile("" : : "r"(&config) : "memory");  // g++ holds only the first bytes for read and drops the other stores
    _tile_loadconfig(&config);
}
[[gnu::target("amx-tile")]] inline void release_tiles() { _tile_release(); }

// Adds to (or where `begin` is 0, sets) y [2 panels][32][16] the products of blocks [begin, end). x: tiles [2][blocks][parts] of
// 16 rows each, of which the second exists where TwoRows. Part i of x meets part j of the weights where i + j < parts.
template <bool TwoRows>
[[gnu::target("amx-tile,amx-bf16,avx512f")]] void multiply_tiles(const std::uint16_t* x, std::size_t parts, const TilePanel* panels,
                                                                 std::size_t blocks, std::size_t begin, std::size_t end, float* y) {
    const auto* first = reinterpret_cast<const std::uint8_t*>(x);
    const std::uint8_t* second = first + blocks * parts * 1024;
    __asm__ volatile("" ::: "memory");  // the loads below are opaque to the compiler
    if (begin == 0) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, y, 64);
        _tile_loadd(1, y + 512, 64);
        if constexpr (TwoRows) {
            _tile_loadd(2, y + 256, 64);
            _tile_loadd(3, y + 768, 64);
        }
    }
    for (std::size_t b = begin; b < end; ++b) {
        for (std::size_t j = 0; j < parts; ++j) {
            const std::uint8_t* w0 = panels[0].part[j];
            const std::uint8_t* w1 = panels[1].part[j];
            if (w0 == nullptr && w1 == nullptr) break;
            if (w0 != nullptr)
                _tile_loadd(6, w0 + b * 1024, 64);
            else
                _tile_zero(6);
            if (w1 != nullptr)
                _tile_loadd(7, w1 + b * 1024, 64);
            else
                _tile_zero(7);
            for (std::size_t i = 0; i + j < parts; ++i) {
                _tile_loadd(4, first + (b * parts + i) * 1024, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                if constexpr (TwoRows) {
                    _tile_loadd(5, second + (b * parts + i) * 1024, 64);
                    _tile_dpbf16ps(2, 5, 6);
                    _tile_dpbf16ps(3, 5, 7);
                }
            }
        }
    }
    _tile_stored(0, y, 64);
    _tile_stored(1, y + 512, 64);
    if constexpr (TwoRows) {
        _tile_stored(2, y + 256, 64);
        _tile_stored(3, y + 768, 64);
    }
    __asm__ volatile("" ::: "memory");
}

// The same of one part through vdpbf16ps, 8 rows at a time: machines with AVX-512 BF16 and no tiles.
template <bool TwoRows>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]] void multiply_bf16(const std::uint16_t* x, const TilePanel* panels,
                                                                                    std::size_t blocks, std::size_t begin, std::size_t end,
                                                                                    float* y) {
    for (std::size_t from = 0; from < (TwoRows ? 32 : 16); from += 8) {
        __m512 sum[8][2];
#pragma GCC unroll 8
        for (std::size_t r = 0; r < 8; ++r) {
#pragma GCC unroll 2
            for (std::size_t p = 0; p < 2; ++p)
                sum[r][p] = begin == 0 ? _mm512_setzero_ps() : _mm512_load_ps(y + p * 512 + (from + r) * 16);
        }
        for (std::size_t b = begin; b < end; ++b) {
            const std::uint16_t* rows = x + (from / 16 * blocks + b) * tile_elements + from % 16 * 32;
            for (std::size_t pair = 0; pair < 16; ++pair) {
                const auto w0 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(panels[0].part[0] + b * 1024 + pair * 64));
                const auto w1 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(panels[1].part[0] + b * 1024 + pair * 64));
#pragma GCC unroll 8
                for (std::size_t r = 0; r < 8; ++r) {
                    std::int32_t two;
                    std::memcpy(&two, rows + r * 32 + pair * 2, 4);
                    const auto factor = reinterpret_cast<__m512bh>(_mm512_set1_epi32(two));
                    sum[r][0] = _mm512_dpbf16_ps(sum[r][0], factor, w0);
                    sum[r][1] = _mm512_dpbf16_ps(sum[r][1], factor, w1);
                }
            }
        }
#pragma GCC unroll 8
        for (std::size_t r = 0; r < 8; ++r) {
#pragma GCC unroll 2
            for (std::size_t p = 0; p < 2; ++p) _mm512_store_ps(y + p * 512 + (from + r) * 16, sum[r][p]);
        }
    }
}

#endif

}  // namespace morsel::detail
