// morsel forward: runs a model over given token ids and writes what every layer gave, for comparison with the reference.
#include <cstring>
#include <filesystem>
#include <memory>

#include "commands.hpp"
#include "device.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/formats/safetensors_writer.hpp"
#include "morsel/pipeline/load_decoder.hpp"
#include "morsel/pipeline/load_encoder.hpp"

namespace cli {
namespace {

using namespace morsel;

// The batch of --inputs, each tensor [batch, length].
struct Inputs {
    std::string file;
    std::size_t batch = 0, length = 0;
    std::vector<std::int64_t> ids = {}, mask = {}, types = {};  // mask: ones where absent; types: empty where absent
    bool positions_given = false;
};

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

Inputs read_inputs(const std::string& path) {
    const SafetensorsFile file(path);
    const TensorView& ids_view = file.at("input_ids");
    if (ids_view.shape.size() != 2) throw Error("wrong shape", {.file = path, .key = "input_ids", .expected = "[batch, length]", .found = shape_text(ids_view.shape)});
    Inputs in{.file = path, .batch = ids_view.shape[0], .length = ids_view.shape[1]};
    in.ids = integers(file, "input_ids", ids_view.shape);
    in.mask.assign(in.ids.size(), 1);
    if (file.find("attention_mask") != nullptr) in.mask = integers(file, "attention_mask", ids_view.shape);
    if (file.find("token_type_ids") != nullptr) in.types = integers(file, "token_type_ids", ids_view.shape);
    in.positions_given = file.find("position_ids") != nullptr;
    if (in.positions_given) {
        // Positions follow from the mask; anything else is refused rather than ignored.
        const auto positions = integers(file, "position_ids", ids_view.shape);
        for (std::size_t row = 0; row < in.batch; ++row)
            for (std::size_t i = 0, next = 0; i < in.length; ++i)
                if (in.mask[row * in.length + i] != 0 && positions[row * in.length + i] != static_cast<std::int64_t>(next++))
                    throw Error("not supported", {.file = path, .key = "position_ids", .expected = "positions counted over the attention_mask"});
    }
    return in;
}

TokenId token_id(const Inputs& in, std::string_view name, std::int64_t value, std::size_t bound) {
    if (value < 0 || static_cast<std::uint64_t>(value) >= bound)
        throw Error(name == "input_ids" ? "token id outside the vocabulary" : "wrong value", {.file = in.file, .key = std::string(name), .expected = "below " + std::to_string(bound), .found = std::to_string(value)});
    return static_cast<TokenId>(value);
}

// What --output gets: tensors by name, each with its own floats.
class Outputs {
  public:
    // Zeros of that shape, to be filled.
    std::vector<float>& add(std::string name, std::vector<std::uint64_t> shape) {
        std::size_t count = 1;
        for (const std::uint64_t n : shape) count *= n;
        values_.push_back(std::make_unique<std::vector<float>>(count));
        names_.push_back(std::move(name)), shapes_.push_back(std::move(shape));
        return *values_.back();
    }
    void write(const std::string& path) const {
        std::vector<NamedTensor> tensors;
        for (std::size_t i = 0; i < names_.size(); ++i)
            tensors.push_back({names_[i], TensorView{.dtype = DType::f32, .shape = shapes_[i], .bytes = std::as_bytes(std::span(*values_[i]))}});
        write_safetensors(path, tensors);
    }

