// Products of many rows on AMX tiles (Intel Architecture Instruction Set Extensions, chapter 3): prefill. A tile instruction takes
// 16 rows x 32 columns of bf16 activations and a panel's 32 columns of bf16 weights, as stored, and adds 16 x 16 f32 sums.
// bf16 alone keeps 8 bits, so an f32 value is taken as the sum of two: x = xh + xl to 16 bits. Weights stored as bf16 need two
// products (xh w + xl w), others three (xh wh + xl wh + xh wl). Two panels and 32 rows at a time fill the eight tile registers.
// Leaves out blocking over columns: rows are taken in chunks whose activations fit the second-level cache.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "morsel/ops/cpu/isa.hpp"
#include "morsel/ops/cpu/panel.hpp"

namespace morsel::detail {

inline constexpr std::size_t tile_elements = 16 * 32;  // of bf16: 1 KB

// The upper 16 bits of the result are x rounded to bf16, nearest even.
[[gnu::always_inline]] inline std::uint32_t bf16_above(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    return (u + 0x7fffu + (u >> 16 & 1u)) & 0xffff0000u;
}

// Splits `count` values into their bf16 and the bf16 of what is left.
[[gnu::always_inline]] inline void split_bf16(const float* x, std::size_t count, std::uint16_t* high, std::uint16_t* low) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t h = bf16_above(x[i]);
        high[i] = static_cast<std::uint16_t>(h >> 16);
        low[i] = static_cast<std::uint16_t>(bf16_above(x[i] - std::bit_cast<float>(h)) >> 16);
    }
}

// Blocks of a panel as pairs of bf16: high and low each [blocks][16][16][2].
template <DType Type>
[[gnu::always_inline]] inline void split_panel(const std::uint8_t* panel, std::size_t blocks, std::uint32_t* high, std::uint32_t* low) {
    for (std::size_t b = 0; b < blocks; ++b, high += 256, low += 256) {
        alignas(64) float w[32 * 16];
        unpack_block<Type, 16>(panel, b, 0, w);
        for (std::size_t pair = 0; pair < 16; ++pair) {
            for (std::size_t r = 0; r < 16; ++r) {
                const float even = w[pair * 32 + r], odd = w[pair * 32 + 16 + r];
                const std::uint32_t even_high = bf16_above(even), odd_high = bf16_above(odd);
                high[pair * 16 + r] = even_high >> 16 | odd_high;
                low[pair * 16 + r] = bf16_above(even - std::bit_cast<float>(even_high)) >> 16 | bf16_above(odd - std::bit_cast<float>(odd_high));
            }
        }
    }
}

// Activations as tiles: rows [begin, end), begin a multiple of 16, of x [rows, blocks · 32], to
// out [rows / 16][blocks][high, low][16][32]; rows beyond `rows` are zero.
[[gnu::always_inline]] inline void to_tiles(const float* x, std::size_t rows, std::size_t begin, std::size_t end, std::size_t blocks, std::uint16_t* out) {
    for (std::size_t row = begin; row < end; ++row) {
        for (std::size_t b = 0; b < blocks; ++b) {
            std::uint16_t* high = out + ((row / 16 * blocks + b) * 2) * tile_elements + row % 16 * 32;
            if (row < rows) split_bf16(x + (row * blocks + b) * 32, 32, high, high + tile_elements);
            else std::fill_n(high, 32, std::uint16_t{0}), std::fill_n(high + tile_elements, 32, std::uint16_t{0});
        }
    }
}

// Weights of one panel for the tiles: `low` is null where bf16 holds them exactly.
struct TilePanel {
    const void* high = nullptr;
    const void* low = nullptr;
};

#if defined(__x86_64__)

[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] inline void to_tiles_avx512(const float* x, std::size_t rows, std::size_t begin, std::size_t end,
                                                                                           std::size_t blocks, std::uint16_t* out) {
    to_tiles(x, rows, begin, end, blocks, out);
}

template <DType Type>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] void split_panel_avx512(const std::uint8_t* panel, std::size_t blocks, std::uint32_t* high,
                                                                                      std::uint32_t* low) {
    split_panel<Type>(panel, blocks, high, low);
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

// x: tiles [rows / 16][blocks][2], of 16 rows, or of 32 where TwoRows; y [2 panels][32][16].
template <bool TwoRows, bool Narrow>
[[gnu::target("amx-tile,amx-bf16,avx512f")]] void multiply_tiles(const std::uint16_t* x, const TilePanel* panels, std::size_t blocks, float* y) {
    const auto* first = reinterpret_cast<const std::uint8_t*>(x);
    const std::uint8_t* second = first + blocks * 2048;
    const auto* high0 = static_cast<const std::uint8_t*>(panels[0].high);
    const auto* high1 = static_cast<const std::uint8_t*>(panels[1].high);
    const auto* low0 = static_cast<const std::uint8_t*>(panels[0].low);
    const auto* low1 = static_cast<const std::uint8_t*>(panels[1].low);
    __asm__ volatile("" ::: "memory");  // the loads below are opaque to the compiler
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (TwoRows) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (std::size_t b = 0; b < blocks; ++b) {
        _tile_loadd(6, high0 + b * 1024, 64);
        _tile_loadd(7, high1 + b * 1024, 64);
        if constexpr (!Narrow) {
            _tile_loadd(4, first + b * 2048 + 1024, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            if constexpr (TwoRows) {
                _tile_loadd(5, second + b * 2048 + 1024, 64);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
        _tile_loadd(4, first + b * 2048, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if constexpr (TwoRows) {
            _tile_loadd(5, second + b * 2048, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        if (!Narrow && low0 != nullptr) {
            _tile_loadd(6, low0 + b * 1024, 64);
            _tile_dpbf16ps(0, 4, 6);
            if constexpr (TwoRows) _tile_dpbf16ps(2, 5, 6);
        }
        if (!Narrow && low1 != nullptr) {
            _tile_loadd(7, low1 + b * 1024, 64);
            _tile_dpbf16ps(1, 4, 7);
            if constexpr (TwoRows) _tile_dpbf16ps(3, 5, 7);
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

#endif

}  // namespace morsel::detail
