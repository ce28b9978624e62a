// That this program links is the test; it also holds the version in the header to the build files'.
#include <cstdio>
#include <string>

#include "morsel/morsel.hpp"
#include "morsel/version.hpp"

int main() {
    const std::string numbers = std::to_string(MORSEL_VERSION_MAJOR) + "." + std::to_string(MORSEL_VERSION_MINOR) + "." + std::to_string(MORSEL_VERSION_PATCH);
    const bool same = numbers == MORSEL_PROJECT_VERSION && morsel::version == MORSEL_PROJECT_VERSION;
    std::printf("version %s, project %s\n", numbers.c_str(), MORSEL_PROJECT_VERSION);
    return same ? 0 : 1;
}
