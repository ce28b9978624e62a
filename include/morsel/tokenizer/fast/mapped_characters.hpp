// What a normalizer makes of one character wherever it stands among others: for characters that no neighbour changes, which are most letters,
// ideographs and marks of punctuation. Marks that combine, Hangul letters that join to syllables and the like are left out, so each of
// these is a grapheme of its own (UAX #29), and none is ever composed with the one before it (UAX #15).
// Found one by one, when they are first met.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "morsel/tokenizer/text/normalizers.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::fast {

class MappedCharacters {
  public:
    // One graphic character or a space (U+0020); 0 where it is something else, or depends.
    // `normalizer`: the same in every call, of steps that leave white space where it is (PlainUnits::stays_within_units).
    char32_t operator()(const std::optional<Normalizer>& normalizer, char32_t c) {
        if (c >= 0x10000 || !stands_alone(c)) return 0;
        std::uint16_t& block = blocks_[c / 256];
        if (block == 0) {
            known_.resize(known_.size() + 256, unknown);
            block = static_cast<std::uint16_t>(known_.size() / 256);
        }
        char16_t& known = known_[(block - 1u) * 256 + c % 256];
        if (known == unknown) known = normalized(normalizer, c);
        return known;
    }

    // The same without memory, for ASCII characters, too; of others only those that stand alone may be asked for.
    static char16_t normalized(const std::optional<Normalizer>& normalizer, char32_t c) {
        std::string character;
        unicode::append(character, c);
        AlignedText text = aligned(character);
        for (std::size_t i = 0; normalizer && i < normalizer->steps.size(); ++i) {
            const auto& step = normalizer->steps[i];
            if (const auto* replace = std::get_if<ReplaceNormalizer>(&step))
                if (const auto* literal = std::get_if<std::string>(&replace->pattern.matcher); literal != nullptr && literal->find_first_of(text.text) != literal->npos) return 0;
            std::visit([&](const auto& s) { morsel::detail::apply(s, text); }, step);
        }
        const unicode::CodePoint point = unicode::decode(text.text, 0);
        const bool fits = (point.value >= 0x20 && point.value < 0x7F) || (point.value < 0x10000 && stands_alone(point.value) && !is_white(point.value));
        return point.size == text.text.size() && fits ? static_cast<char16_t>(point.value) : char16_t{0};
    }

  private:
    static constexpr char16_t unknown = 0xFFFF;

    struct Range {
        char32_t first, last;
    };
    // Letters of Latin, Greek, Cyrillic, Armenian, Hebrew and Arabic; punctuation; symbols but U+2581; two spaces; kana, ideographs, Hangul
    // syllables; full-width forms.
    static constexpr Range alone[] = {{0xA0, 0x2AF},    {0x370, 0x482},   {0x48A, 0x556},   {0x5D0, 0x5EA},   {0x620, 0x64A},   {0x660, 0x66F},   {0x671, 0x6D5},  {0x2010, 0x2027},
                                      {0x2030, 0x205E}, {0x2100, 0x257F}, {0x25A0, 0x2BFF}, {0x3000, 0x3029}, {0x3041, 0x3096}, {0x309D, 0x30FF}, {0x3400, 0x9FFF}, {0xAC00, 0xD7A3},
                                      {0xFF01, 0xFF60}};
    static bool stands_alone(char32_t c) noexcept {
        const auto* const range = std::lower_bound(std::begin(alone), std::end(alone), c, [](const Range& r, char32_t value) { return r.last < value; });
        return range != std::end(alone) && range->first <= c;
    }

    static bool is_white(char32_t c) noexcept { return c == 0xA0 || c == 0x3000; }

    std::array<std::uint16_t, 256> blocks_ = {};  // of 256 code points: 1 + its place in known_, 0 where it has none yet
    std::vector<char16_t> known_;                 // [blocks][256]
};

}  // namespace morsel::fast
