// Every text of the reference files: ids, tokens, offsets, masks and both decodings, for five tokenizers as their makers ship
// them. Streamed decoding and the ids-only path are held to the same data.
#include <string>
#include <vector>

#include "morsel/tokenizer/stream_decoder.hpp"
#include "support/gold_lines.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/streamed.hpp"

namespace {

using morsel::TokenId;
using morsel_test::streamed;
using nlohmann::json;

json offsets_of(const morsel::Encoding& e) {
    json out = json::array();
    for (const auto& span : e.offsets) out.push_back({span.begin, span.end});
    return out;
}

void check_encodings(const std::string& name, std::size_t expected_lines) {
    const auto model = morsel_test::reference_data("models/" + name);
    const auto gold = morsel_test::reference_data("gold/tokenizers/" + name + ".jsonl.xz");
    if (!model || !gold) return;
    const auto tokenizer = morsel_test::load_tokenizer(*model);
    const auto lines = morsel_test::gold_lines(*gold);
    CHECK(lines.size() >= expected_lines);
    std::size_t wrong = 0;
    const auto check = [&](const json& line, const char* what, const json& got, const json& expected) {
        if (got == expected) return;
        if (++wrong <= 10) UNSCOPED_INFO(what << " of " << (line.contains("text") ? line["text"].dump(-1, ' ', true) : line["text_hex"].dump()).substr(0, 300) << "\n  got      " << got.dump(-1, ' ', true).substr(0, 300) << "\n  expected " << expected.dump(-1, ' ', true).substr(0, 300));
    };
    for (const json& line : lines) {
        const std::string text = line.contains("text") ? line["text"].get<std::string>() : morsel_test::from_hex(line["text_hex"]);
        const morsel::EncodeOptions options{.add_special_tokens = line["add_special_tokens"].get<bool>()};
        const morsel::Encoding e = tokenizer.encode(text, options);
        check(line, "ids", e.ids, line["ids"]);
        check(line, "ids-only", tokenizer.encode_ids(text, options), line["ids"]);
        check(line, "offsets", offsets_of(e), line["offsets"]);
        check(line, "special_tokens_mask", e.special_tokens_mask, line["special_tokens_mask"]);
        if (e.ids == line["ids"]) {
            // The reference's token of an added token is the text that it swallowed; ours is the vocabulary's.
            for (std::size_t i = 0; i < e.size(); ++i) {
                const auto* added = tokenizer.parts().added_tokens.find(e.ids[i]);
                if (added == nullptr || !(added->lstrip || added->rstrip)) check(line, "token", e.tokens[i], line["tokens"][i]);
            }
        }
        const std::vector<TokenId> ids = line["ids"];
        check(line, "decoded", tokenizer.decode(ids), line["decoded"]);
        check(line, "decoded_skip_special", tokenizer.decode(ids, {.skip_special_tokens = true}), line["decoded_skip_special"]);
        check(line, "streamed", streamed(tokenizer, ids, false), line["decoded"]);
        check(line, "streamed_skip_special", streamed(tokenizer, ids, true), line["decoded_skip_special"]);
    }
    CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("Phi-3 encodes and decodes as the reference") { check_encodings("phi-3-mini-4k-instruct", 1500); }
TEST_CASE("BERT encodes and decodes as the reference") { check_encodings("bert-base-cased", 1500); }
TEST_CASE("GPT-2 encodes and decodes as the reference") { check_encodings("gpt2", 1500); }
TEST_CASE("RoBERTa encodes and decodes as the reference") { check_encodings("roberta-base", 1500); }
TEST_CASE("Llama-2 encodes and decodes as SentencePiece") { check_encodings("llama2-sentencepiece", 1500); }
