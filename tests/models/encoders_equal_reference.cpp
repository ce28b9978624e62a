// Every encoder against transformers: all hidden states, the pooler and the logits of the masked-language head, for padded batches,
// masks with holes, token types and single tokens. Small checkpoints of each architecture and switch travel with the tests
// (tests/reference/encoders.py makes them); where the reference data is, its checkpoints are checked, too.
#include <filesystem>
#include <map>

#include "morsel/formats/json.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/ops/cpu.hpp"
#include "support/catch.hpp"
#include "support/encoder_cases.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

std::vector<std::string> unused(const Encoder<Cpu>& encoder) {
    return std::visit([](const auto& m) { return m.unused_tensors; }, encoder.model);
}

}  // namespace

TEST_CASE("encoders give the reference's hidden states, pooler and logits") {
    const std::map<std::string, std::vector<std::string>> left = {
        {"bert-old-names", {"cls.seq_relationship.bias", "cls.seq_relationship.weight"}},
        {"deberta-v2-later-mlm", {"mask_predictions.dense.bias"}}};
    for (const char* name : {"bert", "bert-old-names", "roberta", "distilbert", "deberta", "deberta-c2p-wide", "deberta-absolute", "deberta-v2-conv", "deberta-v2-p2c", "deberta-mlm", "deberta-v2-mlm",
                             "deberta-v2-later-mlm", "gpt2"}) {
        INFO(name);
        const std::filesystem::path directory = test_data() / "encoders" / name;
        const SafetensorsFile cases(directory / "cases.safetensors");
        for (const unsigned threads : {1u, 3u}) {
            Cpu device({.threads = threads});
            const Encoder<Cpu> encoder = load_encoder(device, directory);
            const auto known = left.find(name);
            CHECK(unused(encoder) == (known == left.end() ? std::vector<std::string>() : known->second));
            for (const char* one : {"padded", "holes", "one"}) check_case(device, encoder, read_case(one, cases, std::string(one) + ".", cases), encoder_tolerance);
        }
    }
}

TEST_CASE("encoders of the reference data give its values") {
    for (const char* name : {"bert-tiny", "bert-mlm-tiny", "bert-tiny-old-names", "minilm-tiny", "roberta-tiny", "roberta-mlm-tiny", "deberta-tiny", "deberta-v2-tiny",
                             "deberta-v2-conv-tiny", "deberta-v2-keys-tiny", "gpt2-tiny", "gpt2-tiny-old-names"}) {
        const auto directory = reference_data(std::filesystem::path("gold/checkpoints") / name);
        if (!directory) return;
        INFO(name);
        Cpu device({.threads = 2});
        const Encoder<Cpu> encoder = load_encoder(device, *directory);
        CHECK(unused(encoder).empty());
        std::size_t cases = 0;
        for (const auto& entry : std::filesystem::directory_iterator(*directory / "cases")) {
            const std::string file = entry.path().filename().string();
            const std::size_t end = file.find(".inputs.safetensors");
            if (end == std::string::npos) continue;
            const SafetensorsFile inputs(entry.path()), expected(*directory / "cases" / (file.substr(0, end) + ".expected.safetensors"));
            check_case(device, encoder, read_case(file, inputs, "", expected), encoder_tolerance);
            ++cases;
        }
        CHECK(cases >= 1);
    }
}

TEST_CASE("distances take the reference's rows of the relative embeddings") {
    const Json all = parse_json_file(test_data() / "encoders/relative_rows.json");
    CHECK(all.size() == 6);
    for (const auto& [key, rows] : all.items()) {
        INFO("buckets and distances " << key);
        const std::size_t space = key.find(' ');
        DebertaConfig config;
        config.relative_attention = true, config.v2 = true;
        config.position_buckets = key[0] == '-' ? 0 : std::stoul(key.substr(0, space));
        config.max_relative_positions = std::stoul(key.substr(space + 1));
        CHECK(relative_rows(config, 701) == rows.get<std::vector<std::uint32_t>>());
    }
}

TEST_CASE("a sequence's result does not depend on its batch") {
    for (const char* name : {"bert", "deberta", "deberta-v2-conv", "gpt2"}) {
        INFO(name);
        Cpu device({.threads = 2});
        const Encoder<Cpu> encoder = load_encoder(device, test_data() / "encoders" / name);
        std::vector<std::vector<TokenId>> sequences(5);
        for (std::size_t i = 0; i < sequences.size(); ++i)
            for (std::size_t t = 0; t < 3 + 7 * i; ++t) sequences[i].push_back(static_cast<TokenId>((i * 31 + t * 7) % 43 + 5));
        const auto run = [&](const std::vector<std::size_t>& order) {
            EncoderBatch batch;
            for (const std::size_t i : order) add_sequence(batch, encoder, sequences[i]);
            EncoderWork<Cpu> work;
            const float* hidden = forward(device, encoder, work, batch);
            std::map<std::size_t, std::vector<float>> result;
            for (std::size_t s = 0; s < order.size(); ++s) {
                std::vector<float> rows(batch.segments[s].row_count * encoder.hidden_size());
                download(device, hidden + batch.segments[s].row_begin * encoder.hidden_size(), rows);
                result[order[s]] = rows;
            }
            return result;
        };
        const auto forwards = run({0, 1, 2, 3, 4}), backwards = run({4, 3, 2, 1, 0});
        CHECK(forwards == backwards);  // bit for bit: as many rows, the same kernels
        for (std::size_t i = 0; i < sequences.size(); ++i) CHECK(largest_difference(run({i}).at(i), forwards.at(i)) < 1e-5);
    }
}
