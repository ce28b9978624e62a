// Every rule of the safetensors format: each malformed file gives the error of its class, each odd but valid one loads.
// The verdicts are those of the reference reader, recorded by running it, but for the cases marked "ours".
#include <chrono>
#include <string>
#include <vector>

#include "formats/file_bytes.hpp"
#include "morsel/formats/safetensors.hpp"
#include "support/catch.hpp"
#include "support/text.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

const std::string zeros(16, '\0');

std::string tensor_entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}
const std::string plain_tensor = tensor_entry("\"I32\"", "[2,2]", "[0,16]");

// "" where it loads, else the error's text.
std::string safetensors_verdict(std::string_view file) {
    try {
        const SafetensorsFile read(as_bytes(file));
        for (const std::string& name : read.names()) read.at(name);
        return "";
    } catch (const Error& error) {
        return error.reason();
    }
}

std::string with_length(std::uint64_t length, std::string_view rest) { return little_endian(length) + std::string(rest); }
std::string shape_case(const std::string& shape) { return safetensors(tensor_entry("\"I32\"", shape, "[0,16]"), zeros); }
std::string offsets_case(const std::string& offsets) { return safetensors(tensor_entry("\"I32\"", "[2,2]", offsets), zeros); }
std::string two(const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[)" + a + R"(},"b":{"dtype":"U8","shape":[)" + b + "}}";
}

struct SafetensorsCase {
    const char* id;
    std::string file;
    const char* fault;  // how the reason begins
};

