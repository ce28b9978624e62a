// Checks of decoders against the reference data, on any device: hidden states of every layer and logits of each case, KV-cached steps
// and greedy ids. The tolerance is a function of the expected values.
#pragma once
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "morsel/formats/json.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/pipeline/load_decoder.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace morsel_test {

using namespace morsel;

// One row of a padded batch against what is expected at its real tokens.
inline void check_row(const std::string& what, const std::vector<float>& got, const std::vector<float>& expected, const std::vector<std::size_t>& columns,
               std::size_t row, std::size_t length, std::size_t width, double tolerance) {
    double worst = 0;
    for (std::size_t i = 0; i < columns.size(); ++i)
        for (std::size_t j = 0; j < width; ++j) {
            const double difference = std::abs(double(got[i * width + j]) - double(expected[(row * length + columns[i]) * width + j]));
            if (!(difference <= worst)) worst = difference;
        }
    INFO(what << ", row " << row << ": off by " << worst);
    CHECK(worst <= tolerance);
}

template <class D, class Tolerance>
void check_cases(const std::filesystem::path& directory, D& device, const DecoderModel<D>& model, Tolerance tolerance) {
    const std::size_t vocab_size = model.vocab_size(), hidden_size = model.hidden_size();
    std::size_t cases = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory / "cases")) {
        const std::string name = entry.path().filename().string();
        const std::size_t end = name.find(".inputs.safetensors");
        if (end == std::string::npos) continue;
        ++cases;
        INFO(directory.filename().string() << " " << name);
        const SafetensorsFile inputs(entry.path()), expected(directory / "cases" / (name.substr(0, end) + ".expected.safetensors"));
        const TensorView& ids_view = inputs.at("input_ids");
        const auto ids = elements<std::int64_t>(ids_view);
        const std::size_t batch = ids_view.shape[0], length = ids_view.shape[1];
        std::vector<std::int64_t> mask(ids.size(), 1);
        if (inputs.find("attention_mask") != nullptr) mask = elements<std::int64_t>(inputs.at("attention_mask"));
        DecoderState<D> state = make_decoder_state(device, model, batch);
        for (std::size_t row = 0; row < batch; ++row) {
            std::vector<TokenId> tokens;
            std::vector<std::size_t> columns;
            for (std::size_t i = 0; i < length; ++i)
                if (mask[row * length + i] != 0) tokens.push_back(static_cast<TokenId>(ids[row * length + i])), columns.push_back(i);
            std::size_t seen = 0;
            const float* hidden = forward(device, model, state, row, tokens, [&](std::size_t layer, const float* values) {
                std::vector<float> got(tokens.size() * hidden_size);
                download(device, values, got);
                const auto want = elements<float>(expected.at("hidden_states." + std::to_string(layer)));
                check_row("hidden_states." + std::to_string(layer), got, want, columns, row, length, hidden_size, tolerance(want));
                ++seen;
            });
            CHECK(seen == model.num_layers() + 1);
            typename D::Buffer out = allocate(device, tokens.size() * vocab_size);
            logits(device, model, hidden, tokens.size(), out.data());
            std::vector<float> got(tokens.size() * vocab_size);
            download(device, out.data(), got);
            const auto want = elements<float>(expected.at("logits"));
            check_row("logits", got, want, columns, row, length, vocab_size, tolerance(want));
        }
    }
    CHECK(cases >= 1);
}

template <class D, class Tolerance>
void check_generation(const std::filesystem::path& directory, D& device, const DecoderModel<D>& model, Tolerance tolerance) {
    const Json generate = parse_json_file(directory / "generate.json");
    const SafetensorsFile expected(directory / "generate.safetensors");
    const std::size_t vocab = model.vocab_size();
    typename D::Buffer out = allocate(device, vocab);
    std::vector<float> got(vocab);
    std::size_t run = 0;
    for (const Json& one : generate.at("runs")) {
        INFO(directory.filename().string() << " run " << run);
        const auto greedy = one.at("greedy_ids").get<std::vector<TokenId>>();
        const auto want = elements<float>(expected.at("step_logits." + std::to_string(run++)));
        REQUIRE(want.size() == greedy.size() * vocab);
        DecoderState<D> state = make_decoder_state(device, model);
        std::vector<TokenId> input = one.at("prompt_ids").get<std::vector<TokenId>>();
        for (std::size_t step = 0; step < greedy.size(); ++step) {
            const float* hidden = forward(device, model, state, 0, input);
            logits(device, model, hidden + (input.size() - 1) * model.hidden_size(), 1, out.data());
            download(device, out.data(), got);
            const std::vector<float> expected_step(want.begin() + std::ptrdiff_t(step * vocab), want.begin() + std::ptrdiff_t((step + 1) * vocab));
            INFO("step " << step);
            CHECK(largest_difference(got, expected_step) <= tolerance(expected_step));
            input = {argmax(device, out.data(), vocab)};
            REQUIRE(input[0] == greedy[step]);
        }
    }
    CHECK(run > 0);
}

}  // namespace morsel_test
