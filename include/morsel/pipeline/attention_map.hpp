// Which tokens a token looks at: the attention probabilities of one layer of a BERT, computed anew from the layer's input, since the
// model's own attention never writes them down. For pictures and for study, not for speed: plain loops on the host.
// Leaves out DeBERTa, whose scores have terms of distance too, and GPT-2.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/pipeline/contextual_embedder.hpp"

namespace morsel {

// Probabilities [heads, tokens, tokens]: row i says how much of each token goes into token i; rows sum to 1.
struct AttentionMap {
    Encoding encoding = {};
    std::size_t heads = 0;
    std::vector<float> values = {};

    std::size_t tokens() const { return encoding.size(); }
    float at(std::size_t head, std::size_t from, std::size_t to) const { return values[(head * tokens() + from) * tokens() + to]; }
    // The mean over the heads: [tokens, tokens].
    std::vector<float> mean() const {
        std::vector<float> mean(tokens() * tokens());
        for (std::size_t i = 0; i < values.size(); ++i) mean[i % mean.size()] += values[i] / static_cast<float>(heads);
        return mean;
    }
};

// Of layer 0 … num_layers − 1. Throws Error on another layer or another kind of model.
template <class D>
AttentionMap attention_map(ContextualEmbedder<D>& embedder, std::string_view text, std::size_t layer) {
    const auto* model = std::get_if<Bert<D>>(&embedder.model().model);
    if (model == nullptr) throw Error("attention maps are there for BERT, RoBERTa and DistilBERT only");
    if (layer >= model->layers.size()) throw Error("there is no such layer", {.key = "layer", .expected = "below " + std::to_string(model->layers.size()), .found = std::to_string(layer)});
    TokenVectors input = embedder.encode(text, {.layer = layer});  // hidden states that the layer begins with
    const std::size_t n = input.size(), width = input.dimensions;
    D& device = embedder.device();
    typename D::Buffer hidden = allocate(device, n * width), projected = allocate(device, n * 3 * width);
    upload(device, input.values, hidden.data());
    const EncoderBlock<D>& block = model->layers[layer];
    linear(device, hidden.data(), n, block.qkv.weight, {.bias = block.qkv.bias.data()}, projected.data());
    std::vector<float> qkv(n * 3 * width);
    download(device, projected.data(), qkv);

    AttentionMap map = {.encoding = std::move(input.encoding), .heads = model->config.num_attention_heads};
    map.values.resize(map.heads * n * n);
    const std::size_t head_dim = width / map.heads;
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    for (std::size_t head = 0; head < map.heads; ++head)
        for (std::size_t i = 0; i < n; ++i) {
            float* const row = map.values.data() + (head * n + i) * n;
            for (std::size_t j = 0; j < n; ++j) {
                const float *query = qkv.data() + i * 3 * width + head * head_dim, *key = qkv.data() + j * 3 * width + width + head * head_dim;
                float score = 0;
                for (std::size_t k = 0; k < head_dim; ++k) score += query[k] * key[k];
                row[j] = score * scale;
            }
            const float largest = *std::max_element(row, row + n);
            float sum = 0;
            for (std::size_t j = 0; j < n; ++j) sum += row[j] = std::exp(row[j] - largest);
            for (std::size_t j = 0; j < n; ++j) row[j] /= sum;
        }
    return map;
}

}  // namespace morsel
