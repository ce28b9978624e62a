// The morsel command as a person or a script meets it: what goes to stdout, what to stderr, and the exit status.
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/safetensors.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"
#include "support/tensors.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

struct Outcome {
    int status = 0;
    std::string out, err;
};

std::filesystem::path scratch(const char* name) { return std::filesystem::temp_directory_path() / (std::string("morsel_cli_") + name); }

// Runs `morsel <arguments>` in a shell, with `input` on its stdin.
Outcome run(const std::string& arguments, const std::string& input = {}) {
    std::ofstream(scratch("in"), std::ios::binary) << input;
    const std::string command = std::string(MORSEL_COMMAND) + " " + arguments + " <" + scratch("in").string() + " >" + scratch("out").string() + " 2>" + scratch("err").string();
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(scratch("out")), read_file(scratch("err"))};
}

#if defined(MORSEL_HAS_CUDA)
constexpr bool built_with_cuda = true;
#else
constexpr bool built_with_cuda = false;
#endif

std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

const std::string model = quoted(test_data() / "tiny-llm");

std::size_t lines(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')); }

}  // namespace

TEST_CASE("help goes to stdout, wrong usage to stderr with status 2") {
    const Outcome help = run("--help");
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    for (const char* command : {"encode", "decode", "compare", "trace", "generate", "chat", "forward", "inspect", "train"}) {
        CHECK(help.out.find(command) != std::string::npos);
        const Outcome one = run(std::string(command) + " --help");
        CHECK(one.status == 0);
        CHECK(one.out.find("usage: morsel " + std::string(command)) == 0);
        const Outcome wrong = run(std::string(command) + " --no-such-option");
        CHECK(wrong.status == 2);
        CHECK(wrong.out.empty());
        CHECK(wrong.err.find("--no-such-option") != std::string::npos);
    }
    CHECK(run("").status == 2);
    CHECK(run("no-such-command").status == 2);
    CHECK(run("encode").status == 2);
    CHECK(run("generate --model " + model + " --prompt x --max-new-tokens many").status == 2);
    CHECK(run("generate --model " + model + " --prompt x --greedy --do-sample").status == 2);
}

TEST_CASE("bad input is one line on stderr and status 1") {
    const auto broken = scratch("broken.safetensors");
    std::ofstream(broken) << "short";
    for (const std::string& arguments :
         {std::string("encode --tokenizer no/such/path"), std::string("generate --model no/such/path --prompt x"), "inspect " + quoted(broken),
          "generate --model " + model + " --prompt x --do-sample --temperature 0", "generate --model " + model + " --prompt x --top-p 2",
          "forward --model " + model + " --inputs " + quoted(broken) + " --output " + quoted(scratch("never"))}) {
        const Outcome outcome = run(arguments);
        INFO(arguments << ": " << outcome.err);
        CHECK(outcome.status == 1);
        CHECK(outcome.out.empty());
        CHECK(lines(outcome.err) == 1);
        CHECK(outcome.err.find("morsel: ") == 0);
    }
    CHECK(!std::filesystem::exists(scratch("never")));
}

TEST_CASE("encode and decode are each other's inverse in every format") {
    const std::string text = "A token is a small chunk of text.\nGröße, 東京 and 📌\n";
    const Outcome ids = run("encode --tokenizer " + model, text);
    CHECK(ids.status == 0);
    CHECK(lines(ids.out) == 2);
    const Outcome decoded = run("decode --tokenizer " + model, ids.out);
    CHECK(decoded.status == 0);
    CHECK(decoded.out == text);

    const Outcome json = run("encode --tokenizer " + model + " --format json --input jsonl", "\"A token\"\n{\"text\": \"東京\"}\n");
    REQUIRE(lines(json.out) == 2);
    const Json first = parse_json(json.out.substr(0, json.out.find('\n')));
    const std::size_t count = first.at("ids").size();
    CHECK(count > 0);
    for (const char* field : {"tokens", "offsets", "type_ids", "attention_mask", "special_tokens_mask"}) CHECK(first.at(field).size() == count);
    CHECK(first.at("offsets").back().at(1) == 7);
    const Outcome back = run("decode --tokenizer " + model + " --format json", first.at("ids").dump() + "\n");
    CHECK(parse_json(back.out.substr(0, back.out.find('\n'))) == "A token");
    CHECK(run("encode --tokenizer " + model + " --input jsonl", "{\"text\": 3}\n").status == 1);
    CHECK(run("encode --tokenizer " + model + " --input jsonl", "not json\n").status == 1);
}

