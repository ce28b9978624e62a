// The WordPiece trainer: worked examples, and equality with counting everything anew for every merge.
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "morsel/training/count_words.hpp"
#include "morsel/training/trained_tokenizer.hpp"
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
    CHECK(LikelihoodScore::of({20, 36, 20, 20, 113, false}).gain == Approx(28.02).margin(0.005));
    CHECK(LikelihoodScore::of({4, 4, 36, 4, 113, false}).gain == Approx(4.73).margin(0.005));
}

TEST_CASE("the gain is the difference of the likelihoods") {
    const auto g = [](long double x) { return x > 0 ? x * std::log(x) : 0; };
    for (const auto& n : {PairOccurrences{5, 20, 5, 5, 113, false}, PairOccurrences{7, 9, 11, 7, 1000, false}, PairOccurrences{6, 14, 14, 4, 90, true}}) {
        const long double k = n.merges, a = n.left, b = n.right, all = n.tokens;
        const long double tokens_before = n.same ? g(a) : g(a) + g(b), tokens_after = n.same ? g(a - 2 * k) + g(k) : g(a - k) + g(b - k) + g(k);
        CHECK(LikelihoodScore::of(n).gain == Approx(static_cast<double>(tokens_after - g(all - k) - (tokens_before - g(all)))).epsilon(1e-12));
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

TEST_CASE("the sign of a sum of logarithms is that of whole-number arithmetic") {
    using detail::LogTerm, detail::log_sum_sign;
    const auto power_product = [](const std::vector<LogTerm>& terms, int sign) {  // of the terms of that sign, digits to the base 2^32
        std::vector<std::uint32_t> product{1};
        for (const LogTerm& term : terms)
            for (auto i = term.coefficient * sign; i > 0; --i) {
                std::uint64_t carry = 0;
                for (auto& digit : product) carry += digit * term.number, digit = static_cast<std::uint32_t>(carry), carry >>= 32;
                if (carry != 0) product.push_back(static_cast<std::uint32_t>(carry));
            }
        return product;
    };
    std::mt19937 random(13);
    int equal = 0;
    for (int round = 0; round < 6000; ++round) {
        std::vector<LogTerm> terms;
        for (std::size_t n = 1 + random() % 6; n > 0; --n)  // few primes, so that sums are often 0
            terms.push_back({static_cast<int>(random() % 13) - 6, random() % 4 == 0 ? 1 + random() % 60 : (std::uint64_t{1} << random() % 5) * (1 + 2 * (random() % 2))});
        const auto above = power_product(terms, 1), below = power_product(terms, -1);
        const int expected = above == below ? 0 : above.size() != below.size() ? (above.size() < below.size() ? -1 : 1) : std::lexicographical_compare(above.rbegin(), above.rend(), below.rbegin(), below.rend()) ? -1 : 1;
        CHECK(log_sum_sign(terms) == expected);
        equal += expected == 0;
    }
    CHECK(equal > 100);
    const std::uint64_t n = (std::uint64_t{1} << 62) - 1;
    CHECK(log_sum_sign({{1, n - 1}, {1, n + 1}, {-2, n}}) == -1);  // (n-1)(n+1) = n^2 - 1: 37 digits are equal
    CHECK(log_sum_sign({{2, n}, {-1, n - 1}, {-1, n + 1}}) == 1);
    CHECK(log_sum_sign({{static_cast<detail::int128>(n), n}, {-static_cast<detail::int128>(n), n}}) == 0);
    CHECK(log_sum_sign({{3, 3 * 5 * 7}, {-3, 3}, {-3, 5}, {-2, 7}}) == 1);
    CHECK(log_sum_sign({{3, 3 * 5 * 7}, {-3, 3}, {-3, 5}, {-3, 7}}) == 0);
    CHECK(log_sum_sign({}) == 0);
}

TEST_CASE("gains that doubles cannot tell apart are compared exactly") {
    const std::int64_t big = std::int64_t{1} << 50;
    const auto score = [](std::int64_t k, std::int64_t a, std::int64_t b, std::int64_t n) { return LikelihoodScore::of({k, a, b, k, n, false}); };
    const auto less = score(3, 5, big, 4 * big), more = score(3, 5, big - 1, 4 * big);  // rarer, so worth more, by 3 · 2^-50 nats of 9
    CHECK(std::abs(less.gain - more.gain) <= less.error + more.error);
    CHECK(LikelihoodScore::compare(less, more) < 0);
    CHECK(LikelihoodScore::compare(more, less) > 0);
    CHECK(LikelihoodScore::compare(score(3, 5, 9, 100), score(3, 9, 5, 100)) == 0);
    CHECK_FALSE(score(1, 1, 4, 4).is_gain());  // ab aside: 3 ln 3 - 4 ln 4 - 3 ln 3 + 4 ln 4, nothing
    CHECK(score(1, 1, 3, 4).is_gain());
}

TEST_CASE("the incremental trainer equals recounting, for every objective") {
    std::mt19937 random(11);
    const auto below = [&](std::size_t n) { return std::size_t{random()} % n; };
    for (int round = 0; round < 160; ++round) {
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

TEST_CASE("a token beside itself is worth more once it has become rarer") {
    // In the end dca ##a ##a three times beside caa twenty times: 29 tokens, and ##a ##a (3 of 6) gains as much as dca ##a (3 of 3 and 6); the id of ##a is
    // the smaller. At first ##a ##a had 23 merges among 75 tokens, more than a fifth: what they gained then is no bound for what 3 gain now.
    const auto learned = train_wordpiece(counts_of({{"dcaaa", 3}, {"caa", 20}}), {.special_tokens = {}});
    CHECK(results(learned) == std::vector<std::string>{"dc", "ca", "caa", "dca", "##aa", "dcaaa"});
    const auto gain = [](const PairOccurrences& n) { return LikelihoodScore::of(n); };
    CHECK(LikelihoodScore::compare(gain({3, 6, 6, 3, 29, true}), gain({3, 3, 6, 3, 29, false})) == 0);
}

TEST_CASE("a vocabulary goes on: its ids stay, words begin as it cuts them") {
    // hugs = hug ##s and pun = pu ##n by longest match; then only pairs of these tokens are left
    const std::vector<std::string> start{"[UNK]", "hug", "##ug", "##s", "p", "h", "b", "##u", "##g", "##n", "pu", "##gs"};
    const auto same = train_wordpiece(hug, {.vocab_size = start.size(), .special_tokens = {"[UNK]"}}, {}, start);
    REQUIRE(same.tokens.size() > start.size());  // characters that may begin a word come too
    CHECK(std::vector<std::string>(same.tokens.begin(), same.tokens.begin() + 12) == start);
    CHECK(same.merges.empty());
    const auto more = train_wordpiece(hug, {.objective = WordPieceObjective::count, .special_tokens = {"[UNK]"}}, {}, start);
    // pu ##n 12, then pu ##g 5, hug ##s 5 and b ##u 4, bu ##n 4; pug is pu ##g, since "pug" is no token
    std::vector<std::string> pairs;
    for (const auto& merge : more.merges) pairs.push_back(merge.left + ' ' + merge.right + ' ' + std::to_string(merge.count));
    CHECK(std::is_permutation(pairs.begin(), pairs.end(), std::vector<std::string>{"pu ##n 12", "hug ##s 5", "pu ##g 5", "b ##u 4", "bu ##n 4"}.begin()));
    CHECK(pairs.size() == 5);
    CHECK(pairs.at(0) == "pu ##n 12");

    CHECK_THROWS_AS(train_wordpiece(hug, {}, {}, std::vector<std::string>{"a", "a"}), Error);
    CHECK_THROWS_AS(train_wordpiece(hug, {.continuing_subword_prefix = ""}, {}, start), Error);
    CHECK(train_wordpiece(counts_of({{"[UNK]", 3}}), {.vocab_size = 30, .special_tokens = {"[UNK]"}}, {}, std::vector<std::string>{"[UNK]"}).merges.size() == 4);  // no word is a special token

    std::mt19937 random(17);
    int compared = 0;
    for (int round = 0; round < 60; ++round) {
        WordCounts counts, other;
        for (WordCounts* of : {&counts, &other})
            for (std::size_t w = 1 + random() % 30; w > 0; --w) {
                std::string word;
                for (std::size_t n = random() % 25 == 0 ? 120 + random() % 60 : 1 + random() % 10; n > 0; --n) word += "abcd"[random() % 4];
                of->add(word, 1 + random() % 50);
            }
        WordPieceTrainerOptions options{.vocab_size = 20 + random() % 30, .special_tokens = {"[UNK]"}};
        const auto begun = train_wordpiece(other, options);
        options.vocab_size += random() % 60;
        if (round % 3 == 0) options.max_token_length = 1 + random() % 6;
        for (const auto objective : {WordPieceObjective::ratio, WordPieceObjective::log_likelihood, WordPieceObjective::count}) {
            options.objective = objective;
            const auto expected = objective == WordPieceObjective::ratio            ? train_wordpiece_plain<RatioScore>(counts, options, begun.tokens)
                                  : objective == WordPieceObjective::log_likelihood ? train_wordpiece_plain<LikelihoodScore>(counts, options, begun.tokens)
                                                                                    : train_wordpiece_plain<CountScore>(counts, options, begun.tokens);
            const auto learned = train_wordpiece(counts, options, {}, begun.tokens);
            INFO("round " << round << " objective " << static_cast<int>(objective));
            CHECK(learned.tokens == expected.tokens);
            CHECK(results(learned) == results(expected));
            CHECK(std::equal(begun.tokens.begin(), begun.tokens.end(), learned.tokens.begin()));
        }
        // words are cut as the model of the vocabulary cuts them
        const auto words = detail::wordpiece_words(counts, options, begun.tokens);
        std::map<std::vector<std::string>, std::int64_t> cut, by_model;
        const auto model = wordpiece_model(begun.tokens);
        for (std::size_t w = 0; w < words.size(); ++w) {
            std::vector<std::string> tokens;
            for (std::uint64_t i = words.begins[w]; i < words.begins[w + 1]; ++i) tokens.push_back(detail::ShownTokens{"##"}.show(words.tokens[words.symbols[i]]));
            cut[tokens] += words.counts[w];
        }
        bool all_known = true;
        counts.for_each([&](std::string_view word, std::uint64_t count) {
            ModelTokens tokens;
            tokenize(model, word, tokens);
            std::vector<std::string> shown;
            for (const auto& token : tokens) shown.emplace_back(*model.vocabulary.token(token.id));
            all_known = all_known && word.size() <= 100 && shown.at(0) != "[UNK]";
            by_model[shown] += static_cast<std::int64_t>(count);
        });
        if (all_known) CHECK(cut == by_model);
        compared += all_known;
    }
    CHECK(compared > 10);
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
    std::filesystem::create_directories(directory);
    std::ofstream(directory / "vocab.txt") << [&] {
        std::string lines;
        for (const auto& token : learned.tokens) lines += token + "\n";
        return lines;
    }();
    const auto tokenizer = morsel_test::load_tokenizer(directory / "vocab.txt");
    CHECK(tokenizer.encode("unhappiness", {.add_special_tokens = false}).tokens == std::vector<std::string>{"un", "##happi", "##ness"});
    std::filesystem::remove_all(directory);
}
