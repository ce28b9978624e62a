// Every case of the reference data: processed scores and probabilities as transformers' generate() computes them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "morsel/formats/json.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/generation/logits_processors.hpp"
#include "morsel/generation/sampling.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;

namespace {

std::vector<float> floats(const TensorSource& tensors, const std::string& name) {
    const TensorView& view = tensors.at(name);
    REQUIRE(view.dtype == DType::f32);
    std::vector<float> values(view.bytes.size() / sizeof(float));
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    return values;
}

std::vector<std::size_t> kept_ids(const std::vector<float>& scores) {
    std::vector<std::size_t> ids;
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (!is_minus_infinity(scores[i])) ids.push_back(i);
    return ids;
}

std::vector<float> sorted_kept(std::vector<float> scores) {
    std::erase_if(scores, [](float x) { return is_minus_infinity(x); });
    std::sort(scores.begin(), scores.end());
    return scores;
}

}  // namespace

TEST_CASE("processed logits equal the reference's") {
    const auto cases_path = morsel_test::reference_data("gold/logits_processors.json");
    const auto tensors_path = morsel_test::reference_data("gold/logits_processors.safetensors");
    if (!cases_path || !tensors_path) return;
    const SafetensorsFile tensors(*tensors_path);
    const Json cases = parse_json_file(*cases_path);
    REQUIRE(cases.size() == 288);
    LogitsWorkspace workspace;
    double largest_score = 0, largest_probability = 0;
    int decided_by_ties = 0;
    for (const Json& c : cases) {
        const JsonObject parameters(c.at("parameters"), *cases_path);
        const LogitsProcessing options{
            .repetition_penalty = parameters.get_or("repetition_penalty", 1.0F),
            .no_repeat_ngram_size = parameters.get_or<std::size_t>("no_repeat_ngram_size", 0),
            .do_sample = true,
            .temperature = parameters.get_or("temperature", 1.0F),
            .top_k = parameters.get_or<std::size_t>("top_k", 0),
            .top_p = parameters.get_or("top_p", 1.0F),
            .min_p = parameters.get_or("min_p", 0.0F),
            .typical_p = parameters.get_or("typical_p", 1.0F),
            .epsilon_cutoff = parameters.get_or("epsilon_cutoff", 0.0F),
            .eta_cutoff = parameters.get_or("eta_cutoff", 0.0F),
        };
        auto scores = floats(tensors, "logits." + std::to_string(c.at("row").get<int>()));
        process_logits(scores, c.at("input_ids").get<std::vector<TokenId>>(), options, workspace);
        const auto probabilities = softmax(scores);
        const std::string number = std::to_string(c.at("case").get<int>());
        const auto expected_scores = floats(tensors, "scores." + number), expected_probabilities = floats(tensors, "probs." + number);
        REQUIRE(scores.size() == expected_scores.size());
        // The reference sorts without stability: where it keeps some of several equal logits, any of them is right. Ours keeps the
        // lowest ids; the kept values must be the same.
        if (kept_ids(scores) != kept_ids(expected_scores) && sorted_kept(scores) == sorted_kept(expected_scores)) {
            ++decided_by_ties;
            continue;
        }
        std::size_t different_set = 0;
        for (std::size_t i = 0; i < scores.size(); ++i) {
            different_set += is_minus_infinity(scores[i]) != is_minus_infinity(expected_scores[i]) ? 1 : 0;
            largest_probability = std::max(largest_probability, std::abs(static_cast<double>(probabilities[i]) - expected_probabilities[i]));
            if (is_minus_infinity(expected_scores[i]) || is_minus_infinity(scores[i])) continue;
            const double scale = std::max(1e-30, std::abs(static_cast<double>(expected_scores[i])));
            largest_score = std::max(largest_score, std::abs(static_cast<double>(scores[i]) - expected_scores[i]) / scale);
        }
        CAPTURE(number, c.at("parameters").dump(), c.at("row_is").get<std::string>());
        CHECK(different_set == 0);
    }
    CHECK(decided_by_ties <= 1);
    CHECK(largest_score <= 1e-6);
    CHECK(largest_probability <= 2e-6);
}
