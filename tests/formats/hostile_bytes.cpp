// Damaged files: every prefix, every flipped byte and edge values in every field give an object or an Error, and reading a header
// never takes more memory than the budget, however much the file claims.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "formats/file_bytes.hpp"
#include "formats/torch_builder.hpp"
#include "morsel/formats/gguf.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/formats/torch_checkpoint.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"
#include "support/text.hpp"

namespace {

std::atomic<std::size_t> live{0}, peak{0};  // bytes handed out by operator new

void* counted(std::size_t size) {
    void* block = std::malloc(size > 0 ? size : 1);
    if (block == nullptr) throw std::bad_alloc();
    const std::size_t now = live += malloc_usable_size(block);
    for (std::size_t before = peak; before < now && !peak.compare_exchange_weak(before, now);) {}
    return block;
}
void uncounted(void* block) {
    if (block == nullptr) return;
    live -= malloc_usable_size(block);
    std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void operator delete(void* block) noexcept { uncounted(block); }
void operator delete[](void* block) noexcept { uncounted(block); }
void operator delete(void* block, std::size_t) noexcept { uncounted(block); }
void operator delete[](void* block, std::size_t) noexcept { uncounted(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { uncounted(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { uncounted(block); }

using namespace morsel;
using namespace morsel_test;

namespace {

// True where the file loads; every byte that it promises is then read.
template <class File> bool loads(std::string_view bytes) {
    try {
        const File file(as_bytes(bytes));
        unsigned sum = 0;
        for (const std::string& name : file.names()) {
            const auto part = file.at(name).bytes;
            if (!part.empty()) sum += static_cast<unsigned>(part.front()) + static_cast<unsigned>(part.back());
        }
        volatile unsigned used = sum;
        (void)used;
        return true;
    } catch (const Error& error) {
        CHECK(*error.what() != '\0');
        return false;
    }
}

std::string small_safetensors() {
    return safetensors(R"({"__metadata__":{"format":"pt","\u00e9":"\n"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"I64","shape":[],"data_offsets":[12,20]}})",
                       std::string(20, 'd'));
}

std::string small_gguf() {
    return GgufBuilder().pair("general.architecture", 8, GgufBuilder::string("llama")).pair("general.alignment", 4, little_endian(32u))
        .pair("tokens", 9, little_endian(8u) + little_endian(std::uint64_t{2}) + GgufBuilder::string("ab") + GgufBuilder::string("c"))
        .pair("scores", 9, little_endian(6u) + little_endian(std::uint64_t{2}) + std::string(8, 's')).pair("flag", 7, "\x01")
        .tensor("a", {4, 2}, 0, std::string(32, 'x')).tensor("q", {32, 1}, 8, std::string(34, 'q')).build();
}

// Damage behind a right checksum gets further.
struct UncheckedTorchCheckpoint {
    TorchCheckpoint file;
    explicit UncheckedTorchCheckpoint(std::span<const std::byte> bytes) : file(bytes, {}, {.verify_checksums = false}) {}
    std::vector<std::string> names() const { return file.names(); }
    const TensorView& at(const std::string& name) const { return file.at(name); }
};

std::string small_torch() {
    using namespace pickled;
    const std::string tensor = Tensor{.size = {2, 2}, .strides = {1, 2}}.build(), half = Tensor{.storage = storage("1", 3, "HalfStorage"), .offset = 1, .size = {2}}.build();
    ZipBuilder zip = torch_archive(whole(dict({text("a"), tensor, text("b"), half, text("n"), "]q\x01(NK\x01h\x01" "e"})), {{"0", std::string(16, 'w')}, {"1", "123456"}});
    zip.zip64 = true;
    return zip.build();
}

template <class File> void damage(const std::string& whole) {
    REQUIRE(loads<File>(whole));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        INFO("cut to " << size);
        const std::string exact(whole, 0, size);  // its own allocation, so that a sanitizer sees a read past the end
        CHECK_FALSE(loads<File>(exact));
    }
    for (std::size_t i = 0; i < whole.size(); ++i)
        for (const int flip : {0x01, 0x80, 0xFF, 0x20}) {
            std::string damaged = whole;
            damaged[i] = static_cast<char>(damaged[i] ^ flip);
            loads<File>(damaged);
        }
    const std::uint64_t top = ~std::uint64_t{0}, edges[] = {0, 1, 2, 7, 8, 0x7F, 0xFF, 0x7FFF'FFFF, 0x8000'0000, 0xFFFF'FFFF, 0x1'0000'0000, top >> 1, (top >> 1) + 1, top - 31, top - 1, top,
                                                            top / 8, top / 8 + 1, std::uint64_t{1} << 61, whole.size()};
    for (std::size_t i = 0; i + 8 <= whole.size(); ++i)
        for (const std::uint64_t edge : edges) {
            std::string damaged = whole;
            std::memcpy(damaged.data() + i, &edge, 8);
            loads<File>(damaged);
        }
}

// Peak memory, bytes, while `bytes` is opened and closed again.
template <class File> std::size_t memory_of(std::string_view bytes) {
    const std::size_t before = live;
    peak = before;
    try {
        const File file(as_bytes(bytes));
    } catch (const Error&) {
    }
    CHECK(live == before);
    return peak - before;
}

}  // namespace

TEST_CASE("a damaged safetensors file is an object or an error, and no prefix of one loads") { damage<SafetensorsFile>(small_safetensors()); }
TEST_CASE("a damaged GGUF file is an object or an error, and no prefix of one loads") { damage<GgufFile>(small_gguf()); }

TEST_CASE("a damaged torch checkpoint is an object or an error, and no prefix of one loads") {
    damage<TorchCheckpoint>(small_torch());
    damage<UncheckedTorchCheckpoint>(small_torch());
    damage<TorchCheckpoint>(read_file(test_data() / "torch/training_legacy.bin"));
}

TEST_CASE("a torch checkpoint takes memory for what it has, not for what it claims") {
    using namespace pickled;
    const auto archive = [](const std::string& pickle) { return torch_archive(pickle).build(); };
    const std::int64_t much = std::int64_t{1} << 40;
    for (const std::string& file : {
             archive(whole(dict({text("t"), Tensor{.storage = storage("0", much), .size = {much}}.build()}))),
             archive(whole(dict({text("t"), Tensor{.size = {much}, .strides = {0}}.build()}))),
             archive(std::string("\x80\x02X\xff\xff\xff\xff", 7)),
             archive(std::string("\x80\x02}r\xff\xff\xff\xff.", 9)),
         })
        CHECK(memory_of<TorchCheckpoint>(file) <= 65536);
    // One byte makes one object at most, of 24 bytes, in arrays that double as they grow.
    const std::string pickle = "\x80\x02](" + repeat("]", 300'000) + "e(" + repeat("N", 300'000) + "t}q\x01(" + repeat(std::string_view("h\x01r\x02\x01\x00\x00", 7), 1000) + "u.";
    for (const std::string& file : {archive(pickle), archive("\x80\x02" + repeat("(", 5000)), archive("\x80\x02" + repeat("N", 2'000'000))})
        CHECK(memory_of<TorchCheckpoint>(file) <= 96 * file.size() + 65536);
    ZipBuilder many;
    for (int i = 0; i < 20'000; ++i) many.entries.push_back({.name = std::to_string(i), .data = ""});
    const std::string file = many.build();
    CHECK(memory_of<TorchCheckpoint>(file) <= 8 * file.size() + 65536);
}

TEST_CASE("a safetensors header takes at most 8 times its size and 64 KiB") {
    std::vector<std::string> headers = {
        R"({"__metadata__":{)" + repeat("\"\":\"\",", 100'000) + R"("":""}})",
        R"({"__metadata__":{"k":")" + std::string(1'000'000, 'v') + "\"}}",
        "{\"" + std::string(1'000'000, 'k') + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
        R"({"t":{"dtype":"U8","shape":[)" + repeat("0,", 500'000) + R"(0],"data_offsets":[0,0]}})",
        R"({"t":{"x":)" + repeat("[", 1'000'000) + "}}",
        R"({"t":{"dtype":")" + std::string(1'000'000, 'F') + "\"}}",
        "{" + repeat(R"("":{"dtype":"U8","shape":[],"data_offsets":[0,0]},)", 20'000) + "}",
    };
    std::string distinct = "{", metadata = R"({"__metadata__":{)", deep = "{";
    for (int i = 0; i < 20'000; ++i) {
        const std::string comma = i > 0 ? "," : "", name = "\"" + std::to_string(i) + "\":";
        distinct += comma + name + R"({"dtype":"F4","shape":[0],"data_offsets":[0,0]})";
        metadata += comma + name + "\"\"";
        deep += comma + name + R"({"dtype":"F4","shape":[)" + repeat("0,", 63) + R"(0],"data_offsets":[0,0]})";
    }
    headers.push_back(distinct + "}");
    headers.push_back(metadata + "}}");
    headers.push_back(deep + "}");
    for (const std::string& header : headers) {
        const std::string file = safetensors(header);
        INFO(header.substr(0, 40) << "... of " << header.size() << " bytes");
        CHECK(memory_of<SafetensorsFile>(file) <= 8 * file.size() + 65536);
    }
    CHECK(loads<SafetensorsFile>(safetensors(distinct + "}")));
    CHECK(loads<SafetensorsFile>(safetensors(deep + "}")));
    CHECK(memory_of<SafetensorsFile>(safetensors(R"({"t":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}})")) < 65536);
}

TEST_CASE("a GGUF header takes at most 8 times its size and 64 KiB") {
    GgufBuilder keys, tensors, strings, claims;
    for (std::uint32_t i = 0; i < 20'000; ++i) {
        keys.pair(little_endian(i).substr(0, 3), 0, "1");
        tensors.info(little_endian(i).substr(0, 3), {}, 24, 0);
    }
    strings.pair("k", 9, little_endian(8u) + little_endian(std::uint64_t{100'000}) + std::string(800'000, '\0'));
    claims.n_pairs = ~std::uint64_t{0} / 14;
    for (const GgufBuilder* builder : {&keys, &tensors, &strings, &claims}) {
        const std::string file = builder->build();
        INFO(file.size() << " bytes");
        CHECK(memory_of<GgufFile>(file) <= 8 * file.size() + 65536);
    }
    CHECK(loads<GgufFile>(keys.build()));
    CHECK(loads<GgufFile>(strings.build()));
}
