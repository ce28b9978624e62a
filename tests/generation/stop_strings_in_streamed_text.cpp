// Stop strings are found wherever the pieces are cut, and what may be their beginning is held back.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "morsel/core/philox.hpp"
#include "morsel/generation/stopping.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

// The definition: the first end of any stop string, and of those that end there the longest.
std::pair<std::string, bool> cut_at_stops(const std::string& text, const std::vector<std::string>& stops) {
    for (std::size_t end = 1; end <= text.size(); ++end) {
        std::size_t longest = 0;
        for (const auto& s : stops)
            if (s.size() <= end && text.compare(end - s.size(), s.size(), s) == 0) longest = std::max(longest, s.size());
        if (longest > 0) return {text.substr(0, end - longest), true};
    }
    return {text, false};
}

}  // namespace

TEST_CASE("a stop string that straddles pieces is held back and cut off") {
    StopStringMatcher matcher({"\nUser:"});
    CHECK(matcher.push("Hello") == "Hello");
    CHECK(matcher.push(" you\n") == " you");
    CHECK(matcher.push("Us") == "");
    CHECK(matcher.push("ed\nUse") == "\nUsed");
    CHECK_FALSE(matcher.stopped());
    CHECK(matcher.push("r: no") == "");
    CHECK(matcher.stopped());
    CHECK(matcher.push("more") == "");
    CHECK(matcher.finish() == "");
}

TEST_CASE("held text comes out at the end where no stop string followed") {
    StopStringMatcher matcher({"</s>", "aab"});
    CHECK(matcher.push("x</") == "x");
    CHECK(matcher.finish() == "</");
    StopStringMatcher none;
    CHECK(none.push("anything") == "anything");
    CHECK(none.finish() == "");
    CHECK_FALSE(none.stopped());
}

TEST_CASE("a stop string whose beginning repeats is found") {
    StopStringMatcher matcher({"aab"});
    CHECK(matcher.push("aaaa") == "aa");
    CHECK(matcher.push("b") == "");
    CHECK(matcher.stopped());
}

TEST_CASE("an empty stop string is an error") { REQUIRE_THROWS_AS(StopStringMatcher({"a", ""}), Error); }

TEST_CASE("however the text is cut, the result is the definition's") {
    std::uint64_t step = 0;
    const auto random = [&](std::uint32_t below) { return philox(5, {.step = step++})[0] % below; };
    const auto text = [&](std::uint32_t longest) {
        std::string s;
        for (std::uint32_t n = random(longest) + 1; n > 0; --n) s += static_cast<char>('a' + random(2));
        return s;
    };
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::string> stops;
        for (std::uint32_t n = random(3) + 1; n > 0; --n) stops.push_back(text(5) + (random(2) == 0 ? "c" : ""));
        std::string whole = text(30);
        if (random(2) == 0) whole += "c" + text(5);
        StopStringMatcher matcher(stops);
        std::string emitted;
        for (std::size_t at = 0; at < whole.size();) {
            const std::size_t length = random(4) + 1;
            emitted += matcher.push(std::string_view(whole).substr(at, length));
            at += length;
        }
        emitted += matcher.finish();
        const auto [expected, stopped] = cut_at_stops(whole, stops);
        CAPTURE(whole, stops);
        CHECK(emitted == expected);
        CHECK(matcher.stopped() == stopped);
    }
}
