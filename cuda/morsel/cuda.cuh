// The CUDA device, whole: the operations of ops/device.hpp for `Cuda`, and generation that stays on the GPU. Compile with nvcc
// (--expt-relaxed-constexpr) and link cuBLAS; the CMake target morsel::cuda does both. Then TextGenerator<Cuda> and the embedders over Cuda are
// used as those over Cpu are.
#pragma once
#include "morsel/cuda/decode_tokens.cuh"
#include "morsel/cuda/ops.cuh"
