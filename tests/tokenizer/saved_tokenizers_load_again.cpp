// A saved tokenizer is the one that was saved: tokenizer.json has the values of the file that the reference wrote, loading it gives equal
// parts and encodings, the older files hold the same model, and what cannot be said is refused before anything is written.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "morsel/tokenizer.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

struct TemporaryDirectory {
    fs::path path = fs::temp_directory_path() / ("morsel-saved-" + std::to_string(::getpid()));
    TemporaryDirectory() { fs::create_directories(path); }
    ~TemporaryDirectory() { fs::remove_all(path); }
};

json file_json(const fs::path& path) { return json::parse(std::ifstream(path)); }

const std::vector<std::string> saved_texts = {"", " ", "Don't we've  seen this\n\n before? 1998, 42 + 7.", "Grüße aus München, café e\u0301", "日本語の文章、中文的句子。", "a<s>b </s> [MASK] x word wordy <|end|>  \n next WORD Word",
                                        "lowest newest 👨‍👩‍👧 \u0120 \u2581x <0x41>", "aaaaaaaaaaaaaaaaaaaaaaaaa         b"};

bool same_encodings(const Tokenizer& a, const Tokenizer& b) {
    for (const std::string& text : saved_texts) {
        const Encoding x = a.encode(text), y = b.encode(text);
        if (x.ids != y.ids || x.offsets != y.offsets || x.tokens != y.tokens || x.word_ids != y.word_ids || a.decode(x.ids) != b.decode(x.ids)) return false;
        const Encoding pair = a.encode(text, {.text_pair = "second"}), again = b.encode(text, {.text_pair = "second"});
        if (pair.ids != again.ids || pair.type_ids != again.type_ids || pair.special_tokens_mask != again.special_tokens_mask) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("a saved tokenizer.json has the values that the reference wrote, and loads again") {
    const TemporaryDirectory directory;
    for (const char* name : {"byte_level", "byte_fallback", "wordpiece", "unigram", "suffix"}) {
        CAPTURE(name);
        const fs::path original = morsel_test::test_data() / "tokenizers" / (std::string(name) + ".json"), saved = directory.path / (std::string(name) + ".json");
        const Tokenizer tokenizer = morsel_test::load_tokenizer(original);
        save_tokenizer_json(tokenizer, saved);
        json before = file_json(original), after = file_json(saved);
        if (before["post_processor"].is_object() && before["post_processor"]["type"] == "BertProcessing") {  // written as the template that it is
            CHECK(after["post_processor"]["type"] == "TemplateProcessing");
            before.erase("post_processor"), after.erase("post_processor");
        }
        const Tokenizer again = morsel_test::load_tokenizer(saved);
        if (const auto* unigram = std::get_if<Unigram>(&tokenizer.parts().model)) {  // scores are written so that the reference reads the same number
            CHECK(std::get<Unigram>(again.parts().model).scores == unigram->scores);
            for (json* file : {&before, &after})
                for (json& item : (*file)["model"]["vocab"]) item.erase(1);
        }
        CHECK(after == before);
        CHECK(same_encodings(tokenizer, again));
        CHECK(tokenizer_json(again.parts()) == tokenizer_json(tokenizer.parts()));
    }
}

TEST_CASE("every component is written as it is read") {
    const char* text = R"({"version":"1.0","truncation":{"direction":"Left","max_length":50,"strategy":"OnlyFirst","stride":1},
      "padding":{"strategy":{"Fixed":7},"direction":"Left","pad_to_multiple_of":8,"pad_id":3,"pad_type_id":1,"pad_token":"[PAD]"},
      "added_tokens":[{"id":0,"content":"a","single_word":true,"lstrip":true,"rstrip":true,"normalized":true,"special":true}],
      "normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFD"},{"type":"NFKC"},{"type":"NFKD"},
        {"type":"BertNormalizer","clean_text":false,"handle_chinese_chars":false,"strip_accents":true,"lowercase":false},{"type":"Lowercase"},
        {"type":"Strip","strip_left":true,"strip_right":false},{"type":"StripAccents"},{"type":"Replace","pattern":{"String":"a."},"content":"b"},
        {"type":"Replace","pattern":{"Regex":"\\s+"},"content":"b"},{"type":"Replace","pattern":{"Regex":"a\\."},"content":"b"},{"type":"Prepend","prepend":"x"},{"type":"ByteLevel"},{"type":"Nmt"}]},
      "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false},{"type":"BertPreTokenizer"},
        {"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":false},{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true},
        {"type":"Split","pattern":{"Regex":"\\p{N}{1,3}"},"behavior":"Isolated","invert":true},{"type":"Split","pattern":{"String":"a"},"behavior":"MergedWithNext","invert":false},
        {"type":"Punctuation","behavior":"MergedWithPrevious"},{"type":"Punctuation","behavior":"Contiguous"},{"type":"Punctuation","behavior":"Removed"},{"type":"Digits","individual_digits":true},
        {"type":"Whitespace"},{"type":"WhitespaceSplit"},{"type":"UnicodeScripts"},{"type":"CharDelimiterSplit","delimiter":"é"},{"type":"FixedLength","length":3}]},
      "post_processor":{"type":"Sequence","processors":[{"type":"RobertaProcessing","sep":["</s>",1],"cls":["<s>",2],"trim_offsets":false,"add_prefix_space":true},
        {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
        {"type":"RobertaProcessing","sep":["</s>",1],"cls":["<s>",2],"trim_offsets":true,"add_prefix_space":false},
        {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}},{"Sequence":{"id":"A","type_id":3}}],
         "pair":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"x","type_id":2}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"x":{"id":"x","ids":[0,5],"tokens":["x","y"]}}}]},
      "decoder":{"type":"Sequence","decoders":[{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},{"type":"WordPiece","prefix":"@@","cleanup":false},
        {"type":"Metaspace","replacement":"_","prepend_scheme":"never","split":true},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":"é","start":1,"stop":2},
        {"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"BPEDecoder","suffix":"</x>"},{"type":"CTC","pad_token":"<p>","word_delimiter_token":"-","cleanup":false}]},
      "model":)";
    for (const char* model : {R"({"type":"BPE","dropout":null,"unk_token":"a","continuing_subword_prefix":"#","end_of_word_suffix":"$","fuse_unk":true,"byte_fallback":true,"ignore_merges":true,"vocab":{"a":0,"#b":1,"ab":7,"\"\\\n":2},"merges":[["a","#b"]]})",
                              R"({"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"@","max_input_chars_per_word":9,"vocab":{"a":0}})", R"({"type":"WordLevel","vocab":{"a":0,"b":4},"unk_token":"a"})",
                              R"({"type":"Unigram","unk_id":1,"vocab":[["a",-0.1],["b",-1e-300],["c",0.0]],"byte_fallback":true})"}) {
        const std::string file = text + std::string(model) + "}";
        CHECK(json::diff(json::parse(file), json::parse(tokenizer_json(parse_tokenizer_json(file, "test")))) == json::array());
    }
}

