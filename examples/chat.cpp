// A conversation: the model's own chat template writes the prompt, and what the cache holds of earlier turns is not run again.
//   morsel-example-chat PATH [QUESTION...]      PATH: a model directory or a GGUF file
#include <cstdio>
#include <exception>
#include <morsel/morsel.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
    if (argc < 2) return std::fprintf(stderr, "usage: %s PATH [QUESTION...]\n", argv[0]), 2;
    auto lm = morsel::TextGenerator<morsel::Cpu>::from_pretrained(argv[1]);
    std::vector<std::string> questions(argv + 2, argv + argc);
    if (questions.empty()) questions = {"What is global warming?", "Name one thing I can do about it."};

    std::vector<morsel::ChatMessage> messages = {{"system", "You answer in one short paragraph."}};
    for (const std::string& question : questions) {
        std::printf("\n> %s\n", question.c_str());
        messages.push_back({"user", question});
        const morsel::GeneratedText reply = lm.chat(messages, {.max_new_tokens = 80}, [](std::string_view text) {
            std::fputs(text.data(), stdout);
            return std::fflush(stdout) == 0;
        });
        messages.push_back({"assistant", reply.text});
        std::printf("\n");
    }
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
