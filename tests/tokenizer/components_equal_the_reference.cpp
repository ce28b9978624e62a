// Every component of a tokenizer.json with every option, alone (tests/reference/components.py): what the reference makes of hard texts,
// windows that truncation cuts off included, and of lists of ids. Where the reference fails we throw Error.
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "morsel/tokenizer.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using nlohmann::json;

namespace {

json window(const Encoding& e) {
    json offsets = json::array();
    for (const Span& span : e.offsets) offsets.push_back(span.begin), offsets.push_back(span.end);
    return {e.ids, e.tokens, offsets, e.type_ids, e.special_tokens_mask, e.attention_mask};
}

// Tokens that take white space along are shown as the token here, as the stretch of text there.
void forget_swallowed(const Tokenizer& tokenizer, json& expected, json& found) {
    for (std::size_t i = 0; i < expected[0].size() && i < found[0].size(); ++i) {
        const AddedToken* added = tokenizer.parts().added_tokens.find(expected[0][i].get<TokenId>());
        if (added != nullptr && (added->lstrip || added->rstrip)) expected[1][i] = found[1][i] = added->content;
    }
}

}  // namespace

TEST_CASE("every component with every option equals the reference") {
    std::ifstream file(morsel_test::test_data() / "components.jsonl");
    std::size_t tokenizers = 0, compared = 0;
    for (std::string line; std::getline(file, line); ++tokenizers) {
        const json test = json::parse(line);
        const std::string name = test["name"];
        CAPTURE(name);
        const Tokenizer tokenizer(parse_tokenizer_json(test["tokenizer"].dump(), name));
        for (const json& one : test["encoded"]) {
            ++compared;
            EncodeOptions options{.add_special_tokens = one[2].get<bool>(), .truncation = tokenizer.truncation(), .padding = tokenizer.padding()};
            const std::string text = one[0], pair = one[1].is_null() ? "" : one[1].get<std::string>();
            if (!one[1].is_null()) options.text_pair = pair;
            CAPTURE(one[0].dump(), one[1].dump(), options.add_special_tokens);
            if (one[3] == "error") {
                CHECK_THROWS_AS(tokenizer.encode(text, options), Error);
                continue;
            }
            json found = json::array(), expected = one[3];
            try {
                const Encoding e = tokenizer.encode(text, options);
                found.push_back(window(e));
                for (const Encoding& part : e.overflowing) found.push_back(window(part));
                CHECK(tokenizer.encode_ids(text, options) == e.ids);
            } catch (const Error& e) {
                FAIL_CHECK(e.what());
                continue;
            }
            for (std::size_t i = 0; i < expected.size() && i < found.size(); ++i) forget_swallowed(tokenizer, expected[i], found[i]);
            CHECK(found.dump() == expected.dump());
        }
        for (const json& one : test["decoded"]) {
            ++compared;
            CAPTURE(one.dump(-1, ' ', true));
            CHECK(tokenizer.decode(one[0].get<std::vector<TokenId>>(), {.skip_special_tokens = one[1].get<bool>()}) == one[2].get<std::string>());
        }
    }
    CHECK(tokenizers > 150);
    CHECK(compared > 2500);
}
