// Umbrella of the pictures: tokens in a terminal and on a web page, bar and line charts, heat maps, points of many dimensions. Plain data in,
// text out.
#pragma once
#include "morsel/visual/html_tokens.hpp"
#include "morsel/visual/principal_components.hpp"
#include "morsel/visual/svg_bar_chart.hpp"
#include "morsel/visual/svg_heat_map.hpp"
#include "morsel/visual/svg_line_chart.hpp"
#include "morsel/visual/svg_principal_plane.hpp"
#include "morsel/visual/svg_scatter.hpp"
#include "morsel/visual/terminal_tokens.hpp"
