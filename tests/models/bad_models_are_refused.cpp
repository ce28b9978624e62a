// Configurations and weights that contradict themselves or one another: an Error that names the key, before anything large is
// allocated; and bad input to a good model, which leaves the state as it was.
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "morsel/formats/safetensors_writer.hpp"
#include "morsel/models/llama.hpp"
#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/load_decoder.hpp"
#include "support/catch.hpp"
#include "support/error_of.hpp"
#include "support/reference_data.hpp"
#include "support/text.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

std::filesystem::path llama() { return test_data() / "checkpoints/llama-tiny"; }

std::string llama_config_error(const std::function<void(Json&)>& change) {
    Json json = parse_json_file(llama() / "config.json");
    change(json);
    return error_of([&] { (void)llama_config(JsonObject(json, "config.json")); });
}

}  // namespace

TEST_CASE("a configuration with a wrong value names the key") {
    const auto set = [](const char* key, Json value) { return [=](Json& json) { json[key] = value; }; };
    const auto erase = [](const char* key) { return [=](Json& json) { json.erase(key); }; };
    struct Case { std::function<void(Json&)> change; std::string key; };
    const std::vector<Case> cases = {
        {erase("vocab_size"), "vocab_size"}, {erase("hidden_size"), "hidden_size"}, {erase("model_type"), "model_type"},
        {erase("num_attention_heads"), "num_attention_heads"}, {set("model_type", "mamba"), "mamba"}, {set("vocab_size", 0), "vocab_size"},
        {set("vocab_size", -1), "vocab_size"}, {set("vocab_size", 1.5), "vocab_size"}, {set("vocab_size", "160"), "vocab_size"},
        {set("hidden_size", 1ull << 40), "hidden_size"}, {set("num_hidden_layers", 1000000000), "num_hidden_layers"},
        {set("num_hidden_layers", 0), "num_hidden_layers"}, {set("num_attention_heads", 0), "num_attention_heads"},
        {set("num_key_value_heads", 3), "num_key_value_heads"}, {set("num_key_value_heads", 0), "num_key_value_heads"},
        {set("head_dim", 7), "head_dim"}, {set("head_dim", 0), "head_dim"}, {set("rms_norm_eps", 0), "rms_norm_eps"},
        {set("rms_norm_eps", -1e-5), "rms_norm_eps"}, {set("rope_theta", 0), "rope_theta"}, {set("rope_theta", "x"), "rope_theta"},
        {set("hidden_act", "mish"), "mish"}, {set("eos_token_id", 160), "eos_token_id"}, {set("eos_token_id", Json::array({2, -1})), "eos_token_id"},
        {set("rope_scaling", Json{{"rope_type", "yarn"}, {"factor", 2.0}}), "yarn"}, {set("rope_scaling", Json{{"type", "linear"}}), "factor"},
        {set("rope_scaling", Json{{"type", "linear"}, {"factor", 0}}), "factor"}, {set("rope_scaling", 3), "rope_scaling"},
        {set("rope_scaling", Json{{"type", "longrope"}, {"short_factor", {1.0}}, {"long_factor", {1.0}}}), "short_factor"},
        {set("partial_rotary_factor", 0.1), "partial_rotary_factor"}, {set("partial_rotary_factor", 2.0), "partial_rotary_factor"},
        {set("max_position_embeddings", 0), "max_position_embeddings"},
    };
    for (const Case& one : cases) {
        const std::string message = llama_config_error(one.change);
        INFO(one.key << ": " << message);
        CHECK(contains(message, one.key));
        CHECK(contains(message, "config.json"));
    }
    CHECK(llama_config_error([](Json&) {}) == "no error");
}

TEST_CASE("missing, misshapen and unusable weights are named") {
    const SafetensorsFile good(llama() / "model.safetensors");
    const Json json = parse_json_file(llama() / "config.json");
    const LlamaConfig config = llama_config(JsonObject(json, "config.json"));
    const auto path = std::filesystem::temp_directory_path() / "morsel_bad_weights.safetensors";
    Cpu device({.threads = 1});
    const auto load_with = [&](const std::function<void(std::vector<NamedTensor>&)>& change) {
        std::vector<NamedTensor> tensors;
        for (const std::string& name : good.names()) tensors.push_back({name, good.at(name)});
        change(tensors);
        write_safetensors(path, tensors);
        return error_of([&] {
            const SafetensorsFile file(path);
            (void)load_llama(device, config, file);
        });
    };
    const auto named = [](std::vector<NamedTensor>& tensors, const std::string& name) -> NamedTensor& {
        return *std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
    };
    CHECK(load_with([](auto&) {}) == "no error");
    const std::string missing = load_with([](auto& tensors) { tensors.erase(tensors.begin(), tensors.begin() + 2); });
    CHECK(contains(missing, "2 tensors are missing"));
    CHECK(contains(missing, good.names()[0]));
    CHECK(contains(missing, good.names()[1]));
    const std::string misshapen = load_with([&](auto& tensors) {
        TensorView& view = named(tensors, "model.layers.1.mlp.up_proj.weight").view;
        std::swap(view.shape[0], view.shape[1]);
    });
    CHECK(contains(misshapen, "model.layers.1.mlp.up_proj.weight"));
    CHECK(contains(misshapen, "expected [56, 32], found [32, 56]"));
    const std::string unusable = load_with([&](auto& tensors) { named(tensors, "model.norm.weight").view.dtype = DType::i32; });
    CHECK(contains(unusable, "model.norm.weight"));
    CHECK(contains(unusable, "I32"));
    std::filesystem::remove(path);
}

TEST_CASE("bad input to a good model is refused and leaves the state as it was") {
    Cpu device({.threads = 1});
    const auto model = load_decoder(device, llama()).model;
    DecoderState<Cpu> state = make_decoder_state(device, *model);
    const std::vector<TokenId> good = {1, 2, 3}, outside = {4, 160}, none;
    (void)forward(device, *model, state, 0, good);
    CHECK(contains(error_of([&] { (void)forward(device, *model, state, 0, outside); }), "expected below 160, found 160"));
    CHECK(contains(error_of([&] { (void)forward(device, *model, state, 0, none); }), "input_ids"));
    const std::vector<TokenId> too_many(126, 5);
    CHECK(contains(error_of([&] { (void)forward(device, *model, state, 0, too_many); }), "expected at most 128 tokens, found 129"));
    CHECK(state.tokens(0) == good);
    const std::vector<TokenId> as_many(125, 5);
    (void)forward(device, *model, state, 0, as_many);
    CHECK(state.tokens(0).size() == 128);
}

TEST_CASE("a model path that is none is a clear error") {
    Cpu device({.threads = 1});
    const auto folder = std::filesystem::temp_directory_path() / "morsel_empty_model";
    std::filesystem::create_directories(folder);
    CHECK(contains(error_of([&] { (void)load_decoder(device, "no/such/model"); }), "no/such/model"));
    CHECK(contains(error_of([&] { (void)load_decoder(device, folder); }), "model.safetensors"));
    std::ofstream(folder / "model.safetensors") << "version https://git-lfs.github.com/spec/v1\n";
    CHECK(contains(error_of([&] { (void)load_decoder(device, folder); }), "git-LFS"));
    std::filesystem::copy_file(llama() / "model.safetensors", folder / "model.safetensors", std::filesystem::copy_options::overwrite_existing);
    CHECK(contains(error_of([&] { (void)load_decoder(device, folder); }), "config.json"));
    std::filesystem::remove_all(folder);
}
