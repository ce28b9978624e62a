// How an index stores its vectors, and the dot product of stored rows with a query: f32, f16, or i8 with one scale a row.
// A kernel for each instruction set, chosen at run time; the plain loop stands beside them. Each row's sum has one order whatever the
// number of queries and threads, so a score does not depend on them.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "morsel/core/dtype.hpp"
#include "morsel/ops/cpu/isa.hpp"

namespace morsel {

enum class VectorStorage : std::uint32_t {
    f32 = 0,
    f16 = 1,  // a relative error of 2⁻¹¹ an element
    i8 = 2,   // element = scale · code, code in −127 … 127; a quarter of the memory
};

// Bytes of a row; an i8 row begins with its scale as an f32.
constexpr std::size_t stored_row_bytes(VectorStorage storage, std::size_t dimensions) {
    return storage == VectorStorage::f32 ? dimensions * 4 : storage == VectorStorage::f16 ? dimensions * 2 : dimensions + 4;
}

// vector [dimensions] → row [stored_row_bytes].
inline void store_row(VectorStorage storage, std::span<const float> vector, std::byte* row) {
    switch (storage) {
        case VectorStorage::f32: std::memcpy(row, vector.data(), vector.size() * 4); return;
        case VectorStorage::f16:
            for (std::size_t i = 0; i < vector.size(); ++i) {
                const f16 half = to_f16(vector[i]);
                std::memcpy(row + 2 * i, &half, 2);
            }
            return;
        case VectorStorage::i8: {
            float largest = 0;
            for (const float x : vector) largest = std::max(largest, std::abs(x));
            const float scale = largest / 127;
            std::memcpy(row, &scale, 4);
            for (std::size_t i = 0; i < vector.size(); ++i) row[4 + i] = static_cast<std::byte>(scale > 0 ? std::lround(vector[i] / scale) : 0);
            return;
        }
    }
}

// The other way.
inline void read_row(VectorStorage storage, const std::byte* row, std::span<float> vector) {
    switch (storage) {
        case VectorStorage::f32: std::memcpy(vector.data(), row, vector.size() * 4); return;
        case VectorStorage::f16:
            for (std::size_t i = 0; i < vector.size(); ++i) {
                f16 half{};
                std::memcpy(&half, row + 2 * i, 2);
                vector[i] = to_f32(half);
            }
            return;
        case VectorStorage::i8: {
            float scale = 0;
            std::memcpy(&scale, row, 4);
            for (std::size_t i = 0; i < vector.size(); ++i) vector[i] = scale * static_cast<float>(static_cast<std::int8_t>(row[4 + i]));
            return;
        }
    }
}

namespace detail {

inline constexpr std::size_t max_queries_at_once = 4;

// What a sum of an i8 row's codes is multiplied by.
inline float row_scale(const std::byte* row) {
    float scale = 0;
    std::memcpy(&scale, row, 4);
    return scale;
}

// The plain loop: queries [n][dimensions], out [n].
inline void dot_row_generic(VectorStorage storage, const std::byte* row, const float* const* queries, std::size_t n, std::size_t dimensions, float* out) {
    for (std::size_t q = 0; q < n; ++q) {
        float sum = 0;
        for (std::size_t i = 0; i < dimensions; ++i) {
            float x = 0;
            if (storage == VectorStorage::f32) {
                std::memcpy(&x, row + 4 * i, 4);
            } else if (storage == VectorStorage::f16) {
                f16 half{};
                std::memcpy(&half, row + 2 * i, 2);
                x = to_f32(half);
            } else {
                x = static_cast<float>(static_cast<std::int8_t>(row[4 + i]));
            }
            sum += x * queries[q][i];
        }
        out[q] = storage == VectorStorage::i8 ? sum * row_scale(row) : sum;
    }
}

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 holds its own _mm512_undefined_ps for uninitialised
#endif

// Sixteen elements from `i` on; of the last group those that `mask` has.
template <VectorStorage Storage>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"), gnu::always_inline]] inline __m512 load_16(const std::byte* row, std::size_t i, __mmask16 mask) {
    if constexpr (Storage == VectorStorage::f32) return _mm512_maskz_loadu_ps(mask, row + 4 * i);
    else if constexpr (Storage == VectorStorage::f16) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + 2 * i));
    else return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, row + 4 + i)));
}

