// Odd and hostile tokenizer.json files: each either loads, with the result that Hugging Face tokenizers gives, or is a morsel::Error
// that names the place. Never a crash, never a hang.
#include <functional>
#include <string>
#include <vector>

#include "morsel/tokenizer.hpp"
#include "support/catch.hpp"
#include "support/text.hpp"

using namespace morsel;
using morsel_test::repeat;

namespace {

const std::string bpe_model = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"c":3},"merges":["a b"]})";

std::string file(const std::string& model, const std::string& more = "") { return R"({"version":"1.0",)" + more + R"("model":)" + model + "}"; }

Tokenizer load(const std::string& text) { return Tokenizer(parse_tokenizer_json(text, "tokenizer.json")); }

std::string nested(const std::string& type, const std::string& key, std::size_t depth, const std::string& inner) {
    return repeat(R"({"type":")" + type + R"(",")" + key + R"(":[)", depth) + inner + repeat("]}", depth);
}

std::string added(const std::string& fields) { return R"("added_tokens":[{)" + fields + "}],"; }
const std::string flags = R"("single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true)";

struct Refused {
    const char* name;
    std::string text;
    std::string said;  // must be part of the message
};

struct Accepted {
    const char* name;
    std::string text, input;
    std::vector<TokenId> ids;
};

}  // namespace

