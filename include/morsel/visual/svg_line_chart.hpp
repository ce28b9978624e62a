// Curves as an SVG picture: several lines over one pair of axes, with round numbers on both and a legend. The horizontal axis can be
// logarithmic. Points that are not finite, and on a logarithmic axis those that are not above zero, interrupt a line.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/visual/printable.hpp"

namespace morsel {

struct ChartLine {
    std::string label = {};                              // in the legend; empty: none
    std::vector<std::pair<double, double>> points = {};  // x, y, in the order in which they are joined
};

struct LineChartOptions {
    std::string_view title = {};
    std::string_view x_label = {}, y_label = {};
    bool logarithmic_x = false;
};

namespace detail {

// Round numbers within [low, high]: 1, 2 or 5 times a power of ten apart, at most eight or so.
inline std::vector<double> round_numbers(double low, double high) {
    const double rough = (high - low) / 6, power = std::pow(10, std::floor(std::log10(rough)));
    const double step = power * (rough / power <= 1 ? 1 : rough / power <= 2 ? 2 : rough / power <= 5 ? 5 : 10);
    std::vector<double> numbers;
    for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step && numbers.size() < 20; ++i) numbers.push_back(i * step);
    return numbers;
}

// Without zeros at the end: 0.5, 20, 30000.
inline std::string short_number(double value) {
    if (std::abs(value) >= 1e15) return decimal(value / 1e15, 3) + "e15";
    std::string text = decimal(value, 6);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text == "-0" ? "0" : text;
}

}  // namespace detail

inline std::string svg_line_chart(std::span<const ChartLine> lines, const LineChartOptions& options = {}) {
    constexpr double width = 640, height = 400, left = 70, right = 20, top = 44, bottom = 50;  // pixels
    constexpr const char* colours[] = {"#4a90c2", "#d1495b", "#66a182", "#edae49", "#7d5ba6", "#555555"};
    const auto along = [&](double x) { return options.logarithmic_x ? std::log10(x) : x; };
    const auto is_shown = [&](const std::pair<double, double>& p) { return std::abs(along(p.first)) < 1e300 && std::abs(p.second) < 1e300; };
    double x0 = HUGE_VAL, x1 = -HUGE_VAL, y0 = HUGE_VAL, y1 = -HUGE_VAL;
    for (const ChartLine& line : lines)
        for (const auto& p : line.points)
            if (is_shown(p)) x0 = std::min(x0, along(p.first)), x1 = std::max(x1, along(p.first)), y0 = std::min(y0, p.second), y1 = std::max(y1, p.second);
    if (!(x0 <= x1)) x0 = y0 = 0, x1 = y1 = 1;  // no points
    if (x0 == x1) x0 -= 0.5, x1 += 0.5;
    if (y0 == y1) y0 -= 0.5, y1 += 0.5;
    const auto x_of = [&](double x) { return left + (width - left - right) * ((x - x0) / (x1 - x0)); };  // of what `along` gives
    const auto y_of = [&](double y) { return height - bottom - (height - top - bottom) * ((y - y0) / (y1 - y0)); };
    const auto number = [](double value) { return detail::decimal(value, 1); };
    const auto text = [&](double x, double y, std::string_view anchor, const std::string& content, const std::string& more = {}) {
        return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + std::string(anchor) + "\"" + more + ">" + content + "</text>\n";
    };

    std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"400\" viewBox=\"0 0 640 400\" font-family=\"sans-serif\" font-size=\"12\">\n"
                      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    if (!options.title.empty()) out += text(left, 24, "start", markup(options.title), " font-size=\"15\"");
    for (const double y : detail::round_numbers(y0, y1)) {
        out += "<path d=\"M" + number(left) + " " + number(y_of(y)) + "H" + number(width - right) + "\" stroke=\"#ddd\"/>\n";
        out += text(left - 8, y_of(y) + 4, "end", detail::short_number(y));
    }
    std::vector<double> marks;  // along the horizontal axis
    if (options.logarithmic_x && x1 - x0 >= 1)
        for (double power = std::ceil(x0 - 1e-9); power <= x1 + 1e-9; ++power) marks.push_back(power);
    else
        for (const double x : detail::round_numbers(options.logarithmic_x ? std::pow(10, x0) : x0, options.logarithmic_x ? std::pow(10, x1) : x1)) marks.push_back(along(x));
    for (const double x : marks) {
        if (!std::isfinite(x)) continue;
        out += "<path d=\"M" + number(x_of(x)) + " " + number(height - bottom) + "v5\" stroke=\"#888\"/>\n";
        out += text(x_of(x), height - bottom + 18, "middle", detail::short_number(options.logarithmic_x ? std::pow(10, x) : x));
    }
    out += "<path d=\"M" + number(left) + " " + number(top) + "V" + number(height - bottom) + "H" + number(width - right) + "\" fill=\"none\" stroke=\"#888\"/>\n";
    if (!options.x_label.empty()) out += text((left + width - right) / 2, height - 12, "middle", markup(options.x_label));
    if (!options.y_label.empty()) out += text(16, (top + height - bottom) / 2, "middle", markup(options.y_label), " transform=\"rotate(-90 16 " + number((top + height - bottom) / 2) + ")\"");

    double legend = top + 14;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string colour = colours[i % std::size(colours)];
        std::string path;
        bool drawing = false;
        for (const auto& p : lines[i].points) {
            if (is_shown(p)) path += (drawing ? "L" : "M") + number(x_of(along(p.first))) + " " + number(y_of(p.second));
            drawing = is_shown(p);
        }
        if (!path.empty()) out += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"1.8\"/>\n";
        if (lines[i].label.empty()) continue;
        out += "<path d=\"M" + number(left + 14) + " " + number(legend - 4) + "h22\" stroke=\"" + colour + "\" stroke-width=\"3\"/>\n";
        out += text(left + 42, legend, "start", markup(lines[i].label));
        legend += 17;
    }
    return out + "</svg>\n";
}

}  // namespace morsel
