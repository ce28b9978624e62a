// pytorch_model.bin: every layout and type that torch writes reads as the same plain tensors (tests/reference/torch_checkpoints.py),
// and every malformed file of the table of reliability, B01 to B67, gives an error of its class.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "formats/file_bytes.hpp"
#include "formats/torch_builder.hpp"
#include "morsel/formats/open_weights.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/formats/torch_checkpoint.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"
#include "support/text.hpp"

using namespace morsel;
using namespace morsel_test;
using pickled::dict, pickled::global, pickled::integer, pickled::storage, pickled::Tensor, pickled::text, pickled::tuple, pickled::whole;

namespace {

// "" where it loads, else the error's text.
std::string torch_verdict(std::string_view file) {
    try {
        const TorchCheckpoint read(as_bytes(file));
        for (const std::string& name : read.names()) read.at(name);
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

void check_same(const TensorSource& got, const TensorSource& expected) {
    auto names = got.names(), wanted = expected.names();
    std::sort(names.begin(), names.end()), std::sort(wanted.begin(), wanted.end());
    CHECK(names == wanted);
    for (const std::string& name : wanted) {
        INFO(name);
        REQUIRE(got.find(name) != nullptr);
        const TensorView &a = got.at(name), &b = expected.at(name);
        CHECK(a.dtype == b.dtype);
        CHECK(a.shape == b.shape);
        REQUIRE(a.bytes.size() == b.bytes.size());
        CHECK((a.bytes.empty() || std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0));
    }
}

std::string of_tensor(const Tensor& tensor) { return whole(dict({text("t"), tensor.build()})); }
std::string tensor_case(const Tensor& tensor) { return torch_archive(of_tensor(tensor)).build(); }
std::string pickle_case(const std::string& pickle) { return torch_archive(pickle).build(); }
struct TorchCase {
    const char* id;
    std::string file;
    const char* fault;  // a part of the message
};

std::vector<TorchCase> pickles() {
    const std::string good = of_tensor({});
    const auto call = [](const std::string& callee) { return whole(dict({text("t"), callee + tuple({text("true")}) + "R"})); };
    const auto id = [](const std::string& persistent) { return of_tensor({.storage = persistent + "Q"}); };
    std::string odd_class = storage("0", 4);
    odd_class.replace(odd_class.find("ctorch"), std::strlen("ctorch\nFloatStorage\n"), "cevil\nFakeStorage\n");
    return {
        {"B21", pickle_case(call(global("posix", "system"))), "posix.system"},
        {"B22", pickle_case(call(global("__builtin__", "eval"))), "__builtin__.eval"},
        {"B23", pickle_case(call(global("numpy.core.multiarray", "scalar"))), "numpy.core.multiarray.scalar"},
        {"an allowed name with a line more", pickle_case(call("ctorch\nSize\nx\n")), "pickle: "},
        {"a global is enough", pickle_case(whole(dict({text("t"), global("os", "system")}))), "os.system"},
        {"a global without end", pickle_case("\x80\x02" + std::string("ctorch") + std::string(1000, 'x')), "without end"},
        {"B24", pickle_case("\x80\x02u."), "no mark"},
        {"B24b", pickle_case("\x80\x02s."), "stack is empty"},
        {"B24c", pickle_case("\x80\x02."), "not one value"},
        {"B24d", pickle_case("\x80\x02}(}(}u."), "pickle: "},
        {"across a mark", pickle_case("\x80\x02}(R."), "stack is empty"},
        {"B25", pickle_case(good.substr(0, good.size() - 1)), "cut off"},
        {"B26", pickle_case("\x80\x02h\x05."), "memo"},
        {"a memo index that lies", pickle_case(std::string("\x80\x02}r\xff\xff\xff\x7f.", 9)), "memo"},
        {"B27", pickle_case(std::string("\x80\x02X\xff\xff\xff\xff" "abc.", 11)), "cut off"},
        {"B28", pickle_case("\x80\x02\x8a\x08" "abc"), "cut off"},
        {"B28b", pickle_case("\x80\x02\x8a\x09" "123456789."), "64 bits"},
        {"B29", pickle_case("\x80\x02(ios\nsystem\n."), "unsupported opcode"},
        {"B30", pickle_case("\x80\x02\x95" + std::string(8, '\0') + "}."), "unsupported opcode"},
        {"B31", pickle_case("\x80\x02" + text("os") + text("system") + "\x93."), "unsupported opcode"},
        {"protocol 4", pickle_case("\x80\x04}."), "unsupported protocol"},
        {"B32", pickle_case("\x80\x02)" + repeat("\x85", 1'000'000) + "."), "nested too deeply"},
        {"B32 lists", pickle_case("\x80\x02" + repeat("]", 100'000) + repeat("a", 99'999) + "."), "nested too deeply"},
        {"B33", pickle_case("\x80\x02" + repeat("(", 1'000'000) + "."), "too many marks"},
        {"a high stack", pickle_case("\x80\x02" + repeat("N", 3'000'000) + "."), "too many values"},
        {"B34", pickle_case("\x80\x02]" + text("a") + "Ns."), "put into something else"},
        {"B35", pickle_case("\x80\x02}Na."), "put into something else"},
        {"B36", pickle_case("\x80\x02}(NNNu."), "a key without a value"},
        {"B37", pickle_case(id(text("0"))), "no tuple"},
        {"B38", pickle_case(id(tuple({text("module"), global("torch", "FloatStorage"), text("0"), text("cpu"), integer(4)}))), "names no storage"},
        {"B39", pickle_case(of_tensor({.storage = odd_class})), "evil.FakeStorage"},
        {"a dtype for a class", pickle_case(of_tensor({.storage = storage("0", 4, "float32")})), "not a class of storages"},
        {"B41", pickle_case(whole("K\x05")), "not a state dict"},
        {"B42", pickle_case(whole(Tensor().build())), "not a state dict"},
        {"no tensor in it", pickle_case(whole(dict({text("epoch"), integer(3)}))), "not a state dict"},
        {"a key that is no name", pickle_case(whole(dict({integer(3), Tensor().build()}))), "no name"},
        {"a name that is no UTF-8", pickle_case(whole(dict({text("\xff"), Tensor().build()}))), "UTF-8"},
        {"a call of a string", pickle_case(whole(dict({text("t"), text("print") + ")R"}))), "something else than a global"},
        {"attributes of a tensor", pickle_case(whole(dict({text("t"), Tensor().build() + "}b"}))), "attributes"},
        {"two arguments", pickle_case(whole(dict({text("t"), global("torch._utils", "_rebuild_tensor_v2") + tuple({storage("0", 4), integer(0)}) + "R"}))), "number of arguments"},
        {"OrderedDict of text", pickle_case(whole(global("collections", "OrderedDict") + tuple({text("abc")}) + "R")), "list of pairs"},
        {"a storage for a tensor", pickle_case(whole(dict({text("t"), global("torch._utils", "_rebuild_parameter") + tuple({storage("0", 4), "\x88", "N"}) + "R"}))), "something else than a tensor"},
    };
}

std::vector<TorchCase> tensors() {
    const std::int64_t top = INT64_MAX;
    const auto two = [](std::string_view second) {
        return torch_archive(whole(dict({text("a"), Tensor().build(), text("b"), Tensor{.storage = std::string(second)}.build()}))).build();
    };
    return {
        {"B08", torch_archive(of_tensor({.storage = storage("0", 16), .size = {16}}), {{"0", "8 bytes!"}}).build(), "wrong storage size"},
        {"B10", torch_archive(of_tensor({.storage = storage("0", std::int64_t{1} << 40), .size = {std::int64_t{1} << 40}})).build(), "wrong storage size"},
        {"B10b", tensor_case({.storage = storage("0", top)}), "size overflow"},
        {"B11", tensor_case({.storage = storage("0", -4)}), "not negative"},
        {"B12", tensor_case({.size = {5}}), "beyond its storage"},
        {"B12b", tensor_case({.size = {2, 3}, .strides = {3, 1}}), "beyond its storage"},
        {"B13", tensor_case({.size = {2}, .strides = {4}}), "beyond its storage"},
        {"B14", tensor_case({.size = {2}, .strides = {-2}}), "not negative"},
        {"B15", tensor_case({.offset = 1}), "beyond its storage"},
        {"B15b", tensor_case({.offset = 5, .size = {0}}), "beyond its storage"},
        {"B16", tensor_case({.offset = -1}), "not negative"},
        {"B17", tensor_case({.size = {-2}}), "not negative"},
        {"B18", tensor_case({.size = {std::int64_t{1} << 32, std::int64_t{1} << 32}, .strides = {0, 0}}), "beyond its storage"},
        {"B18b", tensor_case({.size = {top, 3}, .strides = {top, top}}), "beyond its storage"},
        {"B18c", tensor_case({.size = {std::int64_t{1} << 62, 0, 8}, .strides = {0, 0, 0}}), ""},
        {"B19", tensor_case({.size = {1 << 20, 1 << 20}, .strides = {0, 0}}), "more than four times the file"},
        {"B20", tensor_case({.size = {2, 2}, .strides = {1}}), "differ in number"},
        {"65 dimensions", tensor_case({.size = std::vector<std::int64_t>(65, 1), .strides = std::vector<std::int64_t>(65, 1)}), "more than 64"},
        {"64 dimensions", tensor_case({.size = std::vector<std::int64_t>(64, 1), .strides = std::vector<std::int64_t>(64, top)}), ""},
        {"size is a list", pickle_case(whole(dict({text("t"), global("torch._utils", "_rebuild_tensor") + tuple({storage("0", 4), integer(0), "]", ")"}) + "R"}))), "a tuple"},
        {"B43", two(storage("0", 4, "IntStorage")), "two ways"},
        {"B43b", two(storage("0", 3)), "two ways"},
        {"B40", tensor_case({.storage = storage("../../../etc/passwd", 4)}), "lacks an entry"},
        {"complex128", tensor_case({.storage = storage("0", 1, "ComplexDoubleStorage"), .size = {1}}), "torch.ComplexDoubleStorage"},
        {"conjugated", pickle_case(whole(dict({text("t"), global("torch._utils", "_rebuild_tensor_v2") + tuple({storage("0", 4), integer(0), pickled::numbers({4}), pickled::numbers({1}), "\x89", "}", dict({text("conj"), "\x88"})}) + "R"}))), "conjugated"},
    };
}

std::vector<TorchCase> archives() {
    const std::string pickle = of_tensor({});
    const ZipBuilder good = torch_archive(pickle);
    const std::string whole_file = good.build();
    const auto with = [&](auto change) {
        ZipBuilder zip = good;
        change(zip);
        return zip.build();
    };
    const auto without = [&](std::size_t entry) { return with([&](ZipBuilder& zip) { zip.entries.erase(zip.entries.begin() + static_cast<std::ptrdiff_t>(entry)); }); };
    const std::string descriptor = little_endian(plain_crc32(std::string(16, 'w'))) + little_endian(16u) + little_endian(16u);
    return {
        {"B01", "", "an empty file"},
        {"B02", "garbage, and more of it", "not a torch checkpoint"},
        {"B03", whole_file.substr(0, whole_file.size() - 1), "no end record"},
        {"B03b", whole_file.substr(0, whole_file.size() - 22), "no end record"},
        {"B04", whole_file.substr(0, whole_file.size() / 2), "no end record"},
        {"B05", without(0), "data.pkl"},
        {"B06", without(1), "version"},
        {"B07", without(2), "data/0"},
        {"B46, B61", with([](ZipBuilder& zip) { zip.entries[0].method = 8; }), "compressed"},
        {"B61b", with([](ZipBuilder& zip) { zip.entries[0].method = 99; }), "compressed"},
        {"B48", with([](ZipBuilder& zip) { zip.entries[2].crc = 7; }), "wrong checksum"},
        {"B49", with([](ZipBuilder& zip) { zip.entries[0].crc = 7; }), "wrong checksum"},
        {"B50", with([](ZipBuilder& zip) { zip.entries[0].flags = 1; }), "encrypted"},
        {"B51", with([](ZipBuilder& zip) { zip.entries[0].local_name = "archive/atad.pkl"; }), "two names"},
        {"B52", with([](ZipBuilder& zip) { zip.entries.push_back(zip.entries[0]); }), "two entries of one name"},
        {"B53", with([](ZipBuilder& zip) { zip.entries.push_back(zip.entries[2]), zip.entries[3].name = "archive/x", zip.entries[3].offset = 0; }), "overlap"},
        {"B54", with([](ZipBuilder& zip) { zip.entries[2].size = 0xFFFF'FFF0; }), "does not fit"},
        {"B54b", with([](ZipBuilder& zip) { zip.entries[2].size = 0xFFFF'FFFF; }), "zip64 field"},
        {"B54c", with([](ZipBuilder& zip) { zip.entries[2].local_size = 15; }), "disagree"},
        {"B55", with([](ZipBuilder& zip) { zip.entries[2].offset = 0xFFFF'FF00; }), "belong to no entry"},
        {"B56", with([](ZipBuilder& zip) { zip.entries[2].extra_size = 0xFFFF; }), "does not fit"},
        {"B57", with([](ZipBuilder& zip) { zip.prefix = "PKjunk"; }), "belong to no entry"},
        {"B58", whole_file + "junk", "no end record"},
        {"B59", with([](ZipBuilder& zip) { zip.comment = ZipBuilder().build(); }), "the central directory"},
        {"a comment", with([](ZipBuilder& zip) { zip.comment = "comment"; }), "no end record"},
        {"B60", with([](ZipBuilder& zip) { zip.count = 65535; }), "more entries"},
        {"B60b", with([](ZipBuilder& zip) { zip.count = 2; }), "wrong number of entries"},
        {"B62", with([](ZipBuilder& zip) { zip.entries[1].data = "99999\n"; }), "unsupported version"},
        {"B62b", with([](ZipBuilder& zip) { zip.entries[1].data = "+3\n"; }), "unsupported version"},
        {"B63", with([](ZipBuilder& zip) { zip.entries.push_back({.name = "archive/byteorder", .data = "big"}); }), "little endian"},
        {"B64", with([](ZipBuilder& zip) { zip.entries[2].name = std::string("archive/\0x", 10); }), "NUL"},
        {"B65", "sys_info" + std::string(249, '\0') + "ustar", "not a torch checkpoint"},
        {"B66", "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x18.", "not a torch checkpoint"},
        {"B67", whole_file + whole_file, "the central directory"},
        {"a hole", with([](ZipBuilder& zip) { zip.entries[1].behind = "hole"; }), "belong to no entry"},
        {"a hole before the directory", with([](ZipBuilder& zip) { zip.before_directory = "hole"; }), "belong to no entry"},
        {"a directory beside", with([](ZipBuilder& zip) { zip.entries.push_back({.name = "other/data.pkl", .data = "."}); }), "not one directory"},
        {"a descriptor that is not there", with([](ZipBuilder& zip) { zip.entries[1].flags = 8; }), "data descriptor"},
        {"a descriptor of another size", with([&](ZipBuilder& zip) { zip.entries[2].flags = 8, zip.entries[2].behind = descriptor.substr(0, 8) + little_endian(17u); }), "data descriptor"},
        {"a broken extra field", with([](ZipBuilder& zip) { zip.entries[2].extra = "FB\xff\xff"; }), "extra field"},
        {"something behind the pickle", pickle_case(pickle + "."), "follows the pickle"},
        {"end records that disagree", [&] { std::string file = with([](ZipBuilder& zip) { zip.zip64 = true; }); return file.replace(file.size() - 6, 1, "\x01"); }(), "disagree"},

        {"good", whole_file, ""},
        {"B09", torch_archive(pickle, {{"0", std::string(20, 'w')}}).build(), ""},
        {"B44", torch_archive(whole(dict({text("a"), Tensor().build(), text("b"), Tensor().build()}))).build(), ""},
        {"B45", torch_archive(whole(dict({text("a"), Tensor().build(), text("a"), Tensor{.size = {3}}.build()}))).build(), ""},
        {"zip64", with([](ZipBuilder& zip) { zip.zip64 = true; }), ""},
        {"descriptors", with([&](ZipBuilder& zip) { zip.entries[2].flags = 8, zip.entries[2].behind = descriptor; }), ""},
        {"descriptors with signature", with([&](ZipBuilder& zip) { zip.entries[2].flags = 8, zip.entries[2].behind = "PK\x07\x08" + descriptor; }), ""},
        {"padding", with([](ZipBuilder& zip) { zip.entries[2].extra = "FB" + little_endian<std::uint16_t>(5) + "ZZZZZ"; }), ""},
        {"an empty dict", pickle_case(whole("}")), ""},
        {"a part of nothing", tensor_case({.offset = 4, .size = {0}}), ""},
        {"OrderedDict with pairs", pickle_case(whole(global("collections", "OrderedDict") + tuple({"](" + tuple({text("t"), Tensor().build()}) + "e"}) + "R")), ""},
        {"attributes of the dict", pickle_case(whole(dict({text("t"), Tensor().build()}) + "}b")), ""},
        {"a dict that holds itself", pickle_case(whole("}q\x01" + text("self") + "h\x01s" + text("t") + Tensor().build() + "s")), ""},
    };
}

}  // namespace

TEST_CASE("torch checkpoints: every malformed one is refused, odd but sound ones load") {
    for (const auto& cases : {pickles(), tensors(), archives()})
        for (const TorchCase& one : cases) {
            const std::string text = torch_verdict(one.file);
            INFO(one.id << ": " << text);
            if (*one.fault == '\0') CHECK(text.empty());
            else CHECK(text.find(one.fault) != std::string::npos);
        }
}

TEST_CASE("what torch wrote reads as the same tensors") {
    const auto data = test_data() / "torch";
    for (const auto& [file, expected] : {std::pair("views", "views"), {"views_legacy", "views"}, {"new_types", "new_types"}, {"training", "training"}, {"training_legacy", "training"}, {"tied", "tied"}}) {
        INFO(file);
        check_same(TorchCheckpoint(data / (std::string(file) + ".bin")), SafetensorsFile(data / (std::string(expected) + ".safetensors")));
        check_same(*open_weights(data / (std::string(file) + ".bin")), SafetensorsFile(data / (std::string(expected) + ".safetensors")));
    }
    if (const auto gold = reference_data("gold/checkpoints/torch-views")) {
        check_same(TorchCheckpoint(*gold / "views.bin"), SafetensorsFile(*gold / "views.safetensors"));
        check_same(TorchCheckpoint(*gold / "views_legacy.bin"), SafetensorsFile(*gold / "views.safetensors"));
        check_same(TorchCheckpoint(*gold / "nested.bin"), SafetensorsFile(*gold / "nested.safetensors"));
        CHECK_THROWS_AS(TorchCheckpoint(*gold / "calls_a_function.bin"), Error);
        for (const char* form : {"bert-tiny-bin", "bert-tiny-bin-legacy", "bert-tiny-bin-sharded"}) check_same(*open_weights(*gold / ".." / form), *open_weights(*gold / "../bert-tiny"));
    }
}

TEST_CASE("a checkpoint that names a function is refused, and the function is not called") {
    for (const char* file : {"call", "call_legacy"}) CHECK_THROWS_WITH(TorchCheckpoint(test_data() / "torch" / (std::string(file) + ".bin")), Catch::Contains("print"));
    CHECK_THROWS_WITH(TorchCheckpoint(test_data() / "torch/whole_module.bin"), Catch::Contains("Sequential"));
}

TEST_CASE("tensors that lie in order are views of the file; tied ones are the same bytes") {
    const std::string bytes = read_file(test_data() / "torch/tied.bin");
    const TorchCheckpoint tied(as_bytes(bytes));
    const auto inside = [&](const TensorView& view) { return view.bytes.data() >= as_bytes(bytes).data() && view.bytes.data() + view.bytes.size() <= as_bytes(bytes).data() + bytes.size(); };
    for (const std::string& name : tied.names()) CHECK(inside(tied.at(name)));
    CHECK(tied.at("embedding").bytes.data() == tied.at("head").bytes.data());
    CHECK(tied.at("part").bytes.data() == tied.at("head").bytes.data() + 24);
    const std::string all = read_file(test_data() / "torch/views.bin");
    const TorchCheckpoint views(as_bytes(all));
    CHECK(views.at("contiguous").bytes.data() >= as_bytes(all).data());
    for (const std::string& name : views.names()) views.release(views.at(name));  // the file's pages only, never a copy's memory
    check_same(views, SafetensorsFile(test_data() / "torch/views.safetensors"));
}

TEST_CASE("of a name that occurs twice the last counts, with a warning") {
    const std::string file = torch_archive(whole(dict({text("a"), Tensor().build(), text("b"), Tensor().build(), text("a"), Tensor{.size = {3}}.build()}))).build();
    const TorchCheckpoint read(as_bytes(file));
    CHECK(read.names() == std::vector<std::string>{"a", "b"});
    CHECK(read.at("a").shape == std::vector<std::uint64_t>{3});
    CHECK(read.warnings().size() == 1);
    const std::string wrong_sum = torch_archive(of_tensor({})).build();
    std::string damaged = wrong_sum;
    damaged[damaged.find("wwww")] = 'x';
    CHECK(torch_verdict(damaged).find("checksum") != std::string::npos);
    CHECK(TorchCheckpoint(as_bytes(damaged), {}, {.verify_checksums = false}).names().size() == 1);
}

TEST_CASE("CRC-32 has its known answers") {
    CHECK(crc32(as_bytes("123456789")) == 0xCBF43926);
    std::string bytes;
    for (int i = 0; i < 70; ++i, bytes += static_cast<char>(i * 37)) CHECK(crc32(as_bytes(bytes)) == plain_crc32(bytes));
}
