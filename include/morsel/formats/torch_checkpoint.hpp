// `pytorch_model.bin`, what torch.save writes: a zip archive with a pickled state dict and one entry a storage, or the older form,
// pickles one after another with the storages behind them. No code of the file is run (pickle.hpp). Tensors that lie row-major are
// views of the mapped file, tied ones views of the same bytes; transposed, strided and expanded ones are copied into order.
// Follows torch/serialization.py of torch 2. All claims are checked before anything is copied; all or nothing.
// Leaves out the oldest form (tar), TorchScript archives, files of big-endian machines.
#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/formats/pickle.hpp"
#include "morsel/formats/tensor_source.hpp"
#include "morsel/formats/torch_state_dict.hpp"
#include "morsel/formats/zip_archive.hpp"

namespace morsel {

struct TorchCheckpointOptions {
    bool verify_checksums = true;  // of the archive's entries; reads the whole file once
};

namespace detail {

// Rows in order from a tensor that is not: element i … of shape `tensor.shape` at its strides from `storage`.
inline void copy_strided(const TorchTensor& tensor, std::size_t item, const std::byte* storage, std::byte* to) {
    const std::size_t rank = tensor.shape.size();
    if (std::find(tensor.shape.begin(), tensor.shape.end(), 0u) != tensor.shape.end()) return;
    std::array<std::uint64_t, max_tensor_rank> index = {};
    std::uint64_t from = tensor.offset;  // in elements; on the way to the next index it may wrap, and comes back
    const std::uint64_t inner = rank > 0 ? tensor.shape[rank - 1] : 1, step = rank > 0 ? tensor.strides[rank - 1] : 0;
    for (;;) {
        for (std::uint64_t i = 0; i < inner; ++i, to += item) std::memcpy(to, storage + (from + i * step) * item, item);
        std::size_t d = rank > 0 ? rank - 1 : 0;
        while (d > 0) {  // the next index of all but the last dimension
            --d;
            from += tensor.strides[d];
            if (++index[d] < tensor.shape[d]) break;
            from -= tensor.shape[d] * tensor.strides[d];
            index[d] = 0;
            if (d == 0) return;
        }
        if (rank < 2) return;
    }
}

}  // namespace detail

class TorchCheckpoint final : public TensorSource {
  public:
    // Maps and checks the file. Throws Error whose reason begins with "zip: ", "pickle: " or "torch checkpoint: ".
    explicit TorchCheckpoint(const std::filesystem::path& path, const TorchCheckpointOptions& options = {}) : file_(path), path_(path) { load(file_.bytes(), options); }
    // The same for bytes in memory, which must outlive the object; `name` is for messages.
    explicit TorchCheckpoint(std::span<const std::byte> bytes, std::filesystem::path name = {}, const TorchCheckpointOptions& options = {}) : path_(std::move(name)) {
        load(bytes, options);
    }

    // True for the first bytes of a zip archive or of the older form.
    static bool has_magic(std::string_view text) { return text.starts_with("PK\x03\x04") || text.starts_with(legacy_magic); }

    const TensorView* find(std::string_view name) const override {
        const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name, [this](std::uint32_t i, std::string_view wanted) { return entries_[i].name < wanted; });
        return at != by_name_.end() && entries_[*at].name == name ? &entries_[*at].view : nullptr;
    }
    std::vector<std::string> names() const override {
        std::vector<std::string> names;
        names.reserve(entries_.size());
        for (const Entry& entry : entries_) names.push_back(entry.name);
        return names;
    }
    std::filesystem::path path() const override { return path_; }
    void release(const TensorView& view) const override { file_.release(view.bytes); }

    // What is odd but harmless, one sentence each.
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  private:
    struct Entry {
        std::string name;
        TensorView view;
    };

