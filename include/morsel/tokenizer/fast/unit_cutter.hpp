// Units: stretches of text that a tokenizer without a split pattern treats one by one all the same, so that each can be looked up in a
// memory (word_encoder.hpp). Two rules:
//   spaced units  begin at a run of spaces: SentencePiece-like models, where a space is the first character of a word; for BPE wherever the
//                 vocabulary proves that no token joins the characters (token_pairs.hpp), for others beside characters that no normalizer
//                 makes white space of
//   BERT units    an ideograph, an ASCII punctuation mark, or what stands between those and white space; with the space before it
// A border that is not needed costs nothing but time; one that is wrong gives wrong ids. So both rules cut less than could be.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/unicode/properties.hpp"

namespace morsel::fast {

namespace detail {

// Each rule fills space.bits[0 … words) for the bytes at `text`, of which `words` · 64 and 16 more are readable and those from `size` on are
// zeros, and gives false where they are no UTF-8.
struct SpacedUnits {
    template <MaskForm form> static bool starts(const CutRule& rule, const char* text, std::size_t words, CutSpace& space) noexcept {
        if (!masks_of<MaskRules{}, form>(text, words, space.masks)) return false;
        CharacterMasks before;
        for (std::size_t w = 0; w < words; ++w) {
            const CharacterMasks& m = space.masks[w];
            const std::uint64_t spaces = m.space & ~after(m.space, before.space);
            space.bits[w] = 0;
            if (!rule.pairs) {
                const bool white = rule.white_is_space;
                const std::uint64_t all = white ? m.blank | m.newline : m.space, runs = all & ~after(all, white ? before.blank | before.newline : before.space);
                const std::uint64_t plain = (m.letter | m.number) & ~high_bytes(text + 64 * w), between = runs & (m.space | m.newline) & plain << 1 & plain >> 1;  // ASCII
                space.bits[w] = between;
                for (std::uint64_t left = (w == 0 ? runs & ~std::uint64_t{1} : runs) & ~between; left != 0; left &= left - 1)
                    if (stands_alone(text, 64 * w + static_cast<std::size_t>(std::countr_zero(left)), 64 * words, white)) space.bits[w] |= left & (~left + 1);
            } else {
                // Between ASCII letters, and between a space and a letter, nobody need ask; within a run of spaces nobody may. Most vocabularies
                // hold no space behind a letter.
                const std::uint64_t may_ask = ~m.inner & ~(m.space & ~spaces);
                std::uint64_t ask = may_ask & (~(m.letter & after(m.letter | m.space, before.letter | before.space)) | after(m.inner, before.inner));
                if (w == 0) ask &= ~std::uint64_t{1};
                if (rule.letters_end_at_spaces) {
                    space.bits[w] = ask & spaces & after(m.letter & ~m.inner, before.letter & ~before.inner);
                    ask &= ~space.bits[w];
                }
                for (; ask != 0; ask &= ask - 1)
                    if (!may_meet(*rule.pairs, text + 64 * w + std::countr_zero(ask))) space.bits[w] |= ask & (~ask + 1);
            }
            before = m;
        }
        return true;
    }