TEST_CASE("merges keep their order, whatever the ids") {
    const std::string file = R"({"model":{"type":"BPE","vocab":{"a":9,"b":3,"c":7,"ab":0,"bc":1,"abc":2},"merges":["b c","a b","a bc","ab c"]}})";
    const json saved = json::parse(tokenizer_json(parse_tokenizer_json(file, "test")));
    CHECK(saved["model"]["merges"] == json::parse(R"([["b","c"],["a","b"],["a","bc"],["ab","c"]])"));
}

TEST_CASE("tokenizers of other files are saved as tokenizer.json") {
    const TemporaryDirectory directory;
    for (const char* name : {"sentencepiece", "wordpiece/vocab.txt"}) {
        CAPTURE(name);
        const Tokenizer tokenizer = morsel_test::load_tokenizer(morsel_test::test_data() / "tokenizers" / name);
        save_tokenizer(tokenizer, directory.path / "new" / "directory");
        const Tokenizer again = morsel_test::load_tokenizer(directory.path / "new" / "directory");
        CHECK(again.bos_id() == tokenizer.bos_id());
        CHECK(again.unk_id() == tokenizer.unk_id());
        for (const std::string& text : saved_texts) {
            CAPTURE(text);
            // The tokens with a role, named in tokenizer_config.json, are special tokens when loaded, as transformers has it; SentencePiece has none.
            const bool none = std::holds_alternative<SentencePiece>(tokenizer.parts().model);
            CHECK(again.encode_ids(text, {.special_tokens_in_text = none ? SpecialTokensInText::plain_text : SpecialTokensInText::parse}) == tokenizer.encode_ids(text));
            const auto ids = tokenizer.encode_ids(text, {.add_special_tokens = false});
            CHECK(again.decode(ids, {.skip_special_tokens = true}) == tokenizer.decode(ids, {.skip_special_tokens = true}));
        }
    }
    // Split patterns that a GGUF file knows by name only.
    TokenizerParts parts = load_tokenizer_parts(morsel_test::test_data() / "tokenizers/byte_level.json");
    for (const auto& known : split::known) {
        parts.pre_tokenizer->steps.clear();
        parts.pre_tokenizer->steps.emplace_back(SplitPreTokenizer{Pattern{"a name", known.scanner}});
        const auto again = parse_tokenizer_json(tokenizer_json(parts), "test");
        const auto& matcher = std::get<SplitPreTokenizer>(again.pre_tokenizer->steps.at(0)).pattern.matcher;
        CHECK(std::get<SplitScanner>(matcher).next == known.scanner.next);
    }
}

