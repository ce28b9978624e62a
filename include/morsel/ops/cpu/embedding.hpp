// Rows out of tables on the CPU: token embeddings, sums of several embeddings, and rows of activations.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "morsel/ops/cpu/matrix.hpp"

namespace morsel {

namespace detail {

// Row `id` of a table to out [in_features], or added to it.
inline void embed_row(const CpuMatrix& table, std::size_t id, bool add, float* out) {
    const std::size_t width = table.in_features;
    const auto run = std::find_if(table.runs.begin(), table.runs.end(), [&](const CpuMatrix::Run& r) { return id < r.first_row + r.rows; });
    const std::size_t row = id - run->first_row;
    const std::uint8_t* panel = run->data + row / panel_rows * run->panel_bytes;
    with_panel_type(run->type, [&]<DType Type>() {
        for (std::size_t k = 0; k < width; k += 32) {
            float block[32];
            unpack_block<Type, 1>(panel, k / 32, row % panel_rows, block);
            const std::size_t count = std::min<std::size_t>(32, width - k);
            for (std::size_t i = 0; i < count; ++i) out[k + i] = add ? out[k + i] + block[i] : block[i];
        }
    });
}

}  // namespace detail

// out [ids.size(), in_features]: rows of the table. Every id must be below out_features.
inline void embed(Cpu& device, const CpuMatrix& table, std::span<const TokenId> ids, float* out) {
    device.pool().split(ids.size(), 16, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) detail::embed_row(table, ids[i], false, out + i * table.in_features);
    });
}

// out [rows, width]: the sum over the tables of the rows that their ids name, added in order.
inline void embed_sum(Cpu& device, std::span<const EmbeddingRows<Cpu>> tables, float* out) {
    const std::size_t rows = tables[0].ids.size(), width = tables[0].table->in_features;
    device.pool().split(rows, 16, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t row = begin; row < end; ++row)
            for (std::size_t t = 0; t < tables.size(); ++t) detail::embed_row(*tables[t].table, tables[t].ids[row], t > 0, out + row * width);
    });
}

// out [rows.size(), width]: rows of x [any, width]; zeros where a row is negative.
inline void gather_rows(Cpu& device, const float* x, std::size_t width, std::span<const std::int64_t> rows, float* out) {
    device.pool().split(rows.size(), 16, [&](std::size_t begin, std::size_t end, unsigned) {
        for (std::size_t i = begin; i < end; ++i) {
            if (rows[i] < 0)
                std::fill_n(out + i * width, width, 0.0f);
            else
                std::copy_n(x + static_cast<std::size_t>(rows[i]) * width, width, out + i * width);
        }
    });
}

}  // namespace morsel
