// Offsets in other units. Encodings count bytes of UTF-8, as C++ strings do; Python counts code points, JavaScript, Java and C# UTF-16 units.
// What is no UTF-8 counts as the U+FFFD it stands for, one for each maximal invalid subpart. One pass over the text, then constant time for
// each offset, in any order.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/tokenizer/encoding.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

enum class OffsetUnit : std::uint8_t { byte, code_point, utf16 };

// The place of every byte of one text in that unit. Keeps a view of the text.
class OffsetIndex {
  public:
    OffsetIndex(std::string_view text, OffsetUnit unit) : text_(text), unit_(unit) {
        if (unit == OffsetUnit::byte) return;
        marks_.reserve(text.size() / block + 1);
        std::size_t units = 0, at = 0;
        for (;;) {
            if (at >= marks_.size() * block) marks_.push_back({at, units});  // a character is shorter than a block
            if (at >= text.size()) break;
            step(at, units);
        }
    }

    // Units before byte `offset`. Within a character: up to its start; offsets beyond the text count as its end.
    std::size_t floor(std::size_t offset) const noexcept { return find(offset).first; }
    // The same, but within a character up to its end.
    std::size_t ceil(std::size_t offset) const noexcept { return find(offset).second; }
    Span operator()(Span bytes) const noexcept { return {floor(bytes.begin), ceil(bytes.end)}; }

  private:
    static constexpr std::size_t block = 64;  // bytes
    struct Mark {
        std::size_t at = 0, units = 0;  // of the first character that begins in a block
    };

    void step(std::size_t& at, std::size_t& units) const noexcept {
        const unicode::CodePoint point = unicode::decode(text_, at);
        at += point.size;
        units += unit_ == OffsetUnit::utf16 && point.value > 0xFFFF ? 2 : 1;
    }
    std::pair<std::size_t, std::size_t> find(std::size_t offset) const noexcept {
        offset = std::min(offset, text_.size());
        if (unit_ == OffsetUnit::byte) return {offset, offset};
        std::size_t b = std::min(offset / block, marks_.size() - 1);
        if (marks_[b].at > offset) --b;  // within a character that began in the block before; the first mark is at 0
        auto [at, units] = marks_[b];
        std::size_t before = units;
        while (at < offset) before = units, step(at, units);
        return {at == offset ? units : before, units};
    }

    std::string_view text_;
    OffsetUnit unit_;
    std::vector<Mark> marks_ = {};
};

// Changes the offsets of an encoding, its overflowing windows included, from bytes to another unit. `text` and `pair` are what was encoded.
// Tokens that are not from a text keep {0, 0}.
inline void convert_offsets(Encoding& encoding, OffsetUnit unit, std::string_view text, std::string_view pair = {}) {
    if (unit == OffsetUnit::byte) return;
    const OffsetIndex first(text, unit), second(pair, unit);
    const auto convert = [&](Encoding& e) {
        for (std::size_t i = 0; i < e.size(); ++i)
            if (e.sequence_ids[i]) e.offsets[i] = (*e.sequence_ids[i] == 1 ? second : first)(e.offsets[i]);
    };
    convert(encoding);
    for (Encoding& window : encoding.overflowing) convert(window);
}

}  // namespace morsel
