// How many random inputs a test tries: a fifth under the address sanitizer, which is slow and looks for faults of memory; results are compared in
// full elsewhere.
#pragma once

namespace morsel_test {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool under_address_sanitizer = true;
#else
constexpr bool under_address_sanitizer = false;
#endif

constexpr int rounds(int all) { return under_address_sanitizer ? all / 5 : all; }

}  // namespace morsel_test