TEST_CASE("encode shows pieces, coloured only where that is wanted, and as a web page") {
    const std::string arguments = "encode --tokenizer " + quoted(test_data() / "tokenizers/wordpiece.json") + " --format ";
    const Outcome plain = run(arguments + "show", "the tokens\x1b[31m\n");
    CHECK(plain.status == 0);
    CHECK(plain.out.find('\x1b') == std::string::npos);  // no terminal: no colour
    CHECK(plain.out.starts_with("⟨[CLS]⟩│the│ │"));
    CHECK(plain.out.find("\\x1B") != std::string::npos);
    CHECK(plain.out.ends_with("⟨[SEP]⟩\n"));
    const Outcome coloured = run(arguments + "show --color always", "the tokens\n");
    CHECK(coloured.out.starts_with("\x1b[7m[CLS]\x1b[0m\x1b[30;48;5;153mthe\x1b[0m "));
    CHECK(run(arguments + "show --color perhaps").status == 2);
    const Outcome page = run(arguments + "html", "the <b>tokens</b>\nsecond & line\n");
    CHECK(page.status == 0);
    CHECK(page.out.starts_with("<!DOCTYPE html>"));
    CHECK(page.out.ends_with("</html>\n"));
    CHECK(page.out.find("<b>") == std::string::npos);
    CHECK(page.out.find("bytes 74 68 65&#10;offsets 0–3\">the</span>") != std::string::npos);
    const auto sections = [](const std::string& html) { return html.find("</section>", html.find("</section>") + 1) != std::string::npos; };
    CHECK(sections(page.out));
}

TEST_CASE("compare puts tokenizers side by side") {
    const auto svg = scratch("bars.svg");
    std::filesystem::remove(svg);
    const std::string tokenizers = "--tokenizer bytes characters words --tokenizer " + quoted(test_data() / "tokenizers/wordpiece.json");
    const Outcome outcome = run("compare " + tokenizers + " --svg " + quoted(svg), "Größe it is");
    CHECK(outcome.status == 0);
    CHECK(lines(outcome.out) == 9);
    CHECK(outcome.out.find("bytes                               256         13         1.00\n  G│r│\\xC3│\\xB6│\\xC3│\\x9F│e│ │i│t│ │i│s\n") != std::string::npos);
    CHECK(outcome.out.find("characters                      1114112         11         1.18\n  G│r│ö│ß│e│ │i│t│ │i│s\n") != std::string::npos);
    CHECK(outcome.out.find("words                              open          3         4.33\n  Größe│ │it│ │is\n") != std::string::npos);
    CHECK(outcome.out.find("wordpiece.json                      333 ") != std::string::npos);
    const std::string drawing = read_file(svg);
    CHECK(drawing.starts_with("<svg "));
    CHECK(drawing.find(">4.33</text>") != std::string::npos);
    const Outcome counts = run("compare --counts --text '' " + tokenizers);
    CHECK(counts.status == 0);
    CHECK(lines(counts.out) == 5);
    CHECK(run("compare --tokenizer words --text x --svg /no/such/directory/x.svg").status == 1);
    CHECK(run("compare --text x").status == 2);
    CHECK(run("compare --tokenizer no/such/path --text x").status == 1);
}