TEST_CASE("files that must be refused") {
    const std::string unigram = R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["a",-1.0]]})";
    const auto normalizer = [&](const std::string& n) { return file(bpe_model, R"("normalizer":)" + n + ","); };
    const auto pre = [&](const std::string& p) { return file(bpe_model, R"("pre_tokenizer":)" + p + ","); };
    const auto post = [&](const std::string& p) { return file(bpe_model, R"("post_processor":)" + p + ","); };
    const auto decoder = [&](const std::string& d) { return file(bpe_model, R"("decoder":)" + d + ","); };
    const auto vocab = [&](const std::string& v) { return file(R"({"type":"BPE","vocab":)" + v + R"(,"merges":[]})"); };
    const auto merges = [&](const std::string& m) { return file(R"({"type":"BPE","vocab":{"":9,"a":0,"b":1,"ab":2,"a b":4},"merges":)" + m + "}"); };
    const std::vector<Refused> cases = {
        {"T01 empty", "", "empty file"},
        {"T02 cut in half", R"({"version":"1.0","model":{"type":"BP)", "column"},
        {"T03 array", "[]", "tokenizer.json"},
        {"T04 not found page", "404: Not Found", "line 1"},
        {"T05 LFS pointer", "version https://git-lfs.github.com/spec/v1\n", "LFS"},
        {"T06 byte order mark", "\xEF\xBB\xBF" + file(bpe_model), "byte order mark"},
        {"T07 no model", R"({"version":"1.0"})", "model"},
        {"T08 model null", file("null"), "model"},
        {"T09 unknown model", file(R"({"type":"Magic","vocab":{},"merges":[]})"), "Magic"},
        {"T11 no vocab", file(R"({"type":"BPE","merges":[]})"), "model.vocab"},
        {"T12 no merges", file(R"({"type":"BPE","vocab":{"a":0}})"), "model.merges"},
        {"T13 part of a merge unknown", merges(R"(["a z"])"), "model.merges[0]"},
        {"T14 result of a merge unknown", merges(R"(["b a"])"), "model.merges[0]"},
        {"T15 result longer than any token", merges(R"(["ab ab"])"), "model.merges[0]"},
        {"T16 merge of three", merges(R"([["a","b","a"]])"), "model.merges[0]"},
        {"T16 merge of one", merges(R"([["a"]])"), "model.merges[0]"},
        {"T18 no space", merges(R"(["a b","ab"])"), "model.merges[1]"},
        {"T19 two spaces", merges(R"(["a  b"])"), "model.merges[0]"},
        {"T20 both forms", merges(R"(["a b",["a","b"]])"), "model.merges[1]"},
        {"T20 both forms, other order", merges(R"([["a","b"],"a b"])"), "model.merges[1]"},
        {"T21 empty parts", merges(R"([["",""]])"), "model.merges[0]"},
        {"merge of numbers", merges("[[1,2]]"), "model.merges[0]"},
        {"merges an object", merges("{}"), "merges"},
        {"T25 negative id", vocab(R"({"a":-1})"), "model.vocab['a']"},
        {"T26 fraction", vocab(R"({"a":1.5})"), "model.vocab['a']"},
        {"T27 written as a float", vocab(R"({"a":1.0})"), "model.vocab['a']"},
        {"T29 2^32", vocab(R"({"a":4294967296})"), "model.vocab['a']"},
        {"T30 string", vocab(R"({"a":"1"})"), "model.vocab['a']"},
        {"id null", vocab(R"({"a":null})"), "model.vocab['a']"},
        {"id object", vocab(R"({"a":{}})"), "model.vocab['a']"},
        {"vocab a number", vocab("3"), "model.vocab"},
        {"BPE with a list", vocab(R"([["a",0.0]])"), "model.vocab"},
        {"T36 dropout -1", file(R"({"type":"BPE","dropout":-1.0,"vocab":{"a":0},"merges":[]})"), "dropout"},
        {"T37 dropout 2", file(R"({"type":"BPE","dropout":2,"vocab":{"a":0},"merges":[]})"), "dropout"},
        {"T38 prefix longer than a part", file(R"({"type":"BPE","continuing_subword_prefix":"##","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})"), "model.merges[0]"},
        {"T39 version 2", R"({"version":"2.0","model":)" + bpe_model + "}", "version"},
        {"T41 unknown key", file(bpe_model, R"("extra":1,)"), "extra"},
        {"T46 added token without lstrip", file(bpe_model, added(R"("id":4,"content":"x","single_word":false,"rstrip":false,"normalized":false,"special":true)")), "lstrip"},
        {"T92 added token without content", file(bpe_model, added(R"("id":4,)" + flags)), "content"},
        {"T95 added token without id", file(bpe_model, added(R"("content":"x",)" + flags)), "added_tokens[0].id"},
        {"added token of negative id", file(bpe_model, added(R"("id":-4,"content":"x",)" + flags)), "added_tokens[0].id"},
        {"T48 unknown normalizer", normalizer(R"({"type":"Magic"})"), "Magic"},
        {"T63 unknown split behavior", pre(R"({"type":"Split","pattern":{"String":"a"},"behavior":"Magic","invert":false})"), "Magic"},
        {"T71 unknown decoder", decoder(R"({"type":"Magic"})"), "Magic"},
        {"unknown pre-tokenizer", pre(R"({"type":"Magic"})"), "Magic"},
        {"unknown post-processor", post(R"({"type":"Magic"})"), "Magic"},
        {"type a number", decoder(R"({"type":1})"), "decoder.type"},
        {"charsmap too short", normalizer(R"({"type":"Precompiled","precompiled_charsmap":"AAAA"})"), "precompiled_charsmap"},
        {"charsmap of zeros", normalizer(R"({"type":"Precompiled","precompiled_charsmap":"AAAAAAAAAAA="})"), "precompiled_charsmap"},
        {"charsmap with text that is no UTF-8", normalizer(R"({"type":"Precompiled","precompiled_charsmap":"BAAAAAAEAAD/"})"), "precompiled_charsmap"},
        {"T50 charsmap null", normalizer(R"({"type":"Precompiled","precompiled_charsmap":null})"), "normalizer"},
        {"T51 charsmap no base64", normalizer(R"({"type":"Precompiled","precompiled_charsmap":"?"})"), "normalizer"},
        {"T57 200 nested sequences", normalizer(nested("Sequence", "normalizers", 200, R"({"type":"NFC"})")), "nested"},
        {"T58b 10,000 nested sequences", pre(nested("Sequence", "pretokenizers", 10000, R"({"type":"Digits"})")), "nested"},
        {"T64 FixedLength 0", pre(R"({"type":"FixedLength","length":0})"), "length"},
        {"T65 replacement of two characters", pre(R"({"type":"Metaspace","replacement":"ab","prepend_scheme":"always"})"), "replacement"},
        {"T66 empty replacement", decoder(R"({"type":"Metaspace","replacement":"","prepend_scheme":"always"})"), "replacement"},
        {"T67 template names a missing special", post(R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[X]","type_id":0}}],"pair":[],"special_tokens":{}})"), "[X]"},
        {"T68 ids and tokens differ in length",
         post(R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a","type_id":0}}],"pair":[],"special_tokens":{"a":{"id":"a","ids":[0,1],"tokens":["a"]}}})"), "ids"},
        {"template with sequence C", post(R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"C","type_id":0}}],"pair":[],"special_tokens":{}})"), "A or B"},
        {"template for one text with B", post(R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"pair":[],"special_tokens":{}})"), "single"},
        {"T72 stride as long as the text", file(bpe_model, R"("truncation":{"max_length":4,"stride":4,"strategy":"LongestFirst","direction":"Right"},)"), "stride"},
        {"unknown strategy", file(bpe_model, R"("truncation":{"max_length":4,"stride":0,"strategy":"Magic","direction":"Right"},)"), "Magic"},
        {"T75 padding to a multiple of 2^32-1",
         file(bpe_model, R"("padding":{"strategy":"BatchLongest","direction":"Right","pad_to_multiple_of":4294967295,"pad_id":0,"pad_type_id":0,"pad_token":"a"},)"), "padding"},
        {"padding to 10^9", file(bpe_model, R"("padding":{"strategy":{"Fixed":1000000000},"direction":"Right","pad_id":0,"pad_type_id":0,"pad_token":"a"},)"), "padding"},
        {"T79 unk_id out of range", file(R"({"type":"Unigram","unk_id":7,"vocab":[["a",0.0]]})"), "unk_id"},
        {"T81 NaN", file(R"({"type":"Unigram","unk_id":0,"vocab":[["a",NaN]]})"), "column"},
        {"T82 -1e999", file(R"({"type":"Unigram","unk_id":0,"vocab":[["a",-1e999]]})"), "tokenizer.json"},
        {"Unigram item without score", file(R"({"type":"Unigram","unk_id":0,"vocab":[["a"]]})"), "model.vocab[0]"},
        {"Unigram item of three", file(R"({"type":"Unigram","unk_id":0,"vocab":[["a",1,2]]})"), "model.vocab[0]"},
        {"Unigram with an object", file(R"({"type":"Unigram","unk_id":0,"vocab":{"a":0}})"), "model.vocab"},
        {"T88 lone surrogate", vocab(R"({"\ud800":0})"), "column"},
        {"T90 nested 100 K", repeat("[", 100000), "nested"},
        {"T90 nested within vocab", vocab(R"({"a":)" + repeat("[", 100000)), "nested"},
        {"T91 trailing x", file(bpe_model) + "x", "column"},
        {"invalid UTF-8", vocab("{\"\xff\":0}"), "column"},
    };
    for (const Refused& c : cases) {
        CAPTURE(c.name);
        try {
            load(c.text);
            FAIL_CHECK("loaded");
        } catch (const Error& e) {
            CAPTURE(e.what());
            CHECK(std::string(e.what()).find("tokenizer.json") != std::string::npos);
            CHECK(std::string(e.what()).find(c.said) != std::string::npos);
        }
    }
    CHECK_NOTHROW(load(file(unigram)));
}

