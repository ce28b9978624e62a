// A weight matrix as the CPU keeps it.
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "morsel/ops/cpu/device.hpp"

namespace morsel {

// Weights [out_features, in_features], immutable after prepare_matrix.
struct CpuMatrix {
    std::size_t out_features = 0, in_features = 0;
    CpuBuffer values;  // [out_features, in_features]
};

// Stacks the parts' rows. Throws Error where a part's type cannot be read, the widths differ, or a row_order entry is out of range.
inline CpuMatrix prepare_matrix(Cpu&, std::span<const MatrixPart> parts) {
    CpuMatrix matrix;
    for (const MatrixPart& part : parts) {
        const StoredMatrix stored = stored_matrix(part.view);
        const std::size_t rows = part.transposed ? stored.columns : stored.rows, columns = part.transposed ? stored.rows : stored.columns;
        if (matrix.out_features > 0 && columns != matrix.in_features)
            throw Error("parts of a matrix have different widths", {.expected = std::to_string(matrix.in_features), .found = std::to_string(columns)});
        matrix.in_features = columns, matrix.out_features += rows;
    }
    matrix.values = CpuBuffer(matrix.out_features * matrix.in_features);
    std::size_t done = 0;
    for (const MatrixPart& part : parts) {
        const StoredMatrix stored = stored_matrix(part.view);
        std::vector<float> all(stored.rows * stored.columns);
        for (std::size_t i = 0; i < stored.rows; ++i)
            read_row(part.view.dtype, part.view.bytes.data() + i * stored.row_bytes, stored.columns, all.data() + i * stored.columns);
        const std::size_t rows = part.transposed ? stored.columns : stored.rows;
        for (std::size_t i = 0; i < rows; ++i) {
            const std::size_t from = part.row_order.empty() ? i : part.row_order.at(i);
            for (std::size_t j = 0; j < matrix.in_features; ++j)
                matrix.values.data()[(done + i) * matrix.in_features + j] = part.transposed ? all[j * stored.columns + from] : all[from * stored.columns + j];
        }
        done += rows;
    }
    return matrix;
}

inline CpuMatrix prepare_matrix(Cpu& device, const TensorView& view) {
    const MatrixPart part{.view = view};
    return prepare_matrix(device, std::span(&part, 1));
}

// out [ids.size(), in_features]: rows of the table. Every id must be below out_features.
inline void embed(Cpu&, const CpuMatrix& table, std::span<const TokenId> ids, float* out) {
    for (const TokenId id : ids) {
        const float* row = table.values.data() + id * table.in_features;
        out = std::copy(row, row + table.in_features, out);
    }
}

}  // namespace morsel
