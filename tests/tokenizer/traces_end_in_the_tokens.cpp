// Traces: steps as worked out by hand, and on any word the tokens that encoding gives.
#include <random>
#include <string>
#include <vector>

#include "morsel/tokenizer/trace.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

Vocabulary vocabulary(const std::vector<std::string>& tokens) {
    Vocabulary out;
    for (std::size_t i = 0; i < tokens.size(); ++i) out.add(tokens[i], static_cast<TokenId>(i));
    out.finish();
    return out;
}

std::string names(const Vocabulary& vocabulary, const ModelTokens& tokens) {
    std::string out;
    for (const ModelToken& token : tokens) out += (out.empty() ? "" : " ") + std::string(*vocabulary.token(token.id));
    return out;
}

}  // namespace

TEST_CASE("a trace shows merges by rank, then from the left") {
    Bpe bpe;
    bpe.vocabulary = vocabulary({"l", "o", "w", "e", "s", "t", "es", "est", "lo", "low", "lowest"});
    std::uint32_t rank = 0;
    for (const MergeRule rule : {MergeRule{"e", "s"}, {"es", "t"}, {"l", "o"}, {"lo", "w"}}) add_merge(bpe, rule, rank++);
    const BpeTrace steps = trace(bpe, "lowestlo");
    CHECK(!steps.whole_word);
    CHECK(names(bpe.vocabulary, steps.characters) == "l o w e s t l o");
    REQUIRE(steps.steps.size() == 5);
    const std::vector<std::string> after = {"l o w es t l o", "l o w est l o", "lo w est l o", "lo w est lo", "low est lo"};
    const std::vector<std::size_t> ranks = {0, 1, 2, 2, 3}, places = {3, 3, 0, 3, 0};
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(names(bpe.vocabulary, steps.steps[i].symbols) == after[i]);
        CHECK(steps.steps[i].merge.rank == ranks[i]);
        CHECK(steps.steps[i].place == places[i]);
    }
    CHECK(steps.steps[4].left == *bpe.vocabulary.id("lo"));
    CHECK(steps.steps[4].right == *bpe.vocabulary.id("w"));
    CHECK(names(bpe.vocabulary, trace(bpe, "lowest").tokens()) == "low est");  // no merge makes the word, though it is a token
    bpe.ignore_merges = true;
    CHECK(trace(bpe, "lowest").whole_word);
    CHECK(names(bpe.vocabulary, trace(bpe, "lowest").tokens()) == "lowest");
    CHECK_THROWS_AS(trace(bpe, std::string(3000, 'l')), Error);
}

TEST_CASE("WordPiece tries the longest first, at every place") {
    WordPiece model;
    model.vocabulary = vocabulary({"[UNK]", "un", "##happy", "##ha", "unh"});
    find_longest_token(model);
    const WordPieceTrace steps = trace(model, "unhappy");
    REQUIRE(steps.steps.size() == 2);  // "unh" fits, and nothing goes on from there
    CHECK(steps.steps[0].tried == std::vector<std::string>{"unhappy", "unhapp", "unhap", "unha", "unh"});
    CHECK(steps.steps[0].token == ModelToken{4, 0, 3});
    CHECK(steps.steps[1].begin == 3);
    CHECK(steps.steps[1].tried == std::vector<std::string>{"##appy", "##app", "##ap", "##a"});
    CHECK(!steps.steps[1].token);
    CHECK(names(model.vocabulary, steps.tokens) == "[UNK]");
    model.max_input_chars_per_word = 3;
    CHECK(trace(model, "unhappy").too_long);
    CHECK(trace(model, "unhappy").steps.empty());
}

TEST_CASE("Unigram weighs every token that fits") {
    Unigram model;
    model.vocabulary = vocabulary({"<unk>", "a", "b", "ab", "ba"});
    model.scores = {0, -1, -2, -2.5, -1.25};
    model.unk_id = 0;
    prepare(model);
    const UnigramTrace steps = trace(model, "aba?");
    struct Want {
        std::size_t begin, end;
        double score, total;
        bool unknown, best;
    };
    const std::vector<Want> want = {{0, 1, -1, -1, false, true},      {0, 2, -2.5, -2.5, false, false},    {1, 2, -2, -3, false, false},
                                    {1, 3, -1.25, -2.25, false, true}, {2, 3, -1, -3.5, false, false}, {3, 4, -12.5, -14.75, true, true}};
    REQUIRE(steps.candidates.size() == want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
        INFO(i);
        const UnigramCandidate& c = steps.candidates[i];
        CHECK(c.token.begin == want[i].begin);
        CHECK(c.token.end == want[i].end);
        CHECK(c.score == want[i].score);
        CHECK(c.total == want[i].total);
        CHECK(c.unknown == want[i].unknown);
        CHECK(c.on_best_path == want[i].best);
    }
    CHECK(steps.score == -14.75);
    CHECK(names(model.vocabulary, steps.tokens) == "a ba <unk>");
    model.unk_id.reset();
    CHECK_THROWS_AS(trace(model, "?"), Error);
    CHECK(trace(model, "").candidates.empty());
}

TEST_CASE("a trace ends in what encoding gives") {
    std::mt19937 random(11);
    const std::vector<std::string> parts = {"t", "e", "x", "the", "token", " ", "ing", "ü", "東", "京", "📌", "1", ".", "s", "o", "\t", "of", "A"};
    for (const char* name : {"byte_level.json", "suffix.json", "byte_fallback.json", "wordpiece.json", "unigram.json"}) {
        const auto tokenizer = morsel_test::load_tokenizer(test_data() / "tokenizers" / name);
        INFO(name);
        for (int round = 0; round < 200; ++round) {
            std::string text;
            for (std::size_t i = 0, n = random() % 12; i < n; ++i) text += parts[random() % parts.size()];
            std::vector<TokenId> ids;
            for (const std::string& word : model_words(tokenizer.parts(), text)) {
                const auto add = [&](const ModelTokens& tokens) {
                    for (const ModelToken& token : tokens) ids.push_back(token.id);
                };
                if (const auto* bpe = std::get_if<Bpe>(&tokenizer.parts().model)) add(trace(*bpe, word).tokens());
                if (const auto* wordpiece = std::get_if<WordPiece>(&tokenizer.parts().model)) {
                    const WordPieceTrace steps = trace(*wordpiece, word);
                    add(steps.tokens);
                    ModelTokens found;
                    for (const WordPieceStep& step : steps.steps)
                        if (step.token) found.push_back(*step.token);
                    if (!steps.too_long && steps.steps.back().token) CHECK(found == steps.tokens);
                }
                if (const auto* unigram = std::get_if<Unigram>(&tokenizer.parts().model)) {
                    const UnigramTrace steps = trace(*unigram, word);
                    add(steps.tokens);
                    std::size_t at = 0, best = 0;
                    for (const UnigramCandidate& c : steps.candidates)
                        if (c.on_best_path) {
                            CHECK(c.token.begin == at);
                            at = c.token.end, ++best;
                        }
                    CHECK(at == word.size());
                    CHECK(best >= steps.tokens.size());  // unknown characters fuse
                }
            }
            CHECK(ids == tokenizer.encode(text, {.add_special_tokens = false}).ids);
        }
    }
}