  private:
    // Whether no normalizer makes more white space, or less, out of what is beside the run of spaces (or of \t \n \f \r, too) at `at`: it stands
    // between characters that stay what they are, or become letters or ASCII marks.
    static bool stands_alone(const char* text, std::size_t at, std::size_t size, bool white) noexcept {
        std::size_t lead = at - 1, end = at;
        while (lead > 0 && (text[lead] & '\xC0') == '\x80') --lead;
        while (end < size && (text[end] == ' ' || (white && (text[end] == '\t' || text[end] == '\n' || text[end] == '\f' || text[end] == '\r')))) ++end;
        return stays(text + lead) && end > at && end < size && stays(text + end);
    }
    // A bit for each of 64 bytes that is above 0x7F.
    static std::uint64_t high_bytes(const char* text) noexcept {
        std::uint64_t bits = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            std::uint64_t eight;
            std::memcpy(&eight, text + 8 * i, 8);
            bits |= ((eight >> 7 & 0x0101010101010101u) * 0x0102040810204080u >> 56) << (8 * i);
        }
        return bits;
    }
    // Of the character at `text`: a graphic one of ASCII, a letter of Latin, Greek, Cyrillic, Hebrew or Arabic, a dash or quotation mark, kana, an
    // ideograph, a Hangul syllable, a mark beside those, or a full-width form. Left out are marks that combine, and what some normalizer turns into
    // a space and a mark.
    static bool stays(const char* text) noexcept {
        const auto byte = [&](int i) { return static_cast<unsigned char>(text[i]); };
        const unsigned char lead = byte(0), second = byte(1), third = byte(2);
        if (lead < 0xC3) return lead > 0x20 && lead < 0x7F;
        if (lead < 0xD7) return lead <= 0xC9 || (lead == 0xCE && second >= 0x86) || lead == 0xCF || lead == 0xD0 || lead == 0xD1;
        switch (lead) {
            case 0xD7: return second >= 0x90 && second <= 0xAA;
            case 0xD8: return second >= 0xA0 || second == 0x8C || second == 0x9B || second == 0x9F;
            case 0xD9: return second <= 0x8A;
            case 0xE2: return second == 0x80 && third >= 0x90 && third <= 0xA7 && third != 0x97;                          // U+2010 … 2027 but 2017
            case 0xE3: return second == 0x80 ? third >= 0x81 && third <= 0x91 : second == 0x81 || second == 0x83 || (second == 0x82 && (third < 0x99 || third > 0x9C));
            case 0xE4: case 0xE5: case 0xE6: case 0xE7: case 0xE8: case 0xE9: case 0xEB: case 0xEC: return true;
            case 0xEA: return second >= 0xB0;
            case 0xED: return second < 0x9E;
            case 0xEF: return second == 0xBC || second == 0xBD;                                                           // U+FF00 … FF7F
            default: return false;
        }
    }
    // In tokens a space is U+2581.
    static bool may_meet(const TokenPairs& pairs, const char* at) noexcept {
        if (((at[-1] | at[0]) & '\x80') == 0) return pairs.ascii_may_meet(at[-1], at[0]);
        if (at[0] != ' ' && at[-1] != ' ') return pairs.may_meet(at);
        char marked[8] = {};
        if (at[-1] == ' ') marked[0] = '\x96', marked[1] = '\x81';
        else marked[1] = at[-1], marked[0] = (at[-1] & '\xC0') == '\x80' ? at[-2] : '\0';
        std::memcpy(marked + 2, at[0] == ' ' ? "\u2581" : at, 3);
        return pairs.may_meet(marked + 2);
    }
};

struct BertUnits {
    // Of 64 bytes.
    struct Masks {
        std::uint64_t white = 0;        // space \t \n \r; other white space stays within units
        std::uint64_t space = 0;        // U+0020
        std::uint64_t punctuation = 0;  // ASCII
        std::uint64_t ideograph = 0;    // all their bytes
        std::uint64_t inner = 0;        // bytes of a character but its first
    };

    template <MaskForm form> static bool starts(const CutRule&, const char* text, std::size_t words, CutSpace& space) noexcept {
        Masks before, m, next;
        std::uint64_t tails = 0, more_tails = 0;  // bytes that must be inner ones, of this word and of the next
        std::uint64_t high = ascii<form>(text, m);
        for (std::size_t w = 0; w < words; ++w) {
            const std::uint64_t next_high = w + 1 < words ? ascii<form>(text + 64 * (w + 1), next) : (next = {}, 0);
            tails = more_tails, more_tails = 0;
            for (std::uint64_t leads = high & ~m.inner; leads != 0; leads &= leads - 1) {
                const int at = std::countr_zero(leads);
                const unicode::CodePoint point = decode_checked(text + 64 * w + at);
                if (point.size == 0) return false;
                const std::uint64_t all = (std::uint64_t{1} << point.size) - 1;
                const std::uint64_t beyond = at + static_cast<int>(point.size) > 64 ? all >> (64 - at) : 0;
                tails |= all << at & ~(std::uint64_t{1} << at), more_tails |= beyond;
                if (unicode::is_bert_cjk(point.value)) m.ideograph |= all << at, next.ideograph |= beyond;
            }
            if (tails != m.inner) return false;
            const std::uint64_t word = ~(m.white | m.punctuation | m.ideograph), word_before = ~(before.white | before.punctuation | before.ideograph);
            const std::uint64_t after_space = after(m.space, before.space), after_line = after(m.white & ~m.space, before.white & ~before.space);
            const std::uint64_t alone = (m.punctuation | (m.ideograph & ~m.inner)) | (word & ~after(word, w > 0 ? word_before : 0));
            space.bits[w] = (alone & ~after_space) | (~m.white & after_line) | (m.white & ~after(m.white, before.white)) | (m.space & ahead(~m.white, ~next.white));
            before = m, m = next, high = next_high;
        }
        return true;
    }

