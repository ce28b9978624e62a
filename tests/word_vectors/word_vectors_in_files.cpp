// Files of word vectors: those of gensim give its words, numbers and answers; what is written is read back bit for bit; and whatever the
// bytes are, the result is vectors or an Error.
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "formats/file_bytes.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/models/word_vectors_io.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

const std::filesystem::path gensim = test_data() / "word_vectors";

bool same(const WordVectors& a, const WordVectors& b) {
    return a.words() == b.words() && a.dimension() == b.dimension() && a.counts() == b.counts() &&
           std::memcmp(a.values().data(), b.values().data(), a.values().size_bytes()) == 0;
}

// What loading those bytes throws, or "".
std::string error_of(const std::string& bytes) {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "vectors";
    std::ofstream(path, std::ios::binary) << bytes;
    try {
        load_word_vectors(path);
        return {};
    } catch (const Error& e) {
        CHECK(e.file() == path.string());
        return e.reason() + " / " + e.key() + " / " + e.expected() + " / " + e.found();
    }
}

std::string floats(std::initializer_list<float> values) {
    std::string bytes;
    for (const float value : values) bytes += little_endian(value);
    return bytes;
}

}  // namespace

TEST_CASE("gensim's files give gensim's words and numbers") {
    const Json expected = parse_json_file(gensim / "gensim.json");
    const auto words = expected.at("words").get<std::vector<std::string>>();
    for (const char* name : {"gensim.txt", "gensim.bin", "glove.txt"}) {
        INFO(name);
        const WordVectors vectors = load_word_vectors(gensim / name);
        REQUIRE(vectors.words() == words);
        REQUIRE(vectors.dimension() == 7);
        CHECK(vectors.counts().empty());
        for (std::size_t i = 0; i < words.size(); ++i)
            for (std::size_t j = 0; j < 7; ++j) CHECK(vectors.vector(i)[j] == expected.at("vectors").at(i).at(j).get<float>());
    }
}

TEST_CASE("queries give gensim's answers") {
    const Json expected = parse_json_file(gensim / "gensim.json");
    const WordVectors vectors = load_word_vectors(gensim / "gensim.bin");
    std::size_t seen = 0;
    for (const Json& one : expected.at("queries").at("most_similar")) {
        SimilarWordsQuery query{.count = 5};
        const auto positive = one.at("positive").get<std::vector<std::string>>(), negative = one.at("negative").get<std::vector<std::string>>();
        query.positive.assign(positive.begin(), positive.end()), query.negative.assign(negative.begin(), negative.end());
        if (!one.at("restrict").is_null()) query.restrict_vocab = one.at("restrict").get<std::size_t>();
        const auto found = most_similar(vectors, query);
        const Json& result = one.at("result");
        REQUIRE(found.size() == result.size());
        for (std::size_t i = 0; i < found.size(); ++i, ++seen) {
            CHECK(found[i].word == result.at(i).at(0).get<std::string>());
            CHECK(std::abs(found[i].similarity - result.at(i).at(1).get<float>()) < 1e-5f);
        }
    }
    CHECK(seen == 20);
    for (const Json& one : expected.at("queries").at("similarity"))
        CHECK(std::abs(similarity(vectors, one.at(0).get<std::string>(), one.at(1).get<std::string>()) - one.at(2).get<float>()) < 1e-5f);
    for (const Json& one : expected.at("queries").at("doesnt_match")) {
        const auto words = one.at(0).get<std::vector<std::string>>();
        const std::vector<std::string_view> views(words.begin(), words.end());
        CHECK(doesnt_match(vectors, views) == one.at(1).get<std::string>());
    }
    const auto by_name = analogy(vectors, "w3", "w1", "w2", 5), by_query = most_similar(vectors, {.positive = {"w1", "w2"}, .negative = {"w3"}, .count = 5});
    for (std::size_t i = 0; i < 5; ++i) CHECK(by_name[i].word == by_query[i].word);

    CHECK_THROWS_WITH(similarity(vectors, "w0", "nowhere"), "word: not in the vocabulary (found 'nowhere')");
    CHECK_THROWS_AS(most_similar(vectors, {}), Error);
    CHECK_THROWS_AS(doesnt_match(vectors, {}), Error);
    CHECK_THROWS_AS(closest_words(vectors, std::vector<float>(6)), Error);
    CHECK(most_similar(vectors, {.positive = {"w0"}, .count = 0}).empty());
    CHECK(most_similar(vectors, {.positive = {"w0"}, .count = 100}).size() == 12);
}

TEST_CASE("a vector of zeros is like nothing, and equal words come in their order") {
    const WordVectors vectors({"zero", "a", "b", "c"}, {0, 0, 1, 0, 1, 0, 2, 0}, 2);
    CHECK(similarity(vectors, "zero", "a") == 0);
    const auto found = most_similar(vectors, {.positive = {"zero"}});
    REQUIRE(found.size() == 3);
    CHECK((found[0].word == "a" && found[1].word == "b" && found[2].similarity == 0));
    CHECK(most_similar(vectors, {.positive = {"c"}, .count = 2})[0].word == "a");
}

