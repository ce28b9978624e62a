// The BPE trainer against Hugging Face tokenizers (tests/reference/trained_bpe.py) and against its own definition.
#include <filesystem>
#include <random>

#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/training/bpe_trainer.hpp"
#include "morsel/training/bpe_trainer_plain.hpp"
#include "morsel/tokenizer/saving/save_tiktoken.hpp"
#include "morsel/tokenizer/saving/save_tokenizer.hpp"
#include "morsel/training/count_words.hpp"
#include "morsel/training/trained_tokenizer.hpp"
#include "morsel/training/vocabulary_report.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"

using namespace morsel;

namespace {

BpeTrainerOptions options_of(const Json& json) {
    BpeTrainerOptions o;
    o.vocab_size = json.value("vocab_size", std::size_t{30000});
    o.min_frequency = json.value("min_frequency", std::uint64_t{0});
    o.special_tokens = json.value("special_tokens", std::vector<std::string>{});
    if (json.contains("limit_alphabet")) o.limit_alphabet = json["limit_alphabet"].get<std::size_t>();
    if (json.contains("max_token_length")) o.max_token_length = json["max_token_length"].get<std::size_t>();
    const std::string initial = json.value("initial_alphabet", std::string());
    if (initial == "bytes") o.initial_alphabet.assign(byte_to_character.begin(), byte_to_character.end());
    else o.initial_alphabet.assign(initial.begin(), initial.end());
    return o;
}

WordSplitting splitting_of(const Json& test) {
    WordSplitting splitting;
    if (!test["pre_tokenizer"].is_null()) splitting.pre_tokenizer = pre_tokenizer_from_json(JsonObject(test["pre_tokenizer"], "case"));
    if (test["options"].value("lowercase", false)) splitting.normalizer = Normalizer{{LowercaseNormalizer{}}};
    return splitting;
}

std::vector<std::vector<std::string>> texts_of(const LearnedBpe& learned) {
    std::vector<std::vector<std::string>> out;
    for (const LearnedMerge& m : learned.merges) out.push_back({learned.tokens[m.left], learned.tokens[m.right]});
    return out;
}

bool equal(const LearnedBpe& a, const LearnedBpe& b) {
    if (a.tokens != b.tokens || a.merges.size() != b.merges.size() || a.ties != b.ties) return false;
    for (std::size_t i = 0; i < a.merges.size(); ++i)
        if (a.merges[i].left != b.merges[i].left || a.merges[i].right != b.merges[i].right || a.merges[i].id != b.merges[i].id || a.merges[i].count != b.merges[i].count) return false;
    return true;
}

}  // namespace

TEST_CASE("tokens and merges are those of Hugging Face tokenizers") {
    const Json cases = parse_json(read_file(std::string(MORSEL_TEST_DATA) + "/training/bpe.json"), "bpe.json");
    REQUIRE(cases.size() >= 12);
    for (const Json& test : cases) {
        INFO(test["name"].get<std::string>());
        const auto texts = test["texts"].get<std::vector<std::string>>();
        const WordCounts counts = count_texts(texts, splitting_of(test));
        const LearnedBpe learned = train_bpe(counts, options_of(test["options"]));
        CHECK(learned.tokens == test["tokens"].get<std::vector<std::string>>());
        CHECK(texts_of(learned) == test["merges"].get<std::vector<std::vector<std::string>>>());
    }
}

