// The kernels for embedding, norms, products and argmax against their plain reference, on sizes around every boundary.
#include "morsel/cuda/ops.cuh"
#include "morsel/ops/reference.hpp"
#include "support/cuda_floats.hpp"
#include "support/cuda_schedules.hpp"
#include "support/stored_matrix.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

void check_linear(Cuda& device, DType type, std::size_t rows, std::size_t n, std::size_t k, const Epilogue& epilogue, double tolerance) {
    INFO(std::string(dtype_info(type).name) << ", " << rows << " rows, " << n << " × " << k << (epilogue.gated ? ", gated" : ""));
    const Stored stored = random_matrix(type, n, k, n + k);
    const CudaMatrix matrix = prepare_matrix(device, stored.view());
    const std::size_t width = epilogue.gated ? n / 2 : n;
    const std::vector<float> x = random_floats(rows * k, 3), bias = random_floats(n, 4), before = random_floats(rows * width, 5);
    const CudaBuffer on_device = to_device(device, x), bias_on_device = to_device(device, bias);
    CudaBuffer out = to_device(device, before);
    std::vector<float> expected = before;
    Epilogue plain = epilogue, own = epilogue;
    if (epilogue.bias != nullptr) plain.bias = bias.data(), own.bias = bias_on_device.data();
    reference::linear(x.data(), rows, stored.values.data(), n, k, plain, expected.data());
    linear(device, on_device.data(), rows, matrix, own, out.data());
    CHECK(largest_difference(from_device(device, out.data(), rows * width), expected) <= tolerance * (1 + largest_magnitude(expected)));
}

const float some_bias = 0;  // stands for "with a bias"

}  // namespace

TEST_CASE("products of few rows equal their reference, of every type and epilogue") {
    Cuda device({.precision = CudaPrecision::f32});
    under_every_schedule([&] {
        for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
            check_linear(device, type, 1, 33, 72, {}, 1e-5);
            check_linear(device, type, 3, 7, 40, {.bias = &some_bias, .activation = Activation::gelu, .accumulate = true}, 1e-5);
        }
        check_linear(device, DType::bf16, 1, 34, 1032, {.activation = Activation::silu, .gated = true}, 1e-5);
    });
    for (const std::size_t k : {1u, 7u, 8u, 31u, 32u, 33u, 255u, 257u, 1025u, 2049u}) check_linear(device, DType::bf16, 1, 5, k, {}, 1e-5);
    for (const std::size_t n : {1u, 2u, 31u, 32u, 33u, 65u}) check_linear(device, DType::f16, 2, n, 24, {.bias = &some_bias}, 1e-5);
    for (const std::size_t rows : {2u, 3u, 4u})
        check_linear(device, DType::bf16, rows, 18, 520, {.bias = &some_bias, .activation = Activation::silu, .gated = true, .accumulate = true}, 1e-5);
    check_linear(device, DType::bf16, 1, 132 * 64 + 3, 8, {}, 1e-5);  // two rows a warp
}

TEST_CASE("products of many rows equal their reference") {
    for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) {
        Cuda device({.precision = precision});
        for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
            const double tolerance = precision == CudaPrecision::f32 || type == DType::f32 ? 1e-5 : 2e-2;
            check_linear(device, type, 5, 33, 20, {}, tolerance);
            check_linear(device, type, 9, 12, 36, {.bias = &some_bias, .activation = Activation::gelu_tanh}, tolerance);
            check_linear(device, type, 6, 14, 33, {.bias = &some_bias, .activation = Activation::silu, .gated = true, .accumulate = true}, tolerance);
            check_linear(device, type, 5, 8, 16, {.accumulate = true}, tolerance);
        }
    }
}

