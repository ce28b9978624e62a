// How the CPU keeps weights: panels of 16 rows, interleaved so that one vector register holds the same column (or pair, or four
// columns) of all 16 rows. A product then streams a panel front to back and needs no horizontal sum: 23 to 31 GB/s on a Zen 4
// where four rows at once of a row-major matrix fell to 10. Types keep their stored size; quantised blocks keep their codes and scales.
//
//   f32, f16       [k][16]
//   bf16           [k / 2][16][2]           what vdpbf16ps and the AMX tiles take
//   quantised      [k / 32] blocks of       codes, then scales d [16] and minima m [16] as f16
//     codes, 8 bit [8][16][4]               byte c of group g is column 4g + c; unsigned, QuantFormat::zero is not yet taken off
//     codes, 4 bit [4][16][4]               low nibble: column 8j + c, high nibble: column 8j + 4 + c
//       5 bit      and [16] 32-bit words    bit 8c + g: the fifth bit of column 4g + c
//       6 bit      and [2][16] words        bits 8c + 2(g % 4) and the next, of word g / 4
//     super-blocks of 8 blocks open with d and m; their blocks hold 8-bit scales and minima [16] instead (q6_k: two scales)
// k is padded to a multiple of 32 with zeros, and a last panel to 16 rows.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "morsel/ops/stored_rows.hpp"

