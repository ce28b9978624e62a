// The CPU device, whole: everything ops/device.hpp lists, for `Cpu`.
#pragma once
#include "morsel/ops/cpu/attention.hpp"
#include "morsel/ops/cpu/device.hpp"
#include "morsel/ops/cpu/disentangled_attention.hpp"
#include "morsel/ops/cpu/embedding.hpp"
#include "morsel/ops/cpu/encoder_attention.hpp"
#include "morsel/ops/cpu/linear.hpp"
#include "morsel/ops/cpu/matrix.hpp"
#include "morsel/ops/cpu/norm.hpp"
#include "morsel/ops/cpu/pool.hpp"
#include "morsel/ops/cpu/rope.hpp"
