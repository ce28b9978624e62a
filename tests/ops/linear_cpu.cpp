// linear, embed and prepare_matrix of the CPU device against plain loops: every stored type, every instruction set the machine
// has, shapes around the panel's boundaries, every epilogue.
#include <limits>

#include "morsel/ops/cpu.hpp"
#include "morsel/ops/reference.hpp"
#include "support/all_isas.hpp"
#include "support/catch.hpp"
#include "support/stored_matrix.hpp"

using namespace morsel;
using morsel_test::all_isas;
using morsel_test::Stored;

namespace {

constexpr DType all_types[] = {DType::f32,  DType::f16,  DType::bf16, DType::q4_0, DType::q4_1, DType::q5_0,
                               DType::q5_1, DType::q8_0, DType::q4_k, DType::q5_k, DType::q6_k};

// Largest difference over all outputs, relative to what the sum's terms could have been: Σ|x·w| + |out before|.
double worst_error(Cpu& device, const std::vector<float>& x, std::size_t rows, const CpuMatrix& weight, const std::vector<float>& plain,
                   const Epilogue& epilogue) {
    const std::size_t n = weight.out_features, k = weight.in_features, width = epilogue.gated ? n / 2 : n;
    std::vector<float> expected(rows * width, 0.5f), found(rows * width + 1, 0.5f);
    found.back() = 12345.0f;
    reference::linear(x.data(), rows, plain.data(), n, k, epilogue, expected.data());
    linear(device, x.data(), rows, weight, epilogue, found.data());
    REQUIRE(found.back() == 12345.0f);
    double worst = 0;
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t j = 0; j < width; ++j) {
            double terms = 1e-3;
            for (std::size_t i = 0; i < k; ++i) terms += std::abs(x[row * k + i] * plain[j * k + i]);
            if (epilogue.gated) {
                double up = epilogue.bias != nullptr ? std::abs(epilogue.bias[width + j]) : 0;
                for (std::size_t i = 0; i < k; ++i) up += std::abs(x[row * k + i] * plain[(j + width) * k + i]);
                terms = (1 + terms) * (1 + up);
            }
            worst = std::max(worst, std::abs(static_cast<double>(expected[row * width + j]) - found[row * width + j]) / (1 + terms));
        }
    }
    return worst;
}

}  // namespace

TEST_CASE("every stored type multiplies as its exact values do, on every instruction set", "[ops]") {
    for (const Isa isa : all_isas) {
        for (const auto precision : {MatrixPrecision::f32, MatrixPrecision::bf16x3, MatrixPrecision::bf16x2, MatrixPrecision::bf16}) {
            Cpu device({.threads = 2, .precision = precision, .isa = isa});
            if (device.isa() != isa) continue;  // not on this machine
            const double tolerance = precision == MatrixPrecision::bf16     ? 1e-2
                                     : precision == MatrixPrecision::bf16x2 ? 3e-5
                                     : precision == MatrixPrecision::bf16x3 ? 4e-6
                                                                            : 1e-6;
            for (const DType type : all_types) {
                const std::size_t block = dtype_info(type).block_size;
                for (const std::size_t n : {1u, 15u, 16u, 17u, 33u, 64u, 131u}) {
                    for (const std::size_t k : {1u, 31u, 48u, 64u, 256u, 512u}) {
                        if (k % block != 0) continue;
                        const Stored stored = morsel_test::random_matrix(type, n, k, n * 7 + k);
                        const CpuMatrix weight = prepare_matrix(device, stored.view());
                        for (const std::size_t rows : {1u, 2u, 3u, 5u, 16u, 41u}) {
                            const std::vector<float> x = morsel_test::random_floats(rows * k, rows + 99);
                            INFO("isa " << static_cast<int>(isa) << " type " << dtype_info(type).name << " n " << n << " k " << k
                                        << " rows " << rows);
                            CHECK(worst_error(device, x, rows, weight, stored.values, {}) < tolerance);
                        }
                    }
                }
            }
        }
    }
}

