// The masked-language head of BERT, RoBERTa, DistilBERT and DeBERTa: logits = norm(activation(dense(hidden))) · decoderᵀ + bias, where the
// decoder is the table of word embeddings unless the configuration unties them. Weight names are BERT's, "cls.predictions.…"; follows
// the …LMHead classes of Hugging Face transformers. DeBERTa's two heads, "cls" and the later "lm_predictions", compute the same.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/models/encoder_block.hpp"
#include "morsel/models/weights.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

// Sizes that a head is made and run with.
struct MlmHeadShape {
    std::size_t hidden_size = 0, embedding_size = 0, vocab_size = 0;
    Activation activation = Activation::gelu;
    float layer_norm_eps = 1e-12f;
};

template <class D>
struct MlmHead {
    Dense<D> transform;          // [embedding_size, hidden_size]
    LayerNorm<D> norm;           // [embedding_size]
    bool tied = true;            // the decoder is the word embeddings
    typename D::Matrix decoder;  // [vocab_size, embedding_size], where it is not tied
    typename D::Buffer bias;     // [vocab_size]
};

namespace detail {

inline bool has_mlm_head(const WeightReader& weights) { return weights.has("cls.predictions.transform.dense.weight"); }

// Files store the bias once or twice, and a decoder that repeats the word embeddings or not. Where both biases are there, the reference
// adds the decoder's, which is the other one unless nothing is tied.
inline std::string mlm_bias_name(const WeightReader& weights, bool tied) {
    const std::string own = "cls.predictions.bias", of_decoder = "cls.predictions.decoder.bias";
    const std::string &first = tied ? own : of_decoder, &second = tied ? of_decoder : own;
    return weights.has(first) ? first : second;
}

inline std::vector<std::string> mlm_head_tensor_names(const WeightReader& weights, bool tied) {
    std::vector<std::string> names = {"cls.predictions.transform.dense.weight", "cls.predictions.transform.dense.bias", "cls.predictions.transform.LayerNorm.weight",
                                      "cls.predictions.transform.LayerNorm.bias", mlm_bias_name(weights, tied)};
    if (!tied) names.push_back("cls.predictions.decoder.weight");
    return names;
}

template <class D>
MlmHead<D> load_mlm_head(WeightLoader<D>& load, WeightReader& weights, const MlmHeadShape& s, bool tied) {
    for (const char* repeated : {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "cls.predictions.bias"}) weights.ignore(repeated);
    MlmHead<D> head;
    head.transform = load.dense("cls.predictions.transform.dense", s.embedding_size, s.hidden_size);
    head.norm = load.layer_norm("cls.predictions.transform.LayerNorm", s.embedding_size);
    head.tied = tied;
    if (!tied) head.decoder = load.matrix("cls.predictions.decoder.weight", s.vocab_size, s.embedding_size);
    head.bias = load.vector(mlm_bias_name(weights, tied), s.vocab_size);
    return head;
}

}  // namespace detail

// Logits of the masked-language head for `rows` rows of hidden states: out [rows, vocab_size], both on the device. Model: Bert or
// Deberta. Throws Error where the file had no head.
template <class D, class Model>
    requires requires(const Model& model) { model.has_mlm_head; }
void mlm_logits(D& device, const Model& model, const float* hidden, std::size_t rows, float* out) {
    if (!model.has_mlm_head) throw Error("the model has no masked-language head", {.key = "cls.predictions.transform.dense.weight"});
    const MlmHeadShape s = model.config.mlm_head();
    const MlmHead<D>& head = model.mlm_head;
    typename D::Buffer transformed = allocate(device, rows * s.embedding_size);
    float* t = transformed.data();  // [rows, embedding_size]
    linear(device, hidden, rows, head.transform.weight, {.bias = head.transform.bias.data(), .activation = s.activation}, t);
    layer_norm(device, t, head.norm.weight.data(), head.norm.bias.data(), s.layer_norm_eps, rows, s.embedding_size, t);
    linear(device, t, rows, head.tied ? model.word_embeddings : head.decoder, {.bias = head.bias.data()}, out);
}

}  // namespace morsel