  private:
    std::vector<std::string> names_;
    std::vector<std::vector<std::uint64_t>> shapes_;
    std::vector<std::unique_ptr<std::vector<float>>> values_;
};

// Rows of a packed result to their places in the padded one.
template <class D>
void scatter(D& device, const float* from, std::size_t width, const std::vector<std::size_t>& places, std::vector<float>& to) {
    std::vector<float> rows(places.size() * width);
    download(device, from, rows);
    for (std::size_t i = 0; i < places.size(); ++i) std::memcpy(to.data() + places[i] * width, rows.data() + i * width, width * sizeof(float));
}

template <class D>
void forward_encoder(D& device, const Encoder<D>& encoder, const Inputs& in, Outputs& outputs) {
    const std::size_t width = encoder.hidden_size();
    EncoderBatch batch;
    std::vector<std::size_t> places, sequences;  // of the packed rows in the padded batch; of the sequences among its rows
    for (std::size_t row = 0; row < in.batch; ++row) {
        std::vector<TokenId> ids, types, mask;
        bool any = false;
        for (std::size_t at = row * in.length; at < (row + 1) * in.length; ++at) {
            ids.push_back(token_id(in, "input_ids", in.ids[at], encoder.vocab_size()));
            if (!in.types.empty()) types.push_back(token_id(in, "token_type_ids", in.types[at], std::size_t{1} << 24));
            mask.push_back(in.mask[at] != 0);
            if (in.mask[at] != 0) places.push_back(at), any = true;
        }
        if (!any) continue;
        add_sequence(batch, encoder, ids, types, mask);
        sequences.push_back(row);
    }
    EncoderWork<D> work;
    const float* hidden = forward(device, encoder, work, batch, [&](std::size_t layer, const float* values) {
        scatter(device, values, width, places, outputs.add("hidden_states." + std::to_string(layer), {in.batch, in.length, width}));
    });
    scatter(device, hidden, width, places, outputs.add("last_hidden_state", {in.batch, in.length, width}));
    if (const auto* bert = std::get_if<Bert<D>>(&encoder.model); bert != nullptr && bert->has_pooler) {
        typename D::Buffer pooled = allocate(device, batch.sequences() * width);
        pooler_output(device, *bert, batch, hidden, pooled.data());
        scatter(device, pooled.data(), width, sequences, outputs.add("pooler_output", {in.batch, width}));
    }
    if (encoder.has_mlm_head()) {
        typename D::Buffer all_logits = allocate(device, batch.rows() * encoder.vocab_size());
        mlm_logits(device, encoder, hidden, batch.rows(), all_logits.data());
        scatter(device, all_logits.data(), encoder.vocab_size(), places, outputs.add("logits", {in.batch, in.length, encoder.vocab_size()}));
    }
}

template <class D>
void forward_decoder(D& device, const DecoderModel<D>& decoder, const Inputs& in, Outputs& outputs) {
    const std::size_t width = decoder.hidden_size(), vocab_size = decoder.vocab_size();
    std::vector<std::vector<float>*> hidden_states;
    for (std::size_t i = 0; i <= decoder.num_layers(); ++i) hidden_states.push_back(&outputs.add("hidden_states." + std::to_string(i), {in.batch, in.length, width}));
    std::vector<float>& last = outputs.add("last_hidden_state", {in.batch, in.length, width});
    std::vector<float>& all_logits = outputs.add("logits", {in.batch, in.length, vocab_size});
    DecoderState<D> state = make_decoder_state(device, decoder, in.batch);
    for (std::size_t row = 0; row < in.batch; ++row) {
        std::vector<TokenId> tokens;
        std::vector<std::size_t> places;  // of the row's real tokens in the batch
        for (std::size_t at = row * in.length; at < (row + 1) * in.length; ++at) {
            if (in.mask[at] == 0) continue;
            tokens.push_back(token_id(in, "input_ids", in.ids[at], vocab_size));
            places.push_back(at);
        }
        if (tokens.empty()) continue;
        const float* hidden = forward(device, decoder, state, row, tokens,
                                      [&](std::size_t layer, const float* values) { scatter(device, values, width, places, *hidden_states[layer]); });
        typename D::Buffer out = allocate(device, tokens.size() * vocab_size);
        logits(device, decoder, hidden, tokens.size(), out.data());
        scatter(device, out.data(), vocab_size, places, all_logits);
    }
    last = *hidden_states.back();
}

// The model_type of a directory's config.json; empty for GGUF files and directories without one.
std::string model_type(const std::filesystem::path& path) {
    const std::filesystem::path config = (std::filesystem::is_directory(path) ? path : path.parent_path()) / "config.json";
    if (!std::filesystem::exists(config)) return {};
    const Json json = parse_json_file(config);
    return JsonObject(json, config).get<std::string>("model_type");
}

template <class D>
int forward_on(const Arguments& arguments, const typename D::Options& options) {
    const Inputs in = read_inputs(arguments.text("--inputs"));
    D device(options);
    Outputs outputs;
    const std::string model = arguments.text("--model");
    if (const std::string type = model_type(model); is_encoder_type(type) && type != "gpt2") {
        if (in.positions_given) throw Error("not supported", {.file = in.file, .key = "position_ids", .expected = "none: an encoder's positions follow from its tokens"});
        forward_encoder(device, load_encoder(device, model), in, outputs);
    } else {
        forward_decoder(device, *load_decoder(device, model).model, in, outputs);
    }
    outputs.write(arguments.text("--output"));
    return 0;
}

int run_forward(const Arguments& arguments) {
    return on_device(arguments, [&]<class D>(const typename D::Options& options) { return forward_on<D>(arguments, options); });
}

}  // namespace

Command forward_command() {
    return {"forward", "Run a model over token ids and write hidden states, and what heads it has, as safetensors. Padded positions are zero.", "",
            {{"--model", "PATH", "model directory, or a GGUF file", true},
             {"--inputs", "FILE", "safetensors, int64: input_ids; attention_mask where rows are padded; token_type_ids", true},
             {"--output", "FILE", "safetensors: hidden_states.0 …, last_hidden_state, pooler_output, logits", true},
             {"--device", "cpu|cuda", "default cpu; cuda where the program was built with it"},
             {"--threads", "N", "threads, the caller included; default: what the machine allows"}},
            run_forward};
}

}  // namespace cli
