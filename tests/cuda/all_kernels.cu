// Every kernel of cuda/morsel, for scripts/check_cuda to compile, and the generation that drives them: pointers to the operations bring in what they
// launch.
#include "morsel/cuda.cuh"

using namespace morsel;

void* volatile kernels_used[] = {
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const CudaMatrix&, std::span<const TokenId>, float*)>(embed)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, const float*, float, std::size_t, std::size_t, float*)>(rms_norm)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, const float*, const float*, float, std::size_t, std::size_t, float*)>(layer_norm)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, std::size_t, const CudaMatrix&, const Epilogue&, float*)>(linear)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, std::size_t, const CudaMatrix&, Epilogue, const float*, const float*, float, float*)>(linear_layer_norm)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, float*, const AttentionShape&, const RopeTable<Cuda>&, std::span<const Segment>, KvCache<Cuda>&, std::size_t, float*)>(attend)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, const AttentionShape&, std::span<const Segment>, float*)>(attention)),
    reinterpret_cast<void*>(static_cast<TokenId (*)(Cuda&, const float*, std::size_t)>(argmax)),
    reinterpret_cast<void*>(sample),
    reinterpret_cast<void*>(embed_sum),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, std::span<const EmbeddingRows<Cuda>>, const float*, const float*, float, float*, float*)>(embed_sum_layer_norm)),
    reinterpret_cast<void*>(gather_rows),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, std::size_t, std::span<const PoolRange>, Pooling, float*, std::size_t)>(pool)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, float*, std::size_t, std::size_t)>(normalize_rows)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const float*, const AttentionShape&, std::span<const Segment>, std::span<const TokenId>, const PositionTables&, float*)>(
        disentangled_attention)),
    reinterpret_cast<void*>(static_cast<void (*)(Cuda&, const DecoderModel<Cuda>&, DecoderState<Cuda>&, DecodeWork<Cuda>&, std::span<DecodedSequence* const>)>(decode_steps)),
};
