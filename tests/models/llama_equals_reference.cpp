// Every decoder of the reference data: hidden states of every layer and logits of each case, KV-cached steps and greedy ids.
#include <filesystem>

#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/load_decoder.hpp"
#include "support/catch.hpp"
#include "support/decoder_cases.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

void check_decoder(const std::filesystem::path& directory, unsigned threads) {
    Cpu device({.threads = threads});
    const LoadedDecoder<Cpu> decoder = load_decoder(device, directory);
    CHECK(decoder.model->unused_tensors().empty());
    check_cases(directory, device, *decoder.model, decoder_tolerance);
    check_generation(directory, device, *decoder.model, decoder_tolerance);
}

}  // namespace

TEST_CASE("decoders give the reference's hidden states, logits and greedy ids") {
    for (const char* name : {"llama-tiny", "llama-tiny-bf16", "llama-tiny-f16", "llama-tiny-config5", "llama3-rope-tiny", "llama-linear-bias-tiny",
                             "smollm2-tiny", "phi3-tiny", "phi3-tiny-sharded", "phi3-longrope-tiny", "qwen2-tiny", "qwen3-tiny", "gpt2-tiny", "gpt2-tiny-old-names"}) {
        const auto directory = reference_data(std::filesystem::path("gold/checkpoints") / name);
        if (!directory) return;
        for (const unsigned threads : {1u, 2u}) check_decoder(*directory, threads);
    }
}

// Four of the same, small enough to travel with the tests (tests/reference/checkpoints makes them).
TEST_CASE("decoders give the reference's results without the reference data") {
    for (const char* name : {"llama-tiny", "phi3-longrope-tiny", "qwen3-tiny", "gpt2-tiny"})
        for (const unsigned threads : {1u, 2u, 3u}) check_decoder(test_data() / "checkpoints" / name, threads);
}
