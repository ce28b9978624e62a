// Random weights as files store them, of any readable type, with the values they stand for. The values are worked out here, with
// the layouts of ggml-common.h written once more, independently of the library.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "morsel/formats/tensor_source.hpp"

namespace morsel_test {

struct Stored {
    morsel::DType dtype = morsel::DType::f32;
    std::size_t rows = 0, columns = 0;
    std::vector<std::byte> bytes;
    std::vector<float> values;  // [rows, columns]
    morsel::TensorView view() const { return {dtype, {rows, columns}, bytes}; }
};

inline std::vector<float> random_floats(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = normal(random);
    return values;
}

namespace detail {

using Bytes = const std::uint8_t*;

inline float half_at(Bytes p) {
    const unsigned bits = p[0] | p[1] << 8, exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25);
    return static_cast<float>((bits & 0x8000) != 0 ? -magnitude : magnitude);
}

// Elements of one block or super-block.
inline void dequantize_block(morsel::DType type, Bytes p, float* y) {
    using morsel::DType;
    const auto f = [](int i) { return static_cast<float>(i); };
    switch (type) {
        case DType::q4_0:
            for (int i = 0; i < 16; ++i) y[i] = half_at(p) * f((p[2 + i] & 15) - 8), y[i + 16] = half_at(p) * f((p[2 + i] >> 4) - 8);
            break;
        case DType::q4_1:
            for (int i = 0; i < 16; ++i)
                y[i] = half_at(p) * f(p[4 + i] & 15) + half_at(p + 2), y[i + 16] = half_at(p) * f(p[4 + i] >> 4) + half_at(p + 2);
            break;
        case DType::q5_0:
        case DType::q5_1: {
            const bool one = type == DType::q5_1;
            std::uint32_t high;
            std::memcpy(&high, p + (one ? 4 : 2), 4);
            const Bytes low = p + (one ? 8 : 6);
            for (int i = 0; i < 32; ++i) {
                const int nibble = i < 16 ? low[i] & 15 : low[i - 16] >> 4, q = nibble + static_cast<int>((high >> i & 1) * 16);
                y[i] = one ? half_at(p) * f(q) + half_at(p + 2) : half_at(p) * f(q - 16);
            }
            break;
        }
        case DType::q8_0:
            for (int i = 0; i < 32; ++i) y[i] = half_at(p) * f(static_cast<std::int8_t>(p[2 + i]));
            break;
        case DType::q4_k:
        case DType::q5_k:
            for (int i = 0; i < 256; ++i) {
                const int s = i / 32;
                const Bytes packed = p + 4;
                const int scale = s < 4 ? packed[s] & 63 : (packed[s + 4] & 15) + (packed[s - 4] >> 6) * 16;
                const int min = s < 4 ? packed[s + 4] & 63 : (packed[s + 4] >> 4) + (packed[s] >> 6) * 16;
                const Bytes low = p + (type == DType::q4_k ? 16 : 48);
                const int byte = low[i / 64 * 32 + i % 32];
                int q = s % 2 == 0 ? byte & 15 : byte >> 4;
                if (type == DType::q5_k) q += (p[16 + i % 32] >> s & 1) * 16;
                y[i] = half_at(p) * f(scale) * f(q) - half_at(p + 2) * f(min);
            }
            break;
        case DType::q6_k:
            for (int i = 0; i < 256; ++i) {
                const int part = i / 128, quarter = i % 128 / 32, l = i % 32;
                const int byte = p[part * 64 + quarter % 2 * 32 + l], low = quarter < 2 ? byte & 15 : byte >> 4;
                const int q = low + (p[128 + part * 32 + l] >> (2 * quarter) & 3) * 16 - 32;
                y[i] = half_at(p + 208) * f(static_cast<std::int8_t>(p[192 + i / 16])) * f(q);
            }
            break;
        default: break;
    }
}

}  // namespace detail

inline Stored random_matrix(morsel::DType type, std::size_t rows, std::size_t columns, std::uint64_t seed) {
    using morsel::DType;
    Stored stored{type, rows, columns, {}, random_floats(rows * columns, seed)};
    const morsel::DTypeInfo info = morsel::dtype_info(type);
    const std::size_t size = info.block_bits / 8, blocks = rows * columns / info.block_size;
    stored.bytes.resize(blocks * size);
    std::mt19937_64 random(seed + 1);
    const auto random_half = [&](std::byte* at) {  // magnitude 2^-5 … 2^-1, now and then subnormal
        const auto bits = static_cast<std::uint16_t>((random() % 16 == 0 ? 0 : 10 + random() % 4) << 10 | (random() & 0x83ff));
        std::memcpy(at, &bits, 2);
    };
    for (std::size_t b = 0; b < blocks; ++b) {
        std::byte* at = stored.bytes.data() + b * size;
        float& value = stored.values[b];
        if (type == DType::f32) {
            std::memcpy(at, &value, 4);
        } else if (type == DType::bf16) {
            const morsel::bf16 narrow = morsel::to_bf16(value);
            std::memcpy(at, &narrow.bits, 2);
            value = morsel::to_f32(narrow);
        } else if (type == DType::f16) {
            random_half(at);
            value = detail::half_at(reinterpret_cast<const std::uint8_t*>(at));
        } else {
            for (std::size_t i = 0; i < size; ++i) at[i] = static_cast<std::byte>(random());
            const bool two = type == DType::q4_1 || type == DType::q5_1 || type == DType::q4_k || type == DType::q5_k;
            random_half(type == DType::q6_k ? at + 208 : at);
            if (two) random_half(at + 2);
            detail::dequantize_block(type, reinterpret_cast<const std::uint8_t*>(at), stored.values.data() + b * info.block_size);
        }
    }
    return stored;
}

}  // namespace morsel_test
