// The CUDA device, whole: everything ops/device.hpp lists, for `Cuda`. Compile with nvcc (--expt-relaxed-constexpr) and link cuBLAS; the
// CMake target morsel::cuda does both. Then TextGenerator<Cuda> is used as TextGenerator<Cpu> is.
#pragma once
#include "morsel/cuda/argmax.cuh"
#include "morsel/cuda/attention.cuh"
#include "morsel/cuda/device.cuh"
#include "morsel/cuda/disentangled_attention.cuh"
#include "morsel/cuda/embedding.cuh"
#include "morsel/cuda/linear.cuh"
#include "morsel/cuda/matrix.cuh"
#include "morsel/cuda/norm.cuh"
#include "morsel/cuda/rope.cuh"
#include "morsel/cuda/sampling.cuh"
