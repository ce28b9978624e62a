// The 16-bit floats against their definitions, all 65536 of them; messages of errors; mapped files.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "support/catch.hpp"

using namespace morsel;

TEST_CASE("every f16 has the value that IEEE 754 gives it") {
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
        const float got = to_f32(f16{static_cast<std::uint16_t>(bits)});
        if (exponent == 31) {
            if (!(mantissa == 0 ? std::isinf(got) : std::isnan(got))) FAIL(bits);
        } else if (std::abs(got) != std::ldexp(exponent == 0 ? mantissa : 1024 + mantissa, exponent == 0 ? -24 : exponent - 25)) {
            FAIL(bits);
        }
        if (std::signbit(got) != (bits >> 15 != 0)) FAIL(bits);
    }
    SUCCEED();
}

TEST_CASE("bf16 rounds to the nearest, ties to even, and NaN stays NaN") {
    for (std::uint32_t high = 0; high < 65536; ++high) {
        const float exact = to_f32(bf16{static_cast<std::uint16_t>(high)});
        std::uint32_t bits = 0;
        std::memcpy(&bits, &exact, 4);
        if (bits != high << 16) FAIL(high);
        if (std::isnan(exact)) {
            if (!std::isnan(to_f32(to_bf16(exact)))) FAIL(high);
            continue;
        }
        if (to_bf16(exact).bits != high) FAIL(high);
        if (std::isinf(exact)) continue;
        const auto rounded = [&](std::uint32_t low) {
            const std::uint32_t with_low = high << 16 | low;
            float value = 0;
            std::memcpy(&value, &with_low, 4);
            return to_bf16(value).bits;
        };
        if (rounded(0x7FFF) != high || rounded(0x8001) != high + 1 || rounded(0x8000) != high + (high & 1)) FAIL(high);
    }
    const std::uint32_t low_nan = 0x7F800001u;  // its payload is only in the lower half
    float nan = 0;
    std::memcpy(&nan, &low_nan, 4);
    CHECK(std::isnan(to_f32(to_bf16(nan))));
}

TEST_CASE("an error is one printable line that says file, key, expected and found") {
    CHECK(std::string(Error("wrong", {.file = "f", .key = "k", .expected = "e", .found = "g"}).what()) == "f: k: wrong (expected e, found g)");
    CHECK(std::string(Error("wrong").what()) == "wrong");
    CHECK(std::string(Error("wrong", {.found = "g"}).what()) == "wrong (found g)");
    const Error odd("wrong", {.key = std::string("a\0b\x1b[31m\nc", 10)});
    CHECK(std::string(odd.what()) == "a?b?[31m?c: wrong");
    CHECK(odd.key().size() == 10);
    const Error placed = Error("wrong", {.key = "k"}).in_file("g");
    CHECK(std::string(placed.what()) == "g: k: wrong");
    CHECK(std::string(placed.in_file("h").what()) == "g: k: wrong");
}

TEST_CASE("a file is mapped whole, and what is no file is refused") {
    const auto directory = std::filesystem::temp_directory_path() / "morsel-test-mapped";
    std::filesystem::create_directories(directory);
    std::ofstream(directory / "text") << "hello";
    std::ofstream(directory / "empty");
    MappedFile file(directory / "text");
    CHECK(file.text() == "hello");
    const MappedFile moved(std::move(file));
    CHECK(moved.text() == "hello");
    CHECK(MappedFile(directory / "empty").bytes().empty());
    CHECK(read_file(directory / "text") == "hello");
    CHECK_THROWS_AS(MappedFile(directory), Error);
    CHECK_THROWS_AS(MappedFile(directory / "absent"), Error);
    CHECK_THROWS_AS(MappedFile("/dev/null"), Error);
    std::filesystem::remove_all(directory);
}
