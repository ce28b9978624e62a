// The plan of the house, read from the #include lines: rooms depend in one direction only, heavy dependencies stay in their room,
// and every header opens with what it is.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace fs = std::filesystem;

namespace {

// What a room may include besides itself. Umbrella headers (morsel/*.hpp) are the room "".
const std::map<std::string, std::set<std::string>>& plan() {
    static const std::map<std::string, std::set<std::string>> rooms = {
        {"core", {}},
        {"unicode", {"core"}},
        {"formats", {"core", "unicode"}},
        {"tokenizer", {"core", "unicode", "formats"}},
        {"chat", {"core", "unicode", "formats"}},
        {"ops", {"core", "formats"}},
        {"models", {"core", "formats", "ops"}},
        {"training", {"core", "unicode", "formats", "tokenizer", "ops", "models"}},  // word2vec: kernels, and the vectors that it makes
        {"generation", {"core", "formats"}},
        {"search", {"core", "ops"}},  // of ops the instruction set alone
        {"visual", {"core", "unicode", "tokenizer"}},  // Encoding alone: plain data
        {"pipeline", {"core", "unicode", "formats", "tokenizer", "chat", "ops", "models", "generation"}},
        {"", {"core", "unicode", "formats", "tokenizer", "training", "chat", "ops", "models", "generation", "search", "visual", "pipeline"}},
    };
    return rooms;
}

struct Header {
    std::string name;  // "core/error.hpp"
    std::string room;
    std::string text;
    std::string code;                   // the text without comments that fill or end a line
    std::vector<std::string> includes;  // as written between the quotes or brackets
};

std::string room_of(const std::string& name) {
    const std::size_t slash = name.find('/');
    return slash == std::string::npos ? "" : name.substr(0, slash);
}

std::vector<Header> headers() {
    std::vector<Header> all;
    const fs::path root = fs::path(MORSEL_SOURCE_DIR) / "include" / "morsel";
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        if (entry.path().extension() != ".hpp") continue;
        Header header;
        header.name = fs::relative(entry.path(), root).generic_string();
        header.room = room_of(header.name);
        std::stringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        header.text = text.str();
        for (std::string line; std::getline(text, line);) {
            header.code += line.substr(0, line.find("//")) + "\n";
            if (!line.starts_with("#include ") || line.size() < 12) continue;
            const std::size_t end = line.find_first_of("\">", 10);
            header.includes.push_back(line.substr(10, end - 10));
        }
        all.push_back(std::move(header));
    }
    return all;
}

}  // namespace

TEST_CASE("rooms depend in one direction") {
    const auto all = headers();
    REQUIRE(all.size() > 50);
    std::size_t seen = 0;
    for (const Header& header : all) {
        REQUIRE(plan().contains(header.room));
        for (const std::string& include : header.includes) {
            if (!include.starts_with("morsel/")) continue;
            const std::string target = include.substr(7), room = room_of(target);
            INFO(header.name << " includes " << include);
            CHECK((room == header.room || plan().at(header.room).contains(room)));
            CHECK(fs::exists(fs::path(MORSEL_SOURCE_DIR) / "include" / include));
            if (header.room != "") CHECK(room != "");  // umbrellas are for users
            ++seen;
        }
    }
    CHECK(seen > 100);
}

TEST_CASE("the plan itself has no cycle") {
    std::map<std::string, int> height;  // a room is above all that it uses
    for (std::size_t round = 0; round <= plan().size(); ++round)
        for (const auto& [room, uses] : plan())
            for (const std::string& used : uses) height[room] = std::max(height[room], height[used] + 1);
    for (const auto& [room, uses] : plan())
        for (const std::string& used : uses) CHECK(height[used] < height[room]);
}

TEST_CASE("heavy dependencies stay in their room") {
    for (const Header& header : headers()) {
        for (const std::string& include : header.includes) {
            INFO(header.name << " includes " << include);
            if (include.starts_with("Eigen")) CHECK(header.room == "ops");
            if (include.starts_with("pcre2")) CHECK(header.name == "tokenizer/pcre2.hpp");
            if (include.starts_with("nlohmann")) CHECK((header.room == "formats" || header.room == "tokenizer" || header.room == "chat"));
            if (include == "morsel/tokenizer/pcre2.hpp") CHECK(header.name == "nobody: programs include it themselves");
        }
    }
}

TEST_CASE("the library does not print, exit, abort or read the environment") {
    for (const Header& header : headers())
        for (const char* word : {"std::cout", "std::cerr", "std::abort(", "std::exit(", " abort()", " exit(", "getenv", " assert(", "#include <iostream>", " printf(", "std::printf", "std::regex"}) {
            INFO(header.name << ": " << word);
            CHECK(header.code.find(word) == std::string::npos);
        }
}

TEST_CASE("a header is one noun: it says what it is, and is not long") {
    for (const Header& header : headers()) {
        INFO(header.name);
        CHECK(header.text.starts_with("// "));
        CHECK(header.text.find("#pragma once") != std::string::npos);
        const auto lines = std::count(header.text.begin(), header.text.end(), '\n');
        if (header.name.find("_tables") == std::string::npos) CHECK(lines <= 500);
    }
}
