// Walks through the trie of a vocabulary (models/token_trie.hpp) find the tokens that looking up every stretch of the text finds: vocabularies of words, of all
// bytes, of tokens that differ in the last byte alone, of very long ones; and their memory is in proportion to them.
#include "morsel/tokenizer/models/token_trie.hpp"

#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/rounds.hpp"

using namespace morsel;

namespace {

std::string random_text(std::mt19937& random, std::size_t size, std::string_view bytes) {
    std::string text(size, '\0');
    for (char& c : text) c = bytes[random() % bytes.size()];
    return text;
}

Vocabulary vocabulary_of_tokens(const std::vector<std::string>& tokens) {
    Vocabulary vocabulary;
    TokenId id = 7;  // ids need not begin with 0, nor follow each other
    for (const auto& token : tokens)
        if (!vocabulary.id(token)) vocabulary.add(token, id += 3);
    vocabulary.finish();
    return vocabulary;
}

std::string all_bytes() {
    std::string bytes;
    for (int b = 0; b < 256; ++b) bytes += static_cast<char>(b);
    return bytes;
}

// Nodes of a trie of these tokens, but for the root.
std::size_t nodes_of(const std::vector<std::string>& tokens) {
    std::set<std::string> nodes;
    for (const auto& token : tokens)
        for (std::size_t size = 1; size <= token.size(); ++size) nodes.insert(token.substr(0, size));
    return nodes.size();
}

void trie_equals_vocabulary(const std::vector<std::string>& tokens, std::string_view alphabet, std::mt19937& random) {
    const Vocabulary vocabulary = vocabulary_of_tokens(tokens);
    const auto trie = TokenTrie::create(vocabulary);
    REQUIRE(trie);
    std::set<std::string> ways{""};
    for (const auto& token : tokens)
        for (std::size_t size = 1; size <= token.size(); ++size) ways.insert(token.substr(0, size));
    for (int i = 0; i < morsel_test::rounds(2000); ++i) {
        std::string text = tokens.empty() || random() % 3 == 0 ? "" : tokens[random() % tokens.size()];
        if (!text.empty() && random() % 2 == 0) text.resize(random() % text.size());
        text += random_text(random, random() % 8, alphabet);
        using Found = std::vector<std::pair<std::size_t, TokenId>>;
        Found expected, found;
        for (std::size_t size = 1; size <= text.size(); ++size)
            if (const auto id = vocabulary.id(std::string_view(text).substr(0, size))) expected.emplace_back(size, *id);
        trie->for_each_prefix(text, trie->root(), [&](std::size_t size, TokenId id) { found.emplace_back(size, id); });
        INFO(tokens.size() << " tokens, text of " << text.size() << " bytes");
        REQUIRE(found == expected);
        const auto longest = trie->longest(text, trie->root());
        REQUIRE(longest.size == (expected.empty() ? 0 : expected.back().first));
        if (!expected.empty()) REQUIRE(longest.id == expected.back().second);
        // The same from a place on the way.
        const std::size_t way = random() % (text.size() + 1);
        const auto place = trie->walk(std::string_view(text).substr(0, way));
        REQUIRE(place.has_value() == ways.contains(text.substr(0, way)));
        if (!place) continue;
        while (!expected.empty() && expected.front().first <= way) expected.erase(expected.begin());
        const auto behind = trie->longest(std::string_view(text).substr(way), *place);
        REQUIRE(behind.size == (expected.empty() ? 0 : expected.back().first - way));
        if (!expected.empty()) REQUIRE(behind.id == expected.back().second);
    }
}

}  // namespace

TEST_CASE("walks through a trie find what looking up every stretch finds") {
    std::mt19937 random(23);
    SECTION("no tokens") { trie_equals_vocabulary({}, "ab", random); }
    SECTION("words") {
        for (int i = 0; i < 30; ++i) {
            const std::string_view alphabet = std::string_view("abcdefgh \xe2\x96\x81").substr(0, 1 + random() % 12);
            std::vector<std::string> tokens;
            for (std::size_t n = random() % 600; n > 0; --n) tokens.push_back(random_text(random, 1 + random() % 9, alphabet));
            trie_equals_vocabulary(tokens, alphabet, random);
        }
    }
    SECTION("all bytes, alone and in twos") {
        const std::string bytes = all_bytes();
        std::vector<std::string> tokens;
        for (const char a : bytes) {
            tokens.push_back(std::string(1, a));
            for (const char b : bytes)
                if (random() % 2 == 0) tokens.push_back({a, b});
        }
        trie_equals_vocabulary(tokens, bytes, random);
    }
    SECTION("any bytes") {
        std::vector<std::string> tokens;
        for (int n = 0; n < 20000; ++n) tokens.push_back(random_text(random, 1 + random() % 4, all_bytes()));
        trie_equals_vocabulary(tokens, all_bytes(), random);
    }
    SECTION("long ones with a long way in common") {
        std::vector<std::string> tokens;
        for (int n = 0; n < 20; ++n) tokens.push_back(std::string(3000, 'a') + random_text(random, 1 + random() % 300, "ab"));
        trie_equals_vocabulary(tokens, "ab", random);
    }
}

TEST_CASE("the memory of a trie is in proportion to its tokens") {
    std::mt19937 random(29);
    const auto cells_a_node = [](const std::vector<std::string>& tokens) {
        const auto trie = TokenTrie::create(vocabulary_of_tokens(tokens));
        REQUIRE(trie);
        return static_cast<double>(trie->size_bytes()) / 8 / static_cast<double>(nodes_of(tokens));
    };
    std::vector<std::string> words, scattered, twos;
    for (int n = 0; n < 20000; ++n) {
        words.push_back(random_text(random, 2 + random() % 7, "etaoinshrdlu "));
        std::string bytes = random_text(random, 4, all_bytes());  // of half of the bytes at each place, anywhere
        for (char& c : bytes) c = static_cast<char>(c & random());
        scattered.push_back(bytes);
        twos.push_back(random_text(random, 3, all_bytes()) + (n % 2 == 0 ? '\x00' : '\x80'));
    }
    CHECK(cells_a_node(words) < 1.1);
    CHECK(cells_a_node(twos) < 3);
    CHECK(cells_a_node(scattered) < 5);
    CHECK(cells_a_node({std::string(1, 'x') + std::string(100, 'y')}) < 6);  // a block at least
}

TEST_CASE("a trie of a token of a megabyte takes no deep recursion") {
    const auto trie = TokenTrie::create(vocabulary_of_tokens({std::string(1 << 20, 'a')}));
    REQUIRE(trie);
    CHECK(trie->longest(std::string((1 << 20) + 5, 'a'), trie->root()).size == 1 << 20);
    CHECK(trie->longest(std::string((1 << 20) - 1, 'a'), trie->root()).size == 0);
}
