// Checks of encoders against the reference's values, on any device: all hidden states, the pooler and the logits of the masked-language
// head. The tolerance is a function of the expected values.
#pragma once
#include <string>
#include <vector>

#include "morsel/formats/safetensors.hpp"
#include "morsel/pipeline/load_encoder.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace morsel_test {

using namespace morsel;

// The inputs of one case, padded as the reference has them, and where its expected values are.
struct Case {
    std::string name;
    std::size_t batch = 0, length = 0;
    std::vector<std::int64_t> ids = {}, mask = {}, types = {};
    const TensorSource* expected = nullptr;
    std::string prefix = {};  // of the names in `expected`

    std::vector<float> wanted(const std::string& key) const { return elements<float>(expected->at(prefix + key)); }
};

inline Case read_case(const std::string& name, const TensorSource& inputs, const std::string& prefix, const TensorSource& expected) {
    const TensorView& ids = inputs.at(prefix + "input_ids");
    Case c{.name = name, .batch = ids.shape.at(0), .length = ids.shape.at(1)};
    c.ids = elements<std::int64_t>(ids);
    c.mask.assign(c.ids.size(), 1);
    if (const TensorView* mask = inputs.find(prefix + "attention_mask")) c.mask = elements<std::int64_t>(*mask);
    if (const TensorView* types = inputs.find(prefix + "token_type_ids")) c.types = elements<std::int64_t>(*types);
    c.expected = &expected, c.prefix = prefix;
    return c;
}

inline double encoder_tolerance(const std::vector<float>& expected) { return 3e-5 + 3e-5 * largest_magnitude(expected); }

// Rows of a packed result against the expected rows at their places.
template <class D, class Tolerance>
void check_rows(const std::string& what, D& device, const float* values, std::size_t width, const std::vector<std::size_t>& places, const std::vector<float>& expected, Tolerance tolerance) {
    std::vector<float> got(places.size() * width), wanted;
    download(device, values, got);
    for (const std::size_t place : places) wanted.insert(wanted.end(), expected.begin() + std::ptrdiff_t(place * width), expected.begin() + std::ptrdiff_t((place + 1) * width));
    const double difference = largest_difference(got, wanted);
    INFO(what << " off by " << difference);
    CHECK(difference <= tolerance(expected));
}

template <class D, class Tolerance>
void check_case(D& device, const Encoder<D>& encoder, const Case& c, Tolerance tolerance) {
    INFO(c.name);
    EncoderBatch batch;
    std::vector<std::size_t> places, sequences;
    for (std::size_t row = 0; row < c.batch; ++row) {
        std::vector<TokenId> ids, mask, types;
        for (std::size_t at = row * c.length; at < (row + 1) * c.length; ++at) {
            ids.push_back(static_cast<TokenId>(c.ids[at])), mask.push_back(static_cast<TokenId>(c.mask[at]));
            if (!c.types.empty()) types.push_back(static_cast<TokenId>(c.types[at]));
            if (c.mask[at] != 0) places.push_back(at);
        }
        add_sequence(batch, encoder, ids, types, mask);
        sequences.push_back(row);
    }
    EncoderWork<D> work;
    std::size_t seen = 0;
    const float* hidden = forward(device, encoder, work, batch, [&](std::size_t layer, const float* values) {
        check_rows("hidden_states." + std::to_string(layer), device, values, encoder.hidden_size(), places, c.wanted("hidden_states." + std::to_string(layer)), tolerance);
        ++seen;
    });
    CHECK(seen == encoder.num_layers() + 1);
    const auto* bert = std::get_if<Bert<D>>(&encoder.model);
    if (c.expected->find(c.prefix + "pooler_output") != nullptr) {
        REQUIRE((bert != nullptr && bert->has_pooler));
        typename D::Buffer pooled = allocate(device, batch.sequences() * encoder.hidden_size());
        pooler_output(device, *bert, batch, hidden, pooled.data());
        check_rows("pooler_output", device, pooled.data(), encoder.hidden_size(), sequences, c.wanted("pooler_output"), tolerance);
    }
    if (c.expected->find(c.prefix + "logits") != nullptr && !std::holds_alternative<Gpt2<D>>(encoder.model)) {
        REQUIRE(encoder.has_mlm_head());
        typename D::Buffer logits = allocate(device, batch.rows() * encoder.vocab_size());
        mlm_logits(device, encoder, hidden, batch.rows(), logits.data());
        check_rows("logits", device, logits.data(), encoder.vocab_size(), places, c.wanted("logits"), tolerance);
    }
}

}  // namespace morsel_test
