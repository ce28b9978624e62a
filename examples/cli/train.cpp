// morsel train: files of text to a vocabulary.
#include <cstdio>
#include <morsel/training/bpe_trainer.hpp>
#include <morsel/training/count_words.hpp>
#include <morsel/training/save_vocabulary.hpp>
#include <morsel/training/wordpiece_trainer.hpp>
#include <string>

#include "commands.hpp"

namespace {

using namespace morsel;

PreTokenizer by_pattern(SplitScanner scanner) {
    return {{SplitPreTokenizer{.pattern = {"", scanner}}, ByteLevelPreTokenizer{.add_prefix_space = false, .use_regex = false}}};
}

std::optional<PreTokenizer> pre_tokenizer_named(const std::string& name) {
    if (name == "byte-level") return PreTokenizer{{ByteLevelPreTokenizer{.add_prefix_space = false}}};
    if (name == "llama3") return by_pattern(split::llama3);
    if (name == "qwen2") return by_pattern(split::qwen2);
    if (name == "o200k") return by_pattern(split::o200k);
    if (name == "bert") return PreTokenizer{{BertPreTokenizer{}}};
    if (name == "whitespace") return PreTokenizer{{WhitespacePreTokenizer{}}};
    if (name == "whitespace-split") return PreTokenizer{{WhitespaceSplitPreTokenizer{}}};
    if (name == "metaspace") return PreTokenizer{{MetaspacePreTokenizer{}}};
    return std::nullopt;  // none
}

// Phases on stderr, one line each, rewritten at every percent.
ProgressCallback progress_on_stderr() {
    return [last = std::pair<std::string, std::size_t>{"", 101}](const Progress& p) mutable {
        const std::size_t percent = p.total > 0 ? 100 * p.done / p.total : 0;
        if (last == std::pair(std::string(p.phase), percent)) return true;
        std::fprintf(stderr, "\r%s %zu %%", std::string(p.phase).c_str(), percent);
        last = {std::string(p.phase), percent};
        return true;
    };
}

int run(const cli::Arguments& arguments) {
    const std::string algorithm = arguments.positional().front();
    if (algorithm != "bpe" && algorithm != "wordpiece") throw cli::UsageError("cannot train '" + algorithm + "': bpe or wordpiece");
    const bool bpe = algorithm == "bpe";
    const char* const otherwise = bpe ? "byte-level" : "bert";
    const std::string splitting = arguments.has("--pre-tokenizer")
        ? arguments.choice("--pre-tokenizer", {"byte-level", "llama3", "qwen2", "o200k", "bert", "whitespace", "whitespace-split", "metaspace", "none"})
        : otherwise;
    const std::string objective = arguments.choice("--objective", {"log_likelihood", "ratio", "count"});
    if (bpe && (arguments.has("--objective") || arguments.has("--min-word-count"))) throw cli::UsageError("--objective and --min-word-count are for wordpiece");
    if (!bpe && arguments.has("--suffix")) throw cli::UsageError("--suffix is for bpe");

    const ProgressCallback progress = arguments.has("--quiet") ? ProgressCallback{} : progress_on_stderr();
    ThreadPool pool(arguments.number<unsigned>("--threads").value_or(0));
    std::vector<std::filesystem::path> files;
    for (const auto& file : arguments.texts("--files")) files.emplace_back(file);
    const WordCounts counts = count_files(files, {.pre_tokenizer = pre_tokenizer_named(splitting)}, pool, progress);
    const std::string directory = arguments.text("--output");
    const std::size_t vocab_size = arguments.number<std::size_t>("--vocab-size").value_or(30000);
    if (bpe) {
        BpeTrainerOptions options{.vocab_size = vocab_size,
                                  .min_frequency = arguments.number<std::uint64_t>("--min-frequency").value_or(0),
                                  .special_tokens = arguments.texts("--special-tokens"),
                                  .limit_alphabet = arguments.number<std::size_t>("--limit-alphabet"),
                                  .max_token_length = arguments.number<std::size_t>("--max-token-length"),
                                  .continuing_subword_prefix = arguments.text("--prefix"),
                                  .end_of_word_suffix = arguments.text("--suffix")};
        if (arguments.has("--all-bytes")) options.initial_alphabet.assign(byte_to_character.begin(), byte_to_character.end());
        const LearnedBpe learned = train_bpe(counts, options, progress);
        save_bpe(learned, directory);
        std::fprintf(stderr, "%s%zu words, %zu tokens, %zu merges, %zu of them decided by ids alone\n", progress ? "\r" : "", counts.size(), learned.tokens.size(), learned.merges.size(), learned.ties);
        return 0;
    }
    WordPieceTrainerOptions options{.objective = objective == "ratio"   ? WordPieceObjective::ratio
                                                 : objective == "count" ? WordPieceObjective::count
                                                                        : WordPieceObjective::log_likelihood,
                                    .vocab_size = vocab_size,
                                    .min_frequency = arguments.number<std::uint64_t>("--min-frequency").value_or(0),
                                    .min_word_count = arguments.number<std::uint64_t>("--min-word-count").value_or(0),
                                    .limit_alphabet = arguments.number<std::size_t>("--limit-alphabet"),
                                    .max_token_length = arguments.number<std::size_t>("--max-token-length"),
                                    .continuing_subword_prefix = arguments.text("--prefix", "##")};
    if (arguments.has("--special-tokens")) options.special_tokens = arguments.texts("--special-tokens");
    const LearnedWordPiece learned = train_wordpiece(counts, options, progress);
    save_vocab_txt(learned.tokens, directory);
    std::fprintf(stderr, "%s%zu words, %zu tokens, %zu merges, %zu of pairs rarer than 10\n", progress ? "\r" : "", counts.size(), learned.tokens.size(), learned.merges.size(), learned.rare_merges);
    if (learned.rare_pairs_dominate()) std::fprintf(stderr, "morsel: rare pairs dominate; a higher --min-frequency would help\n");
    return 0;
}

}  // namespace

cli::Command cli::train_command() {
    return {"train",
            "Files of text to a vocabulary: bpe writes vocab.json and merges.txt, wordpiece vocab.txt.",
            "bpe|wordpiece",
            {{"--files", "F…", "text, UTF-8; words do not cross lines", true},
             {"--output", "DIR", "directory to write to", true},
             {"--vocab-size", "N", "tokens at most (30000)"},
             {"--min-frequency", "N", "least occurrences of a pair (0)"},
             {"--special-tokens", "T…", "first ids; wordpiece: [PAD] [UNK] [CLS] [SEP] [MASK]"},
             {"--limit-alphabet", "N", "characters at most, the most frequent"},
             {"--max-token-length", "N", "characters; bpe: fewer than N, as Hugging Face"},
             {"--prefix", "P", "of characters within a word (wordpiece: ##)"},
             {"--suffix", "S", "of the last character of a word (bpe)"},
             {"--all-bytes", "", "all 256 bytes in the vocabulary (bpe, byte-level)"},
             {"--objective", "O", "wordpiece: log_likelihood (default), ratio, count"},
             {"--min-word-count", "N", "wordpiece: leave out words that occur less often"},
             {"--pre-tokenizer", "P", "byte-level (bpe), bert (wordpiece), llama3, qwen2, o200k, whitespace, whitespace-split, metaspace, none"},
             {"--threads", "N", "default: all processors"},
             {"--quiet", "", "no progress"}},
            run};
}
