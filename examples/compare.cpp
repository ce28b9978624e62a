// One text under several tokenizers: how each cuts it, and how much text a token holds. `morsel compare` is the same with more choices.
//   morsel-example-compare TEXT PATH…
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <morsel/tokenizer.hpp>
#include <morsel/visual.hpp>
#include <string>

int main(int argc, char** argv) try {
    if (argc < 3) return std::fprintf(stderr, "usage: %s TEXT PATH…\n", argv[0]), 2;
    const std::string text = argv[1];
    const morsel::TerminalOptions look{.colour = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr};
    std::printf("%zu bytes\n", text.size());
    for (int i = 2; i < argc; ++i) {
        const auto tokenizer = morsel::Tokenizer::from_pretrained(argv[i]);
        const morsel::Encoding encoding = tokenizer.encode(text, {.add_special_tokens = false});
        const double ratio = encoding.size() == 0 ? 0 : static_cast<double>(text.size()) / static_cast<double>(encoding.size());
        std::printf("\n%s: %zu tokens of a vocabulary of %zu, %.2f bytes per token\n", argv[i], encoding.size(), tokenizer.vocab_size(), ratio);
        std::printf("  %s\n", morsel::terminal_tokens(encoding, text, {}, look).c_str());
    }
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
