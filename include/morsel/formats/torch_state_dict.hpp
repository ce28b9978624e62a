// A pickled state dict as records: which tensors there are, in which storage each lies, where and how. The pickle has been read as
// a tree of values (pickle.hpp); here the calls that torch writes for tensors are recognised by name and their arguments checked.
// Follows torch/_utils.py (`_rebuild_tensor_v2` and its kin) and torch/serialization.py (persistent ids of storages).
// A tensor is believed only where its last element lies inside the storage as declared; that the storage has the bytes is checked
// by who has them (torch_checkpoint.hpp). Leaves out quantised and sparse tensors, complex128 and tensor subclasses: refused.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/formats/pickle.hpp"
#include "morsel/formats/tensor_source.hpp"
#include "morsel/unicode/utf8.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct TorchStorage {
    std::string key = {};  // its name in the file, never a path
    DType dtype = DType::u8;
    std::uint64_t elements = 0;
};

struct TorchTensor {
    std::string name = {};
    std::size_t storage = 0;  // index
    DType dtype = DType::u8;
    std::uint64_t offset = 0;                 // of the first element, in elements
    std::vector<std::uint64_t> shape = {};    // outermost first
    std::vector<std::uint64_t> strides = {};  // in elements
};

struct TorchStateDict {
    std::vector<TorchStorage> storages = {};    // all that the pickle names
    std::vector<TorchTensor> tensors = {};      // in the order of the dict
    std::vector<std::string> warnings = {};     // what is odd but harmless, one sentence each
};

namespace detail {

struct TorchType {
    std::string_view storage, dtype;  // the storage's class; the name of the dtype
    DType type;
};
inline constexpr std::array<TorchType, 21> torch_types = {{
    {"torch.DoubleStorage", "torch.float64", DType::f64}, {"torch.FloatStorage", "torch.float32", DType::f32},
    {"torch.HalfStorage", "torch.float16", DType::f16},   {"torch.BFloat16Storage", "torch.bfloat16", DType::bf16},
    {"torch.LongStorage", "torch.int64", DType::i64},     {"torch.IntStorage", "torch.int32", DType::i32},
    {"torch.ShortStorage", "torch.int16", DType::i16},    {"torch.CharStorage", "torch.int8", DType::i8},
    {"torch.ByteStorage", "torch.uint8", DType::u8},      {"torch.BoolStorage", "torch.bool", DType::boolean},
    {"torch.ComplexFloatStorage", "torch.complex64", DType::c64},
    {"torch.storage.UntypedStorage", "", DType::u8},      {"torch.UntypedStorage", "", DType::u8},
    {"", "torch.uint16", DType::u16},                     {"", "torch.uint32", DType::u32},
    {"", "torch.uint64", DType::u64},                     {"", "torch.float8_e4m3fn", DType::f8_e4m3},
    {"", "torch.float8_e5m2", DType::f8_e5m2},            {"", "torch.float8_e4m3fnuz", DType::f8_e4m3fnuz},
    {"", "torch.float8_e5m2fnuz", DType::f8_e5m2fnuz},    {"", "torch.float8_e8m0fnu", DType::f8_e8m0},
}};

// The globals that a state dict may name.
inline bool torch_global_allowed(std::string_view name) {
    for (const std::string_view callee : {"collections.OrderedDict", "torch.Size", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
                                          "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter"})
        if (name == callee) return true;
    return std::any_of(torch_types.begin(), torch_types.end(), [&](const TorchType& type) { return name == type.storage || name == type.dtype; });
}

class StateDictReader {
  public:
    StateDictReader(const PickleTree& tree, const std::filesystem::path& path) : tree_(&tree), path_(&path) {}

    TorchStateDict read() {
        const PickleValue* dict = &tree_->root;
        if (dict->kind != PickleKind::dict) throw error("not a state dict", "a dict of tensors", std::string(pickle_kind_name(dict->kind)));
        if (!has_tensors(*dict)) {
            // A training checkpoint has its state dict inside, beside numbers and the optimiser's.
            const PickleValue* inner = nullptr;
            for (const std::string_view name : {"state_dict", "model_state_dict", "model"})
                if (const PickleValue* value = member(*dict, name); inner == nullptr && value != nullptr && value->kind == PickleKind::dict && has_tensors(*value)) inner = value;
            if (inner != nullptr) dict = inner;
            else if (!tree_->items(*dict).empty()) throw error("not a state dict", "a dict of tensors, or one under state_dict", "no tensors");
        }
        // Storages outside of the state dict, of an optimiser, count too: in the older form their bytes stand between the others.
        const auto declare = [&](std::span<const PickleValue> values) {
            std::uint64_t start = 0, available = 0;
            for (const PickleValue& value : values)
                if (value.kind == PickleKind::persistent) read_storage(value, start, available);
        };
        declare(tree_->elements);
        for (const auto& container : tree_->containers) declare(container);

        const auto items = tree_->items(*dict);
        std::map<std::string_view, std::size_t> places;  // of names in the result
        for (std::size_t i = 0; i < items.size(); i += 2) {
            if (!is_tensor(items[i + 1])) continue;
            name_ = {};
            if (items[i].kind != PickleKind::string) throw error("a tensor whose key is no name", "a string", std::string(pickle_kind_name(items[i].kind)));
            name_ = tree_->string(items[i]);
            if (!unicode::is_valid_utf8(name_)) throw error("a tensor's name is not valid UTF-8");
            TorchTensor tensor = read_tensor(items[i + 1]);
            const auto [place, is_new] = places.emplace(name_, state_.tensors.size());
            if (is_new) {
                state_.tensors.push_back(std::move(tensor));
            } else {
                state_.tensors[place->second] = std::move(tensor);
                state_.warnings.push_back(std::string(name_) + " occurs twice; the last counts");
            }
        }
        return std::move(state_);
    }

