// linear on the CPU: x · Wᵀ and what follows it, in one parallel section. Threads take contiguous shares of the panels; where
// gated, a share is pairs of a gate panel and its up panel, so that the epilogue is local.
// The kernels: few rows in f32 (row_kernels.hpp), few rows of quantised weights in fixed point (fixed_point.hpp), many rows on
// tiles (tile_product.hpp) or, on machines without, in f32 (block_kernels.hpp). What holds: the same bits at any number of threads; and within each kernel a row's result does not
// depend on the rows beside it.
#pragma once
#include "morsel/ops/cpu/block_kernels.hpp"
#include "morsel/ops/cpu/fixed_point.hpp"
#include "morsel/ops/cpu/fixed_point_avx2.hpp"
#include "morsel/ops/cpu/matrix.hpp"
#include "morsel/ops/cpu/row_kernels.hpp"
#include "morsel/ops/cpu/tile_product.hpp"

namespace morsel {

namespace detail {

// The panels of a product in units that one thread finishes alone: a pair of panels, where gated a gate panel and its up panel.
struct PanelPairs {
    const CpuMatrix& weight;
    bool gated = false;
    std::size_t size() const { return gated ? weight.panels / 2 : (weight.panels + 1) / 2; }
    std::size_t first(std::size_t i) const { return gated ? i : 2 * i; }
    // Which may be weight.panels: none.
    std::size_t second(std::size_t i) const { return gated ? i + weight.panels / 2 : 2 * i + 1; }
};

// Whether gate panel i and up panel i cover the same rows of their halves.
inline bool halves_align(const CpuMatrix& weight) {
    if (weight.out_features % (2 * panel_rows) != 0) return false;
    return std::all_of(weight.runs.begin(), weight.runs.end(), [](const CpuMatrix::Run& run) { return run.first_row % panel_rows == 0; });
}

// Finishes `rows` rows of a pair; y holds [rows][16] of the first panel and of the second.
inline void finish_pair(Isa isa, const Epilogue& epilogue, const PanelPairs& pairs, std::size_t pair, std::size_t rows, float* first,
                        float* second, float* out, std::size_t out_width) {
    const CpuMatrix::Panel a = pairs.weight.panel(pairs.first(pair));
    const std::size_t half = pairs.weight.out_features / 2;
    finish_rows(isa, epilogue, a.first_row, half, a.rows, rows, first, pairs.gated ? second : nullptr, out, out_width);
    if (pairs.gated || pairs.second(pair) >= pairs.weight.panels) return;
    const CpuMatrix::Panel b = pairs.weight.panel(pairs.second(pair));
    finish_rows(isa, epilogue, b.first_row, half, b.rows, rows, second, nullptr, out, out_width);
}

// Where the columns of a pair are in the result; no rows of it yet.
inline BlockResult block_result(const PanelPairs& pairs, std::size_t pair, const Epilogue& epilogue, float* out, std::size_t out_width) {
    BlockResult result;
    result.stride = out_width, result.accumulate = epilogue.accumulate;
    for (std::size_t i = 0; i < 2; ++i) {
        const std::size_t index = i == 0 || pairs.gated ? pairs.first(pair) : pairs.second(pair);
        if (index >= pairs.weight.panels) {
            result.out[i] = result.out[0];
            continue;
        }
        const CpuMatrix::Panel panel = pairs.weight.panel(index);
        result.out[i] = out + panel.first_row, result.columns[i] = panel.rows;
        if (epilogue.bias != nullptr) result.bias[i] = epilogue.bias + panel.first_row;
    }
    return result;
}

// `rows` of 1 … 4 in fixed point, x [rows][blocks]; y [rows][16].
template <DType Type>
void dot_fixed(Isa isa, const std::uint8_t* panel, std::size_t blocks, const FixedBlock* x, std::size_t rows, float* y) {
#if defined(__x86_64__)
    if constexpr (quant_format(Type).bits > 0) {
        if (isa < Isa::avx512_bf16) {
            for (std::size_t row = 0; row + 2 <= rows; row += 2) dot_fixed_avx2<Type, 2>(panel, blocks, x + row * blocks, y + row * 16);
            if (rows % 2 != 0) dot_fixed_avx2<Type, 1>(panel, blocks, x + (rows - 1) * blocks, y + (rows - 1) * 16);
            return;
        }
        if (rows == 4) return dot_fixed_vnni<Type, 4>(panel, blocks, x, y);
        if (rows >= 2) dot_fixed_vnni<Type, 2>(panel, blocks, x, y);
        if (rows % 2 != 0) dot_fixed_vnni<Type, 1>(panel, blocks, x + (rows - 1) * blocks, y + (rows - 1) * 16);
    }
#endif
    (void)isa, (void)panel, (void)blocks, (void)x, (void)rows, (void)y;
}

// Products row by row: quantised panels in fixed point where `fixed` is given, [rows][blocks], all else in f32.
// x [rows, padded_columns(in_features)]
inline void linear_rows(Cpu& device, const float* x, const FixedBlock* fixed, std::size_t rows, const PanelPairs& pairs,
                        const Epilogue& epilogue, float* out, std::size_t out_width) {
    const std::size_t stride = padded_columns(pairs.weight.in_features), blocks = stride / 32;
    const Isa isa = device.isa();
    device.pool().split(pairs.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
        float* widened = rows > 1 ? device.scratch(Cpu::shared_scratches + thread, 2 * stride * panel_rows) : nullptr;
        for (std::size_t pair = begin; pair < end; ++pair) {
            const std::size_t count = pairs.second(pair) < pairs.weight.panels ? 2 : 1;
            CpuMatrix::Panel panels[2];
            const float* wide[2] = {nullptr, nullptr};
            for (std::size_t i = 0; i < count; ++i) {
                const CpuMatrix::Panel& panel = panels[i] = pairs.weight.panel(i == 0 ? pairs.first(pair) : pairs.second(pair));
                if (rows == 1 || (fixed != nullptr && quant_format(panel.type).bits > 0)) continue;  // read as stored
                if (panel.type == DType::f32) {
                    wide[i] = reinterpret_cast<const float*>(panel.data);
                } else {
                    float* to = widened + i * stride * panel_rows;
                    with_panel_type(panel.type, [&]<DType Type>() { widen_panel<Type>(isa, panel.data, blocks, to); });
                    wide[i] = to;
                }
            }
            for (std::size_t row = 0; row < rows; row += 4) {
                const std::size_t n = std::min<std::size_t>(4, rows - row);
                alignas(64) float y[2][4 * 16];
                for (std::size_t i = 0; i < count; ++i) {
                    if (wide[i] != nullptr) {
                        dot_widened(isa, wide[i], blocks, x + row * stride, stride, n, y[i]);
                        continue;
                    }
                    with_panel_type(panels[i].type, [&]<DType Type>() {
                        if (fixed != nullptr && quant_format(Type).bits > 0)
                            dot_fixed<Type>(isa, panels[i].data, blocks, fixed + row * blocks, n, y[i]);
                        else
                            dot_panel<Type, 1>(isa, panels[i].data, blocks, x, stride, y[i]);
                    });
                }
                finish_pair(isa, epilogue, pairs, pair, n, y[0], y[1], out + row * out_width, out_width);
            }
        }
    });
}

// Whether a product that no tiles do is done in blocks of rows: from 6 rows on that is faster. MatrixPrecision::f32 also promises the same
// bits for a row among few rows and among many, so there the type of the weights decides.
inline bool in_blocks(const Cpu& device, std::size_t rows, const CpuMatrix& weight) {
    if (device.precision() != MatrixPrecision::f32) return rows >= 6;
    return std::all_of(weight.runs.begin(), weight.runs.end(), [](const CpuMatrix::Run& run) { return run.type == DType::f32; });
}

// Pairs [pair_begin, pair_end) times packed blocks [block_begin, block_end); `packed` is the first of these, [stride][height] each.
// widened: scratch for a pair, [2][stride][16].
inline void multiply_pairs(Isa isa, const RowBlocks& blocks, std::size_t block_begin, std::size_t block_end, const float* packed, std::size_t rows,
                           const PanelPairs& pairs, std::size_t pair_begin, std::size_t pair_end, float* widened, const Epilogue& epilogue, float* out,
                           std::size_t out_width) {
    const std::size_t stride = padded_columns(pairs.weight.in_features);
    for (std::size_t pair = pair_begin; pair < pair_end; ++pair) {
        const float* weights[2];
        for (std::size_t i = 0; i < 2; ++i) {
            const std::size_t index = i == 0 ? pairs.first(pair) : pairs.second(pair);
            if (index >= pairs.weight.panels) {
                weights[i] = weights[0];  // an odd last panel stands beside itself
                continue;
            }
            const CpuMatrix::Panel panel = pairs.weight.panel(index);
            float* to = widened + i * stride * panel_rows;
            weights[i] = panel.type == DType::f32 ? reinterpret_cast<const float*>(panel.data) : to;
            if (panel.type != DType::f32) with_panel_type(panel.type, [&]<DType Type>() { widen_panel<Type>(isa, panel.data, stride / 32, to); });
        }
        const BlockResult columns = block_result(pairs, pair, epilogue, out, out_width);
#if defined(__x86_64__)
        const std::size_t count = columns.columns[1] > 0 ? 2 : 1;
        if (isa == Isa::avx2 && !pairs.gated && columns.columns[0] == panel_rows && columns.columns[1] % panel_rows == 0) {
            bool done = true;
            for (std::size_t i = 0; i < count; ++i) {
                BlockResult to = columns;
                const std::size_t row = block_begin * blocks.height;
                to.out[0] = columns.out[i] + row * out_width, to.bias[0] = columns.bias[i], to.rows = std::min(rows, block_end * blocks.height) - row;
                done = multiply_panel_avx2(packed, blocks.height, block_end - block_begin, weights[i], stride, epilogue.activation, to);
            }
            if (done) continue;
        }
#endif
        for (std::size_t block = block_begin; block < block_end; ++block) {
            const std::size_t row = block * blocks.height;
            const float* x = packed + (block - block_begin) * blocks.height * stride;
            BlockResult to = columns;
            to.rows = std::min(blocks.height, rows - row);
            for (float*& at : to.out) at += row * out_width;
#if defined(__x86_64__)
            if (isa >= Isa::avx512 && !pairs.gated && epilogue.activation == Activation::none) {
                multiply_block_into_avx512(x, blocks.height, weights, stride, to);
                continue;
            }
#endif
            alignas(64) float y[2][14 * 16];
            float* const sums[2] = {y[0], y[1]};
            multiply_block(isa, x, blocks.height, weights, stride, to, sums);
            finish_pair(isa, epilogue, pairs, pair, to.rows, y[0], y[1], out + row * out_width, out_width);
        }
    }
}

// Products of many rows in f32. x [rows, padded_columns(in_features)]
// Threads share the panels where rows are few. Where they are many each thread takes some rows, packs as many as leave room for a pair
// of panels in its second-level cache, and runs all pairs over them.
inline void linear_blocks(Cpu& device, const float* x, std::size_t rows, const PanelPairs& pairs, const Epilogue& epilogue, float* out,
                          std::size_t out_width) {
    const std::size_t stride = padded_columns(pairs.weight.in_features), pair_size = 2 * stride * panel_rows;
    const Isa isa = device.isa();
    const RowBlocks blocks(isa, rows);
    const std::size_t block_size = blocks.height * stride;
    const auto pack = [&](std::size_t begin, std::size_t end, float* to) {
        for (std::size_t block = begin; block < end; ++block) {
            const std::size_t row = block * blocks.height;
            pack_rows(isa, x + row * stride, std::min(blocks.height, rows - row), stride, stride, blocks.height, to + (block - begin) * block_size);
        }
    };
    if (blocks.count < 8 * device.pool().size()) {
        float* packed = device.scratch(1, blocks.count * block_size);
        device.pool().split(blocks.count, 1, [&](std::size_t begin, std::size_t end, unsigned) { pack(begin, end, packed + begin * block_size); });
        device.pool().split(pairs.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
            float* widened = device.scratch(Cpu::shared_scratches + thread, pair_size);
            multiply_pairs(isa, blocks, 0, blocks.count, packed, rows, pairs, begin, end, widened, epilogue, out, out_width);
        });
        return;
    }
    // Blocks that take three eighths of the second-level cache: five were slower with anything else running beside.
    const std::size_t most = std::max<std::size_t>(2, device.cache_bytes() / 8 * 3 / (block_size * sizeof(float)));
    device.pool().split(blocks.count, 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
        const std::size_t chunks = (end - begin + most - 1) / most, chunk = (end - begin + chunks - 1) / chunks;
        float* widened = device.scratch(Cpu::shared_scratches + thread, pair_size + chunk * block_size);
        float* packed = widened + pair_size;
        for (; begin < end; begin += chunk) {
            const std::size_t chunk_end = std::min(begin + chunk, end);
            pack(begin, chunk_end, packed);
            multiply_pairs(isa, blocks, begin, chunk_end, packed, rows, pairs, 0, pairs.size(), widened, epilogue, out, out_width);
        }
    });
}

