// The split patterns of well-known tokenizers by name and by their text, each with the scanner that stands for it
// (split_scanners.hpp). A tokenizer.json names its pattern by the regular expression alone, so the text is the key.
#pragma once
#include <cstddef>
#include <string_view>

#include "morsel/tokenizer/splitting/split_scanners.hpp"

namespace morsel {

// One split pattern. Plain data: copy it freely.
struct SplitScanner {
    // End of the piece that begins at byte `position` < text.size(); always greater than `position`.
    std::size_t (*next)(std::string_view text, std::size_t position) = nullptr;
    // Whether that piece is a match rather than the text between two; null where every piece is a match.
    bool (*is_match)(std::string_view text, std::size_t position) = nullptr;

    explicit operator bool() const noexcept { return next != nullptr; }
    bool matches(std::string_view text, std::size_t position) const { return is_match == nullptr || is_match(text, position); }
};

namespace split {

inline constexpr SplitScanner gpt2{&scan::gpt2<false>};
inline constexpr SplitScanner smollm{&scan::gpt2<true>};  // Digits(individual) then GPT-2, also StarCoder
inline constexpr SplitScanner llama3{&scan::cl100k<3>};
inline constexpr SplitScanner cl100k_tiktoken{&scan::cl100k<3, true>};
inline constexpr SplitScanner qwen2{&scan::cl100k<1>};
inline constexpr SplitScanner qwen35{&scan::cl100k<1, false, true>};
inline constexpr SplitScanner o200k{&scan::o200k<>};
inline constexpr SplitScanner tekken{&scan::o200k<false, 1>};
inline constexpr SplitScanner deepseek_numbers{&scan::number_groups, &scan::is_number_at};
inline constexpr SplitScanner deepseek_cjk{&scan::deepseek_cjk, &scan::is_deepseek_cjk_at};
inline constexpr SplitScanner deepseek_text{&scan::deepseek_text, &scan::is_deepseek_match};
inline constexpr SplitScanner deepseek{&scan::deepseek};  // the three of them one after the other, matches isolated
inline constexpr SplitScanner clip{&scan::clip, &scan::is_clip_match};
inline constexpr SplitScanner three_digits{&scan::three_digits, &scan::is_three_digits};

struct Known {
    std::string_view regex;
    SplitScanner scanner;
};

// Pattern texts as they stand in published tokenizer files, in Oniguruma's or tiktoken's syntax.
inline constexpr Known known[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)", gpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", llama3},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)", cl100k_tiktoken},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", qwen2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", qwen35},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)", o200k},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)", tekken},
    {R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)", clip},
    {"[0-9][0-9][0-9]", three_digits},
    {R"(\p{N}{1,3})", deepseek_numbers},
    {"[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", deepseek_cjk},
    {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", deepseek_text},
};

// Whether two patterns are the same but for how they write carriage return and line feed: escaped, or as they are.
inline bool same_pattern(std::string_view a, std::string_view b) noexcept {
    const auto next = [](std::string_view text, std::size_t& i) -> int {
        if (i >= text.size()) return -1;
        const char c = text[i++];
        if (c == '\\' && i < text.size()) {
            const char e = text[i++];
            return e == 'r' ? '\r' : e == 'n' ? '\n' : 256 + static_cast<unsigned char>(e);
        }
        return static_cast<unsigned char>(c);
    };
    std::size_t i = 0, j = 0;
    for (;;) {
        const int x = next(a, i);
        if (x != next(b, j)) return false;
        if (x < 0) return true;
    }
}

}  // namespace split

// The scanner of this regular expression, or an empty one.
inline SplitScanner known_scanner(std::string_view regex) noexcept {
    for (const auto& known : split::known)
        if (split::same_pattern(known.regex, regex)) return known.scanner;
    return {};
}

}  // namespace morsel
