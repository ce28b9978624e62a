// morsel embed: lines of text to vectors, as JSON or as a NumPy array.
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "embedder.hpp"

namespace cli {
namespace {

// The shortest text that reads back as the same float.
void print_vector(std::span<const float> vector) {
    char text[32];
    for (std::size_t i = 0; i < vector.size(); ++i) {
        const auto end = std::to_chars(text, text + sizeof text, vector[i]).ptr;
        std::fputc(i == 0 ? '[' : ',', stdout);
        std::fwrite(text, 1, static_cast<std::size_t>(end - text), stdout);
    }
    std::fputs(vector.empty() ? "[]" : "]", stdout);
}

// NumPy's format, version 1.0: a header padded to 64 bytes, then float32 rows.
void print_npy(const morsel::Embeddings& vectors) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(vectors.size()) + ", " + std::to_string(vectors.dimensions) + "), }";
    header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
    header += '\n';
    const char start[] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
    std::fwrite(start, 1, sizeof start, stdout);
    std::fwrite(header.data(), 1, header.size(), stdout);
    std::fwrite(vectors.values.data(), sizeof(float), vectors.values.size(), stdout);
}

// {"tokens", "offsets", "vectors"}
void print_tokens(const morsel::TokenVectors& tokens) {
    nlohmann::json offsets = nlohmann::json::array();
    for (const morsel::Span& span : tokens.encoding.offsets) offsets.push_back({span.begin, span.end});
    const auto text = [](const nlohmann::json& value) { return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); };
    std::printf("{\"tokens\":%s,\"offsets\":%s,\"vectors\":[", text(tokens.encoding.tokens).c_str(), text(offsets).c_str());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i > 0) std::fputc(',', stdout);
        print_vector(tokens[i]);
    }
    std::puts("]}");
}

int run_embed(const Arguments& arguments) {
    const std::string format = arguments.choice("--format", {"json", "npy"});
    if (arguments.text("--pooling") == "none") {
        if (format != "json") throw UsageError("--pooling none has no --format npy");
        for (const morsel::TokenVectors& tokens : token_vectors(arguments, input_lines())) print_tokens(tokens);
        return 0;
    }
    Embedder embedder(arguments);
    const morsel::Embeddings vectors = embedder.embed(input_lines());
    if (format == "npy") return print_npy(vectors), 0;
    for (std::size_t i = 0; i < vectors.size(); ++i) print_vector(vectors[i]), std::fputc('\n', stdout);
    return 0;
}

}  // namespace

Command embed_command() {
    return {"embed", "Lines of stdin to vectors, one a line; with --pooling none one a token.", "",
            with_embedding_options({{"--format", "KIND", "json (default): an array a line; npy: one float32 array of all lines"}}), run_embed};
}

}  // namespace cli
