// morsel-bench-encode --tokenizer PATH --file F --threads N --repeat K [--mode docs|each|whole|offsets|encode|decode|small|load]: one JSON line
// with the rate of encoding (or decoding) a corpus. A document ends at the first LF at or after 3072 bytes from its start; `whole`
// takes the file as one text. One cold pass, then at least K warm ones and half a second of them. ids_crc is the CRC-32 of all ids
// as little-endian u32, without special tokens, doc_crcs that of each document: bench/compare compares them with other tools'.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "morsel/core/threads.hpp"
#include "morsel/tokenizer.hpp"
#ifdef MORSEL_HAS_PCRE2
#include "morsel/tokenizer/pcre2.hpp"
#endif

using namespace morsel;

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::uint32_t crc32(std::uint32_t crc, std::span<const TokenId> ids) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> t{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            t[i] = i;
            for (int k = 0; k < 8; ++k) t[i] = (t[i] >> 1) ^ (t[i] & 1 ? 0xedb88320u : 0);
        }
        return t;
    }();
    crc = ~crc;
    for (const TokenId id : ids)
        for (int shift = 0; shift < 32; shift += 8) crc = (crc >> 8) ^ table[(crc ^ (id >> shift)) & 0xff];
    return ~crc;
}

std::vector<std::string_view> documents(std::string_view data, bool whole) {
    if (whole) return {data};
    std::vector<std::string_view> docs;
    while (!data.empty()) {
        const std::size_t end = data.size() > 3072 ? data.find('\n', 3071) : data.npos;
        docs.push_back(data.substr(0, end == data.npos ? data.size() : end + 1));
        data.remove_prefix(docs.back().size());
    }
    return docs;
}

double peak_rss_mb() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) try {
    std::map<std::string, std::string> options = {{"--tokenizer", ""}, {"--file", ""}, {"--threads", "1"}, {"--repeat", "3"}, {"--mode", "docs"}};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!options.contains(argv[i])) return std::fprintf(stderr, "unknown option %s\n", argv[i]), 2;
        options[argv[i]] = argv[i + 1];
    }
    const auto number = [&](const char* name) { return std::strtoul(options[name].c_str(), nullptr, 10); };
    const std::string mode = options["--mode"];
    TokenizerOptions how;
#ifdef MORSEL_HAS_PCRE2
    how.regex = pcre2_regex();
#endif
    const auto start = Clock::now();
    const auto tokenizer = Tokenizer::from_pretrained(options["--tokenizer"], how);
    const double load_ms = since(start) * 1e3;
    if (mode == "load") return std::printf("{\"tool\": \"morsel\", \"load_ms\": %.2f, \"peak_rss_mb\": %.1f}\n", load_ms, peak_rss_mb()), 0;

    const std::string data = read_file(options["--file"]);
    const EncodeOptions plain{.add_special_tokens = false};
    if (mode == "small") {
        std::string out = "{\"tool\": \"morsel\"";
        for (const std::size_t size : {std::size_t{100}, std::size_t{2048}}) {
            std::vector<std::string> prompts;
            const std::size_t step = std::max(size, data.size() / 300);
            for (std::size_t at = 0; at + size < data.size() && prompts.size() < 256; at += step) {
                std::string prompt;  // what is no UTF-8 at the cuts is left out
                for (std::size_t i = at; i < at + size;) {
                    const auto point = unicode::decode(std::string_view(data).substr(0, at + size), i);
                    if (point.valid) prompt.append(data, i, point.size);
                    i += point.size;
                }
                prompts.push_back(std::move(prompt));
            }
            std::vector<double> rounds;
            std::size_t ids = 0;
            for (int round = 0; round < 15; ++round) {
                const auto from = Clock::now();
                for (const std::string& prompt : prompts) ids += tokenizer.encode_ids(prompt, plain).size();
                rounds.push_back(since(from) / static_cast<double>(std::max<std::size_t>(prompts.size(), 1)));
            }
            if (ids == 0) return std::fprintf(stderr, "no text\n"), 1;
            out += ", \"ns_" + std::to_string(size) + "\": " + std::to_string(std::llround(*std::min_element(rounds.begin(), rounds.end()) * 1e9));
            out += ", \"ns_" + std::to_string(size) + "_median\": " + std::to_string(std::llround(median(rounds) * 1e9));
        }
        return std::printf("%s}\n", out.c_str()), 0;
    }

    const std::vector<std::string_view> docs = documents(data, mode == "whole");
    ThreadPool pool(static_cast<unsigned>(std::max(1ul, number("--threads"))));
    std::vector<std::vector<TokenId>> ids(docs.size());
    std::vector<std::string> texts(mode == "decode" ? docs.size() : 0);
    const auto over_documents = [&](auto&& work) {
        std::atomic<std::size_t> next{0};
        pool.run([&](unsigned) {
            for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < docs.size();) work(i);
        });
    };
    IdBatch batch;
    const auto encode = [&] {
        if (mode == "docs") return tokenizer.encode_ids_batch(docs, batch, plain, &pool);
        over_documents([&](std::size_t i) {
            if (mode == "offsets") ids[i] = tokenizer.encode_with_offsets(docs[i], plain).ids;
            else if (mode == "encode") ids[i] = tokenizer.encode(docs[i], plain).ids;
            else ids[i] = tokenizer.encode_ids(docs[i], plain);
        });
    };
    const auto decode = [&] { over_documents([&](std::size_t i) { texts[i] = tokenizer.decode(ids[i]); }); };
    if (mode == "decode") encode();
    std::vector<double> times;
    double spent = 0;
    while (times.size() <= number("--repeat") || spent < 0.5) {
        const auto from = Clock::now();
        if (mode == "decode") decode();
        else encode();
        times.push_back(since(from));
        spent += times.back();
        if ((spent > 12 && times.size() > 1) || times.size() > 200) break;
    }
    std::size_t bytes = data.size(), same = 0, n_ids = 0;
    if (mode == "decode") {
        bytes = 0;
        for (std::size_t i = 0; i < docs.size(); ++i) bytes += texts[i].size(), same += texts[i] == docs[i];
    }
    std::uint32_t crc = 0;
    std::string doc_crcs;
    for (std::size_t i = 0; i < docs.size(); ++i) {
        const std::span<const TokenId> one = mode == "docs" ? batch[i] : std::span<const TokenId>(ids[i]);
        n_ids += one.size();
        crc = crc32(crc, one);
        doc_crcs += (doc_crcs.empty() ? "" : ", ") + std::to_string(crc32(0, one));
    }
    const double megabytes = static_cast<double>(bytes) / 1e6, cold = times.front();
    if (times.size() > 1) times.erase(times.begin());
    std::printf("{\"tool\": \"morsel\", \"load_ms\": %.2f, \"mb_per_s_min_time\": %.1f, \"mb_per_s_median\": %.1f, \"cold\": %.1f, \"rss_mb\": %.1f", load_ms,
                megabytes / *std::min_element(times.begin(), times.end()), megabytes / median(times), megabytes / cold, peak_rss_mb());
    if (mode == "decode") std::printf(", \"roundtrip_docs\": %zu, \"docs\": %zu}\n", same, docs.size());
    else std::printf(", \"n_ids\": %zu, \"ids_crc\": %u, \"doc_crcs\": [%s]}\n", n_ids, crc, doc_crcs.c_str());
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "morsel-bench-encode: %s\n", e.what()), 1;
}
