// The generation loop: prompt in one step, then one token at a time, until a stop. Knows neither tokenizer nor model, only a callable
// `std::span<float> step(std::span<const TokenId>)` that takes the next tokens of the one sequence and gives the logits
// [vocab_size] after the last of them (the loop writes into them). Follows transformers' generate() for one sequence.
// Leaves out batches and beams.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/generation/generation_config.hpp"
#include "morsel/generation/logits_processors.hpp"
#include "morsel/generation/sampling.hpp"
#include "morsel/generation/stopping.hpp"

namespace morsel {

struct GenerationTimings {
    double prefill_seconds = 0;      // the first step: the whole prompt
    double first_token_seconds = 0;  // from the call until the first token is chosen
    double decode_seconds = 0;       // from there to the end
    std::size_t prompt_tokens = 0;
    std::size_t new_tokens = 0;
};

struct GenerationResult {
    std::vector<TokenId> ids = {};  // new tokens; an end token is the last of them
    StopReason stop_reason = StopReason::length;
    GenerationTimings timings = {};
};

// Observers that do nothing.
struct IgnoreToken {
    bool operator()(TokenId) const { return true; }
};
struct IgnoreLogits {
    void operator()(std::size_t, std::span<const float>) const {}
};

// Prompt and new tokens of one run, and how many new ones there may be.
struct GenerationStart {
    std::vector<TokenId> history = {};  // the prompt; bos_token_id where that is empty
    std::size_t limit = 0;              // new tokens
};

// Throws Error where the prompt is empty and there is no bos_token_id, or is longer than the context.
inline GenerationStart start_generation(std::span<const TokenId> prompt, const GenerationSettings& settings) {
    GenerationStart start{{prompt.begin(), prompt.end()}, settings.max_new_tokens};
    if (start.history.empty() && settings.bos_token_id) start.history.push_back(*settings.bos_token_id);
    if (start.history.empty()) throw Error("empty prompt", {.key = "prompt", .expected = "one token at least, or a bos_token_id"});
    if (settings.context_limit > 0) {
        const std::size_t tokens = start.history.size();
        if (tokens > settings.context_limit)
            throw Error("prompt longer than the context", {.key = "prompt", .expected = "at most " + std::to_string(settings.context_limit) + " tokens", .found = std::to_string(tokens)});
        start.limit = std::min(start.limit, settings.context_limit - tokens);
    }
    return start;
}

// Takes a new token into the result and shows it to on_token; the reason to stop, where there is one.
template <class OnToken>
std::optional<StopReason> accept_token(GenerationResult& result, TokenId chosen, const GenerationSettings& settings, OnToken& on_token) {
    result.ids.push_back(chosen);
    if (std::find(settings.eos_token_ids.begin(), settings.eos_token_ids.end(), chosen) != settings.eos_token_ids.end()) return StopReason::eos;
    if constexpr (std::is_same_v<std::invoke_result_t<OnToken&, TokenId>, bool>) {
        if (!on_token(chosen)) return StopReason::cancelled;
        return std::nullopt;
    } else {
        return on_token(chosen);
    }
}

// Runs until a stop. `on_token(id)` sees every new token but the end token, and either returns false to cancel, or it returns
// std::optional<StopReason>: a reason to stop, or nothing to go on. `on_logits(step, logits)` sees the model's logits before they
// are processed. An empty prompt stands for bos_token_id.
// Throws Error before any step where the prompt is empty and there is no bos_token_id, or is longer than the context; and later
// where logits hold NaN or +inf, or no token is possible. What `step` and the observers throw passes through.
template <class Step, class OnToken = IgnoreToken, class OnLogits = IgnoreLogits>
GenerationResult generate_tokens(Step&& step, std::span<const TokenId> prompt, const GenerationSettings& settings, OnToken&& on_token = {}, OnLogits&& on_logits = {}) {
    using Clock = std::chrono::steady_clock;
    const auto seconds = [](Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); };
    const auto start = Clock::now();

    auto [history, limit] = start_generation(prompt, settings);
    GenerationResult result;
    result.timings.prompt_tokens = history.size();
    LogitsWorkspace workspace;
    auto first_token = start;
    std::size_t fed = 0;  // tokens of the history that the model has seen
    while (result.ids.size() < limit) {
        const std::size_t index = result.ids.size();
        std::span<float> logits = step(std::span<const TokenId>(history).subspan(fed));
        if (fed == 0) result.timings.prefill_seconds = seconds(start, Clock::now());
        fed = history.size();
        on_logits(index, std::span<const float>(logits));

        if (settings.sampled_vocab > 0 && settings.sampled_vocab < logits.size()) logits = logits.first(settings.sampled_vocab);
        check_logits(logits, index);
        apply_penalties(logits, history, settings.processing, workspace);
        if (index < settings.min_new_tokens)
            for (const TokenId id : settings.eos_token_ids)
                if (id < logits.size()) logits[id] = minus_infinity;
        if (settings.processing.do_sample) apply_warpers(logits, settings.processing, workspace);
        check_logits(logits, index);  // a processor may have ruled out everything
        const TokenId chosen = settings.processing.do_sample
                                   ? sample_token(logits, settings.seed, {.step = index, .sequence = settings.sequence})
                                   : argmax(logits);
        if (index == 0) {
            first_token = Clock::now();
            result.timings.first_token_seconds = seconds(start, first_token);
        }
        history.push_back(chosen);
        if (const std::optional<StopReason> stop = accept_token(result, chosen, settings, on_token)) {
            result.stop_reason = *stop;
            break;
        }
    }
    result.timings.new_tokens = result.ids.size();
    if (!result.ids.empty()) result.timings.decode_seconds = seconds(first_token, Clock::now());
    return result;
}

}  // namespace morsel
