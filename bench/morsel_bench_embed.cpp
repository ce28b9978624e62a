// morsel-bench-embed --model DIR --threads N --batch B --tokens T [--short S] [--precision f32|bf16x3|bf16x2|bf16] [--repeat R]
// [--clock wall|cpu]: one JSON line with the sentences and tokens a second of an encoder's forward pass, the best of R. Token ids are
// pseudo-random; with --short S the sentences are of S to T tokens, evenly spread, and nothing is padded. The clock of the process's
// processor time is for machines that others use, too, and for one thread.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "morsel/ops/cpu.hpp"
#include "morsel/pipeline/load_encoder.hpp"

int main(int argc, char** argv) {
    using namespace morsel;
    std::map<std::string, std::string> options = {{"--model", ""}, {"--threads", "1"}, {"--batch", "32"}, {"--tokens", "128"}, {"--short", "0"}, {"--precision", "bf16x3"}, {"--repeat", "5"}, {"--clock", "wall"}};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!options.contains(argv[i])) return std::fprintf(stderr, "morsel-bench-embed: unknown option %s\n", argv[i]), 2;
        options[argv[i]] = argv[i + 1];
    }
    const std::map<std::string, MatrixPrecision> precisions = {
        {"f32", MatrixPrecision::f32}, {"bf16x3", MatrixPrecision::bf16x3}, {"bf16x2", MatrixPrecision::bf16x2}, {"bf16", MatrixPrecision::bf16}};
    if (options["--model"].empty() || !precisions.contains(options["--precision"]))
        return std::fprintf(stderr, "usage: morsel-bench-embed --model DIR --threads N --batch B --tokens T [--short S] [--precision f32|bf16x3|bf16x2|bf16] [--repeat R] [--clock wall|cpu]\n"), 2;
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
        EncoderBatch batch;
        for (std::size_t i = 0; i < sentences; ++i) {
            std::vector<TokenId> ids(shortest + (longest - shortest) * i / std::max<std::size_t>(sentences - 1, 1));
            for (std::size_t t = 0; t < ids.size(); ++t) ids[t] = static_cast<TokenId>((i * 7919 + t * 104729) % 20000 % encoder.vocab_size());
            add_sequence(batch, encoder, ids);
        }
        EncoderWork<Cpu> work;
        double best = 1e30, checksum = 0;
        for (std::size_t round = 0; round < number("--repeat") + 1; ++round) {
            const double from = now();
            checksum = static_cast<double>(forward(device, encoder, work, batch)[0]);
            if (round > 0) best = std::min(best, now() - from);  // the first allocates
        }
        std::printf("{\"tool\": \"morsel\", \"sentences_per_s\": %.2f, \"tokens_per_s\": %.1f, \"ms\": %.3f, \"load_ms\": %.1f, \"checksum\": %.6f}\n",
                    static_cast<double>(sentences) / best, static_cast<double>(batch.rows()) / best, best * 1e3, load * 1e3, checksum);
        return 0;
    } catch (const std::exception& e) {
        return std::fprintf(stderr, "morsel-bench-embed: %s\n", e.what()), 1;
    }
}
