// Vectors of words and other stretches of a text out of its tokens' vectors: tokenizers cut words into pieces, and labels of words
// (names, parts of speech) want one vector each. A word's vector is the mean of the tokens that overlap it, found by byte offsets, or
// its first token's alone.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "morsel/pipeline/embeddings.hpp"
#include "morsel/unicode/properties.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

enum class WordPooling { mean, first };

struct SpanVectors {
    std::vector<Span> spans = {};          // bytes of the text
    std::vector<std::size_t> tokens = {};  // how many tokens each has; 0 where truncation cut it off: its vector is zero
    std::size_t dimensions = 0;
    std::vector<float> values = {};        // [size, dimensions]

    std::size_t size() const { return spans.size(); }
    std::span<const float> operator[](std::size_t word) const { return std::span(values).subspan(word * dimensions, dimensions); }
};

// Words of a text: runs of word characters (Unicode's \w), with apostrophes and hyphens between them; every other character that is
// no space stands alone.
inline std::vector<Span> word_spans(std::string_view text) {
    std::vector<Span> words;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t begin = i;
        const char32_t c = unicode::next_code_point(text, i);
        if (unicode::is_white_space(c)) continue;
        if (unicode::is_word(c)) {
            while (i < text.size()) {
                std::size_t next = i;
                const char32_t inner = unicode::next_code_point(text, next);
                if (inner == '\'' || inner == '-' || inner == 0x2019) {  // only where a word character follows
                    if (next >= text.size() || !unicode::is_word(unicode::next_code_point(text, next))) break;
                } else if (!unicode::is_word(inner)) {
                    break;
                }
                i = next;
            }
        }
        words.push_back({begin, i});
    }
    return words;
}

// The vectors of these stretches of bytes, in any order, overlapping or not.
inline SpanVectors pool_spans(const TokenVectors& tokens, std::span<const Span> spans, WordPooling pooling = WordPooling::mean) {
    SpanVectors words = {.spans = {spans.begin(), spans.end()}, .tokens = std::vector<std::size_t>(spans.size()), .dimensions = tokens.dimensions};
    words.values.resize(spans.size() * tokens.dimensions);
    // Real tokens, in the order of the text: a span's first is found by bisection.
    std::vector<std::size_t> real;
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (tokens.encoding.special_tokens_mask[i] == 0) real.push_back(i);
    const auto& offsets = tokens.encoding.offsets;
    for (std::size_t w = 0; w < spans.size(); ++w) {
        float* const out = words.values.data() + w * words.dimensions;
        auto at = std::partition_point(real.begin(), real.end(), [&](std::size_t i) { return offsets[i].end <= spans[w].begin; });
        for (; at != real.end() && offsets[*at].begin < spans[w].end; ++at) {
            if (offsets[*at].end <= spans[w].begin || (pooling == WordPooling::first && words.tokens[w] == 1)) continue;
            ++words.tokens[w];
            const std::span<const float> vector = tokens[*at];
            for (std::size_t i = 0; i < vector.size(); ++i) out[i] += vector[i];
        }
        if (words.tokens[w] > 1)
            for (std::size_t i = 0; i < words.dimensions; ++i) out[i] /= static_cast<float>(words.tokens[w]);
    }
    return words;
}

}  // namespace morsel