TEST_CASE("every epilogue follows the product", "[ops]") {
    for (const Isa isa : all_isas) {
        Cpu device({.threads = 2, .isa = isa});
        if (device.isa() != isa) continue;
        for (const std::size_t n : {2u, 32u, 34u, 64u, 96u}) {
            for (const std::size_t k : {12u, 64u}) {
                const Stored stored = morsel_test::random_matrix(DType::f32, n, k, n + k);
                const CpuMatrix weight = prepare_matrix(device, stored.view());
                const std::vector<float> bias = morsel_test::random_floats(n, 3);
                for (const std::size_t rows : {1u, 4u, 40u}) {
                    const std::vector<float> x = morsel_test::random_floats(rows * k, rows);
                    for (const auto activation : {Activation::none, Activation::silu, Activation::gelu, Activation::gelu_tanh,
                                                  Activation::relu, Activation::tanh}) {
                        for (unsigned bits = 0; bits < 8; ++bits) {
                            const Epilogue epilogue{.bias = (bits & 1) != 0 ? bias.data() : nullptr,
                                                    .activation = activation,
                                                    .gated = (bits & 2) != 0,
                                                    .accumulate = (bits & 4) != 0};
                            INFO("isa " << static_cast<int>(isa) << " n " << n << " k " << k << " rows " << rows << " activation "
                                        << static_cast<int>(activation) << " bits " << bits);
                            CHECK(worst_error(device, x, rows, weight, stored.values, epilogue) < 4e-6);
                        }
                    }
                }
            }
        }
    }
}

TEST_CASE("parts stack, each of its own type and row order", "[ops]") {
    Cpu device({.threads = 2});
    const std::size_t k = 256;
    const Stored a = morsel_test::random_matrix(DType::q4_k, 20, k, 1), b = morsel_test::random_matrix(DType::q6_k, 33, k, 2),
                 c = morsel_test::random_matrix(DType::q6_k, 3, k, 3), d = morsel_test::random_matrix(DType::f32, k, 10, 4);
    std::vector<std::uint32_t> reversed;
    for (std::uint32_t i = 0; i < 33; ++i) reversed.push_back(32 - i);
    const std::vector<MatrixPart> parts = {
        {.view = a.view()}, {.view = b.view(), .row_order = reversed}, {.view = c.view()}, {.view = d.view(), .transposed = true}};
    const CpuMatrix weight = prepare_matrix(device, std::span<const MatrixPart>(parts));
    REQUIRE(weight.out_features == 66);
    std::vector<float> plain = a.values;
    for (std::uint32_t i = 0; i < 33; ++i) plain.insert(plain.end(), b.values.begin() + (32 - i) * k, b.values.begin() + (33 - i) * k);
    plain.insert(plain.end(), c.values.begin(), c.values.end());
    for (std::size_t i = 0; i < 10; ++i) {
        for (std::size_t j = 0; j < k; ++j) plain.push_back(d.values[j * 10 + i]);
    }
    for (const std::size_t rows : {1u, 20u}) {
        const std::vector<float> x = morsel_test::random_floats(rows * k, rows);
        CHECK(worst_error(device, x, rows, weight, plain, {}) < 4e-6);
        CHECK(worst_error(device, x, rows, weight, plain, {.activation = Activation::silu, .gated = true}) < 4e-6);
    }
    std::vector<TokenId> ids;
    for (TokenId id = 0; id < 66; ++id) ids.push_back(65 - id);
    std::vector<float> rows(66 * k);
    embed(device, weight, ids, rows.data());
    for (std::size_t i = 0; i < 66; ++i) {
        for (std::size_t j = 0; j < k; ++j) REQUIRE(rows[i * k + j] == Approx(plain[(65 - i) * k + j]).epsilon(1e-6));
    }
}

