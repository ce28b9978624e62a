// GGUF: every kind of malformed file is refused with an Error that says what is wrong, odd but valid ones load, and values come
// out typed. The kinds follow those of the format's own reader tests.
#include <string>
#include <vector>

#include "formats/file_bytes.hpp"
#include "morsel/formats/gguf.hpp"
#include "support/catch.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

const std::string four(16, 'x');  // 4 f32

GgufBuilder base() {
    return GgufBuilder().pair("general.architecture", 8, GgufBuilder::string("llama")).tensor("a", {4}, 0, four);
}

// "" where it loads, else the whole message.
std::string gguf_verdict(const std::string& file) {
    try {
        const GgufFile read(as_bytes(file), "m.gguf");
        for (const std::string& name : read.names()) read.at(name);
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

std::string array(std::uint32_t type, std::uint64_t count, const std::string& elements) { return little_endian(type) + little_endian(count) + elements; }

}  // namespace

TEST_CASE("a malformed GGUF file is refused with the reason") {
    struct Case {
        const char* id;
        std::string file;
        const char* says;
    };
    const std::uint64_t minus_one = ~std::uint64_t{0}, huge = std::uint64_t{1} << 62;
    const auto with = [](auto change) {
        GgufBuilder builder = base();
        change(builder);
        return builder.build();
    };
    const auto only = [](const std::vector<std::uint64_t>& dims, std::uint32_t type, std::uint64_t offset = 0, const std::string& name = "t") {
        GgufBuilder builder;
        builder.info(name, dims, type, offset).data = std::string(64, 'x');
        return builder.build();
    };
    const auto pair = [](std::uint32_t type, const std::string& value) { return GgufBuilder().pair("k", type, value).build(); };
    std::string swapped = base().build();
    std::swap(swapped[4], swapped[7]);
    std::string last_byte_missing = base().build();
    last_byte_missing.pop_back();
    const std::vector<Case> cases = {
        {"empty", "", "not a GGUF file"},
        {"magic", with([](auto& b) { b.magic = "GGML"; }), "not a GGUF file"},
        {"only magic", "GGUF", "ends early"},
        {"html", "<!DOCTYPE html>", "an HTML page"},
        {"version 0", with([](auto& b) { b.version = 0; }), "version"},
        {"version 1", with([](auto& b) { b.version = 1; }), "version"},
        {"version 4", with([](auto& b) { b.version = 4; }), "version"},
        {"byte-swapped", swapped, "big-endian"},
        {"n_tensors -1", with([&](auto& b) { b.n_tensors = minus_one; }), "more tensors"},
        {"n_kv -1", with([&](auto& b) { b.n_pairs = minus_one; }), "more metadata"},
        {"n_tensors one too many", with([](auto& b) { ++b.n_tensors; }), "m.gguf"},
        {"n_kv one too many", [] {
             GgufBuilder b = GgufBuilder().pair("k", 8, GgufBuilder::string("a string long enough"));
             ++b.n_pairs;
             return b.build();
         }(), "ends early"},
        {"key length -1", [&] {
             GgufBuilder b;
             b.pairs = little_endian(minus_one) + std::string(20, 'x');
             b.n_pairs = 1;
             return b.build();
         }(), "ends early"},
        {"empty key", GgufBuilder().pair("", 0, "1").pair("bb", 0, "1").build(), "empty key"},
        {"value type 13", pair(13, "12345678"), "unknown value type"},
        {"value type -1", pair(~0u, "12345678"), "unknown value type"},
        {"duplicate key", GgufBuilder().pair("k", 0, "1").pair("j", 0, "1").pair("k", 8, GgufBuilder::string("x")).build(), "k: duplicate key"},
        {"string length -1", pair(8, little_endian(minus_one) + "xx"), "ends early"},
        {"array of arrays", pair(9, array(9, 1, array(0, 1, "1"))), "array of arrays"},
        {"array element type", pair(9, array(13, 1, "12345678")), "unknown element type"},
        {"array length -1", pair(9, array(0, minus_one, "1")), "longer than the file"},
        {"array length wraps", pair(9, array(10, (std::uint64_t{1} << 61) + 1, "12345678")), "longer than the file"},
        {"string array count * 8 > left", pair(9, array(8, 5, std::string(32, '\0'))), "longer than the file"},
        {"string array cut", pair(9, array(8, 2, GgufBuilder::string("abcdefgh") + little_endian(std::uint64_t{9}) + "short")), "ends early"},
        {"alignment 0", with([](auto& b) { b.pair("general.alignment", 4, little_endian(0u)); }), "alignment"},
        {"alignment 13", with([](auto& b) { b.pair("general.alignment", 4, little_endian(13u)); }), "alignment"},
        {"alignment 2 MiB", with([](auto& b) { b.pair("general.alignment", 4, little_endian(1u << 21)); }), "alignment"},
        {"alignment u64", with([](auto& b) { b.pair("general.alignment", 10, little_endian(std::uint64_t{32})); }), "alignment"},
        {"inconsistent alignment", GgufBuilder().pair("general.alignment", 4, little_endian(64u)).tensor("a", {4}, 0, four).tensor("b", {4}, 0, four).build(), "offset"},
        {"name of 64", only({4}, 0, 0, std::string(64, 'n')), "name too long"},
        {"5 dimensions", only({1, 1, 1, 1, 1}, 0), "too many dimensions"},
        {"negative dimension", only({minus_one}, 0), "negative dimension"},
        {"elements overflow", only({huge, 4}, 24), "size overflow"},
        {"elements wrap to 4", only({huge + 1, 4}, 24), "size overflow"},
        {"bytes overflow", only({huge}, 0), "size overflow"},
        {"type 4", only({32}, 4), "unknown type (4)"},
        {"type Q8_1", only({32}, 9), "Q8_1"},
        {"type IQ2_XXS", only({256}, 16), "IQ2_XXS"},
        {"type -1", only({4}, ~0u), "cannot be read"},
        {"row no whole block", only({31}, 8), "whole blocks"},
        {"row of 128 in Q4_K", only({128, 2}, 12), "whole blocks"},
        {"offset not aligned", only({4}, 0, 1), "offset"},
        {"offset behind", only({4}, 0, 32), "offset"},
        {"offset -32", only({4}, 0, minus_one - 31), "offset"},
        {"overlap", with([&](auto& b) { b.info("b", {4}, 0, 0); }), "offset"},
        {"duplicate name", with([&](auto& b) { b.tensor("a", {4}, 0, four); }), "a: duplicate tensor name"},
        {"data one byte short", last_byte_missing, "ends before this tensor"},
        {"no data", base().header(), "ends before this tensor"},
        {"sizes sum past 2^64", GgufBuilder().info("a", {huge, 1}, 24, 0).info("b", {huge}, 24, huge).info("c", {huge}, 24, huge * 2).info("d", {huge}, 24, huge * 3).info("e", {64}, 24, 0).build(),
         "ends before this tensor"},
    };
    for (const Case& item : cases) {
        INFO(item.id);
        const std::string message = gguf_verdict(item.file);
        INFO("message: '" << message << "'");
        CHECK(message.find(item.says) != std::string::npos);
    }
}

TEST_CASE("odd but valid GGUF files load") {
    CHECK(gguf_verdict(base().build()) == "");
    CHECK(gguf_verdict(GgufBuilder().build()) == "");
    GgufBuilder two = base();
    two.version = 2;
    CHECK(gguf_verdict(two.build()) == "");
    CHECK(gguf_verdict(GgufBuilder().tensor("zero", {0, 3}, 0, "").tensor("after", {4}, 0, four).build()) == "");
    CHECK(gguf_verdict(GgufBuilder().tensor("scalar", {}, 0, "abcd").build()) == "");
    CHECK(gguf_verdict(GgufBuilder().tensor(std::string(63, 'n'), {4}, 0, four).build()) == "");
    CHECK(gguf_verdict(GgufBuilder().pair("empty", 9, array(8, 0, "")).build()) == "");
    GgufBuilder wide;
    wide.alignment = 4096;
    wide.pair("general.alignment", 4, little_endian(4096u)).tensor("a", {4}, 0, four).tensor("b", {4}, 0, four);
    CHECK(gguf_verdict(wide.build()) == "");
}

TEST_CASE("GGUF tensors are row-major, outermost dimension first") {
    const std::string bytes = GgufBuilder().tensor("q", {64, 3}, 8, std::string(34 * 6, 'q')).tensor("f", {2, 1, 2}, 1, "abcdefgh").build();
    const GgufFile file(as_bytes(bytes));
    CHECK(file.names() == std::vector<std::string>{"q", "f"});
    CHECK(file.at("q").dtype == DType::q8_0);
    CHECK(file.at("q").shape == std::vector<std::uint64_t>{3, 64});
    CHECK(file.at("q").bytes.size() == 34 * 6);
    CHECK(file.at("f").shape == std::vector<std::uint64_t>{2, 1, 2});
    CHECK(std::memcmp(file.at("f").bytes.data(), "abcdefgh", 8) == 0);
    CHECK(file.find("g") == nullptr);
}

TEST_CASE("GGUF metadata comes out typed, and errors name file, key, expected and found") {
    const std::string bytes = GgufBuilder()
        .pair("u8", 0, "\x07").pair("i8", 1, "\xFF").pair("u16", 2, little_endian(std::uint16_t{500})).pair("i16", 3, little_endian(std::int16_t{-500}))
        .pair("u32", 4, little_endian(4'000'000'000u)).pair("i32", 5, little_endian(-5)).pair("f32", 6, little_endian(0.5f)).pair("bool", 7, "\x01")
        .pair("string", 8, GgufBuilder::string("text")).pair("u64", 10, little_endian(~std::uint64_t{0})).pair("i64", 11, little_endian(std::int64_t{-1}))
        .pair("f64", 12, little_endian(0.25)).pair("strings", 9, array(8, 2, GgufBuilder::string("one") + GgufBuilder::string("")))
        .pair("ints", 9, array(5, 3, little_endian(1) + little_endian(-2) + little_endian(3))).pair("floats", 9, array(6, 1, little_endian(1.5f)))
        .pair("bools", 9, array(7, 1, "\x01")).build();
    const GgufFile file(as_bytes(bytes), "m.gguf");
    CHECK(file.keys().size() == 16);
    CHECK(file.keys().front() == "u8");
    CHECK(file.get<int>("u8") == 7);
    CHECK(file.get<std::int64_t>("i8") == -1);
    CHECK(file.get<std::size_t>("u16") == 500);
    CHECK(file.get<int>("i16") == -500);
    CHECK(file.get<std::uint32_t>("u32") == 4'000'000'000u);
    CHECK(file.get<std::int8_t>("i32") == -5);
    CHECK(file.get<double>("f32") == 0.5);
    CHECK(file.get<bool>("bool"));
    CHECK(file.get<std::string>("string") == "text");
    CHECK(file.get<std::string_view>("string") == "text");
    CHECK(file.get<std::uint64_t>("u64") == ~std::uint64_t{0});
    CHECK(file.get<float>("f64") == 0.25f);
    const auto strings = file.get<std::span<const std::string_view>>("strings");
    REQUIRE(strings.size() == 2);
    CHECK(strings[0] == "one");
    CHECK(strings[1].empty());
    CHECK(file.get<std::vector<int>>("ints") == std::vector<int>{1, -2, 3});
    CHECK(file.get<std::vector<float>>("floats") == std::vector<float>{1.5f});
    CHECK(file.get_or<int>("absent", 9) == 9);
    CHECK(!file.get_if<std::string>("absent"));

    const auto message = [&](auto get) -> std::string {
        try {
            get();
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    CHECK(message([&] { file.get<int>("u32"); }) == "m.gguf: u32: wrong type or range (expected an integer that fits, found u32)");
    CHECK(message([&] { file.get<std::uint64_t>("i64"); }).find("not negative") != std::string::npos);
    CHECK(message([&] { file.get<int>("bool"); }).find("found bool") != std::string::npos);
    CHECK(message([&] { file.get<int>("f32"); }).find("found f32") != std::string::npos);
    CHECK(message([&] { file.get<float>("u8"); }).find("found u8") != std::string::npos);
    CHECK(message([&] { file.get<bool>("u8"); }).find("expected bool") != std::string::npos);
    CHECK(message([&] { file.get<std::vector<unsigned>>("ints"); }).find("found array of i32") != std::string::npos);
    CHECK(message([&] { file.get<std::vector<int>>("strings"); }).find("found array of string") != std::string::npos);
    CHECK(message([&] { file.get<std::vector<int>>("bools"); }).find("found array of bool") != std::string::npos);
    CHECK(message([&] { file.get<std::span<const std::string_view>>("ints"); }).find("expected array of string") != std::string::npos);
    CHECK(message([&] { file.get<std::string>("absent"); }) == "m.gguf: absent: missing (expected string)");
}

TEST_CASE("a GGUF vocabulary whose arrays differ in length is refused") {
    const std::string tokens = array(8, 2, GgufBuilder::string("a") + GgufBuilder::string("b"));
    const auto check = [&](std::uint64_t scores) {
        const std::string bytes = GgufBuilder().pair("tokenizer.ggml.tokens", 9, tokens).pair("tokenizer.ggml.scores", 9, array(6, scores, std::string(4 * scores, '\0'))).build();
        check_gguf_vocabulary(GgufFile(as_bytes(bytes)));
    };
    CHECK_NOTHROW(check(2));
    CHECK_THROWS_AS(check(1), Error);
    CHECK_THROWS_AS(check(3), Error);
}
