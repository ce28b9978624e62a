// morsel-bench-train --algorithm bpe|wordpiece --file F --vocab-size N --threads T [--objective O] [--out DIR]: trains once and prints one
// JSON line: seconds in all, counting, merging; words, merges; peak resident memory. Of BPE `ties` are merges decided by ids alone.
// BPE is byte-level with GPT-2's pattern, WordPiece has BERT's pre-tokenizer, as peers are measured.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "morsel/tokenizer/saving/save_tokenizer.hpp"
#include "morsel/training/bpe_trainer.hpp"
#include "morsel/training/count_words.hpp"
#include "morsel/training/trained_tokenizer.hpp"
#include "morsel/training/wordpiece_trainer.hpp"

using namespace morsel;

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

int main(int argc, char** argv) try {
    std::map<std::string, std::string> flags{{"--algorithm", "bpe"}, {"--vocab-size", "32768"}, {"--threads", "1"}, {"--min-frequency", "0"}};
    for (int i = 1; i + 1 < argc; i += 2) flags[argv[i]] = argv[i + 1];
    const std::string algorithm = flags["--algorithm"];
    const std::string objective = flags["--objective"];
    const bool bpe = algorithm == "bpe";
    if (!flags.contains("--file") || (!bpe && algorithm != "wordpiece"))
        return std::fprintf(stderr, "usage: %s --algorithm bpe|wordpiece --file F --vocab-size N --threads T [--objective O] [--out DIR]\n", argv[0]), 2;
    const auto start = Clock::now();
    ThreadPool pool(static_cast<unsigned>(std::stoul(flags["--threads"])));
    const std::vector<std::filesystem::path> files{flags["--file"]};
    const PreTokenizer pre_tokenizer = bpe ? PreTokenizer{{ByteLevelPreTokenizer{false}}} : PreTokenizer{{BertPreTokenizer{}}};
    WordCounts counts = count_files(files, {{}, pre_tokenizer}, pool);
    const double counting = since(start);
    const std::size_t distinct = counts.size();
    const auto merging_start = Clock::now();
    const std::size_t vocab_size = std::stoul(flags["--vocab-size"]);
    LearnedBpe learned;
    LearnedWordPiece pieces;
    if (bpe) learned = train_bpe(std::move(counts), {.vocab_size = vocab_size});
    else
        pieces = train_wordpiece(counts, {.objective = objective == "ratio" ? WordPieceObjective::ratio : objective == "count" ? WordPieceObjective::count : WordPieceObjective::log_likelihood,
                                          .vocab_size = vocab_size,
                                          .min_frequency = std::stoul(flags["--min-frequency"])});
    const double merging = since(merging_start);
    if (flags.contains("--out")) save_tokenizer(bpe ? bpe_tokenizer(learned, {{}, pre_tokenizer}) : wordpiece_tokenizer(pieces, {{}, pre_tokenizer}), flags["--out"]);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("{\"tool\": \"morsel\", \"algorithm\": \"%s\", \"seconds\": %.3f, \"counting_s\": %.3f, \"merging_s\": %.3f, \"words\": %zu, \"tokens\": %zu, \"merges\": %zu, \"ties\": %zu, \"peak_rss_mb\": %.1f}\n",
                algorithm.c_str(), since(start), counting, merging, distinct, learned.tokens.size() + pieces.tokens.size(),
                learned.merges.size() + pieces.merges.size(), learned.ties, static_cast<double>(usage.ru_maxrss) / 1024);
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