TEST_CASE("embedding rows are the stored values", "[ops]") {
    Cpu device({.threads = 2});
    for (const DType type : all_types) {
        const Stored stored = morsel_test::random_matrix(type, 35, 256, 5);
        const CpuMatrix table = prepare_matrix(device, stored.view());
        const std::vector<TokenId> ids = {34, 0, 16, 15, 7};
        std::vector<float> out(ids.size() * 256);
        embed(device, table, ids, out.data());
        for (std::size_t i = 0; i < ids.size(); ++i) {
            for (std::size_t j = 0; j < 256; ++j) REQUIRE(out[i * 256 + j] == stored.values[ids[i] * 256 + j]);
        }
    }
}

TEST_CASE("results have the same bits at any number of threads and in any batch of few rows", "[ops]") {
    for (const DType type : {DType::q4_1, DType::f32}) {
        const Stored stored = morsel_test::random_matrix(type, 131, 96, 1);
        const std::vector<float> x = morsel_test::random_floats(40 * 96, 8);
        std::vector<float> expected;
        for (const unsigned threads : {1u, 2u, 3u}) {
            for (const auto precision : {MatrixPrecision::f32, MatrixPrecision::bf16x3}) {
                Cpu device({.threads = threads, .precision = precision});
                const CpuMatrix weight = prepare_matrix(device, stored.view());
                std::vector<float> batch(40 * 131), alone(131);
                linear(device, x.data(), 40, weight, {}, batch.data());
                if (precision == MatrixPrecision::f32) {
                    if (expected.empty()) expected = batch;
                    CHECK(batch == expected);
                }
                if (precision == MatrixPrecision::bf16x3) linear(device, x.data(), 5, weight, {}, batch.data());
                linear(device, x.data() + 4 * 96, 1, weight, {}, alone.data());
                CHECK(std::equal(alone.begin(), alone.end(), batch.begin() + 4 * 131));
            }
        }
    }
}

#if defined(__x86_64__)
TEST_CASE("a block that goes straight into the result has the bits of one that is stored and finished", "[ops]") {
    if (detected_isa() < Isa::avx512) return;
    const std::size_t k = 40, stride = 45;
    const std::vector<float> bias = morsel_test::random_floats(32, 3), weights = morsel_test::random_floats(2 * k * 16, 4);
    const float* const panels[2] = {weights.data(), weights.data() + k * 16};
    for (const std::size_t height : {2u, 4u, 6u, 8u, 10u, 12u, 14u}) {
        const std::vector<float> x = morsel_test::random_floats(k * height, height);
        for (const std::size_t rows : {height, height - 1}) {
            for (const std::size_t columns : {16u, 5u, 0u}) {  // of the second panel
                for (unsigned bits = 0; bits < 4; ++bits) {
                    const Epilogue epilogue{.bias = (bits & 1) != 0 ? bias.data() : nullptr, .accumulate = (bits & 2) != 0};
                    std::vector<float> expected(14 * stride, 0.25f), found = expected;
                    alignas(64) float y[2][14 * 16];
                    float* const sums[2] = {y[0], y[1]};
                    detail::BlockResult to;
                    to.out[0] = found.data(), to.out[1] = found.data() + 16, to.columns[0] = 16, to.columns[1] = columns;
                    if (epilogue.bias != nullptr) to.bias[0] = bias.data(), to.bias[1] = bias.data() + 16;
                    to.rows = rows, to.stride = stride, to.accumulate = epilogue.accumulate;
                    detail::multiply_block(Isa::avx512, x.data(), height, panels, k, to, sums);
                    detail::finish_rows(Isa::avx512, epilogue, 0, 0, 16, rows, y[0], nullptr, expected.data(), stride);
                    if (columns > 0) detail::finish_rows(Isa::avx512, epilogue, 16, 0, columns, rows, y[1], nullptr, expected.data(), stride);
                    detail::multiply_block_into_avx512(x.data(), height, panels, k, to);
                    INFO("height " << height << " rows " << rows << " columns " << columns << " bits " << bits);
                    REQUIRE(found == expected);
                }
            }
        }
    }
}

