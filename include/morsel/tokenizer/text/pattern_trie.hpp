// Finds strings of a given set in a text, the leftmost and at that place the longest: a trie over bytes behind a quick look for the
// bytes that can begin one. Most text holds none, so that look decides the speed: 16 bytes at a time where the strings begin with few
// different bytes ("<" and "["), by memchr where it is one, then a test of the first two bytes.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "morsel/core/flat_map.hpp"

namespace morsel {

// Finding all matches of a text costs at most O(length · longest pattern).
class PatternTrie {
  public:
    void add(std::string_view pattern, std::uint32_t value) {
        if (pattern.empty()) return;
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(pattern[i]); };
        if (!begins_[byte(0)]) {
            begins_[byte(0)] = true;
            if (firsts_ < few_.size()) few_[firsts_] = pattern[0];
            ++firsts_;
        }
        for (std::size_t second = 0; second < 256; ++second)
            if (pattern.size() == 1 || second == byte(1)) pairs_[byte(0) * 4u + second / 64] |= std::uint64_t{1} << (second % 64);
        std::uint32_t node = 0;
        for (const char c : pattern) {
            const std::uint64_t edge = pack_pair(node, static_cast<unsigned char>(c));
            const std::uint32_t* next = children_.find(edge);
            if (next != nullptr) {
                node = *next;
            } else {
                node = static_cast<std::uint32_t>(values_.size());
                values_.push_back(none);
                children_.set(edge, node);
            }
        }
        values_[node] = value;
    }

    bool empty() const noexcept { return values_.size() == 1; }

    struct Match {
        std::size_t begin, end;
        std::uint32_t value;
    };

    // The next match at or after `from`.
    std::optional<Match> find(std::string_view text, std::size_t from) const noexcept {
        if (empty()) return std::nullopt;
        for (std::size_t begin = next_first(text, from); begin < text.size(); begin = next_first(text, begin + 1)) {
            if (begin + 1 < text.size()) {
                const std::size_t first = static_cast<unsigned char>(text[begin]), second = static_cast<unsigned char>(text[begin + 1]);
                if (!(pairs_[first * 4 + second / 64] >> (second % 64) & 1)) continue;
            }
            if (const auto longest = match_at(text, begin)) return longest;
        }
        return std::nullopt;
    }

    // Bytes of the longest pattern that begins at `begin`; 0 where none does.
    std::size_t longest_at(std::string_view text, std::size_t begin) const noexcept {
        if (begin >= text.size() || !begins_[static_cast<unsigned char>(text[begin])]) return 0;
        const auto match = match_at(text, begin);
        return match ? match->end - begin : 0;
    }

    // f(end, value) for every pattern that begins at `begin`, the shortest first.
    template <class F> void for_each_at(std::string_view text, std::size_t begin, F&& f) const {
        std::uint32_t node = 0;
        for (std::size_t at = begin; at < text.size(); ++at) {
            const std::uint32_t* next = children_.find(pack_pair(node, static_cast<unsigned char>(text[at])));
            if (next == nullptr) break;
            node = *next;
            if (values_[node] != none) f(at + 1, values_[node]);
        }
    }

  private:
    // The next place, from `at` on, with a byte that begins a pattern; text.size() where there is none.
    std::size_t next_first(std::string_view text, std::size_t at) const noexcept {
        if (firsts_ == 1 && at < text.size()) {
            const void* found = std::memchr(text.data() + at, few_[0], text.size() - at);
            return found == nullptr ? text.size() : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
        }
#if defined(__SSE2__)
        if (firsts_ <= few_.size()) {
            const __m128i a = _mm_set1_epi8(few_[0]), b = _mm_set1_epi8(few_[firsts_ > 1 ? 1 : 0]), c = _mm_set1_epi8(few_[firsts_ > 2 ? 2 : 0]);
            const auto any_at = [&](std::size_t i) {
                const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
                return _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, a), _mm_cmpeq_epi8(v, b)), _mm_cmpeq_epi8(v, c));
            };
            while (at + 64 <= text.size() && _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(any_at(at), any_at(at + 16)), _mm_or_si128(any_at(at + 32), any_at(at + 48)))) == 0) at += 64;
            for (; at + 16 <= text.size(); at += 16) {
                const __m128i any = any_at(at);
                if (const int found = _mm_movemask_epi8(any); found != 0) return at + static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(found)));
            }
        }
#endif
        while (at < text.size() && !begins_[static_cast<unsigned char>(text[at])]) ++at;
        return at;
    }

    std::optional<Match> match_at(std::string_view text, std::size_t begin) const noexcept {
        std::optional<Match> longest;
        for_each_at(text, begin, [&](std::size_t end, std::uint32_t value) { longest = Match{begin, end, value}; });
        return longest;
    }

    static constexpr std::uint32_t none = 0xffffffffu;
    std::array<bool, 256> begins_ = {};
    std::size_t firsts_ = 0;                       // different first bytes; the first three of them in `few_`
    std::array<char, 3> few_ = {};
    std::array<std::uint64_t, 256 * 4> pairs_ = {};  // bit 256 · first + second: some pattern begins so, or is `first` alone
    FlatMap<std::uint32_t> children_;              // (node, byte) → node
    std::vector<std::uint32_t> values_ = {none};   // of each node
};

}  // namespace morsel