TEST_CASE("what is written is read back bit for bit, and as gensim writes it") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "vectors";
    const WordVectors theirs = load_word_vectors(gensim / "gensim.bin");
    save_word2vec_binary(theirs, path);
    CHECK(read_file(path) == read_file(gensim / "gensim.bin"));
    save_word2vec_text(theirs, path);
    CHECK(read_file(path) == read_file(gensim / "gensim.txt"));

    std::mt19937 random(8);
    std::vector<float> values(60);
    for (float& value : values) do value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
        while (!std::isfinite(value));  // all magnitudes
    for (float& value : values) value = std::abs(value) > 1e18f ? -1e-42f : value;
    std::vector<std::string> words;
    for (int i = 0; i < 20; ++i) words.push_back("wörd" + std::to_string(i));
    const WordVectors plain(words, values, 3);
    for (const auto save : {save_word2vec_text, save_word2vec_binary, save_word_vectors_safetensors}) {
        save(plain, path);
        CHECK(same(load_word_vectors(path), plain));
    }
    words[3] = "ice cream", words[4] = "", words[5] = "line\nfeed";
    const WordVectors counted(words, values, 3, std::vector<std::uint64_t>(20, std::uint64_t{1} << 40));
    save_word_vectors_safetensors(counted, path);
    CHECK(same(load_word_vectors(path), counted));
    const std::string before = read_file(path);
    for (const auto save : {save_word2vec_text, save_word2vec_binary}) CHECK_THROWS_WITH(save(counted, path), path.string() + ": word: word2vec's formats cannot hold a word that is empty or has white space in it (found 'ice cream')");
    CHECK(read_file(path) == before);
    CHECK_THROWS_AS(save_word2vec_text(plain, directory.path() / "no/such/directory"), Error);
    const WordVectors none({}, {}, 4);
    for (const auto save : {save_word2vec_text, save_word2vec_binary, save_word_vectors_safetensors}) {
        save(none, path);
        CHECK(load_word_vectors(path).size() == 0);
        CHECK(load_word_vectors(path).dimension() == 4);
    }
}

TEST_CASE("all ways in which these formats are written are read") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "vectors";
    const auto load = [&](const std::string& bytes) {
        std::ofstream(path, std::ios::binary) << bytes;
        return load_word_vectors(path);
    };
    const WordVectors expected({"a", "bc"}, {1, -0.5f, 2, 3e-5f}, 2);
    CHECK(same(load("2 2\na 1 -0.5\nbc 2 3e-5\n"), expected));
    CHECK(same(load("2 2\r\na 1 -.5 \r\nbc\t+2  0.00003"), expected));  // word2vec.c ends its lines with a space
    CHECK(same(load("a 1 -0.5\nbc 2 3e-05\n"), expected));
    CHECK(same(load("2 2\na " + floats({1, -0.5f}) + "\nbc " + floats({2, 3e-5f}) + "\n"), expected));
    CHECK(same(load("2 2\na " + floats({1, -0.5f}) + "bc " + floats({2, 3e-5f})), expected));
    CHECK(same(load("3 2\na 1 -0.5\na 7 7\nbc 2 3e-5\n"), expected));  // the first holds
    CHECK(same(load("3 2\na " + floats({1, -0.5f}) + "a " + floats({7, 7}) + "bc " + floats({2, 3e-5f})), expected));
}

