// A model in several files with an index, as Hugging Face writes large ones: `model.safetensors.index.json` over safetensors,
// `pytorch_model.bin.index.json` over torch checkpoints. The index maps tensor names to file names; it is scanned, not built as a tree, and every claim in it is checked: a shard's name must be a plain
// name inside the directory, every mapped tensor must be in its shard, no name may be in two shards. All or nothing: the first
// fault of any shard is thrown with that shard's path. Each shard is opened once.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/formats/json_scanner.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/formats/tensor_source.hpp"
#include "morsel/formats/torch_checkpoint.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

namespace detail {

// True for a name that stays inside its directory on every system: one component, no drive, no NUL.
inline bool is_plain_file_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos;
}

// One file of weights, taken for what its content is: a torch checkpoint by its magic, else safetensors.
inline std::unique_ptr<TensorSource> open_shard(const std::filesystem::path& path) {
    if (TorchCheckpoint::has_magic(MappedFile(path).text())) return std::make_unique<TorchCheckpoint>(path);
    return std::make_unique<SafetensorsFile>(path);
}

}  // namespace detail

class ShardedWeights final : public TensorSource {
  public:
    // `index` is the path of the index file. Throws Error: the index is no JSON of the right form ("index:"), "unsafe path",
    // "shard missing", "tensor missing", "duplicate tensor", "duplicate key", or the error of a shard.
    explicit ShardedWeights(const std::filesystem::path& index) : path_(index) {
        read_index();
        open_shards();
        merge();
    }

    const TensorView* find(std::string_view name) const override {
        const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name, [](const Tensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
        return at != tensors_.end() && at->name == name && at->view ? at->view : nullptr;
    }
    // In the order of the shards' names, inside a shard in file order; tensors that the index does not list are left out.
    std::vector<std::string> names() const override {
        std::vector<std::string> names;
        names.reserve(tensors_.size());
        for (const Shard& shard : shards_)
            for (std::string& name : shard.file->names())
                if (find(name)) names.push_back(std::move(name));
        return names;
    }
    std::filesystem::path path() const override { return path_; }
    void release(const TensorView& view) const override {
        for (const Shard& shard : shards_) shard.file->release(view);  // each gives back what is its own
    }

    // Tensors in shards that the index does not list.
    const std::vector<std::string>& unlisted() const noexcept { return unlisted_; }
    // What is odd but harmless, one sentence each: a `total_size` that is not the sum of the tensors.
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  private:
    struct Tensor {
        std::string name;
        std::uint32_t shard = 0;           // index into shards_
        const TensorView* view = nullptr;  // inside the shard
    };
    struct Shard {
        std::string name;
        std::unique_ptr<TensorSource> file;
    };

    Error error(std::string reason, std::string key = {}, std::string expected = {}, std::string found = {}) const {
        return Error(std::move(reason), {.file = path_.string(), .key = std::move(key), .expected = std::move(expected), .found = std::move(found)});
    }

    void read_index() {
        const MappedFile file(path_);
        const std::string_view text = file.text();
        if (const std::string guess = detail::seems_to_be(text); !guess.empty()) throw error("index: not valid JSON", {}, {}, guess);
        if (!unicode::is_valid_utf8(text)) throw error("index: not valid JSON: invalid UTF-8");
        detail::JsonScanner scan(text, path_, "index");
        std::string key;
        bool first = true, seen_map = false, seen_metadata = false;
        while (scan.member(key, first)) {
            if (key == "weight_map") {
                if (std::exchange(seen_map, true)) throw scan.error("duplicate key weight_map");
                read_map(scan);
            } else if (key == "metadata" && scan.peek() == '{') {
                if (std::exchange(seen_metadata, true)) throw scan.error("duplicate key metadata");
                read_metadata(scan);
            } else {
                scan.skip();
            }
            scan.member_done();
        }
        scan.end();
        if (!seen_map) throw error("index: missing", "weight_map", "an object that maps tensors to files");
    }

    void read_map(detail::JsonScanner& scan) {
        std::map<std::string, std::uint32_t, std::less<>> shard_numbers;
        std::string name, shard;
        bool first = true;
        while (scan.member(name, first)) {
            scan.string(shard);
            if (!detail::is_plain_file_name(shard)) throw error("unsafe path: a shard must be a plain file name in the index's directory", name, {}, "'" + printable(shard) + "'");
            auto number = shard_numbers.find(shard);
            if (number == shard_numbers.end()) {
                number = shard_numbers.emplace(shard, static_cast<std::uint32_t>(shards_.size())).first;
                shards_.push_back({shard, nullptr});
            }
            tensors_.push_back({name, number->second, nullptr});
            scan.member_done();
        }
        std::sort(tensors_.begin(), tensors_.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
        for (std::size_t i = 1; i < tensors_.size(); ++i)
            if (tensors_[i].name == tensors_[i - 1].name) throw error("duplicate key in weight_map", tensors_[i].name);
    }

    // `total_size` may be written as a float by old tools, and is only a hint: whatever cannot be read is passed over.
    void read_metadata(detail::JsonScanner& scan) {
        std::string key;
        bool first = true;
        while (scan.member(key, first)) {
            const int next = scan.peek();
            if (key == "total_size" && next >= '0' && next <= '9') {
                detail::JsonScanner ahead = scan;
                try {
                    total_size_ = ahead.integer();
                } catch (const Error&) {
                }
            }
            scan.skip();
            scan.member_done();
        }
    }

    void open_shards() {
        const std::filesystem::path directory = path_.parent_path();
        for (Shard& shard : shards_) {
            const std::filesystem::path path = directory / shard.name;
            std::error_code ignored;
            if (!std::filesystem::exists(path, ignored)) throw error("shard missing", shard.name, "a file beside the index");
            shard.file = detail::open_shard(path);
        }
    }

    void merge() {
        std::uint64_t total = 0;  // bytes
        std::vector<std::string> everything;
        for (std::uint32_t number = 0; number < shards_.size(); ++number) {
            for (std::string& name : shards_[number].file->names()) {
                const TensorView* view = shards_[number].file->find(name);
                total += view->bytes.size();
                const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name, [](const Tensor& tensor, const std::string& wanted) { return tensor.name < wanted; });
                if (at == tensors_.end() || at->name != name) unlisted_.push_back(name);
                else if (at->shard == number) at->view = view;
                everything.push_back(std::move(name));
            }
        }
        std::sort(everything.begin(), everything.end());
        if (const auto twice = std::adjacent_find(everything.begin(), everything.end()); twice != everything.end())
            throw error("duplicate tensor: in two shards", *twice);
        for (const Tensor& tensor : tensors_)
            if (!tensor.view) throw error("tensor missing", tensor.name, "it in " + shards_[tensor.shard].name);
        if (total_size_ && *total_size_ != total)
            warnings_.push_back("total_size is " + std::to_string(*total_size_) + " bytes, the tensors have " + std::to_string(total));
    }

    static std::string printable(std::string text) {
        for (char& c : text)
            if (static_cast<unsigned char>(c) < 0x20) c = '?';
        return text.substr(0, 100);
    }

    std::filesystem::path path_;
    std::vector<Tensor> tensors_;  // sorted by name
    std::vector<Shard> shards_;
    std::optional<std::uint64_t> total_size_;  // bytes
    std::vector<std::string> unlisted_, warnings_;
};

}  // namespace morsel
