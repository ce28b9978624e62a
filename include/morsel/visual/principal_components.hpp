// Points of many dimensions brought to a few for a picture: along the directions in which they differ most (principal component analysis).
// By orthogonal iteration on the covariance (G. Golub, C. Van Loan, "Matrix computations", 8.2.4), in double precision, from a fixed start, so
// the same points give the same picture; a few directions more than asked for are carried along, which makes it settle soon.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/philox.hpp"

namespace morsel {

struct PrincipalComponents {
    std::vector<double> coordinates = {};  // [points, components]
    std::vector<double> explained = {};    // [components] share of the variance, the largest first
};

// values [points, dimension]. Directions beyond what the points have get coordinates 0. Each is turned so that its largest entry is positive.
// Throws Error where sizes do not fit or a value is not finite.
inline PrincipalComponents principal_components(std::span<const float> values, std::size_t dimension, std::size_t components = 2) {
    if (dimension == 0 || values.size() % dimension != 0) throw Error("wrong size", {.key = "values", .expected = "a multiple of the dimension " + std::to_string(dimension), .found = std::to_string(values.size())});
    const std::size_t points = values.size() / dimension, k = std::min(components + 6, dimension);
    std::vector<double> centred(values.size()), mean(dimension);
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i])) throw Error("a value is not finite", {.key = "point " + std::to_string(i / dimension)});
        mean[i % dimension] += double{values[i]} / static_cast<double>(points);
    }
    double total = 0;
    for (std::size_t i = 0; i < values.size(); ++i) centred[i] = values[i] - mean[i % dimension], total += centred[i] * centred[i];

    std::vector<double> directions(k * dimension), products(points * k), next(k * dimension), sizes(k);
    for (std::size_t i = 0; i < directions.size(); ++i) directions[i] = uniform_double(philox_bits(1, {.step = i})) - 0.5;
    const auto dot = [](const double* a, const double* b, std::size_t n) { return std::inner_product(a, a + n, b, 0.0); };
    const auto orthonormalise = [&](std::vector<double>& rows) {  // Gram-Schmidt, twice for the sake of rounding; what is left of nothing becomes 0
        for (std::size_t i = 0; i < k; ++i) {
            double* const row = rows.data() + i * dimension;
            const double before = std::sqrt(dot(row, row, dimension));
            for (int round = 0; round < 2; ++round)
                for (std::size_t j = 0; j < i; ++j) {
                    const double* const other = rows.data() + j * dimension;
                    const double along = dot(row, other, dimension);
                    for (std::size_t d = 0; d < dimension; ++d) row[d] -= along * other[d];
                }
            const double after = std::sqrt(dot(row, row, dimension));
            for (std::size_t d = 0; d < dimension; ++d) row[d] = after > 1e-12 * before && after > 0 ? row[d] / after : 0;
        }
    };
    const auto project = [&] {
        for (std::size_t p = 0; p < points; ++p)
            for (std::size_t i = 0; i < k; ++i) products[p * k + i] = dot(centred.data() + p * dimension, directions.data() + i * dimension, dimension);
    };
    orthonormalise(directions);
    for (int round = 0; round < 500 && total > 0; ++round) {
        project();
        std::fill(next.begin(), next.end(), 0.0);
        for (std::size_t p = 0; p < points; ++p)
            for (std::size_t i = 0; i < k; ++i)
                for (std::size_t d = 0; d < dimension; ++d) next[i * dimension + d] += products[p * k + i] * centred[p * dimension + d];
        orthonormalise(next);
        double turned = 0;  // how far the directions that are asked for still move
        for (std::size_t i = 0; i < std::min(components, k); ++i) turned = std::max(turned, 1 - std::abs(dot(next.data() + i * dimension, directions.data() + i * dimension, dimension)));
        directions.swap(next);
        if (turned < 1e-14) break;
    }
    project();
    PrincipalComponents out{.coordinates = std::vector<double>(points * components), .explained = std::vector<double>(components)};
    for (std::size_t i = 0; i < std::min(components, k); ++i) {
        const auto row = std::span(directions).subspan(i * dimension, dimension);
        const double largest = *std::max_element(row.begin(), row.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
        for (std::size_t p = 0; p < points; ++p) {
            out.coordinates[p * components + i] = largest < 0 ? -products[p * k + i] : products[p * k + i];
            if (total > 0) out.explained[i] += products[p * k + i] * products[p * k + i] / total;
        }
    }
    return out;
}

}  // namespace morsel
