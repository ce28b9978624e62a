// Thousands of damaged tokenizer.json and tokenizer.model files: each loads or is a morsel::Error, nothing else, and quickly. What
// loads must still hold its promises: ids-only equals encode, streamed decoding equals whole decoding.
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "morsel/tokenizer.hpp"
#include "support/reference_data.hpp"

using namespace morsel;

namespace {

std::mt19937 random_number(1);

std::string damaged(std::string text) {
    static const char* values[] = {"null", "-1", "1e999", "{}", "[]", "\"\"", "4294967296", "true", "\"\\u0000\"", "1.5"};
    for (std::size_t n = 1 + random_number() % 3; n > 0; --n) {
        if (text.empty()) return text;
        const std::size_t at = random_number() % text.size();
        switch (random_number() % 6) {
            case 0: text[at] = static_cast<char>(random_number()); break;
            case 1: text.resize(at); break;
            case 2: text.erase(at, 1 + random_number() % 8); break;
            case 3: text.insert(at, text.substr(random_number() % text.size(), random_number() % 30)); break;
            case 4: {  // another value for a key, mostly one of the first: they are not of the vocabulary
                const std::size_t colon = text.find(':', random_number() % 2 == 0 ? at : at % 900);
                const std::size_t end = colon == text.npos ? text.npos : text.find_first_of(",}]", colon);
                if (end != text.npos) text.replace(colon + 1, end - colon - 1, values[random_number() % std::size(values)]);
                break;
            }
            default: text[at] = static_cast<char>(text[at] ^ (1 << random_number() % 8));
        }
    }
    return text;
}

void use(const Tokenizer& tokenizer) {
    for (const char* text : {"Hello w\u00f6rld <s>[MASK] word \xff 123", " \n", ""}) {
        const Encoding e = tokenizer.encode(text);
        CHECK(tokenizer.encode_ids(text) == e.ids);
        StreamDecoder stream(tokenizer);
        std::string streamed;
        for (const TokenId id : e.ids) streamed += stream.push(id);
        streamed += stream.flush();
        CHECK(streamed == tokenizer.decode(e.ids));
    }
}

}  // namespace

TEST_CASE("damaged tokenizer files") {
    const auto directory = morsel_test::test_data() / "tokenizers";
    std::vector<std::string> files;
    for (const char* name : {"byte_level.json", "byte_fallback.json", "wordpiece.json", "unigram.json", "suffix.json", "sentencepiece/tokenizer.model", "sentencepiece_rules/tokenizer.model"})
        files.push_back(read_file(directory / name));
    std::size_t loaded = 0, refused = 0;
    double slowest = 0;  // seconds
    for (std::size_t round = 0; round < 4000; ++round) {
        const std::size_t which = round % files.size();
        const std::string file = damaged(files[which]);
        const auto start = std::chrono::steady_clock::now();
        try {
            if (which >= 5) {
                encode_section(parse_sentencepiece(file).model, "Hello w\u00f6rld <sep> \xff");
            } else {
                use(Tokenizer(parse_tokenizer_json(file, "tokenizer.json")));
            }
            ++loaded;
        } catch (const Error&) {
            ++refused;
        }
        slowest = std::max(slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    CHECK(loaded > 50);  // else the damage is too great to test what comes after the parser
    CHECK(refused > 1000);
    CHECK(slowest < 1);
}
