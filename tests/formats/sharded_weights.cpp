// A model in several files: the index is believed only as far as the shards bear it out.
#include <sys/stat.h>

#include <chrono>
#include <string>

#include "formats/file_bytes.hpp"
#include "morsel/formats/open_weights.hpp"
#include "support/catch.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

std::string one(const std::string& name, const std::string& data = "ab") {
    return safetensors("{\"" + name + R"(":{"dtype":"U8","shape":[)" + std::to_string(data.size()) + R"(],"data_offsets":[0,)" + std::to_string(data.size()) + "]}}", data);
}

struct Model {
    TemporaryDirectory directory;
    Model() {
        directory.write("s1.safetensors", one("a", "first"));
        directory.write("s2.safetensors", one("b", "second"));
    }
    std::filesystem::path index(const std::string& text) const { return directory.write("model.safetensors.index.json", text); }
    std::string verdict(const std::string& text) const {
        try {
            const ShardedWeights read(index(text));
            return "";
        } catch (const Error& error) {
            return error.what();
        }
    }
};

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
    return text.find(part) != std::string::npos;
}

const char* good = R"({"metadata":{"total_size":11},"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}})";

}  // namespace

TEST_CASE("a sharded model reads as one") {
    const Model model;
    const ShardedWeights file(model.index(good));
    CHECK(file.names() == std::vector<std::string>{"a", "b"});
    CHECK(std::memcmp(file.at("b").bytes.data(), "second", 6) == 0);
    CHECK(file.at("b").bytes.size() == 6);
    CHECK(file.find("c") == nullptr);
    CHECK(file.warnings().empty());
    CHECK(file.unlisted().empty());
    file.release(file.at("b"));
    CHECK(std::memcmp(file.at("b").bytes.data(), "second", 6) == 0);
    CHECK(open_weights(model.directory.path())->names().size() == 2);
    CHECK(open_weights(model.directory.path() / "model.safetensors.index.json")->names().size() == 2);
}

TEST_CASE("an index that is not what an index must be is refused") {
    const Model model;
    has(model.verdict(""), "index");                                   // X1
    has(model.verdict("{"), "index");
    has(model.verdict("[]"), "index");
    has(model.verdict("{}"), "weight_map");
    has(model.verdict("<html>"), "HTML");
    has(model.verdict(R"({"weight_map":[]})"), "not valid JSON");
    has(model.verdict(R"({"weight_map":{"a":1}})"), "not valid JSON");  // X2
    has(model.verdict(R"({"weight_map":{},"weight_map":{}})"), "duplicate key");
    for (const char* path : {"../s1.safetensors", "/etc/passwd", "C:\\\\x", "a/../../b", "s1.safetensors\\u0000x", "", "..", "."})  // X3
        has(model.verdict(std::string(R"({"weight_map":{"a":")") + path + "\"}}"), "unsafe path");
    has(model.verdict(R"({"weight_map":{"a":"s3.safetensors"}})"), "s3.safetensors: shard missing");  // X4
    has(model.verdict(R"({"weight_map":{"a":"s1.safetensors","c":"s1.safetensors"}})"), "c: tensor missing");  // X5
    has(model.verdict(R"({"weight_map":{"a":"s2.safetensors"}})"), "a: tensor missing");
    has(model.verdict(R"({"weight_map":{"a":"s1.safetensors","a":"s2.safetensors"}})"), "duplicate key");  // X8
    model.directory.write("s3.safetensors", one("a"));
    has(model.verdict(R"({"weight_map":{"a":"s1.safetensors","b":"s3.safetensors"}})"), "a: duplicate tensor");  // X7
    model.directory.write("s4.safetensors", one("d").substr(0, 60));
    has(model.verdict(R"({"weight_map":{"a":"s1.safetensors","d":"s4.safetensors"}})"), "s4.safetensors: ");  // X10
    REQUIRE(mkfifo((model.directory.path() / "s5").c_str(), 0600) == 0);  // X12
    has(model.verdict(R"({"weight_map":{"a":"s5"}})"), "not a regular file");
    std::filesystem::create_directory(model.directory.path() / "s6");
    has(model.verdict(R"({"weight_map":{"a":"s6"}})"), "not a regular file");
}

TEST_CASE("what is odd in an index but harmless is reported, not refused") {
    const Model model;
    const ShardedWeights partly(model.index(R"({"metadata":{"total_size":1e9,"x":null},"weight_map":{"b":"s2.safetensors"},"other":[1]})"));  // X6
    CHECK(partly.warnings().empty());
    CHECK(partly.unlisted().empty());
    model.directory.write("both.safetensors", safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"z":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "az"));
    const ShardedWeights file(model.index(R"({"metadata":{"total_size":7},"weight_map":{"a":"both.safetensors"}})"));
    CHECK(file.unlisted() == std::vector<std::string>{"z"});
    CHECK(file.names() == std::vector<std::string>{"a"});
    CHECK(file.find("z") == nullptr);
    REQUIRE(file.warnings().size() == 1);  // X9
    has(file.warnings()[0], "7");
}

TEST_CASE("an index of many entries into one shard opens it once") {  // X11
    const TemporaryDirectory directory;
    std::string header = "{", map = R"({"weight_map":{)";
    const int n = 100'000;
    for (int i = 0; i < n; ++i) {
        const std::string name = "\"t" + std::to_string(i) + "\":", comma = i > 0 ? "," : "";
        header += comma + name + R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
        map += comma + name + "\"s.safetensors\"";
    }
    directory.write("s.safetensors", safetensors(header + "}"));
    const auto start = std::chrono::steady_clock::now();
    const ShardedWeights file(directory.write("i.json", map + "}}"));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    CHECK(file.names().size() == n);
    CHECK(took.count() < 10);  // under a second without sanitizers; 10^5 openings of a 5 MB header would take an hour
}

TEST_CASE("weights are found by directory or content, and what was looked for is said") {
    const TemporaryDirectory directory;
    const auto message = [&](const std::filesystem::path& path) -> std::string {
        try {
            open_weights(path);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    has(message(directory.path()), "either with .index.json, or one *.gguf");
    has(message(directory.path() / "absent"), "cannot open");
    const auto gguf = directory.write("a.gguf", GgufBuilder().tensor("t", {4}, 0, std::string(16, 'x')).build());
    CHECK(open_weights(directory.path())->names() == std::vector<std::string>{"t"});
    directory.write("b.gguf", "");
    has(message(directory.path()), "several .gguf files");
    CHECK(open_weights(gguf)->names() == std::vector<std::string>{"t"});
    const auto other = directory.write("weights.bin", one("x"));  // by content, not by name
    CHECK(open_weights(other)->names() == std::vector<std::string>{"x"});
    directory.write("model.safetensors", one("y"));
    CHECK(open_weights(directory.path())->names() == std::vector<std::string>{"y"});
}
