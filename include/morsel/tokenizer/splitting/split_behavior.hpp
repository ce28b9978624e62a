// What becomes of the delimiter when a text is split: the five behaviours of Hugging Face tokenizers' SplitDelimiterBehavior,
// over matches and gaps in order (pattern.hpp), and the cut itself.
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/tokenizer/splitting/pattern.hpp"
#include "morsel/tokenizer/text/aligned_text.hpp"

namespace morsel {

// For "-" in "the-final--countdown":
enum class SplitBehavior {
    removed,               // the|final|countdown
    isolated,              // the|-|final|-|-|countdown
    merged_with_previous,  // the-|final-|-|countdown
    merged_with_next,      // the|-final|-|-countdown
    contiguous             // the|-|final|--|countdown
};

// The behaviour of that name in tokenizer.json.
inline std::optional<SplitBehavior> split_behavior(std::string_view name) noexcept {
    if (name == "Removed") return SplitBehavior::removed;
    if (name == "Isolated") return SplitBehavior::isolated;
    if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
    if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
    if (name == "Contiguous") return SplitBehavior::contiguous;
    return std::nullopt;
}

// Every character for which in(char32_t) holds as a match of its own, the runs between them as gaps.
template <class In> std::vector<PatternPart> character_parts(std::string_view text, In&& in) {
    std::vector<PatternPart> parts;
    std::size_t done = 0;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t begin = i;
        if (!in(unicode::next_code_point(text, i))) continue;
        if (done != begin) parts.push_back({{done, begin}, false});
        parts.push_back({{begin, i}, true});
        done = i;
    }
    if (done != text.size()) parts.push_back({{done, text.size()}, false});
    return parts;
}

// The pieces to keep, empty ones among them.
inline std::vector<Span> split_spans(const std::vector<PatternPart>& parts, SplitBehavior behavior) {
    std::vector<Span> spans;
    spans.reserve(parts.size());
    bool previous = false;  // whether the neighbour seen last was a match
    switch (behavior) {
        case SplitBehavior::removed:
            for (const auto& part : parts)
                if (!part.is_match) spans.push_back(part.at);
            break;
        case SplitBehavior::isolated:
            for (const auto& part : parts) spans.push_back(part.at);
            break;
        case SplitBehavior::contiguous:
            for (const auto& part : parts) {
                if (part.is_match == previous && !spans.empty()) spans.back().end = part.at.end;
                else spans.push_back(part.at);
                previous = part.is_match;
            }
            break;
        case SplitBehavior::merged_with_previous:
            for (const auto& part : parts) {
                if (part.is_match && !previous && !spans.empty()) spans.back().end = part.at.end;
                else spans.push_back(part.at);
                previous = part.is_match;
            }
            break;
        case SplitBehavior::merged_with_next:
            for (std::size_t i = parts.size(); i-- > 0;) {
                if (parts[i].is_match && !previous && !spans.empty()) spans.back().begin = parts[i].at.begin;
                else spans.push_back(parts[i].at);
                previous = parts[i].is_match;
            }
            std::reverse(spans.begin(), spans.end());
            break;
    }
    return spans;
}

// Cuts every piece into what find(text) → std::vector<PatternPart> and the behaviour leave of it; empty pieces are dropped.
template <class Find> void cut_each(std::vector<AlignedText>& pieces, SplitBehavior behavior, bool invert, Find&& find) {
    std::vector<AlignedText> out;
    out.reserve(pieces.size());
    for (AlignedText& piece : pieces) {
        std::vector<PatternPart> parts = find(std::string_view(piece.text));
        if (invert)
            for (auto& part : parts) part.is_match = !part.is_match;
        const std::vector<Span> spans = split_spans(parts, behavior);
        if (spans.size() == 1 && spans[0] == Span{0, piece.text.size()} && !piece.text.empty()) {
            out.push_back(std::move(piece));
            continue;
        }
        for (const Span& span : spans)
            if (span.begin < span.end) out.push_back(slice(piece, span.begin, span.end));
    }
    pieces = std::move(out);
}

}  // namespace morsel
