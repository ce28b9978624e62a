// An encoder from a Hugging Face directory, whichever model it is: configuration and weights. Here the file formats and the models
// meet. The functions below give every encoder one face; what only BERT has (the pooler) is asked of `model`.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "morsel/core/progress.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/open_weights.hpp"
#include "morsel/models/bert.hpp"
#include "morsel/models/deberta.hpp"
#include "morsel/models/gpt2.hpp"

namespace morsel {

// One of the encoders. Immutable after load_encoder, so one may be shared by threads that each have their own device and work space.
template <class D>
struct Encoder {
    std::variant<Bert<D>, Deberta<D>, Gpt2<D>> model;

    std::size_t hidden_size() const {
        return std::visit([](const auto& m) { return m.config.hidden_size; }, model);
    }
    std::size_t vocab_size() const {
        return std::visit([](const auto& m) { return m.config.vocab_size; }, model);
    }
    std::size_t num_layers() const {
        return std::visit([](const auto& m) { return m.layers.size(); }, model);
    }
    // The longest sequence, in tokens.
    std::size_t max_tokens() const {
        return std::visit([](const auto& m) { return m.config.max_tokens(); }, model);
    }
    // Whether mlm_logits works: the file had a masked-language head.
    bool has_mlm_head() const {
        return std::visit([](const auto& m) {
            if constexpr (requires { m.has_mlm_head; }) return m.has_mlm_head;
            else return false;
        }, model);
    }
};

// Whether load_encoder knows a config.json's model_type.
inline bool is_encoder_type(std::string_view model_type) {
    for (const std::string_view known : {"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "deberta", "deberta-v2", "gpt2"})
        if (model_type == known) return true;
    return false;
}

// The directory of a model: the path itself, or where the file lies.
inline std::filesystem::path model_directory(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::is_directory(path, ignored) ? path : std::filesystem::absolute(path).parent_path();
}

// `path`: a directory with config.json and weights, or its file of weights. Throws Error.
template <class D>
Encoder<D> load_encoder(D& device, const std::filesystem::path& path, const ProgressCallback& progress = {}) {
    const std::filesystem::path directory = model_directory(path);
    const Json parsed = parse_json_file(directory / "config.json");
    const JsonObject json(parsed, directory / "config.json");
    const auto type = json.template get<std::string>("model_type");
    if (!is_encoder_type(type)) throw json.error("model_type", "not a supported encoder", "bert, roberta, xlm-roberta, camembert, distilbert, deberta, deberta-v2 or gpt2", type);
    // The configuration before the weights: its errors are the clearer ones.
    if (type.starts_with("deberta")) {
        const DebertaConfig config = deberta_config(json);
        return {load_deberta(device, config, *open_weights(path), progress)};
    }
    if (type == "gpt2") {
        const Gpt2Config config = gpt2_config(json);
        return {load_gpt2(device, config, *open_weights(path), progress)};
    }
    const BertConfig config = bert_config(json);
    return {load_bert(device, config, *open_weights(path), progress)};
}

// As the model's own: appends one sequence to a batch.
template <class D>
void add_sequence(EncoderBatch& batch, const Encoder<D>& encoder, std::span<const TokenId> input_ids,
                  std::span<const TokenId> token_type_ids = {}, std::span<const TokenId> attention_mask = {}) {
    std::visit([&](const auto& m) { add_sequence(batch, m.config, input_ids, token_type_ids, attention_mask); }, encoder.model);
}

// As the model's own: final hidden states [batch.rows(), hidden_size], valid until the next call with this work space.
template <class D, class Observe = NoObserver>
const float* forward(D& device, const Encoder<D>& encoder, EncoderWork<D>& work, const EncoderBatch& batch, Observe&& observe = {}) {
    return std::visit([&](const auto& m) { return forward(device, m, work, batch, observe); }, encoder.model);
}

// As the model's own: logits of the masked-language head, out [rows, vocab_size]. Throws Error where there is no head.
template <class D>
void mlm_logits(D& device, const Encoder<D>& encoder, const float* hidden, std::size_t rows, float* out) {
    std::visit([&](const auto& m) {
        if constexpr (requires { m.has_mlm_head; }) mlm_logits(device, m, hidden, rows, out);
        else throw Error("the model has no masked-language head");
    }, encoder.model);
}

}  // namespace morsel
