// A weight matrix as the CPU keeps it: runs of panels (panel.hpp), one run per type. Made once at load, by all threads, in about
// the stored size; a run never widens its type, so files of mixed types (q4_k with q6_k) stay as small as they are.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "morsel/ops/cpu/device.hpp"
#include "morsel/ops/cpu/panel.hpp"

namespace morsel {

// Weights [out_features, in_features], immutable after prepare_matrix.
struct CpuMatrix {
    // Rows of one type, one after another.
    struct Run {
        DType type = DType::f32;
        std::size_t first_row = 0, rows = 0;
        std::size_t first_panel = 0, panels = 0;
        std::size_t panel_bytes = 0;
        const std::uint8_t* data = nullptr;  // [panels][panel_bytes]
    };
    struct Panel {
        DType type = DType::f32;
        const std::uint8_t* data = nullptr;
        std::size_t first_row = 0, rows = 0;  // 1 … 16 rows
    };
    std::size_t out_features = 0, in_features = 0;
    std::size_t panels = 0;
    std::vector<Run> runs;
    std::size_t bytes = 0;                       // of memory
    std::shared_ptr<const std::uint8_t> memory;  // all runs

    Panel panel(std::size_t index) const {
        const Run* run = runs.data();
        while (index >= run->first_panel + run->panels) ++run;
        const std::size_t i = index - run->first_panel;
        return {run->type, run->data + i * run->panel_bytes, run->first_row + i * panel_rows,
                std::min(panel_rows, run->rows - i * panel_rows)};
    }
};

// Stacks the parts' rows. Throws Error where a part's type cannot be read, the widths differ, or row_order does not fit.
inline CpuMatrix prepare_matrix(Cpu& device, std::span<const MatrixPart> parts) {
    CpuMatrix matrix;
    std::vector<std::size_t> part_begin;  // first row of each part
    for (const MatrixPart& part : parts) {
        const StoredMatrix stored = stored_matrix(part.view);
        if (part.transposed && quant_format(part.view.dtype).bits > 0)
            throw Error("a transposed matrix cannot be quantised", {.found = std::string(dtype_info(part.view.dtype).name)});
        const std::size_t rows = part.transposed ? stored.columns : stored.rows, columns = part.transposed ? stored.rows : stored.columns;
        if (matrix.out_features > 0 && columns != matrix.in_features)
            throw Error("parts of a matrix have different widths",
                        {.expected = std::to_string(matrix.in_features), .found = std::to_string(columns)});
        if (!part.row_order.empty() && (part.row_order.size() != rows || std::any_of(part.row_order.begin(), part.row_order.end(),
                                                                                     [rows](std::uint32_t i) { return i >= rows; })))
            throw Error("row order does not fit the matrix", {.expected = std::to_string(rows) + " rows"});
        const DType type = panel_type(part.view.dtype);
        if (matrix.runs.empty() || matrix.runs.back().type != type) {
            CpuMatrix::Run run;
            run.type = type, run.first_row = matrix.out_features, run.panel_bytes = panel_bytes(type, columns);
            matrix.runs.push_back(run);
        }
        matrix.runs.back().rows += rows;
        part_begin.push_back(matrix.out_features);
        matrix.in_features = columns, matrix.out_features += rows;
    }
    std::size_t bytes = 0;
    for (CpuMatrix::Run& run : matrix.runs) {
        run.first_panel = matrix.panels, run.panels = (run.rows + panel_rows - 1) / panel_rows;
        matrix.panels += run.panels, bytes += (run.panels * run.panel_bytes + 63) / 64 * 64;
    }
    const std::shared_ptr<std::uint8_t> owned = device.weight_memory(bytes);
    matrix.memory = owned, matrix.bytes = bytes;
    std::uint8_t* memory = owned.get();
    for (CpuMatrix::Run& run : matrix.runs) run.data = memory, memory += (run.panels * run.panel_bytes + 63) / 64 * 64;

    const auto pack = [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t p = begin; p < end; ++p) {
            const CpuMatrix::Panel panel = matrix.panel(p);
            auto* to = const_cast<std::uint8_t*>(panel.data);
            const std::size_t size = panel_bytes(panel.type, matrix.in_features);
            if (panel.rows < panel_rows || matrix.in_features % 32 != 0) std::memset(to, 0, size);
            for (std::size_t r = 0; r < panel.rows; ++r) {
                const std::size_t row = panel.first_row + r;
                const std::size_t at =
                    static_cast<std::size_t>(std::upper_bound(part_begin.begin(), part_begin.end(), row) - part_begin.begin()) - 1;
                const MatrixPart& part = parts[at];
                const std::size_t from = part.row_order.empty() ? row - part_begin[at] : part.row_order[row - part_begin[at]];
                const DTypeInfo info = dtype_info(part.view.dtype);
                const std::size_t element = info.block_bits / 8;
                if (part.transposed) {
                    pack_row(part.view.dtype, part.view.bytes.data() + from * element, part.view.shape.back() * element, matrix.in_features,
                             r, to);
                } else {
                    const std::size_t row_bytes = matrix.in_features / info.block_size * element;
                    pack_row(part.view.dtype, part.view.bytes.data() + from * row_bytes, element, matrix.in_features, r, to);
                }
            }
        }
    };
    device.pool().split(matrix.panels, 1, pack);
    return matrix;
}

inline CpuMatrix prepare_matrix(Cpu& device, const TensorView& view) {
    const MatrixPart part{.view = view};
    return prepare_matrix(device, std::span(&part, 1));
}

}  // namespace morsel
