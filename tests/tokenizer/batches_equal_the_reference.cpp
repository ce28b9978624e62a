// Pairs, truncation with its windows, padding, and the errors of combinations that cannot be: every batch of the reference files.
#include <optional>
#include <string>
#include <vector>

#include "support/gold_lines.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"

namespace {

using nlohmann::json;

void check_encoding(const morsel::Tokenizer& tokenizer, const morsel::Encoding& e, const json& expected, std::string& wrong) {
    const auto differ = [&](const char* what, const json& got) {
        if (got != expected[what] && wrong.empty()) wrong = std::string(what) + "\n  got      " + got.dump(-1, ' ', true).substr(0, 400) + "\n  expected " + expected[what].dump(-1, ' ', true).substr(0, 400);
    };
    json offsets = json::array(), sequences = json::array();
    for (const auto& span : e.offsets) offsets.push_back({span.begin, span.end});
    for (const auto& id : e.sequence_ids) sequences.push_back(id ? json(*id) : json());
    differ("ids", e.ids);
    differ("offsets", offsets);
    differ("special_tokens_mask", e.special_tokens_mask);
    differ("type_ids", e.type_ids);
    differ("attention_mask", e.attention_mask);
    if (expected.contains("sequence_ids")) differ("sequence_ids", sequences);
    const json windows = expected.value("overflowing", json::array());
    if (windows.size() != e.overflowing.size() && wrong.empty()) wrong = "windows: " + std::to_string(e.overflowing.size()) + ", expected " + std::to_string(windows.size());
    for (std::size_t i = 0; i < windows.size() && i < e.overflowing.size(); ++i) check_encoding(tokenizer, e.overflowing[i], windows[i], wrong);
}

void check_batches(const std::string& name) {
    const auto model = morsel_test::reference_data("models/" + name);
    const auto gold = morsel_test::reference_data("gold/tokenizers/" + name + ".batch.jsonl.xz");
    if (!model || !gold) return;
    const auto tokenizer = morsel_test::load_tokenizer(*model);
    std::size_t wrong = 0, errors = 0;
    const auto lines = morsel_test::gold_lines(*gold);
    CHECK(lines.size() >= 300);
    for (const json& line : lines) {
        morsel::EncodeOptions options{.add_special_tokens = line["add_special_tokens"].get<bool>()};
        const auto left = [](const json& j) { return j["direction"] == "left" ? morsel::Direction::left : morsel::Direction::right; };
        if (const json& t = line["truncation"]; !t.is_null()) {
            options.truncation = morsel::Truncation{.max_length = t["max_length"], .stride = t["stride"], .direction = left(t)};
            options.truncation->strategy = t["strategy"] == "longest_first" ? morsel::TruncationStrategy::longest_first
                                           : t["strategy"] == "only_first"  ? morsel::TruncationStrategy::only_first
                                                                            : morsel::TruncationStrategy::only_second;
        }
        if (const json& p = line["padding"]; !p.is_null()) {
            options.padding = morsel::Padding{.direction = left(p), .id = p["pad_id"], .type_id = p["pad_type_id"], .token = p["pad_token"]};
            if (!p["length"].is_null()) options.padding->length = p["length"].get<std::size_t>();
            if (!p["pad_to_multiple_of"].is_null()) options.padding->multiple_of = p["pad_to_multiple_of"];
        }
        std::vector<std::string> texts;
        for (const json& input : line["inputs"]) {
            texts.push_back(line["pair"] ? input[0] : input);
            texts.push_back(line["pair"] ? input[1].get<std::string>() : std::string());
        }
        std::vector<morsel::EncodeInput> inputs;
        for (std::size_t i = 0; i < texts.size(); i += 2) {
            inputs.push_back({texts[i], std::nullopt});
            if (line["pair"]) inputs.back().pair = texts[i + 1];
        }
        std::string problem;
        try {
            const std::vector<morsel::Encoding> batch = tokenizer.encode_batch(inputs, options);
            if (line.contains("error")) problem = "no error, expected " + line["error"].get<std::string>();
            else
                for (std::size_t i = 0; i < batch.size(); ++i) check_encoding(tokenizer, batch[i], line["encodings"][i], problem);
        } catch (const morsel::Error& e) {
            ++errors;
            if (!line.contains("error")) problem = std::string("error: ") + e.what();
        }
        if (!problem.empty() && ++wrong <= 10) UNSCOPED_INFO(problem << "\n  in " << line["inputs"].dump(-1, ' ', true).substr(0, 200) << line["truncation"] << line["padding"] << line["add_special_tokens"]);
    }
    CHECK(wrong == 0);
    CHECK(errors > 0);
}

}  // namespace

TEST_CASE("Phi-3 batches equal the reference") { check_batches("phi-3-mini-4k-instruct"); }
TEST_CASE("BERT batches equal the reference") { check_batches("bert-base-cased"); }
TEST_CASE("GPT-2 batches equal the reference") { check_batches("gpt2"); }
TEST_CASE("RoBERTa batches equal the reference") { check_batches("roberta-base"); }
