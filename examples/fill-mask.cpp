// Fills the masks of a text: the likeliest tokens with their probabilities.
//   morsel-example-fill-mask MODEL 'The capital of France is [MASK].'      MODEL: bert-base-uncased, roberta-base (its mask is <mask>) …
#include <cstdio>
#include <exception>
#include <morsel/morsel.hpp>
#include <string>

int main(int argc, char** argv) try {
    if (argc < 3) return std::fprintf(stderr, "usage: %s MODEL TEXT\n", argv[0]), 2;
    const std::string text = argv[2];
    auto fill = morsel::FillMask<morsel::Cpu>::from_pretrained(argv[1]);
    for (const morsel::FilledMask& mask : fill.fill(text)) {
        std::printf("%s at byte %zu\n", fill.mask_token().c_str(), mask.span.begin);
        for (const morsel::MaskGuess& guess : mask.guesses)
            std::printf("  %5.1f %%  %-14s %s%s%s\n", 100 * guess.probability, guess.token.c_str(), text.substr(0, mask.span.begin).c_str(), guess.token.c_str(), text.substr(mask.span.end).c_str());
    }
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
