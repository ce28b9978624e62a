// Encoding and decoding have a fast way for most tokenizers. It must give what the plain pipeline gives: on the reference's texts, on
// random mixtures of scripts, spaces, contractions and added tokens, on bytes that are no UTF-8, and from many threads at once.
#include <atomic>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/gold_lines.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/rounds.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

bool same(const Encoding& a, const Encoding& b) {
    return a.ids == b.ids && a.tokens == b.tokens && a.offsets == b.offsets && a.word_ids == b.word_ids && a.type_ids == b.type_ids &&
           a.special_tokens_mask == b.special_tokens_mask && a.attention_mask == b.attention_mask && a.sequence_ids == b.sequence_ids;
}

// Every way of encoding against the plain pipeline.
bool same_ids(const Tokenizer& tokenizer, std::string_view text) {
    for (const bool add_special : {true, false})
        for (const auto in_text : {SpecialTokensInText::parse, SpecialTokensInText::plain_text}) {
            const EncodeOptions options{.add_special_tokens = add_special, .special_tokens_in_text = in_text};
            const Encoding expected = tokenizer.encode_plainly(text, options);
            const IdsWithOffsets placed = tokenizer.encode_with_offsets(text, options);
            if (!same(tokenizer.encode(text, options), expected)) return false;
            if (tokenizer.encode_ids(text, options) != expected.ids || placed.ids != expected.ids || placed.offsets != expected.offsets) return false;
        }
    return true;
}

std::string text_of_hard_parts(std::mt19937& random, const Tokenizer& tokenizer) {
    static const std::vector<std::string> parts = {" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "'s", "'LL", "'\u017f", "the", " The", "international", "ization",
                                                   "antidisestablishmentarianism", "1", "23", "4567", "\u0663", "\u2167", "é", "e\u0301", "ß", "İ", "Ω", "я", "ह", "ी", "東京", "です",
                                                   "한국", "📌", "👩‍🚀", ".", "...", "/", "_", "--", "{}", "();", "€", "\xff", "\xe4\xb8", "a", "b", "zz", "\u200b", "\ufeff", "\u2581", "\u2581\u2581", "中文字符測試", "ひらがなカタカナ", "\x0b", "\x85", "\u2028", "ไทย", "))", "->", "Москва", "\ufdfa\ufdfa"};
    std::string text;
    const auto& added = tokenizer.added_tokens();
    for (std::size_t n = random() % 40; n > 0; --n) {
        if (!added.empty() && random() % 20 == 0) text += added[random() % added.size()].content;
        else if (random() % 30 == 0) text += std::string(1 + random() % 60, "ax 1\n-"[random() % 6]);
        else text += parts[random() % parts.size()];
    }
    return text;
}

}  // namespace

TEST_CASE("ids and offsets alone equal those of encodings on random text") {
    std::vector<std::filesystem::path> paths = {test_data() / "tokenizers/byte_level.json", test_data() / "tiny-llm", test_data() / "tokenizers/byte_fallback.json",
                                                test_data() / "tokenizers/wordpiece.json", test_data() / "tokenizers/wordpiece", test_data() / "tokenizers/sentencepiece"};
    for (const char* model : {"gpt2", "roberta-base", "phi-3-mini-4k-instruct", "bert-base-cased", "llama2-sentencepiece"})
        if (const auto path = reference_data(std::filesystem::path("models") / model)) paths.push_back(*path);
    for (const auto& path : paths) {
        const Tokenizer tokenizer = morsel_test::load_tokenizer(path);
        std::mt19937 random(5);
        for (int i = 0; i < morsel_test::rounds(1500); ++i) {
            const std::string text = text_of_hard_parts(random, tokenizer);
            INFO(path.string() << ": " << text);
            REQUIRE(same_ids(tokenizer, text));
        }
    }
}

TEST_CASE("ids alone equal those of encodings on the reference's texts") {
    for (const char* model : {"gpt2", "roberta-base", "phi-3-mini-4k-instruct", "bert-base-cased"}) {
        const auto path = reference_data(std::filesystem::path("models") / model);
        const auto lines = reference_data("gold/tokenizers/" + std::string(model) + ".jsonl.xz");
        if (!path || !lines) return;
        const Tokenizer tokenizer = morsel_test::load_tokenizer(*path);
        for (const auto& line : gold_lines(*lines)) {
            const std::string text = line.at("text").get<std::string>();
            INFO(model << ": " << text);
            REQUIRE(same_ids(tokenizer, text));
        }
    }
}

