// Streaming: a file's lines become ids as they are read, and the ids become text again one by one, as a model would produce them.
// A character whose bytes are several tokens appears with the last of them: what is written is whole UTF-8 at all times.
// The newline of each line is encoded with it, so the output is the input for every tokenizer that loses nothing (all byte-level ones).
//   morsel-example-stream PATH FILE
#include <cstdio>
#include <exception>
#include <fstream>
#include <morsel/tokenizer.hpp>
#include <stdexcept>
#include <string>

int main(int argc, char** argv) try {
    if (argc < 3) return std::fprintf(stderr, "usage: %s PATH FILE\n", argv[0]), 2;
    const auto tokenizer = morsel::Tokenizer::from_pretrained(argv[1]);
    std::ifstream file(argv[2], std::ios::binary);
    if (!file) throw std::runtime_error(std::string(argv[2]) + ": cannot read");

    std::size_t bytes = 0, tokens = 0, waited = 0;  // tokens without text of their own
    for (std::string line; std::getline(file, line);) {
        if (!file.eof()) line += '\n';
        bytes += line.size();
        morsel::StreamDecoder stream(tokenizer);  // every line is a document of its own
        for (const morsel::TokenId id : tokenizer.encode_ids(line, {.add_special_tokens = false, .parse_special_tokens = false})) {
            const std::string text(stream.push(id));
            std::fwrite(text.data(), 1, text.size(), stdout);
            ++tokens;
            waited += text.empty();  // the token was only the beginning of a character
        }
        const std::string rest(stream.flush());
        std::fwrite(rest.data(), 1, rest.size(), stdout);
    }
    std::fprintf(stderr, "%zu bytes, %zu tokens, %zu of them without text of their own\n", bytes, tokens, waited);
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