TEST_CASE("hostile files are told as what they are") {
    CHECK(error_of("").find("no word vectors") == 0);
    CHECK(error_of("\n\n").find("no word vectors") == 0);
    CHECK(error_of("just some text\n").find("wrong line / line 1 / a word and 2 finite numbers / 'some'") == 0);
    CHECK(error_of("99999999999999999 99999999999999999\na 1\n").find("the first line promises more than the file holds / line 1") == 0);
    CHECK(error_of("1000000 3\na 1 2 3\n").find("the first line promises more") == 0);
    CHECK(error_of("1 1000000000000\na 1 2 3\n").find("the first line promises more") == 0);
    CHECK(error_of("18446744073709551615 2\na 1 2\n").find("the first line promises more") == 0);
    CHECK(error_of("1 18446744073709551615\na 1 2\n").find("the first line promises more") == 0);
    CHECK(error_of("1 0\na\n").find("no word vectors") == 0);
    CHECK(error_of("2 2\na 1 2\n    \n\n\n").find("no word / line 3") == 0);
    CHECK(error_of("2 2\na 1 2 \nbcd 5\n").find("wrong line / line 3 / a word and 2 finite numbers / 1 values") == 0);
    CHECK(error_of("2 2\na 1 2\nb 3 4 5\n").find("wrong line / line 3 / a word and 2 finite numbers / more values") == 0);
    CHECK(error_of("2 2\na 1 2\nb 3 x4\n").find("wrong line / line 3 / a word and 2 finite numbers / 'x4'") == 0);
    CHECK(error_of("2 2\na 1 2z\nb 3 4\n").find("wrong line / line 2 / a word and 2 finite numbers / '2z'") == 0);
    CHECK(error_of("1 2\na 1 2\nb 3 4\n").find("more words than the first line says") == 0);
    CHECK(error_of("3 2\na 1 2\nb 3 4       \n").find("the file ends too early / line 4 / 3 words / 2") == 0);
    for (const char* value : {"nan", "inf", "-inf", "1e99", "0x10", "1,5", "--1", "1e", "NaN"}) CHECK(error_of("1 2\nword 1 " + std::string(value) + "\n").find("wrong line / line 2") == 0);
    CHECK(error_of("2 2\na " + floats({1, 2}) + "b " + floats({3})).find("the file ends too early / word 1") == 0);
    CHECK(error_of("2 2\na " + floats({1, 2}) + " " + floats({3, 4}) + "   ").find("no word / word 1") == 0);
    CHECK(error_of("1 2\na " + floats({1, 2}) + "b " + floats({3, 4})).find("more bytes than the first line says") == 0);
    CHECK(error_of("1 2\na " + floats({1, std::numeric_limits<float>::quiet_NaN()})).find("a value is not finite / word 0") == 0);

    const std::string good = R"("vectors":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]})", words = R"("words":{"dtype":"U8","shape":[4],"data_offsets":[8,12]})";
    const std::string numbers = floats({1, 2}), pair("a\0b\0", 4);
    CHECK(error_of(safetensors("{" + good + "," + words + "}", numbers + pair)).empty());
    CHECK(error_of(safetensors("{" + good + "}", numbers)).find("no such tensor / words") == 0);
    CHECK(error_of(safetensors("{" + good + "," + words + "}", numbers + std::string("a\0bc", 4))).find("words and vectors do not fit / words") == 0);
    CHECK(error_of(safetensors("{" + good + "," + words + "}", numbers + std::string("a\0\0\0", 4))).find("words and vectors do not fit / words") == 0);
    CHECK(error_of(safetensors("{" + good + "," + words + "}", numbers + std::string("a\0a\0", 4))).find("a word is there twice") == 0);
    CHECK(error_of(safetensors("{" + good + "," + words + "}", floats({1, std::numeric_limits<float>::infinity()}) + pair)).find("a value is not finite") == 0);
    CHECK(error_of(safetensors(R"({"vectors":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},)" + words + "}", numbers + pair)).find("wrong tensor / vectors / F32 [0, 0], 0 for any size / F16 [2, 2]") == 0);
    CHECK(error_of(safetensors("{" + good + "," + words + R"(,"counts":{"dtype":"U64","shape":[1],"data_offsets":[12,20]}})", numbers + pair + std::string(8, 'x'))).find("wrong tensor / counts / U64 [2] / U64 [1]") == 0);
}

TEST_CASE("damaged files give vectors or an Error, never anything else") {
    const TemporaryDirectory directory;
    const auto saved = directory.path() / "saved";
    save_word_vectors_safetensors(load_word_vectors(gensim / "gensim.bin"), saved);
    std::mt19937 random(1);
    std::size_t refused = 0, tried = 0;
    for (const auto& path : {gensim / "gensim.bin", gensim / "gensim.txt", gensim / "glove.txt", saved}) {
        const std::string bytes = read_file(path);
        for (int round = 0; round < 200; ++round, ++tried) {
            std::string damaged = bytes;
            if (round % 2 == 0) damaged.resize(random() % damaged.size());
            for (std::size_t i = round % 4 == 0 ? 0 : 1 + random() % 3; i > 0 && !damaged.empty(); --i) damaged[random() % std::min<std::size_t>(damaged.size(), round % 3 == 0 ? 12 : damaged.size())] = static_cast<char>(random());
            refused += !error_of(damaged).empty();
        }
    }
    CHECK(refused > tried / 2);
}

TEST_CASE("vectors are checked when they are put together") {
    CHECK_THROWS_AS(WordVectors({"a"}, {1, 2, 3}, 2), Error);
    CHECK_THROWS_AS(WordVectors({"a", "b"}, {1, 2}, 2), Error);
    CHECK_THROWS_AS(WordVectors({"a"}, {}, 0), Error);
    CHECK_THROWS_AS(WordVectors({"a"}, {1}, 1, {1, 2}), Error);
    CHECK_THROWS_AS(WordVectors({"a", "a"}, {1, 2}, 1), Error);
    CHECK_THROWS_AS(WordVectors({"a"}, {std::numeric_limits<float>::quiet_NaN()}, 1), Error);
    CHECK_THROWS_AS(WordVectors({"a"}, {3e38f}, 1), Error);  // its square is beyond float
    const WordVectors extreme({"a", "b", "c"}, {1e18f, 2e18f, 1, 2, 1e-42f, 1e-42f}, 2);
    CHECK(std::abs(similarity(extreme, "a", "b") - 1) < 1e-6f);
    for (const auto& found : most_similar(extreme, {.positive = {"c"}})) CHECK(std::isfinite(found.similarity));
}
