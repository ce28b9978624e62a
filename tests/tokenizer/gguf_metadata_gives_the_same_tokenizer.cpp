// Tokenizers out of GGUF metadata, written here from the tiny tokenizers, give the ids of the files they come from.
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "morsel/tokenizer/loading/load_gguf.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using nlohmann::json;

namespace {

// A GGUF file of metadata alone.
struct GgufWriter {
    std::string body = {};
    std::uint64_t count = 0;

    template <class T> void raw(T value) {
        char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof value);
        body.append(bytes, sizeof value);
    }
    void text(const std::string& value) { raw(std::uint64_t{value.size()}), body += value; }
    void key(const std::string& name, std::uint32_t type) { text(name), raw(type), ++count; }
    void string(const std::string& name, const std::string& value) { key(name, 8), text(value); }
    void boolean(const std::string& name, bool value) { key(name, 7), raw(static_cast<std::uint8_t>(value)); }
    void number(const std::string& name, std::uint32_t value) { key(name, 4), raw(value); }
    void strings(const std::string& name, const std::vector<std::string>& values) {
        key(name, 9), raw(std::uint32_t{8}), raw(std::uint64_t{values.size()});
        for (const std::string& value : values) text(value);
    }
    template <class T> void numbers(const std::string& name, std::uint32_t type, const std::vector<T>& values) {
        key(name, 9), raw(type), raw(std::uint64_t{values.size()});
        for (const T value : values) raw(value);
    }
    std::string file() const {
        GgufWriter head;
        head.body = "GGUF";
        head.raw(std::uint32_t{3}), head.raw(std::uint64_t{0}), head.raw(count);
        std::string all = head.body + body;
        all.resize((all.size() + 31) / 32 * 32);
        return all;
    }
};

Tokenizer load_written(const GgufWriter& writer) {
    const std::string file = writer.file();
    return Tokenizer(load_gguf_tokenizer(GgufFile(std::as_bytes(std::span(file)), "tiny.gguf")));
}

std::vector<std::string> tokens_of(const Tokenizer& tokenizer) {
    std::vector<std::string> tokens;
    for (TokenId id = 0; id < tokenizer.vocabulary().id_bound(); ++id) tokens.emplace_back(tokenizer.vocabulary().token(id).value_or("?"));
    return tokens;
}

std::filesystem::path tiny(const char* name) { return morsel_test::test_data() / "tokenizers" / name; }

// Texts without added tokens.
std::vector<std::string> texts_without_markup() {
    std::vector<std::string> out;
    std::ifstream file(tiny("sentencepiece.jsonl"));
    for (std::string line; std::getline(file, line);) {
        const json record = json::parse(line);
        if (!record.contains("text")) continue;
        std::string text = record["text"];
        if (text.find('<') == text.npos && text.find('[') == text.npos && text.find("word") == text.npos) out.push_back(std::move(text));
    }
    CHECK(out.size() > 50);
    return out;
}

const EncodeOptions without_special{.add_special_tokens = false};

}  // namespace

TEST_CASE("byte-level BPE in GGUF") {
    const Tokenizer original = morsel_test::load_tokenizer(tiny("byte_level.json"));
    const json model = json::parse(std::ifstream(tiny("byte_level.json"))).at("model");
    GgufWriter writer;
    writer.string("tokenizer.ggml.model", "gpt2");
    writer.string("tokenizer.ggml.pre", "gpt-2");
    const std::vector<std::string> tokens = tokens_of(original);
    writer.strings("tokenizer.ggml.tokens", tokens);
    std::vector<std::string> merges;
    for (const json& m : model["merges"]) merges.push_back(m.is_string() ? m.get<std::string>() : m[0].get<std::string>() + " " + m[1].get<std::string>());
    writer.strings("tokenizer.ggml.merges", merges);
    std::vector<std::int32_t> types(tokens.size(), 1);
    types[0] = types[1] = 3;  // <s> </s>
    writer.numbers("tokenizer.ggml.token_type", 5, types);
    writer.number("tokenizer.ggml.bos_token_id", 0);
    writer.number("tokenizer.ggml.eos_token_id", 1);
    writer.boolean("tokenizer.ggml.add_bos_token", true);
    const Tokenizer tokenizer = load_written(writer);
    for (const std::string& text : texts_without_markup())  // the original puts a space in front
        if (!text.empty() && text[0] != ' ') CHECK(tokenizer.encode_ids(" " + text, without_special) == original.encode_ids(text, without_special));
    CHECK(tokenizer.encode_ids("").front() == 0);
    CHECK(tokenizer.encode_ids("a</s>").back() == 1);
    CHECK(tokenizer.eos_id() == std::optional<TokenId>(1));
    CHECK(tokenizer.decode(tokenizer.encode_ids("Gr\u00fc\u00dfe <s>"), {.skip_special_tokens = true}) == "Gr\u00fc\u00dfe ");

    GgufWriter unknown = writer;
    unknown.body.replace(unknown.body.find("gpt-2"), 5, "magic");
    CHECK_THROWS_AS(load_written(unknown), Error);
    GgufWriter short_types = writer;
    short_types.numbers<std::int32_t>("tokenizer.ggml.scores", 5, {});
    CHECK_NOTHROW(load_written(short_types));  // scores mean nothing here
}

