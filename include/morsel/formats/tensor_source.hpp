// The waist between file formats and models: a tensor is a name, a dtype, a shape and bytes.
// safetensors, GGUF, the torch checkpoint and models in several files each implement TensorSource; models and `prepare_matrix`
// know nothing else of files.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"

namespace morsel {

// A tensor's bytes as the file stores them: row-major, the last dimension contiguous, little endian, of any alignment (read
// elements with memcpy). The bytes live as long as the source.
struct TensorView {
    DType dtype = DType::f32;
    std::vector<std::uint64_t> shape = {};   // outermost first; empty for a scalar
    std::span<const std::byte> bytes = {};
};

inline constexpr std::size_t max_tensor_rank = 64;

namespace detail {

// Both give false instead of a result that does not fit 64 bits.
inline bool checked_multiply(std::uint64_t a, std::uint64_t b, std::uint64_t& product) { return !__builtin_mul_overflow(a, b, &product); }
inline bool checked_add(std::uint64_t a, std::uint64_t b, std::uint64_t& sum) { return !__builtin_add_overflow(a, b, &sum); }

}  // namespace detail

// "[2, 3]"
inline std::string shape_text(std::span<const std::uint64_t> shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

class TensorSource {
  public:
    virtual ~TensorSource() = default;
    // The tensor of that name, or null.
    virtual const TensorView* find(std::string_view name) const = 0;
    // All names, in file order.
    virtual std::vector<std::string> names() const = 0;
    // The file or directory it came from, for messages.
    virtual std::filesystem::path path() const = 0;
    // The caller has copied this tensor and will not read it again soon; a mapped source gives its pages back.
    virtual void release(const TensorView&) const {}

    // The tensor of that name; throws Error naming file and tensor where there is none.
    const TensorView& at(std::string_view name) const {
        if (const TensorView* view = find(name)) return *view;
        throw Error("no such tensor", {.file = path().string(), .key = std::string(name)});
    }
};

}  // namespace morsel