// Activations in fixed point, [rows][blocks], in the device's scratch; or null where f32 is to be used.
inline const FixedBlock* fixed_activations(Cpu& device, const float* x, std::size_t rows, const CpuMatrix& weight) {
#if defined(__x86_64__)
    const bool quantised =
        std::any_of(weight.runs.begin(), weight.runs.end(), [](const CpuMatrix::Run& run) { return quant_format(run.type).bits > 0; });
    if (device.precision() == MatrixPrecision::f32 || device.isa() < Isa::avx2 || !quantised) return nullptr;
    const std::size_t stride = padded_columns(weight.in_features), blocks = stride / 32;
    auto* fixed = reinterpret_cast<FixedBlock*>(device.scratch(1, rows * blocks * (sizeof(FixedBlock) / sizeof(float))));
    device.pool().split(rows, 8, [&](std::size_t begin, std::size_t end, unsigned) {
        (device.isa() >= Isa::avx512 ? to_fixed_avx512 : to_fixed_avx2)(x + begin * stride, (end - begin) * blocks, fixed + begin * blocks);
    });
    return fixed;
#else
    (void)device, (void)x, (void)rows, (void)weight;
    return nullptr;
#endif
}

#if defined(__x86_64__)
// Below this many rows other kernels are as fast, and exact. Weights stored as f32 are split into parts in every call, which some forty
// rows must share.
inline std::size_t tile_rows(const CpuMatrix& weight) {
    return std::any_of(weight.runs.begin(), weight.runs.end(), [](const CpuMatrix::Run& run) { return run.type == DType::f32; }) ? 40 : 9;
}

