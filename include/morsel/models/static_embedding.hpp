// A static embedding table: one vector a token, whatever stands beside it. A text is the mean of its tokens' rows. As model2vec,
// wordllama and sentence_transformers' StaticEmbedding store it: one matrix in a safetensors file, with model2vec also a weight a
// token and a mapping of tokens to rows. The table stays in the mapped file in its own type; rows are widened as they are read.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/formats/tensor_source.hpp"
#include "morsel/ops/stored_rows.hpp"

namespace morsel {

struct StaticEmbedding {
    std::shared_ptr<const TensorSource> source;  // keeps the table's bytes
    TensorView table;                            // [rows, dimensions]
    StoredMatrix stored;                         // its sizes
    std::vector<float> weights;                  // [tokens], or empty: 1 each
    std::vector<std::uint32_t> rows;             // [tokens]: the row of each token, or empty: token i has row i

    std::size_t dimensions() const { return stored.columns; }
    std::size_t vocab_size() const { return rows.empty() ? stored.rows : rows.size(); }
};

// Takes the table by one of the names in use, else the only matrix of the file. Throws Error.
inline StaticEmbedding load_static_embedding(std::shared_ptr<const TensorSource> source) {
    StaticEmbedding model;
    const auto fail = [&](std::string key, std::string reason, std::string expected = {}, std::string found = {}) {
        return Error(std::move(reason), {.file = source->path().string(), .key = std::move(key), .expected = std::move(expected), .found = std::move(found)});
    };
    std::string name;
    const std::vector<std::string> names = source->names();
    for (const char* known : {"embedding.weight", "embeddings", "embeddings.weight"})
        if (name.empty() && source->find(known) != nullptr) name = known;
    if (name.empty())
        for (const std::string& one : names)
            if (source->at(one).shape.size() == 2) {
                if (!name.empty()) throw fail({}, "several matrices, none named as the table", "embedding.weight or embeddings", name + " and " + one);
                name = one;
            }
    if (name.empty()) throw fail({}, "there is no embedding table", "embedding.weight or embeddings");
    model.table = source->at(name);
    if (model.table.shape.size() != 2) throw fail(name, "not a matrix", "[tokens, dimensions]", shape_text(model.table.shape));
    try {
        model.stored = stored_matrix(model.table);
    } catch (const Error& error) {
        throw fail(name, error.reason(), error.expected(), error.found());
    }
    if (const TensorView* mapping = source->find("mapping")) {
        const std::size_t item = mapping->dtype == DType::i64 ? 8 : mapping->dtype == DType::i32 ? 4 : 0;
        if (mapping->shape.size() != 1 || item == 0) throw fail("mapping", "not a list of rows", "I64 or I32 [tokens]", shape_text(mapping->shape));
        for (std::size_t at = 0; at < mapping->bytes.size(); at += item) {
            const std::int64_t row = item == 8 ? detail::load_as<std::int64_t>(mapping->bytes.data() + at) : detail::load_as<std::int32_t>(mapping->bytes.data() + at);
            if (row < 0 || static_cast<std::uint64_t>(row) >= model.stored.rows) throw fail("mapping", "a row that the table does not have", "below " + std::to_string(model.stored.rows), std::to_string(row));
            model.rows.push_back(static_cast<std::uint32_t>(row));
        }
    }
    if (const TensorView* weights = source->find("weights"); weights != nullptr && name != "weights") {
        if (weights->shape.size() != 1 || weights->shape[0] != model.vocab_size()) throw fail("weights", "wrong shape", shape_text(std::vector<std::uint64_t>{model.vocab_size()}), shape_text(weights->shape));
        const StoredMatrix stored = stored_matrix(*weights);
        model.weights.resize(stored.columns);
        read_row(weights->dtype, weights->bytes.data(), stored.columns, model.weights.data());
    }
    model.source = std::move(source);
    return model;
}

// The mean of the tokens' rows: out [dimensions]; zeros for no tokens. row: scratch [dimensions]. Throws Error on an id beyond the table.
inline void embed_mean(const StaticEmbedding& model, std::span<const TokenId> ids, std::span<float> row, float* out) {
    const std::size_t width = model.dimensions();
    std::fill_n(out, width, 0.0f);
    for (const TokenId id : ids) {
        if (id >= model.vocab_size()) throw Error("token id outside the table", {.key = "input_ids", .expected = "below " + std::to_string(model.vocab_size()), .found = std::to_string(id)});
        const std::size_t at = model.rows.empty() ? id : model.rows[id];
        read_row(model.table.dtype, model.table.bytes.data() + at * model.stored.row_bytes, width, row.data());
        const float weight = model.weights.empty() ? 1.0f : model.weights[id];
        for (std::size_t i = 0; i < width; ++i) out[i] += weight * row[i];
    }
    if (!ids.empty())
        for (std::size_t i = 0; i < width; ++i) out[i] /= static_cast<float>(ids.size());
}

}  // namespace morsel
