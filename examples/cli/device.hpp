// --device and --threads of the commands that run a model. CUDA is there where the command was built with it (MORSEL_BUILD_CUDA).
#pragma once
#if defined(MORSEL_HAS_CUDA)
#include "morsel/cuda.cuh"
#endif
#include <string>
#include <vector>

#include "command.hpp"
#include "morsel/core/error.hpp"
#include "morsel/ops/cpu.hpp"

namespace cli {

inline std::vector<Option> device_options() {
    return {{"--device", "cpu|cuda", "default cpu; cuda where the program was built with it"}, {"--threads", "N", "threads, the caller included; default: what the machine allows"}};
}

// f.operator()<D>(options of the device)
template <class F>
int on_device(const Arguments& arguments, F&& f) {
    if (arguments.choice("--device", {"cpu", "cuda"}) == "cpu") return f.template operator()<morsel::Cpu>(morsel::CpuOptions{.threads = arguments.number<unsigned>("--threads").value_or(0)});
#if defined(MORSEL_HAS_CUDA)
    return f.template operator()<morsel::Cuda>(morsel::CudaOptions{});
#else
    throw morsel::Error("this program was built without CUDA", {.key = "--device", .expected = "cpu"});
#endif
}

}  // namespace cli
