// The methods of splitting without subwords: CANINE's characters and ByT5's bytes as transformers has them, word2vec's words as defined; and
// offsets counted in code points and UTF-16 units as the reference counts them. Expected values: tests/reference/tokenizer_features.py.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "morsel/tokenizer.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/streamed.hpp"

using namespace morsel;
using morsel_test::streamed;
using nlohmann::json;

namespace {

const json& expected() {
    static const json all = json::parse(std::ifstream(morsel_test::test_data() / "tokenizer_features.json"));
    return all;
}

// A directory that holds this tokenizer_config.json and nothing else.
struct ConfigDirectory {
    std::filesystem::path path = std::filesystem::temp_directory_path() / ("morsel-config-" + std::to_string(::getpid()));
    explicit ConfigDirectory(const json& config) {
        std::filesystem::create_directories(path);
        std::ofstream(path / "tokenizer_config.json") << config;
    }
    ~ConfigDirectory() { std::filesystem::remove_all(path); }
};

void check_cases(const Tokenizer& tokenizer, const json& cases) {
    CHECK(cases.size() > 20);
    for (const json& one : cases) {
        CAPTURE(one.dump(-1, ' ', true));
        if (one.contains("pair")) {
            const std::string pair = one["pair"];
            const Encoding e = tokenizer.encode(one["text"].get<std::string>(), {.text_pair = pair});
            CHECK(json(e.ids) == one["ids"]);
            CHECK(json(e.type_ids) == one["type_ids"]);
            continue;
        }
        const auto ids = one[one.contains("decode") ? "decode" : "ids"].get<std::vector<TokenId>>();
        if (one.contains("text")) {
            const std::string text = one["text"];
            const Encoding e = tokenizer.encode(text);
            CHECK(e.ids == ids);
            CHECK(json(e.tokens) == one["tokens"]);
            CHECK(tokenizer.encode_ids(text) == ids);
            for (std::size_t i = 1; i < e.size(); ++i) CHECK((e.special_tokens_mask[i] == 1 || e.offsets[i].end >= e.offsets[i - 1].end));
            for (const TokenId id : ids) CHECK(tokenizer.token_to_id(*tokenizer.id_to_token(id)).value_or(id) == id);
            IncrementalEncoder encoder(tokenizer);
            for (const char c : text) encoder.append(std::string_view(&c, 1));
            CHECK(encoder.ids() == ids);
        }
        CHECK(tokenizer.decode(ids) == one["decoded"].get<std::string>());
        CHECK(streamed(tokenizer, ids, false) == one["decoded"].get<std::string>());
        CHECK(tokenizer.decode(ids, {.skip_special_tokens = true}) == one["decoded_skip_special"].get<std::string>());
        CHECK(streamed(tokenizer, ids, true) == one["decoded_skip_special"].get<std::string>());
    }
}

}  // namespace

TEST_CASE("CANINE and ByT5 are those of the reference, made in code or loaded") {
    check_cases(Tokenizer(canine_tokenizer()), expected()["canine"]["cases"]);
    check_cases(Tokenizer(byt5_tokenizer()), expected()["byt5"]["cases"]);
    for (const char* name : {"canine", "canine_mask", "byt5", "byt5_few"}) {
        CAPTURE(name);
        const ConfigDirectory directory(expected()[name]["config"]);
        check_cases(morsel_test::load_tokenizer(directory.path), expected()[name]["cases"]);
    }
    const ConfigDirectory old(json::parse(R"({"tokenizer_class": "ByT5Tokenizer", "extra_ids": 125, "eos_token": {"content": "</s>", "__type": "AddedToken"}})"));
    check_cases(morsel_test::load_tokenizer(old.path), expected()["byt5"]["cases"]);
}

TEST_CASE("CANINE and ByT5 know their sizes, roles and limits") {
    const Tokenizer canine(canine_tokenizer()), byt5(byt5_tokenizer());
    CHECK(canine.vocab_size() == 0x110000);
    CHECK(canine.id_bound() == 0x110000);
    CHECK(canine.cls_id() == TokenId{0xE000});
    CHECK(canine.sep_id() == TokenId{0xE001});
    CHECK(canine.mask_id() == TokenId{0xE003});
    CHECK(canine.pad_id() == TokenId{0});
    CHECK(canine.model_max_length() == std::size_t{2048});
    CHECK(!canine.id_to_token(0x110000));
    CHECK(canine.id_to_token(0x10FFFF) == "\U0010FFFF");
    CHECK(canine.id_to_token(0xD800) == "\uFFFD");
    CHECK(byt5.vocab_size() == 384);
    CHECK(byt5.id_bound() == 384);
    CHECK(byt5.eos_id() == TokenId{1});
    CHECK(byt5.encode("é").offsets == std::vector<Span>{{0, 2}, {0, 2}, {0, 0}});
    CHECK_THROWS_AS(tokenizer_json(canine.parts()), Error);
    CHECK_THROWS_AS(tokenizer_json(byt5.parts()), Error);
    const ConfigDirectory other(json::parse(R"({"tokenizer_class": "NoSuchTokenizer"})"));
    CHECK_THROWS_AS(morsel_test::load_tokenizer(other.path), Error);
}

