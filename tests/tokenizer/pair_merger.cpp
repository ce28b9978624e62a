// PairMerger's three ways (short words, windows, lists and blocks) against the rule itself (bpe_merge_plain), on random vocabularies: of merges that chain into long
// tokens, that overlap themselves, and that share a rank where they become the same token, as SentencePiece's do.
#include "morsel/tokenizer/fast/pair_merger.hpp"

#include <random>
#include <vector>

#include "support/catch.hpp"
#include "support/rounds.hpp"

using namespace morsel;

namespace {

// `first` symbols, and merges of `ranks` ranks, of two pairs each where `shared`.
FlatMap<Merge> random_merges(std::mt19937& random, TokenId first, unsigned ranks, bool shared) {
    FlatMap<Merge> merges;
    TokenId next = first;
    for (unsigned rank = 0; rank < ranks; ++rank) {
        bool any = false;
        for (int pairs = shared ? 2 : 1; pairs > 0; --pairs) {
            const TokenId left = random() % next, right = random() % 3 == 0 ? left : random() % next;
            if (merges.find(pack_pair(left, right)) != nullptr) continue;
            merges.set(pack_pair(left, right), Merge{rank, next});
            any = true;
        }
        if (any) ++next;
    }
    return merges;
}

std::vector<TokenId> merged_plainly(const FlatMap<Merge>& merges, const std::vector<TokenId>& word) {
    ModelTokens symbols;
    for (std::size_t i = 0; i < word.size(); ++i) symbols.push_back({word[i], i, i + 1});
    detail::bpe_merge_plain(merges, symbols, 0);
    std::vector<TokenId> ids;
    for (const ModelToken& token : symbols) ids.push_back(token.id);
    return ids;
}

}  // namespace

TEST_CASE("words of every length become what the rule of byte-pair encoding makes of them") {
    std::mt19937 random(1);
    for (int round = 0; round < morsel_test::rounds(60); ++round) {
        const bool shared = round % 3 == 2;
        const TokenId first = 2 + random() % 8;
        const FlatMap<Merge> merges = random_merges(random, first, 4 + random() % 60, shared);
        const auto merger = fast::PairMerger::create(merges, 200, shared);
        REQUIRE(merger.has_value());
        fast::MergeSpace space;
        for (std::size_t size = 1; size <= 300; size += size < 140 ? 1 : 7)
            for (unsigned alphabet = 1; alphabet <= first; alphabet += 2) {
                std::vector<TokenId> word(size), found = {7};  // what is there stays
                for (TokenId& symbol : word) symbol = random() % alphabet;
                merger->merge(size, [&](std::size_t i) { return word[i]; }, [&](std::size_t i) { return merger->rank(word[i], word[i + 1]); }, space, found);
                std::vector<TokenId> expected = merged_plainly(merges, word);
                expected.insert(expected.begin(), 7);
                INFO("round " << round << " size " << size << " alphabet " << alphabet);
                REQUIRE(found == expected);
            }
    }
}

TEST_CASE("a long word whose tokens settle only at its end is merged all the same") {
    // Tokens of up to 4096 equal symbols, begun anew behind the one other symbol: none of a window stays as it is.
    FlatMap<Merge> merges;
    TokenId token = 0;
    for (std::uint32_t rank = 0; rank < 12; ++rank) {  // 0 0 → 2, 2 2 → 3 … of 4096 symbols
        const TokenId next = rank + 2;
        merges.set(pack_pair(token, token), Merge{rank, next});
        token = next;
    }
    const auto merger = fast::PairMerger::create(merges, 20);
    fast::MergeSpace space;
    for (const std::size_t size : {65u, 127u, 128u, 129u, 200u, 1000u, 4095u, 4096u, 5000u}) {
        std::vector<TokenId> word(size, 0), found;
        word[size / 3] = 1;
        merger->merge(size, [&](std::size_t i) { return word[i]; }, [&](std::size_t i) { return merger->rank(word[i], word[i + 1]); }, space, found);
        INFO(size);
        REQUIRE(found == merged_plainly(merges, word));
    }
}