namespace morsel {

inline constexpr std::size_t panel_rows = 16;

// Sizes in bytes of the pieces of a quantised panel.
struct QuantPanel {
    std::size_t head = 0;    // before every eighth block
    std::size_t codes = 0;   // of a block
    std::size_t scales = 0;  // of a block, after its codes
    constexpr std::size_t block() const { return codes + scales; }
    constexpr std::size_t head_at(std::size_t index) const { return index / 8 * (head + 8 * block()); }
    constexpr std::size_t block_at(std::size_t index) const {
        return head == 0 ? index * block() : head_at(index) + head + index % 8 * block();
    }
};

constexpr QuantPanel quant_panel(DType type) {
    const QuantFormat f = quant_format(type);
    QuantPanel p;
    p.codes = f.bits == 8 ? 512 : f.bits == 6 ? 384 : f.bits == 5 ? 320 : 256;
    const std::size_t halves = f.min_sign != 0 ? 64 : 32;  // d and m of 16 rows
    p.head = f.super ? halves : 0;
    p.scales = !f.super ? halves : f.min_sign != 0 || type == DType::q6_k ? 32 : 16;
    return p;
}

constexpr std::size_t padded_columns(std::size_t k) { return (k + 31) / 32 * 32; }

// The type a stored type is kept as.
constexpr DType panel_type(DType stored) { return stored == DType::f64 ? DType::f32 : stored; }

constexpr std::size_t panel_bytes(DType type, std::size_t k) {
    if (quant_format(type).bits > 0) return quant_panel(type).block_at(padded_columns(k) / 32);
    return padded_columns(k) * panel_rows * (type == DType::f32 ? 4 : 2);
}

// Branchless, for loops that compilers vectorise; exact.
[[gnu::always_inline]] inline float half_to_float(std::uint16_t h) {
    const std::uint32_t magnitude = static_cast<std::uint32_t>(h & 0x7fffu) << 13, sign = static_cast<std::uint32_t>(h & 0x8000u) << 16;
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
    const std::uint32_t special = (h & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | special | sign);
}

namespace detail {

// Writes row `r` of a quantised panel, columns [0, k), from a stored row.
inline void pack_quantised_row(DType type, const std::byte* row, std::size_t k, std::size_t r, std::uint8_t* panel) {
    const QuantFormat format = quant_format(type);
    const QuantPanel sizes = quant_panel(type);
    const auto put_half = [r](std::uint8_t* at, f16 value) { std::memcpy(at + r * 2, &value.bits, 2); };
    for (std::size_t b = 0; b < k / 32; ++b) {
        const CodeBlock block = read_code_block(type, row, b);
        std::uint8_t* codes = panel + sizes.block_at(b);
        std::uint8_t* scales = codes + sizes.codes;
        if (format.bits == 8) {
            for (std::size_t g = 0; g < 8; ++g) std::memcpy(codes + g * 64 + r * 4, block.code + g * 4, 4);
        } else {
            for (std::size_t i = 0; i < 16; ++i) {
                const std::size_t j = i / 4, c = i % 4;
                codes[j * 64 + r * 4 + c] = static_cast<std::uint8_t>((block.code[8 * j + c] & 15) | block.code[8 * j + 4 + c] << 4);
            }
            std::uint32_t high[2] = {0, 0};
            for (std::size_t i = 0; i < 32; ++i) {
                const std::size_t g = i / 4, c = i % 4;
                if (format.bits == 5) high[0] |= (block.code[i] >> 4u & 1u) << (8 * c + g);
                if (format.bits == 6) high[g / 4] |= (block.code[i] >> 4u & 3u) << (8 * c + 2 * (g % 4));
            }
            for (std::size_t w = 0; w + 4 < format.bits; ++w) std::memcpy(codes + 256 + w * 64 + r * 4, &high[w], 4);
        }
        if (!format.super) {
            put_half(scales, block.d);
            if (format.min_sign != 0) put_half(scales + 32, block.m);
            continue;
        }
        std::uint8_t* head = panel + sizes.head_at(b);
        put_half(head, block.d);
        if (format.min_sign != 0) put_half(head + 32, block.m);
        scales[r] = static_cast<std::uint8_t>(block.scale[0]);
        scales[16 + r] = format.min_sign != 0 ? block.min : static_cast<std::uint8_t>(block.scale[1]);
    }
}

template <class T>
void pack_plain_row(const std::byte* row, std::size_t stride, std::size_t k, std::size_t r, bool pairs, std::uint8_t* panel) {
    T* to = reinterpret_cast<T*>(panel);
    for (std::size_t i = 0; i < k; ++i) {
        const T value = load_as<T>(row + i * stride);
        to[pairs ? i / 2 * 32 + r * 2 + i % 2 : i * 16 + r] = value;
    }
}

}  // namespace detail

// Writes row `r` of a panel that was zeroed, from stored elements `stride` bytes apart (quantised types: one block after another).
inline void pack_row(DType stored, const std::byte* row, std::size_t stride, std::size_t k, std::size_t r, std::uint8_t* panel) {
    switch (stored) {
        case DType::f64:
            for (std::size_t i = 0; i < k; ++i) {
                const auto value = static_cast<float>(detail::load_as<double>(row + i * stride));
                std::memcpy(panel + (i * 16 + r) * 4, &value, 4);
            }
            break;
        case DType::f32: detail::pack_plain_row<std::uint32_t>(row, stride, k, r, false, panel); break;
        case DType::f16: detail::pack_plain_row<std::uint16_t>(row, stride, k, r, false, panel); break;
        case DType::bf16:
            if (stride != 2) {
                detail::pack_plain_row<std::uint16_t>(row, stride, k, r, true, panel);
            } else {
                for (std::size_t i = 0; i + 1 < k; i += 2) std::memcpy(panel + i * 32 + r * 4, row + i * 2, 4);
                if (k % 2 != 0) std::memcpy(panel + (k - 1) * 32 + r * 4, row + (k - 1) * 2, 2);
            }
            break;
        default: detail::pack_quantised_row(stored, row, k, r, panel); break;
    }
}

// Columns [32 · b, 32 · b + 32) of rows [first, first + Rows) of a panel as floats, out [32][Rows].
// Plain loops over rows: compiled for AVX2 and AVX-512 inside functions of those targets, they become vector code.
template <DType Type, std::size_t Rows>
[[gnu::always_inline]] inline void unpack_block(const std::uint8_t* panel, std::size_t b, std::size_t first, float* out) {
    constexpr QuantFormat format = quant_format(Type);
    if constexpr (Type == DType::f32) {
        const std::uint8_t* from = panel + (b * 32 * 16 + first) * 4;
        for (std::size_t k = 0; k < 32; ++k) std::memcpy(out + k * Rows, from + k * 64, Rows * 4);
    } else if constexpr (Type == DType::f16) {
        for (std::size_t k = 0; k < 32; ++k) {
            std::uint16_t half[Rows];
            std::memcpy(half, panel + ((b * 32 + k) * 16 + first) * 2, sizeof half);
            for (std::size_t r = 0; r < Rows; ++r) out[k * Rows + r] = half_to_float(half[r]);
        }
    } else if constexpr (Type == DType::bf16) {
        for (std::size_t k = 0; k < 32; k += 2) {
            std::uint32_t pair[Rows];
            std::memcpy(pair, panel + ((b * 32 + k) * 16 + first * 2) * 2, sizeof pair);
            for (std::size_t r = 0; r < Rows; ++r) {
                out[k * Rows + r] = std::bit_cast<float>(pair[r] << 16);
                out[(k + 1) * Rows + r] = std::bit_cast<float>(pair[r] & 0xffff0000u);
            }
        }
    } else {
        constexpr QuantPanel sizes = quant_panel(Type);
        const std::uint8_t* codes = panel + sizes.block_at(b);
        const std::uint8_t* scales = codes + sizes.codes;
        const std::uint8_t* halves = format.super ? panel + sizes.head_at(b) : scales;
        float scale[2][Rows], min[Rows];
        std::uint16_t d[Rows], m[Rows];
        std::memcpy(d, halves + first * 2, sizeof d);
        if constexpr (format.min_sign != 0) std::memcpy(m, halves + 32 + first * 2, sizeof m);
        for (std::size_t r = 0; r < Rows; ++r) {
            const float d_of_row = half_to_float(d[r]);
            scale[0][r] = format.super ? d_of_row * static_cast<float>(static_cast<std::int8_t>(scales[first + r])) : d_of_row;
            scale[1][r] =
                Type == DType::q6_k ? d_of_row * static_cast<float>(static_cast<std::int8_t>(scales[16 + first + r])) : scale[0][r];
            if constexpr (format.min_sign != 0)
                min[r] = half_to_float(m[r]) * static_cast<float>(format.min_sign * (format.super ? scales[16 + first + r] : 1));
        }
        for (std::size_t g = 0; g < 8; ++g) {
            std::uint32_t word[Rows], high[Rows];
            std::memcpy(word, codes + (format.bits == 8 ? g : g / 2) * 64 + first * 4, sizeof word);
            if constexpr (format.bits == 5) std::memcpy(high, codes + 256 + first * 4, sizeof high);
            if constexpr (format.bits == 6) std::memcpy(high, codes + 256 + g / 4 * 64 + first * 4, sizeof high);
            const unsigned nibble = g % 2 * 4;
            for (std::size_t c = 0; c < 4; ++c) {
                float* to = out + (4 * g + c) * Rows;
                for (std::size_t r = 0; r < Rows; ++r) {
                    std::uint32_t code = format.bits == 8 ? word[r] >> (8 * c) & 255u : word[r] >> (8 * c + nibble) & 15u;
                    if constexpr (format.bits == 5) code |= (high[r] >> (8 * c + g) & 1u) << 4;
                    if constexpr (format.bits == 6) code |= (high[r] >> (8 * c + 2 * (g % 4)) & 3u) << 4;
                    to[r] = scale[g / 4][r] * static_cast<float>(static_cast<std::int32_t>(code) - format.zero);
                    if constexpr (format.min_sign != 0) to[r] += min[r];
                }
            }
        }
    }
}

// Calls f.template operator()<Type>() for the panel type `type`.
template <class F>
[[gnu::always_inline]] inline void with_panel_type(DType type, F&& f) {
    switch (type) {
        case DType::f32: return f.template operator()<DType::f32>();
        case DType::f16: return f.template operator()<DType::f16>();
        case DType::bf16: return f.template operator()<DType::bf16>();
        case DType::q4_0: return f.template operator()<DType::q4_0>();
        case DType::q4_1: return f.template operator()<DType::q4_1>();
        case DType::q5_0: return f.template operator()<DType::q5_0>();
        case DType::q5_1: return f.template operator()<DType::q5_1>();
        case DType::q8_0: return f.template operator()<DType::q8_0>();
        case DType::q4_k: return f.template operator()<DType::q4_k>();
        case DType::q5_k: return f.template operator()<DType::q5_k>();
        case DType::q6_k: return f.template operator()<DType::q6_k>();
        default: return;  // prepare_matrix makes no other
    }
}

}  // namespace morsel
