// morsel-bench-generate --model DIR_OR_GGUF --threads N --prompt-tokens P --new-tokens M [--batch B] [--repeat R]: one JSON line with
// what loading, prefill and decoding cost. Prefill is P tokens from an empty cache up to the logits of the last; decoding is M steps behind
// them, each with its logits; a step is a token of each of B sequences, and all of them count. The token ids are those of
// bench/compare/inference.py. Best of R.
#include <sys/resource.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "morsel/models/llama.hpp"
#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/load_decoder.hpp"

using namespace morsel;

int main(int argc, char** argv) {
    std::map<std::string, std::string> options = {{"--threads", "1"}, {"--prompt-tokens", "512"}, {"--new-tokens", "64"}, {"--batch", "1"}, {"--repeat", "3"}, {"--model", ""}};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!options.contains(argv[i])) return std::fprintf(stderr, "unknown option %s\n", argv[i]), 2;
        options[argv[i]] = argv[i + 1];
    }
    const auto number = [&](const char* name) { return std::strtoul(options[name].c_str(), nullptr, 10); };
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); };
    try {
        const auto start = Clock::now();
        Cpu device({.threads = static_cast<unsigned>(number("--threads"))});
        const LoadedDecoder<Cpu> decoder = load_decoder(device, options["--model"]);
        const double load = since(start);
        const std::size_t vocab_size = decoder.model->vocab_size(), hidden_size = decoder.model->hidden_size();
        const std::size_t prompt = number("--prompt-tokens"), steps = number("--new-tokens"), batch = std::max<std::size_t>(number("--batch"), 1);
        std::vector<TokenId> ids(prompt + steps);
        for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<TokenId>((i * 7919 % 40000 + 100) % vocab_size);
        CpuBuffer out = allocate(device, batch * vocab_size);
        DecoderState<Cpu> state = make_decoder_state(device, *decoder.model, batch);
        std::vector<std::size_t> sequences(batch);
        for (std::size_t i = 0; i < batch; ++i) sequences[i] = i;
        double prefill = 1e30, decode = 1e30;
        for (std::size_t round = 0; round < number("--repeat"); ++round) {
            for (const std::size_t sequence : sequences) reset(state, sequence);
            auto from = Clock::now();
            const float* hidden = forward(device, *decoder.model, state, 0, std::span(ids).first(prompt));
            logits(device, *decoder.model, hidden + (prompt - 1) * hidden_size, 1, out.data());
            prefill = std::min(prefill, since(from));
            for (std::size_t sequence = 1; sequence < batch; ++sequence) forward(device, *decoder.model, state, sequence, std::span(ids).first(prompt));
            from = Clock::now();
            for (std::size_t i = prompt; i < ids.size(); ++i) {
                hidden = forward_each(device, *decoder.model, state, sequences, std::vector<TokenId>(batch, ids[i]));
                logits(device, *decoder.model, hidden, batch, out.data());
            }
            decode = std::min(decode, since(from));
        }
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        std::printf("{\"tool\": \"morsel\", \"load_ms\": %.1f, \"prefill_tok_per_s\": %.1f, \"decode_tok_per_s\": %.1f, \"first_token_ms\": %.1f, \"peak_rss_mb\": %.1f}\n",
                    load * 1e3, static_cast<double>(prompt) / prefill, static_cast<double>(steps * batch) / decode, prefill * 1e3, static_cast<double>(usage.ru_maxrss) / 1024);
        return 0;
    } catch (const std::exception& e) {
        return std::fprintf(stderr, "morsel-bench-generate: %s\n", e.what()), 1;
    }
}
