// morsel generate: continues a prompt, streamed as text or whole as JSON.
#include <iostream>
#include <iterator>

#include "commands.hpp"
#include "device.hpp"
#include "generation_options.hpp"

namespace cli {
namespace {

using namespace morsel;

template <class D>
int run_on(const Arguments& arguments, const typename D::Options& device) {
    const std::string format = arguments.choice("--format", {"text", "json"});
    std::string prompt = arguments.text("--prompt");
    if (prompt == "-") prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
    auto generator = load_generator<D>(arguments, device);
    if (format == "text") {
        const GeneratedText result = generator.generate(prompt, generation_config(arguments), [](std::string_view text) {
            std::fwrite(text.data(), 1, text.size(), stdout);
            return std::fflush(stdout) == 0;
        });
        std::fputc('\n', stdout);
        print_timings(result.timings);
        return 0;
    }
    const GeneratedText result = generator.generate(prompt, generation_config(arguments));
    const GenerationTimings& t = result.timings;
    const Json json = {{"prompt_ids", result.prompt_ids}, {"ids", result.ids}, {"text", result.text}, {"stop_reason", stop_reason_name(result.stop_reason)},
                       {"timings", {{"prefill_seconds", t.prefill_seconds}, {"first_token_seconds", t.first_token_seconds}, {"decode_seconds", t.decode_seconds},
                                    {"prompt_tokens", t.prompt_tokens}, {"new_tokens", t.new_tokens}}}};
    std::puts(json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return 0;
}

int run_generate(const Arguments& arguments) {
    return on_device(arguments, [&]<class D>(const typename D::Options& device) { return run_on<D>(arguments, device); });
}

}  // namespace

Command generate_command() {
    return {"generate", "Continue a prompt. Text streams to stdout; speed goes to stderr.", "",
            with_generation_options({{"--model", "PATH", "model directory, or a GGUF file", true},
                                     {"--prompt", "TEXT", "what to continue; - reads stdin", true},
                                     {"--format", "text|json", "json: prompt ids, new ids, text, timings"}}),
            run_generate};
}

}  // namespace cli
