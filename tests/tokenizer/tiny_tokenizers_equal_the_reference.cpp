// Tiny trained tokenizers, each another way through the pipeline (tests/reference/tiny_tokenizers.py): ids, offsets and decodings as the
// reference gives them; and properties that hold for every tokenizer.
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "morsel/tokenizer/stream_decoder.hpp"
#include "support/gold_lines.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/streamed.hpp"

using namespace morsel;
using morsel_test::streamed;
using nlohmann::json;

namespace {

struct Tiny {
    const char* path;   // below tests/data/tokenizers
    const char* lines;  // NAME.jsonl
};

const Tiny tinies[] = {{"byte_level.json", "byte_level"}, {"byte_fallback.json", "byte_fallback"}, {"wordpiece.json", "wordpiece"}, {"wordpiece/vocab.txt", "wordpiece"},
                       {"unigram.json", "unigram"},       {"suffix.json", "suffix"},               {"sentencepiece", "sentencepiece"}, {"sentencepiece_rules", "sentencepiece_rules"},
                       {"charsmap.json", "charsmap"},     {"cl100k_base.tiktoken", "cl100k_base"}, {"sentencepiece_unigram", "sentencepiece_unigram"},
                       {"sentencepiece_unigram_bytes", "sentencepiece_unigram_bytes"},             {"sentencepiece_words", "sentencepiece_words"},
                       {"sentencepiece_characters", "sentencepiece_characters"}};

Tokenizer load_tiny(const Tiny& tiny) { return morsel_test::load_tokenizer(morsel_test::test_data() / "tokenizers" / tiny.path); }

std::vector<json> lines_of(const Tiny& tiny) {
    std::ifstream file(morsel_test::test_data() / "tokenizers" / (std::string(tiny.lines) + ".jsonl"));
    std::vector<json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
}

std::string text_of(const json& line) { return line.contains("text") ? line["text"].get<std::string>() : morsel_test::from_hex(line["text_hex"]); }

}  // namespace

TEST_CASE("tiny tokenizers encode and decode as the reference") {
    for (const Tiny& tiny : tinies) {
        CAPTURE(tiny.path);
        const Tokenizer tokenizer = load_tiny(tiny);
        const std::vector<json> lines = lines_of(tiny);
        CHECK(lines.size() > 100);
        for (const json& line : lines) {
            const std::string text = text_of(line);
            CAPTURE(line.begin()->dump(-1, ' ', true));
            const Encoding e = tokenizer.encode(text);
            json offsets = json::array();
            for (const Span& span : e.offsets) offsets.push_back({span.begin, span.end});
            CHECK(json(e.ids) == line["ids"]);
            if (line.contains("offsets")) CHECK(offsets == line["offsets"]);
            if (line.contains("tokens")) CHECK(json(e.tokens) == line["tokens"]);
            CHECK(tokenizer.encode_ids(text) == e.ids);
            CHECK(tokenizer.decode(line["ids"].get<std::vector<TokenId>>()) == line["decoded"].get<std::string>());
            CHECK(tokenizer.decode(line["ids"].get<std::vector<TokenId>>(), {.skip_special_tokens = true}) == line["decoded_skip_special"].get<std::string>());
        }
    }
}

TEST_CASE("streamed decoding equals whole decoding on random ids") {
    for (const Tiny& tiny : tinies) {
        CAPTURE(tiny.path);
        const Tokenizer tokenizer = load_tiny(tiny);
        std::mt19937 random(5);
        const auto bound = static_cast<TokenId>(tokenizer.id_bound());
        for (int round = 0; round < 1500; ++round) {
            std::vector<TokenId> ids(random() % 12);
            // A narrow range of ids makes runs of bytes and of marks; a few ids are no tokens.
            const TokenId from = random() % bound, width = 1 + random() % (round % 2 == 0 ? bound : 8);
            for (TokenId& id : ids) id = random() % 40 == 0 ? bound + random() % 5 : (from + random() % width) % bound;
            CAPTURE(json(ids).dump());
            for (const bool skip : {false, true}) REQUIRE(streamed(tokenizer, ids, skip) == tokenizer.decode(ids, {.skip_special_tokens = skip}));
        }
    }
}

