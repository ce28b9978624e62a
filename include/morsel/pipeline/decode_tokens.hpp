// The model in the generation loop, for one sequence or several at once. What of a prompt is not in the cache is run in chunks that keep the
// work space small; then the sequences that are under way go through the model together, a token each, so that its weights are read once for
// all of them. One that stops leaves its slot to the next that waits. Follows the continuous batching of Orca (Yu et al., OSDI 2022), with
// prompts one by one between the steps.
// A device that can choose tokens by itself has an overload of decode_steps.
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "morsel/generation/generate.hpp"
#include "morsel/pipeline/load_decoder.hpp"

namespace morsel {

// Memory kept from one call to the next.
template <class D>
struct DecodeWork {
    typename D::Buffer logits_on_device = {};  // [rows, vocab_size]
    std::vector<float> logits = {};            // [rows, vocab_size]
    LogitsWorkspace processing = {};
};

// A sequence, and who sees its new tokens, as generate_tokens has it, and what came of it, as soon as it stops.
struct DecodedSequence {
    Continuation continuation;
    std::function<std::optional<StopReason>(TokenId)> on_token = {};
    std::function<void(GenerationResult)> on_done = {};
    std::size_t slot = 0;  // of the state, while it is under way
};

namespace detail {

// Room for the logits of that many rows, on the device.
template <class D>
float* reserve_logits(D& device, const DecoderModel<D>& model, DecodeWork<D>& work, std::size_t rows) {
    if (work.logits_on_device.size() < rows * model.vocab_size()) work.logits_on_device = allocate(device, rows * model.vocab_size());
    return work.logits_on_device.data();
}

// Logits [rows, vocab_size] in `work`, of that many rows on the device.
template <class D>
std::span<float> fetch_logits(D& device, const DecoderModel<D>& model, DecodeWork<D>& work, std::size_t rows) {
    work.logits.resize(std::max(work.logits.size(), rows * model.vocab_size()));
    const std::span<float> fetched = std::span(work.logits).first(rows * model.vocab_size());
    download(device, work.logits_on_device.data(), fetched);
    return fetched;
}

// Runs what of the prompt is not in the cache, and chooses the first new token.
template <class D>
void decode_prompt(D& device, const DecoderModel<D>& model, DecoderState<D>& state, DecodeWork<D>& work, DecodedSequence& sequence) {
    constexpr std::size_t chunk = 512;  // rows
    sequence.continuation.start_clock();
    if (sequence.continuation.done()) return;  // no token was asked for
    std::span<const TokenId> ids = std::span(sequence.continuation.history()).subspan(state.tokens(sequence.slot).size());
    float* on_device = reserve_logits(device, model, work, 1);
    const float* last = nullptr;
    while (!ids.empty()) {
        const std::span<const TokenId> part = ids.first(std::min(ids.size(), chunk));
        last = forward(device, model, state, sequence.slot, part) + (part.size() - 1) * model.hidden_size();
        ids = ids.subspan(part.size());
    }
    logits(device, model, last, 1, on_device);
    sequence.continuation.take(sequence.continuation.choose(fetch_logits(device, model, work, 1), work.processing), sequence.on_token);
}

// Logits [sequences.size(), vocab_size] on the device after the next token of each sequence.
template <class D>
float* run_step(D& device, const DecoderModel<D>& model, DecoderState<D>& state, DecodeWork<D>& work, std::span<const std::size_t> slots, std::span<const TokenId> ids) {
    float* out = reserve_logits(device, model, work, slots.size());
    for (std::size_t row = 0; row < slots.size();) {
        const std::size_t count = rows_together(model, state, slots.subspan(row));
        const float* hidden = forward_each(device, model, state, slots.subspan(row, count), ids.subspan(row, count));
        logits(device, model, hidden, count, out + row * model.vocab_size());
        row += count;
    }
    return out;
}

}  // namespace detail

// Runs sequences whose last token alone is not in the cache until one of them at least is done; the host chooses every token.
template <class D>
void decode_steps_on_host(D& device, const DecoderModel<D>& model, DecoderState<D>& state, DecodeWork<D>& work, std::span<DecodedSequence* const> sequences) {
    std::vector<std::size_t> slots;
    std::vector<TokenId> ids(sequences.size());
    for (const DecodedSequence* one : sequences) slots.push_back(one->slot);
    for (bool done = false; !done;) {
        for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = sequences[i]->continuation.history().back();
        detail::run_step(device, model, state, work, slots, ids);
        const std::span<float> all = detail::fetch_logits(device, model, work, ids.size());
        for (std::size_t i = 0; i < ids.size(); ++i) {
            Continuation& continuation = sequences[i]->continuation;
            continuation.take(continuation.choose(all.subspan(i * model.vocab_size(), model.vocab_size()), work.processing), sequences[i]->on_token);
            done = done || continuation.done();
        }
    }
}

// The same, in the way that is best on the device.
template <class D>
void decode_steps(D& device, const DecoderModel<D>& model, DecoderState<D>& state, DecodeWork<D>& work, std::span<DecodedSequence* const> sequences) {
    decode_steps_on_host(device, model, state, work, sequences);
}

// Runs all sequences until each has stopped, as many at once as the state has slots. Slot 0 may hold the first tokens of the first sequence.
template <class D>
void decode_tokens(D& device, const DecoderModel<D>& model, DecoderState<D>& state, DecodeWork<D>& work, std::span<DecodedSequence> sequences) {
    std::vector<std::size_t> free;  // slots, the next one last
    for (std::size_t slot = state.sequences(); slot-- > 0;) free.push_back(slot);
    std::vector<DecodedSequence*> under_way;
    std::size_t next = 0;
    const auto done = [](DecodedSequence& one) {
        if (one.continuation.done()) one.on_done(one.continuation.finish());
        return one.continuation.done();
    };
    for (;;) {
        while (!free.empty() && next < sequences.size()) {
            DecodedSequence& one = sequences[next++];
            one.slot = free.back();
            if (next > 1) state.tokens(one.slot).clear();
            detail::decode_prompt(device, model, state, work, one);
            if (done(one)) continue;
            free.pop_back();
            under_way.push_back(&one);
        }
        if (under_way.empty()) return;
        decode_steps(device, model, state, work, std::span<DecodedSequence* const>(under_way));
        for (DecodedSequence* one : under_way)
            if (done(*one)) free.push_back(one->slot);
        std::erase_if(under_way, [](const DecodedSequence* one) { return one->continuation.done(); });
    }
}

}  // namespace morsel