    // A pickle of the integer 0x1950a86a20f9469cfc6c.
    static constexpr std::string_view legacy_magic = std::string_view("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);

    Error error(std::string reason, std::string key = {}, std::string expected = {}, std::string found = {}) const {
        return Error("torch checkpoint: " + reason, {.file = path_.string(), .key = std::move(key), .expected = std::move(expected), .found = std::move(found)});
    }
    static std::string_view text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

    void load(std::span<const std::byte> bytes, const TorchCheckpointOptions& options) {
        const std::string_view text = text_of(bytes);
        if (text.starts_with("PK")) return load_zip(bytes, options);
        if (text.starts_with(legacy_magic)) return load_legacy(bytes);
        const std::string guess = detail::seems_to_be(text);
        throw error("not a torch checkpoint", {}, "a zip archive, or a pickle that begins as torch's do", guess);
    }

    void load_zip(std::span<const std::byte> bytes, const TorchCheckpointOptions& options) {
        const ZipArchive zip(bytes, path_, options.verify_checksums, [this](std::span<const std::byte> checked) { file_.release(checked); });
        // The archive's one directory, with the slash: "archive/".
        const std::string_view first = zip.entries().empty() ? std::string_view() : zip.entries().front().name;
        const std::string root(first.substr(0, first.find('/') == first.npos ? 0 : first.find('/') + 1));
        for (const ZipArchive::Entry& entry : zip.entries())
            if (root.empty() || !entry.name.starts_with(root)) throw error("the archive is not one directory", std::string(entry.name));
        const auto entry = [&](const std::string& name) -> std::span<const std::byte> {
            if (const ZipArchive::Entry* found = zip.find(root + name)) return found->bytes;
            throw error("the archive lacks an entry", name);
        };
        const std::string_view version = text_of(entry(zip.find(root + "version") == nullptr && zip.find(root + ".data/version") != nullptr ? ".data/version" : "version"));
        const std::string_view number = version.substr(0, version.find('\n'));
        unsigned format = 0;
        if (const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), format);
            failure != std::errc{} || end != number.data() + number.size() || format < 1 || format > 10)
            throw error("unsupported version", "version", "1 to 10", std::string(number.substr(0, 20)));
        if (zip.find(root + "byteorder") != nullptr && text_of(entry("byteorder")) != "little") throw error("not little endian", "byteorder", "little", std::string(text_of(entry("byteorder")).substr(0, 20)));

