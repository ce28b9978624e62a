// Draws follow the softmax of what the processors left (chi-square tests at 99.99 %), and bad logits are errors.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "morsel/generation/logits_processors.hpp"
#include "morsel/generation/sampling.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// The 99.99 % quantile of the chi-square distribution (Wilson and Hilferty's approximation; within 1 % from 2 degrees on).
double chi_square_limit(std::size_t degrees) {
    const double k = static_cast<double>(degrees), z = 3.719;
    return k * std::pow(1 - 2 / (9 * k) + z * std::sqrt(2 / (9 * k)), 3);
}

// Pearson's statistic of counts against probabilities; tokens with probability 0 must not occur.
double chi_square(const std::vector<std::size_t>& counts, const std::vector<double>& probabilities, std::size_t draws, std::size_t& degrees) {
    double sum = 0;
    degrees = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double expected = probabilities[i] * static_cast<double>(draws);
        if (probabilities[i] == 0) {
            CHECK(counts[i] == 0);
            continue;
        }
        REQUIRE(expected > 5);  // the approximation's own condition
        sum += (static_cast<double>(counts[i]) - expected) * (static_cast<double>(counts[i]) - expected) / expected;
        ++degrees;
    }
    --degrees;
    return sum;
}

// Softmax by its definition, in double.
std::vector<double> probabilities_of(const std::vector<float>& logits) {
    std::vector<double> p;
    double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x));
    for (const float x : logits) p.push_back(std::exp(static_cast<double>(x)) / sum);
    return p;
}

constexpr std::size_t draws = 40000;

template <class Position> void check_draws(const std::vector<float>& logits, Position position) {
    std::vector<std::size_t> counts(logits.size());
    for (std::size_t i = 0; i < draws; ++i) {
        const auto [seed, at] = position(i);
        ++counts.at(sample_token(logits, seed, at));
    }
    std::size_t degrees = 0;
    const double statistic = chi_square(counts, probabilities_of(logits), draws, degrees);
    CAPTURE(degrees);
    CHECK(statistic < chi_square_limit(degrees));
}

}  // namespace

TEST_CASE("draws follow the softmax along steps, sequences and seeds") {
    std::vector<float> logits;
    for (int i = 0; i < 600; ++i) logits.push_back(static_cast<float>(std::sin(i * 1.7)));  // several blocks of the search
    logits[5] = logits[300] = -infinity;
    logits[599] = 4;
    check_draws(logits, [](std::size_t i) { return std::pair(std::uint64_t{1}, RandomPosition{.step = i}); });
    check_draws(logits, [](std::size_t i) { return std::pair(std::uint64_t{1}, RandomPosition{.step = 9, .sequence = static_cast<std::uint32_t>(i)}); });
    check_draws(logits, [](std::size_t i) { return std::pair(std::uint64_t{i}, RandomPosition{}); });
    check_draws({0.3F, -0.2F, 1.1F}, [](std::size_t i) { return std::pair(std::uint64_t{42}, RandomPosition{.step = i}); });
}

TEST_CASE("draws of neighbouring steps, sequences and seeds are independent") {
    const std::vector<float> logits{0, 0.5F, 1};
    const auto p = probabilities_of(logits);
    for (const int what : {0, 1, 2}) {
        std::vector<std::size_t> counts(9);
        std::vector<double> joint(9);
        for (std::size_t i = 0; i < 9; ++i) joint[i] = p[i / 3] * p[i % 3];
        for (std::size_t i = 0; i < draws; ++i) {
            const RandomPosition at{.step = 2 * i, .sequence = 7};
            const auto first = sample_token(logits, 3, at);
            const auto second = what == 0   ? sample_token(logits, 3, {.step = 2 * i + 1, .sequence = 7})
                                : what == 1 ? sample_token(logits, 3, {.step = 2 * i, .sequence = 8})
                                            : sample_token(logits, 4, at);
            ++counts[first * 3 + second];
        }
        std::size_t degrees = 0;
        CHECK(chi_square(counts, joint, draws, degrees) < chi_square_limit(8));
    }
}

TEST_CASE("draws after temperature, top-k and top-p follow the renormalised distribution") {
    std::vector<float> logits;
    for (int i = 0; i < 200; ++i) logits.push_back(static_cast<float>(std::cos(i * 0.9) * 3));
    LogitsWorkspace workspace;
    process_logits(logits, {}, {.do_sample = true, .temperature = 0.8F, .top_k = 20, .top_p = 0.9F}, workspace);
    check_draws(logits, [](std::size_t i) { return std::pair(std::uint64_t{11}, RandomPosition{.step = i}); });
}

TEST_CASE("the test would notice a wrong distribution") {
    std::vector<std::size_t> counts(4);
    for (std::size_t i = 0; i < draws; ++i) ++counts[sample_token(std::vector<float>{0, 0, 0, 0.1F}, 1, {.step = i})];
    std::size_t degrees = 0;
    CHECK(chi_square(counts, {0.25, 0.25, 0.25, 0.25}, draws, degrees) > chi_square_limit(3));
}

TEST_CASE("the ends of the random range choose the first and the last possible token") {
    const std::vector<float> logits{-infinity, 1, 2, -200, -infinity};
    CHECK(sample_token(logits, 0) == 1);
    CHECK(sample_token(logits, ~std::uint64_t{0}) == 2);  // e^−202 is no mass at all
    CHECK(sample_token(std::vector<float>{-1000}, ~std::uint64_t{0}) == 0);
    CHECK(sample_token(std::vector<float>{3e38F, -3e38F}, 1) == 0);
}

TEST_CASE("argmax takes the lowest of equal ids") {
    CHECK(argmax(std::vector<float>{1, 3, 3, 2}) == 1);
    CHECK(argmax(std::vector<float>{-infinity, -infinity, -5}) == 2);
}

TEST_CASE("logits that are not usable are errors that say how many and where") {
    const auto message = [](std::vector<float> logits) {
        try {
            check_logits(logits, 17);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(message({1, -infinity, 2}).empty());
    CHECK(message({1, not_a_number, -not_a_number}) == "step 17: logits are not finite (expected numbers or -inf, found 2 of 3 NaN or +inf)");
    CHECK(message({inf, 0}).find("1 of 2") != std::string::npos);
    CHECK(message({-infinity, -infinity}).find("no token is possible") != std::string::npos);
    CHECK(message({}).find("no token is possible") != std::string::npos);
}
