// Takes a model's weights out of a TensorSource by name, with the shape the config demands. All missing names come in one error;
// a wrong shape or an unusable dtype names the tensor, what was expected and what was found. Tensors that nobody asked for are
// listed in the report, not refused: files carry buffers and heads that a model does not need.
// Old files call the same weights by other names; a model gives a function that turns a stored name into its own.
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/formats/tensor_source.hpp"
#include "morsel/ops/device.hpp"

namespace morsel {

class WeightReader {
  public:
    explicit WeightReader(const TensorSource& source) : source_(&source) {}

    // `rename` gives the model's name for a stored one, or "" for a buffer that no model needs. Throws Error where two tensors
    // have one name.
    WeightReader(const TensorSource& source, const std::function<std::string(std::string_view)>& rename) : source_(&source) {
        for (const std::string& stored : source.names()) {
            std::string name = rename(stored);
            if (name.empty()) {
                taken_.insert(stored);
            } else if (const auto [known, added] = stored_.emplace(std::move(name), stored); !added) {
                throw Error("two tensors for one weight", {.file = source.path().string(), .key = known->first, .found = known->second + " and " + stored});
            }
        }
        renamed_ = true;
    }

    bool has(std::string_view name) const { return source_->find(stored_name(name)) != nullptr; }

    // The tensor of that name and shape; throws Error.
    const TensorView& take(const std::string& model_name, std::initializer_list<std::uint64_t> shape) {
        const std::string name = stored_name(model_name);
        const TensorView& view = source_->at(name);
        if (!std::equal(view.shape.begin(), view.shape.end(), shape.begin(), shape.end()))
            throw Error("wrong shape", {.file = source_->path().string(), .key = name,
                                        .expected = shape_text(std::vector<std::uint64_t>(shape)), .found = shape_text(view.shape)});
        switch (view.dtype) {
            case DType::f32: case DType::f16: case DType::bf16: case DType::f64:
            case DType::q4_0: case DType::q4_1: case DType::q5_0: case DType::q5_1: case DType::q8_0:
            case DType::q4_k: case DType::q5_k: case DType::q6_k: break;
            default: throw Error("cannot be used as a weight", {.file = source_->path().string(), .key = name, .found = std::string(dtype_info(view.dtype).name)});
        }
        taken_.insert(name);
        return view;
    }

    // Says of all names at once which are missing, the first twenty by name. Call it before anything large is allocated.
    void require(const std::vector<std::string>& names) const {
        std::string missing;
        std::size_t count = 0;
        for (const std::string& name : names)
            if (!has(name) && ++count <= 20) missing += (missing.empty() ? "" : ", ") + name;
        if (count > 20) missing += " and " + std::to_string(count - 20) + " more";
        if (count > 0)
            throw Error(std::to_string(count) + (count == 1 ? " tensor is" : " tensors are") + " missing: " + missing, {.file = source_->path().string()});
    }

    // Names in the file that nothing took.
    std::vector<std::string> unused() const {
        std::vector<std::string> left;
        for (std::string& name : source_->names())
            if (!taken_.contains(name)) left.push_back(std::move(name));
        return left;
    }

    // Counts a tensor as known though nothing reads it: what only repeats another.
    void ignore(std::string_view name) { taken_.insert(stored_name(name)); }

    const TensorSource& source() const noexcept { return *source_; }

  private:
    std::string stored_name(std::string_view name) const {
        if (!renamed_) return std::string(name);
        const auto found = stored_.find(name);
        return found == stored_.end() ? std::string(name) : found->second;
    }

    const TensorSource* source_;  // never null
    bool renamed_ = false;
    std::map<std::string, std::string, std::less<>> stored_;  // by the model's names
    std::set<std::string> taken_;                             // stored names
};

}  // namespace morsel