// Products on AMX tiles, or in one part by vdpbf16ps. x [rows, padded_columns(in_features)]
inline void linear_tiles(Cpu& device, const float* x, std::size_t rows, const PanelPairs& pairs, const Epilogue& epilogue, float* out,
                         std::size_t out_width) {
    const std::size_t blocks = padded_columns(pairs.weight.in_features) / 32, row_tiles = (rows + 15) / 16;
    const std::size_t parts = device.precision() == MatrixPrecision::bf16 ? 1 : device.precision() == MatrixPrecision::bf16x2 ? 2 : 3;
    const bool amx = device.isa() == Isa::amx;
    auto* tiles = reinterpret_cast<std::uint16_t*>(device.scratch(1, row_tiles * blocks * parts * tile_elements / 2));
    device.pool().split(row_tiles * 16, 16,
                        [&](std::size_t begin, std::size_t end, unsigned) { to_tiles_avx512(x, rows, begin, end, blocks, parts, tiles); });
    std::size_t most_parts = 0;
    for (const CpuMatrix::Run& run : pairs.weight.runs) most_parts = std::max(most_parts, weight_parts(run.type, parts));
    const std::size_t step = 15 / parts;  // blocks whose 32 rows take 30 KB
    const std::size_t group = std::max<std::size_t>(1, (std::size_t{1} << 20) / (blocks * most_parts * 2048));  // pairs that take 1 MB
    device.pool().split(pairs.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
        float* sums = device.scratch(Cpu::shared_scratches + thread, group * (1024 + 2 * most_parts * blocks * 256));  // [group][2][32][16]
        auto* split = reinterpret_cast<std::uint32_t*>(sums + group * 1024);  // [group][2][most_parts][blocks][256]
        std::vector<TilePanel> panels(group * 2);
        if (amx) configure_tiles();
        for (std::size_t from = begin; from < end; from += group) {
            const std::size_t count = std::min(group, end - from);
            for (std::size_t i = 0; i < count * 2; ++i) {
                const std::size_t index = i % 2 == 0 ? pairs.first(from + i / 2) : pairs.second(from + i / 2);
                panels[i] = {};
                if (index >= pairs.weight.panels) {
                    panels[i] = panels[i - 1];  // an odd last panel stands beside itself
                    continue;
                }
                const CpuMatrix::Panel panel = pairs.weight.panel(index);
                const std::size_t n = weight_parts(panel.type, parts);
                std::uint32_t* to = split + i * most_parts * blocks * 256;
                if (panel.type != DType::bf16)
                    with_panel_type(panel.type, [&]<DType Type>() { split_panel_avx512<Type>(panel.data, blocks, n, to); });
                const auto* bytes = panel.type == DType::bf16 ? panel.data : reinterpret_cast<const std::uint8_t*>(to);
                for (std::size_t part = 0; part < n; ++part) panels[i].part[part] = bytes + part * blocks * 1024;
            }
            for (std::size_t tile = 0; tile < row_tiles; tile += 2) {
                const std::uint16_t* at = tiles + tile * blocks * parts * tile_elements;
                const bool two = tile + 1 < row_tiles;
                for (std::size_t block = 0; block < blocks; block += step) {
                    const std::size_t block_end = std::min(block + step, blocks);
                    for (std::size_t i = 0; i < count; ++i) {
                        float* y = sums + i * 1024;
                        if (!amx)
                            two ? multiply_bf16<true>(at, &panels[i * 2], blocks, block, block_end, y)
                                : multiply_bf16<false>(at, &panels[i * 2], blocks, block, block_end, y);
                        else
                            two ? multiply_tiles<true>(at, parts, &panels[i * 2], blocks, block, block_end, y)
                                : multiply_tiles<false>(at, parts, &panels[i * 2], blocks, block, block_end, y);
                        if (block_end == blocks)
                            finish_pair(device.isa(), epilogue, pairs, from + i, std::min<std::size_t>(32, rows - tile * 16), y, y + 512,
                                        out + tile * 16 * out_width, out_width);
                    }
                }
            }
        }
        if (amx) release_tiles();
    });
}
#endif

}  // namespace detail

