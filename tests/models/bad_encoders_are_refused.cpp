// Encoders and GPT-2 whose configuration or weights contradict themselves or one another: an Error that names file and key, before
// anything large is allocated; and bad input to a good model, which leaves the batch as it was.
#include <filesystem>
#include <functional>
#include <string>

#include "morsel/formats/safetensors_writer.hpp"
#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/load_encoder.hpp"
#include "support/catch.hpp"
#include "support/error_of.hpp"
#include "support/reference_data.hpp"
#include "support/text.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

std::filesystem::path fixture(const std::string& name) { return test_data() / "encoders" / name; }

std::string config_error(const std::string& name, const std::string& key, const Json& value) {
    Json json = parse_json_file(fixture(name) / "config.json");
    if (value.is_discarded()) json.erase(key);
    else json[key] = value;
    const JsonObject object(json, "config.json");
    return error_of([&] {
        if (name.starts_with("deberta")) (void)deberta_config(object);
        else if (name == "gpt2") (void)gpt2_config(object);
        else (void)bert_config(object);
    });
}

}  // namespace

TEST_CASE("an encoder's configuration with a wrong value names the key") {
    const Json absent = Json(Json::value_t::discarded);
    struct Case { const char* model; const char* key; Json value; };
    const std::vector<Case> cases = {
        {"bert", "vocab_size", absent}, {"bert", "vocab_size", 0}, {"bert", "vocab_size", 1ull << 40}, {"bert", "vocab_size", "48"}, {"bert", "hidden_size", 25},
        {"bert", "hidden_size", -24}, {"bert", "num_attention_heads", 0}, {"bert", "num_attention_heads", 5}, {"bert", "num_hidden_layers", 1000000000},
        {"bert", "intermediate_size", 0}, {"bert", "max_position_embeddings", 0}, {"bert", "type_vocab_size", -1}, {"bert", "layer_norm_eps", 0},
        {"bert", "layer_norm_eps", "x"}, {"bert", "hidden_act", "mish"}, {"bert", "pad_token_id", 48}, {"bert", "position_embedding_type", "relative_key"},
        {"bert", "is_decoder", true}, {"bert", "model_type", "electra"}, {"roberta", "max_position_embeddings", 2}, {"distilbert", "dim", 25}, {"distilbert", "n_heads", 0},
        {"deberta", "hidden_size", 25}, {"deberta", "pos_att_type", "p2p"}, {"deberta", "pos_att_type", "c2p|c2p"}, {"deberta", "pos_att_type", 3},
        {"deberta", "talking_head", true}, {"deberta", "max_relative_positions", 1ull << 40}, {"deberta", "max_position_embeddings", 0},
        {"deberta-v2-conv", "position_buckets", 1}, {"deberta-v2-conv", "position_buckets", 1000}, {"deberta-v2-conv", "conv_kernel_size", 2},
        {"deberta-v2-conv", "conv_groups", 2}, {"deberta-v2-conv", "conv_act", "x"}, {"deberta-v2-conv", "attention_head_size", 4},
        {"gpt2", "n_embd", 25}, {"gpt2", "n_head", 0}, {"gpt2", "n_positions", 0}, {"gpt2", "n_inner", -1}, {"gpt2", "eos_token_id", 48}, {"gpt2", "add_cross_attention", true},
    };
    for (const Case& one : cases) {
        const std::string message = config_error(one.model, one.key, one.value);
        INFO(one.model << " " << one.key << ": " << message);
        CHECK(contains(message, one.key));
        CHECK(contains(message, "config.json"));
    }
    for (const char* name : {"bert", "roberta", "distilbert", "deberta", "deberta-v2-conv", "gpt2"}) CHECK(config_error(name, "unknown_key", 1) == "no error");
}