TEST_CASE("ids alone equal those of encodings across chunks") {
    std::vector<std::filesystem::path> paths;
    for (const char* name : {"byte_level.json", "byte_fallback.json", "wordpiece.json"}) paths.push_back(test_data() / "tokenizers" / name);
    for (const char* model : {"gpt2", "phi-3-mini-4k-instruct", "bert-base-cased"})
        if (const auto path = reference_data(std::filesystem::path("models") / model)) paths.push_back(*path);
    for (const auto& path : paths) {
        const Tokenizer tokenizer = morsel_test::load_tokenizer(path);
        std::mt19937 random(7);
        for (int i = 0; i < 40; ++i) {
            std::string text;
            while (text.size() < 9000) {
                text += text_of_hard_parts(random, tokenizer);
                if (random() % 8 == 0)
                    for (std::size_t n = random() % 1500; n > 0; --n) text += random() % 3 == 0 ? "中" : "文";
                if (random() % 8 == 0) text += std::string(random() % 9000, "ax 1\n-"[random() % 6]);
                if (random() % 8 == 0)  // one word of many tokens, merged in blocks
                    for (std::size_t n = random() % 12000; n > 0; --n) text += "etaoinab"[random() % 8];
            }
            const auto expected = tokenizer.encode_plainly(text).ids;
            INFO(path.string() << ": " << text);
            REQUIRE(tokenizer.encode_ids(text) == expected);
            std::string valid;  // the same without what is no UTF-8, else all of it takes the plain way
            for (std::size_t at = 0; at < text.size();) {
                const auto point = unicode::decode(text, at);
                if (point.valid) valid.append(text, at, point.size);
                at += point.size;
            }
            const Encoding encoding = tokenizer.encode_plainly(valid);
            REQUIRE(same(tokenizer.encode(valid), encoding));
            REQUIRE(tokenizer.encode_ids(valid) == encoding.ids);
            const IdsWithOffsets placed = tokenizer.encode_with_offsets(valid);
            REQUIRE(placed.ids == encoding.ids);
            REQUIRE(placed.offsets == encoding.offsets);
        }
    }
}

TEST_CASE("pieces cut between ideographs are not taken for whole pieces") {
    // Tokens: all bytes, five ideographs, and of these 中文 by a merge, 文字 and 字符 by none: only a whole piece is those, with ignore_merges.
    const auto in_alphabet = [](std::string_view text) {
        std::string characters;
        for (const char byte : text) unicode::append(characters, byte_to_character[static_cast<unsigned char>(byte)]);
        return characters;
    };
    const Tokenizer original = morsel_test::load_tokenizer(test_data() / "tokenizers/byte_level.json");
    for (const bool ignore_merges : {true, false}) {
        Bpe model;
        TokenId next = 0;
        std::uint32_t rank = 0;
        for (int byte = 0; byte < 256; ++byte) model.vocabulary.add(in_alphabet(std::string(1, static_cast<char>(byte))), next++);
        std::vector<std::pair<std::string, std::string>> merges;
        for (const std::string ideograph : {"中", "文", "字", "符", "測"}) {
            merges.emplace_back(in_alphabet(ideograph.substr(0, 1)), in_alphabet(ideograph.substr(1, 1)));
            merges.emplace_back(in_alphabet(ideograph.substr(0, 2)), in_alphabet(ideograph.substr(2, 1)));
        }
        merges.emplace_back(in_alphabet("中"), in_alphabet("文"));
        for (const auto& [left, right] : merges)
            if (!model.vocabulary.id(left + right)) model.vocabulary.add(left + right, next++);
        for (const char* whole : {"文字", "字符", " 測"}) model.vocabulary.add(in_alphabet(whole), next++);
        model.vocabulary.finish();
        for (const auto& [left, right] : merges) add_merge(model, {left, right}, model.vocabulary.id(left), model.vocabulary.id(right), rank++);
        model.ignore_merges = ignore_merges;
        TokenizerParts parts;
        parts.model = std::move(model);
        parts.pre_tokenizer = original.parts().pre_tokenizer;
        const Tokenizer tokenizer(std::move(parts));
        CHECK(tokenizer.encode_ids("字符") == tokenizer.encode_plainly("字符").ids);
        std::mt19937 random(13);
        for (int i = 0; i < morsel_test::rounds(3000); ++i) {
            std::string text;
            for (std::size_t n = random() % 14; n > 0; --n) text += std::vector<std::string>{"中", "文", "字", "符", "測", " ", "a", "。", "か", "é"}[random() % (i % 3 == 0 ? 10 : 5)];
            INFO(text);
            REQUIRE(tokenizer.encode_ids(text) == tokenizer.encode_plainly(text).ids);
            REQUIRE(tokenizer.encode_with_offsets(text).offsets == tokenizer.encode_plainly(text).offsets);
        }
    }
}

