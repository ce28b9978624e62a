// The model in the generation loop: what of the prompt is not in the cache is run in chunks that keep the work space small, then one
// token at a time, logits to the host for every choice. A device that can choose by itself has an overload of decode_tokens.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "morsel/generation/generate.hpp"
#include "morsel/pipeline/load_decoder.hpp"

namespace morsel {

// Memory kept from one call to the next.
template <class D>
struct DecodeWork {
    typename D::Buffer logits_on_device = {};  // [vocab_size]
    std::vector<float> logits = {};            // [vocab_size]
};

// Logits [vocab_size], on the device, after the last of new tokens of sequence 0.
template <class D>
float* run_tokens(D& device, const DecoderModel<D>& model, DecoderState<D>& state, DecodeWork<D>& work, std::span<const TokenId> ids) {
    constexpr std::size_t chunk = 512;  // rows
    if (work.logits_on_device.size() < model.vocab_size()) work.logits_on_device = allocate(device, model.vocab_size());
    const float* last = nullptr;
    while (!ids.empty()) {
        const std::span<const TokenId> part = ids.first(std::min(ids.size(), chunk));
        last = forward(device, model, state, 0, part) + (part.size() - 1) * model.hidden_size();
        ids = ids.subspan(part.size());
    }
    logits(device, model, last, 1, work.logits_on_device.data());
    return work.logits_on_device.data();
}

// Continues `prompt`, of which the first tokens may be in the cache of sequence 0. As generate_tokens; the host chooses every token.
template <class D, class OnToken>
GenerationResult decode_tokens_on_host(D& device, const DecoderModel<D>& model, DecoderState<D>& state, DecodeWork<D>& work, std::span<const TokenId> prompt,
                                       const GenerationSettings& settings, OnToken&& on_token) {
    work.logits.resize(model.vocab_size());
    std::size_t skip = state.tokens(0).size();
    const auto step = [&](std::span<const TokenId> ids) -> std::span<float> {
        download(device, run_tokens(device, model, state, work, ids.subspan(std::exchange(skip, 0))), work.logits);
        return work.logits;
    };
    return generate_tokens(step, prompt, settings, on_token);
}

// The same, in the way that is best on the device.
template <class D, class OnToken>
GenerationResult decode_tokens(D& device, const DecoderModel<D>& model, DecoderState<D>& state, DecodeWork<D>& work, std::span<const TokenId> prompt, const GenerationSettings& settings,
                               OnToken&& on_token) {
    return decode_tokens_on_host(device, model, state, work, prompt, settings, on_token);
}

}  // namespace morsel
