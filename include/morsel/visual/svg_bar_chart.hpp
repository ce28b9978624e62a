// A bar chart as an SVG picture: a label, a bar and its value on every line. Bars begin at zero; values that are not finite are
// named and have no bar, negative ones too.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "morsel/visual/printable.hpp"

namespace morsel {

struct Bar {
    std::string label = {};
    double value = 0;
};

struct BarChartOptions {
    std::string_view title = {};
    std::string_view unit = {};  // behind every value
    int decimals = 2;            // of the values
};

inline std::string svg_bar_chart(std::span<const Bar> bars, const BarChartOptions& options = {}) {
    constexpr int length = 420, right = 120, line = 26;  // pixels
    double largest = 0;
    std::size_t longest = 0;  // label, characters
    for (const Bar& bar : bars) {
        if (std::isfinite(bar.value)) largest = std::max(largest, bar.value);
        std::size_t characters = 0;
        for (const char c : printable(bar.label)) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
        longest = std::max(longest, characters);
    }
    const int left = 24 + 8 * static_cast<int>(std::min<std::size_t>(longest, 60)), top = options.title.empty() ? 10 : 40;
    const std::string width = std::to_string(left + length + right), height = std::to_string(top + line * static_cast<int>(bars.size()) + 10);
    std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + width + "\" height=\"" + height + "\" viewBox=\"0 0 " + width + " " + height +
                      "\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    if (!options.title.empty()) out += "<text x=\"10\" y=\"24\" font-size=\"15\">" + markup(options.title) + "</text>\n";
    int y = top;
    for (const Bar& bar : bars) {
        const double bar_length = std::isfinite(bar.value) && bar.value > 0 ? length * (bar.value / largest) : 0;
        const std::string baseline = "\" y=\"" + std::to_string(y + 18);
        out += "<text x=\"" + std::to_string(left - 8) + baseline + "\" text-anchor=\"end\">" + markup(bar.label) + "</text>\n";
        out += "<rect x=\"" + std::to_string(left) + "\" y=\"" + std::to_string(y + 3) + "\" width=\"" + detail::decimal(bar_length, 1) + "\" height=\"" +
               std::to_string(line - 6) + "\" fill=\"#4a90c2\"/>\n";
        out += "<text x=\"" + detail::decimal(left + 6 + bar_length, 1) + baseline + "\">" + detail::decimal(bar.value, options.decimals) +
               (options.unit.empty() ? "" : " " + markup(options.unit)) + "</text>\n";
        y += line;
    }
    return out + "</svg>\n";
}

}  // namespace morsel
