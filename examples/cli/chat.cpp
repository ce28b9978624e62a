// morsel chat: a dialogue with the model's own chat template, one message a line, or one message given as an option.
#include <unistd.h>

#include <iostream>

#include "commands.hpp"
#include "device.hpp"
#include "generation_options.hpp"

namespace cli {
namespace {

using namespace morsel;

template <class D>
int chat_on(const Arguments& arguments, const typename D::Options& device) {
    auto generator = load_generator<D>(arguments, device);
    GenerationConfig config = generation_config(arguments);
    if (!config.max_new_tokens) config.max_new_tokens = 512;
    std::vector<ChatMessage> messages;
    if (arguments.has("--system")) messages.push_back({"system", arguments.text("--system")});

    const auto answer = [&](std::string message) {
        messages.push_back({"user", std::move(message)});
        const GeneratedText reply = generator.chat(messages, config, [](std::string_view text) {
            std::fwrite(text.data(), 1, text.size(), stdout);
            return std::fflush(stdout) == 0;
        });
        std::fputc('\n', stdout);
        print_timings(reply.timings);
        messages.push_back({"assistant", reply.text});
    };
    if (arguments.has("--message")) return answer(arguments.text("--message")), 0;
    const bool person = isatty(STDIN_FILENO) != 0;
    for (std::string line;;) {
        if (person) std::fputs("> ", stderr);
        if (!std::getline(std::cin, line)) return 0;
        if (!line.empty()) answer(std::move(line));
    }
}

int run_chat(const Arguments& arguments) {
    return on_device(arguments, [&]<class D>(const typename D::Options& device) { return chat_on<D>(arguments, device); });
}

}  // namespace

Command chat_command() {
    return {"chat", "Talk with a model: one message a line, answers stream to stdout.", "",
            with_generation_options({{"--model", "PATH", "model directory, or a GGUF file", true},
                                     {"--system", "TEXT", "a system message before the first"},
                                     {"--message", "TEXT", "answer this and end"}}),
            run_chat};
}

}  // namespace cli
