// Principal components find the directions that points were made along; the scatter plot puts points where they belong and labels as text;
// the picture of a plane joins the two.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "morsel/visual/principal_components.hpp"
#include "morsel/visual/svg_principal_plane.hpp"
#include "morsel/visual/svg_scatter.hpp"
#include "support/catch.hpp"
#include "support/text.hpp"

using namespace morsel;
using morsel_test::count;

namespace {

}  // namespace

TEST_CASE("principal components are the directions that points were made along") {
    std::mt19937 random(2);
    std::normal_distribution<double> normal;
    for (const std::size_t dimension : {2u, 3u, 50u}) {
        std::vector<double> u(dimension), v(dimension);  // two unit vectors at right angles
        double along = 0, squares = 0;
        for (auto& x : u) x = normal(random), squares += x * x;
        for (auto& x : u) x /= std::sqrt(squares);
        for (auto& x : v) x = normal(random);
        for (std::size_t i = 0; i < dimension; ++i) along += u[i] * v[i];
        squares = 0;
        for (std::size_t i = 0; i < dimension; ++i) v[i] -= along * u[i], squares += v[i] * v[i];
        for (auto& x : v) x /= std::sqrt(squares);
        // corners of a cross, so that the directions do not mix: ±3 along u, ±1 along v; off the origin
        const std::vector<std::pair<double, double>> cross{{3, 0}, {-3, 0}, {0, 1}, {0, -1}};
        std::vector<float> values;
        for (const auto& [a, b] : cross)
            for (std::size_t i = 0; i < dimension; ++i) values.push_back(static_cast<float>(7 + a * u[i] + b * v[i]));
        const PrincipalComponents plane = principal_components(values, dimension, 3);
        CHECK(std::abs(plane.explained[0] - 0.9) < 1e-5);
        CHECK(std::abs(plane.explained[1] - 0.1) < 1e-5);
        CHECK(plane.explained[2] < 1e-6);
        const auto turn = [](const std::vector<double>& direction) { return *std::max_element(direction.begin(), direction.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }) < 0 ? -1 : 1; };
        for (std::size_t p = 0; p < 4; ++p) {
            CHECK(std::abs(plane.coordinates[3 * p] - turn(u) * cross[p].first) < 1e-5);
            CHECK(std::abs(plane.coordinates[3 * p + 1] - turn(v) * cross[p].second) < 1e-5);
            CHECK(std::abs(plane.coordinates[3 * p + 2]) < 1e-4);
        }
    }
    CHECK(principal_components({}, 4).coordinates.empty());
    for (const double value : principal_components(std::vector<float>{1, 2, 1, 2, 1, 2}, 2).coordinates) CHECK(std::abs(value) < 1e-9);  // one place
    CHECK_THROWS_AS(principal_components(std::vector<float>(7), 2), Error);
    CHECK_THROWS_AS(principal_components(std::vector<float>(7), 0), Error);
    CHECK_THROWS_AS(principal_components(std::vector<float>{1, NAN}, 2), Error);
}

TEST_CASE("a scatter plot has every finite point, and labels that do not cover each other") {
    const std::vector<ScatterPoint> points{{0, 0, "<low> & \x1b[31m", 0}, {10, 5, "high", 1}, {10, 5, "hidden"}, {std::nan(""), 1, "nowhere"}, {1, HUGE_VAL, "nowhere"}, {5, 2.5, ""}};
    const std::string svg = svg_scatter(points, {.title = "a < b", .x_label = "x & y"});
    CHECK(svg.starts_with("<svg xmlns="));
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(count(svg, "<circle ") == 4);
    CHECK(count(svg, "nowhere") == 0);
    CHECK(count(svg, "hidden") == 1);  // told by its dot alone
    CHECK(count(svg, "high") == 2);
    CHECK(count(svg, "&lt;low&gt; &amp; \\x1B[31m") == 2);
    CHECK(svg.find("a &lt; b") != svg.npos);
    CHECK(svg.find("cx=\"60.0\" cy=\"550.0\"") != svg.npos);  // 800 × 600 less the margins: the lowest left corner
    CHECK(svg.find("cx=\"730.0\" cy=\"44.0\"") != svg.npos);
    CHECK(svg.find("cx=\"395.0\" cy=\"297.0\"") != svg.npos);
    CHECK(count(svg, "<") == count(svg, ">"));
    const std::vector<std::vector<ScatterPoint>> extreme{{}, {{1e9, -1e9, "one"}}, {{1e200, 1, "a"}, {-1e200, 1, "b"}}};
    for (const auto& few : extreme) {
        const std::string drawn = svg_scatter(few);
        CHECK(count(drawn, "<circle ") == few.size());
        CHECK(drawn.find("nan") == drawn.npos);
        CHECK(drawn.find("inf") == drawn.npos);
    }
}

TEST_CASE("a principal plane shows every vector where its first two components are, and the share of each") {
    // A cross in three dimensions: 9 to 1 between the first and the third, none along the second.
    const std::vector<float> values{7, 5, -2, 1, 5, -2, 4, 5, -1, 4, 5, -3};
    const std::vector<std::string> labels{"east", "west", "<north>", "south"};
    const std::string svg = svg_principal_plane(values, 3, labels, {.title = "a cross"}, std::vector<std::size_t>{0, 0, 1, 1});
    CHECK(count(svg, "<circle ") == 4);
    CHECK(svg.find(">90.0 % of the variance</text>") != svg.npos);
    CHECK(svg.find(">10.0 % of the variance</text>") != svg.npos);
    CHECK(svg.find("a cross") != svg.npos);
    CHECK(svg.find("cx=\"730.0\" cy=\"297.0\" r=\"3\" fill=\"#4a90c2\"><title>east<") != svg.npos);
    CHECK(svg.find("cx=\"60.0\" cy=\"297.0\" r=\"3\" fill=\"#4a90c2\"><title>west<") != svg.npos);
    CHECK(svg.find("cx=\"395.0\" cy=\"44.0\" r=\"3\" fill=\"#d1495b\"><title>&lt;north&gt;<") != svg.npos);
    CHECK(svg.find("cx=\"395.0\" cy=\"550.0\" r=\"3\" fill=\"#d1495b\"><title>south<") != svg.npos);
    const std::string named = svg_principal_plane(values, 3, labels, {.x_label = "along", .y_label = "across"});
    CHECK(count(named, "of the variance") == 0);
    CHECK(count(named, ">along<") == 1);
    CHECK(svg_principal_plane({}, 3, {}).ends_with("</svg>\n"));
    CHECK_THROWS_AS(svg_principal_plane(values, 3, std::span(labels).first(3)), Error);
    CHECK_THROWS_AS(svg_principal_plane(values, 3, labels, {}, std::vector<std::size_t>{1}), Error);
    CHECK_THROWS_AS(svg_principal_plane(values, 5, labels), Error);
}
