// morsel generate: continues a prompt, streamed as text or whole as JSON; or several prompts at once.
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>

#include "commands.hpp"
#include "device.hpp"
#include "generation_options.hpp"

namespace cli {
namespace {

using namespace morsel;

// --prompt as given, - for stdin; then the lines of --prompts.
std::vector<std::string> prompts_of(const Arguments& arguments) {
    std::vector<std::string> prompts = arguments.texts("--prompt");
    for (std::string& prompt : prompts)
        if (prompt == "-") prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
    if (const std::string file = arguments.text("--prompts"); !file.empty()) {
        std::ifstream opened(file);
        std::istream& lines = file == "-" ? std::cin : opened;
        if (!lines) throw Error("cannot open the file", {.file = file});
        for (std::string line; std::getline(lines, line);) prompts.push_back(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
    }
    if (prompts.empty()) throw UsageError("--prompt or --prompts is missing");
    return prompts;
}

void print_json(const GeneratedText& result) {
    const GenerationTimings& t = result.timings;
    const Json json = {{"prompt_ids", result.prompt_ids}, {"ids", result.ids}, {"text", result.text}, {"stop_reason", stop_reason_name(result.stop_reason)},
                       {"timings", {{"prefill_seconds", t.prefill_seconds}, {"first_token_seconds", t.first_token_seconds}, {"decode_seconds", t.decode_seconds},
                                    {"prompt_tokens", t.prompt_tokens}, {"new_tokens", t.new_tokens}}}};
    std::puts(json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

template <class D>
int generate_on(const Arguments& arguments, const typename D::Options& device) {
    const bool json = arguments.choice("--format", {"text", "json"}) == "json";
    const std::vector<std::string> prompts = prompts_of(arguments);
    const GenerationConfig config = generation_config(arguments);
    const std::size_t at_once = arguments.number<std::size_t>("--batch").value_or(4);
    if (at_once == 0) throw UsageError("--batch needs 1 or more");
    auto generator = load_generator<D>(arguments, device);
    if (prompts.size() == 1 && !json) {
        const GeneratedText result = generator.generate(prompts[0], config, [](std::string_view text) {
            std::fwrite(text.data(), 1, text.size(), stdout);
            return std::fflush(stdout) == 0;
        });
        std::fputc('\n', stdout);
        print_timings(result.timings);
        return 0;
    }
    std::vector<GenerationRequest> requests;
    for (const std::string& prompt : prompts) requests.push_back({.prompt = prompt, .config = config});
    const auto start = std::chrono::steady_clock::now();
    const std::vector<GeneratedText> results = generator.generate(requests, at_once);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::size_t tokens = 0;
    for (const GeneratedText& result : results) {
        json ? print_json(result) : static_cast<void>(std::printf("%s\n", result.text.c_str()));
        tokens += result.ids.size();
    }
    if (!json) std::fprintf(stderr, "[%zu texts, %zu at once, %zu new tokens at %.1f tok/s, prompts included]\n", results.size(), std::min(at_once, results.size()), tokens, static_cast<double>(tokens) / seconds);
    return 0;
}

int run_generate(const Arguments& arguments) {
    return on_device(arguments, [&]<class D>(const typename D::Options& device) { return generate_on<D>(arguments, device); });
}

}  // namespace

Command generate_command() {
    return {"generate", "Continue a prompt: text streams to stdout. Of several prompts, each text when all are done, in order. Speed goes to stderr.", "",
            with_generation_options({{"--model", "PATH", "model directory, or a GGUF file", true},
                                     {"--prompt", "TEXT…", "what to continue, one text or several; - reads stdin"},
                                     {"--prompts", "FILE", "prompts, one a line; - reads stdin"},
                                     {"--batch", "N", "of several prompts, how many go through the model together; default 4"},
                                     {"--format", "text|json", "json: a line a prompt: prompt ids, new ids, text, timings"}}),
            run_generate};
}

}  // namespace cli
