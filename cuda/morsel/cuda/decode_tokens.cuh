// Generation that stays on the GPU: the decode step of one sequence or several with the choice of their next tokens is captured as a CUDA graph,
// whose state (tokens, positions, histories) lives in device memory, and is replayed for every token until one of them stops. The host reads
// tokens while the next step runs, so a stop is noticed one step late, and what that step made of the sequence is dropped.
// The host's way (decode_steps_on_host) remains for what the sampling kernel does not do (n-grams, typical, epsilon, eta), and where longrope
// would change its factors on the way or a sequence would pass its model's last position.
#pragma once
#include <cstdint>
#include <vector>

#include "morsel/cuda/ops.cuh"
#include "morsel/pipeline/decode_tokens.hpp"

namespace morsel {

namespace detail {

struct DestroyGraph {
    void operator()(cudaGraph_t graph) const noexcept { cudaGraphDestroy(graph); }
    void operator()(cudaGraphExec_t graph) const noexcept { cudaGraphExecDestroy(graph); }
};
using GraphExec = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, DestroyGraph>;

// What `run` enqueues, as a graph. Nothing in it may allocate, copy from the host or synchronise.
template <class Run>
GraphExec capture(Cuda& device, Run&& run) {
    check_cuda(cudaStreamBeginCapture(device.stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    cudaGraph_t graph = nullptr;
    try {
        run();
    } catch (...) {
        cudaStreamEndCapture(device.stream(), &graph);
        if (graph != nullptr) cudaGraphDestroy(graph);
        throw;
    }
    check_cuda(cudaStreamEndCapture(device.stream(), &graph), "cudaStreamEndCapture");
    const std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, DestroyGraph> owned(graph);
    cudaGraphExec_t executable = nullptr;
    check_cuda(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    return GraphExec(executable);
}

inline kernels::Sampling sampling_of(const GenerationSettings& settings) {
    const LogitsProcessing& p = settings.processing;
    kernels::Sampling s;
    s.repetition_penalty = p.repetition_penalty, s.do_sample = p.do_sample, s.seed = settings.seed, s.sequence = settings.sequence;
    s.temperature = p.temperature, s.top_k = static_cast<unsigned>(std::min<std::size_t>(p.top_k, ~0u)), s.top_p = p.top_p, s.min_p = p.min_p;
    s.min_new_tokens = static_cast<unsigned>(std::min<std::size_t>(settings.min_new_tokens, ~0u));
    for (const TokenId id : settings.eos_token_ids)
        if (std::find(s.end_tokens, s.end_tokens + s.end_token_count, id) == s.end_tokens + s.end_token_count) s.end_tokens[s.end_token_count++] = id;
    return s;
}

// Sequences that are decoded on the device: their state there, and copies of it on their way to the host.
class DeviceSequences {
  public:
    DeviceSequences(Cuda& device, std::span<DecodedSequence* const> sequences) : device_(device), count_(sequences.size()) {
        std::vector<kernels::Sampling> samplings;
        std::vector<CudaStep> steps;
        for (const DecodedSequence* one : sequences) {
            const Continuation& c = one->continuation;
            capacity_ = std::max(capacity_, c.history().size() + c.left());
            samplings.push_back(sampling_of(c.settings()));
            steps.push_back({.token = c.history().back(), .past = static_cast<std::uint32_t>(c.history().size() - 1), .produced = static_cast<std::uint32_t>(c.produced()),
                             .history = static_cast<std::uint32_t>(c.history().size()), .failed = 0});
        }
        std::vector<TokenId> history(count_ * capacity_);
        for (std::size_t i = 0; i < count_; ++i) std::copy(sequences[i]->continuation.history().begin(), sequences[i]->continuation.history().end(), history.begin() + std::ptrdiff_t(i * capacity_));
        const auto move = [&]<class T>(const std::vector<T>& from, DeviceBytes& to) {
            to = allocate_device(from.size() * sizeof(T));
            check_cuda(cudaMemcpyAsync(to.get(), from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice, device.stream()), "decode_steps");
        };
        move(samplings, samplings_), move(steps, steps_), move(history, history_);
        device.synchronize();
        void* memory = nullptr;
        check_cuda(cudaMallocHost(&memory, 2 * count_ * sizeof(CudaStep)), "cudaMallocHost");
        arrived_.reset(static_cast<std::uint8_t*>(memory));
    }
    DeviceSequences(const DeviceSequences&) = delete;
    DeviceSequences& operator=(const DeviceSequences&) = delete;
    ~DeviceSequences() {
        cudaStreamSynchronize(device_.stream());  // a last step may be under way
    }

    const CudaStep* steps() const { return reinterpret_cast<const CudaStep*>(steps_.get()); }  // [count]

    // Chooses the next tokens from logits [count, stride], of which ids below `vocab` may be chosen.
    void choose(float* logits, std::size_t stride, std::size_t vocab) {
        sample(device_, logits, count_, stride, vocab, reinterpret_cast<const kernels::Sampling*>(samplings_.get()), reinterpret_cast<TokenId*>(history_.get()), capacity_,
               reinterpret_cast<CudaStep*>(steps_.get()));
    }
    // Sends the state on its way to the host, behind what is enqueued already.
    void send(std::size_t index) {
        const std::size_t bytes = count_ * sizeof(CudaStep);
        check_cuda(cudaMemcpyAsync(arrived_.get() + index % 2 * bytes, steps_.get(), bytes, cudaMemcpyDeviceToHost, device_.stream()), "decode_steps");
        check_cuda(cudaEventRecord(events_[index % 2].get(), device_.stream()), "cudaEventRecord");
    }
    // Waits until what was sent as that index has arrived.
    void wait(std::size_t index) { check_cuda(cudaEventSynchronize(events_[index % 2].get()), "decode_steps"); }
    // The token of one sequence that arrived so. Throws Error where its logits could not be used.
    TokenId token(std::size_t index, std::size_t sequence) const {
        CudaStep step;
        std::memcpy(&step, arrived_.get() + (index % 2 * count_ + sequence) * sizeof step, sizeof step);
        if (step.failed > 0) throw Error("logits are not finite, or no token is possible", {.key = "step " + std::to_string(step.produced - 1)});
        return step.token;
    }

  private:
    Cuda& device_;
    std::size_t count_ = 0, capacity_ = 0;         // capacity: of each history, tokens
    DeviceBytes samplings_, steps_, history_;      // [count], [count], [count][capacity]
    std::unique_ptr<std::uint8_t, FreeHost> arrived_;  // [2][count] CudaStep
    Event events_[2] = {make_event(), make_event()};
};

// The device reads its token and position from `step` while this lives.
struct ReadsStep {
    Cuda& device;
    ReadsStep(Cuda& device, const CudaStep* step) : device(device) { device.step = step; }
    ReadsStep(const ReadsStep&) = delete;
    ReadsStep& operator=(const ReadsStep&) = delete;
    ~ReadsStep() { device.step = nullptr; }
};

// Whether the device alone can decode these: see the head of this file.
inline bool decodes_on_device(const DecoderModel<Cuda>& model, std::span<DecodedSequence* const> sequences) {
    const GenerationSettings& first = sequences[0]->continuation.settings();
    const std::size_t length = sequences[0]->continuation.history().size();
    return std::all_of(sequences.begin(), sequences.end(), [&](const DecodedSequence* one) {
        const Continuation& c = one->continuation;
        if (c.history().size() + c.left() > model.max_tokens() + 1) return false;  // the last token is not run
        return samples_on_device(c.settings().processing) && c.settings().eos_token_ids.size() <= kernels::most_end_tokens && c.settings().sampled_vocab == first.sampled_vocab &&
               cache_reusable(model, c.history().size(), length) && cache_reusable(model, c.history().size(), c.history().size() + c.left());
    });
}

}  // namespace detail

// As decode_steps of pipeline/decode_tokens.hpp, on the device where that is possible.
inline void decode_steps(Cuda& device, const DecoderModel<Cuda>& model, DecoderState<Cuda>& state, DecodeWork<Cuda>& work, std::span<DecodedSequence* const> sequences) {
    if (!detail::decodes_on_device(model, sequences)) return decode_steps_on_host(device, model, state, work, sequences);
    const std::size_t vocab = model.vocab_size(), sampled = sequences[0]->continuation.settings().sampled_vocab, count = sampled > 0 ? std::min(sampled, vocab) : vocab;
    std::vector<std::size_t> slots;
    std::size_t steps = SIZE_MAX;  // until one of them has as many tokens as it may
    for (const DecodedSequence* one : sequences) {
        slots.push_back(one->slot);
        std::visit([&](auto& s) { s.cache.reserve(device, one->slot, one->continuation.history().size() + one->continuation.left()); }, state.state);
        steps = std::min(steps, one->continuation.left());
    }
    detail::DeviceSequences on_device(device, sequences);
    const std::vector<TokenId> unknown(sequences.size());  // the host's tokens mean nothing: the device has its own
    const auto step = [&] {
        const auto run = [&] {
            const detail::ReadsStep reads(device, on_device.steps());
            return detail::run_step(device, model, state, work, slots, unknown);
        };
        float* scores = run();
        for (const std::size_t slot : slots) state.tokens(slot).pop_back();
        on_device.choose(scores, vocab, count);
    };
    detail::GraphExec graph;
    const auto enqueue = [&](std::size_t index) {
        if (index == 0) {
            step();  // not captured: what it needs is allocated on the way
        } else {
            if (index == 1) graph = detail::capture(device, step);
            detail::check_cuda(cudaGraphLaunch(graph.get(), device.stream()), "cudaGraphLaunch");
        }
        on_device.send(index);
    };
    const auto take = [&](std::size_t index) {  // whether one of them is done
        on_device.wait(index);
        bool done = false;
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            Continuation& continuation = sequences[i]->continuation;
            if (!continuation.done()) continuation.take(on_device.token(index, i), sequences[i]->on_token);
            done = done || continuation.done();
        }
        return done;
    };
    enqueue(0);
    for (std::size_t index = 0; index < steps; ++index) {
        if (index + 1 < steps) enqueue(index + 1);  // before anybody looks at this one
        if (!take(index)) continue;
        if (index + 1 < steps && sequences.size() > 1) take(index + 1);
        break;
    }
    // In the cache is all but the last token.
    for (const DecodedSequence* one : sequences) state.tokens(one->slot).assign(one->continuation.history().begin(), one->continuation.history().end() - 1);
}

}  // namespace morsel