        const std::string_view pickle = text_of(entry("data.pkl"));
        const PickleTree tree = read_pickle(pickle, path_, detail::torch_global_allowed);
        if (tree.size != pickle.size()) throw error("something follows the pickle", "data.pkl");
        const TorchStateDict state = read_state_dict(tree, path_);
        std::vector<std::span<const std::byte>> storages;
        for (const TorchStorage& storage : state.storages) storages.push_back(sized(storage, entry("data/" + storage.key)));
        place(state, storages, bytes.size());
    }

    // Magic number, protocol, facts about the machine, the state dict, the keys of the storages: five pickles. Then each storage in
    // the order of the keys: its number of elements in eight bytes, and its bytes.
    void load_legacy(std::span<const std::byte> bytes) {
        std::string_view rest = text_of(bytes).substr(legacy_magic.size());
        const auto next = [&] {
            PickleTree tree = read_pickle(rest, path_, detail::torch_global_allowed);
            rest.remove_prefix(tree.size);
            return tree;
        };
        if (const PickleTree protocol = next(); protocol.root.kind != PickleKind::integer || protocol.root.payload != 1001) throw error("unsupported protocol", {}, "1001");
        const PickleTree machine = next();
        if (machine.root.kind != PickleKind::dict) throw error("broken facts about the machine", {}, "a dict", std::string(pickle_kind_name(machine.root.kind)));
        const auto facts = machine.items(machine.root);
        for (std::size_t i = 0; i < facts.size(); i += 2)
            if (facts[i].kind == PickleKind::string && machine.string(facts[i]) == "little_endian" && (facts[i + 1].kind != PickleKind::boolean || facts[i + 1].payload == 0))
                throw error("not little endian", "little_endian");
        const PickleTree tree = next();
        const TorchStateDict state = read_state_dict(tree, path_);
        const PickleTree keys = next();
        if (keys.root.kind != PickleKind::list) throw error("broken keys of storages", {}, "a list", std::string(pickle_kind_name(keys.root.kind)));

        std::map<std::string_view, std::size_t> numbers;
        for (std::size_t i = 0; i < state.storages.size(); ++i) numbers.emplace(state.storages[i].key, i);
        std::vector<std::span<const std::byte>> storages(state.storages.size());
        std::vector<bool> seen(state.storages.size());
        for (const PickleValue& key : keys.items(keys.root)) {
            const std::string_view name = key.kind == PickleKind::string ? keys.string(key) : std::string_view();
            const auto number = numbers.find(name);
            if (number == numbers.end()) throw error("a storage that no tensor has", std::string(name));
            if (seen[number->second]) throw error("a storage occurs twice", std::string(name));
            seen[number->second] = true;
            const TorchStorage& storage = state.storages[number->second];
            std::uint64_t elements = 0;
            if (rest.size() < 8) throw error("the file ends before a storage", storage.key);
            for (std::size_t i = 0; i < 8; ++i) elements |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest[i])) << (8 * i);
            rest.remove_prefix(8);
            if (elements != storage.elements) throw error("wrong storage size", storage.key, std::to_string(storage.elements) + " elements", std::to_string(elements));
            storages[number->second] = sized(storage, std::as_bytes(std::span(rest)));
            rest.remove_prefix(storages[number->second].size());
        }
        for (std::size_t i = 0; i < seen.size(); ++i)
            if (!seen[i]) throw error("a storage is missing", state.storages[i].key);
        if (!rest.empty()) throw error("bytes follow the last storage", {}, {}, std::to_string(rest.size()));
        place(state, storages, bytes.size());
    }

    // The storage's bytes at the start of those that there are.
    std::span<const std::byte> sized(const TorchStorage& storage, std::span<const std::byte> bytes) const {
        const std::uint64_t size = storage.elements * (dtype_info(storage.dtype).block_bits / 8);  // no overflow: checked when read
        if (size > bytes.size()) throw error("wrong storage size", storage.key, std::to_string(size) + " bytes", std::to_string(bytes.size()));
        return bytes.first(static_cast<std::size_t>(size));
    }

    void place(const TorchStateDict& state, std::span<const std::span<const std::byte>> storages, std::size_t file_size) {
        warnings_ = state.warnings;
        std::uint64_t copied = 0;  // bytes
        for (const TorchTensor& tensor : state.tensors) {
            const std::size_t item = dtype_info(tensor.dtype).block_bits / 8;
            std::uint64_t elements = 1, row = 1;  // row: the stride that a row-major tensor has
            bool in_order = true;
            for (std::size_t i = tensor.shape.size(); i-- > 0;) {
                in_order = in_order && (tensor.shape[i] == 1 || tensor.strides[i] == row);
                elements *= tensor.shape[i];  // no overflow: checked when read
                row = elements;
            }
            Entry entry = {tensor.name, {.dtype = tensor.dtype, .shape = tensor.shape}};
            const std::size_t size = static_cast<std::size_t>(elements) * item;
            if (elements > 0 && in_order) {
                entry.view.bytes = storages[tensor.storage].subspan(static_cast<std::size_t>(tensor.offset) * item, size);
            } else if (elements > 0) {
                // A stride of 0 makes terabytes of a few bytes; real expanded tensors are small.
                if (size > 4 * file_size + 65536 - copied) throw error("expanded tensors would take more than four times the file", tensor.name, {}, shape_text(tensor.shape));
                copied += size;
                copies_.push_back(std::make_unique<std::byte[]>(size));
                detail::copy_strided(tensor, item, storages[tensor.storage].data(), copies_.back().get());
                entry.view.bytes = {copies_.back().get(), size};
            }
            entries_.push_back(std::move(entry));
        }
        by_name_.resize(entries_.size());
        for (std::size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = static_cast<std::uint32_t>(i);
        std::sort(by_name_.begin(), by_name_.end(), [this](auto a, auto b) { return entries_[a].name < entries_[b].name; });
    }

    MappedFile file_;  // empty where the bytes are the caller's
    std::filesystem::path path_;
    std::vector<Entry> entries_;          // in the order of the state dict
    std::vector<std::uint32_t> by_name_;  // indices into entries_, sorted by name
    std::vector<std::unique_ptr<std::byte[]>> copies_;
    std::vector<std::string> warnings_;
};

}  // namespace morsel
