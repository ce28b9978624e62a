// What BERT, RoBERTa, DistilBERT and DeBERTa blocks have in common: fused query, key and value projections, and behind attention
// x = norm(x + dense(context)), x = norm(x + output(activation(intermediate(x)))), the norm after the sum (post-norm).
// Weight names are those of BERT checkpoints below "encoder.layer.N."; follows BertLayer of Hugging Face transformers.
#pragma once
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "morsel/core/progress.hpp"
#include "morsel/models/weights.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

// y = x · weightᵀ + bias
template <class D>
struct Dense {
    typename D::Matrix weight;  // [out_features, in_features]
    typename D::Buffer bias;    // [out_features], or empty
};

template <class D>
struct LayerNorm {
    typename D::Buffer weight, bias;  // [width]
};

template <class D>
struct EncoderBlock {
    Dense<D> qkv;                     // [3 hidden_size, hidden_size]: query rows, key rows, value rows, each head after head
    Dense<D> attention_output;        // [hidden_size, hidden_size]
    LayerNorm<D> attention_norm;      // [hidden_size]
    Dense<D> intermediate;            // [intermediate_size, hidden_size]
    Dense<D> output;                  // [hidden_size, intermediate_size]
    LayerNorm<D> output_norm;         // [hidden_size]
};

// Sizes that a block is made and run with.
struct BlockShape {
    std::size_t hidden_size = 0, intermediate_size = 0, num_attention_heads = 0;
    Activation hidden_act = Activation::gelu;
    float layer_norm_eps = 1e-12f;
};

// What one call of an encoder needs besides weights; grows to the largest batch it has seen. One per calling thread.
template <class D>
struct EncoderWork {
    typename D::Buffer hidden, qkv, context, intermediate;  // [rows, …]
};

namespace detail {

// Takes weights of a checkpoint by name and prepares them for the device.
template <class D>
class WeightLoader {
  public:
    WeightLoader(D& device, WeightReader& weights, const ProgressCallback& progress)
        : device_(&device), weights_(&weights), progress_(&progress) {
        for (const std::string& name : weights.source().names()) total_ += weights.source().at(name).bytes.size();
    }

    const TensorView& view(const std::string& name, std::initializer_list<std::uint64_t> shape) { return weights_->take(name, shape); }

    typename D::Matrix matrix(std::vector<MatrixPart> parts) {
        typename D::Matrix prepared = prepare_matrix(*device_, std::span<const MatrixPart>(parts));
        for (const MatrixPart& part : parts) {
            done_ += part.view.bytes.size();
            weights_->source().release(part.view);
        }
        if (*progress_ && !(*progress_)({.phase = "weights", .done = std::min(done_, total_), .total = total_}))
            throw Error("cancelled", {.file = weights_->source().path().string()});
        return prepared;
    }
    typename D::Matrix matrix(const std::string& name, std::size_t rows, std::size_t columns) { return matrix({{.view = view(name, {rows, columns})}}); }
    typename D::Buffer vector(const std::string& name, std::size_t size) { return prepare_vector(*device_, view(name, {size})); }

    // "NAME.weight" [out_features, in_features] and "NAME.bias".
    Dense<D> dense(const std::string& name, std::size_t out_features, std::size_t in_features) {
        return {matrix(name + ".weight", out_features, in_features), vector(name + ".bias", out_features)};
    }
    LayerNorm<D> layer_norm(const std::string& name, std::size_t width) { return {vector(name + ".weight", width), vector(name + ".bias", width)}; }

    // Vectors one after another.
    typename D::Buffer stacked(const std::vector<std::string>& names, std::size_t size) {
        typename D::Buffer all = allocate(*device_, names.size() * size);
        for (std::size_t i = 0; i < names.size(); ++i) {
            const typename D::Buffer one = vector(names[i], size);
            copy(*device_, one.data(), all.data() + i * size, size);
        }
        return all;
    }

  private:
    D* device_;
    WeightReader* weights_;
    const ProgressCallback* progress_;
    std::size_t done_ = 0, total_ = 0;  // bytes of the file
};

// LayerNorm.gamma and LayerNorm.beta, as the first checkpoints say, under their later names.
inline std::string modern_norm_name(std::string name) {
    if (name.ends_with("LayerNorm.gamma")) name.replace(name.size() - 5, 5, "weight");
    if (name.ends_with("LayerNorm.beta")) name.replace(name.size() - 4, 4, "bias");
    return name;
}

// Tensors of every block but those of its self-attention.
inline std::vector<std::string> block_tensor_names() {
    std::vector<std::string> names;
    for (const char* name : {"attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"})
        for (const char* part : {".weight", ".bias"}) names.push_back(std::string(name) + part);
    return names;
}

// Everything behind self-attention; `at` is "encoder.layer.N.".
template <class D>
void load_block(WeightLoader<D>& load, const std::string& at, const BlockShape& s, EncoderBlock<D>& block) {
    block.attention_output = load.dense(at + "attention.output.dense", s.hidden_size, s.hidden_size);
    block.attention_norm = load.layer_norm(at + "attention.output.LayerNorm", s.hidden_size);
    block.intermediate = load.dense(at + "intermediate.dense", s.intermediate_size, s.hidden_size);
    block.output = load.dense(at + "output.dense", s.hidden_size, s.intermediate_size);
    block.output_norm = load.layer_norm(at + "output.LayerNorm", s.hidden_size);
}

template <class D>
void reserve_rows(D& device, const BlockShape& s, EncoderWork<D>& work, std::size_t rows) {
    const auto grow = [&](typename D::Buffer& buffer, std::size_t width) {
        if (buffer.size() < rows * width) buffer = allocate(device, rows * width);
    };
    grow(work.hidden, s.hidden_size);
    grow(work.qkv, 3 * s.hidden_size);
    grow(work.context, s.hidden_size);
    grow(work.intermediate, s.intermediate_size);
}

// One block over hidden [rows, hidden_size], in place; attend(qkv, context) is the model's attention.
template <class D, class Attend>
void run_block(D& device, const EncoderBlock<D>& block, const BlockShape& s, EncoderWork<D>& work, std::size_t rows, Attend&& attend) {
    float* hidden = work.hidden.data();              // [rows, hidden_size]
    float* qkv = work.qkv.data();                    // [rows, 3 hidden_size]
    float* context = work.context.data();            // [rows, hidden_size]
    float* intermediate = work.intermediate.data();  // [rows, intermediate_size]
    const auto add_and_norm = [&](const float* x, const Dense<D>& dense, const LayerNorm<D>& n) {
        linear_layer_norm(device, x, rows, dense.weight, {.bias = dense.bias.data()}, n.weight.data(), n.bias.data(), s.layer_norm_eps, hidden);
    };

    linear(device, hidden, rows, block.qkv.weight, {.bias = block.qkv.bias.data()}, qkv);
    attend(qkv, context);
    add_and_norm(context, block.attention_output, block.attention_norm);
    linear(device, hidden, rows, block.intermediate.weight, {.bias = block.intermediate.bias.data(), .activation = s.hidden_act}, intermediate);
    add_and_norm(intermediate, block.output, block.output_norm);
}

}  // namespace detail

}  // namespace morsel