std::vector<SafetensorsCase> malformed() {
    const char *json = "not valid JSON", *utf8 = "invalid UTF-8", *offset = "invalid offset", *overflow = "size overflow", *size = "wrong tensor size",
               *duplicate = "duplicate key", *incomplete = "incomplete buffer";
    std::string big_tensors = "{";
    for (int i = 0; i < 8; ++i) {
        const std::uint64_t each = (std::uint64_t{1} << 61) - 1, n = static_cast<std::uint64_t>(i);
        big_tensors += (i ? "," : "") + ("\"t" + std::to_string(i) + "\":{\"dtype\":\"U8\",\"shape\":[") + std::to_string(each) + "],\"data_offsets\":[" +
                       std::to_string(each * n) + "," + std::to_string(each * (n + 1)) + "]}";
    }
    big_tensors += "}";
    const std::string t = R"("t":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]})";
    std::string big_endian = safetensors(plain_tensor, zeros);
    for (std::size_t i = 0; i < 4; ++i) std::swap(big_endian[i], big_endian[7 - i]);
    return {
        {"M01", "", "header too small"},
        {"M02", std::string(7, '\0'), "header too small"},
        {"M03", with_length(60, ""), "invalid header length"},
        {"M04", with_length(0, ""), json},
        {"M05", with_length(~std::uint64_t{0}, plain_tensor + zeros), "header too large"},
        {"M06", with_length(100'000'001, plain_tensor + zeros), "header too large"},
        {"M07", with_length(100'000'000, "{}"), "invalid header length"},
        {"M08", with_length(plain_tensor.size() + 1, plain_tensor), "invalid header length"},
        {"M09", with_length(plain_tensor.size() - 1, plain_tensor + zeros), json},
        {"M10", big_endian, "header too large"},
        {"M11", safetensors("{\"\xFF\":{}}"), utf8},
        {"M12", safetensors("{\"\xC0\xAF\":{}}"), utf8},
        {"M13", safetensors("{\"\xED\xA0\x80\":{}}"), utf8},
        {"M14", safetensors(R"({"\ud800":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", zeros), json},
        {"M15", safetensors("\xEF\xBB\xBF" + plain_tensor, zeros), json},
        {"M16", safetensors("{"), json},
        {"M17", safetensors("[]"), json},
        {"M18", safetensors("null"), json},
        {"M19", safetensors(plain_tensor + "x", zeros), json},
        {"M20", safetensors("{}{}"), json},
        {"M21", safetensors(R"({"t":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]},})", zeros), json},
        {"M21b", safetensors(R"({"t":{"dtype":"I32","shape":[2,2,],"data_offsets":[0,16]}})", zeros), json},
        {"M21c", safetensors(R"({"t":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16],}})", zeros), json},
        {"M22", safetensors("{/* comment */" + t + "}", zeros), json},
        {"M23", safetensors("{'t':{'dtype':'I32','shape':[2,2],'data_offsets':[0,16]}}", zeros), json},
        {"M24", safetensors("{\"a\nb\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", zeros), json},
        {"M25", safetensors(plain_tensor + std::string(3, '\0'), zeros), json},
        {"M26", safetensors(std::string(200, '[')), json},
        {"M27", safetensors(R"({"t":{"x":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}}"), json},
        {"M27b", safetensors(R"({"t":{"x":)" + repeat("{\"a\":", 1'000'000) + "1" + std::string(1'000'002, '}')), json},
        {"M28 ours", safetensors("{" + t + "," + t + "}", zeros), duplicate},
        {"M29 ours", safetensors("{" + t + R"(,"t":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})", zeros), duplicate},
        {"M30", safetensors("{" + t + R"(,"t":{"dtype":"I32","shape":[1],"data_offsets":[16,20]}})", zeros + "abcd"), duplicate},
        {"M31", safetensors(R"({"__metadata__":{},"__metadata__":{}})"), json},
        {"M32", safetensors(R"({"t":{"dtype":"I32","dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", zeros), json},
        {"M32b ours", safetensors(R"({"__metadata__":{"a":"1","\u0061":"2"}})"), duplicate},
        {"M33", safetensors(R"({"__metadata__":{"a":1}})"), json},
        {"M34", safetensors(R"({"__metadata__":[]})"), json},
        {"M35", safetensors(R"({"__metadata__":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", zeros), json},
        {"M36", safetensors(R"({"t":{"shape":[2,2],"data_offsets":[0,16]}})", zeros), json},
        {"M37", safetensors(R"({"t":{"dtype":"I32","data_offsets":[0,16]}})", zeros), json},
        {"M38", safetensors(R"({"t":{"dtype":"I32","shape":[2,2]}})", zeros), json},
        {"M39", safetensors(tensor_entry("\"F17\"", "[2,2]", "[0,16]"), zeros), "not valid JSON: unknown dtype 'F17'"},
        {"M40", safetensors(tensor_entry("\"i32\"", "[2,2]", "[0,16]"), zeros), "not valid JSON: unknown dtype"},
        {"M40b", safetensors(tensor_entry("\"Q4_0\"", "[32]", "[0,16]"), zeros), "not valid JSON: unknown dtype"},
        {"M41", safetensors(tensor_entry("7", "[2,2]", "[0,16]"), zeros), json},
        {"M42", shape_case("[-2,2]"), json},
        {"M43", shape_case("[2.0,2]"), json},
        {"M44", shape_case("[2e0,2]"), json},
        {"M45", shape_case("[\"2\",2]"), json},
        {"M46", shape_case("[02,2]"), json},
        {"M47", shape_case("[18446744073709551616]"), json},
        {"M48", shape_case("4"), json},
        {"M49", offsets_case("[0]"), json},
        {"M50", offsets_case("[0,16,16]"), json},
        {"M51", offsets_case(R"({"begin":0,"end":16})"), json},
        {"M52", offsets_case("[16,0]"), offset},
        {"M53", offsets_case("[-1,15]"), json},
        {"M54", safetensors(tensor_entry("\"I32\"", "[2,2]", "[4,20]"), zeros + "abcd"), offset},
        {"M55", safetensors(two(R"(4],"data_offsets":[0,4])", R"(4],"data_offsets":[8,12])"), std::string(12, '\0')), offset},
        {"M56", safetensors(two(R"(4],"data_offsets":[0,4])", R"(4],"data_offsets":[0,4])"), std::string(4, '\0')), offset},
        {"M57", safetensors(two(R"(4],"data_offsets":[0,4])", R"(4],"data_offsets":[2,6])"), std::string(6, '\0')), offset},
        {"M58", safetensors(tensor_entry("\"I32\"", "[2,2]", "[0,4]"), "abcd"), size},
        {"M59", safetensors(tensor_entry("\"I32\"", "[2,2]", "[0,32]"), zeros + zeros), size},
        {"M60", safetensors(plain_tensor, zeros.substr(2)), incomplete},
        {"M61", safetensors(plain_tensor, zeros + "PK\x03\x04"), incomplete},
        {"M62", safetensors(tensor_entry("\"U8\"", "[1099511627776]", "[0,1099511627776]"), zeros), incomplete},
        {"M63", shape_case("[2,18446744073709551614]"), overflow},
        {"M64", shape_case("[2,9223372036854775807]"), overflow},
        {"M65", shape_case("[4611686018427387905,4]"), overflow},
        {"M66", shape_case("[18446744073709551615,2,0]"), overflow},
        {"M67", safetensors(tensor_entry("\"F4\"", "[3]", "[0,1]"), "a"), "misaligned"},
        {"M68", safetensors(tensor_entry("\"F6_E2M3\"", "[3]", "[0,2]"), "ab"), "misaligned"},
        {"M69", safetensors(big_tensors), incomplete},
        {"M70", safetensors(R"({"t":null})"), json},
        {"M71 ours", safetensors(R"({"t":["I32",[2,2],[0,16]]})", zeros), json},
        {"M72", shape_case("[" + std::string(10'000, '9') + "]"), json},
        {"M73", offsets_case("[0,1.6e1]"), json},
        {"M74", offsets_case("[-0,16]"), json},
        {"M75", safetensors("{}", "abcde"), incomplete},
        {"M76", safetensors(R"({"\udc00":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", zeros), json},
        {"M77", shape_case("[NaN]"), json},
        {"M78", safetensors(R"({"t" {"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", zeros), json},
        {"M79", safetensors(R"({"__METADATA__":{"a":"b"}})"), json},
        {"M80", safetensors(R"({"t)"), json},
        {"M81", safetensors(R"({"\q":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", zeros), json},
        {"M82", "\x1f\x8b\x08" + std::string(30, '\0'), "invalid header length"},
        {"M83", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "header too large"},
        {"M84", "<!DOCTYPE html><html><body>404</body></html>", "header too large"},
        {"M85", std::string("PK\x03\x04", 4) + std::string(40, '\0'), "invalid header length"},
        {"rank 65 ours", safetensors(tensor_entry("\"I32\"", "[" + repeat("1,", 64) + "1]", "[0,4]"), "abcd"), json},
    };
}

std::vector<SafetensorsCase> valid() {
    const std::string odd = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})";
    const auto named = [](const std::string& name) { return safetensors("{\"" + name + R"(":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", zeros); };
    return {
        {"V01", safetensors("{}"), ""},
        {"V02", safetensors(plain_tensor, zeros), ""},
        {"V03", safetensors(tensor_entry("\"I32\"", "[]", "[0,4]"), "abcd"), ""},
        {"V04", safetensors(tensor_entry("\"I32\"", "[2,0]", "[0,0]")), ""},
        {"V05", safetensors(plain_tensor + "    ", zeros), ""},
        {"V06", safetensors("{\r\n\t\"t\" : {\"dtype\": \"I32\",\t\"shape\" :[ 2 , 2 ], \"data_offsets\":[ 0 ,16\n]}\r\n}", zeros), ""},
        {"V07", safetensors(" " + plain_tensor, zeros), ""},
        {"V08", safetensors(R"({"__metadata__":{"format":"pt","x":""},)" + plain_tensor.substr(1), zeros), ""},
        {"V09", safetensors(R"({"__metadata__":null,)" + plain_tensor.substr(1), zeros), ""},
        {"V10", safetensors(R"({"__metadata__":{"a":"b"}})"), ""},
        {"V11", safetensors(two(R"(4],"data_offsets":[4,8])", R"(4],"data_offsets":[0,4])"), "abcdefgh"), ""},
        {"V12", safetensors(odd, "abcde"), ""},
        {"V13", safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"z":{"dtype":"F32","shape":[0],"data_offsets":[1,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "ab"), ""},
        {"V14", safetensors(R"({"z":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"y":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "b"), ""},
        {"V15", safetensors(R"({"t":{"dtype":"I32","shape":[2,2],"x":{"y":[1,-2.5e-3,true,false,null,"\u00e9\ud83d\ude00",{}]},"data_offsets":[0,16]}})", zeros), ""},
        {"V16", safetensors(R"({"\u0074":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", zeros), ""},
        {"V16b", safetensors(R"({"t":{"\u0064type":"\u004932","shape":[2,2],"data_offsets":[0,16]}})", zeros), ""},
        {"V17", named(""), ""},
        {"V18", named("a\\u0000b"), ""},
        {"V19", named("../../etc/passwd"), ""},
        {"V20", safetensors(tensor_entry("\"I32\"", "[0,18446744073709551615]", "[0,0]")), ""},
        {"V21", safetensors(tensor_entry("\"F4\"", "[4]", "[0,2]"), "ab"), ""},
        {"V22", safetensors(tensor_entry("\"BOOL\"", "[2]", "[0,2]"), "\x02\xff"), ""},
        {"V23", safetensors(tensor_entry("\"F32\"", "[2]", "[0,8]"), std::string("\0\0\xc0\x7f\0\0\x80\x7f", 8)), ""},
        {"V24", safetensors(tensor_entry("\"I32\"", "[" + repeat("1,", 63) + "1]", "[0,4]"), "abcd"), ""},
    };
}

}  // namespace

TEST_CASE("a malformed safetensors file gives the error of its class") {
    for (const SafetensorsCase& item : malformed()) {
        INFO(item.id);
        const auto start = std::chrono::steady_clock::now();
        const std::string reason = safetensors_verdict(item.file);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        INFO("reason: '" << reason << "'");
        CHECK(reason.starts_with(item.fault));
        CHECK(took.count() < 0.5);
    }
}

TEST_CASE("an odd but valid safetensors file loads") {
    for (const SafetensorsCase& item : valid()) {
        INFO(item.id);
        CHECK(safetensors_verdict(item.file) == "");
    }
}

TEST_CASE("what was downloaded instead of a model is named") {
    const auto message = [](std::string_view file) -> std::string {
        try {
            SafetensorsFile(as_bytes(file), "m.safetensors");
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    CHECK(message("<!DOCTYPE html><html>").find("HTML") != std::string::npos);
    CHECK(message("version https://git-lfs.github.com/spec/v1\n").find("git-LFS") != std::string::npos);
    CHECK(message(std::string("PK\x03\x04", 4) + std::string(40, '\0')).find("zip") != std::string::npos);
    CHECK(message("").find("m.safetensors") != std::string::npos);
}

TEST_CASE("tensors, order and metadata of a safetensors file are what it says") {
    const std::string bytes = safetensors(R"({"b":{"dtype":"F32","shape":[2,1],"data_offsets":[1,9]},"__metadata__":{"z":"1","a\n":"é"},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})",
                                          "xabcdefgh");
    const SafetensorsFile file(as_bytes(bytes));
    CHECK(file.names() == std::vector<std::string>{"b", "a"});
    CHECK(file.metadata() == std::map<std::string, std::string>{{"z", "1"}, {"a\n", "é"}});
    REQUIRE(file.find("b") != nullptr);
    CHECK(file.find("b")->dtype == DType::f32);
    CHECK(file.find("b")->shape == std::vector<std::uint64_t>{2, 1});
    CHECK(std::memcmp(file.find("b")->bytes.data(), "abcdefgh", 8) == 0);
    CHECK(file.find("b")->bytes.size() == 8);
    CHECK(file.find("a")->bytes.size() == 1);
    CHECK(file.find("c") == nullptr);
    CHECK_THROWS_AS(file.at("c"), Error);
}

TEST_CASE("a mapped safetensors file survives a move and the release of its pages") {
    const TemporaryDirectory directory;
    const std::string data(100'000, 'x');
    const auto path = directory.write("m.safetensors", safetensors(R"({"t":{"dtype":"U8","shape":[100000],"data_offsets":[0,100000]}})", data));
    SafetensorsFile first(path);
    const SafetensorsFile file(std::move(first));
    file.release(file.at("t"));
    CHECK(std::memcmp(file.at("t").bytes.data(), data.data(), data.size()) == 0);
    CHECK(file.path() == path);
    CHECK_THROWS_AS(SafetensorsFile(directory.path()), Error);
    CHECK_THROWS_AS(SafetensorsFile(directory.path() / "absent"), Error);
}
