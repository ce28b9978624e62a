// Truncation of one encoding or a pair, with the windows that were cut off kept as `overflowing`; and the joining of encodings,
// overflowing windows included. Rules and edge cases are those of Hugging Face tokenizers; where that library panics (a stride as
// long as the window) this one throws.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/encoding.hpp"

namespace morsel {

enum class Direction : std::uint8_t { right, left };
enum class TruncationStrategy : std::uint8_t { longest_first, only_first, only_second };

struct Truncation {
    std::size_t max_length = 512;  // tokens, special ones included
    std::size_t stride = 0;        // tokens that neighbouring windows share
    TruncationStrategy strategy = TruncationStrategy::longest_first;
    Direction direction = Direction::right;  // the end that is cut off
};

namespace detail {

// f(vector of `a`, vector of `b`) for each of the parallel arrays.
template <class A, class B, class F> void for_each_array(A& a, B& b, F&& f) {
    f(a.ids, b.ids), f(a.tokens, b.tokens), f(a.offsets, b.offsets), f(a.word_ids, b.word_ids), f(a.type_ids, b.type_ids);
    f(a.special_tokens_mask, b.special_tokens_mask), f(a.attention_mask, b.attention_mask), f(a.sequence_ids, b.sequence_ids);
}

// Tokens [begin, end), without overflowing windows.
inline Encoding slice(const Encoding& e, std::size_t begin, std::size_t end) {
    Encoding part;
    for_each_array(part, e, [&](auto& to, const auto& from) {
        to.assign(from.begin() + static_cast<std::ptrdiff_t>(begin), from.begin() + static_cast<std::ptrdiff_t>(end));
    });
    return part;
}

inline void append_tokens(Encoding& to, const Encoding& from) {
    for_each_array(to, from, [](auto& a, const auto& b) { a.insert(a.end(), b.begin(), b.end()); });
}

}  // namespace detail

// Appends `next` to `e`. Every window that was cut off either of them is joined with every window of the other, as the reference
// does; its nested lists of windows are left out, they repeat the same combinations.
inline void append(Encoding& e, const Encoding& next) {
    std::vector<Encoding> windows;
    const auto join = [&](const Encoding& a, const Encoding& b) {
        Encoding window = detail::slice(a, 0, a.size());
        detail::append_tokens(window, b);
        windows.push_back(std::move(window));
    };
    for (const Encoding& own : e.overflowing) {
        join(own, next);
        for (const Encoding& other : next.overflowing) join(own, other);
    }
    for (const Encoding& other : next.overflowing) join(e, other);
    detail::append_tokens(e, next);
    e.overflowing = std::move(windows);
}

// Keeps `length` tokens; what is cut off goes into windows of `length` that share `stride` tokens. Throws Error where stride >=
// length > 0.
inline void truncate(Encoding& e, std::size_t length, std::size_t stride, Direction direction) {
    if (length >= e.size()) return;
    if (length == 0) {
        Encoding empty;
        empty.overflowing.push_back(std::move(e));
        e = std::move(empty);
        return;
    }
    if (stride >= length)
        throw Error("stride must be smaller than the room for tokens", {.key = "truncation.stride", .expected = "less than " + std::to_string(length), .found = std::to_string(stride)});
    const std::size_t step = length - stride, size = e.size();
    std::vector<Encoding> windows;
    if (direction == Direction::right) {
        for (std::size_t begin = 0;; begin += step) {
            const std::size_t end = size - begin > length ? begin + length : size;
            windows.push_back(detail::slice(e, begin, end));
            if (end == size) break;
        }
    } else {
        for (std::size_t end = size;; end -= step) {
            const std::size_t begin = end > length ? end - length : 0;
            windows.push_back(detail::slice(e, begin, end));
            if (begin == 0) break;
        }
    }
    e = std::move(windows.front());
    windows.erase(windows.begin());
    e.overflowing = std::move(windows);
}

// Truncates a text and its pair so that both together have at most `room` tokens (max_length less the special tokens). Throws
// Error where the strategy cannot reach that.
inline void truncate(Encoding& first, std::optional<Encoding>& second, std::size_t room, const Truncation& options) {
    const auto cut = [&](Encoding& e, std::size_t length) { truncate(e, length, options.stride, options.direction); };
    const std::size_t total = first.size() + (second ? second->size() : 0);
    if (room == 0) {
        cut(first, 0);
        if (second) cut(*second, 0);
        return;
    }
    if (total <= room) return;
    if (options.strategy == TruncationStrategy::longest_first) {
        if (!second) return cut(first, room);
        // The shorter one is kept whole where the longer one has half the room or more; else both get half.
        std::size_t shorter = std::min(first.size(), second->size()), longer;
        longer = shorter > room ? shorter : std::max(shorter, room - shorter);
        if (shorter + longer > room) shorter = room / 2, longer = shorter + room % 2;
        const bool swapped = first.size() > second->size();
        cut(first, swapped ? longer : shorter);
        cut(*second, swapped ? shorter : longer);
        return;
    }
    const bool second_one = options.strategy == TruncationStrategy::only_second;
    if (second_one && !second) throw Error("there is no second text to truncate", {.key = "truncation.strategy", .found = "only_second"});
    Encoding& target = second_one ? *second : first;
    const std::size_t too_many = total - room;
    if (target.size() <= too_many)
        throw Error("the text to be truncated is too short for max_length", {.key = "truncation", .expected = "more than " + std::to_string(too_many) + " tokens to cut from", .found = std::to_string(target.size())});
    cut(target, target.size() - too_many);
}

}  // namespace morsel
