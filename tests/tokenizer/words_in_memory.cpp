// Words out of the memory of words (fast/word_encoder.hpp) have the ids that the model gives them alone: known and new ones, short and long ones, words that
// come again while they are still being learnt, and when the memory is full and begins anew.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "morsel/tokenizer/fast/byte_pair_merger.hpp"
#include "morsel/tokenizer/fast/word_batch.hpp"
#include "morsel/tokenizer/fast/word_encoder.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/rounds.hpp"

using namespace morsel;
using namespace morsel::fast;
using namespace morsel_test;

namespace {

// New words one by one, or many in step.
struct Alone {
    const BytePairMerger& merger;
    MergeSpace& space;
    std::size_t learnt = 0;
    void operator()(std::string_view word, std::vector<TokenId>& ids) { ++learnt, merger.encode(word, space, ids); }
};
struct InStep {
    const BytePairMerger& merger;
    MergeSpace& space;
    std::size_t learnt = 0, added = 0;
    void operator()(std::string_view word, std::vector<TokenId>& ids) { ++learnt, merger.encode(word, space, ids); }
    MergeLanes<16>& lanes() const { return space.lanes; }
    MergeLanes<64>& wide_lanes() const { return space.wide_lanes; }
    template <std::size_t Symbols> bool add(std::string_view word, MergeLanes<Symbols>& lanes) {
        if (word.size() % 7 == 3) return false;  // as words do that are tokens without a merge
        ++learnt, ++added, merger.add(word, lanes);
        return true;
    }
    template <std::size_t Symbols> void merge(MergeLanes<Symbols>& lanes) const { merger.merge(lanes); }
};

struct Words {
    std::string text;
    std::vector<std::uint32_t> starts{0};
    void add(std::string_view word) { text += word, starts.push_back(static_cast<std::uint32_t>(text.size())); }
    std::size_t size() const { return starts.size() - 1; }
    std::string_view operator[](std::size_t i) const { return std::string_view(text).substr(starts[i], starts[i + 1] - starts[i]); }
};

std::string random_word(std::mt19937& random) {
    const unsigned kind = random() % 20;
    std::string word(1 + (kind < 14 ? random() % 15 : kind < 19 ? random() % 64 : random() % 300), ' ');
    for (char& c : word) c = "etaoinshrdlu\xc3\xa9 "[random() % 15];
    return word;
}

// Some hundred words, some of which come again soon after, others from a stock that is known after a while.
Words random_words(std::mt19937& random, const std::vector<std::string>& stock) {
    Words words;
    const std::size_t stock_share = random() % 100, again_share = random() % 60;
    for (std::size_t n = random() % 900; n > 0; --n)
        if (random() % 100 < stock_share) words.add(stock[random() % stock.size()]);
        else if (words.size() > 0 && random() % 100 < again_share) words.add(std::string(words[words.size() - 1 - random() % std::min<std::size_t>(words.size(), 100)]));
        else words.add(random_word(random));
    words.text.append(16, '\0');  // readable behind every word
    return words;
}

template <class Miss> void words_equal_themselves(const BytePairMerger& merger) {
    std::mt19937 random(17);
    std::vector<std::string> stock;
    for (int i = 0; i < 2000; ++i) stock.push_back(random_word(random));
    WordCache cache(0);  // as little as there may be
    MergeSpace space, other_space;
    Miss miss{merger, space};
    std::vector<TokenId> scratch, ids;
    Buffer<TokenId> out;
    std::size_t all = 0;
    for (int i = 0; i < rounds(400); ++i) {
        const Words words = random_words(random, stock);
        all += words.size();
        if (i % 3 == 0) out.clear();
        const std::size_t before = out.size();
        encode_words(words.text.data(), words.starts.data(), words.size(), cache, scratch, out, miss);
        const auto found = out.values().subspan(before);
        std::size_t at = 0;
        for (std::size_t w = 0; w < words.size(); at += ids.size(), ++w) {
            ids.clear();
            merger.encode(words[w], other_space, ids);
            INFO("round " << i << ", word " << w << " of " << words.size() << ": " << words[w]);
            REQUIRE(at + ids.size() <= found.size());
            REQUIRE(std::equal(ids.begin(), ids.end(), found.begin() + static_cast<std::ptrdiff_t>(at)));
        }
        REQUIRE(at == found.size());
    }
    CHECK(miss.learnt > all / 5);  // both ways are taken
    CHECK(miss.learnt < all * 4 / 5);
    if constexpr (requires { miss.added; }) CHECK(miss.added > miss.learnt / 2);
}

}  // namespace

TEST_CASE("words out of the memory have the ids of each alone") {
    const Tokenizer tokenizer = morsel_test::load_tokenizer(test_data() / "tokenizers/byte_level.json");
    const auto merger = BytePairMerger::create(std::get<Bpe>(tokenizer.parts().model));
    REQUIRE(merger);
    SECTION("learnt one by one") { words_equal_themselves<Alone>(*merger); }
    SECTION("learnt in step") { words_equal_themselves<InStep>(*merger); }
}

