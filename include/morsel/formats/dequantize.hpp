// Plain reference dequantisation: any weight type a file may hold, to f32. It is what the packed kernels are held against, and what
// loaders use for small tensors; speed is not its aim. Block layouts follow ggml's block_* structures (little endian, one f16 scale
// per block of 32, or 6-bit sub-scales per super-block of 256 for the K types). Leaves out integers and the 8-bit floats.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/formats/tensor_source.hpp"

namespace morsel {

namespace detail {

inline float load_f16(const std::uint8_t* from) { return to_f32(f16{static_cast<std::uint16_t>(from[0] | from[1] << 8)}); }

// Each takes one block and gives `block_size` values. In the 32-blocks the low nibbles are the first 16 values, the high ones the rest.
inline void dequantize_q4_0(const std::uint8_t* b, float* y) {  // f16 d; 16 bytes of nibbles: d * (q - 8)
    const float d = load_f16(b);
    for (int i = 0; i < 16; ++i) {
        y[i] = d * static_cast<float>((b[2 + i] & 15) - 8);
        y[i + 16] = d * static_cast<float>((b[2 + i] >> 4) - 8);
    }
}
inline void dequantize_q4_1(const std::uint8_t* b, float* y) {  // f16 d, f16 m; nibbles: d * q + m
    const float d = load_f16(b), m = load_f16(b + 2);
    for (int i = 0; i < 16; ++i) {
        y[i] = d * static_cast<float>(b[4 + i] & 15) + m;
        y[i + 16] = d * static_cast<float>(b[4 + i] >> 4) + m;
    }
}
inline int fifth_bit(const std::uint8_t* high, int i) { return (high[i / 8] >> (i % 8) & 1) << 4; }
inline void dequantize_q5_0(const std::uint8_t* b, float* y) {  // f16 d; 32 high bits; nibbles: d * (q - 16)
    const float d = load_f16(b);
    for (int i = 0; i < 16; ++i) {
        y[i] = d * static_cast<float>(((b[6 + i] & 15) | fifth_bit(b + 2, i)) - 16);
        y[i + 16] = d * static_cast<float>((b[6 + i] >> 4 | fifth_bit(b + 2, i + 16)) - 16);
    }
}
inline void dequantize_q5_1(const std::uint8_t* b, float* y) {  // f16 d, f16 m; 32 high bits; nibbles: d * q + m
    const float d = load_f16(b), m = load_f16(b + 2);
    for (int i = 0; i < 16; ++i) {
        y[i] = d * static_cast<float>((b[8 + i] & 15) | fifth_bit(b + 4, i)) + m;
        y[i + 16] = d * static_cast<float>(b[8 + i] >> 4 | fifth_bit(b + 4, i + 16)) + m;
    }
}
inline void dequantize_q8_0(const std::uint8_t* b, float* y) {  // f16 d; 32 signed bytes
    const float d = load_f16(b);
    for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(static_cast<std::int8_t>(b[2 + i]));
}

inline void dequantize_q2_k(const std::uint8_t* b, float* y) {  // 16 scales (4 bits scale, 4 bits min); 64 bytes of 2 bits; f16 d, f16 dmin
    const float d = load_f16(b + 80), dmin = load_f16(b + 82);
    for (int i = 0; i < 256; ++i) {  // value i: half h of 128, plane p of 32, place l
        const int h = i / 128, p = i / 32 % 4, l = i % 32;
        const std::uint8_t scale = b[i / 16];
        y[i] = d * static_cast<float>(scale & 15) * static_cast<float>(b[16 + 32 * h + l] >> (2 * p) & 3) - dmin * static_cast<float>(scale >> 4);
    }
}
inline void dequantize_q3_k(const std::uint8_t* b, float* y) {  // 32 bytes of third bits; 64 bytes of 2 bits; 16 scales of 6 bits; f16 d
    const float d = load_f16(b + 108);
    const std::uint8_t* packed = b + 96;  // low nibbles of the scales in bytes 0..7, their high pairs of bits in bytes 8..11
    for (int i = 0; i < 256; ++i) {
        const int h = i / 128, p = i / 32 % 4, l = i % 32, s = i / 16;
        const int scale = ((s < 8 ? packed[s] & 15 : packed[s - 8] >> 4) | (packed[8 + s % 4] >> (2 * (s / 4)) & 3) << 4) - 32;
        const int q = (b[32 + 32 * h + l] >> (2 * p) & 3) - ((b[l] >> (4 * h + p) & 1) != 0 ? 0 : 4);
        y[i] = d * static_cast<float>(scale) * static_cast<float>(q);
    }
}
// Sub-block j of 8 in Q4_K and Q5_K: 6-bit scale and minimum, packed in 12 bytes.
inline void scale_and_min(const std::uint8_t* packed, int j, int& scale, int& min) {
    if (j < 4) {
        scale = packed[j] & 63, min = packed[j + 4] & 63;
    } else {
        scale = (packed[j + 4] & 15) | packed[j - 4] >> 6 << 4, min = packed[j + 4] >> 4 | packed[j] >> 6 << 4;
    }
}
inline void dequantize_q4_k(const std::uint8_t* b, float* y) {  // f16 d, f16 dmin; 12 bytes of scales; 128 bytes of nibbles
    const float d = load_f16(b), dmin = load_f16(b + 2);
    for (int j = 0; j < 8; ++j) {
        int scale = 0, min = 0;
        scale_and_min(b + 4, j, scale, min);
        const float factor = d * static_cast<float>(scale), offset = dmin * static_cast<float>(min);
        for (int l = 0; l < 32; ++l) y[32 * j + l] = factor * static_cast<float>(b[16 + 32 * (j / 2) + l] >> (4 * (j % 2)) & 15) - offset;
    }
}
inline void dequantize_q5_k(const std::uint8_t* b, float* y) {  // f16 d, f16 dmin; 12 bytes of scales; 32 bytes of fifth bits; nibbles
    const float d = load_f16(b), dmin = load_f16(b + 2);
    for (int j = 0; j < 8; ++j) {
        int scale = 0, min = 0;
        scale_and_min(b + 4, j, scale, min);
        const float factor = d * static_cast<float>(scale), offset = dmin * static_cast<float>(min);
        for (int l = 0; l < 32; ++l) {
            const int q = (b[48 + 32 * (j / 2) + l] >> (4 * (j % 2)) & 15) | (b[16 + l] >> j & 1) << 4;
            y[32 * j + l] = factor * static_cast<float>(q) - offset;
        }
    }
}
inline void dequantize_q6_k(const std::uint8_t* b, float* y) {  // 128 bytes of nibbles; 64 bytes of 2 high bits; 16 signed scales; f16 d
    const float d = load_f16(b + 208);
    for (int i = 0; i < 256; ++i) {
        const int h = i / 128, p = i / 32 % 4, l = i % 32;
        const int low = b[64 * h + 32 * (p % 2) + l] >> (4 * (p / 2)) & 15, high = b[128 + 32 * h + l] >> (2 * p) & 3;
        y[i] = d * static_cast<float>(static_cast<std::int8_t>(b[192 + i / 16])) * static_cast<float>((low | high << 4) - 32);
    }
}

// Calls `block` for each block of `bytes`.
template <class Block> void dequantize_blocks(std::span<const std::byte> bytes, DTypeInfo info, float* y, Block block) {
    const auto* b = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const std::size_t size = info.block_bits / 8;
    for (std::size_t i = 0; i < bytes.size() / size; ++i) block(b + i * size, y + i * info.block_size);
}

}  // namespace detail

// Converts `bytes`, whole blocks of type `type`, to f32. `values` must have one place for every element; throws Error where it has
// not, where bytes are not whole blocks, or where the type is none of f32 f64 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k … q6_k.
inline void dequantize(DType type, std::span<const std::byte> bytes, std::span<float> values) {
    const DTypeInfo info = dtype_info(type);
    const std::size_t size = info.block_bits / 8;  // bytes
    if (size == 0 || bytes.size() % size != 0 || bytes.size() / size * info.block_size != values.size())
        throw Error("cannot dequantise: bytes and values do not fit", {.expected = std::to_string(values.size()) + " values of " + std::string(info.name), .found = std::to_string(bytes.size()) + " bytes"});
    const auto run = [&](auto block) { detail::dequantize_blocks(bytes, info, values.data(), block); };
    switch (type) {
        case DType::f32: return run([](const std::uint8_t* b, float* y) { std::memcpy(y, b, 4); });
        case DType::f64: return run([](const std::uint8_t* b, float* y) {
            double value;
            std::memcpy(&value, b, 8);
            *y = static_cast<float>(value);
        });
        case DType::f16: return run([](const std::uint8_t* b, float* y) { *y = detail::load_f16(b); });
        case DType::bf16: return run([](const std::uint8_t* b, float* y) { *y = to_f32(bf16{static_cast<std::uint16_t>(b[0] | b[1] << 8)}); });
        case DType::q4_0: return run(detail::dequantize_q4_0);
        case DType::q4_1: return run(detail::dequantize_q4_1);
        case DType::q5_0: return run(detail::dequantize_q5_0);
        case DType::q5_1: return run(detail::dequantize_q5_1);
        case DType::q8_0: return run(detail::dequantize_q8_0);
        case DType::q2_k: return run(detail::dequantize_q2_k);
        case DType::q3_k: return run(detail::dequantize_q3_k);
        case DType::q4_k: return run(detail::dequantize_q4_k);
        case DType::q5_k: return run(detail::dequantize_q5_k);
        case DType::q6_k: return run(detail::dequantize_q6_k);
        default: throw Error("cannot dequantise this type", {.found = std::string(info.name)});
    }
}

// A whole tensor; `values` is [product of shape].
inline void dequantize(const TensorView& view, std::span<float> values) { dequantize(view.dtype, view.bytes, values); }

// Row `row` of a tensor taken as [rows, shape.back()]; `values` is [shape.back()]. Throws Error where there is no such row.
inline void dequantize_row(const TensorView& view, std::uint64_t row, std::span<float> values) {
    const DTypeInfo info = dtype_info(view.dtype);
    const std::uint64_t columns = view.shape.empty() ? 1 : view.shape.back();
    const std::uint64_t row_bytes = columns / info.block_size * (info.block_bits / 8);
    if (columns % info.block_size != 0) throw Error("rows are not whole blocks", {.found = shape_text(view.shape)});
    if (row_bytes == 0 ? columns != 0 : row >= view.bytes.size() / row_bytes) throw Error("no such row", {.found = std::to_string(row) + " of " + shape_text(view.shape)});
    dequantize(view.dtype, view.bytes.subspan(static_cast<std::size_t>(row * row_bytes), static_cast<std::size_t>(row_bytes)), values);
}

}  // namespace morsel