  private:
    template <MaskForm form> static std::uint64_t ascii(const char* text, Masks& m) noexcept {
#if defined(__x86_64__)
        if constexpr (form == MaskForm::avx512) return ascii_wide(text, m);
        if constexpr (form == MaskForm::avx2) return ascii_avx2(text, m);
#endif
        std::uint64_t high = 0;
        m = {};
#if defined(__SSE2__)
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 16 * i));
            high |= bits(v, i);
            m.space |= bits(equals(v, ' '), i);
            m.white |= bits(_mm_or_si128(in_range(v, '\t', 2), equals(v, '\r')), i);
            const __m128i lower = _mm_or_si128(in_range(v, 0x21, 15), in_range(v, 0x3A, 7)), upper = _mm_or_si128(in_range(v, 0x5B, 6), in_range(v, 0x7B, 4));
            m.punctuation |= bits(_mm_or_si128(lower, upper), i);
            m.inner |= bits(_mm_cmpgt_epi8(_mm_set1_epi8(-64), v), i);
        }
        m.white |= m.space;
#else
        for (std::size_t i = 0; i < 64; ++i) {
            const auto byte = static_cast<unsigned char>(text[i]);
            const std::uint64_t bit = std::uint64_t{1} << i;
            if (byte >= 128) high |= bit;
            if (byte == ' ') m.space |= bit;
            if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') m.white |= bit;
            if (unicode::is_ascii_punctuation(byte)) m.punctuation |= bit;
            if ((byte & 0xC0) == 0x80) m.inner |= bit;
        }
#endif
        return high;
    }

#if defined(__x86_64__)
    [[gnu::target("avx512f,avx512bw")]] static std::uint64_t ascii_wide(const char* text, Masks& m) noexcept {
        const __m512i v = _mm512_loadu_si512(text);
        m = {};
        m.space = equal_mask(v, ' ');
        m.white = m.space | range_mask(v, '\t', 2) | equal_mask(v, '\r');
        m.punctuation = range_mask(v, 0x21, 15) | range_mask(v, 0x3A, 7) | range_mask(v, 0x5B, 6) | range_mask(v, 0x7B, 4);
        m.inner = inner_mask(v);
        return _mm512_movepi8_mask(v);
    }
    [[gnu::target("avx2")]] static std::uint64_t ascii_avx2(const char* text, Masks& m) noexcept {
        Masks found;
        std::uint64_t high = 0;
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
            const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text + 32 * i));
            high |= bits_32(v, i);
            found.space |= bits_32(equals_32(v, ' '), i);
            found.white |= bits_32(_mm256_or_si256(in_range_32(v, '\t', 2), equals_32(v, '\r')), i);
            const __m256i lower = _mm256_or_si256(in_range_32(v, 0x21, 15), in_range_32(v, 0x3A, 7));
            const __m256i upper = _mm256_or_si256(in_range_32(v, 0x5B, 6), in_range_32(v, 0x7B, 4));
            found.punctuation |= bits_32(_mm256_or_si256(lower, upper), i);
            found.inner |= bits_32(_mm256_cmpgt_epi8(_mm256_set1_epi8(-64), v), i);
        }
        found.white |= found.space;
        m = found;
        return high;
    }
