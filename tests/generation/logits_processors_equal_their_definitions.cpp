// The fast selections equal the plain ones on random and hostile rows, to the bit; and small cases worked out by hand.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "morsel/core/philox.hpp"
#include "morsel/generation/logits_processors.hpp"
#include "morsel/generation/logits_processors_plain.hpp"
#include "morsel/generation/sampling.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

float random_value(std::uint64_t seed, std::uint64_t i) {  // roughly normal: a sum of 4 uniforms
    float sum = 0;
    for (const auto word : philox(seed, {.step = i})) sum += uniform_float(word);
    return (sum - 2) * 1.73F;
}

// Rows of every shape that a selection may stumble over; `kind` chooses one.
std::vector<float> row(int kind, std::size_t size, std::uint64_t seed) {
    std::vector<float> x(size);
    for (std::size_t i = 0; i < size; ++i) {
        const float normal = random_value(seed, i);
        switch (kind) {
            case 0: x[i] = normal * 3; break;
            case 1: x[i] = std::round(normal * 4) / 2; break;                      // ties
            case 2: x[i] = 1.25F; break;                                           // all equal
            case 3: x[i] = static_cast<float>(i) * 0.01F; break;                   // ascending
            case 4: x[i] = static_cast<float>(i) * -0.01F; break;                  // descending
            case 5: x[i] = normal > 0 ? -inf : normal; break;                      // half is out
            case 6: x[i] = i == size / 2 ? 25 : normal; break;                     // one winner
            case 7: x[i] = normal * 1e30F; break;                                  // huge
            case 8: x[i] = i == size - 1 ? -3.0F : -inf; break;                    // one left
            case 9: x[i] = normal * 1e-6F; break;                                  // flat
            default: x[i] = (i % 2 == 0 ? 0.0F : -0.0F); break;                    // signed zeros
        }
    }
    return x;
}
constexpr int kinds = 11;

template <class Change> std::vector<float> changed(std::vector<float> x, Change change) {
    change(std::span<float>(x));
    return x;
}

std::size_t kept(const std::vector<float>& x) {
    return static_cast<std::size_t>(std::count_if(x.begin(), x.end(), [](float v) { return v > -inf; }));
}

}  // namespace

TEST_CASE("every fast logits processor equals its plain version") {
    LogitsWorkspace workspace;  // shared on purpose: nothing may leak from one call to the next
    for (int kind = 0; kind < kinds; ++kind)
        for (const std::size_t size : {1U, 2U, 3U, 64U, 257U, 3000U}) {
            const auto x = row(kind, size, 11 + size);
            CAPTURE(kind, size);
            for (const std::size_t k : {1U, 2U, 50U, 511U, 513U, 2999U, 3000U, 5000U})
                CHECK(changed(x, [&](auto s) { apply_top_k(s, k, workspace); }) == changed(x, [&](auto s) { plain::apply_top_k(s, k); }));
            for (const float p : {0.0F, 1e-6F, 0.01F, 0.25F, 0.5F, 0.75F, 0.9F, 0.95F, 0.999F, 0.9999999F, 1.0F}) {
                CAPTURE(p);
                CHECK(changed(x, [&](auto s) { apply_top_p(s, p, workspace); }) == changed(x, [&](auto s) { plain::apply_top_p(s, p); }));
                CHECK(changed(x, [&](auto s) { apply_min_p(s, p); }) == changed(x, [&](auto s) { plain::apply_min_p(s, p); }));
                CHECK(changed(x, [&](auto s) { apply_typical(s, p, workspace); }) == changed(x, [&](auto s) { plain::apply_typical(s, p); }));
            }
            CHECK(argmax(x) == plain::argmax(x));
            std::vector<TokenId> history;
            for (std::size_t i = 0; i < 40; ++i) history.push_back(philox(5, {.step = i})[0] % static_cast<TokenId>(size + 3));
            CHECK(changed(x, [&](auto s) { apply_repetition_penalty(s, history, 1.3F, workspace); }) ==
                  changed(x, [&](auto s) { plain::apply_repetition_penalty(s, history, 1.3F); }));
            for (std::uint64_t i = 0; i < 50; ++i) {
                const std::uint64_t bits = i == 0 ? 0 : i == 1 ? ~std::uint64_t{0} : philox_bits(9, {.step = i});
                CHECK(sample_token(x, bits) == plain::sample_token(x, bits));
            }
        }
}