TEST_CASE("regular expressions that no engine would take") {
    // Without an engine any pattern but the known and the trivial ones is refused; with one, a broken pattern.
    for (const char* regex : {"(", "[z-a]", "(a+)+$"})
        CHECK_THROWS_AS(load(file(bpe_model, std::string(R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":")") + regex + R"("},"behavior":"Isolated","invert":false},)")), Error);
}

TEST_CASE("files that load, with what they then do") {
    const std::string template_without_text = R"("post_processor":{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{}},)";
    const std::vector<Accepted> cases = {
        {"plain", file(bpe_model), "abc", {2, 3}},
        {"T10 no type", file(R"({"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})"), "ab", {2}},
        {"merges before vocab", file(R"({"merges":[["a","b"]],"vocab":{"a":0,"b":1,"ab":2},"type":"BPE"})"), "ab", {2}},
        {"T40 no version", R"({"model":)" + bpe_model + "}", "ab", {2}},
        {"T22 the last of duplicate merges gives the rank", file(R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"bb":3},"merges":["a b","b b","a b"]})"), "abb", {0, 3}},
        {"T24 duplicate key, last id", file(R"({"type":"BPE","vocab":{"a":0,"a":5},"merges":[]})"), "a", {5}},
        {"T28 id 2^32-1", file(R"({"type":"BPE","vocab":{"a":4294967295,"b":1},"merges":[]})"), "ab", {4294967295u, 1}},
        {"T31 far apart ids", file(R"({"type":"BPE","vocab":{"a":0,"b":10,"c":1000000},"merges":[]})"), "abc", {0, 10, 1000000}},
        {"T32 empty token", file(R"({"type":"BPE","vocab":{"":0,"a":1},"merges":[]})"), "a", {1}},
        {"T33 empty vocabulary", file(R"({"type":"BPE","vocab":{},"merges":[]})"), "a", {}},
        {"T35 unknown character dropped", file(bpe_model), "axb", {2}},
        {"T42 added token of a used id", file(bpe_model, added(R"("id":1,"content":"x",)" + flags)), "xb", {4, 1}},
        {"T43 added token of id 2^32-6", file(bpe_model, added(R"("id":4294967290,"content":"x",)" + flags)), "x", {4}},
        {"T47 added token far behind", file(bpe_model, added(R"("id":99,"content":"x",)" + flags)), "x", {4}},
        {"T44 empty added token", file(bpe_model, added(R"("id":4,"content":"",)" + flags)), "ab", {2}},
        {"T58 50 nested sequences", file(bpe_model, R"("normalizer":)" + nested("Sequence", "normalizers", 50, R"({"type":"Lowercase"})") + ","), "AB", {2}},
        {"T61 empty regex splits every character", file(bpe_model, R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":""},"behavior":"Isolated","invert":false},)"), "ab", {0, 1}},
        {"T69 template without text", file(bpe_model, template_without_text), "ab", {}},
        {"T75 multiple of 0", file(bpe_model, R"("padding":{"strategy":"BatchLongest","direction":"Right","pad_to_multiple_of":0,"pad_id":0,"pad_type_id":0,"pad_token":"a"},)"), "ab", {2}},
        {"T77 no characters a word", file(R"({"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":0,"vocab":{"[UNK]":0,"a":1}})"), "a", {0}},
        {"T83 Unigram duplicate", file(R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["a",-1.0],["a",-2.0]]})"), "a", {2}},
        {"T84 Unigram empty token", file(R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["",-1.0],["a",-2.0]]})"), "a", {2}},
        {"T85 Unigram scores of 1e308", file(R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["a",1e308],["aa",1e308]]})"), "aaaa", {1, 1, 2}},
        {"Unigram takes the best sum", file(R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["a",-1.0],["b",-1.5],["ab",-2.5],["ba",-2.5],["bab",-2.0]]})"), "ababxyab", {1, 5, 0, 3}},
        {"T86 byte_fallback without byte tokens", file(R"({"type":"BPE","unk_token":"u","byte_fallback":true,"vocab":{"u":0,"a":1},"merges":[]})"), "ax", {1, 0}},
        {"T89 NUL in a token", file(R"({"type":"BPE","vocab":{"\u0000":3,"a":1},"merges":[]})"), std::string("a\0a", 3), {1, 3, 1}},
        {"WordLevel", file(R"({"type":"WordLevel","unk_token":"u","vocab":{"u":0,"ab":1}})", R"("pre_tokenizer":{"type":"WhitespaceSplit"},)"), "ab x", {1, 0}},
    };
    for (const Accepted& c : cases) {
        CAPTURE(c.name);
        try {
            const Tokenizer tokenizer = load(c.text);
            CHECK(tokenizer.encode(c.input).ids == c.ids);
            CHECK(tokenizer.encode_ids(c.input) == c.ids);
        } catch (const Error& e) {
            FAIL_CHECK(e.what());
        }
    }
}

