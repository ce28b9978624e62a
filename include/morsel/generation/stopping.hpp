// Why generation ends, and stop strings in streamed text. Stands between the stream decoder and the caller's callback.
// A stop string may straddle pieces: text that could be its beginning is held back until that is decided. The text before a stop
// string is emitted, the stop string and what follows it are not. The string that is complete first wins, of several that end at the
// same byte the longest, so the result does not depend on how the text was cut into pieces. Matching is Knuth-Morris-Pratt's, one
// state per string: O(1) amortised per byte.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"

namespace morsel {

enum class StopReason : std::uint8_t {
    eos,          // the model chose an end token
    length,       // the token limit or the end of the context
    stop_string,  // a stop string appeared
    cancelled,    // the caller's callback said so
};

inline std::string_view stop_reason_name(StopReason reason) {
    switch (reason) {
        case StopReason::eos: return "eos";
        case StopReason::length: return "length";
        case StopReason::stop_string: return "stop_string";
        case StopReason::cancelled: return "cancelled";
    }
    return "";
}

class StopStringMatcher {
  public:
    // Throws Error for an empty string. No strings at all: everything passes.
    explicit StopStringMatcher(std::vector<std::string> stop_strings = {}) {
        for (std::string& text : stop_strings) {
            if (text.empty()) throw Error("empty stop string", {.key = "stop_strings", .expected = "a text of one byte at least"});
            Pattern pattern{.text = std::move(text)};
            pattern.border.resize(pattern.text.size() + 1);
            for (std::size_t i = 1, k = 0; i < pattern.text.size(); ++i) {
                while (k > 0 && pattern.text[i] != pattern.text[k]) k = pattern.border[k];
                if (pattern.text[i] == pattern.text[k]) ++k;
                pattern.border[i + 1] = k;
            }
            patterns_.push_back(std::move(pattern));
        }
    }

    // Takes the next piece of text and returns what may be emitted now. Nothing more comes after a stop string.
    std::string push(std::string_view piece) {
        if (stopped_) return {};
        for (const char c : piece) {
            pending_ += c;
            std::size_t complete = 0;
            for (Pattern& p : patterns_) {
                while (p.matched > 0 && p.text[p.matched] != c) p.matched = p.border[p.matched];
                if (p.text[p.matched] == c) ++p.matched;
                if (p.matched == p.text.size()) complete = std::max(complete, p.matched);
            }
            if (complete > 0) {
                stopped_ = true;
                pending_.resize(pending_.size() - complete);
                return std::exchange(pending_, {});
            }
        }
        std::size_t held = 0;
        for (const Pattern& p : patterns_) held = std::max(held, p.matched);
        std::string text = pending_.substr(0, pending_.size() - held);
        pending_.erase(0, text.size());
        return text;
    }

    // At the end of the text: what was held back, now that no stop string can follow.
    std::string finish() { return stopped_ ? std::string() : std::exchange(pending_, {}); }

    bool stopped() const noexcept { return stopped_; }

  private:
    struct Pattern {
        std::string text = {};
        std::vector<std::size_t> border = {};  // [text.size() + 1] longest proper prefix of text[0, i) that is also its suffix
        std::size_t matched = 0;               // bytes of `text` that the stream ends with, < text.size() between calls
    };
    std::vector<Pattern> patterns_;
    std::string pending_;
    bool stopped_ = false;
};

}  // namespace morsel