TEST_CASE("something is always left") {
    LogitsWorkspace workspace;
    const LogitsProcessing narrow{.do_sample = true, .temperature = 0.05F, .top_k = 1, .top_p = 1e-6F, .min_p = 1.0F, .typical_p = 1e-6F, .epsilon_cutoff = 0.99F, .eta_cutoff = 0.99F};
    for (int kind = 0; kind < kinds; ++kind) {
        CAPTURE(kind);
        auto x = row(kind, 500, 3);
        process_logits(x, {}, narrow, workspace);
        CHECK(kept(x) >= 1);
        check_logits(x, 0);
    }
}

TEST_CASE("top-k keeps ties with the k-th, top-p keeps the first token beyond the mass") {
    LogitsWorkspace workspace;
    const std::vector<float> ties{3, 1, 2, 2, 2, 0};
    CHECK(kept(changed(ties, [&](auto s) { apply_top_k(s, 2, workspace); })) == 4);
    CHECK(kept(changed(ties, [&](auto s) { apply_top_k(s, 6, workspace); })) == 6);
    const std::vector<float> p{std::log(0.5F), std::log(0.3F), std::log(0.15F), std::log(0.05F)};
    CHECK(kept(changed(p, [&](auto s) { apply_top_p(s, 0.49F, workspace); })) == 1);
    CHECK(kept(changed(p, [&](auto s) { apply_top_p(s, 0.51F, workspace); })) == 2);
    CHECK(kept(changed(p, [&](auto s) { apply_top_p(s, 0.81F, workspace); })) == 3);
    CHECK(kept(changed(p, [&](auto s) { apply_min_p(s, 0.31F); })) == 2);  // 0.3 ≥ 0.31·0.5 > 0.15
    CHECK(kept(changed(p, [&](auto s) { apply_epsilon_cutoff(s, 0.1F); })) == 3);
    CHECK(kept(changed(p, [&](auto s) { apply_epsilon_cutoff(s, 0.9F); })) == 1);
    // Entropy 1.1421; |surprise − entropy|: 0.449, 0.062, 0.755, 1.854.
    CHECK(changed(p, [&](auto s) { apply_typical(s, 0.2F, workspace); }) == std::vector<float>{-inf, p[1], -inf, -inf});
    CHECK(changed(p, [&](auto s) { apply_typical(s, 0.4F, workspace); }) == std::vector<float>{p[0], p[1], -inf, -inf});
    // √0.09 · e^−1.1421 = 0.0957 > 0.09, so eta is epsilon; √0.16 · e^−1.1421 = 0.1277 < 0.16.
    CHECK(kept(changed(p, [&](auto s) { apply_eta_cutoff(s, 0.09F); })) == 3);
    CHECK(kept(changed(p, [&](auto s) { apply_eta_cutoff(s, 0.16F); })) == 3);
    CHECK(kept(changed(p, [&](auto s) { apply_eta_cutoff(s, 0.25F); })) == 2);  // 0.1596
}

TEST_CASE("the repetition penalty acts once per distinct token, whatever its sign") {
    LogitsWorkspace workspace;
    const std::vector<TokenId> history{0, 1, 1, 1, 0, 99};
    const auto x = changed({2, -2, 2, -2}, [&](auto s) { apply_repetition_penalty(s, history, 2, workspace); });
    CHECK(x == std::vector<float>{1, -4, 2, -2});
}

TEST_CASE("no n-gram comes twice") {
    const auto banned = [](std::vector<TokenId> history, std::size_t n) {
        const auto x = changed(std::vector<float>(6, 0.0F), [&](auto s) { apply_no_repeat_ngram(s, history, n); });
        std::string ids;
        for (std::size_t i = 0; i < x.size(); ++i)
            if (is_minus_infinity(x[i])) ids += std::to_string(i);
        return ids;
    };
    CHECK(banned({1, 2, 3, 1, 2}, 3) == "3");
    CHECK(banned({1, 2, 3, 1, 2}, 2) == "3");
    CHECK(banned({1, 2, 3, 1, 2}, 1) == "123");
    CHECK(banned({1, 2, 3, 1, 2, 4, 1, 2}, 3) == "34");
    CHECK(banned({1, 1, 1}, 2) == "1");
    CHECK(banned({1, 1}, 3) == "");
    CHECK(banned({}, 1) == "");
    CHECK(banned({1, 99, 1}, 2) == "");  // 99 is beyond the logits
    CHECK(banned({1, 2, 3}, ~std::size_t{0}) == "");
}