TEST_CASE("a new word is learnt once, however often it comes") {
    const Tokenizer tokenizer = morsel_test::load_tokenizer(test_data() / "tokenizers/byte_level.json");
    const auto merger = BytePairMerger::create(std::get<Bpe>(tokenizer.parts().model));
    REQUIRE(merger);
    for (const std::string word : {"seldom", "a word of more than fifteen bytes"}) {
        Words words;
        for (int i = 0; i < 50; ++i) words.add(word);
        words.text.append(16, '\0');
        WordCache cache(0);
        MergeSpace space;
        InStep miss{*merger, space};
        std::vector<TokenId> scratch, ids;
        Buffer<TokenId> out;
        encode_words(words.text.data(), words.starts.data(), words.size(), cache, scratch, out, miss);
        CHECK(miss.learnt == 1);
        merger->encode(word, space, ids);
        CHECK(out.size() == 50 * ids.size());
    }
}

TEST_CASE("short words of many ids") {
    // As where a normalizer makes many characters of one: U+FDFA becomes eighteen.
    struct Many {
        void operator()(std::string_view word, std::vector<TokenId>& ids) { ids.insert(ids.end(), static_cast<std::size_t>(word[0] - '0') * 5, static_cast<TokenId>(word.size())); }
    };
    for (const std::size_t count : {std::size_t{1}, std::size_t{64}, std::size_t{900}}) {
        Words words;
        for (std::size_t i = 0; i < count; ++i) words.add(std::string(1, static_cast<char>('0' + i % 10)) + std::string(i % 14, 'x'));
        words.text.append(16, '\0');
        WordCache cache(0);
        Many miss;
        std::vector<TokenId> scratch, expected;
        for (std::size_t i = 0; i < count; ++i) miss(words[i], expected);
        for (int pass = 0; pass < 3; ++pass) {
            Buffer<TokenId> out;
            encode_words(words.text.data(), words.starts.data(), words.size(), cache, scratch, out, miss);
            REQUIRE(std::equal(expected.begin(), expected.end(), out.values().begin(), out.values().end()));
        }
    }
}

TEST_CASE("words are found in their home lines by every form alike") {
    std::mt19937 random(5);
    WordCache cache(std::size_t{1} << 20);
    std::string text;
    std::vector<std::uint32_t> starts;
    const auto word_of = [&](std::size_t i) {  // of 1 to 18 bytes, some of them zeros; the longer ones are not remembered
        std::string word(1 + i % 18, static_cast<char>('a' + i % 5));
        word[i % word.size()] = static_cast<char>(i / 18 % 7), word.back() = static_cast<char>(i / 126);
        return word;
    };
    const auto ids_of = [](std::size_t i) { return std::vector<TokenId>(i % 16 == 0 ? 1 : i % 16, static_cast<TokenId>(1000 + i)); };  // 1 to 15
    for (std::size_t i = 0; i < 4000; ++i) {
        const std::string word = word_of(i);
        if (word.size() > short_word || i % 3 == 0) continue;
        const WordKey key = word_key((word + std::string(16, 'z')).data(), word.size());
        if (cache.find(key, cache.home(key)).data() == nullptr) cache.insert(key, ids_of(i));
    }
    for (int round = 0; round < 200; ++round) {
        text.clear(), starts.clear();
        const std::size_t count = 1 + random() % WordBatch::most;
        for (std::size_t k = 0; k < count; ++k) starts.push_back(static_cast<std::uint32_t>(text.size())), text += word_of(random() % 4000);
        starts.push_back(static_cast<std::uint32_t>(text.size()));
        text += std::string(16, '\xFF');
        for (const bool many : {false, true}) {
            WordBatch plain(MaskForm::plain), best;
            plain.ask_for(text.data(), starts.data(), count, cache), best.ask_for(text.data(), starts.data(), count, cache);
            std::vector<TokenId> written(WordBatch::most_written);
            for (std::size_t i = 0; i < count; ++i) {
                REQUIRE(best.key(i) == plain.key(i));
                REQUIRE(best.home(i) == plain.home(i));
                const auto known = cache.find(plain.key(i), plain.home(i));
                const auto [at_home, found] = plain.find(i);
                if (found) REQUIRE(std::vector<TokenId>(known.begin(), known.end()) == std::vector<TokenId>(at_home.ids, at_home.ids + at_home.count));
                // One word at a time: the best form finds what the plain one does, and with `many` perhaps more, but nothing else than is known.
                TokenId* at = written.data();
                WordBatch one;
                one.ask_for(text.data(), starts.data() + i, 1, cache);
                const bool here = one.look(0, 1, many, cache, at) == 1;
                if (found) REQUIRE(here);
                if (here && !(many && known.size() > WordCache::inline_ids)) REQUIRE(found);
                if (here) REQUIRE(std::vector<TokenId>(written.data(), at) == std::vector<TokenId>(known.begin(), known.end()));
                else REQUIRE(at == written.data());
            }
            // All of them, over those that are not found.
            std::vector<TokenId> expected;
            TokenId* at = written.data();
            std::size_t found = 0;
            for (std::size_t i = 0; (i = best.look(i, count, many, cache, at)) < count; ++i) {
                for (; found < i; ++found) {
                    const auto known = cache.find(plain.key(found), plain.home(found));
                    expected.insert(expected.end(), known.begin(), known.end());
                }
                ++found;
            }
            for (; found < count; ++found) {
                const auto known = cache.find(plain.key(found), plain.home(found));
                expected.insert(expected.end(), known.begin(), known.end());
            }
            REQUIRE(std::vector<TokenId>(written.data(), at) == expected);
        }
    }
}
