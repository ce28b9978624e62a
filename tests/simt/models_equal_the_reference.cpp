// Whole tiny models on the emulated GPU: hidden states, logits, poolers and greedy ids are those of the reference.
#include "morsel/cuda/ops.cuh"
#include "morsel/pipeline/load_decoder.hpp"
#include "support/cuda_schedules.hpp"
#include "support/decoder_cases.hpp"
#include "support/encoder_cases.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

void check_decoder(const std::filesystem::path& directory, CudaPrecision precision) {
    Cuda device({.precision = precision});
    const LoadedDecoder<Cuda> decoder = load_decoder(device, directory);
    if (precision == CudaPrecision::f32) {
        check_cases(directory, device, *decoder.model, decoder_tolerance);
        check_generation(directory, device, *decoder.model, decoder_tolerance);
    } else {
        check_cases(directory, device, *decoder.model, bf16_product_tolerance);
    }
}

}  // namespace

TEST_CASE("decoders on the GPU give the reference's hidden states, logits and greedy ids") {
    for (const char* name : {"llama-tiny", "phi3-longrope-tiny", "qwen3-tiny", "gpt2-tiny"})
        for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) check_decoder(test_data() / "checkpoints" / name, precision);
    CHECK(host_fault().empty());
}

TEST_CASE("decoders of the reference data on the GPU give its values") {
    for (const char* name : {"phi3-tiny", "qwen2-tiny"}) {  // the first with a window of 8
        const auto directory = reference_data(std::filesystem::path("gold/checkpoints") / name);
        if (!directory) return;
        check_decoder(*directory, CudaPrecision::f32);
        if (name == std::string("phi3-tiny")) check_decoder(*directory, CudaPrecision::bf16);
    }
    CHECK(host_fault().empty());
}

TEST_CASE("encoders on the GPU give the reference's hidden states, pooler and logits") {
    for (const char* name : {"bert", "roberta", "deberta", "deberta-c2p-wide", "deberta-v2-conv", "deberta-v2-p2c", "gpt2"})
        for (const auto precision : {CudaPrecision::f32, CudaPrecision::bf16}) {
            INFO(name << (precision == CudaPrecision::f32 ? ", f32" : ", bf16"));
            const std::filesystem::path directory = test_data() / "encoders" / name;
            const SafetensorsFile cases(directory / "cases.safetensors");
            Cuda device({.precision = precision});
            const Encoder<Cuda> encoder = load_encoder(device, directory);
            const auto tolerance = precision == CudaPrecision::f32 ? encoder_tolerance : bf16_product_tolerance;
            for (const char* one : {"padded", "holes", "one"}) check_case(device, encoder, read_case(one, cases, std::string(one) + ".", cases), tolerance);
        }
    CHECK(host_fault().empty());
}