TEST_CASE("trace shows how each model finds its tokens") {
    const auto path = [](const char* name) { return "trace --tokenizer " + quoted(test_data() / "tokenizers" / name); };
    const Outcome bpe = run(path("byte_level.json") + " text");  // merges e x (rank 7) and ex t (rank 13) lead
    CHECK(bpe.status == 0);
    CHECK(bpe.out.starts_with("Ġtext\n"));
    CHECK(bpe.out.find("rank 7: e + x") != std::string::npos);
    CHECK(bpe.out.find("rank 13: ex + t") != std::string::npos);
    CHECK(run(path("wordpiece.json") + " tokens").out.find("tokens:") != std::string::npos);
    CHECK(run(path("unigram.json") + " tokens").out.find("* ") != std::string::npos);
    CHECK(run(path("sentencepiece") + " tokens").status == 0);
    CHECK(run(path("byte_level.json")).status == 2);
    CHECK(run("trace --tokenizer no/such/path word").status == 1);
}

TEST_CASE("--device cuda runs on a GPU, or says what is missing") {
    const auto inputs = test_data() / "checkpoints/llama-tiny/cases/single.inputs.safetensors";
    for (const std::string& arguments :
         {"generate --model " + model + " --prompt x --max-new-tokens 2", "chat --model " + model + " --message x --max-new-tokens 2",
          "embed --model " + quoted(test_data() / "sentence/dense"), "search --model " + quoted(test_data() / "sentence/dense") + " --files " + quoted(test_data() / "sentence/texts.json"),
          "forward --model " + quoted(test_data() / "checkpoints/llama-tiny") + " --inputs " + quoted(inputs) + " --output " + quoted(scratch("never"))}) {
        const Outcome cpu = run(arguments, "x\n"), cuda = run(arguments + " --device cuda", "x\n");
        INFO(arguments << ": " << cuda.err);
        CHECK(cpu.status == 0);
        if (built_with_cuda && cuda.status == 0) continue;
        CHECK(cuda.status == 1);
        CHECK(cuda.out.empty());
        CHECK(lines(cuda.err) == 1);
        CHECK(cuda.err.find(built_with_cuda ? "CUDA" : "this program was built without CUDA") != std::string::npos);
    }
    CHECK(run("generate --model " + model + " --prompt x --device tpu").status == 2);
    std::filesystem::remove(scratch("never"));
}

TEST_CASE("generate prints the text, or everything as JSON") {
    const Json expected = parse_json_file(test_data() / "tiny-llm/expected.json");
    const Json& one = expected.at("cases").at(0);
    const std::string arguments = "generate --model " + model + " --prompt '" + one.at("prompt").get<std::string>() + "' --max-new-tokens 32";
    const Outcome text = run(arguments);
    CHECK(text.status == 0);
    CHECK(text.out == one.at("text").get<std::string>() + "\n");
    CHECK(text.err.find("tok/s") != std::string::npos);
    const Outcome json = run(arguments + " --format json");
    const Json result = parse_json(json.out);
    CHECK(result.at("prompt_ids") == one.at("prompt_ids"));
    CHECK(result.at("ids") == one.at("ids"));
    CHECK(result.at("text") == one.at("text"));
    CHECK(result.at("stop_reason") == "length");
    CHECK(result.at("timings").at("new_tokens") == 32);
    CHECK(run("generate --model " + model + " --prompt - --max-new-tokens 32", one.at("prompt").get<std::string>()).out == text.out);
    // Several prompts, from the command line and from a file, each as it is alone.
    const auto file = scratch("prompts.txt");
    std::ofstream(file) << "The\r\nOnce upon a time\n";
    std::string alone;
    for (const char* prompt : {"token", "A piece of", "The", "Once upon a time"}) alone += run("generate --model " + model + " --prompt '" + prompt + "' --max-new-tokens 9").out;
    const std::string several = "generate --model " + model + " --prompt token 'A piece of' --max-new-tokens 9 --prompts ";
    for (const char* batch : {"1", "3", "4"}) CHECK(run(several + quoted(file) + " --batch " + batch).out == alone);
    const Outcome two = run(several + "- --format json", "The\nOnce upon a time\n");
    CHECK(lines(two.out) == 4);
    CHECK(parse_json(two.out.substr(0, two.out.find('\n'))).at("timings").at("new_tokens") == 9);
    CHECK(run("generate --model " + model).status == 2);
    CHECK(run(several + quoted(file) + " --batch 0").status == 2);
    CHECK(run(several + "no/such/file").status == 1);
    const std::string sampled = "generate --model " + model + " --prompt token --do-sample --seed 5 --max-new-tokens 20 --threads ";
    CHECK(run(sampled + "1").out == run(sampled + "2").out);
}

