// unicode::normalized looks closely only at stretches between ASCII characters that may change; it must give what normalizing the whole text gives.
#include <random>
#include <string>

#include "morsel/unicode/normalize.hpp"
#include "support/catch.hpp"
#include "support/hard_characters.hpp"
#include "support/rounds.hpp"

using namespace morsel;

TEST_CASE("a text normalized by stretches is the text normalized as a whole") {
    std::mt19937 random(17);
    std::size_t changed = 0;
    for (int round = 0; round < morsel_test::rounds(20000); ++round) {
        std::string text;
        for (std::size_t n = random() % 12; n > 0; --n) text += random() % 4 == 0 ? std::string(1, static_cast<char>(random() % 128)) : morsel_test::random_part(random);
        for (const unicode::NormalForm form : {unicode::NormalForm::nfc, unicode::NormalForm::nfd, unicode::NormalForm::nfkc, unicode::NormalForm::nfkd})
            for (const unicode::Repertoire repertoire : {unicode::Repertoire::all, unicode::Repertoire::unicode_9}) {
                std::string whole;
                for (const auto& c : unicode::normalized_changes(text, form, repertoire)) unicode::append(whole, c.value);
                REQUIRE(unicode::normalized(text, form, repertoire) == whole);
                changed += whole != text;
            }
    }
    CHECK(changed > 1000);
}
