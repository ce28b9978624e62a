// Both fast merges against the definition, on random merge tables and hostile words; and the options of BPE by hand.
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "morsel/tokenizer/models/bpe.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

Bpe make(const std::vector<std::string>& tokens, const std::vector<std::pair<std::string, std::string>>& merges = {}, const std::string& prefix = {}) {
    Bpe bpe;
    bpe.continuing_subword_prefix = prefix;
    for (std::size_t i = 0; i < tokens.size(); ++i) bpe.vocabulary.add(tokens[i], static_cast<TokenId>(i));
    bpe.vocabulary.finish();
    std::uint32_t rank = 0;
    for (const auto& [left, right] : merges) add_merge(bpe, {left, right}, rank++);
    find_byte_tokens(bpe);
    return bpe;
}

std::vector<TokenId> bpe_ids(const Bpe& bpe, std::string_view word) {
    ModelTokens tokens;
    tokenize(bpe, word, tokens);
    std::vector<TokenId> out;
    for (const auto& token : tokens) out.push_back(token.id);
    return out;
}

using Ids = std::vector<TokenId>;

}  // namespace

TEST_CASE("scan and heap give what the definition gives") {
    std::mt19937 random(3);
    for (int round = 0; round < 300; ++round) {
        // Random tables need not come from a vocabulary: ids 0…a-1 are symbols, merges make ids at random.
        const std::uint32_t symbols = 1 + random() % 4;
        FlatMap<Merge> merges;
        for (std::uint32_t i = 0, n = random() % 40; i < n; ++i) {
            const std::uint32_t bound = symbols + 12;
            merges.set(pack_pair(random() % bound, random() % bound), {i, static_cast<TokenId>(symbols + random() % 12)});
        }
        const std::size_t length = round % 3 == 0 ? random() % 300 : random() % (detail::bpe_scan_limit + 1);
        ModelTokens plain = {{99, 0, 0}};  // what stands before must stay
        for (std::size_t i = 0; i < length; ++i) plain.push_back({static_cast<TokenId>(random() % symbols), i, i + 1});
        ModelTokens heap = plain, scan = plain;
        detail::bpe_merge_plain(merges, plain, 1);
        detail::bpe_merge_heap(merges, heap, 1);
        REQUIRE(heap == plain);
        if (length <= detail::bpe_scan_limit) {
            detail::bpe_merge_scan(merges, scan, 1);
            REQUIRE(scan == plain);
        }
    }
}

TEST_CASE("merges go by rank, then from the left") {
    const Bpe bpe = make({"a", "b", "ab", "aa", "aab"}, {{"a", "b"}, {"a", "a"}});
    CHECK(bpe_ids(bpe, "aab") == Ids{0, 2});      // "ab" has the lower rank, though "aa" stands first
    CHECK(bpe_ids(bpe, "aaa") == Ids{3, 0});      // the leftmost of equals
    CHECK(bpe_ids(bpe, "aaaab") == Ids{3, 0, 2});
}

TEST_CASE("a long word takes about linear time") {
    const Bpe bpe = make({"a", "aa", "aaaa", "aaaaaaaa"}, {{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
    const auto start = std::chrono::steady_clock::now();
    const Ids out = bpe_ids(bpe, std::string(1'000'000, 'a'));
    CHECK(out == Ids(125'000, 3));
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 30);  // half a second on an idle machine, more with sanitizers; a quadratic merge takes hours
}

TEST_CASE("characters that are no tokens") {
    const std::vector<std::string> tokens = {"a", "b", "<unk>", "ab", "<0xC3>", "<0xA9>"};
    Bpe bpe = make(tokens, {{"a", "b"}});
    SECTION("are dropped where there is no unknown token, and what is left merges across the gap") {
        ModelTokens out;
        tokenize(bpe, "axb", out);
        CHECK(out == ModelTokens{{3, 0, 2}});  // what is dropped has no place in the offsets, as in the reference
    }
    SECTION("are one unknown token each") {
        bpe.unk_token = "<unk>";
        CHECK(bpe_ids(bpe, "axyb") == Ids{0, 2, 2, 1});
    }
    SECTION("are fused") {
        bpe.unk_token = "<unk>";
        bpe.fuse_unk = true;
        ModelTokens out;
        tokenize(bpe, "axyb", out);
        CHECK(out == ModelTokens{{0, 0, 1}, {2, 1, 3}, {1, 3, 4}});
    }
    SECTION("become bytes where all of their bytes are tokens") {
        bpe.unk_token = "<unk>";
        bpe.byte_fallback = true;
        CHECK(bpe_ids(bpe, "a\u00e9b") == Ids{0, 4, 5, 1});
        CHECK(bpe_ids(bpe, "a\u00eab") == Ids{0, 2, 1});  // C3 AA: only half of it is a token
    }
    SECTION("need an unknown token that exists") {
        bpe.unk_token = "<missing>";
        CHECK(bpe_ids(bpe, "ab") == Ids{3});
        CHECK_THROWS_AS(bpe_ids(bpe, "ax"), Error);
    }
}

TEST_CASE("prefix, suffix and ignore_merges") {
    Bpe bpe = make({"a", "##b", "ab", "##c", "abc"}, {{"a", "##b"}, {"ab", "##c"}}, "##");
    CHECK(bpe_ids(bpe, "abc") == Ids{4});
    CHECK(bpe_ids(bpe, "ab") == Ids{2});
    CHECK_THROWS_AS(add_merge(bpe, {"a", "c"}, 9), Error);  // not a token

    Bpe suffixed = make({"a", "b</w>", "a</w>"}, {});
    suffixed.end_of_word_suffix = "</w>";
    CHECK(bpe_ids(suffixed, "ab") == Ids{0, 1});
    CHECK(bpe_ids(suffixed, "a") == Ids{2});

    Bpe whole = make({"a", "b", "ab"}, {});
    CHECK(bpe_ids(whole, "ab") == Ids{0, 1});
    whole.ignore_merges = true;
    CHECK(bpe_ids(whole, "ab") == Ids{2});
}
