// Rows out of tables on the GPU: token embeddings, sums of several embeddings (BERT's three tables and their LayerNorm in one kernel), and
// rows of activations.
#pragma once
#include <cstring>
#include <vector>

#include "morsel/cuda/block.cuh"
#include "morsel/cuda/matrix.cuh"
#include "morsel/cuda/norm.cuh"
#include "morsel/cuda/quantised.cuh"
#include "morsel/cuda/vector16.cuh"

namespace morsel {

namespace kernels {

// One block a token: out[i] = table[ids[i]]. `steps` [tokens] give them where that is not null.
template <DType Type>
__global__ void embed(const std::uint8_t* table, std::size_t row_bytes, const TokenId* ids, const CudaStep* steps, unsigned width, float* out) {
    using V = Vector16<Type>;
    ptx::take_turn();
    const TokenId id = steps != nullptr ? steps[blockIdx.x].token : ids[blockIdx.x];
    const std::uint8_t* row = table + id * row_bytes;
    for (unsigned i = threadIdx.x * V::count; i < width; i += blockDim.x * V::count) {
        float values[V::count];
        V::widen(ptx::load_stream(row + i * (16 / V::count)), values);
        for (int j = 0; j < V::count; ++j)
            if (i + static_cast<unsigned>(j) < width) out[std::size_t{blockIdx.x} * width + i + static_cast<unsigned>(j)] = values[j];
    }
}

inline constexpr unsigned most_tables = 4;
struct EmbeddingTables {
    unsigned count = 0;
    struct Table {
        const std::uint8_t* rows = nullptr;
        std::size_t row_bytes = 0;
        DType type = DType::f32;
        const TokenId* ids = nullptr;  // [rows], or null: `steps` give them
        bool positions = false;
    } tables[most_tables];
    const CudaStep* steps = nullptr;  // [rows]

    __device__ TokenId id(const Table& table, std::size_t row) const {
        if (table.ids != nullptr) return table.ids[row];
        return table.positions ? steps[row].past : steps[row].token;
    }
    __device__ float sum(std::size_t row, unsigned i) const;  // element i, over the tables in order
};

__device__ inline float element_of(const EmbeddingTables::Table& table, const std::uint8_t* row, unsigned i) {
    if (table.type == DType::f32) return reinterpret_cast<const float*>(row)[i];
    const std::uint16_t bits = reinterpret_cast<const std::uint16_t*>(row)[i];
    return table.type == DType::bf16 ? ptx::low_bf16(bits) : ptx::f16_to_float(bits);
}

__device__ inline float EmbeddingTables::sum(std::size_t row, unsigned i) const {
    float sum = 0;
    for (unsigned t = 0; t < count; ++t) sum += element_of(tables[t], tables[t].rows + id(tables[t], row) * tables[t].row_bytes, i);
    return sum;
}

// One block a row: the sum over the tables, in order.
template <class = void>
__global__ void embed_sum(const __grid_constant__ EmbeddingTables tables, unsigned width, float* out) {
    ptx::take_turn();
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) out[std::size_t{blockIdx.x} * width + i] = tables.sum(blockIdx.x, i);
}

// And its LayerNorm; the sum itself where `sums` is not null.
template <class = void>
__global__ void embed_sum_layer_norm(const __grid_constant__ EmbeddingTables tables, const float* gain, const float* bias, float eps, unsigned width, float* sums, float* out) {
    __shared__ float space[32];
    float* row = ptx::dynamic_shared<float>();  // [width]
    ptx::take_turn();
    float sum = 0;
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
        row[i] = tables.sum(blockIdx.x, i), sum += row[i];
        if (sums != nullptr) sums[std::size_t{blockIdx.x} * width + i] = row[i];
    }
    normalise(row, sum, space, gain, bias, eps, width, out + std::size_t{blockIdx.x} * width);
}

// One block a row; zeros where a row is negative.
template <class = void>
__global__ void gather_rows(const float* x, unsigned width, const long long* rows, float* out) {
    ptx::take_turn();
    const long long from = rows[blockIdx.x];
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x) out[std::size_t{blockIdx.x} * width + i] = from < 0 ? 0.0f : x[static_cast<std::size_t>(from) * width + i];
}

}  // namespace kernels

namespace detail {

// Lists in device memory, each aligned to 16 bytes, one copy for all; valid until the next call.
template <class... T>
std::tuple<const T*...> upload_lists(Cuda& device, std::span<const T>... lists) {
    const auto padded = [](std::size_t bytes) { return (bytes + 15) / 16 * 16; };
    std::vector<std::uint8_t> all((padded(lists.size_bytes()) + ... + 0));
    std::uint8_t* to = device.scratch(scratch_ids, all.size());
    std::size_t at = 0;
    const auto put = [&]<class One>(std::span<const One> list) {
        if (!list.empty()) std::memcpy(all.data() + at, list.data(), list.size_bytes());
        const auto* place = reinterpret_cast<const One*>(to + at);
        at += padded(list.size_bytes());
        return place;
    };
    std::tuple<const T*...> places{put(lists)...};  // in order: braces
    check_cuda(cudaMemcpyAsync(to, all.data(), all.size(), cudaMemcpyHostToDevice, device.stream()), "upload_lists");
    return places;
}

}  // namespace detail