TEST_CASE("vocab.json with merges.txt and vocab.txt hold the model") {
    const TemporaryDirectory directory;
    const auto bpe = load_tokenizer_parts(morsel_test::test_data() / "tokenizers/byte_level.json");
    save_vocab_merges(bpe, directory.path);
    const Vocabulary vocabulary = parse_vocab_json(MappedFile(directory.path / "vocab.json").text(), "vocab.json");
    Bpe again{.vocabulary = vocabulary};
    parse_merges(MappedFile(directory.path / "merges.txt").text(), "merges.txt", again);
    CHECK(detail::vocabulary_json(vocabulary, "") == detail::vocabulary_json(vocabulary_of(bpe.model), ""));
    CHECK(again.merges.size() == std::get<Bpe>(bpe.model).merges.size());
    std::get<Bpe>(bpe.model).merges.for_each([&](std::uint64_t pair, const Merge& merge) {
        REQUIRE(again.merges.find(pair) != nullptr);
        CHECK(again.merges.find(pair)->rank == merge.rank);
    });

    const auto wordpiece = load_tokenizer_parts(morsel_test::test_data() / "tokenizers/wordpiece.json");
    save_vocab_txt(wordpiece, directory.path / "vocab.txt");
    CHECK(MappedFile(directory.path / "vocab.txt").text() == MappedFile(morsel_test::test_data() / "tokenizers/wordpiece/vocab.txt").text());
    CHECK_THROWS_AS(save_vocab_txt(bpe, directory.path / "x"), Error);
    CHECK_THROWS_AS(save_vocab_merges(wordpiece, directory.path), Error);
}

TEST_CASE("what cannot be said is refused by name, and the old file stays") {
    const TemporaryDirectory directory;
    const fs::path path = directory.path / "tokenizer.json";
    std::ofstream(path) << "old";
    const auto refused = [&](const TokenizerParts& parts, const std::string& key) {
        try {
            save_tokenizer_json(parts, path);
            FAIL("saved");
        } catch (const Error& e) {
            CHECK(e.file() == path.string());
            CHECK(e.key().find(key) != std::string::npos);
        }
        CHECK(MappedFile(path).text() == "old");
        CHECK(std::distance(fs::directory_iterator(directory.path), fs::directory_iterator()) == 1);
    };
    const fs::path tokenizers = morsel_test::test_data() / "tokenizers";
    const TokenizerParts good = load_tokenizer_parts(tokenizers / "byte_level.json");
    refused(load_tokenizer_parts(tokenizers / "sentencepiece_rules"), "model");
    TokenizerParts parts = good;
    parts.post_processors = {SingleType{}};
    refused(parts, "post_processor");
    parts = good;
    parts.pre_tokenizer->steps = {SplitPreTokenizer{Pattern{"", split::smollm}}};
    refused(parts, "pre_tokenizer");
    parts = good;
    std::get<Bpe>(parts.model).vocabulary.add("\xff", 5000);
    refused(parts, "vocab");
    parts = good;
    parts.special_tokens.bos = "x";
    CHECK_THROWS_AS(save_tokenizer_json(parts, directory.path / "missing" / "tokenizer.json"), Error);
}
