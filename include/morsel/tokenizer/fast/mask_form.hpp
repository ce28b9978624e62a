// Which wide registers this machine has for the steps of the fast way that gain most from them (wide_masks.hpp, letter_masks.hpp, word_batch.hpp),
// found at run time: AVX-512 BW, VBMI and VBMI2 (Ice Lake, Zen 4 and later) with 64 bytes an instruction, or AVX2 and BMI with 32. And the
// comparisons of bytes that they are made of.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace morsel::fast {

enum class MaskForm : std::uint8_t { plain, avx2, avx512 };

#if defined(__x86_64__)

// The best of this machine.
inline MaskForm mask_form() noexcept {
    static const MaskForm best = [] {
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("popcnt")) return MaskForm::plain;
        const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
        return wide ? MaskForm::avx512 : MaskForm::avx2;
    }();
    return best;
}

namespace detail {

// first ≤ byte < first + count.
[[gnu::target("avx512f,avx512bw"), gnu::always_inline]] inline std::uint64_t range_mask(__m512i v, char first, int count) noexcept {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8(first)), _mm512_set1_epi8(static_cast<char>(count)));
}
[[gnu::target("avx512f,avx512bw"), gnu::always_inline]] inline std::uint64_t equal_mask(__m512i v, char c) noexcept { return _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(c)); }
[[gnu::target("avx512f,avx512bw"), gnu::always_inline]] inline std::uint64_t inner_mask(__m512i v) noexcept { return _mm512_cmplt_epi8_mask(v, _mm512_set1_epi8(-64)); }

// With AVX2: the same as vectors, and the bits of one half of 64 bytes.
[[gnu::target("avx2"), gnu::always_inline]] inline __m256i in_range_32(__m256i v, char first, int count) noexcept {
    const __m256i moved = _mm256_add_epi8(v, _mm256_set1_epi8(static_cast<char>(128 - count - first)));
    return _mm256_cmpgt_epi8(moved, _mm256_set1_epi8(static_cast<char>(127 - count)));
}
[[gnu::target("avx2"), gnu::always_inline]] inline __m256i equals_32(__m256i v, char c) noexcept { return _mm256_cmpeq_epi8(v, _mm256_set1_epi8(c)); }
[[gnu::target("avx2"), gnu::always_inline]] inline std::uint64_t bits_32(__m256i v, int half) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm256_movemask_epi8(v))) << (32 * half);
}

}  // namespace detail

#else

inline MaskForm mask_form() noexcept { return MaskForm::plain; }

#endif

// f.template operator()<form>().
template <class F> auto with_mask_form(MaskForm form, F&& f) noexcept {
#if defined(__x86_64__)
    if (form == MaskForm::avx512) return f.template operator()<MaskForm::avx512>();
    if (form == MaskForm::avx2) return f.template operator()<MaskForm::avx2>();
#endif
    static_cast<void>(form);
    return f.template operator()<MaskForm::plain>();
}

}  // namespace morsel::fast
