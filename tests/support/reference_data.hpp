// Where the reference data is: $MORSEL_SHARED, or ../shared beside the checkout. On a machine without it the tests that need it
// say "skipped: no reference data"; with $CI set, missing data is a failure.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>

#include "support/catch.hpp"

namespace morsel_test {

inline std::filesystem::path test_data() { return MORSEL_TEST_DATA; }

// The path of `relative` below the reference data, or nothing where there is none.
inline std::optional<std::filesystem::path> reference_data(const std::filesystem::path& relative) {
    const char* shared = std::getenv("MORSEL_SHARED");
    auto root = shared != nullptr ? std::filesystem::path(shared) : std::filesystem::path(MORSEL_SOURCE_DIR) / "../shared";
    if (auto path = root / relative; std::filesystem::exists(path)) return path;
    const char* ci = std::getenv("CI");
    if (ci != nullptr && *ci != '\0') FAIL("no reference data at " << (root / relative).string());
    std::cout << "skipped: no reference data (" << relative.string() << ")\n";
    return std::nullopt;
}

}  // namespace morsel_test
