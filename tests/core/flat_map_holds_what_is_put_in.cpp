// FlatMap and StringMap against std::unordered_map, and with keys chosen against a known hash.
#include <chrono>
#include <random>
#include <string>
#include <unordered_map>

#include "morsel/core/flat_map.hpp"
#include "support/catch.hpp"

using namespace morsel;

TEST_CASE("FlatMap equals std::unordered_map on random keys") {
    std::mt19937_64 random(7);
    FlatMap<std::uint32_t> map;
    std::unordered_map<std::uint64_t, std::uint32_t> expected;
    CHECK(map.find(3) == nullptr);
    for (int i = 0; i < 20000; ++i) {
        const std::uint64_t key = random() % 3000 == 0 ? ~std::uint64_t{0} - random() % 2 : random() % 9000;
        const auto value = static_cast<std::uint32_t>(random());
        CHECK(map.set(key, value) == expected.insert_or_assign(key, value).second);
    }
    CHECK(map.size() == expected.size());
    for (std::uint64_t key = 0; key < 9100; ++key) {
        const std::uint32_t* found = map.find(key);
        const auto wanted = expected.find(key);
        REQUIRE((found != nullptr) == (wanted != expected.end()));
        if (found != nullptr) CHECK(*found == wanted->second);
    }
}

TEST_CASE("FlatMap holds the key of all ones, which marks free slots") {
    FlatMap<int> map;
    const std::uint64_t ones = ~std::uint64_t{0};
    CHECK(map.find(ones) == nullptr);
    CHECK(map.set(ones, 5));
    CHECK_FALSE(map.set(ones, 6));
    CHECK(map.size() == 1);
    REQUIRE(map.find(ones) != nullptr);
    CHECK(*map.find(ones) == 6);
    CHECK(map.find(0) == nullptr);
}

TEST_CASE("StringMap holds any bytes") {
    std::mt19937 random(11);
    StringMap map;
    std::unordered_map<std::string, std::uint32_t> expected;
    CHECK_FALSE(map.find("").has_value());
    std::vector<std::string> keys = {"", std::string(1, '\0'), std::string(2, '\0'), std::string(8, '\0'), std::string(9, '\0'), "\xff", "abc", std::string("abc\0", 4)};
    for (int i = 0; i < 5000; ++i) {
        std::string key(random() % 20, ' ');
        for (char& c : key) c = static_cast<char>(random() % 3);
        keys.push_back(key);
    }
    for (const std::string& key : keys) {
        const auto value = static_cast<std::uint32_t>(random());
        map.set(key, value);
        expected[key] = value;
    }
    CHECK(map.size() == expected.size());
    for (const auto& [key, value] : expected) CHECK(map.find(key) == value);
    CHECK_FALSE(map.find("not there").has_value());
    for (const auto& entry : map.entries()) CHECK(expected.at(std::string(map.text(entry))) == entry.value);
}

TEST_CASE("chosen keys do not degrade the table") {
    // Keys that are equal in their low bits, and keys that a fixed multiplicative hash would send to one slot.
    const std::size_t count = 80000;
    for (const int kind : {0, 1, 2}) {
        FlatMap<std::uint32_t> map;
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < count; ++i) {
            std::uint64_t key = i << 32;
            if (kind == 1) key = i * 0xF1DE83E19937733Du;  // the inverse of 0x9e3779b97f4a7c15: cancels a fixed multiplication
            if (kind == 2) key = (i << 40) | (i << 20);
            map.set(key, static_cast<std::uint32_t>(i));
        }
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        CHECK(map.size() == count);
        CHECK(seconds < 1.0);  // milliseconds in fact; a degraded table takes minutes
    }
}
