// The main of the tests on a real GPU: without one they are skipped (77).
#include <cuda_runtime.h>

#include <cstdio>

#define CATCH_CONFIG_RUNNER
#include "support/catch.hpp"

int main(int argc, char** argv) {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return std::printf("skipped: no GPU\n"), 77;
    return Catch::Session().run(argc, argv);
}
