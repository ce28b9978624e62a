// Everything that ops/device.hpp lists, for `Cuda`.
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
