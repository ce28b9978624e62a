// Points with labels as an SVG picture: each a dot in the colour of its group, over two axes with round numbers. Points whose coordinates
// are not finite are left out. A label that would cover another is left out of the picture, but every dot tells its label when pointed at.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/visual/printable.hpp"
#include "morsel/visual/svg_line_chart.hpp"

namespace morsel {

struct ScatterPoint {
    double x = 0, y = 0;
    std::string label = {};
    std::size_t group = 0;  // points of a group have one colour
};

struct ScatterOptions {
    std::string_view title = {};
    std::string_view x_label = {}, y_label = {};
    int width = 800, height = 600;  // pixels
};

inline std::string svg_scatter(std::span<const ScatterPoint> points, const ScatterOptions& options = {}) {
    constexpr double left = 60, right = 70, top = 44, bottom = 50, character = 6.5, line = 11;  // pixels
    constexpr const char* colours[] = {"#4a90c2", "#d1495b", "#66a182", "#edae49", "#7d5ba6", "#555555", "#b3661a", "#2a9d8f"};
    const double width = std::max(options.width, 200), height = std::max(options.height, 150);
    const auto is_shown = [](const ScatterPoint& p) { return std::abs(p.x) < 1e300 && std::abs(p.y) < 1e300; };
    double x0 = HUGE_VAL, x1 = -HUGE_VAL, y0 = HUGE_VAL, y1 = -HUGE_VAL;
    for (const ScatterPoint& p : points)
        if (is_shown(p)) x0 = std::min(x0, p.x), x1 = std::max(x1, p.x), y0 = std::min(y0, p.y), y1 = std::max(y1, p.y);
    if (!(x0 <= x1)) x0 = y0 = 0, x1 = y1 = 1;  // no points
    if (!(x1 - x0 > 1e-12 * std::abs(x0))) x0 -= 0.5, x1 += 0.5;
    if (!(y1 - y0 > 1e-12 * std::abs(y0))) y0 -= 0.5, y1 += 0.5;
    const auto x_of = [&](double x) { return left + (width - left - right) * ((x - x0) / (x1 - x0)); };
    const auto y_of = [&](double y) { return height - bottom - (height - top - bottom) * ((y - y0) / (y1 - y0)); };
    const auto number = [](double value) { return detail::decimal(value, 1); };
    const auto text = [&](double x, double y, std::string_view anchor, const std::string& content, const std::string& more = {}) {
        return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + std::string(anchor) + "\"" + more + ">" + content + "</text>\n";
    };
    const std::string w = std::to_string(static_cast<int>(width)), h = std::to_string(static_cast<int>(height));
    std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h + "\" viewBox=\"0 0 " + w + " " + h +
                      "\" font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    if (!options.title.empty()) out += text(left, 24, "start", markup(options.title), " font-size=\"15\"");
    for (const double y : detail::round_numbers(y0, y1)) {
        out += "<path d=\"M" + number(left) + " " + number(y_of(y)) + "H" + number(width - right) + "\" stroke=\"#eee\"/>\n";
        out += text(left - 8, y_of(y) + 4, "end", detail::short_number(y), " fill=\"#888\"");
    }
    for (const double x : detail::round_numbers(x0, x1)) {
        out += "<path d=\"M" + number(x_of(x)) + " " + number(top) + "V" + number(height - bottom) + "\" stroke=\"#eee\"/>\n";
        out += text(x_of(x), height - bottom + 18, "middle", detail::short_number(x), " fill=\"#888\"");
    }
    if (!options.x_label.empty()) out += text((left + width - right) / 2, height - 12, "middle", markup(options.x_label));
    if (!options.y_label.empty()) out += text(16, (top + height - bottom) / 2, "middle", markup(options.y_label), " transform=\"rotate(-90 16 " + number((top + height - bottom) / 2) + ")\"");

    std::vector<std::array<double, 4>> taken;  // left, top, right, bottom of labels
    for (const ScatterPoint& p : points) {
        if (!is_shown(p)) continue;
        const double x = x_of(p.x), y = y_of(p.y);
        const std::string colour = colours[p.group % std::size(colours)];
        out += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"3\" fill=\"" + colour + "\"><title>" + markup(p.label) + "</title></circle>\n";
        if (p.label.empty()) continue;
        const std::string shown = printable(p.label);
        const auto characters = static_cast<double>(std::count_if(shown.begin(), shown.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
        const std::array<double, 4> box{x + 5, y + 4 - line, x + 5 + character * characters, y + 4};
        const bool covers = std::any_of(taken.begin(), taken.end(), [&](const auto& other) { return box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]; });
        if (covers) continue;
        taken.push_back(box);
        out += text(x + 5, y + 4, "start", markup(p.label), " fill=\"" + colour + "\"");
    }
    return out + "</svg>\n";
}

}  // namespace morsel
