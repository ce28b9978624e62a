// GGUF, versions 2 and 3, little endian: metadata, then tensors. Opened by mapping, so loading copies nothing but names, shapes
// and the table of string views. Follows docs/gguf.md of github.com/ggml-org/ggml and the checks of its reader: tensors lie in order,
// each at the next multiple of the alignment. Whatever the bytes are, the result is an object or an Error, in time and memory
// linear in the header: every count is compared with the bytes left before anything is allocated.
// Leaves out: big-endian files, version 1, models split into several files, the IQ and TQ quantisations (an Error names the type).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/gguf_value.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/tensor_source.hpp"

namespace morsel {

namespace detail {

// ggml's number of a tensor type as a DType; nothing for the types this library does not read.
constexpr std::optional<DType> ggml_dtype(std::uint32_t type) {
    switch (type) {
        case 0: return DType::f32;
        case 1: return DType::f16;
        case 2: return DType::q4_0;
        case 3: return DType::q4_1;
        case 6: return DType::q5_0;
        case 7: return DType::q5_1;
        case 8: return DType::q8_0;
        case 10: return DType::q2_k;
        case 11: return DType::q3_k;
        case 12: return DType::q4_k;
        case 13: return DType::q5_k;
        case 14: return DType::q6_k;
        case 24: return DType::i8;
        case 25: return DType::i16;
        case 26: return DType::i32;
        case 27: return DType::i64;
        case 28: return DType::f64;
        case 30: return DType::bf16;
        default: return std::nullopt;
    }
}

// ggml's name of a type that this library does not read.
constexpr std::string_view ggml_type_name(std::uint32_t type) {
    switch (type) {
        case 9: return "Q8_1";
        case 15: return "Q8_K";
        case 16: return "IQ2_XXS";
        case 17: return "IQ2_XS";
        case 18: return "IQ3_XXS";
        case 19: return "IQ1_S";
        case 20: return "IQ4_NL";
        case 21: return "IQ3_S";
        case 22: return "IQ2_S";
        case 23: return "IQ4_XS";
        case 29: return "IQ1_M";
        case 34: return "TQ1_0";
        case 35: return "TQ2_0";
        case 39: return "MXFP4";
        default: return "an unknown type";
    }
}

}  // namespace detail

class GgufFile final : public TensorSource {
  public:
    // Maps and checks the file. Throws Error.
    explicit GgufFile(const std::filesystem::path& path) : file_(path), path_(path) { load(file_.bytes()); }
    // The same for bytes in memory, which must outlive the object; `name` is for messages.
    explicit GgufFile(std::span<const std::byte> bytes, std::filesystem::path name = {}) : path_(std::move(name)) { load(bytes); }

