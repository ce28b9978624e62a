// Text in, text out on an NVIDIA GPU: the example generate, with another device. Built with nvcc and cuBLAS (MORSEL_BUILD_CUDA).
//   morsel-example-generate-cuda PATH [PROMPT]      PATH: a model directory or a GGUF file
#include <cstdio>
#include <exception>
#include <morsel/cuda.cuh>
#include <morsel/morsel.hpp>
#include <string>

int main(int argc, char** argv) try {
    if (argc < 2) return std::fprintf(stderr, "usage: %s PATH [PROMPT]\n", argv[0]), 2;
    auto lm = morsel::TextGenerator<morsel::Cuda>::from_pretrained(argv[1]);
    const std::string prompt = argc > 2 ? argv[2] : "Write a 5 line paragraph on global warming.";

    std::printf("%s", prompt.c_str());
    const morsel::GeneratedText result = lm.generate(prompt, {.max_new_tokens = 50, .do_sample = true, .temperature = 0.7f, .seed = 1}, [](std::string_view text) {
        std::fputs(text.data(), stdout);  // whole UTF-8 characters only
        return std::fflush(stdout) == 0;  // false would stop the model
    });

    const morsel::GenerationTimings& t = result.timings;
    std::printf("\n\n%zu tokens, %.1f a second; first token after %.0f ms\n", t.new_tokens, static_cast<double>(t.new_tokens - 1) / t.decode_seconds, t.first_token_seconds * 1e3);
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