TEST_CASE("a trained tokenizer, saved and loaded, encodes as the one that Hugging Face trained") {
    const auto directory = std::filesystem::temp_directory_path() / ("morsel_trained_" + std::to_string(std::random_device{}()));
    std::filesystem::create_directories(directory);
    int probes = 0, older = 0, ranks = 0;
    const Json cases = parse_json(read_file(std::string(MORSEL_TEST_DATA) + "/training/bpe.json"), "bpe.json");
    for (const Json& test : cases) {
        INFO(test["name"].get<std::string>());
        const auto texts = test["texts"].get<std::vector<std::string>>();
        const BpeTrainerOptions options = options_of(test["options"]);
        const WordSplitting splitting = splitting_of(test);
        const TokenizerParts parts = bpe_tokenizer(train_bpe(count_texts(texts, splitting), options), splitting, options.special_tokens);
        save_tokenizer(parts, directory);
        const auto check = [&](const Tokenizer& tokenizer, bool decodes) {
            for (const Json& probe : test["probes"]) {
                const auto ids = probe["ids"].get<std::vector<TokenId>>();
                CHECK(tokenizer.encode(probe["text"].get<std::string>()).ids == ids);
                if (decodes && !probe["decoded"].is_null()) CHECK(tokenizer.decode(ids, {.skip_special_tokens = true}) == probe["decoded"].get<std::string>());
                ++probes;
            }
        };
        const Tokenizer saved = morsel_test::load_tokenizer(directory / "tokenizer.json");
        check(saved, true);
        CHECK(learned_bpe(saved.parts()).tokens == test["tokens"].get<std::vector<std::string>>());
        CHECK(texts_of(learned_bpe(saved.parts())) == test["merges"].get<std::vector<std::vector<std::string>>>());
        const bool bytes = !test["pre_tokenizer"].is_null() && test["pre_tokenizer"]["type"] == "ByteLevel" && !test["pre_tokenizer"]["add_prefix_space"].get<bool>();
        if (bytes && options.special_tokens.empty()) {  // vocab.json and merges.txt are taken for GPT-2's
            save_vocab_merges(parts, directory);
            check(morsel_test::load_tokenizer(directory / "vocab.json"), true);
            ++older;
        }
        if (bytes && !options.initial_alphabet.empty()) {
            save_tiktoken(parts, directory / "x.tiktoken");
            std::vector<std::pair<std::string, TokenId>> special;
            for (const std::string& token : options.special_tokens) special.emplace_back(token, *saved.token_to_id(token));
            check(morsel_test::load_tokenizer(directory / "x.tiktoken", {.tiktoken = {.pattern = std::string(split::known[0].regex), .special_tokens = special}}), true);
            ++ranks;
        } else if (options.initial_alphabet.empty()) {
            CHECK_THROWS_AS(save_tiktoken(parts, directory / "y.tiktoken"), Error);
        }
    }
    CHECK(probes > 80);
    CHECK(older > 2);
    CHECK(ranks > 0);
    CHECK_FALSE(std::filesystem::exists(directory / "y.tiktoken"));
    std::filesystem::remove_all(directory);
}

TEST_CASE("a report counts what a vocabulary does to a text") {
    WordCounts counts;
    counts.add("abab", 3), counts.add("ab", 2), counts.add("c", 5);
    const LearnedBpe learned = train_bpe(counts, {.vocab_size = 5});  // a b c, then ab (8 times), abab (3)
    REQUIRE(learned.tokens.size() == 5);
    const VocabularyReport report = vocabulary_report(bpe_model(learned), counts);
    CHECK(report.words == 10);
    CHECK(report.bytes == 3 * 4 + 2 * 2 + 5);
    CHECK(report.tokens == 3 + 2 + 5);
    CHECK(report.uses == std::vector<std::uint64_t>{0, 0, 5, 2, 3});
    CHECK(report.rarer_than(1) == 2);
    CHECK(report.rarer_than(4) == 4);
    CHECK(report.bytes_per_token() == 2.1);
    CHECK(growth_curve(learned, 21) == Curve{{3, 1}, {4, 21.0 / 13}, {5, 2.1}});
    CHECK(coverage_curve(report) == Curve{{0, 0}, {1, 50}, {2, 80}, {3, 100}, {4, 100}, {5, 100}});
}