TEST_CASE("a tokenizer that learns while encoding is the same from many threads and when moved") {
    Tokenizer original = morsel_test::load_tokenizer(test_data() / "tiny-llm");
    const Tokenizer tokenizer = std::move(original);
    std::mt19937 random(9);
    std::vector<std::string> texts;
    std::vector<Encoding> expected;
    for (int i = 0; i < 200; ++i) texts.push_back(text_of_hard_parts(random, tokenizer)), expected.push_back(tokenizer.encode_plainly(texts.back()));
    ThreadPool pool(8);
    std::atomic<int> wrong{0};
    pool.run([&](unsigned) {
        for (std::size_t i = 0; i < texts.size(); ++i) wrong += tokenizer.encode_ids(texts[i]) != expected[i].ids || tokenizer.encode_with_offsets(texts[i]).offsets != expected[i].offsets;
    });
    CHECK(wrong == 0);
}

TEST_CASE("a byte that is no text is not swallowed with the white space before a token") {
    AddedTokens added;
    added.add({.content = "<m>", .lstrip = true}, Vocabulary());
    added.finish([](std::string_view content) { return std::string(content); });
    const auto splits = added.split_raw("a \u3000\x85<m>");
    REQUIRE(splits.size() == 2);
    CHECK(splits[1].begin == 6);
    CHECK(added.split_raw("a \u3000<m>")[1].begin == 1);
}

TEST_CASE("decoding gives what the decoders give") {
    std::vector<std::filesystem::path> paths;
    for (const char* name : {"byte_level.json", "byte_fallback.json", "wordpiece.json", "unigram.json", "suffix.json", "sentencepiece"}) paths.push_back(test_data() / "tokenizers" / name);
    for (const char* model : {"gpt2", "phi-3-mini-4k-instruct", "bert-base-cased"})
        if (const auto path = reference_data(std::filesystem::path("models") / model)) paths.push_back(*path);
    for (const auto& path : paths) {
        const Tokenizer tokenizer = morsel_test::load_tokenizer(path);
        INFO(path.string());
        std::mt19937 random(3);
        for (int i = 0; i < morsel_test::rounds(1000); ++i) {
            std::vector<TokenId> ids(random() % (i % 100 == 0 ? 3000 : 12));
            // Among them ids that are no token, and, where there are byte tokens, runs of those.
            for (TokenId& id : ids) {
                const auto byte = random() % 3 == 0 ? tokenizer.token_to_id("<0x" + std::string(1, "0123456789ABCDEF"[8 + random() % 8]) + "0123456789ABCDEF"[random() % 16] + ">") : std::nullopt;
                id = byte ? *byte : static_cast<TokenId>(random() % (tokenizer.id_bound() + 3));
            }
            if (i % 50 == 1 && !ids.empty()) ids[0] = 0xffffffffu;
            for (const bool skip : {false, true}) REQUIRE(tokenizer.decode(ids, {.skip_special_tokens = skip}) == tokenizer.decode_plainly(ids, skip));
        }
        std::mt19937 texts(4);
        for (int i = 0; i < 300; ++i) {
            const auto ids = tokenizer.encode_ids(text_of_hard_parts(texts, tokenizer));
            REQUIRE(tokenizer.decode(ids) == tokenizer.decode_plainly(ids));
        }
    }
}
