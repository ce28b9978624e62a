// The message of the morsel::Error that an action throws.
#pragma once
#include <string>

#include "morsel/core/error.hpp"

namespace morsel_test {

template <class Action>
std::string error_of(const Action& action) {
    try {
        action();
    } catch (const morsel::Error& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace morsel_test