// out [ids.size(), in_features]: rows of the table. Every id must be below out_features.
inline void embed(Cuda& device, const CudaMatrix& table, std::span<const TokenId> ids, float* out) {
    if (ids.empty()) return;
    const TokenId* uploaded = device.step == nullptr ? std::get<0>(detail::upload_lists(device, ids)) : nullptr;
    const auto rows = static_cast<unsigned>(ids.size());
    if (table.quantised())
        return detail::with_quantised_type(table.type, [&]<DType Type>() {
            device.launch({.name = "embed_quantised", .grid = dim3(rows), .block = dim3(64), .read = rows * (table.row_bytes + 4), .written = rows * table.in_features * 4},
                          kernels::embed_quantised<Type>, table.data.get(), table.row_bytes, uploaded, device.step, static_cast<unsigned>(table.in_features), out);
        });
    detail::with_weight_type(table.type, [&]<DType Type>() {
        device.launch({.name = "embed", .grid = dim3(rows), .block = dim3(128), .read = rows * (table.row_bytes + 4), .written = rows * table.in_features * 4},
                      kernels::embed<Type>, table.data.get(), table.row_bytes, uploaded, device.step, static_cast<unsigned>(table.in_features), out);
    });
}

namespace detail {

// The tables with their ids in device memory, valid until lists are uploaded again; *row_bytes: what a row of the sum reads.
inline kernels::EmbeddingTables embedding_tables(Cuda& device, std::span<const EmbeddingRows<Cuda>> tables, std::size_t* row_bytes) {
    const std::size_t rows = tables[0].ids.size();
    if (tables.size() > kernels::most_tables) throw Error("too many embedding tables", {.key = "embed_sum", .expected = "at most 4", .found = std::to_string(tables.size())});
    std::vector<TokenId> ids;  // of one table after another
    for (const EmbeddingRows<Cuda>& one : tables) {
        if (one.table->quantised()) throw Error("sums of quantised embeddings are not supported on this device", {.key = "embed_sum"});
        ids.insert(ids.end(), one.ids.begin(), one.ids.end());
    }
    const TokenId* uploaded = device.step == nullptr ? std::get<0>(upload_lists(device, std::span<const TokenId>(ids))) : nullptr;
    kernels::EmbeddingTables all;
    all.steps = device.step;
    *row_bytes = 0;
    for (const EmbeddingRows<Cuda>& one : tables) {
        all.tables[all.count] = {one.table->data.get(), one.table->row_bytes, one.table->type, uploaded != nullptr ? uploaded + all.count * rows : nullptr, one.positions};
        *row_bytes += one.table->in_features * one.table->element_bytes() + 4, ++all.count;
    }
    return all;
}

}  // namespace detail

// out [rows, width]: the sum over the tables of the rows that their ids name, added in order.
inline void embed_sum(Cuda& device, std::span<const EmbeddingRows<Cuda>> tables, float* out) {
    const std::size_t rows = tables[0].ids.size(), width = tables[0].table->in_features;
    std::size_t row_bytes = 0;
    const kernels::EmbeddingTables all = detail::embedding_tables(device, tables, &row_bytes);
    device.launch({.name = "embed_sum", .grid = dim3(static_cast<unsigned>(rows)), .block = dim3(128), .read = rows * row_bytes, .written = rows * width * 4}, kernels::embed_sum<>, all,
                  static_cast<unsigned>(width), out);
}

// LayerNorm of that sum; gain, bias [width]; the sum itself [rows, width], where that is not null, in the same launch.
inline void embed_sum_layer_norm(Cuda& device, std::span<const EmbeddingRows<Cuda>> tables, const float* gain, const float* bias, float eps, float* sum, float* out) {
    const std::size_t rows = tables[0].ids.size(), width = tables[0].table->in_features;
    std::size_t row_bytes = 0;
    const kernels::EmbeddingTables all = detail::embedding_tables(device, tables, &row_bytes);
    device.launch({.name = "embed_sum_layer_norm", .grid = dim3(static_cast<unsigned>(rows)), .block = dim3(detail::threads_for(width)), .shared_bytes = width * 4,
                   .read = rows * row_bytes + 2 * width * 4, .written = (sum != nullptr ? 2 : 1) * rows * width * 4},
                  kernels::embed_sum_layer_norm<>, all, gain, bias, eps, static_cast<unsigned>(width), sum, out);
}

// out [rows.size(), width]: rows of x [any, width]; zeros where a row is negative.
inline void gather_rows(Cuda& device, const float* x, std::size_t width, std::span<const std::int64_t> rows, float* out) {
    const auto* uploaded = reinterpret_cast<const long long*>(std::get<0>(detail::upload_lists(device, rows)));
    device.launch({.name = "gather_rows", .grid = dim3(static_cast<unsigned>(rows.size())), .block = dim3(128), .read = rows.size() * (width * 4 + 8), .written = rows.size() * width * 4},
                  kernels::gather_rows<>, x, static_cast<unsigned>(width), uploaded, out);
}

}  // namespace morsel