TEST_CASE("chat answers every line") {
    const Outcome outcome = run("chat --model " + model + " --max-new-tokens 8", "What is a token?\nAnd a word?\n");
    CHECK(outcome.status == 0);
    CHECK(lines(outcome.err) == 2);
    const Outcome single = run("chat --model " + model + " --max-new-tokens 8 --message 'What is a token?'");
    CHECK(single.status == 0);
    CHECK(outcome.out.find(single.out) == 0);
}

TEST_CASE("forward writes what the reference gives") {
    const auto directory = test_data() / "checkpoints/llama-tiny";
    const auto output = scratch("forward.safetensors");
    for (const char* name : {"single", "batch_left"}) {
        const auto inputs = directory / "cases" / (std::string(name) + ".inputs.safetensors");
        const Outcome outcome = run("forward --model " + quoted(directory) + " --inputs " + quoted(inputs) + " --output " + quoted(output));
        INFO(outcome.err);
        REQUIRE(outcome.status == 0);
        const SafetensorsFile got(output), want(directory / "cases" / (std::string(name) + ".expected.safetensors"));
        for (const std::string& tensor : want.names()) {
            INFO(tensor);
            CHECK(got.at(tensor).shape == want.at(tensor).shape);
            if (std::string(name) == "single") CHECK(largest_difference(elements<float>(got.at(tensor)), elements<float>(want.at(tensor))) <= decoder_tolerance(elements<float>(want.at(tensor))));
        }
    }
}

TEST_CASE("inspect lists tensors") {
    const Outcome outcome = run("inspect " + quoted(test_data() / "checkpoints/llama-tiny"));
    CHECK(outcome.status == 0);
    CHECK(outcome.out.find("model.embed_tokens.weight") != std::string::npos);
    CHECK(outcome.out.find("F32") != std::string::npos);
    CHECK(outcome.out.find("tokenizer: none") != std::string::npos);
    CHECK(run("inspect " + model).out.find("tokenizer: BPE, 380 tokens, 3 of them added, bos <|im_start|>, eos <|im_end|>, with a chat template") != std::string::npos);
}

