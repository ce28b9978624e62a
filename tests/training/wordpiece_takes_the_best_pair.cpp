// The WordPiece trainer: worked examples, and equality with counting everything anew for every merge.
#include <filesystem>
#include <random>

#include "morsel/training/count_words.hpp"
#include "morsel/training/save_vocabulary.hpp"
#include "morsel/training/wordpiece_trainer_plain.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"

using namespace morsel;

namespace {

WordCounts counts_of(std::initializer_list<std::pair<const char*, std::uint64_t>> words) {
    WordCounts counts;
    for (const auto& [word, count] : words) counts.add(word, count);
    return counts;
}

std::vector<std::string> results(const LearnedWordPiece& learned) {
    std::vector<std::string> out;
    for (const auto& merge : learned.merges) out.push_back(merge.result);
    return out;
}

const WordCounts hug = counts_of({{"hug", 10}, {"pug", 5}, {"pun", 12}, {"bun", 4}, {"hugs", 5}});

}  // namespace

TEST_CASE("the worked example of the ratio, in fractions by hand") {
    // 1/20 against 1/36 for every pair with ##u; then ties at 1/36, of which p ##u is the most frequent; then 1/19, 1/4, 1/15, …
    const auto learned = train_wordpiece(hug, {.objective = WordPieceObjective::ratio, .special_tokens = {}});
    CHECK(results(learned) == std::vector<std::string>{"##gs", "pu", "hu", "bu", "hugs", "hug", "bun", "pun", "pug"});
    CHECK(learned.merges[0].left == "##g");
    CHECK(learned.merges[0].right == "##s");
    CHECK(learned.merges[0].count == 5);
}

TEST_CASE("the likelihood begins at the other end of the list") {
    const auto learned = train_wordpiece(hug, {.objective = WordPieceObjective::log_likelihood, .special_tokens = {}});
    CHECK(learned.merges.at(0).result == "##ug");
    // 28.02 nats for ##u ##g (20 of 36 and 20), 4.73 for b ##u (4 of 4 and 36), of 113 tokens in all
    CHECK(static_cast<double>(LikelihoodScore::of({20, 36, 20, 20, 113, false}).gain) == Approx(28.02).margin(0.005));
    CHECK(static_cast<double>(LikelihoodScore::of({4, 4, 36, 4, 113, false}).gain) == Approx(4.73).margin(0.005));
}

TEST_CASE("the gain is the difference of the likelihoods") {
    const auto g = [](long double x) { return x > 0 ? x * std::log(x) : 0; };
    for (const auto& n : {PairOccurrences{5, 20, 5, 5, 113, false}, PairOccurrences{7, 9, 11, 7, 1000, false}, PairOccurrences{6, 14, 14, 4, 90, true}}) {
        const long double k = n.merges, a = n.left, b = n.right, all = n.tokens;
        const long double tokens_before = n.same ? g(a) : g(a) + g(b), tokens_after = n.same ? g(a - 2 * k) + g(k) : g(a - k) + g(b - k) + g(k);
        CHECK(static_cast<double>(LikelihoodScore::of(n).gain) == Approx(static_cast<double>(tokens_after - g(all - k) - (tokens_before - g(all)))).epsilon(1e-12));
    }
}

TEST_CASE("the seed document by ratio, with and without a least frequency") {
    const WordCounts seed = counts_of({{"low", 1}, {"lower", 1}, {"newest", 1}, {"wider", 1}});
    CHECK(train_wordpiece(seed, {.objective = WordPieceObjective::ratio, .special_tokens = {}}).rare_pairs_dominate());
    const auto frequent = train_wordpiece(seed, {.objective = WordPieceObjective::ratio, .min_frequency = 2, .special_tokens = {}});
    REQUIRE_FALSE(frequent.merges.empty());
    CHECK(frequent.merges[0].result == "lo");
}