  private:
    Error error(std::string reason, std::string expected = {}, std::string found = {}) const {
        return Error("torch checkpoint: " + reason, {.file = path_->string(), .key = std::string(name_), .expected = std::move(expected), .found = std::move(found)});
    }

    // The name of the function of a call; empty where the value is none.
    std::string callee(const PickleValue& value) const { return value.kind == PickleKind::call ? tree_->global_name(tree_->items(value)[0]) : std::string(); }
    std::span<const PickleValue> arguments(const PickleValue& call) const { return tree_->items(tree_->items(call)[1]); }

    bool is_tensor(const PickleValue& value) const { return callee(value).starts_with("torch._utils._rebuild_"); }
    bool has_tensors(const PickleValue& dict) const {
        const auto items = tree_->items(dict);
        for (std::size_t i = 1; i < items.size(); i += 2)
            if (is_tensor(items[i])) return true;
        return false;
    }
    const PickleValue* member(const PickleValue& dict, std::string_view name) const {
        const auto items = tree_->items(dict);
        for (std::size_t i = items.size(); i >= 2; i -= 2)  // the last of a name counts
            if (items[i - 2].kind == PickleKind::string && tree_->string(items[i - 2]) == name) return &items[i - 1];
        return nullptr;
    }

    TorchTensor read_tensor(const PickleValue& value) {
        const PickleValue* call = &value;
        while (callee(*call) == "torch._utils._rebuild_parameter") {  // ends: a call is deeper than its arguments
            if (arguments(*call).empty()) throw error("a parameter without a tensor");
            call = &arguments(*call)[0];
        }
        const std::string function = callee(*call);
        if (!function.starts_with("torch._utils._rebuild_tensor")) throw error("a parameter of something else than a tensor", {}, std::string(pickle_kind_name(call->kind)));
        const auto given = arguments(*call);
        const bool typed = function.ends_with("_v3");  // (storage, offset, size, strides, requires_grad, hooks, dtype, metadata)
        const std::size_t least = typed ? 7 : function.ends_with("_v2") ? 6 : 4, most = typed ? 8 : function.ends_with("_v2") ? 7 : 4;
        if (given.size() < least || given.size() > most) throw error("wrong number of arguments of " + function, {}, std::to_string(given.size()));
        if (most > 4 && given.size() == most && !(given.back().kind == PickleKind::none || (given.back().kind == PickleKind::dict && tree_->items(given.back()).empty())))
            throw error("a tensor with metadata (conjugated or negated views) is not supported");

        TorchTensor tensor;
        tensor.name = name_;
        std::uint64_t start = 0, available = 0;  // in elements of the storage: the part that the reference means
        tensor.storage = read_storage(given[0], start, available);
        const TorchStorage& storage = state_.storages[tensor.storage];
        tensor.dtype = storage.dtype;
        if (typed) {
            tensor.dtype = read_dtype(given[6]);
            const std::uint64_t bytes = available * item_size(storage.dtype), item = item_size(tensor.dtype);
            if (start != 0) throw error("a part of a storage with a dtype of its own");
            available = bytes / item;
        }
        tensor.offset = natural(given[1], "offset");
        tensor.shape = naturals(given[2], "size");
        tensor.strides = naturals(given[3], "strides");
        if (tensor.shape.size() != tensor.strides.size()) throw error("sizes and strides differ in number", std::to_string(tensor.shape.size()), std::to_string(tensor.strides.size()));
        check_bounds(tensor, available);
        tensor.offset += start;
        return tensor;
    }

    void check_bounds(const TorchTensor& tensor, std::uint64_t available) const {
        std::uint64_t last = tensor.offset, count = 1;  // index of the last element; number of elements
        bool fits = true, empty = false;
        for (std::size_t i = 0; i < tensor.shape.size(); ++i) empty = empty || tensor.shape[i] == 0;
        for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
            std::uint64_t reach = 0;
            fits = fits && checked_multiply(count, tensor.shape[i], count);
            if (!empty) fits = fits && checked_multiply(tensor.shape[i] - 1, tensor.strides[i], reach) && checked_add(last, reach, last);
        }
        std::uint64_t bytes = 0;
        fits = fits && checked_multiply(count, item_size(tensor.dtype), bytes) && tensor.offset <= available && (empty || last < available);
        if (!fits)
            throw error("the tensor reaches beyond its storage", std::to_string(available) + " elements",
                        "offset " + std::to_string(tensor.offset) + ", size " + shape_text(tensor.shape) + ", strides " + shape_text(tensor.strides));
    }