template <VectorStorage Storage, std::size_t N>
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]] void dot_row_avx512(const std::byte* row, const float* const* queries, std::size_t dimensions, float* out) {
    __m512 sum[N][2];
#pragma GCC unroll 4
    for (std::size_t q = 0; q < N; ++q) sum[q][0] = sum[q][1] = _mm512_setzero_ps();
    std::size_t i = 0;
    for (; i + 32 <= dimensions; i += 32) {
        const __m512 first = load_16<Storage>(row, i, 0xFFFF), second = load_16<Storage>(row, i + 16, 0xFFFF);
#pragma GCC unroll 4
        for (std::size_t q = 0; q < N; ++q) {
            sum[q][0] = _mm512_fmadd_ps(first, _mm512_loadu_ps(queries[q] + i), sum[q][0]);
            sum[q][1] = _mm512_fmadd_ps(second, _mm512_loadu_ps(queries[q] + i + 16), sum[q][1]);
        }
    }
    for (; i < dimensions; i += 16) {
        const auto mask = static_cast<__mmask16>(dimensions - i >= 16 ? 0xFFFF : (1u << (dimensions - i)) - 1);
        const __m512 part = load_16<Storage>(row, i, mask);
#pragma GCC unroll 4
        for (std::size_t q = 0; q < N; ++q) sum[q][0] = _mm512_fmadd_ps(part, _mm512_maskz_loadu_ps(mask, queries[q] + i), sum[q][0]);
    }
    for (std::size_t q = 0; q < N; ++q) {
        alignas(64) float lanes[16];
        _mm512_store_ps(lanes, _mm512_add_ps(sum[q][0], sum[q][1]));
        for (std::size_t half = 8; half > 0; half /= 2)
            for (std::size_t k = 0; k < half; ++k) lanes[k] += lanes[k + half];
        out[q] = Storage == VectorStorage::i8 ? lanes[0] * row_scale(row) : lanes[0];
    }
}

template <VectorStorage Storage, std::size_t N>
[[gnu::target("avx2,fma,f16c")]] void dot_row_avx2(const std::byte* row, const float* const* queries, std::size_t dimensions, float* out) {
    __m256 sum[N][2];
#pragma GCC unroll 4
    for (std::size_t q = 0; q < N; ++q) sum[q][0] = sum[q][1] = _mm256_setzero_ps();
    std::size_t i = 0;
    for (; i + 16 <= dimensions; i += 16) {
#pragma GCC unroll 2
        for (std::size_t half = 0; half < 2; ++half) {
            const std::size_t at = i + 8 * half;
            __m256 part;
            if constexpr (Storage == VectorStorage::f32) part = _mm256_loadu_ps(reinterpret_cast<const float*>(row + 4 * at));
            else if constexpr (Storage == VectorStorage::f16) part = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + 2 * at)));
            else part = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + 4 + at))));
#pragma GCC unroll 4
            for (std::size_t q = 0; q < N; ++q) sum[q][half] = _mm256_fmadd_ps(part, _mm256_loadu_ps(queries[q] + at), sum[q][half]);
        }
    }
    for (std::size_t q = 0; q < N; ++q) {
        alignas(32) float lanes[8];
        _mm256_store_ps(lanes, _mm256_add_ps(sum[q][0], sum[q][1]));
        float total = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
        if constexpr (Storage == VectorStorage::i8) total *= row_scale(row);
        if (i < dimensions) {
            const std::size_t size = Storage == VectorStorage::f32 ? 4 : Storage == VectorStorage::f16 ? 2 : 1;
            const std::byte* rest = row + (Storage == VectorStorage::i8 ? 4 : 0) + size * i;
            for (std::size_t k = 0; k < dimensions - i; ++k, rest += size) {
                float x = 0;
                if constexpr (Storage == VectorStorage::f32) {
                    std::memcpy(&x, rest, 4);
                } else if constexpr (Storage == VectorStorage::f16) {
                    f16 value{};
                    std::memcpy(&value, rest, 2);
                    x = to_f32(value);
                } else {
                    x = static_cast<float>(static_cast<std::int8_t>(*rest)) * row_scale(row);
                }
                total += x * queries[q][i + k];
            }
        }
        out[q] = total;
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

template <VectorStorage Storage>
void dot_row_simd(Isa isa, const std::byte* row, const float* const* queries, std::size_t n, std::size_t dimensions, float* out) {
    const bool wide = isa >= Isa::avx512;
    switch (n) {
        case 1: return wide ? dot_row_avx512<Storage, 1>(row, queries, dimensions, out) : dot_row_avx2<Storage, 1>(row, queries, dimensions, out);
        case 2: return wide ? dot_row_avx512<Storage, 2>(row, queries, dimensions, out) : dot_row_avx2<Storage, 2>(row, queries, dimensions, out);
        case 3: return wide ? dot_row_avx512<Storage, 3>(row, queries, dimensions, out) : dot_row_avx2<Storage, 3>(row, queries, dimensions, out);
        default: return wide ? dot_row_avx512<Storage, 4>(row, queries, dimensions, out) : dot_row_avx2<Storage, 4>(row, queries, dimensions, out);
    }
}
#endif

// The dot products of one stored row with n of 1 … max_queries_at_once queries.
inline void dot_row(Isa isa, VectorStorage storage, const std::byte* row, const float* const* queries, std::size_t n, std::size_t dimensions, float* out) {
#if defined(__x86_64__)
    if (isa >= Isa::avx2) {
        switch (storage) {
            case VectorStorage::f32: return dot_row_simd<VectorStorage::f32>(isa, row, queries, n, dimensions, out);
            case VectorStorage::f16: return dot_row_simd<VectorStorage::f16>(isa, row, queries, n, dimensions, out);
            case VectorStorage::i8: return dot_row_simd<VectorStorage::i8>(isa, row, queries, n, dimensions, out);
        }
    }
#endif
    (void)isa;
    dot_row_generic(storage, row, queries, n, dimensions, out);
}

}  // namespace detail

}  // namespace morsel
