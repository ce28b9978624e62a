// The generation loop: prompt in one step, then one token at a time, until a stop. Knows neither tokenizer nor model: Continuation is one
// sequence on its way, which is fed logits; generate_tokens drives one with a callable `std::span<float> step(std::span<const TokenId>)`
// that takes the next tokens and gives the logits [vocab_size] after the last of them (the loop writes into them); pipeline/decode_tokens.hpp
// drives several at once. Follows transformers' generate() for one sequence. Leaves out beams.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
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

// A sequence while it is generated: the tokens so far, the choice of the next, and whether to stop.
class Continuation {
  public:
    // An empty prompt stands for bos_token_id. `settings` must live as long. Throws Error where the prompt is empty and there is no
    // bos_token_id, or is longer than the context.
    Continuation(std::span<const TokenId> prompt, const GenerationSettings& settings) : settings_(&settings), history_(prompt.begin(), prompt.end()), limit_(settings.max_new_tokens) {
        if (history_.empty() && settings.bos_token_id) history_.push_back(*settings.bos_token_id);
        if (history_.empty()) throw Error("empty prompt", {.key = "prompt", .expected = "one token at least, or a bos_token_id"});
        if (settings.context_limit > 0) {
            const std::size_t tokens = history_.size();
            if (tokens > settings.context_limit)
                throw Error("prompt longer than the context", {.key = "prompt", .expected = "at most " + std::to_string(settings.context_limit) + " tokens", .found = std::to_string(tokens)});
            limit_ = std::min(limit_, settings.context_limit - tokens);
        }
        result_.timings.prompt_tokens = history_.size();
        done_ = limit_ == 0;
    }

    // Prompt and new tokens; the model has seen all but the last when it is to choose the next.
    const std::vector<TokenId>& history() const noexcept { return history_; }
    const GenerationSettings& settings() const noexcept { return *settings_; }
    bool done() const noexcept { return done_; }
    // Timings count from here on; without this call from the constructor.
    void start_clock() { start_ = Clock::now(); }
    // New tokens so far, and how many there may still be.
    std::size_t produced() const noexcept { return result_.ids.size(); }
    std::size_t left() const noexcept { return limit_ - result_.ids.size(); }

    // The next token by the model's logits [vocab_size], which are changed; `on_logits(step, logits)` sees them before. Throws Error where
    // they hold NaN or +inf, or no token is possible.
    template <class OnLogits = IgnoreLogits>
    TokenId choose(std::span<float> logits, LogitsWorkspace& workspace, OnLogits&& on_logits = {}) {
        const GenerationSettings& settings = *settings_;
        const std::size_t index = result_.ids.size();
        if (index == 0) result_.timings.prefill_seconds = seconds_since(start_);
        on_logits(index, std::span<const float>(logits));
        if (settings.sampled_vocab > 0 && settings.sampled_vocab < logits.size()) logits = logits.first(settings.sampled_vocab);
        check_logits(logits, index);
        apply_penalties(logits, history_, settings.processing, workspace);
        if (index < settings.min_new_tokens)
            for (const TokenId id : settings.eos_token_ids)
                if (id < logits.size()) logits[id] = minus_infinity;
        if (settings.processing.do_sample) apply_warpers(logits, settings.processing, workspace);
        check_logits(logits, index);  // a processor may have ruled out everything
        return settings.processing.do_sample ? sample_token(logits, settings.seed, {.step = index, .sequence = settings.sequence}) : argmax(logits);
    }

    // Takes a new token and shows it to on_token, which is as generate_tokens has it.
    template <class OnToken>
    void take(TokenId chosen, OnToken&& on_token) {
        if (result_.ids.empty()) first_token_ = Clock::now();
        history_.push_back(chosen);
        result_.ids.push_back(chosen);
        if (const std::optional<StopReason> stop = reason_to_stop(chosen, on_token)) result_.stop_reason = *stop, done_ = true;
        else done_ = left() == 0;
        if (done_) result_.timings.decode_seconds = seconds_since(first_token_);
    }

    // What came of it, once.
    GenerationResult finish() {
        result_.timings.new_tokens = result_.ids.size();
        if (!result_.ids.empty()) result_.timings.first_token_seconds = std::chrono::duration<double>(first_token_ - start_).count();
        return std::move(result_);
    }

  private:
    using Clock = std::chrono::steady_clock;
    static double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

    template <class OnToken>
    std::optional<StopReason> reason_to_stop(TokenId chosen, OnToken& on_token) const {
        const std::vector<TokenId>& ends = settings_->eos_token_ids;
        if (std::find(ends.begin(), ends.end(), chosen) != ends.end()) return StopReason::eos;
        if constexpr (std::is_same_v<std::invoke_result_t<OnToken&, TokenId>, bool>) {
            if (!on_token(chosen)) return StopReason::cancelled;
            return std::nullopt;
        } else {
            return on_token(chosen);
        }
    }

    const GenerationSettings* settings_;
    std::vector<TokenId> history_;
    std::size_t limit_;
    bool done_ = false;
    GenerationResult result_ = {};
    Clock::time_point start_ = Clock::now(), first_token_ = start_;
};

// Runs until a stop. `on_token(id)` sees every new token but the end token, and either returns false to cancel, or it returns
// std::optional<StopReason>: a reason to stop, or nothing to go on. `on_logits(step, logits)` sees the model's logits before they
// are processed. Throws Error as Continuation does; what `step` and the observers throw passes through.
template <class Step, class OnToken = IgnoreToken, class OnLogits = IgnoreLogits>
GenerationResult generate_tokens(Step&& step, std::span<const TokenId> prompt, const GenerationSettings& settings, OnToken&& on_token = {}, OnLogits&& on_logits = {}) {
    Continuation sequence(prompt, settings);
    LogitsWorkspace workspace;
    std::size_t fed = 0;  // tokens of the history that the model has seen
    while (!sequence.done()) {
        std::span<float> logits = step(std::span<const TokenId>(sequence.history()).subspan(fed));
        fed = sequence.history().size();
        sequence.take(sequence.choose(logits, workspace, on_logits), on_token);
    }
    return sequence.finish();
}

}  // namespace morsel
