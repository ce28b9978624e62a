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

TEST_CASE("products with quantised weights equal their reference, of few rows and of many") {
    Cuda device({.precision = CudaPrecision::f32}), half;
    for (const DType type : {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0, DType::q4_k, DType::q5_k, DType::q6_k}) {
        check_linear(device, type, 1, 9, 256, {}, 1e-5);
        check_linear(device, type, 1, 6, 1280, {.bias = &some_bias, .activation = Activation::silu, .gated = true}, 1e-5);
        check_linear(device, type, 3, 5, 256, {.accumulate = true}, 1e-5);
        check_linear(device, type, 6, 7, 256, {.bias = &some_bias}, 1e-5);
        check_linear(half, type, 6, 7, 256, {}, 2e-2);
        under_every_schedule([&] {
            check_linear(device, type, 1, 10, 256, {.activation = Activation::silu, .gated = true}, 1e-5);
            check_linear(device, type, 2, 3, 1280, {.accumulate = true}, 1e-5);
        });
    }
    under_every_schedule([&] { check_linear(device, DType::q4_0, 2, 11, 1056, {.accumulate = true}, 1e-5); });
}

TEST_CASE("products of many rows equal their reference") {
    for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) {
        Cuda device({.precision = precision});
        for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
            const double tolerance = precision == CudaPrecision::f32 ? 1e-5 : type == DType::f32 ? 1e-3 : 2e-2;  // TF32 rounds f32 to 11 bits, bf16 to 8
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

TEST_CASE("a product, the sum with what was there and LayerNorm equal their reference, in one launch behind many rows") {
    std::vector<std::string> launches;
    Cuda device({.precision = CudaPrecision::f32, .on_launch = [&](const CudaLaunch& launch) { launches.emplace_back(launch.name); }});
    const std::vector<std::string> alone = {"add_and_layer_norm"};
    under_every_schedule([&] {
        for (const std::size_t width : {7u, 33u, 132u})
            for (const std::size_t rows : {1u, 4u, 5u, 9u})
                for (const Activation activation : {Activation::none, Activation::tanh}) {
                    INFO(rows << " rows of " << width);
                    const std::size_t k = 20;
                    const Stored weight = random_matrix(DType::f32, width, k, 8);
                    const CudaMatrix matrix = prepare_matrix(device, weight.view());
                    const std::vector<float> x = random_floats(rows * k, 1), bias = random_floats(width, 2), gain = random_floats(width, 3), norm_bias = random_floats(width, 4), before = random_floats(rows * width, 5);
                    std::vector<float> sum = before, expected(rows * width);
                    reference::linear(x.data(), rows, weight.values.data(), width, k, {.bias = bias.data(), .activation = activation, .accumulate = true}, sum.data());
                    reference::layer_norm(sum.data(), gain.data(), norm_bias.data(), 1e-5f, rows, width, expected.data());
                    const CudaBuffer dx = to_device(device, x), dbias = to_device(device, bias), dgain = to_device(device, gain), dnorm_bias = to_device(device, norm_bias);
                    CudaBuffer out = to_device(device, before);
                    launches.clear();
                    linear_layer_norm(device, dx.data(), rows, matrix, {.bias = dbias.data(), .activation = activation}, dgain.data(), dnorm_bias.data(), 1e-5f, out.data());
                    CHECK((rows <= 4 || launches == alone));
                    CHECK(largest_difference(from_device(device, out.data(), rows * width), expected) <= 1e-4);
                }
    });
}

TEST_CASE("rows of a table are looked up, and matrices are put together as they are asked for") {
    Cuda device;
    for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::q8_0, DType::q6_k}) {
        const std::size_t width = type == DType::q8_0 ? 64 : type == DType::q6_k ? 256 : 35;
        const Stored stored = random_matrix(type, 12, width, 6);
        MatrixPart part{.view = stored.view()};
        for (std::uint32_t i = 0; i < 12; ++i) part.row_order.push_back((i + 5) % 12);
        const CudaMatrix table = prepare_matrix(device, std::span(&part, 1));
        const std::vector<TokenId> ids = {0, 11, 3, 3};
        CudaBuffer out(ids.size() * width);
        embed(device, table, ids, out.data());
        std::vector<float> expected;
        for (const TokenId id : ids) expected.insert(expected.end(), stored.values.begin() + std::ptrdiff_t((id + 5) % 12 * width), stored.values.begin() + std::ptrdiff_t(((id + 5) % 12 + 1) * width));
        CHECK(largest_difference(from_device(device, out.data(), expected.size()), expected) <= (type == DType::q6_k ? 1e-5 : 0));
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

TEST_CASE("a matrix larger than the pinned memory arrives whole") {
    Cuda device;
    const std::size_t columns = 2050;  // 18 MB: both halves of the pinned memory, and the first once more
    const Stored first = random_matrix(DType::f32, 1100, columns, 1), second = random_matrix(DType::bf16, 1100, columns, 2);
    const MatrixPart parts[] = {{.view = first.view()}, {.view = second.view()}};  // of different types: all become f32
    const CudaMatrix matrix = prepare_matrix(device, parts);
    REQUIRE(matrix.bytes > Cuda::staging_bytes);
    const std::vector<float> rows = from_device(device, reinterpret_cast<const float*>(matrix.data.get()), matrix.bytes / 4);
    for (std::size_t row = 0; row < 2200; ++row) {
        const float* expected = row < 1100 ? first.values.data() + row * columns : second.values.data() + (row - 1100) * columns;
        REQUIRE(std::memcmp(rows.data() + row * matrix.row_bytes / 4, expected, columns * 4) == 0);
    }
}

TEST_CASE("rows are summed from tables, gathered, pooled and scaled to unit length") {
    Cuda device;
    const std::size_t width = 40;
    std::vector<Stored> stored;
    std::vector<CudaMatrix> tables;
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) stored.push_back(random_matrix(type, 9, width, 3)), tables.push_back(prepare_matrix(device, stored.back().view()));
    const std::vector<TokenId> ids[3] = {{0, 8, 3, 3, 1}, {2, 2, 2, 7, 0}, {5, 4, 3, 2, 1}};
    const EmbeddingRows<Cuda> rows[] = {{&tables[0], ids[0]}, {&tables[1], ids[1]}, {&tables[2], ids[2]}};
    CudaBuffer sums(5 * width), normed(5 * width), sums_beside(5 * width), gathered(4 * width), pooled(4 * (width + 3));
    under_every_schedule([&] {
        embed_sum(device, std::span<const EmbeddingRows<Cuda>>(rows), sums.data());
        const std::vector<float> x = from_device(device, sums.data(), 5 * width);
        std::vector<float> expected(5 * width);
        for (std::size_t row = 0; row < 5; ++row)
            for (std::size_t i = 0; i < width; ++i)
                for (std::size_t t = 0; t < 3; ++t) expected[row * width + i] += stored[t].values[ids[t][row] * width + i];
        CHECK(x == expected);
        const std::vector<float> gain = random_floats(width, 1), bias = random_floats(width, 2);
        const CudaBuffer dgain = to_device(device, gain), dbias = to_device(device, bias);
        embed_sum_layer_norm(device, std::span<const EmbeddingRows<Cuda>>(rows), dgain.data(), dbias.data(), 1e-5f, sums_beside.data(), normed.data());
        CHECK(from_device(device, sums_beside.data(), 5 * width) == x);
        reference::layer_norm(x.data(), gain.data(), bias.data(), 1e-5f, 5, width, expected.data());
        CHECK(largest_difference(from_device(device, normed.data(), 5 * width), expected) <= 1e-5);
        embed_sum_layer_norm(device, std::span<const EmbeddingRows<Cuda>>(rows), dgain.data(), dbias.data(), 1e-5f, nullptr, sums_beside.data());
        CHECK(from_device(device, sums_beside.data(), 5 * width) == from_device(device, normed.data(), 5 * width));
        const std::vector<std::int64_t> wanted = {4, -1, 0, 4};
        gather_rows(device, sums.data(), width, wanted, gathered.data());
        for (std::size_t i = 0; i < 4 * width; ++i) CHECK(from_device(device, gathered.data(), 4 * width)[i] == (wanted[i / width] < 0 ? 0 : x[static_cast<std::size_t>(wanted[i / width]) * width + i % width]));

        const std::vector<PoolRange> ranges = {{.row_begin = 0, .row_count = 3}, {.row_begin = 3, .row_count = 2, .position = 4}, {.row_begin = 2, .row_count = 1}, {.row_begin = 0, .row_count = 0}};
        for (const Pooling mode : {Pooling::cls_token, Pooling::max_tokens, Pooling::mean_tokens, Pooling::mean_sqrt_len_tokens, Pooling::weightedmean_tokens, Pooling::lasttoken}) {
            pool(device, sums.data(), width, ranges, mode, pooled.data(), width);
            std::vector<float> got = from_device(device, pooled.data(), 4 * width);
            for (std::size_t r = 0; r < 4; ++r)
                for (std::size_t i = 0; i < width; ++i) {
                    double result = mode == Pooling::max_tokens && ranges[r].row_count > 0 ? -1e30 : 0, weights = 0;
                    for (std::size_t row = 0; row < ranges[r].row_count; ++row) {
                        const double value = x[(ranges[r].row_begin + row) * width + i], weight = mode == Pooling::weightedmean_tokens ? static_cast<double>(ranges[r].position + row + 1) : 1.0;
                        weights += weight;
                        if (mode == Pooling::max_tokens) result = std::max(result, value);
                        else if (mode == Pooling::cls_token) result = row == 0 ? value : result;
                        else if (mode == Pooling::lasttoken) result = value;
                        else result += weight * value;
                    }
                    if (mode == Pooling::mean_tokens || mode == Pooling::weightedmean_tokens) result /= std::max(weights, 1e-9);
                    if (mode == Pooling::mean_sqrt_len_tokens) result /= std::sqrt(std::max(weights, 1e-9));
                    CHECK(std::abs(got[r * width + i] - result) <= 1e-5);
                }
        }
        pool(device, sums.data(), width, ranges, Pooling::mean_tokens, pooled.data(), width);
        normalize_rows(device, pooled.data(), 4, width);
        const std::vector<float> unit = from_device(device, pooled.data(), 4 * width);
        for (std::size_t r = 0; r < 4; ++r) {
            double squares = 0;
            for (std::size_t i = 0; i < width; ++i) squares += double{unit[r * width + i]} * double{unit[r * width + i]};
            CHECK(std::abs(squares - (ranges[r].row_count > 0 ? 1 : 0)) < 1e-5);
        }
    });
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
