// morsel train: files of text to a tokenizer, to a table of word counts that tokenizers are trained from later, or to word vectors.
#include <csignal>
#include <cstdio>
#include <morsel/core/file_replacement.hpp>
#include <morsel/tokenizer/saving/save_tiktoken.hpp>
#include <morsel/tokenizer/saving/save_tokenizer.hpp>
#include <morsel/training/bpe_trainer.hpp>
#include <morsel/training/count_words.hpp>
#include <morsel/training/resumable_counts.hpp>
#include <morsel/training/trained_tokenizer.hpp>
#include <morsel/training/vocabulary_report.hpp>
#include <morsel/training/wordpiece_trainer.hpp>
#include <morsel/visual/svg_line_chart.hpp>
#include <string>

#include "commands.hpp"
#include "load_tokenizer.hpp"
#include "train_word2vec.hpp"

namespace {

using namespace morsel;

constexpr std::size_t default_vocab_size = 30000;
volatile std::sig_atomic_t interrupted = 0;

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

std::optional<Normalizer> normalizer_named(const std::string& name) {
    if (name == "bert") return Normalizer{{BertNormalizer{.lowercase = false}}};
    if (name == "bert-uncased") return Normalizer{{BertNormalizer{}}};
    if (name == "lowercase") return Normalizer{{LowercaseNormalizer{}}};
    if (name == "nfc") return Normalizer{{UnicodeNormalizer{unicode::NormalForm::nfc}}};
    if (name == "nfkc") return Normalizer{{UnicodeNormalizer{unicode::NormalForm::nfkc}}};
    return std::nullopt;  // none
}

WordSplitting splitting_named(const cli::Arguments& arguments, const char* otherwise) {
    return {normalizer_named(arguments.choice("--normalizer", {"none", "bert", "bert-uncased", "lowercase", "nfc", "nfkc"})),
            pre_tokenizer_named(arguments.has("--pre-tokenizer")
                ? arguments.choice("--pre-tokenizer", {"byte-level", "llama3", "qwen2", "o200k", "bert", "whitespace", "whitespace-split", "metaspace", "none"})
                : otherwise)};
}

// One line on stderr for each phase, rewritten now and then: how far, how fast, how long still. Ctrl-C stops at the next call.
ProgressCallback progress_on_stderr(bool quiet) {
    return [quiet, meter = ProgressMeter(), last = std::chrono::steady_clock::time_point()](const Progress& p) mutable {
        if (interrupted) return false;
        const auto rate = meter.update(p);
        const auto now = std::chrono::steady_clock::now();
        if (quiet || (now - last < std::chrono::milliseconds(200) && p.done < p.total)) return true;
        last = now;
        const bool bytes = p.phase == "count";
        std::fprintf(stderr, "\r%s %.*s, %.0f %s/s", std::string(p.phase).c_str(), 20, (bytes ? std::to_string(p.done / 1000000) + " MB" : std::to_string(p.done)).c_str(), rate.per_second / (bytes ? 1e6 : 1), bytes ? "MB" : "tokens");
        if (rate.seconds_left) std::fprintf(stderr, ", %zu %%, %.0f s left", 100 * p.done / p.total, *rate.seconds_left);
        std::fprintf(stderr, "    ");
        return true;
    };
}

// The words, and how they were split.
struct Counted {
    CountedWords words;
    WordSplitting splitting;
};

CountingOptions counting_options(const cli::Arguments& arguments, bool bpe) {
    CountingOptions options;
    if (arguments.has("--like") || arguments.has("--start")) {
        for (const char* option : {"--pre-tokenizer", "--normalizer"})
            if (arguments.has(option)) throw cli::UsageError(std::string(option) + " and --like or --start exclude each other");
        const TokenizerParts parts = cli::load_tokenizer(arguments.text(arguments.has("--like") ? "--like" : "--start")).parts();
        options.splitting = {parts.normalizer, parts.pre_tokenizer};
    } else {
        options.splitting = splitting_named(arguments, bpe ? "byte-level" : "bert");
    }
    options.memory = arguments.number<std::size_t>("--memory").value_or(0) << 20;
    return options;
}

Counted count(const cli::Arguments& arguments, bool bpe, ThreadPool& pool, const ProgressCallback& progress) {
    if (arguments.has("--files") == arguments.has("--counts")) throw cli::UsageError("either --files or --counts is needed");
    std::vector<std::filesystem::path> files;
    if (arguments.has("--counts")) {
        for (const char* option : {"--pre-tokenizer", "--normalizer", "--like", "--memory"})
            if (arguments.has(option)) throw cli::UsageError(std::string(option) + " is for --files: tables of counts say how their words were split");
        files = files_of(arguments.texts("--counts"));
        LoadedWordCounts loaded = load_word_counts(files);
        WordSplitting splitting;
        if (!loaded.splitting.empty()) splitting = splitting_from_json(loaded.splitting, files.at(0).string(), cli::tokenizer_options().regex);
        return {CountedWords(std::move(loaded.counts)), std::move(splitting)};
    }
    CountingOptions options = counting_options(arguments, bpe);
    files = files_of(arguments.texts("--files"));
    return {count_words(files, options, pool, progress), std::move(options.splitting)};
}

// Writes what was asked for: by default tokenizer.json and, where they can hold it, the older files.
void save(const TokenizerParts& parts, const cli::Arguments& arguments) {
    const std::filesystem::path directory = arguments.text("--output");
    const bool bpe = std::holds_alternative<Bpe>(parts.model);
    const std::vector<std::string> formats = arguments.has("--formats") ? arguments.texts("--formats") : std::vector<std::string>{"tokenizer.json"};
    for (const auto& format : formats)
        if (format != "tokenizer.json" && format != "vocab" && format != "tiktoken") throw cli::UsageError("--formats cannot be '" + format + "': tokenizer.json, vocab or tiktoken");
    std::error_code failure;
    std::filesystem::create_directories(directory, failure);
    if (failure) throw Error("cannot make the directory: " + failure.message(), {.file = directory.string()});
    const auto older = [&] { bpe ? save_vocab_merges(parts, directory) : save_vocab_txt(parts, directory / "vocab.txt"); };
    for (const auto& format : formats) {
        if (format == "tokenizer.json") save_tokenizer(parts, directory);
        else if (format == "tiktoken") save_tiktoken(parts, directory / "tokenizer.tiktoken");
        else older();
    }
    const std::size_t wanted = arguments.number<std::size_t>("--vocab-size").value_or(default_vocab_size), tokens = vocabulary_of(parts.model).size();
    if (tokens > wanted) std::fprintf(stderr, "morsel: --vocab-size %zu is less than special tokens and characters: the vocabulary has %zu tokens (--limit-alphabet makes it smaller)\n", wanted, tokens);
    if (arguments.has("--formats")) return;
    try {
        older();
    } catch (const Error& e) {
        std::fprintf(stderr, "morsel: tokenizer.json only: %s\n", e.what());
    }
}

void print_report(const char* on, const VocabularyReport& report) {
    std::fprintf(stderr, "%s: %.3f bytes a token, %.3f tokens a word, %zu tokens unused, %zu used fewer than 10 times, %llu unknown\n", on, report.bytes_per_token(), report.tokens_per_word(),
                 report.rarer_than(1), report.rarer_than(10), static_cast<unsigned long long>(report.unknown));
}

// The report card, and pictures of how the vocabulary grew and how much its tokens cover.
void report(const cli::Arguments& arguments, const TokenizerParts& parts, const WordCounts& counts, const WordSplitting& splitting, const LearnedBpe* learned, ThreadPool& pool, const ProgressCallback& progress) {
    if (!arguments.has("--report") && !arguments.has("--held-out") && !arguments.has("--pictures")) return;
    const VocabularyReport own = vocabulary_report(parts.model, counts);
    print_report("trained on", own);
    std::vector<ChartLine> coverage{{"text trained on", coverage_curve(own)}};
    if (arguments.has("--held-out")) {
        const auto files = files_of(arguments.texts("--held-out"));
        const VocabularyReport other = vocabulary_report(parts.model, count_files(files, splitting, pool, progress));
        print_report("held out", other);
        coverage.push_back({"text held out", coverage_curve(other)});
    }
    if (!arguments.has("--pictures")) return;
    const std::filesystem::path directory = arguments.text("--pictures");
    std::filesystem::create_directories(directory);
    replace_file(directory / "coverage.svg", svg_line_chart(coverage, {.title = "What the most frequent tokens cover", .x_label = "tokens, the most used first", .y_label = "percent of the text's tokens", .logarithmic_x = true}));
    if (learned == nullptr) return;
    std::uint64_t symbols = own.tokens;
    for (const LearnedMerge& merge : learned->merges) symbols += merge.count;
    const std::vector<ChartLine> growth{{"", growth_curve(*learned, symbols)}};
    replace_file(directory / "growth.svg", svg_line_chart(growth, {.title = "How merges shorten the text", .x_label = "tokens in the vocabulary", .y_label = "characters a token"}));
}

// The added tokens of a vocabulary that is gone on with, and new ones.
std::vector<std::string> with_more(const AddedTokens& known, const std::vector<std::string>& more) {
    std::vector<std::string> tokens;
    for (const AddedToken& token : known.tokens()) tokens.push_back(token.content);
    for (const std::string& token : more)
        if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
    return tokens;
}

int run_train(const cli::Arguments& arguments) {
    const std::string algorithm = arguments.positional().front();
    const bool vectors = algorithm == "word2vec";
    if (algorithm != "bpe" && algorithm != "wordpiece" && algorithm != "counts" && !vectors) throw cli::UsageError("cannot train '" + algorithm + "': bpe, wordpiece, counts or word2vec");
    const bool bpe = algorithm == "bpe";
    const std::string objective = arguments.choice("--objective", {"log_likelihood", "ratio", "count"});
    if (algorithm != "wordpiece" && (arguments.has("--objective") || arguments.has("--min-word-count"))) throw cli::UsageError("--objective and --min-word-count are for wordpiece");
    if (!bpe && arguments.has("--suffix")) throw cli::UsageError("--suffix is for bpe");
    if (!bpe && algorithm != "wordpiece" && arguments.has("--start")) throw cli::UsageError("--start is for bpe and wordpiece");

    std::signal(SIGINT, [](int) { interrupted = 1; });
    const bool quiet = arguments.has("--quiet");
    const ProgressCallback progress = progress_on_stderr(quiet);
    const char* const new_line = quiet ? "" : "\n";
    if (vectors) return cli::train_word2vec(arguments, splitting_named(arguments, "whitespace-split"), progress);
    ThreadPool pool(arguments.number<unsigned>("--threads").value_or(0));
    if (arguments.has("--resume")) {
        if (algorithm != "counts" || !arguments.has("--files")) throw cli::UsageError("--resume is for counts of --files");
        const CountingOptions options = counting_options(arguments, true);
        const auto files = files_of(arguments.texts("--files"));
        const std::size_t words = count_words_resumably(files, arguments.text("--output"), splitting_json(options.splitting), options, pool, progress);
        return std::fprintf(stderr, "%s%zu words\n", new_line, words), 0;
    }
    Counted counted = count(arguments, algorithm != "wordpiece", pool, progress);
    if (algorithm == "counts") {
        const std::size_t words = counted.words.save(arguments.text("--output"), splitting_json(counted.splitting));
        return std::fprintf(stderr, "%s%zu words\n", new_line, words), 0;
    }
    WordCounts counts = counted.words.take();
    const bool keep = arguments.has("--report") || arguments.has("--held-out") || arguments.has("--pictures");
    const std::size_t words = counts.size();
    const std::size_t vocab_size = arguments.number<std::size_t>("--vocab-size").value_or(default_vocab_size);
    if (bpe) {
        LearnedBpe start;
        const std::vector<std::string> special_tokens = arguments.texts("--special-tokens");
        AddedTokens known;
        if (arguments.has("--start")) {
            const TokenizerParts parts = cli::load_tokenizer(arguments.text("--start")).parts();
            start = learned_bpe(parts), known = parts.added_tokens;
        }
        BpeTrainerOptions options{.vocab_size = vocab_size,
                                  .min_frequency = arguments.number<std::uint64_t>("--min-frequency").value_or(0),
                                  .special_tokens = special_tokens,
                                  .limit_alphabet = arguments.number<std::size_t>("--limit-alphabet"),
                                  .max_token_length = arguments.number<std::size_t>("--max-token-length"),
                                  .continuing_subword_prefix = arguments.text("--prefix", start.continuing_subword_prefix),
                                  .end_of_word_suffix = arguments.text("--suffix", start.end_of_word_suffix)};
        if (arguments.has("--all-bytes")) options.initial_alphabet.assign(byte_to_character.begin(), byte_to_character.end());
        const LearnedBpe learned = keep ? train_bpe(counts, options, progress, start) : train_bpe(std::move(counts), options, progress, start);
        const TokenizerParts parts = bpe_tokenizer(learned, counted.splitting, with_more(known, special_tokens));
        save(parts, arguments);
        const std::size_t made = learned.merges.size() - std::min(learned.merges.size(), start.merges.size());
        std::fprintf(stderr, "%s%zu words, %zu tokens, %zu merges, %zu of them decided by ids alone\n", new_line, words, learned.tokens.size(), made, learned.ties);
        report(arguments, parts, counts, counted.splitting, &learned, pool, progress);
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
    std::vector<std::string> start;
    if (arguments.has("--start")) {
        const TokenizerParts parts = cli::load_tokenizer(arguments.text("--start")).parts();
        start = wordpiece_tokens(parts);
        options.continuing_subword_prefix = arguments.text("--prefix", std::get<WordPiece>(parts.model).continuing_subword_prefix);
        options.special_tokens = with_more(parts.added_tokens, arguments.texts("--special-tokens"));
    }
    const LearnedWordPiece learned = train_wordpiece(counts, options, progress, start);
    const TokenizerParts parts = wordpiece_tokenizer(learned, counted.splitting, options);
    save(parts, arguments);
    std::fprintf(stderr, "%s%zu words, %zu tokens, %zu merges, %zu of pairs rarer than 10\n", new_line, words, learned.tokens.size(), learned.merges.size(), learned.rare_merges);
    if (learned.rare_pairs_dominate()) std::fprintf(stderr, "morsel: rare pairs dominate; a higher --min-frequency would help\n");
    report(arguments, parts, counts, counted.splitting, nullptr, pool, progress);
    return 0;
}

}  // namespace

cli::Command cli::train_command() {
    return {"train",
            "Files of text to a tokenizer (bpe, wordpiece), to a table of word counts (counts) that tokenizers are trained from later, or to word vectors (word2vec).",
            "bpe|wordpiece|counts|word2vec",
            {{"--files", "F…", "text, UTF-8; words do not cross lines; patterns like 'corpus/*.txt'; - is stdin"},
             {"--counts", "C…", "tables of word counts instead; they are added up"},
             {"--output", "PATH", "directory to write to; of counts, the file; of word2vec NAME.bin, NAME.safetensors, else text", true},
             {"--formats", "T…", "tokenizer.json, vocab (vocab.json and merges.txt, or vocab.txt), tiktoken"},
             {"--vocab-size", "N", "tokens at most (30000); word2vec: words at most (all)"},
             {"--min-frequency", "N", "least occurrences of a pair (0)"},
             {"--special-tokens", "T…", "first ids; wordpiece: [PAD] [UNK] [CLS] [SEP] [MASK]"},
             {"--limit-alphabet", "N", "characters at most, the most frequent"},
             {"--max-token-length", "N", "characters; bpe: fewer than N, as Hugging Face"},
             {"--prefix", "P", "of characters within a word (wordpiece: ##)"},
             {"--suffix", "S", "of the last character of a word (bpe)"},
             {"--all-bytes", "", "all 256 bytes in the vocabulary (bpe, byte-level)"},
             {"--start", "PATH", "go on from this tokenizer's vocabulary: its ids stay (bpe, wordpiece)"},
             {"--objective", "O", "wordpiece: log_likelihood (default), ratio, count"},
             {"--min-word-count", "N", "wordpiece: leave out words that occur less often"},
             {"--pre-tokenizer", "P", "byte-level (bpe), bert (wordpiece), whitespace-split (word2vec), llama3, qwen2, o200k, whitespace, metaspace, none"},
             {"--normalizer", "N", "none, bert, bert-uncased, lowercase, nfc, nfkc"},
             {"--like", "PATH", "split text as this tokenizer does"},
             {"--memory", "MIB", "of tables while counting; beyond it they go to temporary files"},
             {"--resume", "", "counts: keep what was counted in OUTPUT.part, every ten minutes and when stopped, and go on from there"},
             {"--report", "", "bytes a token, unused tokens, …, on the text trained on"},
             {"--held-out", "F…", "report on this text, too"},
             {"--pictures", "DIR", "growth.svg, coverage.svg; word2vec: words.svg"},
             {"--skip-gram", "", "word2vec: each neighbour by itself predicts the word, in place of all together"},
             {"--dimension", "N", "word2vec: values of a vector (100)"},
             {"--window", "N", "word2vec: words on either side at most (5)"},
             {"--negative", "N", "word2vec: random words for each true one (5)"},
             {"--hierarchical-softmax", "", "word2vec: a tree in place of negative samples; both with --negative"},
             {"--min-count", "N", "word2vec: leave out words that occur less often (5)"},
             {"--sample", "X", "word2vec: share of the corpus above which words are thinned out (0.001)"},
             {"--alpha", "X", "word2vec: learning rate at the beginning (0.025)"},
             {"--epochs", "N", "word2vec: times through the corpus (5)"},
             {"--seed", "N", "word2vec: with one thread the same seed gives the same vectors (1)"},
             {"--threads", "N", "default: all processors"},
             {"--quiet", "", "no progress"}},
            run_train};
}
