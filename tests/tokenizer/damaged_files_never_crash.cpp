// Thousands of damaged tokenizer.json, tokenizer.model and .tiktoken files, of every component: each loads or is a morsel::Error, nothing else, and quickly. What
// loads must still hold its promises: ids-only equals encode, streamed decoding equals whole decoding.
#include <chrono>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

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
    struct File {
        std::string name, text;
    };
    const auto directory = morsel_test::test_data() / "tokenizers";
    std::vector<File> files;
    for (const char* name : {"byte_level.json", "byte_fallback.json", "wordpiece.json", "unigram.json", "suffix.json", "charsmap.json", "sentencepiece/tokenizer.model",
                             "sentencepiece_rules/tokenizer.model", "sentencepiece_unigram/tokenizer.model", "sentencepiece_words/tokenizer.model",
                             "sentencepiece_characters/tokenizer.model", "cl100k_base.tiktoken"})
        files.push_back({name, read_file(directory / name)});
    std::ifstream components(morsel_test::test_data() / "components.jsonl");
    for (std::string line; std::getline(components, line);) files.push_back({"component.json", nlohmann::json::parse(line)["tokenizer"].dump()});
    std::size_t loaded = 0, refused = 0;
    double slowest = 0;  // seconds
    for (std::size_t round = 0; round < 40 * files.size(); ++round) {
        const File& file = files[round % 2 == 0 ? round / 2 % 12 : round % files.size()];
        const std::string text = damaged(file.text);
        const auto start = std::chrono::steady_clock::now();
        try {
            if (file.name.ends_with(".model")) encode_section(parse_sentencepiece(text).model, "Hello w\u00f6rld <sep> \xff");
            else if (file.name.ends_with(".tiktoken")) use(Tokenizer(parse_tiktoken(text, file.name, {}, "cl100k_base")));
            else use(Tokenizer(parse_tokenizer_json(text, file.name)));
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

TEST_CASE("damaged rank files say which line") {
    std::string bytes;  // all 256, in ranks of their own
    static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t b = 0; b < 256; ++b) bytes += std::string{alphabet[b / 4], alphabet[b % 4 * 16], '=', '='} + " " + std::to_string(b) + "\n";
    CHECK_NOTHROW(parse_tiktoken(bytes, "x.tiktoken", {}, "cl100k_base"));
    const auto error = [&](const std::string& text, const std::string& encoding = "cl100k_base") -> std::string {
        try {
            parse_tiktoken(text, "x.tiktoken", {}, encoding);
        } catch (const Error& e) {
            return e.what();
        }
        return "no error";
    };
    const auto mentions = [&](const std::string& line, const std::string& wanted) { return error(bytes + line).find(wanted) != std::string::npos; };
    CHECK(mentions("YWI= 256 7\n", "line 257"));
    CHECK(mentions("YWI=\n", "line 257"));
    CHECK(mentions("YW!= 256\n", "line 257"));
    CHECK(mentions("YWI 256\n", "line 257"));
    CHECK(mentions("YWI= -1\n", "line 257"));
    CHECK(mentions("YWI= 4294967296\n", "line 257"));
    CHECK(mentions(" 256\n", "line 257"));
    CHECK(mentions("YQ== 256\n", "twice"));
    CHECK(mentions("YWI= 97\n", "twice"));
    CHECK(mentions("YWI= 100257\n", "<|endoftext|>"));
    CHECK(error(bytes.substr(7)).find("no 0") != std::string::npos);
    CHECK(error("") != "no error");
    CHECK(error(bytes, "magic").find("o200k_base") != std::string::npos);
    CHECK(error("{\"a\": 1}") != "no error");
}