TEST_CASE("blocks that flow into the result with AVX2 have the bits of ones that are stored and finished", "[ops]") {
    if (detected_isa() < Isa::avx2) return;
    const std::size_t k = 40, stride = 21, blocks = 3;
    const std::vector<float> bias = morsel_test::random_floats(16, 3), weights = morsel_test::random_floats(k * 16, 4);
    const float* const panels[2] = {weights.data(), weights.data()};
    for (const std::size_t height : {2u, 4u, 6u}) {
        const std::vector<float> x = morsel_test::random_floats(blocks * k * height, height);
        for (const std::size_t rows : {blocks * height, blocks * height - 1}) {
            for (const auto activation : {Activation::none, Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu, Activation::tanh}) {
                for (unsigned bits = 0; bits < 4; ++bits) {
                    const Epilogue epilogue{.bias = (bits & 1) != 0 ? bias.data() : nullptr, .activation = activation, .accumulate = (bits & 2) != 0};
                    std::vector<float> expected(blocks * height * stride, 0.25f), found = expected, untouched = expected;
                    detail::BlockResult to;
                    to.out[0] = found.data(), to.bias[0] = epilogue.bias, to.columns[0] = 16, to.rows = rows, to.stride = stride, to.accumulate = epilogue.accumulate;
                    for (std::size_t block = 0; block < blocks; ++block) {
                        alignas(64) float y[2][6 * 16];
                        float* const sums[2] = {y[0], y[1]};
                        const std::size_t row = block * height;
                        detail::multiply_block(Isa::avx2, x.data() + row * k, height, panels, k, to, sums);
                        detail::finish_rows(Isa::avx2, epilogue, 0, 0, 16, std::min(height, rows - row), y[0], nullptr, expected.data() + row * stride, stride);
                    }
                    INFO("height " << height << " rows " << rows << " activation " << static_cast<int>(activation) << " bits " << bits);
                    const bool done = detail::multiply_panel_avx2(x.data(), height, blocks, weights.data(), k, activation, to);
                    REQUIRE(done == (activation != Activation::tanh));
                    REQUIRE(found == (done ? expected : untouched));
                }
            }
        }
    }
}

TEST_CASE("rows are packed with AVX2 as by plain loops, and nothing behind them is written", "[ops]") {
    if (detected_isa() < Isa::avx2) return;
    for (const std::size_t height : {2u, 4u, 6u, 8u, 16u}) {
        for (const std::size_t columns : {16u, 32u, 80u}) {
            const std::size_t stride = columns + 3;
            const std::vector<float> x = morsel_test::random_floats(2 * height * stride, columns);
            for (const std::size_t there : {height, height - 1, std::size_t{1}}) {
                std::vector<float> expected(columns * height + 16, 7.0f), found = expected;
                detail::pack_rows_plain(x.data(), there, stride, columns, height, expected.data());
                detail::pack_rows(Isa::avx2, x.data(), there, stride, columns, height, found.data());
                INFO("height " << height << " columns " << columns << " there " << there);
                REQUIRE(found == expected);
            }
        }
    }
}

TEST_CASE("gelu with AVX2 keeps to the true one", "[ops]") {
    if (detected_isa() < Isa::avx2) return;
    const std::size_t count = 20000;  // as rows of one product with a matrix that is 1 where row and column agree
    Cpu device({.threads = 1, .precision = MatrixPrecision::f32, .isa = Isa::avx2});
    std::vector<float> one(16 * 16), x(count * 16), out(count * 16);
    for (std::size_t i = 0; i < 16; ++i) one[i * 17] = 1;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = -9 + 18 * static_cast<float>(i) / static_cast<float>(x.size());
    const CpuMatrix weight = prepare_matrix(device, {DType::f32, {16, 16}, std::as_bytes(std::span<const float>(one))});
    linear(device, x.data(), count, weight, {.activation = Activation::gelu}, out.data());
    double worst = 0, worst_of_small = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto value = static_cast<double>(x[i]);
        const double error = std::abs(static_cast<double>(out[i]) - 0.5 * value * std::erfc(-value * std::sqrt(0.5)));
        worst = std::max(worst, error);
        if (std::abs(value) < 1) worst_of_small = std::max(worst_of_small, error);
    }
    CHECK(worst < 9e-7);
    CHECK(worst_of_small < 1.3e-7);
}
#endif