// x [rows, in_features]; out [rows, out_features], or [rows, out_features / 2] where gated. x and out may not overlap.
inline void linear(Cpu& device, const float* x, std::size_t rows, const CpuMatrix& weight, const Epilogue& epilogue, float* out) {
    if (rows == 0) return;
    const std::size_t width = weight.in_features, stride = padded_columns(width), n = weight.out_features;
    const bool split_halves = epilogue.gated && !detail::halves_align(weight);  // tiny models only
    float* padded = nullptr;
    float* ungated = nullptr;
    if (stride != width || split_halves) {
        float* scratch = device.scratch(0, (stride != width ? rows * stride : 0) + (split_halves ? rows * n : 0));
        if (stride != width) padded = scratch, scratch += rows * stride;
        if (split_halves) ungated = scratch;
    }
    if (padded != nullptr) {
        for (std::size_t row = 0; row < rows; ++row) {
            std::copy_n(x + row * width, width, padded + row * stride);
            std::fill(padded + row * stride + width, padded + (row + 1) * stride, 0.0f);
        }
        x = padded;
    }
    const detail::PanelPairs pairs{weight, epilogue.gated && !split_halves};
    const Epilogue plain;
    const Epilogue& inner = split_halves ? plain : epilogue;
    float* inner_out = split_halves ? ungated : out;
    const std::size_t inner_width = pairs.gated ? n / 2 : n;
    bool on_tiles = false;
#if defined(__x86_64__)
    // Without tiles only one part pays: vdpbf16ps has twice the rate of f32, so two parts gain nothing.
    on_tiles = rows >= detail::tile_rows(weight) && device.precision() != MatrixPrecision::f32 &&
               (device.isa() == Isa::amx || (device.isa() == Isa::avx512_bf16 && device.precision() == MatrixPrecision::bf16));
    if (on_tiles) detail::linear_tiles(device, x, rows, pairs, inner, inner_out, inner_width);
#endif
    if (!on_tiles && detail::in_blocks(device, rows, weight))
        detail::linear_blocks(device, x, rows, pairs, inner, inner_out, inner_width);
    else if (!on_tiles)
        detail::linear_rows(device, x, detail::fixed_activations(device, x, rows, weight), rows, pairs, inner, inner_out, inner_width);
    if (!split_halves) return;
    const std::size_t half = n / 2;
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t column = 0; column < half; column += 16) {
            const std::size_t count = std::min<std::size_t>(16, half - column);
            float y[16] = {}, up[16] = {};
            std::copy_n(ungated + row * n + column, count, y);
            std::copy_n(ungated + row * n + half + column, count, up);
            detail::finish_rows(device.isa(), epilogue, column, half, count, 1, y, up, out + row * half, half);
        }
    }
}

}  // namespace morsel
