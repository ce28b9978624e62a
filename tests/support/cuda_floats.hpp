// Moving vectors to and from a device in tests.
#pragma once
#include <cmath>
#include <vector>

#include "morsel/cuda/ops.cuh"

namespace morsel_test {

inline morsel::CudaBuffer to_device(morsel::Cuda& device, const std::vector<float>& values) {
    morsel::CudaBuffer buffer(values.size());
    upload(device, values, buffer.data());
    return buffer;
}
inline std::vector<float> from_device(morsel::Cuda& device, const float* at, std::size_t count) {
    std::vector<float> values(count);
    download(device, at, values);
    return values;
}
inline std::vector<float> rounded_to_bf16(std::vector<float> values) {
    for (float& x : values) x = morsel::to_f32(morsel::to_bf16(x));
    return values;
}

}  // namespace morsel_test