TEST_CASE("bytes and characters: parts, counts and cuts are those of the whole") {
    std::mt19937 random(3);
    for (const Tokenizer& tokenizer : {Tokenizer(canine_tokenizer()), Tokenizer(byt5_tokenizer())})
        for (int i = 0; i < 200; ++i) {
            static const std::vector<std::string> parts = {"a", "word ", "é", "📌", "  ", "\n", "\xff", "\xe4\xb8", "<pad>", "</s>", " <unk> ", "<extra_id_7>", "\ue003", "\ue000", "ordinary text"};
            std::string text;
            for (std::size_t n = random() % 40; n > 0; --n) text += parts[random() % parts.size()];
            INFO(text);
            IncrementalEncoder encoder(tokenizer);
            for (std::size_t at = 0; at < text.size();) {
                const std::size_t size = 1 + random() % 20;
                encoder.append(std::string_view(text).substr(at, size));
                at = std::min(text.size(), at + size);
                REQUIRE(encoder.ids() == tokenizer.encode_ids(std::string_view(text).substr(0, at)));
            }
            const std::size_t limit = 2 + random() % 40, cut = truncate_to_tokens(tokenizer, text, limit);
            CHECK(tokenizer.encode_ids(std::string_view(text).substr(0, cut)).size() <= limit);
        }
}

TEST_CASE("a word vocabulary keeps frequent words, most frequent first") {
    const std::vector<WordCount> counts = {{"b", 5}, {"the", 9}, {"rare", 4}, {"a", 5}};
    const Tokenizer tokenizer(word_tokenizer(counts));
    CHECK(tokenizer.vocab_size() == 4);
    CHECK(tokenizer.encode_ids(" the  rare a\nb The") == std::vector<TokenId>{1, 0, 3, 2, 0});
    CHECK(tokenizer.decode(std::vector<TokenId>{1, 2}) == "the b");
    CHECK(tokenizer.unk_id() == TokenId{0});
    const Tokenizer lower(word_tokenizer(counts, {.min_count = 1, .unk_token = "[?]", .lower_case = true}));
    CHECK(lower.encode_ids("The RARE x") == std::vector<TokenId>{1, 4, 0});
    CHECK(lower.id_to_token(0) == "[?]");
    CHECK(parse_tokenizer_json(tokenizer_json(lower.parts()), "again").special_tokens.unk == "[?]");
    for (const WordCount& bad : {WordCount{"the", 7}, WordCount{"two words", 7}, WordCount{"", 7}, WordCount{"<unk>", 7}}) {
        std::vector<WordCount> with_bad = counts;
        with_bad.push_back(bad);
        CHECK_THROWS_AS(word_tokenizer(with_bad), Error);
    }

    const auto path = std::filesystem::temp_directory_path() / ("morsel-words-" + std::to_string(::getpid()));
    std::ofstream(path) << "</s> 3\nthe 9\r\nx y 2\n";
    const auto read = read_word_counts(path);
    REQUIRE(read.size() == 3);
    CHECK((read[1].word == "the" && read[1].count == 9 && read[2].word == "x y"));
    for (const char* bad : {"the\n", "the 9x\n", " 9\n", "the -1\n", "the 99999999999999999999999\n"}) {
        std::ofstream(path) << "a 1\n" << bad;
        try {
            read_word_counts(path);
            FAIL(bad);
        } catch (const Error& e) {
            CHECK((e.key() == "line 2" && e.file() == path.string()));
        }
    }
    std::filesystem::remove(path);
}

TEST_CASE("offsets in code points and UTF-16 units are those of the reference") {
    std::string last;
    Tokenizer tokenizer(canine_tokenizer());
    for (const json& one : expected()["units"]) {
        if (const std::string name = one["tokenizer"]; name != last) tokenizer = morsel_test::load_tokenizer(morsel_test::test_data() / "tokenizers" / (name + ".json")), last = name;
        CAPTURE(one.dump(-1, ' ', true));
        const std::string text = one["text"], pair = one.value("pair", "");
        EncodeOptions options;
        if (one.contains("pair")) options.text_pair = pair;
        for (const auto& [unit, key] : {std::pair{OffsetUnit::code_point, "code_points"}, std::pair{OffsetUnit::utf16, "utf16"}}) {
            Encoding e = tokenizer.encode(text, options);
            convert_offsets(e, unit, text, pair);
            json offsets = json::array();
            for (const Span& span : e.offsets) offsets.push_back({span.begin, span.end});
            CHECK(offsets == one[key]);
        }
    }
}

TEST_CASE("units are counted at any byte of any text") {
    std::mt19937 random(8);
    static const std::vector<std::string> parts = {"a", "é", "語", "📌", "\xff", "\xe4\xb8", "\xf0\x9f\x93", " "};
    for (int i = 0; i < 100; ++i) {
        std::string text;
        for (std::size_t n = random() % 200; n > 0; --n) text += parts[random() % parts.size()];
        for (const OffsetUnit unit : {OffsetUnit::byte, OffsetUnit::code_point, OffsetUnit::utf16}) {
            const OffsetIndex index(text, unit);
            std::size_t units = 0;  // by the definition, character by character
            for (std::size_t at = 0; at < text.size();) {
                const auto point = unicode::decode(text, at);
                const std::size_t size = unit == OffsetUnit::byte ? point.size : unit == OffsetUnit::utf16 && point.value > 0xFFFF ? 2 : 1;
                CHECK((index.floor(at) == units && index.ceil(at) == units));
                for (std::size_t inside = 1; inside < point.size; ++inside)
                    if (unit != OffsetUnit::byte) CHECK((index.floor(at + inside) == units && index.ceil(at + inside) == units + size));
                at += point.size, units += size;
            }
            CHECK((index.floor(text.size()) == units && index.ceil(text.size() + 5) == units));
        }
    }
    Encoding e = Tokenizer(canine_tokenizer()).encode("📌📌📌", {.truncation = Truncation{.max_length = 3}});
    convert_offsets(e, OffsetUnit::utf16, "📌📌📌");
    REQUIRE(e.overflowing.size() == 2);
    CHECK(e.overflowing[1].offsets[1] == Span{4, 6});
}