TEST_CASE("norms equal their reference, alone and as part of a product") {
    Cuda device({.precision = CudaPrecision::f32});
    for (const std::size_t width : {1u, 31u, 32u, 33u, 128u, 1000u}) {
        INFO("width " << width);
        const std::size_t rows = 3;
        const std::vector<float> x = random_floats(rows * width, width), gain = random_floats(width, 1), bias = random_floats(width, 2);
        const CudaBuffer dx = to_device(device, x), dgain = to_device(device, gain), dbias = to_device(device, bias);
        CudaBuffer out(rows * width);
        std::vector<float> expected(rows * width);
        under_every_schedule([&] {
            reference::rms_norm(x.data(), gain.data(), 1e-5f, rows, width, expected.data());
            rms_norm(device, dx.data(), dgain.data(), 1e-5f, rows, width, out.data());
            CHECK(largest_difference(from_device(device, out.data(), rows * width), expected) <= 1e-5);
            for (const bool with_bias : {true, false}) {
                reference::layer_norm(x.data(), gain.data(), with_bias ? bias.data() : nullptr, 1e-5f, rows, width, expected.data());
                layer_norm(device, dx.data(), dgain.data(), with_bias ? dbias.data() : nullptr, 1e-5f, rows, width, out.data());
                CHECK(largest_difference(from_device(device, out.data(), rows * width), expected) <= 1e-4);
            }
        });
        const Stored weight = random_matrix(DType::bf16, 9, width, 8);
        const CudaMatrix matrix = prepare_matrix(device, weight.view());
        for (const std::size_t count : {std::size_t{1}, rows}) {
            std::vector<float> normed(count * width), product(count * 9);
            reference::rms_norm(x.data(), gain.data(), 1e-5f, count, width, normed.data());
            reference::linear(normed.data(), count, weight.values.data(), 9, width, {}, product.data());
            CudaBuffer space(count * width), result(count * 9);
            norm_linear(device, dx.data(), dgain.data(), 1e-5f, count, matrix, {}, space.data(), result.data());
            CHECK(largest_difference(from_device(device, result.data(), count * 9), product) <= 1e-5 * (1 + largest_magnitude(product)));
        }
    }
}

TEST_CASE("rows of a table are looked up, and matrices are put together as they are asked for") {
    Cuda device;
    for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::q8_0}) {
        const std::size_t width = type == DType::q8_0 ? 64 : 35;
        const Stored stored = random_matrix(type, 12, width, 6);
        MatrixPart part{.view = stored.view()};
        for (std::uint32_t i = 0; i < 12; ++i) part.row_order.push_back((i + 5) % 12);
        const CudaMatrix table = prepare_matrix(device, std::span(&part, 1));
        const std::vector<TokenId> ids = {0, 11, 3, 3};
        CudaBuffer out(ids.size() * width);
        embed(device, table, ids, out.data());
        std::vector<float> expected;
        for (const TokenId id : ids) expected.insert(expected.end(), stored.values.begin() + std::ptrdiff_t((id + 5) % 12 * width), stored.values.begin() + std::ptrdiff_t(((id + 5) % 12 + 1) * width));
        CHECK(largest_difference(from_device(device, out.data(), expected.size()), expected) == 0);
    }
    const Stored stored = random_matrix(DType::f16, 6, 9, 6);
    const MatrixPart part{.view = stored.view(), .transposed = true};
    const CudaMatrix turned = prepare_matrix(device, std::span(&part, 1));
    REQUIRE(turned.out_features == 9);
    CudaBuffer out(6);
    const TokenId id = 7;
    embed(device, turned, std::span(&id, 1), out.data());
    for (std::size_t i = 0; i < 6; ++i) CHECK(from_device(device, out.data(), 6)[i] == stored.values[i * 9 + 7]);
}

TEST_CASE("argmax gives the first of the greatest") {
    Cuda device;
    under_every_schedule([&] {
        for (const std::size_t count : {1u, 31u, 33u, 1000u, 5000u}) {
            std::vector<float> x = random_floats(count, count);
            for (float& v : x) v = std::round(v * 2) / 2;  // many are equal
            x[0] = -0.0f;
            const CudaBuffer on_device = to_device(device, x);
            CHECK(argmax(device, on_device.data(), count) == static_cast<TokenId>(std::max_element(x.begin(), x.end()) - x.begin()));
        }
        const CudaBuffer odd = to_device(device, {std::nanf(""), -INFINITY, -3.0f, std::nanf(""), -3.0f});
        CHECK(argmax(device, odd.data(), 5) == 2);
    });
}
