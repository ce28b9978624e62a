// Parts of a tokenizer by themselves: cutting text into pieces (the split scanners) and merging pieces (BPE by scan and by heap).
// The text and the merges are made here, so nothing needs to be there: words of random letters, and merges of the pairs in them.
#include <benchmark/benchmark.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/splitting/split_patterns.hpp"

namespace {

using namespace morsel;

// A megabyte like prose: words of 1 to 12 letters, of which some come again and again, with commas, numbers and line ends.
const std::string& prose() {
    static const std::string text = [] {
        std::mt19937 random(1);
        std::vector<std::string> words(2000);
        for (std::string& word : words)
            for (std::size_t n = 1 + random() % 12; n > 0; --n) word += static_cast<char>('a' + random() % 26);
        std::string out;
        while (out.size() < 1000000) {
            const std::size_t a = random() % words.size();
            out += words[a * (random() % words.size()) / words.size()];
            const unsigned then = random() % 40;
            out += then == 0 ? ".\n" : then < 4 ? ", " : then == 4 ? " 1984 " : " ";
        }
        return out;
    }();
    return text;
}

void pre_tokenizer(benchmark::State& state, SplitScanner scanner) {
    const std::string_view text = prose();
    std::size_t pieces = 0;
    for (auto _ : state)
        for (std::size_t at = 0; at < text.size(); ++pieces) benchmark::DoNotOptimize(at = scanner.next(text, at));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
    state.counters["pieces"] = benchmark::Counter(static_cast<double>(pieces), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(pre_tokenizer, gpt2, split::gpt2);
BENCHMARK_CAPTURE(pre_tokenizer, llama3, split::llama3);
BENCHMARK_CAPTURE(pre_tokenizer, qwen2, split::qwen2);
BENCHMARK_CAPTURE(pre_tokenizer, o200k, split::o200k);

// Symbols 0 … 25, and a merge for every pair of them; then one for every pair of those, up to 26 · 26 new symbols.
const FlatMap<Merge>& merges() {
    static const FlatMap<Merge> table = [] {
        FlatMap<Merge> made;
        std::mt19937 random(2);
        for (std::uint32_t i = 0; i < 676; ++i) made.set(pack_pair(i / 26, i % 26), {static_cast<std::uint32_t>(random() % 10000), 26 + i});
        for (std::uint32_t i = 0; i < 20000; ++i)
            made.set(pack_pair(26 + random() % 676, 26 + random() % 676), {10000 + i, 702 + i});
        return made;
    }();
    return table;
}

template <void (*Merging)(const FlatMap<Merge>&, ModelTokens&, std::size_t)>
void merge(benchmark::State& state) {
    const auto length = static_cast<std::size_t>(state.range(0));  // symbols of the word
    std::mt19937 random(3);
    ModelTokens word, symbols;
    for (std::size_t i = 0; i < length; ++i) word.push_back({static_cast<TokenId>(random() % 26), i, i + 1});
    for (auto _ : state) {
        symbols = word;
        Merging(merges(), symbols, 0);
        benchmark::DoNotOptimize(symbols.data());
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * length));
}
BENCHMARK(merge<detail::bpe_merge_scan>)->Name("merge_scan")->Arg(6)->Arg(12)->Arg(48);
BENCHMARK(merge<detail::bpe_merge_heap>)->Name("merge_heap")->Arg(12)->Arg(48)->Arg(1000)->Arg(100000);

}  // namespace