TEST_CASE("every chain of decoders streams to the same text") {
    const std::vector<Decoder> steps = {ByteLevelDecoder{}, WordPieceDecoder{}, MetaspaceDecoder{}, MetaspaceDecoder{U'a', false}, ByteFallbackDecoder{}, FuseDecoder{},
                                        StripDecoder{' ', 1, 0}, StripDecoder{' ', 0, 2}, StripDecoder{U'\u2581', 2, 1}, ReplaceDecoder{Pattern{"", std::string("\u2581")}, " "},
                                        ReplaceDecoder{Pattern{"", std::string("ab")}, "b"}, BpeDecoder{}, CtcDecoder{}, SentencePieceDecoder{}, SentencePieceDecoder{true, true}, JoinDecoder{}};
    const std::vector<std::string> tokens = {"a", "b", "ab", " ", "  ", " a ", "\u2581", "\u2581\u2581a", "##b", "<0xE2>", "<0x96>", "<0x81>", "<0x41>", "<0xFF>", "</w>", "b</w>",
                                             "\u0120", "\u00e2", "\u0138", "\u0123", "<pad>", "|", "", "\uFFFD", "do not", " ."};
    std::mt19937 random(17);
    for (int round = 0; round < 20000; ++round) {
        Decoders chain(1 + random() % 4, JoinDecoder{});
        for (Decoder& step : chain) step = steps[random() % steps.size()];
        std::vector<std::string> input(random() % 8);
        for (std::string& token : input) token = tokens[random() % tokens.size()];
        DecoderStream stream(chain);
        for (int again = 0; again < 2; ++again) {  // after flush the stream is as new
            std::string text;
            for (const std::string& token : input) {
                const std::string_view part = stream.push(token);
                REQUIRE(unicode::is_valid_utf8(part));
                text += part;
            }
            text += stream.flush();
            CAPTURE(json(input).dump());
            std::string indices;
            for (const Decoder& step : chain) indices += std::to_string(step.index()) + " ";
            CAPTURE(indices);
            REQUIRE(text == decode_tokens(chain, input));
        }
    }
}

TEST_CASE("a genuine U+FFFD does not stall the stream") {
    const Tokenizer tokenizer = load_tiny(tinies[0]);
    StreamDecoder decoder(tokenizer);
    std::string text;
    for (const TokenId id : tokenizer.encode_ids("\uFFFD", {.add_special_tokens = false})) text += decoder.push(id);
    CHECK(text.ends_with("\uFFFD"));  // shown before the flush
}

TEST_CASE("offsets name whole characters, in order, within the text") {
    for (const Tiny& tiny : tinies) {
        CAPTURE(tiny.path);
        const Tokenizer tokenizer = load_tiny(tiny);
        for (const json& line : lines_of(tiny)) {
            const std::string text = text_of(line);
            if (!unicode::is_valid_utf8(text)) continue;
            const Encoding e = tokenizer.encode(text, {.add_special_tokens = false});
            std::size_t last = 0;
            for (const Span& span : e.offsets) {
                REQUIRE(span.begin <= span.end);
                REQUIRE(span.end <= text.size());
                if (tiny.lines != std::string("byte_level")) REQUIRE(span.begin >= last);  // trimmed offsets of spaces can lie behind the next token's
                last = span.begin;
                for (const std::size_t at : {span.begin, span.end}) REQUIRE((at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80));
            }
        }
    }
}

TEST_CASE("any bytes encode, and byte-level BPE gives them back") {
    std::mt19937 random(23);
    std::vector<Tokenizer> all;
    for (const Tiny& tiny : tinies) all.push_back(load_tiny(tiny));
    for (int round = 0; round < 2000; ++round) {
        std::string text(random() % 24, ' ');
        for (char& c : text) c = static_cast<char>(random() % 3 == 0 ? random() : "ab \n\xE2\x96\x81\xF0\x9F\x98\x80\xC3"[random() % 13]);
        for (const Tokenizer& tokenizer : all) REQUIRE(tokenizer.encode(text).ids == tokenizer.encode_ids(text));
        const std::string decoded = all[0].decode(all[0].encode_ids(text), {.skip_special_tokens = true});
        const std::string valid = unicode::to_valid_utf8(text);
        REQUIRE(decoded == (valid.empty() || valid[0] == ' ' ? valid : " " + valid));  // this one adds a prefix space
    }
}

