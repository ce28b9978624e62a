// Every kernel of cuda/morsel, for scripts/check_cuda to compile: pointers to the operations bring in what they launch.
#include "morsel/cuda/ops.cuh"

using namespace morsel;

void* volatile kernels_used[] = {
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const CudaMatrix&, std::span<const TokenId>, float*)>(embed)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, const float*, float, std::size_t, std::size_t, float*)>(rms_norm)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, const float*, const float*, float, std::size_t, std::size_t, float*)>(layer_norm)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, std::size_t, const CudaMatrix&, const Epilogue&, float*)>(linear)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, float*, const AttentionShape&, const RopeTable<Cuda>&, std::span<const Segment>, KvCache<Cuda>&, std::size_t, float*)>(attend)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, const AttentionShape&, std::span<const Segment>, float*)>(attention)),
    reinterpret_cast<void*>(static_cast<TokenId (*)(Cuda&, const float*, std::size_t)>(argmax)),
    reinterpret_cast<void*>(sample),
};
