// morsel compare: one text under several tokenizers, side by side: the pieces, how many, and how much text a token holds.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <morsel/visual.hpp>
#include <string>
#include <vector>

#include "colour.hpp"
#include "commands.hpp"
#include "load_tokenizer.hpp"

namespace {

using namespace morsel;

// Tokens without a vocabulary: every span of the text is one.
Encoding cut(const std::vector<Span>& spans) {
    Encoding out;
    const std::size_t n = spans.size();
    out.ids.resize(n), out.tokens.resize(n), out.special_tokens_mask.resize(n), out.sequence_ids.resize(n, 0u), out.offsets = spans;
    return out;
}

// "words", "characters" and "bytes" are ways of cutting that need no file; anything else is a tokenizer's path.
Encoding encode(const std::string& name, const std::string& text, std::string& vocabulary) {
    if (!std::filesystem::exists(name) && (name == "words" || name == "characters" || name == "bytes")) {
        vocabulary = name == "words" ? "open" : name == "bytes" ? "256" : "1114112";
        std::vector<Span> spans;
        if (name == "words") {
            std::vector<AlignedText> pieces{aligned(text)};
            pre_tokenize(PreTokenizer{{WhitespacePreTokenizer{}}}, pieces);
            for (const AlignedText& piece : pieces) spans.push_back(origin_of(piece, 0, piece.text.size()));
        }
        if (name == "characters")
            for (std::size_t i = 0, size; i < text.size(); i += size) spans.push_back({i, i + (size = unicode::decode(text, i).size)});
        if (name == "bytes")
            for (std::size_t i = 0; i < text.size(); ++i) spans.push_back({i, i + 1});
        return cut(spans);
    }
    const auto tokenizer = cli::load_tokenizer(name);
    vocabulary = std::to_string(tokenizer.vocab_size());
    return tokenizer.encode(text, {.add_special_tokens = false});
}

int run_compare(const cli::Arguments& arguments) {
    const bool colour = cli::colour_wanted(arguments), counts = arguments.has("--counts");
    const std::string text = arguments.has("--text") ? arguments.text("--text") : std::string(std::istreambuf_iterator<char>(std::cin), {});
    std::vector<Bar> bars;
    std::printf("%-28s %10s %10s %12s\n", "tokenizer", "vocabulary", "tokens", "bytes/token");
    for (const std::string& path : arguments.texts("--tokenizer")) {
        std::string vocabulary, name = std::filesystem::path(path).filename().string();
        if (name.empty()) name = std::filesystem::path(path).parent_path().filename().string();  // "models/gpt2/"
        const Encoding encoding = encode(path, text, vocabulary);
        bars.push_back({name, encoding.size() == 0 ? 0 : static_cast<double>(text.size()) / static_cast<double>(encoding.size())});
        std::printf("%-28s %10s %10zu %12.2f\n", printable(name).c_str(), vocabulary.c_str(), encoding.size(), bars.back().value);
        if (!counts) std::printf("  %s\n", terminal_tokens(encoding, text, {}, {.colour = colour}).c_str());
    }
    if (arguments.has("--svg")) {
        const std::string file = arguments.text("--svg");
        std::ofstream out(file, std::ios::binary);
        out << svg_bar_chart(bars, {.title = "bytes per token"});
        if (!out.flush()) throw Error("cannot write", {.file = file});
    }
    return 0;
}

}  // namespace

cli::Command cli::compare_command() {
    return {"compare",
            "One text under several tokenizers, side by side.",
            "",
            {{"--tokenizer", "PATH…", "model directories or files of them; also words, characters, bytes", true},
             {"--text", "TEXT", "the text (default: all of stdin)"},
             {"--counts", "", "the numbers alone"},
             {"--svg", "FILE", "draw bytes per token as a bar chart"},
             cli::colour_option},
            run_compare};
}
