// Up to 64 words of a text that are looked up in the memory of words (word_cache.hpp) together: their keys and home lines are found and
// the lines asked for before any is looked at; by then they are there. With AVX2 where the machine has it, found at run time, a word takes some
// 40 instructions in place of 60. The plain forms are the reference.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "morsel/tokenizer/fast/mask_form.hpp"
#include "morsel/tokenizer/fast/word_cache.hpp"

namespace morsel::fast {

class WordBatch {
  public:
    static constexpr std::size_t most = 64;
    static constexpr std::size_t most_written = most * WordCache::most_ids + WordCache::slack;  // ids, needed or not

    explicit WordBatch(MaskForm form = mask_form()) noexcept : wide_(form != MaskForm::plain) {}

    // Word i is bytes starts[i] … starts[i + 1] of text, of which 16 from starts[i] on are readable.
    [[gnu::always_inline]] void ask_for(const char* text, const std::uint32_t* starts, std::size_t count, const WordCache& cache) noexcept {
#if defined(__x86_64__)
        if (wide_) return ask_avx2(text, starts, count, cache);
#endif
        for (std::size_t i = 0; i < count; ++i) ask_for_one(i, text + starts[i], key_row(starts[i + 1] - starts[i]), cache);
    }

    // Writes the ids of words [i, count) to `at`, which comes to stand behind them, up to the first word that its home line does not hold; gives its number,
    // or `count`. Some numbers more are written. `many`: whether words of more than 3 ids are to be found, too, which takes longer where there are none;
    // not all of them need be.
    [[gnu::always_inline]] std::size_t look(std::size_t i, std::size_t count, bool many, const WordCache& cache, TokenId*& at) const noexcept {
#if defined(__x86_64__)
        if (wide_) return many ? look_avx2<true>(i, count, cache.arena(), at) : look_avx2<false>(i, count, nullptr, at);
#endif
        static_cast<void>(many), static_cast<void>(cache);
        for (; i < count; ++i) {
            const auto [found, known] = find(i);
            std::memcpy(at, found.ids, 16);
            if (!known) break;
            at += found.count;
        }
        return i;
    }

    // What the home line of word i has for it, at most 3 ids; else anything, and false.
    [[gnu::always_inline]] std::pair<const WordCache::Ids&, bool> find(std::size_t i) const noexcept {
        const WordCache::Line& line = *homes_[i];
        // Without a branch on which of the two it is: that is anybody's guess.
        const bool first = line.keys[0] == keys_[i], second = line.keys[1] == keys_[i];
        return {line.ids[second], first | second};
    }

    const WordKey& key(std::size_t i) const noexcept { return keys_[i]; }
    const WordCache::Line* home(std::size_t i) const noexcept { return homes_[i]; }

    // To be called for words [from, count) when the homes have changed.
    void move_homes(std::size_t from, std::size_t count, const WordCache& cache) noexcept {
        for (std::size_t i = from; i < count; ++i) homes_[i] = cache.home(keys_[i]);
    }

  private:
    [[gnu::always_inline]] void ask_for_one(std::size_t i, const char* word, const detail::KeyRow& row, const WordCache& cache) noexcept {
        keys_[i] = word_key(word, row);
        homes_[i] = cache.home(keys_[i]);
        __builtin_prefetch(homes_[i]);
    }

#if defined(__x86_64__)
    [[gnu::target("avx2,bmi,bmi2"), gnu::noinline]] void ask_avx2(const char* text, const std::uint32_t* starts, std::size_t count, const WordCache& cache) noexcept {
        static_assert(sizeof(detail::KeyRow) == 32);
        alignas(32) std::uint32_t rows[most];  // bytes
        std::size_t i = 0;
        for (; i + 8 <= count; i += 8) {
            const __m256i begin = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(starts + i)), end = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(starts + i + 1));
            const __m256i row = _mm256_slli_epi32(_mm256_min_epu32(_mm256_sub_epi32(end, begin), _mm256_set1_epi32(16)), 5);
            _mm256_store_si256(reinterpret_cast<__m256i*>(rows + i), row);
        }
        for (; i < count; ++i) rows[i] = std::min<std::uint32_t>(starts[i + 1] - starts[i], 16) << 5;
        const auto* const first = reinterpret_cast<const char*>(detail::key_rows.data());
        for (i = 0; i < count; ++i) ask_for_one(i, text + starts[i], *reinterpret_cast<const detail::KeyRow*>(first + rows[i]), cache);
    }

    // `many` as in look. Of marked words those of up to 12 ids.
    template <bool many> [[gnu::target("avx2,bmi,bmi2"), gnu::noinline]] std::size_t look_avx2(std::size_t i, std::size_t count, const TokenId* arena, TokenId*& out) const noexcept {
        const __m256i unmarked = _mm256_set_epi64x(static_cast<long long>(~WordCache::mark), -1, static_cast<long long>(~WordCache::mark), -1);
        TokenId* at = out;
        for (; i < count; ++i) {
            const WordCache::Line& line = *homes_[i];
            const __m256i key = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(&keys_[i])));
            __m256i keys = _mm256_load_si256(reinterpret_cast<const __m256i*>(line.keys));
            if constexpr (many) keys = _mm256_and_si256(keys, unmarked);
            const auto halves = static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(keys, key))));
            const unsigned both = halves & halves >> 1;  // bit 0: the first key is equal, bit 2: the second; bit 1 means nothing
            const auto& ids = *reinterpret_cast<const WordCache::Ids*>(reinterpret_cast<const char*>(line.ids) + (both & 4) * sizeof(WordCache::Ids) / 4);
            if constexpr (!many) {
                _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm_load_si128(reinterpret_cast<const __m128i*>(&ids)));
                if ((both & 5) == 0) [[unlikely]] break;
            } else {
                // By arithmetic, for g++ makes a branch of a choice, and which it is is anybody's guess.
                const auto here = reinterpret_cast<std::uintptr_t>(ids.ids), listed = reinterpret_cast<std::uintptr_t>(arena) + sizeof(TokenId) * ids.ids[0];
                const auto more = std::uintptr_t{0} - std::uintptr_t{ids.count > WordCache::inline_ids};  // all bits or none
                const auto* const from = reinterpret_cast<const TokenId*>(here ^ ((here ^ listed) & more));
                const auto anywhere = reinterpret_cast<std::uintptr_t>(line.ids);  // 8 numbers that can be read
                const auto* const rest = reinterpret_cast<const TokenId*>(anywhere ^ ((anywhere ^ (listed + 4 * sizeof(TokenId))) & more));
                _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(at + 4), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rest)));
                if ((both & 5) == 0 || ids.count > 12) [[unlikely]] break;
            }
            at += ids.count;
        }
        out = at;
        return i;
    }
#endif

    alignas(64) WordKey keys_[most];
    const WordCache::Line* homes_[most];
    bool wide_;
};

}  // namespace morsel::fast