TEST_CASE("SentencePiece in GGUF") {
    const Tokenizer original = morsel_test::load_tokenizer(tiny("sentencepiece"));
    const auto& model = std::get<SentencePiece>(original.parts().model);
    GgufWriter writer;
    writer.string("tokenizer.ggml.model", "llama");
    writer.strings("tokenizer.ggml.tokens", tokens_of(original));
    writer.numbers("tokenizer.ggml.scores", 6, model.scores);
    std::vector<std::int32_t> types;
    for (const PieceType type : model.types) types.push_back(static_cast<std::int32_t>(type));
    writer.numbers("tokenizer.ggml.token_type", 5, types);
    writer.number("tokenizer.ggml.bos_token_id", 1);
    writer.number("tokenizer.ggml.unknown_token_id", 0);
    const Tokenizer tokenizer = load_written(writer);
    for (const std::string& text : texts_without_markup()) {
        CHECK(tokenizer.encode_ids(text) == original.encode_ids(text));
        CHECK(tokenizer.decode(tokenizer.encode_ids(text), {.skip_special_tokens = true}) == original.decode(original.encode_ids(text)));
    }
    GgufWriter bad = writer;
    bad.number("tokenizer.ggml.eos_token_id", 1'000'000);
    CHECK_THROWS_AS(load_written(bad), Error);
}

TEST_CASE("SentencePiece's unigram in GGUF") {
    const Tokenizer original = morsel_test::load_tokenizer(tiny("sentencepiece_unigram"));
    const auto& model = std::get<SentencePiece>(original.parts().model);
    GgufWriter writer;
    writer.string("tokenizer.ggml.model", "t5");
    writer.strings("tokenizer.ggml.tokens", tokens_of(original));
    writer.numbers("tokenizer.ggml.scores", 6, model.scores);
    std::vector<std::int32_t> types;
    for (const PieceType type : model.types) types.push_back(static_cast<std::int32_t>(type));
    writer.numbers("tokenizer.ggml.token_type", 5, types);
    writer.number("tokenizer.ggml.eos_token_id", *original.token_to_id("</s>"));
    writer.number("tokenizer.ggml.unknown_token_id", model.unk_id);
    writer.boolean("tokenizer.ggml.remove_extra_whitespaces", true);
    const Tokenizer tokenizer = load_written(writer);
    for (const std::string& text : texts_without_markup()) {
        if (text.find("token") != text.npos || text.find(" of") != text.npos || text.starts_with("of")) continue;  // user-defined: cut out beforehand here
        std::vector<TokenId> ids = original.encode_ids(text, without_special);
        CHECK(tokenizer.encode_ids(text, without_special) == ids);
        ids.push_back(*original.token_to_id("</s>"));
        CHECK(tokenizer.encode_ids(text) == ids);
    }
    GgufWriter map = writer;
    map.numbers<std::uint8_t>("tokenizer.ggml.precompiled_charsmap", 0, {1, 2, 3});
    CHECK_THROWS_AS(load_written(map), Error);
}

TEST_CASE("every name of a pre-tokenizer in GGUF loads or says what it lacks") {
    const json model = json::parse(std::ifstream(tiny("byte_level.json"))).at("model");
    const Tokenizer original = morsel_test::load_tokenizer(tiny("byte_level.json"));
    const auto load_as = [&](const char* name) {
        GgufWriter writer;
        writer.string("tokenizer.ggml.model", "gpt2");
        writer.string("tokenizer.ggml.pre", name);
        writer.strings("tokenizer.ggml.tokens", tokens_of(original));
        std::vector<std::string> merges;
        for (const json& m : model["merges"]) merges.push_back(m.is_string() ? m.get<std::string>() : m[0].get<std::string>() + " " + m[1].get<std::string>());
        writer.strings("tokenizer.ggml.merges", merges);
        return load_written(writer);
    };
    for (const char* name : {"default", "falcon", "deepseek-v3", "command-r", "llama3", "glm4", "minicpm5", "qwen35", "kanana2", "tekken", "granite-docling"}) CHECK_NOTHROW(load_as(name));
    for (const char* name : {"bloom", "viking", "superbpe", "kimi-k2", "deepseek-coder"}) {  // need an engine for regular expressions
        try {
            load_as(name);
            FAIL(name);
        } catch (const Error& e) {
            CHECK(std::string(e.what()).find("pcre2.hpp") != std::string::npos);
            CHECK(e.key() == "tokenizer.ggml.pre");
        }
    }
}

TEST_CASE("WordPiece in GGUF") {
    const Tokenizer original = morsel_test::load_tokenizer(tiny("wordpiece.json"));
    GgufWriter writer;
    writer.string("tokenizer.ggml.model", "bert");
    std::vector<std::string> tokens = tokens_of(original);
    for (std::string& token : tokens) {
        if (token.starts_with("##")) token.erase(0, 2);
        else if (!token.starts_with("[") || token.size() == 1) token = "\u2581" + token;
    }
    writer.strings("tokenizer.ggml.tokens", tokens);
    std::vector<std::int32_t> types(tokens.size(), 1);
    for (std::size_t i = 0; i < 5; ++i) types[i] = 3;
    writer.numbers("tokenizer.ggml.token_type", 5, types);
    writer.number("tokenizer.ggml.padding_token_id", 0);
    writer.number("tokenizer.ggml.unknown_token_id", 1);
    writer.number("tokenizer.ggml.cls_token_id", 2);
    writer.number("tokenizer.ggml.seperator_token_id", 3);
    writer.number("tokenizer.ggml.mask_token_id", 4);
    const Tokenizer tokenizer = load_written(writer);
    for (const std::string& text : texts_without_markup()) CHECK(tokenizer.encode_ids(text) == original.encode_ids(text));
}
