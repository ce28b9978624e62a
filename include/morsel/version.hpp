// The library's version, for `#if` and for messages. The build files say the same; a test compares.
#pragma once
#include <string_view>

#define MORSEL_VERSION_MAJOR 0
#define MORSEL_VERSION_MINOR 1
#define MORSEL_VERSION_PATCH 0

namespace morsel {

inline constexpr std::string_view version = "0.1.0";

}  // namespace morsel
