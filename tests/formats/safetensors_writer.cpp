// What is written reads back the same, the bytes are those of the format, and a failed write leaves the old file.
#include "morsel/formats/safetensors_writer.hpp"

#include <string>
#include <vector>

#include "formats/file_bytes.hpp"
#include "morsel/core/mapped_file.hpp"
#include "support/catch.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

NamedTensor tensor(std::string name, DType dtype, std::vector<std::uint64_t> shape, std::string_view data) { return {std::move(name), {dtype, std::move(shape), as_bytes(data)}}; }

}  // namespace

TEST_CASE("a written file has exactly the bytes that the format prescribes") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "m.safetensors";
    write_safetensors(path, std::vector{tensor("t", DType::i32, {1, 2}, "abcdefgh")}, {{"k", "v"}});
    const std::string header = R"({"__metadata__":{"k":"v"},"t":{"dtype":"I32","shape":[1,2],"data_offsets":[0,8]}})";
    const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
    CHECK(read_file(path) == safetensors(padded, "abcdefgh"));
    CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 1);
}

TEST_CASE("hostile names and values survive writing and reading") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "m.safetensors";
    const std::string odd = std::string("\"\\\b\f\n\r\t\x01\x1f/\x7f\0", 12) + "é\xF0\x9F\x98\x80";
    const std::map<std::string, std::string> metadata = {{odd, odd}, {"", ""}};
    const std::vector tensors = {tensor(odd, DType::f32, {}, "abcd"), tensor("", DType::u8, {3}, "xyz"), tensor("none", DType::f64, {0, 7}, ""), tensor("f4", DType::f4, {2}, "!")};
    write_safetensors(path, tensors, metadata);
    const SafetensorsFile file(path);
    CHECK(file.metadata() == metadata);
    CHECK(file.names() == std::vector<std::string>{odd, "", "none", "f4"});
    for (const NamedTensor& one : tensors) {
        CHECK(file.at(one.name).dtype == one.view.dtype);
        CHECK(file.at(one.name).shape == one.view.shape);
        CHECK(std::equal(one.view.bytes.begin(), one.view.bytes.end(), file.at(one.name).bytes.begin(), file.at(one.name).bytes.end()));
    }
    write_safetensors(path, {});
    CHECK(SafetensorsFile(path).names().empty());
}

TEST_CASE("what cannot be written is refused and leaves the old file") {
    const TemporaryDirectory directory;
    const auto path = directory.write("m.safetensors", "old");
    const auto refuse = [&](std::vector<NamedTensor> tensors) {
        CHECK_THROWS_AS(write_safetensors(path, tensors), Error);
        CHECK(read_file(path) == "old");
        CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 1);
    };
    refuse({tensor("a", DType::u8, {1}, "x"), tensor("a", DType::u8, {1}, "x")});
    refuse({tensor("__metadata__", DType::u8, {1}, "x")});
    refuse({tensor("\xFF", DType::u8, {1}, "x")});
    refuse({tensor("a", DType::u8, {2}, "x")});
    refuse({tensor("a", DType::u8, {std::uint64_t{1} << 63, 4}, "x")});
    refuse({tensor("a", DType::f4, {3}, "x")});
    refuse({tensor("a", DType::q4_0, {32}, std::string(18, 'x'))});
    CHECK_THROWS_AS(write_safetensors(directory.path() / "no" / "m.safetensors", {}), Error);
}
