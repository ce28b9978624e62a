// A matrix as an SVG picture: a coloured square for every value, light for the smallest and dark for the largest, with labels at both
// sides and the value as a tooltip, or written where there is room. For similarities of sentences and for attention.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "morsel/visual/printable.hpp"

namespace morsel {

struct HeatMapOptions {
    std::string_view title = {};
    std::string_view row_title = {}, column_title = {};  // what rows and columns are
    int decimals = 2;                                    // of the values
    bool write_values = false;                           // in the squares; otherwise only as tooltips
};

// values [rows.size(), columns.size()]; values that are not finite are grey. Labels are text of any bytes.
inline std::string svg_heat_map(std::span<const float> values, std::span<const std::string> rows, std::span<const std::string> columns, const HeatMapOptions& options = {}) {
    const int cell = options.write_values ? 44 : 22;  // pixels
    const auto shortened = [](const std::string& label) {
        std::string out;
        std::size_t characters = 0;
        for (const char c : printable(label)) {
            characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
            if (characters > 32) return out + "…";
            out += c;
        }
        return out;
    };
    const auto widest = [&](std::span<const std::string> labels) {
        std::size_t most = 0;
        for (const std::string& label : labels) {
            const std::string shown = shortened(label);
            most = std::max<std::size_t>(most, static_cast<std::size_t>(std::count_if(shown.begin(), shown.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; })));
        }
        return static_cast<int>(most) * 8 + 16;
    };
    float low = std::numeric_limits<float>::max(), high = std::numeric_limits<float>::lowest();
    for (const float value : values)
        if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
    const float range = high > low ? high - low : 1;

    const int title = options.title.empty() ? 0 : 32, names = options.column_title.empty() ? 0 : 20;
    const int left = widest(rows) + (options.row_title.empty() ? 0 : 20), top = title + names + widest(columns);
    const auto number = [](std::size_t n) { return std::to_string(n); };
    const int width = left + cell * static_cast<int>(columns.size()) + 10, height = top + cell * static_cast<int>(rows.size()) + 10;
    std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(width) + "\" height=\"" + std::to_string(height) + "\" viewBox=\"0 0 " + std::to_string(width) + " " +
                      std::to_string(height) + "\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    if (!options.title.empty()) out += "<text x=\"10\" y=\"24\" font-size=\"15\">" + markup(options.title) + "</text>\n";
    if (names > 0) out += "<text x=\"" + std::to_string(left) + "\" y=\"" + std::to_string(title + 14) + "\" fill=\"#666\">" + markup(options.column_title) + "</text>\n";
    if (!options.row_title.empty()) out += "<text transform=\"translate(16 " + std::to_string(top) + ") rotate(-90)\" text-anchor=\"end\" fill=\"#666\">" + markup(options.row_title) + "</text>\n";
    for (std::size_t c = 0; c < columns.size(); ++c)
        out += "<text transform=\"translate(" + std::to_string(left + cell * static_cast<int>(c) + cell / 2 + 5) + " " + std::to_string(top - 8) + ") rotate(-90)\">" + markup(shortened(columns[c])) + "</text>\n";
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const int y = top + cell * static_cast<int>(r);
        out += "<text x=\"" + std::to_string(left - 8) + "\" y=\"" + std::to_string(y + cell / 2 + 5) + "\" text-anchor=\"end\">" + markup(shortened(rows[r])) + "</text>\n";
        for (std::size_t c = 0; c < columns.size() && r * columns.size() + c < values.size(); ++c) {
            const float value = values[r * columns.size() + c];
            std::string colour = "#ccc", ink = "#222";
            if (std::isfinite(value)) {  // from near white to deep blue
                const float part = (value - low) / range;
                const auto mix = [&](int from, int to) { return number(static_cast<std::size_t>(std::lround(static_cast<float>(from) + part * static_cast<float>(to - from)))); };
                colour = "rgb(" + mix(247, 8) + "," + mix(251, 64) + "," + mix(255, 129) + ")";
                if (part > 0.55f) ink = "#fff";
            }
            const std::string text = detail::decimal(static_cast<double>(value), options.decimals);
            const int x = left + cell * static_cast<int>(c);
            out += "<rect x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" width=\"" + std::to_string(cell - 1) + "\" height=\"" + std::to_string(cell - 1) + "\" fill=\"" + colour + "\"><title>" +
                   markup(rows[r]) + " / " + markup(columns[c]) + ": " + text + "</title></rect>\n";
            if (options.write_values)
                out += "<text x=\"" + std::to_string(x + cell / 2) + "\" y=\"" + std::to_string(y + cell / 2 + 5) + "\" text-anchor=\"middle\" font-size=\"12\" fill=\"" + ink + "\">" + text + "</text>\n";
        }
    }
    return out + "</svg>\n";
}

}  // namespace morsel
