// Whether to colour the output: where a person looks at a terminal and has not set NO_COLOR (https://no-color.org).
#pragma once
#include <unistd.h>

#include <cstdlib>

#include "command.hpp"

namespace cli {

inline constexpr Option colour_option = {"--color", "WHEN", "auto (default: a terminal, and NO_COLOR not set), always, never"};

inline bool colour_wanted(const Arguments& arguments) {
    const std::string when = arguments.choice("--color", {"auto", "always", "never"});
    if (when != "auto") return when == "always";
    const char* no_colour = std::getenv("NO_COLOR");
    return (no_colour == nullptr || *no_colour == '\0') && isatty(STDOUT_FILENO) != 0;
}

}  // namespace cli
