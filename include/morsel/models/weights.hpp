// Takes a model's weights out of a TensorSource by name, with the shape the config demands. All missing names come in one error;
// a wrong shape or an unusable dtype names the tensor, what was expected and what was found. Tensors that nobody asked for are
// listed in the report, not refused: files carry buffers and heads that a model does not need.
#pragma once
#include <cstddef>
#include <initializer_list>
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

    bool has(std::string_view name) const { return source_->find(name) != nullptr; }

    // The tensor of that name and shape; throws Error.
    const TensorView& take(const std::string& name, std::initializer_list<std::uint64_t> shape) {
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

    const TensorSource& source() const noexcept { return *source_; }

  private:
    const TensorSource* source_;  // never null
    std::set<std::string> taken_;
};

}  // namespace morsel
