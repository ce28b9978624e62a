// PairMerger's three ways (short words, windows, lists and blocks) and words that merge in step, against the rule itself (bpe_merge_plain), on random vocabularies:
// of merges that chain into long tokens, that overlap themselves, and that share a rank where they become the same token, as SentencePiece's do.
#include "morsel/tokenizer/fast/pair_merger.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <string_view>
#include <utility>
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

ModelTokens tokens_plainly(const FlatMap<Merge>& merges, const std::vector<TokenId>& word) {
    ModelTokens symbols;
    for (std::size_t i = 0; i < word.size(); ++i) symbols.push_back({word[i], i, i + 1});
    detail::bpe_merge_plain(merges, symbols, 0);
    return symbols;
}
std::vector<TokenId> merged_plainly(const FlatMap<Merge>& merges, const std::vector<TokenId>& word) {
    std::vector<TokenId> ids;
    for (const ModelToken& token : tokens_plainly(merges, word)) ids.push_back(token.id);
    return ids;
}

std::vector<TokenId> random_word(std::mt19937& random, std::size_t size, TokenId alphabet) {
    std::vector<TokenId> word(size);
    for (TokenId& symbol : word) symbol = random() % alphabet;
    return word;
}

// Words of every size that a lane holds, some lanes full and some not.
template <std::size_t Symbols> void require_lanes_merge(std::mt19937& random, const FlatMap<Merge>& merges, const fast::MergeTable& table, TokenId alphabet) {
    const auto lanes = std::make_unique<fast::MergeLanes<Symbols>>();
    for (int filled = 0; filled < 20; ++filled) {
        std::vector<std::vector<TokenId>> words;
        lanes->clear();
        for (std::size_t count = 1 + random() % lanes->most; words.size() < count;) {
            const auto& word = words.emplace_back(random_word(random, 1 + random() % Symbols, 1 + random() % alphabet));
            REQUIRE(!lanes->full());
            lanes->add(word.size(), [&](std::size_t i) { return word[i]; }, [&](std::size_t i) { return table.rank(word[i], word[i + 1]); });
        }
        REQUIRE(lanes->size() == words.size());
        lanes->merge(table);
        for (std::size_t lane = 0; lane < words.size(); ++lane) {
            const ModelTokens expected = tokens_plainly(merges, words[lane]);
            std::size_t token = 0, differ = 0;
            lanes->for_each_token(lane, [&](TokenId id, std::size_t begin, std::size_t end) {
                differ += token >= expected.size() || expected[token].id != id || expected[token].begin != begin || expected[token].end != end;
                ++token;
            });
            INFO("lane " << lane << " of " << words.size() << ", " << words[lane].size() << " symbols");
            REQUIRE(token == expected.size());
            REQUIRE(differ == 0);
        }
    }
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

TEST_CASE("words that merge in step become what each becomes alone") {
    std::mt19937 random(2);
    for (int round = 0; round < morsel_test::rounds(60); ++round) {
        const TokenId first = 2 + random() % 8;
        const FlatMap<Merge> merges = random_merges(random, first, 4 + random() % 60, round % 3 == 2);
        const auto table = fast::MergeTable::create(merges, 200);
        REQUIRE(table.has_value());
        require_lanes_merge<16>(random, merges, *table, first);
        require_lanes_merge<64>(random, merges, *table, first);
    }
}

TEST_CASE("windows of a long word are joined wherever tokens are short") {
    std::mt19937 random(3);
    // Pairs of 8 symbols and a few longer tokens: nothing reaches far.
    FlatMap<Merge> merges;
    TokenId next = 8;
    for (std::uint32_t rank = 0; rank < 20; ++rank)
        if (const auto pair = pack_pair(random() % 8, random() % std::min<TokenId>(next, 12)); merges.find(pair) == nullptr) merges.set(pair, Merge{rank, next++});
    const auto table = fast::MergeTable::create(merges, 200);
    REQUIRE(table.has_value());
    const auto space = std::make_unique<fast::MergeSpace>();
    for (std::size_t size = 65; size < 4000; size += size < 200 ? 1 : 97) {
        const auto word = random_word(random, size, 8);
        std::vector<TokenId> found = {7}, expected = merged_plainly(merges, word);
        expected.insert(expected.begin(), 7);
        INFO(size);
        REQUIRE(space->windows.merge(
            *table, size, [&](std::size_t i) { return word[i]; }, [&](std::size_t i) { return table->rank(word[i], word[i + 1]); }, space->lanes, space->wide_lanes, found));
        REQUIRE(found == expected);
    }
}

TEST_CASE("a token that the joins at both ends of a window took is settled by neither") {
    // One word in some hundred thousand; these two came out of random vocabularies.
    struct Case {
        std::vector<std::pair<TokenId, TokenId>> merges;  // of symbols 0 and 1, and what became of those before: 2, 3 …
        std::string_view word;
    };
    const std::vector<Case> cases = {
        {{{1, 1}, {0, 0}, {3, 1}, {3, 3}, {5, 5}, {6, 6}, {0, 7}, {7, 7}, {7, 9}, {4, 8}, {10, 10}},
         "000000000000000000000000000000000000000000000000000010000000001000110000000000000000000000000000000000000000000000000000000000000000"},
        {{{1, 1}, {0, 0}, {1, 0}, {3, 3}, {5, 5}, {6, 6}, {7, 0}, {1, 8}, {7, 7}, {10, 9}, {11, 11}, {12, 12}, {12, 4}},
         "0000000000000000000000000000000000000010000000000000100000000000000000000000001000000000000000000000000000000000000000000000000000000000000"}};
    for (const Case& one : cases) {
        FlatMap<Merge> merges;
        for (std::uint32_t rank = 0; rank < one.merges.size(); ++rank) merges.set(pack_pair(one.merges[rank].first, one.merges[rank].second), Merge{rank, rank + 2});
        std::vector<TokenId> word, found;
        for (const char symbol : one.word) word.push_back(symbol == '1');
        const auto merger = fast::PairMerger::create(merges, 20);
        fast::MergeSpace space;
        merger->merge(word.size(), [&](std::size_t i) { return word[i]; }, [&](std::size_t i) { return merger->rank(word[i], word[i + 1]); }, space, found);
        REQUIRE(found == merged_plainly(merges, word));
    }
}

TEST_CASE("pairs are found in their line and behind it where it is full") {
    std::mt19937 random(4);
    FlatMap<Merge> merges;  // 4 to a line on the average, so that some hundred of the 4096 lines are full
    constexpr TokenId ids = 5000;
    for (std::uint32_t rank = 0; rank < 16384; ++rank)
        if (const auto pair = pack_pair(random() % ids, random() % ids); merges.find(pair) == nullptr) merges.set(pair, Merge{rank, rank % ids});
    const auto table = fast::MergeTable::create(merges, ids);
    REQUIRE(table.has_value());
    std::vector<std::pair<TokenId, TokenId>> pairs;
    merges.for_each([&](std::uint64_t pair, const Merge&) { pairs.emplace_back(static_cast<TokenId>(pair >> 32), static_cast<TokenId>(pair)); });
    for (int i = 0; i < 16384; ++i) pairs.emplace_back(random() % ids, random() % ids);
    pairs.emplace_back(fast::MergeTable::no_id, 3), pairs.emplace_back(3, fast::MergeTable::no_id);
    std::size_t differ = 0;
    for (std::size_t i = 0; i < pairs.size();) {
        fast::MergeTable::Lookup asked[fast::MergeTable::most_pairs];
        std::uint32_t ranks[fast::MergeTable::most_pairs], plain[fast::MergeTable::most_pairs];
        const std::size_t count = std::min(pairs.size() - i, 1 + random() % fast::MergeTable::most_pairs);
        for (std::size_t j = 0; j < count; ++j) asked[j] = table->ask_for(pairs[i + j].first, pairs[i + j].second);
        table->look_up(asked, count, ranks);
        table->look_up_plain(asked, count, plain);
        for (std::size_t j = 0; j < count; ++j) {
            const Merge* merge = merges.find(pack_pair(pairs[i + j].first, pairs[i + j].second));
            const std::uint32_t expected = merge != nullptr ? merge->rank : fast::MergeTable::no_rank;
            differ += ranks[j] != expected || plain[j] != expected || table->rank(pairs[i + j].first, pairs[i + j].second) != expected;
        }
        i += count;
    }
    REQUIRE(differ == 0);
}