TEST_CASE("train counts once for several vocabularies, goes on from one, and reports") {
    const auto corpus = scratch("counted.txt"), other = scratch("counted2.txt"), table = scratch("words"), second = scratch("words2"), whole = scratch("whole"), part = scratch("part"), rest = scratch("rest");
    {
        std::ofstream one(corpus), two(other);
        for (int i = 0; i < 300; ++i) one << "the lower the newest, the wider the lowest " << i << "\n", two << "hug pug pun bun hugs " << i % 7 << "\n";
    }
    const std::string common = " --quiet --special-tokens '<|endoftext|>' --all-bytes --vocab-size ";
    CHECK(run("train bpe --files " + quoted(corpus) + " " + quoted(other) + common + "340 --output " + quoted(whole) + " --formats tokenizer.json vocab tiktoken").status == 0);
    CHECK(run("train counts --quiet --memory 1 --files " + quoted(corpus) + " --output " + quoted(table)).status == 0);
    CHECK(run("train counts --quiet --files - --output " + quoted(second), read_file(other)).status == 0);
    const std::string resumed = "train counts --quiet --resume --output " + quoted(whole / "resumed") + " --files ";
    CHECK(run(resumed + quoted(corpus)).status == 0);
    CHECK(read_file(whole / "resumed") == read_file(table));
    CHECK(run(resumed + "-", "text").err.find("regular files") != std::string::npos);
    CHECK(run("train bpe --resume --files " + quoted(corpus) + " --output " + quoted(part)).status == 2);
    const std::string counts = "train bpe --counts " + quoted(table) + " " + quoted(second) + common;
    CHECK(run(counts + "300 --output " + quoted(part)).status == 0);
    CHECK(run(counts + "340 --output " + quoted(rest)).status == 0);
    CHECK(read_file(rest / "tokenizer.json") == read_file(whole / "tokenizer.json"));
    CHECK(run(counts + "340 --start " + quoted(part) + " --output " + quoted(rest)).status == 0);
    CHECK(read_file(rest / "tokenizer.json") == read_file(whole / "tokenizer.json"));
    CHECK(std::filesystem::exists(whole / "tokenizer.tiktoken"));
    CHECK(std::filesystem::exists(whole / "merges.txt"));

    const Outcome reported = run(counts + "300 --report --held-out " + quoted(corpus) + " --pictures " + quoted(part) + " --output " + quoted(part));
    CHECK(reported.status == 0);
    CHECK(reported.err.find("held out: ") != std::string::npos);
    CHECK(read_file(part / "growth.svg").starts_with("<svg"));
    CHECK(read_file(part / "coverage.svg").find("text held out") != std::string::npos);

    const std::string pieces = "train wordpiece --quiet --files " + quoted(corpus) + " " + quoted(other) + " --vocab-size ";
    CHECK(run(pieces + "70 --output " + quoted(rest)).status == 0);
    CHECK(run(pieces + "90 --start " + quoted(rest) + " --special-tokens '[NEW]' --output " + quoted(rest / "more")).status == 0);
    CHECK(read_file(rest / "more/vocab.txt").starts_with(read_file(rest / "vocab.txt") + "[NEW]\n"));
    CHECK(run("encode --format tokens --tokenizer " + quoted(rest / "more"), "[NEW]\n").out.find("[NEW]") != std::string::npos);
    CHECK(run(pieces + "90 --start " + quoted(whole) + " --output " + quoted(part)).err.find("not a WordPiece tokenizer") != std::string::npos);

    CHECK(run("train counts --quiet --normalizer nfc --files " + quoted(other) + " --output " + quoted(second)).status == 0);
    const Outcome mixed = run(counts + "300 --output " + quoted(part));
    CHECK(mixed.status == 1);
    CHECK(mixed.err.find("cannot be merged") != std::string::npos);
    std::ofstream(second, std::ios::binary) << "no table";
    CHECK(run(counts + "300 --output " + quoted(part)).err.find(second.string()) != std::string::npos);
    CHECK(run(counts + "300 --like " + quoted(whole) + " --output " + quoted(part)).status == 2);
    CHECK(run("train bpe --output " + quoted(part)).status == 2);
    CHECK(run("train bpe --files " + quoted(corpus) + " --formats gguf --output " + quoted(part)).status == 2);
    CHECK(run("train bpe --quiet --pre-tokenizer none --files " + quoted(corpus) + " --output " + quoted(part)).err.find("tokenizer.json only") != std::string::npos);
    CHECK(run("train bpe --quiet --vocab-size 3 --files " + quoted(corpus) + " --output " + quoted(part)).err.find("--vocab-size 3 is less") != std::string::npos);
    CHECK(run("train bpe --quiet --pre-tokenizer none --formats vocab --files " + quoted(corpus) + " --output " + quoted(part)).status == 1);
    for (const auto& path : {corpus, other, table, second, whole, part, rest}) std::filesystem::remove_all(path);
}

