// Every encoder against transformers: all hidden states, the pooler and the logits of the masked-language head, for padded batches,
// masks with holes, token types and single tokens. Small checkpoints of each architecture and switch travel with the tests
// (tests/reference/encoders.py makes them); where the reference data is, its checkpoints are checked, too.
#include <filesystem>
#include <map>

#include "morsel/formats/json.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/load_encoder.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

// The inputs of one case, padded as the reference has them, and where its expected values are.
struct Case {
    std::string name;
    std::size_t batch = 0, length = 0;
    std::vector<std::int64_t> ids = {}, mask = {}, types = {};
    const TensorSource* expected = nullptr;
    std::string prefix = {};  // of the names in `expected`

    std::vector<float> wanted(const std::string& key) const { return elements<float>(expected->at(prefix + key)); }
};

Case read_case(const std::string& name, const TensorSource& inputs, const std::string& prefix, const TensorSource& expected) {
    const TensorView& ids = inputs.at(prefix + "input_ids");
    Case c{.name = name, .batch = ids.shape.at(0), .length = ids.shape.at(1)};
    c.ids = elements<std::int64_t>(ids);
    c.mask.assign(c.ids.size(), 1);
    if (const TensorView* mask = inputs.find(prefix + "attention_mask")) c.mask = elements<std::int64_t>(*mask);
    if (const TensorView* types = inputs.find(prefix + "token_type_ids")) c.types = elements<std::int64_t>(*types);
    c.expected = &expected, c.prefix = prefix;
    return c;
}

double encoder_tolerance(const std::vector<float>& expected) { return 3e-5 + 3e-5 * largest_magnitude(expected); }

// Rows of a packed result against the expected rows at their places.
void check_rows(const std::string& what, Cpu& device, const float* values, std::size_t width, const std::vector<std::size_t>& places, const std::vector<float>& expected) {
    std::vector<float> got(places.size() * width), wanted;
    download(device, values, got);
    for (const std::size_t place : places) wanted.insert(wanted.end(), expected.begin() + std::ptrdiff_t(place * width), expected.begin() + std::ptrdiff_t((place + 1) * width));
    const double difference = largest_difference(got, wanted);
    INFO(what << " off by " << difference);
    CHECK(difference <= encoder_tolerance(expected));
}

void check_case(Cpu& device, const Encoder<Cpu>& encoder, const Case& c) {
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
    EncoderWork<Cpu> work;
    std::size_t seen = 0;
    const float* hidden = forward(device, encoder, work, batch, [&](std::size_t layer, const float* values) {
        check_rows("hidden_states." + std::to_string(layer), device, values, encoder.hidden_size(), places, c.wanted("hidden_states." + std::to_string(layer)));
        ++seen;
    });
    CHECK(seen == encoder.num_layers() + 1);
    const auto* bert = std::get_if<Bert<Cpu>>(&encoder.model);
    if (c.expected->find(c.prefix + "pooler_output") != nullptr) {
        REQUIRE((bert != nullptr && bert->has_pooler));
        CpuBuffer pooled = allocate(device, batch.sequences() * encoder.hidden_size());
        pooler_output(device, *bert, batch, hidden, pooled.data());
        check_rows("pooler_output", device, pooled.data(), encoder.hidden_size(), sequences, c.wanted("pooler_output"));
    }
    if (c.expected->find(c.prefix + "logits") != nullptr && bert != nullptr) {
        REQUIRE(bert->has_mlm_head);
        CpuBuffer logits = allocate(device, batch.rows() * encoder.vocab_size());
        mlm_logits(device, *bert, hidden, batch.rows(), logits.data());
        check_rows("logits", device, logits.data(), encoder.vocab_size(), places, c.wanted("logits"));
    }
}

std::vector<std::string> unused(const Encoder<Cpu>& encoder) {
    return std::visit([](const auto& m) { return m.unused_tensors; }, encoder.model);
}

}  // namespace

TEST_CASE("encoders give the reference's hidden states, pooler and logits") {
    const std::map<std::string, std::vector<std::string>> left = {{"bert-old-names", {"cls.seq_relationship.bias", "cls.seq_relationship.weight"}}};
    for (const char* name : {"bert", "bert-old-names", "roberta", "distilbert", "deberta", "deberta-c2p-wide", "deberta-absolute", "deberta-v2-conv", "deberta-v2-p2c", "gpt2"}) {
        INFO(name);
        const std::filesystem::path directory = test_data() / "encoders" / name;
        const SafetensorsFile cases(directory / "cases.safetensors");
        for (const unsigned threads : {1u, 3u}) {
            Cpu device({.threads = threads});
            const Encoder<Cpu> encoder = load_encoder(device, directory);
            const auto known = left.find(name);
            CHECK(unused(encoder) == (known == left.end() ? std::vector<std::string>() : known->second));
            for (const char* one : {"padded", "holes", "one"}) check_case(device, encoder, read_case(one, cases, std::string(one) + ".", cases));
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
            check_case(device, encoder, read_case(file, inputs, "", expected));
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
