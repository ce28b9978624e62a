// Generation that stays on the GPU: the decode step with the choice of the next token is captured once as a CUDA graph, whose state (token,
// position, history) lives in device memory, and is replayed for every token. The host reads each token while the next step runs, so a
// stop is noticed one step late, and what that step made is dropped.
// The host's way (decode_tokens_on_host) remains for what the sampling kernel does not do (n-grams, typical, epsilon, eta), for models whose
// step needs the host (GPT-2's positions), and where longrope would change its factors on the way.
#pragma once
#include <chrono>

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

// One sequence that is decoded on the device: its state there, and copies of it on their way to the host.
class DeviceSequence {
  public:
    DeviceSequence(Cuda& device, std::span<const TokenId> history, std::size_t capacity) : device_(device), history_(allocate_device(capacity * sizeof(TokenId))), capacity_(capacity) {
        step_ = allocate_device(sizeof(CudaStep));
        void* memory = nullptr;
        check_cuda(cudaMallocHost(&memory, 2 * sizeof(CudaStep)), "cudaMallocHost");
        arrived_.reset(static_cast<std::uint8_t*>(memory));
        for (cudaEvent_t& event : events_) check_cuda(cudaEventCreate(&event), "cudaEventCreate");
        const CudaStep step{.token = 0, .past = static_cast<std::uint32_t>(history.size() - 1), .produced = 0, .history = static_cast<std::uint32_t>(history.size()), .failed = 0};
        check_cuda(cudaMemcpyAsync(step_.get(), &step, sizeof step, cudaMemcpyHostToDevice, device.stream()), "decode_tokens");
        check_cuda(cudaMemcpyAsync(history_.get(), history.data(), history.size_bytes(), cudaMemcpyHostToDevice, device.stream()), "decode_tokens");
        device.synchronize();
    }
    DeviceSequence(const DeviceSequence&) = delete;
    DeviceSequence& operator=(const DeviceSequence&) = delete;
    ~DeviceSequence() {
        cudaStreamSynchronize(device_.stream());  // a last step may be under way
        for (cudaEvent_t event : events_) cudaEventDestroy(event);
    }

    CudaStep* step() const { return reinterpret_cast<CudaStep*>(step_.get()); }
    TokenId* history() const { return reinterpret_cast<TokenId*>(history_.get()); }
    std::size_t capacity() const { return capacity_; }

    // Sends the state on its way to the host, behind what is enqueued already.
    void send(std::size_t index) {
        check_cuda(cudaMemcpyAsync(arrived_.get() + index % 2 * sizeof(CudaStep), step_.get(), sizeof(CudaStep), cudaMemcpyDeviceToHost, device_.stream()), "decode_tokens");
        check_cuda(cudaEventRecord(events_[index % 2], device_.stream()), "cudaEventRecord");
    }
    // The token of that step, once it has arrived. Throws Error where its logits could not be used.
    TokenId receive(std::size_t index) {
        check_cuda(cudaEventSynchronize(events_[index % 2]), "decode_tokens");
        CudaStep step;
        std::memcpy(&step, arrived_.get() + index % 2 * sizeof step, sizeof step);
        if (step.failed > 0) throw Error("logits are not finite, or no token is possible", {.key = "step " + std::to_string(index)});
        return step.token;
    }

  private:
    Cuda& device_;
    DeviceBytes history_, step_;
    std::unique_ptr<std::uint8_t, FreeHost> arrived_;  // [2] CudaStep
    cudaEvent_t events_[2] = {};
    std::size_t capacity_ = 0;
};

// The device reads its token and position from `step` while this lives.
struct ReadsStep {
    Cuda& device;
    ReadsStep(Cuda& device, const CudaStep* step) : device(device) { device.step = step; }
    ReadsStep(const ReadsStep&) = delete;
    ReadsStep& operator=(const ReadsStep&) = delete;
    ~ReadsStep() { device.step = nullptr; }
};

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

}  // namespace detail

// Continues `prompt`, of which the first tokens may be in the cache of sequence 0; on the device where that is possible.
template <class OnToken>
GenerationResult decode_tokens(Cuda& device, const DecoderModel<Cuda>& model, DecoderState<Cuda>& state, DecodeWork<Cuda>& work, std::span<const TokenId> prompt,
                               const GenerationSettings& settings, OnToken&& on_token) {
    using Clock = std::chrono::steady_clock;
    const auto seconds = [](Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); };
    const auto begin = Clock::now();
    const auto [history, limit] = start_generation(prompt, settings);
    const auto* llama = std::get_if<Llama<Cuda>>(&model.model);
    const std::size_t total = history.size() + limit;
    if (llama == nullptr || limit < 2 || !samples_on_device(settings.processing) || settings.eos_token_ids.size() > kernels::most_end_tokens || !cache_reusable(model, history.size(), total))
        return decode_tokens_on_host(device, model, state, work, prompt, settings, on_token);

    GenerationResult result;
    result.timings.prompt_tokens = history.size();
    auto& llama_state = std::get<LlamaState<Cuda>>(state.state);
    llama_state.cache.reserve(device, 0, total);
    const kernels::Sampling sampling = detail::sampling_of(settings);
    const std::size_t vocab = model.vocab_size(), count = settings.sampled_vocab > 0 ? std::min(settings.sampled_vocab, vocab) : vocab;
    detail::DeviceSequence sequence(device, history, total);
    std::vector<TokenId>& tokens = state.tokens(0);
    float* scores = run_tokens(device, model, state, work, std::span<const TokenId>(history).subspan(tokens.size()));
    device.synchronize();
    result.timings.prefill_seconds = seconds(begin, Clock::now());
    sample(device, scores, 1, vocab, count, sampling, sequence.history(), sequence.capacity(), sequence.step());
    sequence.send(0);

    const auto step = [&] {  // the host's token means nothing: the device has its own
        const TokenId unknown = 0;
        const detail::ReadsStep reads(device, sequence.step());
        run_tokens(device, model, state, work, std::span(&unknown, 1));
        sample(device, scores, 1, vocab, count, sampling, sequence.history(), sequence.capacity(), sequence.step());
    };
    detail::GraphExec graph;
    auto first_token = begin;
    for (std::size_t index = 0; index < limit; ++index) {
        if (index + 1 < limit) {  // the step after this token, before anybody looks at it
            if (index == 0) {
                step();  // not captured: what it needs is allocated on the way
            } else {
                if (index == 1) graph = detail::capture(device, step);
                else tokens.push_back(0);
                detail::check_cuda(cudaGraphLaunch(graph.get(), device.stream()), "cudaGraphLaunch");
            }
            sequence.send(index + 1);
        }
        const TokenId chosen = sequence.receive(index);
        if (index == 0) first_token = Clock::now(), result.timings.first_token_seconds = seconds(begin, first_token);
        if (const std::optional<StopReason> stop = accept_token(result, chosen, settings, on_token)) {
            result.stop_reason = *stop;
            break;
        }
    }
    // In the cache are the prompt and the new tokens but the last.
    tokens = history;
    tokens.insert(tokens.end(), result.ids.begin(), result.ids.end() - (result.ids.empty() ? 0 : 1));
    result.timings.new_tokens = result.ids.size();
    if (!result.ids.empty()) result.timings.decode_seconds = seconds(first_token, Clock::now());
    return result;
}

}  // namespace morsel
