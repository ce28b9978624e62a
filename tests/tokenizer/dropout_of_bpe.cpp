// BPE dropout: never without being asked for, the same for the same seed, and as often each way as in the reference.
#include <cmath>
#include <map>
#include <string>

#include "morsel/tokenizer.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

const char* const with_dropout = R"({"version":"1.0","model":{"type":"BPE","dropout":0.3,"ignore_merges":true,
"vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4,"bc":5,"aa":6,"abab":7},"merges":["b c","a b","ab c","ab ab","a bc","a a"]}})";

std::string tokens(const Tokenizer& tokenizer, const char* text, const EncodeOptions& options) {
    std::string all;
    for (const std::string& token : tokenizer.encode(text, options).tokens) all += (all.empty() ? "" : " ") + token;
    return all;
}

}  // namespace

TEST_CASE("dropout is off unless asked for") {
    const Tokenizer tokenizer(parse_tokenizer_json(with_dropout, "dropout.json"));
    CHECK(std::get<Bpe>(tokenizer.parts().model).dropout == 0.3);
    for (int i = 0; i < 50; ++i) REQUIRE(tokens(tokenizer, "ababc", {}) == "ab abc");
    CHECK(tokens(tokenizer, "ababc", {.dropout = BpeDropout{.probability = 0.0}}) == "ab abc");
    CHECK(tokens(tokenizer, "abab", {}) == "abab");
    CHECK(tokens(tokenizer, "ababc", {.dropout = BpeDropout{.probability = 1.0}}) == "a b a b c");
    CHECK(tokens(tokenizer, "abab", {.dropout = BpeDropout{.probability = 1.0}}) == "a b a b");  // ignore_merges is ignored
}

TEST_CASE("the same seed gives the same tokens, in both ways to encode") {
    const Tokenizer tokenizer(parse_tokenizer_json(with_dropout, "dropout.json"));
    const std::string text = "ababcaababcbcababaacbab";
    std::map<std::string, int> seen;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        const EncodeOptions options{.dropout = BpeDropout{.seed = seed}};
        const Encoding e = tokenizer.encode(text, options);
        CHECK(e.ids == tokenizer.encode(text, options).ids);
        CHECK(e.ids == tokenizer.encode_ids(text, options));
        std::string joined;
        std::size_t end = 0;
        for (std::size_t i = 0; i < e.size(); ++i) {
            joined += e.tokens[i];
            CHECK(e.offsets[i].begin == std::exchange(end, e.offsets[i].end));
        }
        CHECK(joined == text);
        ++seen[tokens(tokenizer, text.c_str(), options)];
    }
    CHECK(seen.size() > 3);  // few: what is put off is tried again after the next merge
}

TEST_CASE("every cut is as frequent as in the reference") {
    // Frequencies of tokenizers 0.23.3 in 400,000 runs.
    const std::map<std::string, std::map<std::string, double>> expected = {
        {"ababc", {{"ab abc", 0.6469}, {"ab a bc", 0.2234}, {"a b a bc", 0.0319}, {"a b a b c", 0.0270}, {"a b abc", 0.0199}, {"ab a b c", 0.0189}, {"abab c", 0.0185}, {"ab ab c", 0.0077}, {"a b ab c", 0.0058}}},
        {"aabab", {{"a abab", 0.6122}, {"a ab ab", 0.1281}, {"a ab a b", 0.1069}, {"aa b ab", 0.0879}, {"a a b a b", 0.0271}, {"a a b ab", 0.0190}, {"aa b a b", 0.0187}}},
    };
    const Tokenizer tokenizer(parse_tokenizer_json(with_dropout, "dropout.json"));
    constexpr int runs = 20000;
    for (const auto& [text, frequencies] : expected) {
        std::map<std::string, int> count;
        for (int i = 0; i < runs; ++i) ++count[tokens(tokenizer, text.c_str(), {.dropout = BpeDropout{.seed = static_cast<std::uint64_t>(i)}})];
        CHECK(count.size() == frequencies.size());
        for (const auto& [cut, p] : frequencies) {
            CAPTURE(text, cut);
            CHECK(std::abs(count[cut] / double{runs} - p) < 5 * std::sqrt(p * (1 - p) / runs) + 0.001);
        }
    }
}
