// Text to tokens and back: what a tokenizer says of a text, with the bytes each token came from.
//   morsel-example-tokenize PATH [TEXT]      PATH: a model directory, tokenizer.json, vocab.txt or GGUF file
#include <cstdio>
#include <exception>
#include <morsel/tokenizer.hpp>
#include <string>

int main(int argc, char** argv) try {
    if (argc < 2) return std::fprintf(stderr, "usage: %s PATH [TEXT]\n", argv[0]), 2;
    const auto tokenizer = morsel::Tokenizer::from_pretrained(argv[1]);
    const std::string text = argc > 2 ? argv[2] : "I am studing in grade IIIrd.Write a 5 line paragraph on global warming.";

    const morsel::Encoding encoding = tokenizer.encode(text);
    std::printf("%zu tokens of a vocabulary of %zu\n\n%6s  %-20s %s\n", encoding.size(), tokenizer.vocab_size(), "id", "token", "bytes of the text");
    for (std::size_t i = 0; i < encoding.size(); ++i) {
        const auto [begin, end] = encoding.offsets[i];
        std::printf("%6u  %-20s %zu-%zu \"%s\"\n", encoding.ids[i], encoding.tokens[i].c_str(), begin, end, text.substr(begin, end - begin).c_str());
    }
    std::printf("\ndecoded: %s\n", tokenizer.decode(encoding.ids, {.skip_special_tokens = true}).c_str());
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