TEST_CASE("the incremental trainer equals recounting after every merge") {
    std::mt19937 random(7);
    const auto below = [&](std::size_t n) { return std::size_t{random()} % n; };
    for (int round = 0; round < 300; ++round) {
        const std::string letters = std::string("abcdefgh").substr(0, 1 + below(8));
        WordCounts counts;
        for (std::size_t w = 1 + below(40); w > 0; --w) {
            std::string word;
            for (std::size_t n = below(20) == 0 ? 100 + below(200) : 1 + below(12); n > 0; --n) word += letters[below(letters.size())];
            counts.add(word, 1 + below(round % 2 == 0 ? 3 : 1000));
        }
        BpeTrainerOptions options{.vocab_size = 10 + below(120), .min_frequency = below(4)};
        if (below(3) == 0) options.max_token_length = 1 + below(9);
        if (below(3) == 0) options.special_tokens = {"ab", "aba", "<s>", "c"};
        if (below(4) == 0) options.limit_alphabet = 1 + below(6);
        if (below(3) == 0) options.continuing_subword_prefix = "##";
        if (below(3) == 0) options.end_of_word_suffix = "</w>";
        INFO("round " << round);
        const LearnedBpe learned = train_bpe(counts, options);
        CHECK(equal(learned, train_bpe_plain(counts, options)));

        // Stopped at a smaller vocabulary and resumed, it is the same.
        BpeTrainerOptions smaller = options;
        smaller.vocab_size = options.vocab_size / 2;
        const LearnedBpe part = train_bpe(counts, smaller);
        LearnedBpe resumed = train_bpe(counts, options, {}, part);
        resumed.ties += part.ties;
        if (options.continuing_subword_prefix.empty()) CHECK(equal(resumed, learned));
        // Extended by other text.
        WordCounts other;
        for (std::size_t w = 1 + below(20); w > 0; --w) {
            std::string word;
            for (std::size_t n = 1 + below(12); n > 0; --n) word += "abcxyz"[below(6)];
            other.add(word, 1 + below(9));
        }
        options.vocab_size += 20;
        const LearnedBpe extended = train_bpe(other, options, {}, learned);
        CHECK(equal(extended, train_bpe_plain(other, options, learned)));
        CHECK(std::equal(learned.tokens.begin(), learned.tokens.end(), extended.tokens.begin()));
    }
}

TEST_CASE("a vocabulary to go on with is checked") {
    WordCounts counts;
    counts.add("abab", 3);
    const LearnedBpe good{.tokens = {"a", "b", "ab"}, .merges = {{0, 1, 2, 9}}};
    CHECK(train_bpe(counts, {}, {}, good).tokens == std::vector<std::string>{"a", "b", "ab", "abab"});
    CHECK(train_bpe(counts, {}, {}, good).merges[0].count == 6);  // here, not there
    LearnedBpe bad = good;
    bad.merges[0].right = 3;
    CHECK_THROWS_AS(train_bpe(counts, {}, {}, bad), Error);
    bad = good, bad.tokens[2] = "ba";
    CHECK_THROWS_AS(train_bpe(counts, {}, {}, bad), Error);
    for (const char* again : {"a", "ab"}) {
        bad = good, bad.tokens.push_back(again);
        CHECK_THROWS_AS(train_bpe(counts, {}, {}, bad), Error);
    }
    CHECK_THROWS_AS(train_bpe(counts, {.end_of_word_suffix = "</w>"}, {}, good), Error);
}

TEST_CASE("the trace of the seed document") {
    // counts by hand: lo, ow, we, er twice; of equals, the smaller pair of ids (d e i l n o r s t w)
    const std::vector<std::string> text{"low lower newest wider"};
    const LearnedBpe learned = train_bpe(count_texts(text, {{}, PreTokenizer{{WhitespaceSplitPreTokenizer{}}}}), {.vocab_size = 18});
    CHECK(texts_of(learned) == std::vector<std::vector<std::string>>{{"e", "r"}, {"l", "o"}, {"lo", "w"}, {"d", "er"}, {"e", "s"}, {"e", "w"}, {"i", "der"}, {"n", "ew"}});
    const std::vector<std::uint64_t> expected{2, 2, 2, 1, 1, 1, 1, 1};
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(learned.merges.at(i).count == expected[i]);
    CHECK(learned.ties > 0);
}

TEST_CASE("counts beyond 32 bits decide as small ones do") {
    WordCounts counts;
    counts.add("ab", 3'000'000'000u), counts.add("cd", 5'000'000'000u), counts.add("ab", 3'000'000'000u);
    const LearnedBpe learned = train_bpe(counts, {});
    REQUIRE(learned.merges.size() == 2);
    CHECK(learned.tokens[learned.merges[0].id] == "ab");
    CHECK(learned.merges[0].count == 6'000'000'000u);
    counts.add("x", std::uint64_t{1} << 63);
    CHECK_THROWS_AS(train_bpe(counts, {}), Error);
}

TEST_CASE("nothing to train on is an error, and progress can stop") {
    CHECK_THROWS_AS(train_bpe(WordCounts(), {}), Error);
    WordCounts counts;
    std::mt19937 random(1);
    for (int i = 0; i < 2000; ++i) {
        std::string word;
        for (int n = 0; n < 8; ++n) word += static_cast<char>('a' + random() % 26);
        counts.add(word);
    }
    CHECK_THROWS_AS(train_bpe(counts, {}, [](const Progress&) { return false; }), Error);
}