TEST_CASE("values that are no numbers stay so, and tiny ones do no harm", "[ops]") {
    for (const Isa isa : all_isas) {
        Cpu device({.threads = 1, .isa = isa});
        if (device.isa() != isa) continue;
        for (const DType type : {DType::q4_1, DType::q8_0, DType::bf16, DType::f32}) {
            const Stored stored = morsel_test::random_matrix(type, 16, 64, 1);
            const CpuMatrix weight = prepare_matrix(device, stored.view());
            for (const std::size_t rows : {1u, 3u, 17u}) {
                for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
                    std::vector<float> x = morsel_test::random_floats(rows * 64, 2), out(rows * 16);
                    x[40] = bad;
                    linear(device, x.data(), rows, weight, {}, out.data());
                    INFO("isa " << static_cast<int>(isa) << " type " << dtype_info(type).name << " rows " << rows);
                    CHECK(!std::isfinite(out[3]));
                    for (std::size_t i = 16; i < out.size(); ++i) REQUIRE(std::isfinite(out[i]));
                }
                const std::vector<float> tiny(rows * 64, 1e-38f);
                CHECK(worst_error(device, tiny, rows, weight, stored.values, {}) < 1e-30);
            }
        }
    }
}

#if defined(__x86_64__)
namespace {

using FixedProduct = void (*)(const std::uint8_t*, std::size_t, const detail::FixedBlock*, float*);

// One panel of `blocks` blocks whose codes are all `code`, scales 1 or as bytes 3, against activations in fixed point.
template <DType Type>
void fixed_point_holds(FixedProduct product, std::uint8_t code, const std::vector<float>& x) {
    constexpr QuantPanel sizes = quant_panel(Type);
    const std::size_t blocks = x.size() / 32;
    std::vector<std::uint8_t> panel(panel_bytes(Type, x.size()), code);
    const auto ones = [&](std::size_t at, std::size_t count) {
        for (std::size_t i = 0; i < count; i += 2) panel[at + i] = 0, panel[at + i + 1] = 0x3c;
    };
    for (std::size_t b = 0; b < blocks; ++b) {
        if (sizes.head != 0 && b % 8 == 0) ones(sizes.head_at(b), sizes.head);
        const std::size_t scales = sizes.block_at(b) + sizes.codes;
        if (sizes.head == 0) ones(scales, sizes.scales);
        else std::fill_n(panel.begin() + static_cast<std::ptrdiff_t>(scales), sizes.scales, std::uint8_t{3});
    }
    std::vector<detail::FixedBlock> fixed(blocks);
    detail::to_fixed(x.data(), blocks, fixed.data());
    float found[16], expected[16];
    product(panel.data(), blocks, fixed.data(), found);
    detail::dot_fixed_plain<Type>(panel.data(), blocks, fixed.data(), expected);
    double terms = 0;
    for (const float value : x) terms += std::abs(value) * 3 * 256;
    for (std::size_t r = 0; r < 16; ++r) REQUIRE(std::abs(found[r] - expected[r]) <= 1e-6 * terms);
}

}  // namespace

