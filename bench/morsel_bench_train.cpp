// morsel-bench-train --algorithm bpe|wordpiece --file F --vocab-size N --threads T [--objective O] [--out DIR]: trains once and prints one
// JSON line: seconds in all, counting, merging; words, merges; peak resident memory. Of BPE `ties` are merges decided by ids alone.
// With --algorithm word2vec [--model skip-gram|cbow] [--dimension N] [--negative N] [--hs 1] [--epochs N] [--seed S] [--out FILE.bin]: words a second, those
// left out by min_count or subsampling included, as peers count; also a second of processor time of all threads.
// BPE is byte-level with GPT-2's pattern, WordPiece has BERT's pre-tokenizer, as peers are measured.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "morsel/tokenizer/saving/save_tokenizer.hpp"
#include "morsel/training/bpe_trainer.hpp"
#include "morsel/models/word_vectors_io.hpp"
#include "morsel/training/count_words.hpp"
#include "morsel/training/trained_tokenizer.hpp"
#include "morsel/training/word2vec.hpp"
#include "morsel/training/wordpiece_trainer.hpp"

using namespace morsel;

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int word2vec(std::map<std::string, std::string>& flags) {
    const auto start = Clock::now();
    const auto number = [&](const char* name, std::size_t otherwise) { return flags.contains(name) ? std::stoul(flags[name]) : otherwise; };
    Cpu device({.threads = static_cast<unsigned>(number("--threads", 1))});
    const std::vector<std::filesystem::path> files{flags["--file"]};
    const WordSequences corpus = read_word_sequences(files, device.pool(), {.max_vocab = flags.contains("--vocab-size") ? std::optional(number("--vocab-size", 0)) : std::nullopt});
    const double reading = since(start);
    const std::uint64_t read = [&] {  // words of the files
        std::uint64_t sum = 0;
        count_files(files, white_space_splitting(), device.pool()).for_each([&](std::string_view, std::uint64_t count) { sum += count; });
        return sum;
    }();
    const double processor_start = processor_seconds();
    Word2VecOptions options{.model = flags["--model"] == "skip-gram" ? Word2VecModel::skip_gram : Word2VecModel::cbow, .dimension = number("--dimension", 100)};
    options.hierarchical_softmax = number("--hs", 0) != 0;
    options.negative = number("--negative", options.hierarchical_softmax ? 0 : 5), options.epochs = number("--epochs", 1), options.seed = number("--seed", 1);
    const auto training_start = Clock::now();
    const WordVectors vectors = train_word2vec(device, corpus, options);
    const double training = since(training_start), processor = processor_seconds() - processor_start, words = static_cast<double>(read * options.epochs);
    if (flags.contains("--out")) save_word2vec_binary(vectors, flags["--out"]);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("{\"tool\": \"morsel\", \"algorithm\": \"word2vec\", \"seconds\": %.3f, \"reading_s\": %.3f, \"training_s\": %.3f, \"vocabulary\": %zu, \"words_per_s\": %.0f, \"words_per_processor_s\": %.0f, \"peak_rss_mb\": %.1f}\n",
                since(start), reading, training, vectors.size(), words / training, words / processor, static_cast<double>(usage.ru_maxrss) / 1024);
    return 0;
}

}  // namespace

int main(int argc, char** argv) try {
    std::map<std::string, std::string> flags{{"--algorithm", "bpe"}, {"--threads", "1"}, {"--min-frequency", "0"}};
    for (int i = 1; i + 1 < argc; i += 2) flags[argv[i]] = argv[i + 1];
    const std::string algorithm = flags["--algorithm"];
    if (algorithm == "word2vec" && flags.contains("--file")) return word2vec(flags);
    const std::string objective = flags["--objective"];
    const bool bpe = algorithm == "bpe";
    if (!flags.contains("--file") || (!bpe && algorithm != "wordpiece"))
        return std::fprintf(stderr, "usage: %s --algorithm bpe|wordpiece|word2vec --file F --vocab-size N --threads T [--objective O] [--out DIR]\n", argv[0]), 2;
    const auto start = Clock::now();
    ThreadPool pool(static_cast<unsigned>(std::stoul(flags["--threads"])));
    const std::vector<std::filesystem::path> files{flags["--file"]};
    const PreTokenizer pre_tokenizer = bpe ? PreTokenizer{{ByteLevelPreTokenizer{false}}} : PreTokenizer{{BertPreTokenizer{}}};
    WordCounts counts = count_files(files, {{}, pre_tokenizer}, pool);
    const double counting = since(start);
    const std::size_t distinct = counts.size();
    const auto merging_start = Clock::now();
    const std::size_t vocab_size = flags.contains("--vocab-size") ? std::stoul(flags["--vocab-size"]) : 32768;
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
