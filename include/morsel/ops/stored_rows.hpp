// Rows of stored weight matrices as floats or as integer codes, one block at a time: what the devices pack from.
// Block layouts are those of ggml (ggml-common.h): a block of 32 elements, or a super-block of 256 made of eight such. Every
// quantised type is brought to one form here, `CodeBlock`, so that packing and kernels know one kind of block.
// Leaves out q2_k and q3_k.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/formats/tensor_source.hpp"

namespace morsel {

// What a quantised type's blocks of 32 hold: element i is d · scale[i / 16] · (code[i] - zero) + sign · m · min.
struct QuantFormat {
    std::uint32_t bits = 0;  // of a code: 4, 5, 6 or 8; 0 where the type is not quantised
    int zero = 0;
    int min_sign = 0;    // 0: no minimum
    bool super = false;  // super-blocks of 256: integer scales, and d and m shared by eight blocks
};

constexpr QuantFormat quant_format(DType type) {
    switch (type) {
        case DType::q4_0: return {4, 8, 0, false};
        case DType::q4_1: return {4, 0, 1, false};
        case DType::q5_0: return {5, 16, 0, false};
        case DType::q5_1: return {5, 0, 1, false};
        case DType::q8_0: return {8, 128, 0, false};
        case DType::q4_k: return {4, 0, -1, true};
        case DType::q5_k: return {5, 0, -1, true};
        case DType::q6_k: return {6, 32, 0, true};
        default: return {};
    }
}

struct CodeBlock {
    std::uint8_t code[32];
    f16 d{0}, m{0};
    std::int8_t scale[2] = {1, 1};  // of elements 0 … 15 and 16 … 31
    std::uint8_t min = 1;
};

namespace detail {

template <class T>
T load_as(const std::byte* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

// The 6-bit scale and minimum of block `i` of a q4_k or q5_k super-block.
inline void unpack_scale_min(const std::uint8_t* packed, std::size_t i, CodeBlock& out) {  // packed [12]
    if (i < 4) {
        out.scale[0] = static_cast<std::int8_t>(packed[i] & 63);
        out.min = packed[i + 4] & 63;
    } else {
        out.scale[0] = static_cast<std::int8_t>((packed[i + 4] & 15) | (packed[i - 4] >> 6 << 4));
        out.min = static_cast<std::uint8_t>((packed[i + 4] >> 4) | (packed[i] >> 6 << 4));
    }
    out.scale[1] = out.scale[0];
}

}  // namespace detail

// Block `index` (of 32 elements) of a row that starts at `row`.
inline CodeBlock read_code_block(DType type, const std::byte* row, std::size_t index) {
    using detail::load_as;
    CodeBlock block;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(row);
    const auto nibbles = [&block](const std::uint8_t* low_high, std::uint32_t high_bits) {  // ggml: low half 0 … 15, high half 16 … 31
        for (std::size_t i = 0; i < 16; ++i) {
            block.code[i] = static_cast<std::uint8_t>((low_high[i] & 15) | (high_bits >> i & 1) << 4);
            block.code[i + 16] = static_cast<std::uint8_t>((low_high[i] >> 4) | (high_bits >> (i + 16) & 1) << 4);
        }
    };
    const std::size_t sub = index % 8;  // within a super-block
    switch (type) {
        case DType::q4_0:
            bytes += index * 18, block.d = load_as<f16>(row + index * 18);
            nibbles(bytes + 2, 0);
            break;
        case DType::q4_1:
            bytes += index * 20, block.d = load_as<f16>(row + index * 20), block.m = load_as<f16>(row + index * 20 + 2);
            nibbles(bytes + 4, 0);
            break;
        case DType::q5_0:
            bytes += index * 22, block.d = load_as<f16>(row + index * 22);
            nibbles(bytes + 6, load_as<std::uint32_t>(row + index * 22 + 2));
            break;
        case DType::q5_1:
            bytes += index * 24, block.d = load_as<f16>(row + index * 24), block.m = load_as<f16>(row + index * 24 + 2);
            nibbles(bytes + 8, load_as<std::uint32_t>(row + index * 24 + 4));
            break;
        case DType::q8_0:
            bytes += index * 34, block.d = load_as<f16>(row + index * 34);
            for (std::size_t i = 0; i < 32; ++i) block.code[i] = static_cast<std::uint8_t>(bytes[2 + i] ^ 0x80u);
            break;
        case DType::q4_k:
        case DType::q5_k: {
            const bool five = type == DType::q5_k;
            const std::size_t at = index / 8 * (five ? 176 : 144);
            block.d = load_as<f16>(row + at), block.m = load_as<f16>(row + at + 2);
            detail::unpack_scale_min(bytes + at + 4, sub, block);
            const std::uint8_t* low = bytes + at + (five ? 48 : 16) + sub / 2 * 32;
            for (std::size_t i = 0; i < 32; ++i) {
                const unsigned high = five ? bytes[at + 16 + i] >> sub & 1u : 0u;
                block.code[i] = static_cast<std::uint8_t>((sub % 2 == 0 ? low[i] & 15u : low[i] >> 4u) | high << 4);
            }
            break;
        }
        case DType::q6_k: {
            const std::size_t at = index / 8 * 210, half = sub / 4, quarter = sub % 4;
            block.d = load_as<f16>(row + at + 208);
            for (std::size_t i = 0; i < 2; ++i) block.scale[i] = load_as<std::int8_t>(row + at + 192 + sub * 2 + i);
            const std::uint8_t* low = bytes + at + half * 64 + quarter % 2 * 32;
            const std::uint8_t* high = bytes + at + 128 + half * 32;
            for (std::size_t i = 0; i < 32; ++i) {
                block.code[i] =
                    static_cast<std::uint8_t>((quarter < 2 ? low[i] & 15u : low[i] >> 4u) | (high[i] >> (2 * quarter) & 3u) << 4);
            }
            break;
        }
        default: std::memset(block.code, 0, sizeof block.code); break;
    }
    return block;
}

// Rows, columns and bytes per row of a stored matrix [rows, columns]; a vector counts as one row. Throws Error where the bytes
// do not fit the shape, or the type cannot be read.
struct StoredMatrix {
    std::size_t rows = 0, columns = 0, row_bytes = 0;
};
inline StoredMatrix stored_matrix(const TensorView& view) {
    const DTypeInfo info = dtype_info(view.dtype);
    const auto type_text = std::string(info.name);
    if (view.dtype != DType::f64 && view.dtype != DType::f32 && view.dtype != DType::f16 && view.dtype != DType::bf16 &&
        quant_format(view.dtype).bits == 0)
        throw Error("weights of this type cannot be used",
                    {.expected = "F64, F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K", .found = type_text});
    if (view.shape.empty() || view.shape.size() > 2)
        throw Error("not a matrix or vector", {.expected = "1 or 2 dimensions", .found = shape_text(view.shape)});
    const std::uint64_t rows = view.shape.size() == 2 ? view.shape[0] : 1, columns = view.shape.back();
    if (columns == 0 || rows == 0 || columns % info.block_size != 0)
        throw Error("bad shape for " + type_text,
                    {.expected = "columns a positive multiple of " + std::to_string(info.block_size), .found = shape_text(view.shape)});
    const std::uint64_t row_bytes = columns / info.block_size * (info.block_bits / 8);
    if (columns > view.bytes.size() * std::uint64_t{2} || rows > view.bytes.size() / row_bytes || rows * row_bytes != view.bytes.size())
        throw Error("wrong number of bytes",
                    {.expected = type_text + " " + shape_text(view.shape), .found = std::to_string(view.bytes.size()) + " bytes"});
    return {static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), static_cast<std::size_t>(row_bytes)};
}

// Elements [0, columns) of the row that starts at `row`, exactly as floats (f64 is rounded).
inline void read_row(DType type, const std::byte* row, std::size_t columns, float* out) {
    using detail::load_as;
    if (const QuantFormat format = quant_format(type); format.bits > 0) {
        for (std::size_t b = 0; b < columns / 32; ++b) {
            const CodeBlock block = read_code_block(type, row, b);
            const float min = to_f32(block.m) * static_cast<float>(format.min_sign * block.min);
            for (std::size_t i = 0; i < 32; ++i) {
                const float product =
                    to_f32(block.d) * static_cast<float>(block.scale[i / 16]) * static_cast<float>(block.code[i] - format.zero);
                out[b * 32 + i] = format.min_sign != 0 ? product + min : product;
            }
        }
        return;
    }
    for (std::size_t i = 0; i < columns; ++i) {
        switch (type) {
            case DType::f64: out[i] = static_cast<float>(load_as<double>(row + i * 8)); break;
            case DType::f32: out[i] = load_as<float>(row + i * 4); break;
            case DType::f16: out[i] = to_f32(load_as<f16>(row + i * 2)); break;
            default: out[i] = to_f32(load_as<bf16>(row + i * 2)); break;
        }
    }
}

}  // namespace morsel