TEST_CASE("one tokenizer serves eight threads") {
    for (const Tiny& tiny : tinies) {
        const Tokenizer tokenizer = load_tiny(tiny);
        const std::vector<json> lines = lines_of(tiny);
        std::vector<int> wrong(8, 0);
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < wrong.size(); ++t)
            threads.emplace_back([&, t] {
                for (std::size_t i = 0; i < lines.size(); ++i) {
                    const json& line = lines[(i + t * 13) % lines.size()];
                    const std::vector<TokenId> ids = line["ids"];
                    wrong[t] += tokenizer.encode(text_of(line)).ids != ids;
                    wrong[t] += tokenizer.decode(ids) != line["decoded"].get<std::string>();
                }
            });
        for (std::thread& thread : threads) thread.join();
        CHECK(wrong == std::vector<int>(8, 0));
        // and a batch over a pool equals one by one
        ThreadPool pool(4);
        std::vector<std::string> texts;
        for (const json& line : lines) texts.push_back(text_of(line));
        std::vector<EncodeInput> inputs;
        for (const std::string& text : texts) inputs.push_back({text, std::nullopt});
        const std::vector<Encoding> batch = tokenizer.encode_batch(inputs, {}, &pool);
        for (std::size_t i = 0; i < batch.size(); ++i) CHECK(json(batch[i].ids) == lines[i]["ids"]);
    }
}

TEST_CASE("ids of many texts in one array are those of each text, in order, by any number of threads") {
    for (const Tiny& tiny : tinies) {
        const Tokenizer tokenizer = load_tiny(tiny);
        std::vector<std::string> texts{""};
        for (const json& line : lines_of(tiny)) texts.push_back(text_of(line));
        for (std::size_t i = 1; i < 40; ++i) {  // sections of very different sizes
            std::string& text = texts.emplace_back();
            for (std::size_t n = 0; n < i * i % 97; ++n) text += texts[1 + (i * 31 + n) % 100];
        }
        texts.emplace_back("no UTF-8 \xC3\xFF");
        const std::vector<std::string_view> views(texts.begin(), texts.end());
        IdBatch batch;
        for (const bool special : {true, false}) {
            const EncodeOptions options{.add_special_tokens = special};
            std::vector<std::vector<TokenId>> expected;
            for (const std::string& text : texts) expected.push_back(tokenizer.encode_plainly(text, options).ids);
            for (const unsigned threads : {1u, 3u, 7u}) {
                ThreadPool pool(threads);
                tokenizer.encode_ids_batch(views, batch, options, threads == 1 ? nullptr : &pool);
                REQUIRE(batch.size() == texts.size());
                for (std::size_t i = 0; i < texts.size(); ++i) REQUIRE(std::vector<TokenId>(batch[i].begin(), batch[i].end()) == expected[i]);
                REQUIRE(batch.ids.size() == batch.ends.back());
            }
        }
        const EncodeOptions short_ones{.truncation = Truncation{.max_length = 5}};
        const IdBatch cut = tokenizer.encode_ids_batch(views, short_ones);
        for (std::size_t i = 0; i < texts.size(); ++i) REQUIRE(std::vector<TokenId>(cut[i].begin(), cut[i].end()) == tokenizer.encode(texts[i], short_ones).ids);
        CHECK(tokenizer.encode_ids_batch({}).size() == 0);
        if (const auto& added = tokenizer.added_tokens(); !added.empty()) {
            const std::string with_token = "a " + added.front().content;
            const std::vector<std::string_view> refused{"a", with_token};
            REQUIRE_THROWS_AS(tokenizer.encode_ids_batch(refused, batch, {.special_tokens_in_text = SpecialTokensInText::refuse}), Error);
            CHECK(batch.size() == 0);
            CHECK(batch.ids.empty());
        }
    }
}
