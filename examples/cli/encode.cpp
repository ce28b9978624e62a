// morsel encode: text from stdin to tokens, one line per document.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <morsel/tokenizer.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "tokenizer_options.hpp"

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

// Control characters would break the line.
std::string on_one_line(std::string_view token) {
    std::string out;
    for (const char c : token) {
        char escape[8];
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c)), out += escape;
        else out += c;
    }
    return out;
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

// The text with its pieces on alternating backgrounds; what a post-processor added stands between brackets.
std::string as_colours(const morsel::Encoding& e, std::string_view text) {
    static constexpr const char* backgrounds[] = {"\x1b[48;5;153m", "\x1b[48;5;223m", "\x1b[48;5;157m", "\x1b[48;5;218m"};
    std::string out;
    std::size_t shown = 0, piece = 0;
    for (std::size_t i = 0; i < e.size(); ++i) {
        if (e.special_tokens_mask[i] != 0) {
            out += "\x1b[7m" + on_one_line(e.tokens[i]) + "\x1b[0m";
            continue;
        }
        const auto [begin, end] = e.offsets[i];
        if (end <= shown || e.sequence_ids[i] != 0u) continue;  // further bytes of a character that has been shown
        if (begin > shown) out.append(text, shown, begin - shown);
        const std::size_t from = std::max(begin, shown);
        out += std::string("\x1b[30m") + backgrounds[piece++ % 4] + on_one_line(text.substr(from, end - from)) + "\x1b[0m";
        shown = end;
    }
    if (shown < text.size()) out.append(text, shown);
    return out;
}

int run(const cli::Arguments& arguments) {
    const std::string format = arguments.choice("--format", {"ids", "tokens", "json", "show"});
    const std::string input = arguments.choice("--input", {"lines", "text", "jsonl"});
    const auto tokenizer = morsel::Tokenizer::from_pretrained(arguments.text("--tokenizer"), cli::tokenizer_options(arguments.text("--encoding")));
    const bool specials = !arguments.has("--no-special-tokens");
    std::string out;
    const auto emit = [&](const Document& document) {
        morsel::EncodeOptions options{.add_special_tokens = document.add_special_tokens.value_or(specials)};
        if (document.pair) options.text_pair = *document.pair;
        out.clear();
        if (format == "ids") {
            for (const morsel::TokenId id : tokenizer.encode_ids(document.text, options)) out += (out.empty() ? "" : " ") + std::to_string(id);
        } else {
            const morsel::Encoding e = tokenizer.encode(document.text, options);
            if (format == "json") out = as_json(e);
            else if (format == "show") out = as_colours(e, document.text);
            else
                for (const std::string& token : e.tokens) out += (out.empty() ? "" : " ") + on_one_line(token);
        }
        out += '\n';
        if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) throw std::runtime_error("cannot write to standard output");
    };
    if (input == "text") {
        emit({std::string(std::istreambuf_iterator<char>(std::cin), {}), {}, {}});
        return 0;
    }
    std::size_t number = 0;
    for (std::string line; std::getline(std::cin, line);) emit(input == "jsonl" ? from_json(line, ++number) : Document{line, {}, {}});
    return 0;
}

}  // namespace

cli::Command cli::encode_command() {
    return {"encode",
            "Text from stdin to tokens, one line per document.",
            "",
            {{"--tokenizer", "PATH", "model directory, or one file: tokenizer.json, vocab.txt, tokenizer.model, GGUF", true},
             {"--encoding", "NAME", "of a .tiktoken file: cl100k_base, o200k_base, llama3 …; default: the file's name"},
             {"--format", "FORMAT", "ids (default), tokens, json, show (coloured)"},
             {"--input", "KIND", "lines (default), text (all of stdin is one document), jsonl"},
             {"--no-special-tokens", "", "leave out what the model puts around a text"}},
            run};
}
