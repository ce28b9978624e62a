// The byte alphabet of byte-level tokenizers (GPT-2): each of the 256 bytes as one visible character, so that a vocabulary is
// plain text. Printable ASCII and Latin-1 stand for themselves, the other 68 bytes for U+0100 and on, in order.
#pragma once
#include <array>
#include <cstdint>

#include "morsel/tokenizer/text/aligned_text.hpp"

namespace morsel {

// The character of every byte.
inline constexpr std::array<char32_t, 256> byte_to_character = [] {
    std::array<char32_t, 256> table{};
    char32_t next = 0x100;
    for (char32_t b = 0; b < 256; ++b) {
        const bool itself = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
        table[b] = itself ? b : next++;
    }
    return table;
}();

// The byte of a character of that alphabet, or -1.
inline constexpr int character_to_byte(char32_t c) {
    constexpr auto table = [] {
        std::array<std::int16_t, 0x144> inverse{};
        inverse.fill(-1);
        for (int b = 0; b < 256; ++b) inverse[byte_to_character[static_cast<std::size_t>(b)]] = static_cast<std::int16_t>(b);
        return inverse;
    }();
    return c < table.size() ? table[c] : -1;
}

// Every byte of the text becomes its character; all characters of a code point keep that code point's origin.
inline void to_byte_level(AlignedText& text) {
    detail::AlignedWriter out(text);
    for (std::size_t i = 0; i < text.text.size(); ++i) out.put(byte_to_character[static_cast<unsigned char>(text.text[i])], text.origin[i]);
    text.text = std::move(out.text);
    text.origin = std::move(out.origin);
}

}  // namespace morsel
