// Text on its way through normalizers and pre-tokenizers, with the origin of every byte, so that offsets always name bytes of
// what the caller passed. Same information as the reference's NormalizedString (Hugging Face tokenizers), kept per byte.
// Every edit is one pass over the text; an inserted character takes the origin of the character before it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/unicode/normalize.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

// Bytes [begin, end).
struct Span {
    std::size_t begin = 0, end = 0;
    friend bool operator==(const Span&, const Span&) = default;
};

struct AlignedText {
    std::string text = {};           // UTF-8
    std::vector<Span> origin = {};   // one per byte of `text`: the original bytes it stands for; equal for all bytes of a character
    std::size_t start = 0;           // original byte at which this section or piece begins, even where normalizers removed its first characters
};

// A section of the caller's text that begins at its byte `base_offset`, every character aligned with itself. Bytes that are no
// UTF-8 become U+FFFD, one per maximal subpart, aligned with those bytes.
inline AlignedText aligned(std::string_view section, std::size_t base_offset = 0) {
    AlignedText out;
    out.start = base_offset;
    out.text.reserve(section.size());
    out.origin.reserve(section.size());
    for (std::size_t i = 0; i < section.size();) {
        const unicode::CodePoint point = unicode::decode(section, i);
        const std::size_t before = out.text.size();
        if (point.valid) out.text.append(section, i, point.size);
        else unicode::append(out.text, unicode::replacement_character);
        const Span origin{base_offset + i, base_offset + i + point.size};
        out.origin.insert(out.origin.end(), out.text.size() - before, origin);
        i += point.size;
    }
    return out;
}

// The original bytes that bytes [begin, end) of the text stand for. An empty range gives an empty span at its place.
inline Span origin_of(const AlignedText& text, std::size_t begin, std::size_t end) {
    if (begin < end) return {text.origin[begin].begin, text.origin[end - 1].end};
    if (begin < text.origin.size()) return {text.origin[begin].begin, text.origin[begin].begin};
    if (!text.origin.empty()) return {text.origin.back().end, text.origin.back().end};
    return {text.start, text.start};
}

// Bytes [begin, end) as a text of their own; both ends on character borders.
inline AlignedText slice(const AlignedText& text, std::size_t begin, std::size_t end) {
    AlignedText out;
    out.text.assign(text.text, begin, end - begin);
    out.origin.assign(text.origin.begin() + static_cast<std::ptrdiff_t>(begin), text.origin.begin() + static_cast<std::ptrdiff_t>(end));
    out.start = origin_of(text, begin, end).begin;
    return out;
}

namespace detail {

// Builds the next version of a text while walking over the old one.
struct AlignedWriter {
    const AlignedText& from;
    std::string text = {};
    std::vector<Span> origin = {};

    explicit AlignedWriter(const AlignedText& source) : from(source) {
        text.reserve(source.text.size() + source.text.size() / 8 + 8);
        origin.reserve(source.text.size() + source.text.size() / 8 + 8);
    }
    void put(char32_t c, Span at) {
        char bytes[4];
        const std::size_t size = unicode::encode(c, bytes);
        text.append(bytes, size);
        origin.insert(origin.end(), size, at);
    }
    void put(std::string_view bytes, Span at) {
        text.append(bytes);
        origin.insert(origin.end(), bytes.size(), at);
    }
    void copy(std::size_t begin, std::size_t end) {
        text.append(from.text, begin, end - begin);
        origin.insert(origin.end(), from.origin.begin() + static_cast<std::ptrdiff_t>(begin), from.origin.begin() + static_cast<std::ptrdiff_t>(end));
    }
    // Origin of what is inserted after old byte `position`: that of the character before it, the very start where there is none.
    Span before(std::size_t position) const { return position == 0 ? Span{from.start, from.start} : from.origin[position - 1]; }
};

}  // namespace detail

// Replaces the whole text by `characters`, whose change counts say which old characters they stand for (unicode/normalize.hpp);
// the first `removed` old characters are dropped before the first one.
inline void transform(AlignedText& text, std::span<const unicode::ChangedCharacter> characters, std::size_t removed = 0) {
    detail::AlignedWriter out(text);
    std::size_t at = 0;
    const auto skip = [&] {
        if (at < text.text.size()) unicode::next_code_point(text.text, at);
    };
    for (; removed > 0; --removed) skip();
    for (const auto& c : characters) {
        if (c.change > 0 || at >= text.text.size()) {
            out.put(c.value, out.before(at));
            continue;
        }
        out.put(c.value, text.origin[at]);
        for (std::ptrdiff_t n = c.change; n <= 0; ++n) skip();
    }
    text.text = std::move(out.text);
    text.origin = std::move(out.origin);
}

// Keeps the characters for which keep(char32_t) holds.
template <class Keep> void filter(AlignedText& text, Keep&& keep) {
    std::size_t out = 0;
    for (std::size_t i = 0; i < text.text.size();) {
        const std::size_t begin = i;
        if (!keep(unicode::next_code_point(text.text, i))) continue;
        for (std::size_t k = begin; k < i; ++k, ++out) text.text[out] = text.text[k], text.origin[out] = text.origin[k];
    }
    text.text.resize(out);
    text.origin.resize(out);
}

// Replaces every character c by the characters that map(c, emit) emits, all aligned with c.
template <class Map> void map_each(AlignedText& text, Map&& map) {
    detail::AlignedWriter out(text);
    for (std::size_t i = 0; i < text.text.size();) {
        const Span at = text.origin[i];
        map(unicode::next_code_point(text.text, i), [&](char32_t c) { out.put(c, at); });
    }
    text.text = std::move(out.text);
    text.origin = std::move(out.origin);
}

// Puts `prefix` in front, aligned with the first character; an empty text stays empty.
inline void prepend(AlignedText& text, std::string_view prefix) {
    if (text.text.empty()) return;
    const Span first = text.origin.front();
    text.text.insert(0, prefix);
    text.origin.insert(text.origin.begin(), prefix.size(), first);
}

// Replaces the bytes of every match (in order, disjoint, on character borders) by `content`, aligned with the last character it
// replaces, or with what stands before it where a match is empty.
inline void replace(AlignedText& text, std::span<const Span> matches, std::string_view content) {
    if (matches.empty()) return;
    detail::AlignedWriter out(text);
    std::size_t done = 0;
    for (const Span& match : matches) {
        out.copy(done, match.begin);
        const Span at = match.end > match.begin ? text.origin[match.end - 1] : out.origin.empty() ? Span{text.start, text.start} : out.origin.back();
        out.put(content, at);
        done = match.end;
    }
    out.copy(done, text.text.size());
    text.text = std::move(out.text);
    text.origin = std::move(out.origin);
}

// Removes white space (as is_space(char32_t) has it) at the ends.
template <class IsSpace> void strip(AlignedText& text, bool left, bool right, IsSpace&& is_space) {
    std::size_t begin = 0, end = text.text.size();
    while (left && begin < end) {
        std::size_t next = begin;
        if (!is_space(unicode::next_code_point(text.text, next))) break;
        begin = next;
    }
    while (right && end > begin) {
        const std::size_t previous = unicode::previous_start(text.text, end);
        std::size_t at = previous;
        if (!is_space(unicode::next_code_point(text.text, at))) break;
        end = previous;
    }
    text.text.erase(end), text.text.erase(0, begin);
    text.origin.erase(text.origin.begin() + static_cast<std::ptrdiff_t>(end), text.origin.end());
    text.origin.erase(text.origin.begin(), text.origin.begin() + static_cast<std::ptrdiff_t>(begin));
}

}  // namespace morsel