TEST_CASE("embed gives a vector a line, search ranks lines") {
    const auto sentence = [](const char* name) { return quoted(test_data() / "sentence" / name); };
    std::string input;
    const Json texts = parse_json_file(test_data() / "sentence/texts.json");
    for (const Json& text : texts) input += text.get<std::string>() + "\n";
    const auto expected = elements<float>(SafetensorsFile(test_data() / "sentence/dense/expected.safetensors").at("query"));
    const Outcome json = run("embed --prompt-name query --model " + sentence("dense"), input);
    REQUIRE(json.status == 0);
    std::vector<float> values;
    for (std::istringstream lines(json.out); std::getline(lines, input);)
        for (const Json& value : parse_json(input)) values.push_back(value.get<float>());
    CHECK(largest_difference(values, expected) < 3e-6);
    const Outcome npy = run("embed --format npy --normalize --pooling max --model " + sentence("poolings"), "moon\nriver\n");
    CHECK(npy.out.size() == 128 + 2 * 16 * 4);
    CHECK(npy.out.substr(0, 6) == "\x93NUMPY");
    CHECK(npy.out.find("'descr': '<f4', 'fortran_order': False, 'shape': (2, 16)") == 11);
    const Outcome tokens = run("embed --pooling none --model " + sentence("encoder"), "the moon\n");
    const Json one = parse_json(tokens.out);
    CHECK(one.at("tokens").dump() == R"(["[CLS]","the","moon","[SEP]"])");
    CHECK(one.at("offsets").dump() == "[[0,0],[0,3],[4,8],[0,0]]");
    CHECK(one.at("vectors")[3].size() == 16);
    CHECK(run("embed --model " + sentence("dense"), "").out.empty());
    CHECK(run("embed --model " + sentence("dense") + " --pooling middle", "a\n").status == 2);
    CHECK(run("embed --model " + sentence("nothing"), "a\n").status == 1);
    CHECK(run("embed --model " + sentence("dense") + " --prompt-name x", "a\n").err.find("document, query") != std::string::npos);

    const auto corpus = scratch("lines.txt"), index = scratch("index");
    std::filesystem::remove(index);
    std::ofstream(corpus) << "the cat sat\n\n  \na dog ran to the river\nrain and light";
    const std::string search = "search --model " + sentence("static") + " --files " + quoted(corpus);
    CHECK(run(search + " --query 'the cat sat' --top-k 1").out == "1.0000  " + corpus.string() + ":1  the cat sat\n");
    const Outcome two = run(search + " --format json --index " + quoted(index), "rain light and\na dog to the river ran\n");
    CHECK(std::filesystem::file_size(index) == 64 + 3 * 6 * 4);
    std::vector<Json> answers;
    for (std::istringstream lines(two.out); std::getline(lines, input);) answers.push_back(parse_json(input));
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].at("hits")[0].at("line") == 5);
    CHECK(answers[1].at("query") == "a dog to the river ran");
    CHECK(answers[1].at("hits")[0].at("text") == "a dog ran to the river");
    CHECK(answers[1].at("hits").size() == 3);
    CHECK(run(search + " --format json --index " + quoted(index), "rain light and\na dog to the river ran\n").out == two.out);
    CHECK(run(search + " --query moon --storage i8 --index " + quoted(index)).err.find("made anew") != std::string::npos);
    CHECK(run(search + " --query moon --index " + quoted(corpus)).err.find("not a vector index") != std::string::npos);
    CHECK(read_file(corpus).starts_with("the cat"));
    CHECK(run("search --model " + sentence("static") + " --query a --files /does/not/exist").status == 1);
    for (const auto& path : {corpus, index}) std::filesystem::remove(path);
}

