// morsel forward: runs a model over given token ids and writes what every layer gave, for comparison with the reference.
#include <cstring>
#include <filesystem>

#include "commands.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/formats/safetensors_writer.hpp"
#include "morsel/models/llama.hpp"
#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/load_decoder.hpp"

namespace cli {
namespace {

using namespace morsel;

// An int64 tensor [batch, length]; throws Error on another type or shape.
std::vector<std::int64_t> integers(const TensorSource& file, std::string_view name, const std::vector<std::uint64_t>& shape) {
    const TensorView& view = file.at(name);
    if (view.dtype != DType::i64 || view.shape != shape)
        throw Error("wrong tensor", {.file = file.path().string(), .key = std::string(name), .expected = "I64 " + shape_text(shape),
                                     .found = std::string(dtype_info(view.dtype).name) + " " + shape_text(view.shape)});
    std::vector<std::int64_t> values(view.bytes.size() / sizeof(std::int64_t));
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    return values;
}

int run_forward(const Arguments& arguments) {
    const SafetensorsFile inputs(arguments.text("--inputs"));
    const TensorView& ids_view = inputs.at("input_ids");
    if (ids_view.shape.size() != 2) throw Error("wrong shape", {.file = arguments.text("--inputs"), .key = "input_ids", .expected = "[batch, length]", .found = shape_text(ids_view.shape)});
    const auto ids = integers(inputs, "input_ids", ids_view.shape);
    const std::size_t batch = ids_view.shape[0], length = ids_view.shape[1];
    std::vector<std::int64_t> mask(ids.size(), 1);
    if (inputs.find("attention_mask") != nullptr) mask = integers(inputs, "attention_mask", ids_view.shape);
    if (inputs.find("position_ids") != nullptr) {
        // Positions follow from the mask; anything else is refused rather than ignored.
        const auto positions = integers(inputs, "position_ids", ids_view.shape);
        for (std::size_t row = 0; row < batch; ++row)
            for (std::size_t i = 0, next = 0; i < length; ++i)
                if (mask[row * length + i] != 0 && positions[row * length + i] != static_cast<std::int64_t>(next++))
                    throw Error("not supported", {.file = arguments.text("--inputs"), .key = "position_ids", .expected = "positions counted over the attention_mask"});
    }

    Cpu device({.threads = arguments.number<unsigned>("--threads").value_or(0)});
    const LoadedDecoder<Cpu> decoder = load_decoder(device, arguments.text("--model"));
    const LlamaConfig& c = decoder.model->config;
    std::vector<std::vector<float>> hidden_states(c.num_hidden_layers + 1, std::vector<float>(batch * length * c.hidden_size));
    std::vector<float> all_logits(batch * length * c.vocab_size);
    LlamaState<Cpu> state = make_llama_state(device, *decoder.model, batch);
    for (std::size_t row = 0; row < batch; ++row) {
        std::vector<TokenId> tokens;
        std::vector<std::size_t> places;  // of the row's real tokens in the batch
        for (std::size_t i = 0; i < length; ++i) {
            if (mask[row * length + i] == 0) continue;
            const std::int64_t id = ids[row * length + i];
            if (id < 0 || static_cast<std::uint64_t>(id) >= c.vocab_size)
                throw Error("token id outside the vocabulary", {.file = arguments.text("--inputs"), .key = "input_ids", .expected = "below " + std::to_string(c.vocab_size), .found = std::to_string(id)});
            tokens.push_back(static_cast<TokenId>(id));
            places.push_back(row * length + i);
        }
        if (tokens.empty()) continue;
        const auto scatter = [&](const float* values, std::size_t width, std::vector<float>& to) {
            std::vector<float> rows(tokens.size() * width);
            download(device, values, rows);
            for (std::size_t i = 0; i < places.size(); ++i)
                std::memcpy(to.data() + places[i] * width, rows.data() + i * width, width * sizeof(float));
        };
        const float* hidden = forward(device, *decoder.model, state, row, tokens,
                                      [&](std::size_t layer, const float* values) { scatter(values, c.hidden_size, hidden_states[layer]); });
        CpuBuffer out = allocate(device, tokens.size() * c.vocab_size);
        logits(device, *decoder.model, hidden, tokens.size(), out.data());
        scatter(out.data(), c.vocab_size, all_logits);
    }

    std::vector<NamedTensor> tensors;
    const auto add = [&](std::string name, const std::vector<float>& values, std::size_t width) {
        tensors.push_back({std::move(name), TensorView{.dtype = DType::f32, .shape = {batch, length, width}, .bytes = std::as_bytes(std::span(values))}});
    };
    for (std::size_t i = 0; i < hidden_states.size(); ++i) add("hidden_states." + std::to_string(i), hidden_states[i], c.hidden_size);
    add("last_hidden_state", hidden_states.back(), c.hidden_size);
    add("logits", all_logits, c.vocab_size);
    write_safetensors(arguments.text("--output"), tensors);
    return 0;
}

}  // namespace

Command forward_command() {
    return {"forward", "Run a model over token ids and write hidden states and logits as safetensors. Padded positions are zero.", "",
            {{"--model", "PATH", "model directory, or a GGUF file", true},
             {"--inputs", "FILE", "safetensors: input_ids, and attention_mask where rows are padded (int64)", true},
             {"--output", "FILE", "safetensors: hidden_states.0 …, last_hidden_state, logits", true},
             {"--threads", "N", "threads, the caller included; default: what the machine allows"}},
            run_forward};
}

}  // namespace cli
