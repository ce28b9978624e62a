// Philox gives the published known answers, and uniform numbers stay in their range.
#include <cmath>
#include <cstdint>

#include "morsel/core/philox.hpp"
#include "support/catch.hpp"

using namespace morsel;
using Words = std::array<std::uint32_t, 4>;

TEST_CASE("philox4x32-10 gives the known answers of Random123") {
    // kat_vectors of D. E. Shaw Research's Random123.
    CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
          Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
          Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
    static_assert(philox(0, {})[0] == 0x6627e8d5);
}

TEST_CASE("seed, step, sequence and draw each lead to other bits") {
    const auto base = philox_bits(7, {.step = 3, .sequence = 2});
    CHECK(base == philox_bits(7, {.step = 3, .sequence = 2}));
    CHECK(base != philox_bits(8, {.step = 3, .sequence = 2}));
    CHECK(base != philox_bits(7 + (std::uint64_t{1} << 32), {.step = 3, .sequence = 2}));
    CHECK(base != philox_bits(7, {.step = 4, .sequence = 2}));
    CHECK(base != philox_bits(7, {.step = 3 + (std::uint64_t{1} << 32), .sequence = 2}));
    CHECK(base != philox_bits(7, {.step = 3, .sequence = 3}));
    CHECK(base != philox_bits(7, {.step = 3, .sequence = 2, .draw = 1}));
}

TEST_CASE("uniform numbers lie in [0, 1)") {
    CHECK(uniform_float(0) == 0.0F);
    CHECK(uniform_float(0xffffffff) == 1.0F - 0x1p-24F);
    CHECK(uniform_double(0) == 0.0);
    CHECK(uniform_double(~std::uint64_t{0}) == 1.0 - 0x1p-53);
    double mean = 0, square = 0;
    constexpr int n = 100000;
    for (std::uint64_t step = 0; step < n; ++step) {
        const double u = uniform_double(philox_bits(1, {.step = step}));
        mean += u / n;
        square += u * u / n;
    }
    CHECK(std::abs(mean - 0.5) < 4 * std::sqrt(1.0 / 12 / n));
    CHECK(std::abs(square - 1.0 / 3) < 4 * std::sqrt(4.0 / 45 / n));
}

TEST_CASE("uniform_below is the high half of the product") {
    const std::uint64_t all = ~std::uint64_t{0};
    CHECK(uniform_below(0, all) == 0);
    CHECK(uniform_below(all, 0) == 0);
    CHECK(uniform_below(all, 1) == 0);
    CHECK(uniform_below(all, 10) == 9);
    CHECK(uniform_below(all, all) == all - 1);
    CHECK(uniform_below(std::uint64_t{1} << 63, 10) == 5);
#ifdef __SIZEOF_INT128__
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const std::uint64_t a = philox_bits(2, {.step = i}), b = philox_bits(3, {.step = i}) >> (i % 64);
        __extension__ using Wide = unsigned __int128;
        CHECK(uniform_below(a, b) == static_cast<std::uint64_t>(static_cast<Wide>(a) * b >> 64));
    }
#endif
}
