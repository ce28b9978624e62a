// Dequantisation gives what the gguf Python package gives, on random blocks (tests/reference/dequantize.py made the file).
#include "morsel/formats/dequantize.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "morsel/core/mapped_file.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;

TEST_CASE("quantised blocks have the values of the reference") {
    const MappedFile file(morsel_test::test_data() / "dequantize.bin");
    std::size_t at = 0, types = 0;
    while (at < file.bytes().size()) {
        const std::string name(reinterpret_cast<const char*>(file.bytes().data() + at));
        std::uint32_t n_bytes = 0, n_values = 0;
        std::memcpy(&n_bytes, file.bytes().data() + at + 8, 4);
        std::memcpy(&n_values, file.bytes().data() + at + 12, 4);
        at += 16;
        const auto blocks = file.bytes().subspan(at, n_bytes);
        std::vector<float> expected(n_values), got(n_values);
        std::memcpy(expected.data(), file.bytes().data() + at + n_bytes, n_values * 4);
        at += n_bytes + 4 * n_values;

        DType type = DType::f64;
        for (int i = 0; i <= static_cast<int>(DType::q6_k); ++i)
            if (dtype_info(static_cast<DType>(i)).name == name) type = static_cast<DType>(i);
        INFO(name);
        REQUIRE(dtype_info(type).name == name);
        dequantize(type, blocks, got);
        // Products of f16 scales and small integers are exact or nearly so in f32; only sums may round apart.
        double worst = 0, largest = 0;
        for (std::size_t i = 0; i < got.size(); ++i) {
            worst = std::max(worst, std::abs(static_cast<double>(got[i]) - expected[i]));
            largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
        }
        CHECK(largest > 0.1);
        CHECK(worst <= 2e-7 * largest);

        const DTypeInfo info = dtype_info(type);
        const TensorView view{type, {n_values / info.block_size, info.block_size}, blocks};
        std::vector<float> row(info.block_size);
        dequantize_row(view, 3, row);
        CHECK(std::memcmp(row.data(), got.data() + 3 * info.block_size, row.size() * 4) == 0);
        CHECK_THROWS_AS(dequantize_row(view, n_values / info.block_size, row), Error);
        ++types;
    }
    CHECK(types == 10);
}

TEST_CASE("plain types convert exactly, whatever their alignment") {
    const auto check = [](DType type, const void* bytes, std::size_t size, std::vector<float> expected) {
        std::vector<std::byte> shifted(size + 1);
        std::memcpy(shifted.data() + 1, bytes, size);
        std::vector<float> got(expected.size());
        dequantize({type, {expected.size()}, std::span<const std::byte>(shifted).subspan(1)}, got);
        CHECK(std::memcmp(got.data(), expected.data(), got.size() * 4) == 0);
    };
    const float inf = std::numeric_limits<float>::infinity();
    const std::uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00};
    check(DType::f16, half, sizeof half, {1.0f, -2.0f, 65504.0f, 0x1p-24f, -0.0f, inf});
    const std::uint16_t brain[] = {0x3f80, 0xc000, 0x7f80, 0x0001};
    check(DType::bf16, brain, sizeof brain, {1.0f, -2.0f, inf, 0x1p-133f});
    const double wide[] = {1.0, 0.1, -1e300};
    check(DType::f64, wide, sizeof wide, {1.0f, 0.1f, -inf});
    const float same[] = {1.5f, -0.0f};
    check(DType::f32, same, sizeof same, {1.5f, -0.0f});
}

TEST_CASE("what cannot be dequantised is refused") {
    const std::vector<std::byte> bytes(34);
    std::vector<float> values(32);
    CHECK_NOTHROW(dequantize(DType::q8_0, bytes, values));
    CHECK_THROWS_AS(dequantize(DType::q8_0, std::span(bytes).first(33), values), Error);
    CHECK_THROWS_AS(dequantize(DType::q8_0, bytes, std::span(values).first(31)), Error);
    CHECK_THROWS_AS(dequantize(DType::i8, std::span(bytes).first(32), values), Error);
    CHECK_THROWS_AS(dequantize(DType::f4, std::span(bytes).first(16), values), Error);
}
