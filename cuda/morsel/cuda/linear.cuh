// linear on the GPU: x · Wᵀ and what follows it. Few rows go to our own kernel (gemv.cuh), many to cuBLAS, with one kernel behind it
// for bias, activation and gate, or for bias, activation, residual and LayerNorm. cuBLAS multiplies in bf16 or f32 (CudaPrecision); weights of
// another type are converted, some megabytes at a time, on their way.
#pragma once
#include "morsel/cuda/gemv.cuh"
#include "morsel/cuda/norm.cuh"

namespace morsel {

namespace kernels {

// x [rows, width] to bf16 rows of `stride` elements (even), zeros behind.
template <class = void>
__global__ void narrow_rows(const float* x, unsigned width, unsigned stride, unsigned* to) {
    ptx::take_turn();
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;  // pair
    if (2 * i >= stride) return;
    const float* row = x + std::size_t{blockIdx.y} * width;
    to[std::size_t{blockIdx.y} * (stride / 2) + i] = ptx::pack_bf16(2 * i < width ? row[2 * i] : 0.0f, 2 * i + 1 < width ? row[2 * i + 1] : 0.0f);
}

// 16 bytes of weights a thread, as f32 or bf16.
template <DType Type, DType To>
__global__ void convert_weights(const std::uint8_t* from, std::size_t count16, std::uint8_t* to) {
    using W = Vector16<Type>;
    ptx::take_turn();
    const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= count16) return;
    float values[W::count];
    W::widen(ptx::load_stream(from + i * 16), values);
    for (int j = 0; j < W::count; j += 4) {
        if constexpr (To == DType::f32) {
            ptx::store_vector(reinterpret_cast<float*>(to) + i * W::count + static_cast<unsigned>(j), make_float4(values[j], values[j + 1], values[j + 2], values[j + 3]));
        } else {
            auto* words = reinterpret_cast<unsigned*>(to) + (i * W::count + static_cast<unsigned>(j)) / 2;
            words[0] = ptx::pack_bf16(values[j], values[j + 1]), words[1] = ptx::pack_bf16(values[j + 2], values[j + 3]);
        }
    }
}

// What follows a product y [rows, n] of cuBLAS; out [rows, n], or [rows, n / 2] where gated.
template <bool Gated>
__global__ void finish_product(const float* y, unsigned n, Finish finish, float* out) {
    ptx::take_turn();
    const unsigned outputs = Gated ? n / 2 : n, i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outputs) return;
    const float* row = y + std::size_t{blockIdx.y} * n;
    float value = activate(finish.activation, row[i] + (finish.bias != nullptr ? finish.bias[i] : 0.0f));
    if constexpr (Gated) value *= row[i + outputs] + (finish.bias != nullptr ? finish.bias[i + outputs] : 0.0f);
    float& to = out[std::size_t{blockIdx.y} * outputs + i];
    to = finish.accumulate ? to + value : value;
}

}  // namespace kernels

