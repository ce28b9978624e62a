// morsel-bench-embed --model DIR --threads N --batch B --tokens T [--short S [--draw SEED]] [--batch-tokens N]
// [--precision f32|bf16x3|bf16x2|bf16] [--repeat R] [--clock wall|cpu]: one JSON line with the sentences and tokens a second of an
// encoder's forward passes over B sentences, packed as the embedders pack them, the best of R. Token ids are pseudo-random; with
// --short S the sentences are of S to T tokens, evenly spread or drawn from a seed, and nothing is padded. The clock of the process's
// processor time is for machines that others use, too, and for one thread.
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/batch_runner.hpp"
#include "morsel/pipeline/load_encoder.hpp"
#include "morsel/pipeline/token_batches.hpp"

int main(int argc, char** argv) {
    using namespace morsel;
    std::map<std::string, std::string> options = {{"--model", ""}, {"--threads", "1"}, {"--batch", "32"}, {"--tokens", "128"}, {"--short", "0"}, {"--draw", ""}, {"--batch-tokens", "0"}, {"--precision", "bf16x3"}, {"--repeat", "5"}, {"--clock", "wall"}};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!options.contains(argv[i])) return std::fprintf(stderr, "morsel-bench-embed: unknown option %s\n", argv[i]), 2;
        options[argv[i]] = argv[i + 1];
    }
    const std::map<std::string, MatrixPrecision> precisions = {
        {"f32", MatrixPrecision::f32}, {"bf16x3", MatrixPrecision::bf16x3}, {"bf16x2", MatrixPrecision::bf16x2}, {"bf16", MatrixPrecision::bf16}};
    if (options["--model"].empty() || !precisions.contains(options["--precision"]))
        return std::fprintf(stderr, "usage: morsel-bench-embed --model DIR --threads N --batch B --tokens T [--short S [--draw SEED]] [--batch-tokens N] [--precision f32|bf16x3|bf16x2|bf16] [--repeat R] [--clock wall|cpu]\n"), 2;
    const auto number = [&](const char* name) { return std::stoul(options[name]); };
    try {
        const auto now = [clock = options["--clock"] == "cpu" ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC] {
            timespec t{};
            clock_gettime(clock, &t);
            return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;  // seconds
        };
        Cpu device({.threads = static_cast<unsigned>(number("--threads")), .precision = precisions.at(options["--precision"])});
        const double start = now();
        const Encoder<Cpu> encoder = load_encoder(device, options["--model"]);
        const double load = now() - start;
        const std::size_t sentences = number("--batch"), longest = number("--tokens"), shortest = number("--short") > 0 ? number("--short") : longest;
        std::uint64_t state = options["--draw"].empty() ? 0 : number("--draw");  // a linear congruential generator, as embedding.py has it
        std::vector<std::vector<TokenId>> ids(sentences);
        std::vector<std::size_t> lengths;
        std::size_t tokens = 0;
        for (std::size_t i = 0; i < sentences; ++i) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const std::size_t spread = longest - std::min(shortest, longest);
            lengths.push_back(shortest + (options["--draw"].empty() ? spread * i / std::max<std::size_t>(sentences - 1, 1) : (state >> 33) % (spread + 1)));
            for (std::size_t t = 0; t < lengths[i]; ++t) ids[i].push_back(static_cast<TokenId>((i * 7919 + t * 104729) % 20000 % encoder.vocab_size()));
            tokens += lengths[i];
        }
        const std::vector<std::vector<std::size_t>> batches = plan_batches(lengths, BatchRunner<Cpu>::batch_tokens(number("--batch-tokens")));
        std::vector<float> first(batches.size());  // element of each batch's hidden states
        BatchRunner<Cpu> runner;
        double best = 1e30, checksum = 0;
        for (std::size_t round = 0; round < number("--repeat") + 1; ++round) {
            const double from = now();
            const auto run = [&](Cpu& on, EncoderWork<Cpu>& work, std::size_t b) {
                EncoderBatch batch;
                for (const std::size_t i : batches[b]) add_sequence(batch, encoder, std::span<const TokenId>(ids[i]));
                first[b] = forward(on, encoder, work, batch)[0];
                return batches[b].size();
            };
            runner.run(device, batches.size(), run, [](std::size_t) {});
            if (round > 0) best = std::min(best, now() - from);  // the first allocates
        }
        for (const float value : first) checksum += static_cast<double>(value);
        std::printf("{\"tool\": \"morsel\", \"sentences_per_s\": %.2f, \"tokens_per_s\": %.1f, \"ms\": %.3f, \"load_ms\": %.1f, \"checksum\": %.6f}\n",
                    static_cast<double>(sentences) / best, static_cast<double>(tokens) / best, best * 1e3, load * 1e3, checksum);
        return 0;
    } catch (const std::exception& e) {
        return std::fprintf(stderr, "morsel-bench-embed: %s\n", e.what()), 1;
    }
}
