// Pieces of text that normalizers and pre-tokenizers treat in ways of their own: characters that combine, that change alone or beside others, that
// are white space, and that become it.
#pragma once
#include <iterator>
#include <random>
#include <string>

#include "morsel/tokenizer/tokenizer.hpp"
#include "morsel/unicode/utf8.hpp"
#include "support/catch.hpp"

namespace morsel_test {

namespace unicode = morsel::unicode;

// One of many, or any character of the first planes.
inline std::string random_part(std::mt19937& random) {
    static const char* const parts[] = {
        "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\f", "\x0b", "\x01", "\x7f", "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085", "\u00ad", "\u200b", "\u200d", "\ufe0f", "\ufeff",
        "\u2581", "\u2581\u2581", "\u00a8", "\u00b4", "\u00b8", "\u0301", "\u0308", "\u0323", "\u064b", "\u0651", "\u093c", "\u094d", "\u3099", "\u309a", "\u309b",
        "the", "The", " word", "ization", "A\u0301", "B", "e\u0301", "e\u0301\u0323", "o\u0308\u0304", "\u00e9", "\u00c5", "\u00aa", "\u00b5", "\u0130", "\u0149", "\u01c6", "\u03a3",
        "\u03c3", "\u0384", "\u0391", "\u0411\u044b", "\u0419", "\u05d0", "\u05b0", "\u0622", "\u0644\u0627", "\u0675", "\u060c", "\u0600", "\u0661", "\u0915", "\u0928", "\u093f",
        "\u0e01", "\u0e33", "\u0e44\u0e17\u0e22", "\u1100", "\u1161", "\u11a8", "\u1112\u1161\u11ab", "\uac00", "\uac01", "\u4e2d\u6587", "\u3042", "\u304b", "\u30ab", "\u30fc", "\u3001",
        "\u3002", "\uff0c", "\uff21", "\uff22", "\uff76", "\uff76\uff9e", "\uff9e", "\uffe3", "\ufb01", "\ufdfa", "\u2026", "\u2014", "\u2019", "\u2017", "\u203c", "\u2192", "\u00ab",
        "\u2160", "\u2167", "\u3392", "\U0001f4cc", "\U0001f468\u200d", "\U0001f1e9", "\U0001f3fb", "\U00020000", "``", "''", "12", ".", "...", "-", "\"", "x"};
    switch (random() % 4) {
        case 0: return " ";
        case 1: return std::string(1, static_cast<char>('a' + random() % 26));
        default: break;
    }
    if (random() % 12 != 0) return parts[random() % std::size(parts)];
    std::string character;
    unicode::append(character, static_cast<char32_t>(random() % (random() % 4 == 0 ? 0x11000 : 0x3400)));
    return character;
}

// Has every way of encoding give what the plain pipeline gives, on `rounds` texts of such pieces.
inline void require_what_the_pipeline_gives(const morsel::Tokenizer& tokenizer, std::mt19937& random, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        std::string text;
        for (std::size_t n = random() % 30; n > 0; --n) text += random_part(random);
        const morsel::Encoding expected = tokenizer.encode_plainly(text), encoding = tokenizer.encode(text);
        const morsel::IdsWithOffsets placed = tokenizer.encode_with_offsets(text);
        INFO(text);
        REQUIRE(tokenizer.encode_ids(text) == expected.ids);
        REQUIRE(placed.ids == expected.ids);
        REQUIRE(placed.offsets == expected.offsets);
        REQUIRE(encoding.tokens == expected.tokens);
        REQUIRE(encoding.word_ids == expected.word_ids);
    }
}

}  // namespace morsel_test
