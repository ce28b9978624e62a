// morsel decode: lines of token ids from stdin back to text.
#include <charconv>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"
#include "load_tokenizer.hpp"

namespace {

// "1 2 3", "[1, 2, 3]", also with commas alone.
std::vector<morsel::TokenId> ids_of(std::string_view line, std::size_t number) {
    std::vector<morsel::TokenId> ids;
    for (std::size_t at = 0; at < line.size();) {
        if (std::string_view(" \t\r,[]").find(line[at]) != std::string_view::npos) {
            ++at;
            continue;
        }
        morsel::TokenId id = 0;
        const auto [end, error] = std::from_chars(line.data() + at, line.data() + line.size(), id);
        const std::size_t next = static_cast<std::size_t>(end - line.data());
        if (error != std::errc{} || (next < line.size() && std::string_view(" \t\r,]").find(line[next]) == std::string_view::npos))
            throw morsel::Error("wrong token id", {.key = "line " + std::to_string(number), .expected = "numbers below 2^32", .found = std::string(line.substr(at, 30))});
        ids.push_back(id);
        at = next;
    }
    return ids;
}

int run_decode(const cli::Arguments& arguments) {
    const bool as_json = arguments.choice("--format", {"text", "json"}) == "json";
    const auto tokenizer = cli::load_tokenizer(arguments.text("--tokenizer"), arguments.text("--encoding"));
    const morsel::DecodeOptions options{.skip_special_tokens = arguments.has("--skip-special-tokens")};
    std::size_t number = 0;
    for (std::string line; std::getline(std::cin, line);) {
        std::string text = tokenizer.decode(ids_of(line, ++number), options);
        if (as_json) text = nlohmann::json(text).dump();
        text += '\n';
        if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw std::runtime_error("cannot write to standard output");
    }
    return 0;
}

}  // namespace

cli::Command cli::decode_command() {
    return {"decode",
            "Token ids from stdin, one line per document, to text.",
            "",
            {{"--tokenizer", "PATH", "model directory, or one file of it", true},
             {"--encoding", "NAME", "of a .tiktoken file: cl100k_base, o200k_base, llama3 …; default: the file's name"},
             {"--format", "FORMAT", "text (default), json (a string a line)"},
             {"--skip-special-tokens", "", "leave special tokens out of the text"}},
            run_decode};
}
