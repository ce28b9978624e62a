// BERT's tokenizers have a way of their own past normalizer, pre-tokenizer and model (fast/bert_words.hpp), also where case and accents go. Under every
// setting of the normalizer it must give what the pipeline gives, on random texts of hard characters.
#include <random>
#include <string>
#include <utility>
#include <variant>

#include "support/catch.hpp"
#include "support/hard_characters.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/rounds.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

// A vocabulary in which most characters are tokens, at the beginning of a word and inside of it, so that every one of them is seen in the ids.
Vocabulary vocabulary_of_characters(const Vocabulary& tokens) {
    Vocabulary all;
    TokenId next = 0;
    tokens.for_each([&](std::string_view token, TokenId id) { all.add(token, id), next = std::max(next, id + 1); });
    const auto add = [&](const std::string& token) {
        if (!tokens.id(token)) all.add(token, next++);
    };
    for (char32_t c = 0x21; c < 0x10000; ++c) {
        if ((c >= 0x600 && c < 0x1100 && c % 5 != 0) || (c >= 0x3200 && c < 0xF900 && c % 7 != 0) || (c >= 0xD800 && c < 0xE000)) continue;  // enough of them
        std::string character;
        unicode::append(character, c);
        add(character), add("##" + character);
    }
    for (const char* word : {"the", "##the", "\u0431\u044b", "##\u0438\u0431", "ee", "##ae", "\u1100\u1161", "##\u1161\u11a8"}) add(word);
    all.finish();
    return all;
}

}  // namespace

TEST_CASE("BERT's words have the tokens that the pipeline gives them") {
    const TokenizerParts file = load_tokenizer(test_data() / "tokenizers/wordpiece.json").parts();
    const Vocabulary vocabulary = vocabulary_of_characters(std::get<WordPiece>(file.model).vocabulary);
    for (const bool lowercase : {true, false})
        for (const std::optional<bool> strip_accents : {std::optional<bool>{}, std::optional<bool>{true}, std::optional<bool>{false}})
            for (const bool clean_text : {true, false}) {
                TokenizerParts parts = file;
                parts.normalizer = Normalizer{{BertNormalizer{.clean_text = clean_text, .strip_accents = strip_accents, .lowercase = lowercase}}};
                parts.pre_tokenizer = PreTokenizer{{BertPreTokenizer{}}};
                auto& model = std::get<WordPiece>(parts.model);
                model.vocabulary = vocabulary, model.max_input_chars_per_word = 12;
                find_longest_token(model);
                const Tokenizer tokenizer(std::move(parts));
                std::mt19937 random(13);
                INFO(lowercase << strip_accents.value_or(lowercase) << clean_text);
                require_what_the_pipeline_gives(tokenizer, random, morsel_test::rounds(1500));
                // Every character by itself, and within a word.
                for (char32_t c = 1; c < 0x30000; c += c < 0xFFFF ? 1 : 97) {
                    if (c >= 0xD800 && c < 0xE000) continue;
                    std::string text;
                    unicode::append(text, c);
                    text = text + " x" + text + "y";
                    INFO(text << ", " << static_cast<unsigned>(c));
                    REQUIRE(tokenizer.encode_ids(text) == tokenizer.encode_plainly(text).ids);
                }
            }
}