#endif
};

// The first start at a byte in [1, limit) of bits; `limit` where there is none.
inline std::size_t first_start(const std::uint64_t* bits, std::size_t limit) noexcept {
    for (std::size_t w = 0; 64 * w < limit; ++w)
        if (const std::uint64_t left = w == 0 ? bits[0] & ~std::uint64_t{1} : bits[w]; left != 0)
            return std::min(limit, 64 * w + static_cast<std::size_t>(std::countr_zero(left)));
    return limit;
}
// The last one; 0 where there is none.
inline std::size_t last_start(const std::uint64_t* bits, std::size_t limit) noexcept {
    for (std::size_t w = (limit + 63) / 64; w-- > 0;) {
        std::uint64_t left = bits[w];
        if (limit - 64 * w < 64) left &= (std::uint64_t{1} << (limit - 64 * w)) - 1;
        if (w == 0) left &= ~std::uint64_t{1};
        if (left != 0) return 64 * w + 63 - static_cast<std::size_t>(std::countl_zero(left));
    }
    return 0;
}

}  // namespace detail

// For PieceCutter: units by detail::SpacedUnits or detail::BertUnits. `form`: of wide_masks.hpp.
template <class Units, MaskForm form> Pieces cut_units(const CutRule& rule, std::string_view text, CutSpace& space) noexcept {
    using namespace detail;
    // Borders depend on the characters beside them, so those of a chunk are sure but for its last ones.
    const auto chunk = [&](std::string_view part) -> const char* {  // null: no UTF-8
        const char* bytes = part.data();
        std::size_t words = chunk_bytes / 64;
        if (part.size() <= last_chunk_bytes) {
            words = (part.size() + 63) / 64;
            bytes = copy_last(part, space);
        }
        if (!Units::template starts<form>(rule, bytes, words, space)) return nullptr;
        if (part.size() <= last_chunk_bytes && part.size() % 64 != 0) space.bits[words - 1] &= (std::uint64_t{1} << (part.size() % 64)) - 1;
        space.bits[0] |= 1;
        return bytes;
    };
    const char* bytes = chunk(text);
    if (bytes == nullptr) return {};
    if (text.size() <= last_chunk_bytes) {
        const std::size_t count = places_of<form>(space.bits, (text.size() + 63) / 64, space.starts);
        space.starts[count] = static_cast<std::uint32_t>(text.size());
        return {bytes, count, text.size()};
    }
    constexpr std::size_t sure = chunk_bytes - 8;
    if (const std::size_t end = last_start(space.bits, sure); end > 0) {
        space.bits[end / 64] &= (std::uint64_t{1} << (end % 64)) - 1;
        const std::size_t count = places_of<form>(space.bits, end / 64 + 1, space.starts);
        space.starts[count] = static_cast<std::uint32_t>(end);
        return {bytes, count, end};
    }
    // One unit longer than a chunk: look for its end. A border right where a chunk begins is not seen, and not needed.
    std::size_t end = 0, from = 0;
    do {
        from += sure;
        while ((text[from] & '\xC0') == '\x80') --from;
        const std::string_view rest = text.substr(from);
        if (chunk(rest) == nullptr) return {};
        const std::size_t limit = rest.size() <= last_chunk_bytes ? rest.size() : sure;
        const std::size_t found = first_start(space.bits, limit);
        if (found < limit || limit == rest.size()) end = from + found;
    } while (end == 0);
    if (end >= std::size_t{1} << 32) return {};
    space.starts[0] = 0, space.starts[1] = static_cast<std::uint32_t>(end);
    return {text.data(), 1, end};
}

template <class Units> PieceCutter unit_cutter(CutRule rule, MaskForm form = mask_form()) noexcept {
    return PieceCutter(std::move(rule), with_mask_form(form, [&]<MaskForm known>() { return &cut_units<Units, known>; }));  // [&]: nvcc warns of what could become a function pointer
}

}  // namespace morsel::fast
