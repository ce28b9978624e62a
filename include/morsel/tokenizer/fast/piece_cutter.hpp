// Cuts a text into the pieces of a split pattern, some 4 KB at a time: the first half of the fast way from text to ids
// (word_encoder.hpp is the other). Known patterns are cut by bit masks (character_masks.hpp, piece_starts.hpp), any other scanner is
// called piece by piece. Nothing but borders comes out: the pieces are bytes of the text.
// Runs of ideographs may be cut once more, between characters that no token holds side by side (token_pairs.hpp).
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "morsel/tokenizer/fast/piece_starts.hpp"
#include "morsel/tokenizer/fast/token_pairs.hpp"
#include "morsel/tokenizer/fast/wide_masks.hpp"
#include "morsel/tokenizer/splitting/split_patterns.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::fast {

inline constexpr std::size_t chunk_bytes = 4032;      // whole words of masks
inline constexpr std::size_t last_chunk_bytes = 4096;  // a text of at most so many bytes is one chunk

// What cutting needs to write to; 32 KB.
struct CutSpace {
    std::uint32_t starts[last_chunk_bytes + 16];  // bytes, from Pieces::text on
    std::uint64_t bits[last_chunk_bytes / 64 + 2], suspects[last_chunk_bytes / 64 + 2];
    CharacterMasks masks[last_chunk_bytes / 64 + 1];
    char last[last_chunk_bytes + 64];  // the end of a text, with zeros behind it
    bool cut_inside = false;           // set when a piece has been cut once more
};

// Pieces from a place of the text on: piece i is the bytes space.starts[i] … space.starts[i + 1] of `text`, which is the place in the
// text or a copy, and 16 bytes from the beginning of every piece are readable.
struct Pieces {
    const char* text = nullptr;
    std::size_t count = 0;  // 0: no UTF-8
    std::size_t bytes = 0;  // of all pieces together
};

// How to cut.
struct CutRule {
    SplitScanner scanner = {};
    std::shared_ptr<const TokenPairs> pairs = {};  // null: no cuts but those of the scanner
    bool white_is_space = false;                   // for SpacedUnits: the normalizer makes spaces of \t \n \f \r
    bool letters_end_at_spaces = false;            // for SpacedUnits: no token holds an ASCII letter and a space behind it
};