    // ('storage', class, key, location, elements), and in old files a sixth: None, or (key, offset, elements) of a part.
    std::size_t read_storage(const PickleValue& value, std::uint64_t& start, std::uint64_t& available) {
        if (value.kind != PickleKind::persistent) throw error("a tensor without a storage", {}, std::string(pickle_kind_name(value.kind)));
        const PickleValue& id = tree_->items(value)[0];
        if (id.kind != PickleKind::tuple) throw error("a persistent id that is no tuple", {}, std::string(pickle_kind_name(id.kind)));
        const auto parts = tree_->items(id);
        if (parts.size() < 5 || parts.size() > 6 || parts[0].kind != PickleKind::string || tree_->string(parts[0]) != "storage") throw error("a persistent id that names no storage");
        if (parts[1].kind != PickleKind::global) throw error("a storage without a class", {}, std::string(pickle_kind_name(parts[1].kind)));
        TorchStorage storage;
        const std::string name = tree_->global_name(parts[1]);
        const auto type = std::find_if(torch_types.begin(), torch_types.end(), [&](const TorchType& one) { return one.storage == name; });
        if (type == torch_types.end()) throw error("not a class of storages", {}, name);
        storage.dtype = type->type;
        if (parts[2].kind != PickleKind::string) throw error("a storage without a key", {}, std::string(pickle_kind_name(parts[2].kind)));
        storage.key = tree_->string(parts[2]);
        storage.elements = natural(parts[4], "elements of the storage");
        if (std::uint64_t bytes = 0; !checked_multiply(storage.elements, item_size(storage.dtype), bytes)) throw error("size overflow of a storage", {}, std::to_string(storage.elements));
        available = storage.elements;
        if (parts.size() == 6 && parts[5].kind != PickleKind::none) {
            if (parts[5].kind != PickleKind::tuple || parts[5].count != 3) throw error("a part of a storage that is no triple");
            const auto part = tree_->items(parts[5]);
            start = natural(part[1], "offset of the part"), available = natural(part[2], "elements of the part");
            if (start > storage.elements || available > storage.elements - start) throw error("a part reaches beyond its storage");
        }
        const auto known = numbers_.find(storage.key);
        if (known == numbers_.end()) {
            numbers_.emplace(storage.key, state_.storages.size());
            state_.storages.push_back(std::move(storage));
            return state_.storages.size() - 1;
        }
        const TorchStorage& before = state_.storages[known->second];
        if (before.dtype != storage.dtype || before.elements != storage.elements) throw error("one storage is declared in two ways", {}, storage.key);
        return known->second;
    }

    DType read_dtype(const PickleValue& value) const {
        const std::string name = value.kind == PickleKind::global ? tree_->global_name(value) : std::string(pickle_kind_name(value.kind));
        for (const TorchType& type : torch_types)
            if (!type.dtype.empty() && type.dtype == name) return type.type;
        throw error("not a dtype", {}, name);
    }

    static std::uint64_t item_size(DType type) { return dtype_info(type).block_bits / 8; }  // bytes

    std::uint64_t natural(const PickleValue& value, const char* what) const {
        if (value.kind != PickleKind::integer || value.payload < 0)
            throw error(std::string("wrong ") + what, "an integer that is not negative", value.kind == PickleKind::integer ? std::to_string(value.payload) : std::string(pickle_kind_name(value.kind)));
        return static_cast<std::uint64_t>(value.payload);
    }
    // A tuple of them, as it is or as torch.Size.
    std::vector<std::uint64_t> naturals(const PickleValue& value, const char* what) const {
        const PickleValue* tuple = &value;
        if (callee(value) == "torch.Size" && arguments(value).size() == 1) tuple = &arguments(value)[0];
        if (tuple->kind != PickleKind::tuple) throw error(std::string("wrong ") + what, "a tuple", std::string(pickle_kind_name(tuple->kind)));
        if (tuple->count > max_tensor_rank) throw error("more than " + std::to_string(max_tensor_rank) + " dimensions");
        std::vector<std::uint64_t> numbers;
        for (const PickleValue& one : tree_->items(*tuple)) numbers.push_back(natural(one, what));
        return numbers;
    }

    const PickleTree* tree_;              // never null
    const std::filesystem::path* path_;   // never null
    std::string_view name_ = {};          // of the tensor being read, for messages
    std::map<std::string, std::size_t> numbers_;  // of storages, by key
    TorchStateDict state_;
};

}  // namespace detail

// The tensors of the dict, or of the one under `state_dict`, `model_state_dict` or `model` in a training checkpoint; what is no
// tensor is passed over. Throws Error.
inline TorchStateDict read_state_dict(const PickleTree& tree, const std::filesystem::path& path) { return detail::StateDictReader(tree, path).read(); }

}  // namespace morsel