TEST_CASE("what fails only when it is used") {
    CHECK_THROWS_AS(load(file(R"({"type":"BPE","unk_token":"u","vocab":{"a":0},"merges":[]})")).encode("x"), Error);           // T34
    CHECK_THROWS_AS(load(file(R"({"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"a":0}})")).encode("x"), Error);  // T76
    CHECK_THROWS_AS(load(file(R"({"type":"WordLevel","unk_token":"u","vocab":{"a":0}})")).encode("x"), Error);                // T87
    CHECK_THROWS_AS(load(file(R"({"type":"Unigram","unk_id":null,"vocab":[["a",0.0]]})")).encode("x"), Error);               // T80
    CHECK_THROWS_AS(load(file(R"({"type":"Unigram","unk_id":null,"vocab":[]})")).encode("x"), Error);                        // T78
    // T23: of two tokens with one id, the id stands for one of them and decodes.
    CHECK(load(file(R"({"type":"BPE","vocab":{"a":0,"b":0},"merges":[]})")).id_to_token(0) == std::optional<std::string_view>("b"));
    // T70: Strip longer than the token.
    CHECK(load(file(bpe_model, R"("decoder":{"type":"Strip","content":"a","start":5,"stop":5},)")).decode(std::vector<TokenId>{0}) == "");
    // T73: a length with no room.
    const Tokenizer wrapped = load(file(bpe_model, R"("post_processor":{"type":"BertProcessing","sep":["b",1],"cls":["a",0]},)"));
    CHECK(wrapped.encode("c").ids == std::vector<TokenId>{0, 3, 1});
    CHECK_THROWS_AS(wrapped.encode("c", {.truncation = Truncation{.max_length = 1}}), Error);
    CHECK(wrapped.encode("c", {.truncation = Truncation{.max_length = 2}}).ids == std::vector<TokenId>{0, 1});
    // T74: padding to a million works, beyond the cap it is refused before anything is allocated.
    CHECK(wrapped.encode("c", {.padding = Padding{.length = 1'000'000}}).size() == 1'000'000);
    CHECK_THROWS_AS(wrapped.encode("c", {.padding = Padding{.length = std::size_t{1} << 40}}), Error);
    CHECK_THROWS_AS(wrapped.encode("c", {.padding = Padding{.multiple_of = 4294967295u}}), Error);
}
