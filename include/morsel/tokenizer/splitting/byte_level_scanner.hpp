// Which pre-tokenizers do nothing but cut by a known pattern and show each byte as a character (byte_level.hpp): their pieces are
// bytes of the text itself, which the fast encoder and the counting of words for training work with directly.
#pragma once
#include <optional>
#include <variant>

#include "morsel/tokenizer/splitting/pre_tokenizers.hpp"

namespace morsel {

struct ByteLevelScanner {
    SplitScanner scanner = {};
    bool prefix_space = false;  // a space before a text that does not begin with one
};

// ByteLevel, Split by a known pattern or by DeepSeek's three and then ByteLevel, or Digits and then ByteLevel; nothing for any other pre-tokenizer.
inline std::optional<ByteLevelScanner> byte_level_scanner(const PreTokenizer& pre_tokenizer) {
    const auto& steps = pre_tokenizer.steps;
    const auto* bytes = steps.empty() ? nullptr : std::get_if<ByteLevelPreTokenizer>(&steps.back());
    if (bytes == nullptr) return std::nullopt;
    if (steps.size() == 1) return bytes->use_regex ? std::optional(ByteLevelScanner{split::gpt2, bytes->add_prefix_space}) : std::nullopt;
    if (bytes->add_prefix_space) return std::nullopt;
    if (steps.size() == 4) {
        const SplitScanner expected[] = {split::deepseek_numbers, split::deepseek_cjk, split::deepseek_text};
        for (std::size_t i = 0; i < 3; ++i) {
            const auto* step = std::get_if<SplitPreTokenizer>(&steps[i]);
            const auto* scanner = step != nullptr ? std::get_if<SplitScanner>(&step->pattern.matcher) : nullptr;
            if (scanner == nullptr || scanner->next != expected[i].next || step->behavior != SplitBehavior::isolated || step->invert) return std::nullopt;
        }
        return bytes->use_regex ? std::nullopt : std::optional(ByteLevelScanner{split::deepseek});
    }
    if (steps.size() != 2) return std::nullopt;
    if (const auto* digits = std::get_if<DigitsPreTokenizer>(&steps[0]))
        return digits->individual_digits && bytes->use_regex ? std::optional(ByteLevelScanner{split::smollm}) : std::nullopt;
    const auto* by_pattern = std::get_if<SplitPreTokenizer>(&steps[0]);
    if (by_pattern == nullptr || bytes->use_regex) return std::nullopt;
    const auto* scanner = std::get_if<SplitScanner>(&by_pattern->pattern.matcher);
    if (scanner == nullptr || scanner->is_match != nullptr) return std::nullopt;
    // Every piece is a match, so matches isolated and gaps removed are the same.
    if (by_pattern->behavior != (by_pattern->invert ? SplitBehavior::removed : SplitBehavior::isolated)) return std::nullopt;
    return ByteLevelScanner{*scanner};
}

}  // namespace morsel
