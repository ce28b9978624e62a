// CRC-32 as zip, gzip and PNG have it (ISO 3309: polynomial 0xEDB88320, reflected), eight bytes a step: "slicing by 8",
// M. Kounavis and F. Berry, "A systematic approach to building high performance software-based CRC generators", ISCC 2005.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace morsel {

namespace detail {

// tables[k][b] is the remainder of byte b followed by k zero bytes.
constexpr std::array<std::array<std::uint32_t, 256>, 8> make_crc32_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> tables = {};
    for (std::uint32_t b = 0; b < 256; ++b) {
        std::uint32_t remainder = b;
        for (int bit = 0; bit < 8; ++bit) remainder = remainder >> 1 ^ ((remainder & 1) != 0 ? 0xEDB88320u : 0u);
        tables[0][b] = remainder;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t b = 0; b < 256; ++b) tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 0xFF];
    return tables;
}

inline constexpr auto crc32_tables = make_crc32_tables();

}  // namespace detail

inline std::uint32_t crc32(std::span<const std::byte> bytes) noexcept {
    const auto& tables = detail::crc32_tables;
    std::uint32_t crc = ~0u;
    if constexpr (std::endian::native == std::endian::little) {
        for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
            std::uint64_t word;
            std::memcpy(&word, bytes.data(), 8);
            word ^= crc;
            crc = 0;
            for (std::size_t k = 0; k < 8; ++k) crc ^= tables[7 - k][word >> (8 * k) & 0xFF];
        }
    }
    for (const std::byte b : bytes) crc = crc >> 8 ^ tables[0][(crc ^ static_cast<std::uint32_t>(b)) & 0xFF];
    return ~crc;
}

}  // namespace morsel