TEST_CASE("an encoder's missing, misshapen, doubled and unusable weights are named") {
    const auto path = std::filesystem::temp_directory_path() / "morsel_bad_encoder";
    std::filesystem::create_directories(path);
    Cpu device({.threads = 1});
    // The error of loading fixture `name` after `change` to its tensors.
    const auto load_with = [&](const std::string& name, const std::function<void(std::vector<NamedTensor>&)>& change) {
        const SafetensorsFile good(fixture(name) / "model.safetensors");
        std::vector<NamedTensor> tensors;
        for (const std::string& one : good.names()) tensors.push_back({one, good.at(one)});
        change(tensors);
        write_safetensors(path / "model.safetensors", tensors);
        std::filesystem::copy_file(fixture(name) / "config.json", path / "config.json", std::filesystem::copy_options::overwrite_existing);
        return error_of([&] { (void)load_encoder(device, path); });
    };
    const auto without = [](const std::string& part) {
        return [=](std::vector<NamedTensor>& tensors) { std::erase_if(tensors, [&](const NamedTensor& t) { return contains(t.name, part); }); };
    };
    const auto reshaped = [](const std::string& name) {
        return [=](std::vector<NamedTensor>& tensors) {
            for (NamedTensor& t : tensors)
                if (t.name == name) t.view.shape = {1, t.view.bytes.size() / 4};
        };
    };
    CHECK(load_with("bert", [](auto&) {}) == "no error");
    CHECK(contains(load_with("bert", without("attention.self.key.weight")), "2 tensors are missing: encoder.layer.0.attention.self.key.weight, encoder.layer.1.attention.self.key.weight"));
    CHECK(contains(load_with("bert", without("pooler.dense.bias")), "pooler.dense.bias"));
    CHECK(contains(load_with("bert-old-names", without("cls.predictions.bias")), "cls.predictions.decoder.bias"));
    CHECK(contains(load_with("deberta", without("q_bias")), "attention.self.q_bias"));
    CHECK(contains(load_with("deberta-v2-conv", without("conv.conv.bias")), "encoder.conv.conv.bias"));
    CHECK(contains(load_with("deberta-mlm", without("cls.predictions.decoder.weight")), "1 tensor is missing: cls.predictions.decoder.weight"));
    CHECK(contains(load_with("deberta-v2-later-mlm", without("lm_head.LayerNorm.bias")), "1 tensor is missing: cls.predictions.transform.LayerNorm.bias"));
    CHECK(contains(load_with("gpt2", without("wpe")), "wpe.weight"));
    // the name that the file has, with the shapes
    CHECK(contains(load_with("bert-old-names", reshaped("bert.embeddings.LayerNorm.gamma")), "bert.embeddings.LayerNorm.gamma: wrong shape (expected [24], found [1, 24])"));
    CHECK(contains(load_with("deberta", reshaped("deberta.encoder.rel_embeddings.weight")), "rel_embeddings.weight: wrong shape (expected [24, 24], found [1, 576])"));
    CHECK(contains(load_with("deberta-v2-conv", reshaped("encoder.conv.conv.weight")), "expected [24, 24, 3], found [1, 1728]"));
    CHECK(contains(load_with("deberta-mlm", reshaped("cls.predictions.transform.dense.weight")), "expected [16, 24], found [1, 384]"));
    CHECK(contains(load_with("deberta-v2-later-mlm", reshaped("lm_predictions.lm_head.bias")), "lm_predictions.lm_head.bias: wrong shape (expected [40], found [1, 40])"));
    CHECK(contains(load_with("gpt2", reshaped("h.0.mlp.c_fc.weight")), "expected [24, 36], found [1, 864]"));
    const std::string doubled = load_with("bert", [](std::vector<NamedTensor>& tensors) { tensors.push_back({"bert.pooler.dense.bias", tensors.front().view}); });
    CHECK((contains(doubled, "two tensors for one weight") && contains(doubled, "bert.pooler.dense.bias")));
    const std::string two_heads = load_with("deberta-v2-later-mlm", [](std::vector<NamedTensor>& tensors) { tensors.push_back({"cls.predictions.bias", tensors.front().view}); });
    CHECK((contains(two_heads, "two tensors for one weight") && contains(two_heads, "lm_predictions.lm_head.bias")));
    CHECK(contains(load_with("bert", [](std::vector<NamedTensor>& tensors) {
        for (NamedTensor& t : tensors)
            if (t.name == "pooler.dense.weight") t.view.dtype = DType::i32;
    }), "pooler.dense.weight: cannot be used as a weight"));
    std::filesystem::remove_all(path);
}

TEST_CASE("bad input to an encoder leaves the batch as it was") {
    Cpu device({.threads = 1});
    const Encoder<Cpu> encoder = load_encoder(device, fixture("bert")), roberta = load_encoder(device, fixture("roberta"));
    EncoderBatch batch;
    const std::vector<TokenId> good = {1, 2, 3}, outside = {4, 48}, none, types = {0, 2, 0}, short_mask = {1}, hidden = {0, 0, 0}, long_ids(41, 5);
    add_sequence(batch, encoder, good);
    CHECK(contains(error_of([&] { add_sequence(batch, encoder, outside); }), "expected below 48, found 48"));
    CHECK(contains(error_of([&] { add_sequence(batch, encoder, none); }), "input_ids"));
    CHECK(contains(error_of([&] { add_sequence(batch, encoder, good, types); }), "token_type_ids"));
    CHECK(contains(error_of([&] { add_sequence(batch, encoder, good, {}, short_mask); }), "attention_mask"));
    CHECK(contains(error_of([&] { add_sequence(batch, encoder, good, {}, hidden); }), "hides every token"));
    CHECK(contains(error_of([&] { add_sequence(batch, encoder, long_ids); }), "expected at most 40 tokens, found 41"));
    CHECK(roberta.max_tokens() == 32);  // two of its 34 positions come before the first token
    CHECK((batch.rows() == 3 && batch.sequences() == 1 && batch.position_ids.size() == 3));
    CHECK(contains(error_of([&] { mlm_logits(device, std::get<Bert<Cpu>>(encoder.model), nullptr, 1, nullptr); }), "no masked-language head"));
    CHECK(contains(error_of([&] { (void)load_encoder(device, test_data() / "checkpoints/llama-tiny"); }), "not a supported encoder"));
    EncoderBatch empty;
    EncoderWork<Cpu> work;
    CHECK_NOTHROW(forward(device, encoder, work, empty));
}
