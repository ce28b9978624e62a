// Ids together with the bytes of the text that they stand for: encode_words of word_encoder.hpp once more, with a memory of words of its
// own, whose numbers hold a token's place within its word beside its mark (id · 2, and 1 more where it begins a piece of the pre-tokenizer):
//   words of at most 15 bytes   mark · 256 + begin · 16 + end
//   others below 64 KiB         mark, begin · 65536 + end
//   longer ones                 are not remembered
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "morsel/tokenizer/fast/buffer.hpp"
#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/tokenizer/fast/word_batch.hpp"
#include "morsel/tokenizer/fast/word_cache.hpp"
#include "morsel/tokenizer/text/aligned_text.hpp"

namespace morsel::fast {

// A token and the bytes of its word that it stands for.
struct PlacedToken {
    TokenId id = 0;
    std::uint32_t begin = 0, end = 0;
    bool first = false;  // of its piece

    std::uint32_t mark() const noexcept { return id << 1 | first; }
};

// Ids must be below this.
inline constexpr std::uint64_t placed_id_bound = std::uint64_t{1} << 23;

// Bytes of a text below 4 GiB.
struct ShortSpan {
    std::uint32_t begin = 0, end = 0;
};

struct PlacedIds {
    Buffer<std::uint32_t> marks;
    Buffer<ShortSpan> spans;  // as many
    void push_back(std::uint32_t mark, std::size_t begin, std::size_t end) {
        marks.push_back(mark), spans.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    }
};

namespace detail {

// The numbers of a short word, four of them, useful or not.
[[gnu::always_inline]] inline void unpack_short(const std::uint32_t* packed, std::uint32_t origin, std::uint32_t* marks, ShortSpan* spans) noexcept {
#if defined(__SSE2__)
    const __m128i v = _mm_load_si128(reinterpret_cast<const __m128i*>(packed)), base = _mm_set1_epi32(static_cast<int>(origin)), nibble = _mm_set1_epi32(15);
    const __m128i begin = _mm_add_epi32(_mm_and_si128(_mm_srli_epi32(v, 4), nibble), base), end = _mm_add_epi32(_mm_and_si128(v, nibble), base);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(marks), _mm_srli_epi32(v, 8));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(spans), _mm_unpacklo_epi32(begin, end));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(spans + 2), _mm_unpackhi_epi32(begin, end));
#else
    for (std::size_t k = 0; k < 4; ++k) {
        marks[k] = packed[k] >> 8;
        spans[k] = {origin + (packed[k] >> 4 & 15), origin + (packed[k] & 15)};
    }
#endif
}

// The word that its home line does not hold.
template <class Miss>
[[gnu::noinline]] void place_other_word(std::string_view word, std::size_t origin, const WordKey& key, const WordCache::Line* home, WordCache& cache, std::vector<PlacedToken>& scratch, PlacedIds& out,
                                        Miss& miss) {
    const bool is_short = word.size() <= short_word;
    const std::uint64_t hash = is_short ? 0 : cache.hash(word);
    if (is_short) {
        if (const auto packed = cache.find(key, home); packed.data() != nullptr) {
            for (const std::uint32_t v : packed) out.push_back(v >> 8, origin + (v >> 4 & 15), origin + (v & 15));
            return;
        }
    } else if (const auto packed = cache.find_long(word, hash); packed.data() != nullptr) {
        for (std::size_t i = 0; i < packed.size(); i += 2) out.push_back(packed[i], origin + (packed[i + 1] >> 16), origin + (packed[i + 1] & 0xffff));
        return;
    }
    scratch.clear();
    const bool remember = miss(word, scratch);
    for (const PlacedToken& token : scratch) out.push_back(token.mark(), origin + token.begin, origin + token.end);
    if (!remember) return;
    std::vector<std::uint32_t> packed;
    if (is_short) {
        for (const PlacedToken& token : scratch) packed.push_back(token.mark() << 8 | token.begin << 4 | token.end);
        cache.insert(key, packed);
    } else if (word.size() < std::size_t{1} << 16) {
        for (const PlacedToken& token : scratch) packed.push_back(token.mark()), packed.push_back(token.begin << 16 | token.end);
        cache.insert_long(word, hash, packed);
    }
}

}  // namespace detail

// Appends the tokens of these words, which are as in encode_words; byte 0 of `text` is byte `origin` of the whole.
// miss(word, tokens) appends the PlacedTokens of a word and says whether they may be remembered.
template <class Miss>
void place_words(const char* text, std::size_t origin, const std::uint32_t* starts, std::size_t count, WordCache& cache, std::vector<PlacedToken>& scratch, PlacedIds& out, Miss&& miss) {
    WordBatch batch;
    constexpr std::size_t most = WordBatch::most * WordCache::inline_ids + 4;  // tokens of a batch, and what is written behind them
    for (std::size_t first = 0; first < count; first += batch.most) {
        const std::size_t n = std::min(batch.most, count - first);
        batch.ask_for(text, starts + first, n, cache);
        std::uint32_t* mark = out.marks.reserve(most);
        ShortSpan* span = out.spans.reserve(most);
        for (std::size_t i = 0; i < n; ++i) {
            const auto [found, known] = batch.find(i);
            const std::uint32_t begin = starts[first + i];
            detail::unpack_short(found.ids, static_cast<std::uint32_t>(origin) + begin, mark, span);
            if (known) [[likely]] {
                mark += found.count, span += found.count;
                continue;
            }
            out.marks.finish(mark), out.spans.finish(span);
            const unsigned version = cache.version();
            detail::place_other_word({text + begin, starts[first + i + 1] - begin}, origin + begin, batch.key(i), batch.home(i), cache, scratch, out, miss);
            mark = out.marks.reserve(most), span = out.spans.reserve(most);
            if (cache.version() != version) batch.move_homes(i + 1, n, cache);
        }
        out.marks.finish(mark), out.spans.finish(span);
    }
}

}  // namespace morsel::fast