TEST_CASE("products in fixed point hold the largest codes and digits", "[ops]") {
    // 524287 is the largest number of the fixed point; -516160 has the digits -31, -64, -64, 516031 has 31, 63, 63.
    std::vector<std::vector<float>> inputs;
    for (const float number : {524287.0f, -524287.0f, -516160.0f, 516031.0f, -64.0f, 0.0f}) {
        inputs.emplace_back(512, number / detail::fixed_limit);
        for (std::size_t b = 0; b < 16; ++b) inputs.back()[b * 32 + b] = 1;
    }
    inputs.push_back(morsel_test::random_floats(512, 7));
    for (const std::vector<float>& x : inputs) {
        std::vector<detail::FixedBlock> fixed(16);
        detail::to_fixed(x.data(), 16, fixed.data());
        for (std::size_t i = 0; i < 512; ++i) {
            const detail::FixedBlock& block = fixed[i / 32];
            for (const auto& digit : block.digit) REQUIRE((digit[i % 32] >= -64 && digit[i % 32] <= 63));
            const double value = block.digit[2][i % 32] * 16384 + block.digit[1][i % 32] * 128 + block.digit[0][i % 32];
            REQUIRE(std::abs(value * block.scale - x[i]) <= 0.55 * block.scale);
        }
        for (const std::uint8_t code : {0x00, 0x0f, 0x77, 0x80, 0xf0, 0xff}) {
            for (const DType type : all_types) {
                with_panel_type(type, [&]<DType Type>() {
                    if constexpr (quant_format(Type).bits > 0) {
                        if (detected_isa() >= Isa::avx2) fixed_point_holds<Type>(detail::dot_fixed_avx2<Type, 1>, code, x);
                        if (detected_isa() >= Isa::avx512_bf16) fixed_point_holds<Type>(detail::dot_fixed_vnni<Type, 1>, code, x);
                    }
                });
            }
        }
    }
}

TEST_CASE("products in fixed point are the same bits with VNNI and without", "[ops]") {
    if (detected_isa() < Isa::avx512_bf16) SUCCEED("this machine has no VNNI");
    for (const DType type : all_types) {
        if (quant_format(type).bits == 0) continue;
        const Stored stored = morsel_test::random_matrix(type, 33, 512, 11);
        const std::vector<float> x = morsel_test::random_floats(5 * 512, 12);
        std::vector<std::vector<float>> results;
        for (const Isa isa : {Isa::avx2, Isa::avx512_bf16}) {
            Cpu device({.threads = 1, .isa = isa});
            if (device.isa() != isa) continue;
            const CpuMatrix weight = prepare_matrix(device, stored.view());
            linear(device, x.data(), 5, weight, {}, results.emplace_back(5 * 33).data());
        }
        if (results.size() == 2) REQUIRE(results[0] == results[1]);
    }
}
#endif

TEST_CASE("the exponential of the activations keeps to the true one", "[ops]") {
    double worst = 0;
    for (double x = -86.9; x < 88; x += 1.7e-3) {
        const auto at = static_cast<float>(x);
        worst = std::max(worst, std::abs(detail::exponential(at) / std::exp(static_cast<double>(at)) - 1));
    }
    CHECK(worst < 1.2e-7);
    CHECK(detail::exponential(0.0f) == 1.0f);
    CHECK(detail::exponential(-1e30f) < 2e-38f);
    CHECK(detail::exponential(1e30f) > 1e38f);
    CHECK(std::isnan(detail::exponential(std::numeric_limits<float>::quiet_NaN())));
    CHECK(std::isnan(detail::exponential(-std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("matrices that cannot be are refused", "[ops]") {
    Cpu device({.threads = 1});
    const Stored a = morsel_test::random_matrix(DType::f32, 4, 32, 1), b = morsel_test::random_matrix(DType::f32, 4, 33, 1),
                 q = morsel_test::random_matrix(DType::q8_0, 4, 32, 1);
    const auto prepare = [&](std::vector<MatrixPart> parts) { return prepare_matrix(device, std::span<const MatrixPart>(parts)); };
    CHECK_THROWS_AS(prepare({{.view = a.view()}, {.view = b.view()}}), Error);
    CHECK_THROWS_AS(prepare({{.view = q.view(), .transposed = true}}), Error);
    CHECK_THROWS_AS(prepare({{.view = a.view(), .row_order = {0, 1, 2, 4}}}), Error);
    CHECK_THROWS_AS(prepare({{.view = a.view(), .row_order = {0, 1, 2}}}), Error);
    TensorView cut = a.view();
    cut.bytes = cut.bytes.first(cut.bytes.size() - 1);
    CHECK_THROWS_AS(prepare({{.view = cut}}), Error);
    TensorView integers = a.view();
    integers.dtype = DType::i32;
    CHECK_THROWS_AS(prepare({{.view = integers}}), Error);
}
