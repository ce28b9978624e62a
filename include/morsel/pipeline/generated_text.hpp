// The text side of generation: what is asked for, the text of one sequence while its tokens arrive, and what came of it. Tokens become
// whole UTF-8 characters, stop strings end the text before them, and the caller sees each piece as it becomes final.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/generation/generate.hpp"
#include "morsel/generation/stopping.hpp"
#include "morsel/tokenizer/stream_decoder.hpp"
#include "morsel/tokenizer/tokenizer.hpp"

namespace morsel {

// Receives new text as it becomes final, whole UTF-8 characters only, each piece zero-terminated; false stops the generation.
using TextCallback = std::function<bool(std::string_view)>;

struct GeneratedText {
    std::vector<TokenId> prompt_ids = {};
    std::vector<TokenId> ids = {};  // new tokens; an end token is the last of them
    std::string text = {};          // of the new tokens, without special tokens and without a stop string
    StopReason stop_reason = StopReason::length;
    GenerationTimings timings = {};  // of several at once: from when its prompt was run
};

// One of several texts that are generated at once.
struct GenerationRequest {
    std::string prompt = {};
    GenerationConfig config = {};
    TextCallback on_text = {};
    std::vector<TokenId> prompt_ids = {};  // in place of the prompt, where not empty
};

namespace detail {

// A text while its tokens arrive.
class TextInProgress {
  public:
    // Throws Error on an empty stop string.
    TextInProgress(const Tokenizer& tokenizer, std::vector<TokenId> prompt_ids, GenerationSettings settings, TextCallback on_text)
        : settings_(std::move(settings)), stream_(tokenizer, /*skip_special_tokens=*/true), stop_strings_(settings_.stop_strings), on_text_(std::move(on_text)) {
        result_.prompt_ids = std::move(prompt_ids);
    }

    const std::vector<TokenId>& prompt_ids() const noexcept { return result_.prompt_ids; }
    const GenerationSettings& settings() const noexcept { return settings_; }

    // A new token; the reason to stop, where there is one.
    std::optional<StopReason> push(TokenId id) {
        const bool go_on = emit(stop_strings_.push(stream_.push(id)));
        if (stop_strings_.stopped()) return StopReason::stop_string;
        if (!go_on) return StopReason::cancelled;
        return std::nullopt;
    }

    // The whole, once, when no token follows.
    GeneratedText finish(GenerationResult generated) {
        if (!stop_strings_.stopped()) {
            std::string rest = stop_strings_.push(stream_.flush());
            if (stop_strings_.stopped()) generated.stop_reason = StopReason::stop_string;
            rest += stop_strings_.finish();
            if (generated.stop_reason != StopReason::cancelled) emit(rest);
            else result_.text += rest;
        }
        result_.ids = std::move(generated.ids);
        result_.stop_reason = generated.stop_reason;
        result_.timings = generated.timings;
        return std::move(result_);
    }

  private:
    bool emit(const std::string& text) {
        result_.text += text;
        return text.empty() || !on_text_ || on_text_(text);
    }

    GenerationSettings settings_;
    StreamDecoder stream_;
    StopStringMatcher stop_strings_;
    TextCallback on_text_;
    GeneratedText result_ = {};
};

}  // namespace detail

}  // namespace morsel
