// Element types of tensors as files store them, their sizes, and the two 16-bit float formats.
// Names follow safetensors for plain types and GGUF (ggml) for quantised blocks.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace morsel {

// Index of a token in a vocabulary.
using TokenId = std::uint32_t;

enum class DType : std::uint8_t {
    f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean,
    f8_e5m2, f8_e4m3, f8_e5m2fnuz, f8_e4m3fnuz, f8_e8m0, f6_e2m3, f6_e3m2, f4, c64,
    q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k,
};

// How a type is laid out: `block_bytes` bytes hold `block_size` elements (1 for plain types); sub-byte types count bits.
struct DTypeInfo {
    std::string_view name;
    std::uint32_t block_size;  // elements
    std::uint32_t block_bits;  // bits
};

constexpr DTypeInfo dtype_info(DType type) {
    switch (type) {
        case DType::f64: return {"F64", 1, 64};
        case DType::f32: return {"F32", 1, 32};
        case DType::f16: return {"F16", 1, 16};
        case DType::bf16: return {"BF16", 1, 16};
        case DType::i64: return {"I64", 1, 64};
        case DType::i32: return {"I32", 1, 32};
        case DType::i16: return {"I16", 1, 16};
        case DType::i8: return {"I8", 1, 8};
        case DType::u64: return {"U64", 1, 64};
        case DType::u32: return {"U32", 1, 32};
        case DType::u16: return {"U16", 1, 16};
        case DType::u8: return {"U8", 1, 8};
        case DType::boolean: return {"BOOL", 1, 8};
        case DType::f8_e5m2: return {"F8_E5M2", 1, 8};
        case DType::f8_e4m3: return {"F8_E4M3", 1, 8};
        case DType::f8_e5m2fnuz: return {"F8_E5M2FNUZ", 1, 8};
        case DType::f8_e4m3fnuz: return {"F8_E4M3FNUZ", 1, 8};
        case DType::f8_e8m0: return {"F8_E8M0", 1, 8};
        case DType::f6_e2m3: return {"F6_E2M3", 1, 6};
        case DType::f6_e3m2: return {"F6_E3M2", 1, 6};
        case DType::f4: return {"F4", 1, 4};
        case DType::c64: return {"C64", 1, 64};
        case DType::q4_0: return {"Q4_0", 32, 18 * 8};
        case DType::q4_1: return {"Q4_1", 32, 20 * 8};
        case DType::q5_0: return {"Q5_0", 32, 22 * 8};
        case DType::q5_1: return {"Q5_1", 32, 24 * 8};
        case DType::q8_0: return {"Q8_0", 32, 34 * 8};
        case DType::q2_k: return {"Q2_K", 256, 84 * 8};
        case DType::q3_k: return {"Q3_K", 256, 110 * 8};
        case DType::q4_k: return {"Q4_K", 256, 144 * 8};
        case DType::q5_k: return {"Q5_K", 256, 176 * 8};
        case DType::q6_k: return {"Q6_K", 256, 210 * 8};
    }
    return {"?", 1, 0};
}

// bfloat16 is the upper half of a float.
struct bf16 { std::uint16_t bits; };
// IEEE binary16.
struct f16 { std::uint16_t bits; };

constexpr float to_f32(bf16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }

// Nearest even; NaN stays NaN.
constexpr bf16 to_bf16(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((u >> 16) | 0x40u)};
    return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

// Nearest even, to infinity beyond 65504; NaN stays NaN.
constexpr f16 to_f16(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
    if (magnitude >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};  // 65520, halfway to the next
    if (magnitude < 0x38800000u) {  // subnormal: a sum with 0.5, whose unit is 2⁻²⁴, rounds to it
        const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
        return {static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(rounded) - 0x3f000000u))};
    }
    const std::uint32_t biased = magnitude - (112u << 23);
    return {static_cast<std::uint16_t>(sign | ((biased + 0xfffu + (biased >> 13 & 1u)) >> 13))};
}

// Exact for every input, subnormals, infinities and NaN included.
constexpr float to_f32(f16 x) {
    const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16;
    std::uint32_t exponent = (x.bits >> 10) & 0x1fu, mantissa = x.bits & 0x3ffu;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    if (exponent == 0) {
        if (mantissa == 0) return std::bit_cast<float>(sign);
        exponent = 1;
        while ((mantissa & 0x400u) == 0) mantissa <<= 1, --exponent;  // exponent wraps below 1 and is biased back below
        mantissa &= 0x3ffu;
    }
    return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

}  // namespace morsel