TEST_CASE("fractions compare exactly where doubles cannot") {
    const std::uint64_t big = (std::uint64_t{1} << 61) - 1;
    CHECK(RatioScore::compare({big, big, big}, {big - 1, big, big - 1}) == 0);
    CHECK(RatioScore::compare({big, big, big}, {big - 2, big, big - 1}) > 0);
    CHECK(RatioScore::compare({big - 2, big, big - 1}, {big, big, big}) < 0);
    CHECK(RatioScore::compare({1, 3, 7}, {2, 6, 7}) == 0);
}

TEST_CASE("the incremental trainer equals recounting, for every objective") {
    std::mt19937 random(11);
    const auto below = [&](std::size_t n) { return std::size_t{random()} % n; };
    for (int round = 0; round < 240; ++round) {
        const std::string letters = std::string("ab#cdefgh").substr(0, 1 + below(9));
        WordCounts counts;
        for (std::size_t w = 1 + below(30); w > 0; --w) {
            std::string word;
            for (std::size_t n = below(25) == 0 ? 120 + below(60) : 1 + below(10); n > 0; --n) word += letters[below(letters.size())];
            counts.add(word, 1 + below(round % 2 == 0 ? 3 : 500));
        }
        WordPieceTrainerOptions options{.vocab_size = 20 + below(100), .min_frequency = below(4), .special_tokens = {"[UNK]"}};
        if (below(3) == 0) options.max_token_length = 1 + below(6);
        if (below(4) == 0) options.min_word_count = 2;
        for (const auto objective : {WordPieceObjective::ratio, WordPieceObjective::log_likelihood, WordPieceObjective::count}) {
            options.objective = objective;
            const auto expected = objective == WordPieceObjective::ratio            ? train_wordpiece_plain<RatioScore>(counts, options)
                                  : objective == WordPieceObjective::log_likelihood ? train_wordpiece_plain<LikelihoodScore>(counts, options)
                                                                                    : train_wordpiece_plain<CountScore>(counts, options);
            const auto learned = train_wordpiece(counts, options);
            INFO("round " << round << " objective " << static_cast<int>(objective));
            CHECK(learned.tokens == expected.tokens);
            CHECK(results(learned) == results(expected));
            CHECK(learned.rare_merges == expected.rare_merges);
        }
    }
}

TEST_CASE("a corpus of prefixes, stems and suffixes: unhappiness becomes un ##happi ##ness, here and from vocab.txt") {
    WordCounts counts;
    const std::vector<std::string> prefixes{"un", "re", "dis"}, stems{"happi", "kind", "clever", "dark", "loud"}, suffixes{"ness", "ly", "er"};
    for (const auto& p : prefixes)
        for (const auto& s : stems)
            for (const auto& e : suffixes)
                if (p + s + e != "unhappiness") counts.add(p + s + e, 100);
    for (const auto& p : prefixes) counts.add(p, 900);
    const auto learned = train_wordpiece(counts, {.vocab_size = 62});
    const auto model = wordpiece_model(learned.tokens);
    const auto pieces = [&](const WordPiece& wordpiece) {
        ModelTokens tokens;
        tokenize(wordpiece, "unhappiness", tokens);
        std::vector<std::string> out;
        for (const auto& token : tokens) out.emplace_back(*wordpiece.vocabulary.token(token.id));
        return out;
    };
    CHECK(pieces(model) == std::vector<std::string>{"un", "##happi", "##ness"});
    const auto directory = std::filesystem::temp_directory_path() / ("morsel_wordpiece_" + std::to_string(std::random_device{}()));
    save_vocab_txt(learned.tokens, directory);
    const auto tokenizer = morsel_test::load_tokenizer(directory / "vocab.txt");
    CHECK(tokenizer.encode("unhappiness", {.add_special_tokens = false}).tokens == std::vector<std::string>{"un", "##happi", "##ness"});
    std::filesystem::remove_all(directory);
}
