// A weight matrix on the GPU: rows as stored (f32, bf16 or f16), each padded with zeros to a multiple of 16 bytes, so that a lane reads
// 16 bytes at a time; quantised rows in the planes of quantised.cuh. Made once at load, in pieces through pinned memory.
#pragma once
#include <memory>
#include <vector>

#include "morsel/cuda/device.cuh"

namespace morsel {

// Weights [out_features, in_features], immutable after prepare_matrix.
struct CudaMatrix {
    DType type = DType::f32;             // f32, bf16, f16 or a quantised type
    std::size_t out_features = 0, in_features = 0;
    std::size_t row_bytes = 0;           // a multiple of 16
    std::size_t bytes = 0;               // of device memory
    std::shared_ptr<std::uint8_t> data;  // [out_features][row_bytes]

    bool quantised() const { return quant_format(type).bits > 0; }
    // Of types that are not quantised:
    std::size_t element_bytes() const { return type == DType::f32 ? 4 : 2; }
    std::size_t row_elements() const { return row_bytes / element_bytes(); }
};

namespace detail {

// Bytes of a row of `blocks` blocks, as quantised.cuh has it.
inline std::size_t quantised_row_bytes(DType type, std::size_t blocks) {
    const QuantFormat format = quant_format(type);
    const std::size_t codes = format.bits == 8 ? 32 : 16, high = format.bits == 5 ? 4 : format.bits == 6 ? 8 : 0;
    const std::size_t scales = format.super ? (blocks * 2 + 3) / 4 * 4 + (blocks + 7) / 8 * 4 : blocks * 4;
    return (blocks * (codes + high) + scales + 15) / 16 * 16;
}

// A stored row into those planes; `to` is zero before.
inline void lay_quantised_row(DType type, const std::byte* row, std::size_t blocks, std::uint8_t* to) {
    const QuantFormat format = quant_format(type);
    const std::size_t code_bytes = format.bits == 8 ? 32 : 16, high_bytes = format.bits == 5 ? 4 : format.bits == 6 ? 8 : 0;
    std::uint8_t *high = to + blocks * code_bytes, *scales = high + blocks * high_bytes, *shared = scales + (blocks * 2 + 3) / 4 * 4;
    for (std::size_t b = 0; b < blocks; ++b) {
        const CodeBlock block = read_code_block(type, row, b);
        std::uint64_t upper = 0;
        for (std::size_t i = 0; i < 32; ++i) {
            if (format.bits == 8) to[b * 32 + i] = block.code[i];
            else to[b * 16 + i / 2] = static_cast<std::uint8_t>(to[b * 16 + i / 2] | (block.code[i] & 15) << (i % 2 * 4));
            upper |= static_cast<std::uint64_t>(block.code[i] >> 4) << (high_bytes == 8 ? 2 * i : i);
        }
        if (high_bytes > 0) std::memcpy(high + b * high_bytes, &upper, high_bytes);
        const std::uint16_t halves[2] = {block.d.bits, block.m.bits};
        if (!format.super) {
            std::memcpy(scales + b * 4, halves, 4);
        } else {
            scales[b * 2] = static_cast<std::uint8_t>(block.scale[0]), scales[b * 2 + 1] = format.min_sign != 0 ? block.min : static_cast<std::uint8_t>(block.scale[1]);
            std::memcpy(shared + b / 8 * 4, halves, 4);
        }
    }
}

}  // namespace detail

// Stacks the parts' rows; parts of different types become f32. Throws Error where a part's type cannot be read,
// the widths differ, or row_order does not fit.
inline CudaMatrix prepare_matrix(Cuda& device, std::span<const MatrixPart> parts) {
    CudaMatrix matrix;
    std::vector<std::size_t> part_begin;  // first row of each part
    bool mixed = false;
    for (const MatrixPart& part : parts) {
        const StoredMatrix stored = stored_matrix(part.view);
        if (part.transposed && quant_format(part.view.dtype).bits > 0)
            throw Error("a transposed matrix cannot be quantised", {.found = std::string(dtype_info(part.view.dtype).name)});
        const std::size_t rows = part.transposed ? stored.columns : stored.rows, columns = part.transposed ? stored.rows : stored.columns;
        if (matrix.out_features > 0 && columns != matrix.in_features)
            throw Error("parts of a matrix have different widths", {.expected = std::to_string(matrix.in_features), .found = std::to_string(columns)});
        if (!part.row_order.empty() &&
            (part.row_order.size() != rows || std::any_of(part.row_order.begin(), part.row_order.end(), [rows](std::uint32_t i) { return i >= rows; })))
            throw Error("row order does not fit the matrix", {.expected = std::to_string(rows) + " rows"});
        mixed = mixed || part.view.dtype != parts[0].view.dtype;
        part_begin.push_back(matrix.out_features);
        matrix.in_features = columns, matrix.out_features += rows;
    }
    const DType stored_type = parts.empty() ? DType::f32 : parts[0].view.dtype;
    const bool kept = stored_type == DType::bf16 || stored_type == DType::f16 || quant_format(stored_type).bits > 0;
    matrix.type = !mixed && kept ? stored_type : DType::f32;
    const std::size_t element = matrix.element_bytes();
    matrix.row_bytes = matrix.quantised() ? detail::quantised_row_bytes(matrix.type, matrix.in_features / 32) : (matrix.in_features * element + 15) / 16 * 16;
    matrix.bytes = matrix.out_features * matrix.row_bytes;
    matrix.data = std::shared_ptr<std::uint8_t>(detail::allocate_device(matrix.bytes));

    const auto fill_row = [&](std::size_t row, std::uint8_t* to) {  // straight into pinned memory: no other copy on the host
        auto* floats = reinterpret_cast<float*>(to);
        const std::size_t at = static_cast<std::size_t>(std::upper_bound(part_begin.begin(), part_begin.end(), row) - part_begin.begin()) - 1;
        const MatrixPart& part = parts[at];
        const std::size_t from = part.row_order.empty() ? row - part_begin[at] : part.row_order[row - part_begin[at]];
        const DTypeInfo info = dtype_info(part.view.dtype);
        const std::size_t stored = info.block_bits / 8;  // bytes
        const std::byte* bytes = part.view.bytes.data();
        if (matrix.quantised()) {
            std::memset(to, 0, matrix.row_bytes);
            return detail::lay_quantised_row(matrix.type, bytes + from * (matrix.in_features / info.block_size * stored), matrix.in_features / 32, to);
        }
        std::memset(to + matrix.in_features * element, 0, matrix.row_bytes - matrix.in_features * element);
        if (part.transposed) {
            const std::size_t width = static_cast<std::size_t>(part.view.shape.back());
            for (std::size_t i = 0; i < matrix.in_features; ++i) {
                const std::byte* one = bytes + (i * width + from) * stored;
                if (matrix.type != DType::f32) {
                    std::memcpy(to + i * element, one, element);
                } else {
                    read_row(part.view.dtype, one, 1, floats + i);
                }
            }
        } else if (matrix.type != DType::f32) {
            std::memcpy(to, bytes + from * matrix.in_features * element, matrix.in_features * element);
        } else {
            read_row(part.view.dtype, bytes + from * (matrix.in_features / info.block_size * stored), matrix.in_features, floats);
        }
    };
    upload_rows(device, matrix.out_features, matrix.row_bytes, matrix.data.get(), [&](std::size_t begin, std::size_t count, std::uint8_t* to) {
        for (std::size_t i = 0; i < count; ++i) fill_row(begin + i, to + i * matrix.row_bytes);
    });
    return matrix;
}

inline CudaMatrix prepare_matrix(Cuda& device, const TensorView& view) {
    const MatrixPart part{.view = view};
    return prepare_matrix(device, std::span(&part, 1));
}

namespace detail {

// Calls f.operator()<Type>() for the type of a prepared matrix.
template <class F>
void with_weight_type(DType type, F&& f) {
    switch (type) {
        case DType::bf16: return f.template operator()<DType::bf16>();
        case DType::f16: return f.template operator()<DType::f16>();
        default: return f.template operator()<DType::f32>();
    }
}

}  // namespace detail

}  // namespace morsel
