// The options that `morsel generate` and `morsel chat` share, and their way into a GenerationConfig.
#pragma once
#include <cstdio>
#include <string>
#include <vector>

#include "command.hpp"
#include "device.hpp"
#include "load_tokenizer.hpp"
#include "morsel/generation/generation_config.hpp"
#include "morsel/pipeline/text_generator.hpp"

namespace cli {

inline std::vector<Option> with_generation_options(std::vector<Option> options) {
    const std::vector<Option> shared = {
        {"--max-new-tokens", "N", "at most so many new tokens"},
        {"--min-new-tokens", "N", "no end before so many"},
        {"--do-sample", "", "draw from the distribution; without it the most probable token"},
        {"--greedy", "", "the most probable token, whatever the model's own settings say"},
        {"--temperature", "X", "above 0; with --do-sample"},
        {"--top-k", "N", "keep the N most probable; 0: all"},
        {"--top-p", "X", "keep the smallest set that reaches probability X"},
        {"--min-p", "X", "keep what has at least X times the greatest probability"},
        {"--typical-p", "X", "locally typical sampling"},
        {"--repetition-penalty", "X", "1: none"},
        {"--no-repeat-ngram-size", "N", "no sequence of N tokens twice; 0: off"},
        {"--stop", "TEXT…", "stop before any of these texts"},
        {"--seed", "S", "the same seed gives the same text"},
    };
    options.insert(options.end(), shared.begin(), shared.end());
    const std::vector<Option> device = device_options();
    options.insert(options.end(), device.begin(), device.end());
    return options;
}

inline morsel::GenerationConfig generation_config(const Arguments& arguments) {
    morsel::GenerationConfig config;
    config.max_new_tokens = arguments.number<std::int64_t>("--max-new-tokens");
    config.min_new_tokens = arguments.number<std::int64_t>("--min-new-tokens");
    if (arguments.has("--do-sample") && arguments.has("--greedy")) throw UsageError("--do-sample and --greedy exclude each other");
    if (arguments.has("--do-sample")) config.do_sample = true;
    if (arguments.has("--greedy")) config.do_sample = false;
    config.temperature = arguments.number<float>("--temperature");
    config.top_k = arguments.number<std::int64_t>("--top-k");
    config.top_p = arguments.number<float>("--top-p");
    config.min_p = arguments.number<float>("--min-p");
    config.typical_p = arguments.number<float>("--typical-p");
    config.repetition_penalty = arguments.number<float>("--repetition-penalty");
    config.no_repeat_ngram_size = arguments.number<std::int64_t>("--no-repeat-ngram-size");
    if (arguments.has("--stop")) config.stop_strings = arguments.texts("--stop");
    config.seed = arguments.number<std::uint64_t>("--seed");
    return config;
}

template <class D>
morsel::TextGenerator<D> load_generator(const Arguments& arguments, const typename D::Options& device) {
    morsel::TextGeneratorOptions<D> options;
    options.device = device;
    options.tokenizer = tokenizer_options();
    return morsel::TextGenerator<D>::from_pretrained(arguments.text("--model"), std::move(options));
}

// "[12.3 tok/s, first token after 45 ms]" on stderr.
inline void print_timings(const morsel::GenerationTimings& t) {
    const double decoded = t.new_tokens > 1 ? static_cast<double>(t.new_tokens - 1) : 0;
    std::fprintf(stderr, "[%zu prompt tokens at %.1f tok/s, first token after %.0f ms, %zu new tokens at %.1f tok/s]\n", t.prompt_tokens,
                 t.prefill_seconds > 0 ? static_cast<double>(t.prompt_tokens) / t.prefill_seconds : 0.0, t.first_token_seconds * 1e3, t.new_tokens,
                 t.decode_seconds > 0 ? decoded / t.decode_seconds : 0.0);
}

}  // namespace cli
