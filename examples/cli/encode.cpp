// morsel encode: text from stdin to tokens, one line per document.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <morsel/visual.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "colour.hpp"
#include "commands.hpp"
#include "load_tokenizer.hpp"

namespace {

using nlohmann::json;

struct Document {
    std::string text;
    std::optional<std::string> pair;
    std::optional<bool> add_special_tokens;
};

std::string from_hex(const std::string& hex) {
    std::string bytes;
    if (hex.size() % 2 != 0) throw morsel::Error("an odd number of digits", {.key = "text_hex"});
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        unsigned value = 0;
        const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
        if (error != std::errc{} || end != hex.data() + i + 2) throw morsel::Error("not hexadecimal", {.key = "text_hex", .found = hex.substr(i, 2)});
        bytes += static_cast<char>(value);
    }
    return bytes;
}

// "text", or {"text": …, "text_pair"?, "add_special_tokens"?, "text_hex"?}
Document from_json(const std::string& line, std::size_t number) {
    const morsel::Json value = morsel::parse_json(line, "line " + std::to_string(number));
    if (value.is_string()) return {value.get<std::string>(), {}, {}};
    const morsel::JsonObject object(value, "line " + std::to_string(number));
    Document document;
    document.text = object.has("text_hex") ? from_hex(object.get<std::string>("text_hex")) : object.get<std::string>("text");
    document.pair = object.find<std::string>("text_pair");
    document.add_special_tokens = object.find<bool>("add_special_tokens");
    return document;
}

std::string as_json(const morsel::Encoding& e) {
    json offsets = json::array();
    for (const auto& span : e.offsets) offsets.push_back({span.begin, span.end});
    const nlohmann::ordered_json out = {{"ids", e.ids},
                                        {"tokens", e.tokens},
                                        {"offsets", std::move(offsets)},
                                        {"type_ids", e.type_ids},
                                        {"attention_mask", e.attention_mask},
                                        {"special_tokens_mask", e.special_tokens_mask}};
    return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

int run_encode(const cli::Arguments& arguments) {
    const std::string format = arguments.choice("--format", {"ids", "tokens", "json", "show", "html"});
    const std::string input = arguments.choice("--input", {"lines", "text", "jsonl"});
    const auto tokenizer = cli::load_tokenizer(arguments.text("--tokenizer"), arguments.text("--encoding"));
    const bool specials = !arguments.has("--no-special-tokens");
    const bool colour = cli::colour_wanted(arguments);
    std::string out;
    const auto write = [&] {
        if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) throw std::runtime_error("cannot write to standard output");
    };
    const auto emit = [&](const Document& document) {
        morsel::EncodeOptions options{.add_special_tokens = document.add_special_tokens.value_or(specials)};
        if (document.pair) options.text_pair = *document.pair;
        out.clear();
        if (format == "ids") {
            for (const morsel::TokenId id : tokenizer.encode_ids(document.text, options)) out += (out.empty() ? "" : " ") + std::to_string(id);
        } else {
            const morsel::Encoding e = tokenizer.encode(document.text, options);
            if (format == "json") out = as_json(e);
            else if (format == "show") out = morsel::terminal_tokens(e, document.text, document.pair.value_or(""), {.colour = colour});
            else if (format == "html") out = morsel::html_section(e, document.text, document.pair.value_or(""));
            else
                for (const std::string& token : e.tokens) out += (out.empty() ? "" : " ") + morsel::printable(token);
        }
        if (format != "html") out += '\n';
        write();
    };
    if (format == "html") out = morsel::html_head("Tokens of " + arguments.text("--tokenizer")), write();
    std::size_t number = 0;
    if (input == "text") emit({std::string(std::istreambuf_iterator<char>(std::cin), {}), {}, {}});
    else
        for (std::string line; std::getline(std::cin, line);) emit(input == "jsonl" ? from_json(line, ++number) : Document{line, {}, {}});
    if (format == "html") out = morsel::html_end(), write();
    return 0;
}

}  // namespace

cli::Command cli::encode_command() {
    return {"encode",
            "Text from stdin to tokens, one line per document.",
            "",
            {{"--tokenizer", "PATH", "model directory, or one file: tokenizer.json, vocab.txt, tokenizer.model, GGUF", true},
             {"--encoding", "NAME", "of a .tiktoken file: cl100k_base, o200k_base, llama3 …; default: the file's name"},
             {"--format", "FORMAT", "ids (default), tokens, json, show (coloured pieces), html (a web page)"},
             cli::colour_option,
             {"--input", "KIND", "lines (default), text (all of stdin is one document), jsonl"},
             {"--no-special-tokens", "", "leave out what the model puts around a text"}},
            run_encode};
}
