// UTF-8: reading and writing code points, and what to do with bytes that are no UTF-8.
// The river's first step, bytes → code points. The Unicode Standard, section 3.9: a maximal subpart of an ill-formed sequence
// (the bytes up to the first that cannot continue it) counts as one U+FFFD, which is what Python's errors="replace" and Rust's
// from_utf8_lossy do. Everything after to_valid_utf8 may assume valid text and uses next_code_point without checks on content.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace morsel::unicode {

inline constexpr char32_t replacement_character = 0xFFFD;

// A code point and the bytes it took; size 0 only at the end of the text.
struct CodePoint {
    char32_t value = 0;
    std::uint32_t size = 0;  // bytes
    bool valid = true;       // false: `value` is U+FFFD for a maximal invalid subpart of `size` bytes
};

// The code point at byte `position` of any bytes, never reading past the end.
inline CodePoint decode(std::string_view text, std::size_t position) noexcept {
    if (position >= text.size()) return {0, 0, true};
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[position + i]); };
    const std::size_t left = text.size() - position;
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    // The lead fixes the length and the range of the second byte: this excludes overlong forms, surrogates and values past 10FFFF.
    std::uint32_t length = 0;
    unsigned char low = 0x80, high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) length = 2;
    else if (lead >= 0xE0 && lead <= 0xEF) length = 3, low = lead == 0xE0 ? 0xA0 : 0x80, high = lead == 0xED ? 0x9F : 0xBF;
    else if (lead >= 0xF0 && lead <= 0xF4) length = 4, low = lead == 0xF0 ? 0x90 : 0x80, high = lead == 0xF4 ? 0x8F : 0xBF;
    else return {replacement_character, 1, false};
    char32_t value = lead & (0xFFu >> (length + 1));
    for (std::uint32_t i = 1; i < length; ++i) {
        if (i >= left || byte(i) < low || byte(i) > high) return {replacement_character, i, false};
        value = (value << 6) | (byte(i) & 0x3Fu);
        low = 0x80, high = 0xBF;
    }
    return {value, length, true};
}

// Bytes of the character that begins with `lead`, in valid UTF-8.
inline std::size_t size_of_lead(char lead) noexcept {
    const int ones = std::countl_one(static_cast<unsigned char>(lead));
    return ones == 0 ? 1 : static_cast<std::size_t>(ones);
}

// The code point at `position`, which it moves past. Meant for valid UTF-8; on any other bytes it gives U+FFFD and goes on.
inline char32_t next_code_point(std::string_view text, std::size_t& position) noexcept {
    const auto lead = static_cast<unsigned char>(text[position]);
    if (lead < 0x80) return ++position, lead;
    const CodePoint point = decode(text, position);
    position += point.size;
    return point.value;
}

// Where the code point before `position` begins (position > 0). Steps over at most three continuation bytes.
inline std::size_t previous_start(std::string_view text, std::size_t position) noexcept {
    std::size_t start = position - 1;
    while (start > 0 && position - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    return start;
}

// Bytes that a code point takes in UTF-8.
inline constexpr std::size_t encoded_size(char32_t c) noexcept { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

// Writes `c` to `out` (room for 4 bytes) and returns its size. Surrogates and values past 10FFFF are written as U+FFFD.
inline std::size_t encode(char32_t c, char* out) noexcept {
    if ((c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) c = replacement_character;
    const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
    if (c < 0x80) return out[0] = static_cast<char>(c), 1;
    if (c < 0x800) return out[0] = static_cast<char>(0xC0 | (c >> 6)), out[1] = tail(0), 2;
    if (c < 0x10000) return out[0] = static_cast<char>(0xE0 | (c >> 12)), out[1] = tail(6), out[2] = tail(0), 3;
    return out[0] = static_cast<char>(0xF0 | (c >> 18)), out[1] = tail(12), out[2] = tail(6), out[3] = tail(0), 4;
}

// Appends `c`; surrogates and values past 10FFFF become U+FFFD.
inline void append(std::string& text, char32_t c) {
    char bytes[4];
    text.append(bytes, encode(c, bytes));
}

// How many bytes from `position` on are ASCII; eight at a time.
inline std::size_t ascii_run(std::string_view text, std::size_t position = 0) noexcept {
    std::size_t i = position;
    for (; i + 8 <= text.size(); i += 8) {
        std::uint64_t word;
        std::memcpy(&word, text.data() + i, 8);
        word &= 0x8080808080808080u;
        if (word != 0) return i - position + static_cast<std::size_t>(std::countr_zero(word)) / 8;
    }
    while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
    return i - position;
}

// Bytes of the longest valid prefix; text.size() where all is valid.
inline std::size_t valid_prefix(std::string_view text) noexcept {
    std::size_t i = 0;
    while (i < text.size()) {
        if (static_cast<unsigned char>(text[i]) < 0x80) {
            i += ascii_run(text, i);
            continue;
        }
        const CodePoint point = decode(text, i);
        if (!point.valid) return i;
        i += point.size;
    }
    return i;
}

inline bool is_valid_utf8(std::string_view text) noexcept { return valid_prefix(text) == text.size(); }

// The text with every maximal invalid subpart replaced by U+FFFD.
inline std::string to_valid_utf8(std::string_view text) {
    std::string out(text.substr(0, valid_prefix(text)));
    std::size_t i = out.size();
    if (i < text.size()) out.reserve(text.size() + text.size() / 8 + 8);
    while (i < text.size()) {
        const CodePoint point = decode(text, i);
        if (point.valid) out.append(text, i, point.size);
        else append(out, replacement_character);
        i += point.size;
    }
    return out;
}

// Code points of valid UTF-8 (of any bytes: those that are no continuation).
inline std::size_t count_code_points(std::string_view text) noexcept {
    std::size_t count = 0;
    for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return count;
}

}  // namespace morsel::unicode