namespace detail {

// The place of every set bit; up to 7 numbers more are written. Eight at a time, because the end of a loop that goes once for every
// bit is guessed wrong for every word.
[[gnu::always_inline]] inline std::size_t positions(const std::uint64_t* bits, std::size_t words, std::uint32_t* out) noexcept {
    std::uint32_t* const begin = out;
    for (std::size_t w = 0; w < words; ++w) {
        std::uint64_t left = bits[w];
        if (left == 0) continue;
        const auto base = static_cast<std::uint32_t>(64 * w);
        std::uint64_t count = left - (left >> 1 & 0x5555555555555555u);
        count = (count & 0x3333333333333333u) + (count >> 2 & 0x3333333333333333u);
        count = ((count + (count >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56;
        std::uint32_t* at = out;
        do {
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) {
                *at++ = base + static_cast<std::uint32_t>(std::countr_zero(left | std::uint64_t{1} << 63));
                left &= left - 1;
            }
        } while (left != 0);
        out += count;
    }
    return static_cast<std::size_t>(out - begin);
}

// The two steps that have wide forms.
template <MaskRules rules, MaskForm form> [[gnu::always_inline]] inline bool masks_of(const char* text, std::size_t words, CharacterMasks* m) noexcept {
#if defined(__x86_64__)
    if constexpr (form == MaskForm::avx512) return character_masks_wide<rules>(text, words, m);
    if constexpr (form == MaskForm::avx2) return character_masks_avx2<rules>(text, words, m);
#endif
    return character_masks<rules>(text, words, m);
}
template <MaskForm form> [[gnu::always_inline]] inline std::size_t places_of(const std::uint64_t* bits, std::size_t words, std::uint32_t* out) noexcept {
#if defined(__x86_64__)
    if constexpr (form == MaskForm::avx512) return positions_wide(bits, words, out);
    if constexpr (form == MaskForm::avx2) return positions_bmi(bits, words, out);
#endif
    return positions(bits, words, out);
}

// The last piece start, but for the first, that no text behind the masks can change: it is not near the end, and what is before it is
// no white space. 0 where there is none.
inline std::size_t last_sure_start(const CutSpace& space, std::size_t words) noexcept {
    for (std::size_t w = words; w-- > 0;) {
        const CharacterMasks& m = space.masks[w];
        const std::uint64_t white_before = w > 0 ? space.masks[w - 1].blank | space.masks[w - 1].newline : 0;
        std::uint64_t sure = space.bits[w] & ~after(m.blank | m.newline, white_before);
        if (w + 1 == words) sure &= ~std::uint64_t{0} >> 8;
        if (w == 0) sure &= ~std::uint64_t{1};
        if (sure != 0) return 64 * w + 63 - static_cast<std::size_t>(std::countl_zero(sure));
    }
    return 0;
}

// A copy of the end of a text, at most last_chunk_bytes, with zeros up to a whole word of masks and 16 bytes more.
inline const char* copy_last(std::string_view text, CutSpace& space) noexcept {
    std::memcpy(space.last, text.data(), text.size());
    std::memset(space.last + text.size(), 0, (64 - text.size() % 64) % 64 + 16);
    return space.last;
}

// One piece by its scanner.
inline Pieces one_piece(const SplitScanner& scanner, std::string_view text, CutSpace& space) noexcept {
    const std::size_t end = scanner.next(text, 0);
    if (end >= std::size_t{1} << 32 || !unicode::is_valid_utf8(text.substr(0, end))) return {};
    space.starts[0] = 0, space.starts[1] = static_cast<std::uint32_t>(end);
    return {text.data(), 1, end};
}

// Adds cuts between letters of three bytes, from U+3000 to U+9FFF, that no token holds side by side: may_meet(text) tells of those before and at it.
template <class MayMeet> [[gnu::always_inline]] inline void cut_ideographs_by(MayMeet&& may_meet, const char* text, std::size_t words, CutSpace& space) noexcept {
    std::uint64_t before = 0;
    for (std::size_t w = 0; w < words; ++w) {
        const CharacterMasks& m = space.masks[w];
        const std::uint64_t third = m.inner >> 2 | space.masks[w + 1].inner << 62;
        const std::uint64_t inside = m.letter & ~m.inner & third & after(m.inner, before);  // of at least three bytes, right behind a character of several
        before = m.inner;
        std::uint64_t cuts = 0;  // without a branch on whether they meet, which is anybody's guess
        for (std::uint64_t left = inside & ~space.bits[w]; left != 0; left &= left - 1) {
            const char* at = text + 64 * w + std::countr_zero(left);
            if (static_cast<unsigned char>(*at) - 0xE3u > 6) continue;
            cuts |= left & (~left + 1) & (std::uint64_t{0} - std::uint64_t{!may_meet(at)});
        }
        space.bits[w] |= cuts, space.cut_inside |= cuts != 0;
    }
}
inline void cut_ideographs(const TokenPairs& pairs, const char* text, std::size_t words, CutSpace& space) noexcept {
    if (pairs.is_simple()) cut_ideographs_by([&](const char* at) __attribute__((always_inline)) { return pairs.simple_may_meet(at); }, text, words, space);
    else cut_ideographs_by([&](const char* at) { return pairs.may_meet(at); }, text, words, space);
}

// `Rule` has static members rules (MaskRules) and starts(text, masks, words, space). `form`: of wide_masks.hpp.
template <class Rule, MaskForm form> Pieces cut_by_masks(const CutRule& rule, std::string_view text, CutSpace& space) noexcept {
    const bool last = text.size() <= last_chunk_bytes;
    const std::size_t words = last ? (text.size() + 63) / 64 : chunk_bytes / 64;
    if (last) text = {copy_last(text, space), text.size()};
    if (!masks_of<Rule::rules, form>(text.data(), words, space.masks)) return {};
    if (const std::size_t left = text.size() % 64; last && left != 0) {  // zeros are no text
        CharacterMasks& m = space.masks[words - 1];
        m.rest &= (std::uint64_t{1} << left) - 1;
    }
    Rule::starts(text, space.masks, words, space);
    if (rule.pairs) cut_ideographs(*rule.pairs, text.data(), words, space);
    if (last) {
        const std::size_t count = places_of<form>(space.bits, words, space.starts);
        space.starts[count] = static_cast<std::uint32_t>(text.size());
        return {text.data(), count, text.size()};
    }
    const std::size_t end = last_sure_start(space, words);
    if (end == 0) return one_piece(rule.scanner, text, space);
    space.bits[end / 64] &= (std::uint64_t{1} << (end % 64)) - 1;
    const std::size_t count = places_of<form>(space.bits, end / 64 + 1, space.starts);
    space.starts[count] = static_cast<std::uint32_t>(end);
    return {text.data(), count, end};
}

inline Pieces cut_by_scanner(const CutRule& rule, std::string_view text, CutSpace& space) noexcept {
    const std::size_t limit = std::min(text.size(), chunk_bytes);
    std::size_t count = 0, at = 0;
    while (at < limit) {
        space.starts[count++] = static_cast<std::uint32_t>(at);
        at = rule.scanner.next(text, at);
        if (at >= std::size_t{1} << 32) return {};
    }
    space.starts[count] = static_cast<std::uint32_t>(at);
    if (!unicode::is_valid_utf8(text.substr(0, at))) return {};
    return {text.size() > last_chunk_bytes ? text.data() : copy_last(text, space), count, at};
}

template <bool single_numbers> struct Gpt2Rule {
    static constexpr MaskRules rules = {};
    [[gnu::always_inline]] static void starts(std::string_view text, const CharacterMasks* m, std::size_t words, CutSpace& space) noexcept {
        starts_gpt2<single_numbers>(text, m, words, space.bits);
    }
};
template <int max_digits, bool whole_tail, bool with_marks> struct Cl100kRule {
    static constexpr MaskRules rules = {.marks_are_letters = with_marks};
    [[gnu::always_inline]] static void starts(std::string_view text, const CharacterMasks* m, std::size_t words, CutSpace& space) noexcept {
        starts_cl100k<max_digits, whole_tail>(text, m, words, space.bits);
    }
};
template <bool contractions, int max_digits> struct O200kRule {
    static constexpr MaskRules rules = {.cases = true};
    [[gnu::always_inline]] static void starts(std::string_view text, const CharacterMasks* m, std::size_t words, CutSpace& space) noexcept {
        starts_o200k<contractions, max_digits>(text, m, words, space.bits, space.suspects);
    }
};

}  // namespace detail

class PieceCutter {
  public:
    using Cut = Pieces (*)(const CutRule&, std::string_view, CutSpace&) noexcept;

    PieceCutter() = default;
    PieceCutter(CutRule rule, Cut cut) noexcept : rule_(std::move(rule)), cut_(cut) {}
    explicit PieceCutter(const SplitScanner& scanner, std::shared_ptr<const TokenPairs> pairs = {}, MaskForm form = mask_form()) noexcept
        : rule_{scanner, std::move(pairs)}, cut_(with_mask_form(form, [&]<MaskForm known>() { return cut_for<known>(scanner); })) {}

    // The pieces from `begin` < text.size() on, which must be the beginning of one. Gives count 0 where the text is no UTF-8.
    Pieces cut(std::string_view text, std::size_t begin, CutSpace& space) const noexcept { return cut_(rule_, text.substr(begin), space); }

  private:
    template <MaskForm form> static Cut cut_for(const SplitScanner& scanner) noexcept {
        const auto is = [&](const SplitScanner& known) { return scanner.next == known.next; };
        using namespace detail;
        if (is(split::gpt2)) return &cut_by_masks<Gpt2Rule<false>, form>;
        if (is(split::smollm)) return &cut_by_masks<Gpt2Rule<true>, form>;
        if (is(split::llama3)) return &cut_by_masks<Cl100kRule<3, false, false>, form>;
        if (is(split::cl100k_tiktoken)) return &cut_by_masks<Cl100kRule<3, true, false>, form>;
        if (is(split::qwen2)) return &cut_by_masks<Cl100kRule<1, false, false>, form>;
        if (is(split::qwen35)) return &cut_by_masks<Cl100kRule<1, false, true>, form>;
        if (is(split::o200k)) return &cut_by_masks<O200kRule<true, 3>, form>;
        if (is(split::tekken)) return &cut_by_masks<O200kRule<false, 1>, form>;
        return &cut_by_scanner;
    }

    CutRule rule_ = {};
    Cut cut_ = nullptr;
};

}  // namespace morsel::fast