TEST_CASE("train learns a vocabulary that encode then uses, the same at any number of threads") {
    const auto corpus = scratch("corpus.txt"), one = scratch("bpe1"), three = scratch("bpe3"), pieces = scratch("wordpiece");
    {
        std::ofstream out(corpus);
        for (int i = 0; i < 200; ++i) out << "the lower the newest, the wider the lowest " << i << "\n";
    }
    const std::string bpe = "train bpe --vocab-size 300 --all-bytes --special-tokens '<|endoftext|>' --files " + quoted(corpus) + " --output ";
    const Outcome trained = run(bpe + quoted(one) + " --threads 1");
    CHECK(trained.status == 0);
    CHECK(trained.out.empty());
    CHECK(run(bpe + quoted(three) + " --threads 3 --quiet").status == 0);
    CHECK(read_file(one / "merges.txt") == read_file(three / "merges.txt"));
    CHECK(read_file(one / "vocab.json") == read_file(three / "vocab.json"));
    CHECK(parse_json_file(one / "vocab.json")["<|endoftext|>"] == 0);
    CHECK(run("encode --format tokens --tokenizer " + quoted(one), "the newest the\n").out == "the Ġnewest Ġthe\n");

    CHECK(run("train wordpiece --vocab-size 90 --objective ratio --min-frequency 20 --quiet --files " + quoted(corpus) + " --output " + quoted(pieces)).status == 0);
    CHECK(run("encode --format tokens --no-special-tokens --tokenizer " + quoted(pieces / "vocab.txt"), "newest\n").out == "newest\n");

    std::ofstream(corpus, std::ios::trunc).close();
    const Outcome empty = run(bpe + quoted(one));
    CHECK(empty.status == 1);
    CHECK(empty.err.find("no words") != std::string::npos);
    CHECK(run(bpe + "/dev/null/nowhere").status == 1);
    CHECK(run("train unigram --files x --output y").status == 2);
    CHECK(run("train bpe --files /does/not/exist --output " + quoted(one)).err.find("/does/not/exist") != std::string::npos);
    for (const auto& path : {corpus, one, three, pieces}) std::filesystem::remove_all(path);
}

TEST_CASE("train word2vec writes the format that the output's name asks for, and the same vectors in each") {
    const auto corpus = scratch("sentences.txt"), text = scratch("vectors.txt"), binary = scratch("vectors.bin"), tensors = scratch("vectors.safetensors"), pictures = scratch("pictures");
    {
        std::ofstream out(corpus);
        for (int i = 0; i < 300; ++i) out << "The cat and the dog number " << i % 7 << " sleep\n";
    }
    const std::string train = "train word2vec --threads 1 --quiet --dimension 12 --epochs 2 --normalizer lowercase --files " + quoted(corpus) + " --output ";
    CHECK(run(train + quoted(text)).status == 0);
    CHECK(run(train + quoted(binary)).status == 0);
    CHECK(run(train + quoted(tensors) + " --pictures " + quoted(pictures)).status == 0);
    const std::string written = read_file(text), same = read_file(binary);
    CHECK(written.starts_with("13 12\nthe "));
    CHECK(same.starts_with("13 12\nthe "));
    CHECK(lines(written) == 14);
    const SafetensorsFile file(tensors);
    CHECK(file.at("vectors").shape == std::vector<std::uint64_t>{13, 12});
    CHECK(std::equal(file.at("vectors").bytes.begin(), file.at("vectors").bytes.begin() + 48, reinterpret_cast<const std::byte*>(same.data()) + 10));  // of the first word
    CHECK(read_file(pictures / "words.svg").find("<title>cat</title>") != std::string::npos);
    const Outcome other = run(train + quoted(text) + " --skip-gram --hierarchical-softmax --negative 3 --window 2 --sample 0 --seed 5 --min-count 50 --vocab-size 9");
    CHECK(other.status == 0);
    CHECK(read_file(text).starts_with("6 12\nthe "));
    CHECK(run(train + quoted(text) + " --min-count 5000").err.find("no words to train on") != std::string::npos);
    CHECK(run(train + quoted(text) + " --alpha 0").status == 1);
    CHECK(run("train word2vec --output " + quoted(text)).status == 2);
    for (const auto& path : {corpus, text, binary, tensors, pictures}) std::filesystem::remove_all(path);
}