namespace detail {

inline constexpr std::size_t gemv_most_rows = 4;       // beyond it cuBLAS is as fast
inline constexpr std::size_t rows_per_finish = 65535;  // grid.y

// Weights as cuBLAS is to read them: stored so, or converted into scratch; rows [begin, begin + count).
inline const void* product_weights(Cuda& device, const CudaMatrix& weight, DType product, std::size_t begin, std::size_t count) {
    const std::uint8_t* from = weight.data.get() + begin * weight.row_bytes;
    if (weight.type == product) return from;
    if (weight.quantised()) {
        const std::size_t blocks = weight.in_features / 32, out_bytes = count * weight.in_features * (product == DType::f32 ? 4 : 2);
        std::uint8_t* to = device.scratch(scratch_weights, out_bytes);
        with_quantised_type(weight.type, [&]<DType Type>() {
            device.launch({.name = "convert_quantised", .grid = dim3(static_cast<unsigned>((blocks + 63) / 64), static_cast<unsigned>(count)), .block = dim3(64), .read = count * weight.row_bytes, .written = out_bytes},
                          product == DType::f32 ? kernels::convert_quantised<Type, DType::f32> : kernels::convert_quantised<Type, DType::bf16>, from, weight.row_bytes, static_cast<unsigned>(blocks), to);
        });
        return to;
    }
    const std::size_t count16 = count * weight.row_bytes / 16, bytes = count * weight.row_elements() * (product == DType::f32 ? 4 : 2);
    std::uint8_t* to = device.scratch(scratch_weights, bytes);
    const CudaLaunch what{.name = "convert_weights", .grid = dim3(static_cast<unsigned>((count16 + 255) / 256)), .block = dim3(256), .read = count16 * 16, .written = bytes};
    if (weight.type == DType::bf16) device.launch(what, kernels::convert_weights<DType::bf16, DType::f32>, from, count16, to);
    else if (product == DType::f32) device.launch(what, kernels::convert_weights<DType::f16, DType::f32>, from, count16, to);
    else device.launch(what, kernels::convert_weights<DType::f16, DType::bf16>, from, count16, to);
    return to;
}

// y [rows, out_features] = x · weightᵀ + beta · y by cuBLAS.
inline void product_of_many(Cuda& device, const float* x, std::size_t rows, const CudaMatrix& weight, float beta, float* y) {
    const std::size_t n = weight.out_features, k = weight.in_features, stride = weight.quantised() ? k : weight.row_elements();
    const DType product = device.precision() == CudaPrecision::bf16 && weight.type != DType::f32 ? DType::bf16 : DType::f32;
    const void* activations = x;
    std::size_t activation_stride = k;
    if (product == DType::bf16) {
        auto* narrow = reinterpret_cast<unsigned*>(device.scratch(scratch_activations, rows * stride * 2));
        for (std::size_t row = 0; row < rows; row += rows_per_finish) {
            const auto count = static_cast<unsigned>(std::min(rows_per_finish, rows - row));
            device.launch({.name = "narrow_rows", .grid = dim3(static_cast<unsigned>((stride / 2 + 255) / 256), count), .block = dim3(256), .read = count * k * 4, .written = count * stride * 2},
                          kernels::narrow_rows<>, x + row * k, static_cast<unsigned>(k), static_cast<unsigned>(stride), narrow + row * stride / 2);
        }
        activations = narrow, activation_stride = stride;
    }
    const std::size_t step = weight.type == product ? n : std::clamp<std::size_t>((std::size_t{64} << 20) / (stride * 4), 64, rows_per_finish);  // rows of weights
    const cudaDataType_t type = product == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
    const cublasComputeType_t compute = device.precision() == CudaPrecision::bf16 && product == DType::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const float one = 1;
    for (std::size_t begin = 0; begin < n; begin += step) {
        const std::size_t count = std::min(step, n - begin);
        const void* w = product_weights(device, weight, product, begin, count);
        // Column-major: y'[n, rows] = w'[k, n]ᵀ · x'[k, rows].
        check_cublas(cublasGemmEx(device.cublas(), CUBLAS_OP_T, CUBLAS_OP_N, static_cast<int>(count), static_cast<int>(rows), static_cast<int>(k), &one, w, type, static_cast<int>(stride),
                                  activations, type, static_cast<int>(activation_stride), &beta, y + begin, CUDA_R_32F, static_cast<int>(n), compute, CUBLAS_GEMM_DEFAULT),
                     "cublasGemmEx");
    }
}

inline kernels::Finish finish_of(const Epilogue& epilogue) { return {epilogue.bias, epilogue.activation, epilogue.accumulate}; }

inline void linear_many(Cuda& device, const float* x, std::size_t rows, const CudaMatrix& weight, const Epilogue& epilogue, float* out) {
    const std::size_t n = weight.out_features;
    if (epilogue.bias == nullptr && epilogue.activation == Activation::none && !epilogue.gated) return product_of_many(device, x, rows, weight, epilogue.accumulate ? 1.0f : 0.0f, out);
    float* y = device.scratch_floats(scratch_products, rows * n);
    product_of_many(device, x, rows, weight, 0, y);
    const std::size_t outputs = epilogue.gated ? n / 2 : n;
    for (std::size_t row = 0; row < rows; row += rows_per_finish) {
        const auto count = static_cast<unsigned>(std::min(rows_per_finish, rows - row));
        const CudaLaunch what{.name = "finish_product", .grid = dim3(static_cast<unsigned>((outputs + 255) / 256), count), .block = dim3(256),
                              .read = count * (n + (epilogue.accumulate ? outputs : 0)) * 4, .written = count * outputs * 4};
        device.launch(what, epilogue.gated ? kernels::finish_product<true> : kernels::finish_product<false>, y + row * n, static_cast<unsigned>(n), finish_of(epilogue), out + row * outputs);
    }
}

}  // namespace detail

// x [rows, in_features]; out [rows, out_features], or [rows, out_features / 2] where gated. x and out may not overlap.
inline void linear(Cuda& device, const float* x, std::size_t rows, const CudaMatrix& weight, const Epilogue& epilogue, float* out) {
    if (rows > detail::gemv_most_rows) return detail::linear_many(device, x, rows, weight, epilogue, out);
    const std::size_t outputs = epilogue.gated ? weight.out_features / 2 : weight.out_features, most = detail::gemv_rows(device, weight);
    for (std::size_t row = 0; row < rows; row += most)
        detail::gemv(device, x + row * weight.in_features, nullptr, 0, std::min(most, rows - row), weight, epilogue, out + row * outputs);
}

// linear of rms_norm(x); `normed` [rows, in_features] is work space. For few rows the norm is part of the product.
inline void norm_linear(Cuda& device, const float* x, const float* gain, float eps, std::size_t rows, const CudaMatrix& weight, const Epilogue& epilogue, float* normed, float* out) {
    if (rows > detail::gemv_most_rows) {
        rms_norm(device, x, gain, eps, rows, weight.in_features, normed);
        return detail::linear_many(device, normed, rows, weight, epilogue, out);
    }
    const std::size_t outputs = epilogue.gated ? weight.out_features / 2 : weight.out_features, most = detail::gemv_rows(device, weight);
    for (std::size_t row = 0; row < rows; row += most)
        detail::gemv(device, x + row * weight.in_features, gain, eps, std::min(most, rows - row), weight, epilogue, out + row * outputs);
}

// out = layer_norm(out + linear(x)); gain, bias [out_features]. Behind a product of many rows bias, activation, residual and norm are one launch.
inline void linear_layer_norm(Cuda& device, const float* x, std::size_t rows, const CudaMatrix& weight, Epilogue epilogue, const float* gain, const float* bias, float eps, float* out) {
    const std::size_t width = weight.out_features;
    if (rows > detail::gemv_most_rows) {
        float* y = device.scratch_floats(scratch_products, rows * width);
        detail::product_of_many(device, x, rows, weight, 0, y);
        return detail::add_and_layer_norm(device, y, detail::finish_of(epilogue), gain, bias, eps, rows, width, out);
    }
    epilogue.accumulate = true;
    linear(device, x, rows, weight, epilogue, out);
    layer_norm(device, out, gain, bias, eps, rows, width, out);
}

}  // namespace morsel
