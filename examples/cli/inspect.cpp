// morsel inspect: what is inside a model: its metadata, every tensor with type, shape and size, and what loading it will take.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>

#include "commands.hpp"
#include "load_tokenizer.hpp"
#include "morsel/formats/gguf.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/open_weights.hpp"

namespace cli {
namespace {

using namespace morsel;

std::string size_text(double bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

// Text from a file as one printable line of at most `limit` bytes.
std::string one_line(std::string_view text, std::size_t limit = 72) {
    std::size_t end = std::min(text.size(), limit);
    while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole characters only
    std::string line(text.substr(0, end));
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    return end < text.size() ? line + "…" : line;
}

std::string value_text(const GgufValue& value) {
    if (const auto number = gguf_value_as<std::int64_t>(value)) return std::to_string(*number);
    if (const auto number = gguf_value_as<std::uint64_t>(value)) return std::to_string(*number);
    if (const auto number = gguf_value_as<double>(value)) {
        char text[32];
        std::snprintf(text, sizeof text, "%.9g", *number);
        return text;
    }
    if (const auto yes = gguf_value_as<bool>(value)) return *yes ? "true" : "false";
    if (const auto text = gguf_value_as<std::string_view>(value)) return one_line(*text);
    const auto& array = std::get<GgufArray>(value);
    return std::to_string(array.count) + " × " + std::string(gguf_type_name(array.type));
}

void print_pair(std::string_view key, const std::string& value) {
    std::printf("%-42s %s\n", one_line(key).c_str(), value.c_str());
}

// f32 keys and values that one token adds to the cache; 0 where the model has none or does not say.
double cache_bytes_per_token(const TensorSource& source, const std::filesystem::path& path) {
    std::uint64_t layers = 0, kv_heads = 0, head_dim = 0;
    if (const auto* gguf = dynamic_cast<const GgufFile*>(&source)) {
        const std::string prefix = gguf->get_or<std::string>("general.architecture", "") + ".";
        layers = gguf->get_or<std::uint64_t>(prefix + "block_count", 0);
        const auto heads = gguf->get_or<std::uint64_t>(prefix + "attention.head_count", 0);
        kv_heads = gguf->get_or<std::uint64_t>(prefix + "attention.head_count_kv", heads);
        const auto hidden = gguf->get_or<std::uint64_t>(prefix + "embedding_length", 0);
        head_dim = gguf->get_or<std::uint64_t>(prefix + "attention.key_length", heads > 0 ? hidden / heads : 0);
    } else if (const auto config_path = std::filesystem::is_directory(path) ? path / "config.json" : path.parent_path() / "config.json";
               std::filesystem::exists(config_path)) {
        const Json json = parse_json_file(config_path);
        const JsonObject config(json, config_path);
        layers = config.get_or<std::uint64_t>("num_hidden_layers", 0);
        const auto heads = config.get_or<std::uint64_t>("num_attention_heads", 0);
        kv_heads = config.get_or<std::uint64_t>("num_key_value_heads", heads);
        head_dim = config.get_or<std::uint64_t>("head_dim", heads > 0 ? config.get_or<std::uint64_t>("hidden_size", 0) / heads : 0);
        if (!config.get_or<bool>("use_cache", true) || config.get_or<std::string>("model_type", "").find("bert") != std::string::npos) return 0;
    }
    return 2.0 * 4.0 * static_cast<double>(layers) * static_cast<double>(kv_heads) * static_cast<double>(head_dim);
}

// One line on the tokenizer beside the weights, or on why there is none.
void print_tokenizer(const std::filesystem::path& path) {
    try {
        const Tokenizer tokenizer = load_tokenizer(path.string());
        static constexpr const char* names[] = {"BPE", "WordPiece", "word level", "Unigram", "SentencePiece", "characters", "bytes"};
        std::printf("tokenizer: %s, %zu tokens, %zu of them added", names[tokenizer.parts().model.index()], tokenizer.vocab_size(), tokenizer.added_tokens().size());
        for (const auto& [role, token] : {std::pair("bos", tokenizer.special_tokens().bos), std::pair("eos", tokenizer.special_tokens().eos)})
            if (token) std::printf(", %s %s", role, one_line(*token).c_str());
        std::printf("%s\n", tokenizer.chat_template().empty() ? "" : ", with a chat template");
    } catch (const Error& error) {
        std::printf("tokenizer: none (%s)\n", one_line(error.what(), 200).c_str());
    }
}

int run_inspect(const Arguments& arguments) {
    const std::filesystem::path path = arguments.positional().front();
    const std::unique_ptr<TensorSource> source = open_weights(path);
    std::printf("%-42s %s\n", "file", source->path().string().c_str());
    if (const auto* gguf = dynamic_cast<const GgufFile*>(source.get())) {
        print_pair("format", "GGUF version " + std::to_string(gguf->version()));
        for (const std::string_view key : gguf->keys()) print_pair(key, value_text(*gguf->value(key)));
    } else if (const auto* sharded = dynamic_cast<const ShardedWeights*>(source.get())) {
        print_pair("format", source->path().filename() == "pytorch_model.bin.index.json" ? "torch checkpoints in several files" : "safetensors in several files");
        for (const std::string& warning : sharded->warnings()) std::fprintf(stderr, "morsel: %s: %s\n", source->path().string().c_str(), warning.c_str());
        for (const std::string& name : sharded->unlisted()) std::fprintf(stderr, "morsel: %s: %s: not in the index\n", source->path().string().c_str(), one_line(name).c_str());
    } else if (const auto* file = dynamic_cast<const SafetensorsFile*>(source.get())) {
        print_pair("format", "safetensors");
        for (const auto& [key, value] : file->metadata()) print_pair(key, one_line(value));
    } else if (const auto* torch = dynamic_cast<const TorchCheckpoint*>(source.get())) {
        print_pair("format", "torch checkpoint");
        for (const std::string& warning : torch->warnings()) std::fprintf(stderr, "morsel: %s: %s\n", source->path().string().c_str(), one_line(warning).c_str());
    }

    std::map<std::string_view, std::pair<std::size_t, double>> by_type;  // dtype → tensors, bytes
    double bytes = 0, elements = 0;
    const std::vector<std::string> names = source->names();
    int width = 20;
    for (const std::string& name : names) width = std::max(width, static_cast<int>(std::min<std::size_t>(name.size(), 72)));
    if (!names.empty()) std::printf("\n");
    for (const std::string& name : names) {
        const TensorView& view = source->at(name);
        const DTypeInfo info = dtype_info(view.dtype);
        double count = 1;
        for (const std::uint64_t dim : view.shape) count *= static_cast<double>(dim);
        std::printf("%-*s %-6.*s %-18s %s\n", width, one_line(name).c_str(), static_cast<int>(info.name.size()), info.name.data(), shape_text(view.shape).c_str(),
                    size_text(static_cast<double>(view.bytes.size())).c_str());
        auto& [tensors, type_bytes] = by_type[info.name];
        ++tensors, type_bytes += static_cast<double>(view.bytes.size());
        bytes += static_cast<double>(view.bytes.size()), elements += count;
    }
    std::printf("\n%zu tensors, %.0f elements (%.1f M), %s in the file:", names.size(), elements, elements / 1e6, size_text(bytes).c_str());
    for (const auto& [type, sum] : by_type)
        std::printf(" %.*s %zu (%s)", static_cast<int>(type.size()), type.data(), sum.first, size_text(sum.second).c_str());
    std::printf("\nin memory: about %s, since weights keep their stored type", size_text(bytes).c_str());
    if (const double cache = cache_bytes_per_token(*source, path); cache > 0) std::printf("; key-value cache %s a token", size_text(cache).c_str());
    std::printf("\n");
    print_tokenizer(path);
    return 0;
}

}  // namespace

Command inspect_command() {
    return {.name = "inspect", .summary = "shows a model's metadata, tensors, sizes and what loading it takes", .positional = "PATH", .options = {}, .run = run_inspect};
}

}  // namespace cli