    // Tensors. Shapes are row-major, outermost first: the reverse of the file's order.
    const TensorView* find(std::string_view name) const override {
        const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name, [this](std::uint32_t i, std::string_view wanted) { return tensors_[i].name < wanted; });
        return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at].view : nullptr;
    }
    std::vector<std::string> names() const override {
        std::vector<std::string> names;
        names.reserve(tensors_.size());
        for (const Tensor& tensor : tensors_) names.push_back(tensor.name);
        return names;
    }
    std::filesystem::path path() const override { return path_; }
    void release(const TensorView& view) const override { file_.release(view.bytes); }

    // Metadata. The raw value of that key, or null.
    const GgufValue* value(std::string_view key) const {
        const auto at = std::lower_bound(by_key_.begin(), by_key_.end(), key, [this](std::uint32_t i, std::string_view wanted) { return pairs_[i].key < wanted; });
        return at != by_key_.end() && pairs_[*at].key == key ? &pairs_[*at].value : nullptr;
    }
    // All keys, in file order.
    std::vector<std::string_view> keys() const {
        std::vector<std::string_view> keys;
        keys.reserve(pairs_.size());
        for (const Pair& pair : pairs_) keys.push_back(pair.key);
        return keys;
    }
    // The value of that key as T (the list of types is at gguf_value_as), or nothing where the key is absent. Throws Error where
    // the value is of another type or does not fit.
    template <class T> std::optional<T> get_if(std::string_view key) const {
        const GgufValue* found = value(key);
        if (!found) return std::nullopt;
        auto converted = gguf_value_as<T>(*found);
        if (!converted) throw error("wrong type or range", std::string(key), detail::gguf_expected<T>(), gguf_type_text(*found));
        return converted;
    }
    // The same; throws Error where the key is absent, too.
    template <class T> T get(std::string_view key) const {
        auto found = get_if<T>(key);
        if (!found) throw error("missing", std::string(key), detail::gguf_expected<T>());
        return *std::move(found);
    }
    template <class T> T get_or(std::string_view key, T otherwise) const {
        auto found = get_if<T>(key);
        return found ? *std::move(found) : std::move(otherwise);
    }

    std::uint32_t version() const noexcept { return version_; }

  private:
    struct Tensor {
        std::string name;
        TensorView view;
    };
    struct Pair {
        std::string_view key;
        GgufValue value;
    };

    Error error(std::string reason, std::string key = {}, std::string expected = {}, std::string found = {}) const {
        return Error(std::move(reason), {.file = path_.string(), .key = std::move(key), .expected = std::move(expected), .found = std::move(found)});
    }

    // Reading position in the header. Every length is compared with what is left.
    struct Cursor {
        const GgufFile& file;
        std::span<const std::byte> bytes;
        std::size_t at = 0;  // bytes

        std::size_t left() const { return bytes.size() - at; }
        std::span<const std::byte> take(std::uint64_t size, std::string_view what) {
            if (size > left())
                throw file.error("the file ends early", "byte " + std::to_string(at), std::to_string(size) + " bytes of " + std::string(what), std::to_string(left()));
            const auto part = bytes.subspan(at, static_cast<std::size_t>(size));
            at += part.size();
            return part;
        }
        template <class T> T number(std::string_view what) { return detail::load_unaligned<T>(take(sizeof(T), what).data()); }
        std::string_view string(std::string_view what) {
            const auto part = take(number<std::uint64_t>("the length of a string"), what);
            return {reinterpret_cast<const char*>(part.data()), part.size()};
        }
    };

    void load(std::span<const std::byte> bytes) {
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (!text.starts_with("GGUF")) {
            std::string found = detail::seems_to_be(text);
            throw error("not a GGUF file", {}, "\"GGUF\" at the start", found.empty() ? "something else" : found);
        }
        Cursor cursor{*this, bytes, 4};
        version_ = cursor.number<std::uint32_t>("version");
        if ((version_ & 0xFFFFu) == 0 && version_ != 0) throw error("a big-endian file", "version", "little endian");
        if (version_ < 2 || version_ > 3) throw error("unknown version", "version", "2 or 3", std::to_string(version_));
        const auto n_tensors = cursor.number<std::uint64_t>("the number of tensors");
        const auto n_pairs = cursor.number<std::uint64_t>("the number of metadata values");
        // The least a tensor takes is an empty name, no dimensions, type and offset; the least a pair takes a key of one byte.
        if (n_tensors > cursor.left() / 24) throw error("more tensors than the file can hold", "n_tensors", {}, std::to_string(n_tensors));
        if (n_pairs > cursor.left() / 14) throw error("more metadata than the file can hold", "n_kv", {}, std::to_string(n_pairs));
        pairs_.reserve(static_cast<std::size_t>(n_pairs));
        for (std::uint64_t i = 0; i < n_pairs; ++i) read_pair(cursor);
        sort_by(by_key_, pairs_, [](const Pair& pair) { return pair.key; }, "duplicate key");
        const std::uint64_t alignment = read_alignment();
        if (n_tensors > cursor.left() / 24) throw error("more tensors than the file can hold", "n_tensors", {}, std::to_string(n_tensors));
        std::vector<std::uint64_t> offsets;  // bytes, from the start of the data
        tensors_.reserve(static_cast<std::size_t>(n_tensors));
        offsets.reserve(static_cast<std::size_t>(n_tensors));
        for (std::uint64_t i = 0; i < n_tensors; ++i) read_tensor(cursor, offsets);
        sort_by(by_name_, tensors_, [](const Tensor& tensor) { return std::string_view(tensor.name); }, "duplicate tensor name");
        place(bytes, cursor.at, alignment, offsets);
    }

    void read_pair(Cursor& cursor) {
        const std::string_view key = cursor.string("a key");
        if (key.empty()) throw error("an empty key", "byte " + std::to_string(cursor.at));
        pairs_.push_back({key, read_value(cursor, std::string(key.substr(0, 80)))});
    }

    GgufValue read_value(Cursor& cursor, const std::string& key) const {
        const auto type = cursor.number<std::uint32_t>("a value's type");
        switch (type) {
            case 0: return cursor.number<std::uint8_t>("u8");
            case 1: return cursor.number<std::int8_t>("i8");
            case 2: return cursor.number<std::uint16_t>("u16");
            case 3: return cursor.number<std::int16_t>("i16");
            case 4: return cursor.number<std::uint32_t>("u32");
            case 5: return cursor.number<std::int32_t>("i32");
            case 6: return cursor.number<float>("f32");
            case 7: return cursor.number<std::uint8_t>("bool") != 0;
            case 8: return cursor.string("a string");
            case 9: return read_array(cursor, key);
            case 10: return cursor.number<std::uint64_t>("u64");
            case 11: return cursor.number<std::int64_t>("i64");
            case 12: return cursor.number<double>("f64");
            default: throw error("unknown value type", key, "0 to 12", std::to_string(type));
        }
    }

    GgufArray read_array(Cursor& cursor, const std::string& key) const {
        GgufArray array;
        array.type = cursor.number<std::uint32_t>("an array's element type");
        array.count = cursor.number<std::uint64_t>("an array's length");
        if (array.type == gguf_array) throw error("an array of arrays", key, "an array of strings or numbers");
        const std::size_t size = array.type == gguf_string ? 8 : gguf_type_size(array.type);  // a string takes 8 bytes at least
        if (size == 0) throw error("unknown element type", key, "0 to 12", std::to_string(array.type));
        if (array.count > cursor.left() / size)
            throw error("an array longer than the file", key, "at most " + std::to_string(cursor.left() / size) + " elements", std::to_string(array.count));
        if (array.type != gguf_string) {
            array.bytes = cursor.take(array.count * size, "an array");
            return array;
        }
        array.strings.reserve(static_cast<std::size_t>(array.count));
        for (std::uint64_t i = 0; i < array.count; ++i) array.strings.push_back(cursor.string("a string"));
        return array;
    }

    std::uint64_t read_alignment() const {
        const GgufValue* found = value("general.alignment");
        if (!found) return 32;
        const auto* alignment = std::get_if<std::uint32_t>(found);
        if (!alignment) throw error("wrong type", "general.alignment", "u32", gguf_type_text(*found));
        if (*alignment == 0 || (*alignment & (*alignment - 1)) != 0 || *alignment > (1u << 20))
            throw error("wrong alignment", "general.alignment", "a power of two up to 1 MiB", std::to_string(*alignment));
        return *alignment;
    }

    void read_tensor(Cursor& cursor, std::vector<std::uint64_t>& offsets) {
        Tensor tensor;
        const std::string_view name = cursor.string("a tensor's name");
        if (name.size() >= 64) throw error("a tensor name too long", std::string(name.substr(0, 80)), "at most 63 bytes", std::to_string(name.size()));
        tensor.name = name;
        const auto rank = cursor.number<std::uint32_t>("the number of dimensions");
        if (rank > 4) throw error("too many dimensions", tensor.name, "at most 4", std::to_string(rank));
        tensor.view.shape.resize(rank);
        std::uint64_t elements = 1;
        for (std::uint32_t i = rank; i-- > 0;) {  // the file has the innermost dimension first
            const auto dim = cursor.number<std::uint64_t>("a dimension");
            if (dim > max_elements) throw error("a negative dimension", tensor.name, {}, std::to_string(static_cast<std::int64_t>(dim)));
            tensor.view.shape[i] = dim;
            if (__builtin_mul_overflow(elements, dim, &elements) || elements > max_elements) throw error("size overflow", tensor.name);
        }
        const auto type = cursor.number<std::uint32_t>("a tensor's type");
        const auto dtype = detail::ggml_dtype(type);
        if (!dtype) throw error("a tensor type that cannot be read", tensor.name, {}, std::string(detail::ggml_type_name(type)) + " (" + std::to_string(type) + ")");
        tensor.view.dtype = *dtype;
        const DTypeInfo info = dtype_info(*dtype);
        const std::uint64_t row = tensor.view.shape.empty() ? 1 : tensor.view.shape.back();
        if (row % info.block_size != 0)
            throw error("rows are not whole blocks", tensor.name, "a multiple of " + std::to_string(info.block_size) + " for " + std::string(info.name), std::to_string(row));
        std::uint64_t size = 0;
        if (__builtin_mul_overflow(elements / info.block_size, info.block_bits / 8, &size) || size > max_elements) throw error("size overflow", tensor.name);
        offsets.push_back(cursor.number<std::uint64_t>("a tensor's offset"));
        tensors_.push_back(std::move(tensor));
    }

    // Fills `index` with the order of `items` by name; throws where a name occurs twice.
    template <class Item, class Name>
    void sort_by(std::vector<std::uint32_t>& index, const std::vector<Item>& items, Name name, std::string_view fault) const {
        index.resize(items.size());
        for (std::size_t i = 0; i < index.size(); ++i) index[i] = static_cast<std::uint32_t>(i);
        std::sort(index.begin(), index.end(), [&](auto a, auto b) { return name(items[a]) < name(items[b]); });
        for (std::size_t i = 1; i < index.size(); ++i)
            if (name(items[index[i]]) == name(items[index[i - 1]])) throw error(std::string(fault), std::string(name(items[index[i]])));
    }

    // Gives every tensor its bytes. `header_end` and offsets in bytes.
    void place(std::span<const std::byte> bytes, std::size_t header_end, std::uint64_t alignment, std::span<const std::uint64_t> offsets) {
        if (tensors_.empty()) return;
        const auto round_up = [&](std::uint64_t size) { return (size + alignment - 1) & ~(alignment - 1); };  // sizes are below 2^63
        const std::uint64_t start = round_up(header_end);
        const std::uint64_t available = start <= bytes.size() ? bytes.size() - start : 0;
        std::uint64_t next = 0;  // where the tensor must begin, bytes from `start`
        for (std::size_t i = 0; i < tensors_.size(); ++i) {
            TensorView& view = tensors_[i].view;
            const DTypeInfo info = dtype_info(view.dtype);
            std::uint64_t size = 1;
            for (const std::uint64_t dim : view.shape) size *= dim;  // checked when it was read
            size = size / info.block_size * (info.block_bits / 8);
            if (offsets[i] != next)
                throw error("wrong offset: tensors must lie in order, each at the next multiple of the alignment", tensors_[i].name, std::to_string(next), std::to_string(offsets[i]));
            if (size > available || next > available - size)
                throw error("the file ends before this tensor does", tensors_[i].name, std::to_string(size) + " bytes at " + std::to_string(next),
                            std::to_string(available) + " bytes of data");
            if (start <= bytes.size()) view.bytes = bytes.subspan(static_cast<std::size_t>(start + next), static_cast<std::size_t>(size));
            next = round_up(next + size);
        }
    }

    static constexpr std::uint64_t max_elements = 0x7FFF'FFFF'FFFF'FFFF;

    MappedFile file_;  // empty where the bytes are the caller's
    std::filesystem::path path_;
    std::uint32_t version_ = 0;
    std::vector<Tensor> tensors_;         // in file order
    std::vector<std::uint32_t> by_name_;  // indices into tensors_, sorted by name
    std::vector<Pair> pairs_;             // in file order
    std::vector<std::uint32_t> by_key_;   // indices into pairs_, sorted by key
};

// For loaders of tokenizers: throws Error where the vocabulary's parallel arrays differ in length. Files without one pass.
inline void check_gguf_vocabulary(const GgufFile& file) {
    const auto tokens = file.get_if<std::span<const std::string_view>>("tokenizer.ggml.tokens");
    if (!tokens) return;
    for (const char* key : {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
        const GgufValue* value = file.value(key);
        if (!value) continue;
        const auto* array = std::get_if<GgufArray>(value);
        if (!array || array->count != tokens->size())
            throw Error("does not fit the vocabulary", {.file = file.path().string(), .key = key, .expected = std::to_string(tokens->size()) + " elements",
                                                        .found = array ? std::to_string(array->count) : gguf_type_text(*value)});
    }
}

}  // namespace morsel
