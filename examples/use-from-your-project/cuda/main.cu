// A program outside the project that uses the GPU: a norm on the device. Without a GPU it says so, which proves that it was built.
#include <cstdio>
#include <morsel/cuda/ops.cuh>

int main() try {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return std::puts("built; no GPU here"), 0;
    morsel::Cuda device;
    const std::vector<float> x = {3, 4}, gain = {1, 1};
    morsel::CudaBuffer on_device(2), gains(2), out(2);
    upload(device, x, on_device.data());
    upload(device, gain, gains.data());
    rms_norm(device, on_device.data(), gains.data(), 0.0f, 1, 2, out.data());
    std::vector<float> y(2);
    download(device, out.data(), y);
    std::printf("%g %g\n", y[0], y[1]);
    return y[0] > 0.848f && y[0] < 0.849f ? 0 : 1;
} catch (const morsel::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
