// Vectors with labels as an SVG picture of the plane in which they differ most: principal_components.hpp finds it, svg_scatter.hpp draws
// it, and each axis says its share of the variance. Words and sentences that mean the like lie near each other where the plane shows it.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/visual/principal_components.hpp"
#include "morsel/visual/svg_scatter.hpp"

namespace morsel {

// values [points, dimension], labels [points]; groups [points], points of a group having one colour, or empty. The axes' labels are those
// of `options`, or else the shares of the variance. Throws Error where sizes do not fit or a value is not finite.
inline std::string svg_principal_plane(std::span<const float> values, std::size_t dimension, std::span<const std::string> labels,
                                       ScatterOptions options = {}, std::span<const std::size_t> groups = {}) {
    const PrincipalComponents plane = principal_components(values, dimension);
    const std::size_t points = values.size() / dimension;
    if (labels.size() != points) throw Error("wrong size", {.key = "labels", .expected = std::to_string(points), .found = std::to_string(labels.size())});
    if (!groups.empty() && groups.size() != points) throw Error("wrong size", {.key = "groups", .expected = std::to_string(points), .found = std::to_string(groups.size())});
    std::vector<ScatterPoint> dots;
    for (std::size_t i = 0; i < points; ++i) dots.push_back({plane.coordinates[2 * i], plane.coordinates[2 * i + 1], labels[i], groups.empty() ? 0 : groups[i]});
    const auto share = [&](std::size_t i) { return detail::decimal(100 * plane.explained[i], 1) + " % of the variance"; };
    const std::string x = share(0), y = share(1);
    if (options.x_label.empty()) options.x_label = x;
    if (options.y_label.empty()) options.y_label = y;
    return svg_scatter(dots, options);
}

}  // namespace morsel
