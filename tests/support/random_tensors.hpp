// Random tensors by name, as a file would give them.
#pragma once
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/formats/tensor_source.hpp"
#include "support/stored_matrix.hpp"

namespace morsel_test {

class RandomTensors : public morsel::TensorSource {
  public:
    // Normal values of that deviation; of quantised types random bits, of about that size.
    void matrix(const std::string& name, morsel::DType type, std::size_t rows, std::size_t columns, float deviation) {
        Tensor& tensor = tensors_[name];
        tensor.stored = random_matrix(type, rows, columns, tensors_.size());
        for (std::size_t i = 0; i < rows * columns; ++i) {
            const float value = tensor.stored.values[i] * deviation;
            if (type == morsel::DType::f32) {
                std::memcpy(tensor.stored.bytes.data() + i * 4, &value, 4);
            } else if (type == morsel::DType::bf16) {
                const morsel::bf16 narrow = morsel::to_bf16(value);
                std::memcpy(tensor.stored.bytes.data() + i * 2, &narrow, 2);
            }
        }
        if (morsel::dtype_info(type).block_size > 1) shrink_scales(tensor.stored, deviation);
        tensor.view = tensor.stored.view();
    }
    void vector(const std::string& name, std::size_t size) {
        matrix(name, morsel::DType::f32, 1, size, 0.5f);
        tensors_[name].view.shape = {size};
    }
    const morsel::TensorView* find(std::string_view name) const override {
        const auto it = tensors_.find(std::string(name));
        return it == tensors_.end() ? nullptr : &it->second.view;
    }
    std::vector<std::string> names() const override {
        std::vector<std::string> all;
        for (const auto& [name, tensor] : tensors_) all.push_back(name);
        return all;
    }
    std::filesystem::path path() const override { return "random"; }

  private:
    // random_matrix's blocks have scales of up to a half: multiplies them (f16, and the minima beside them) so that the values are of that deviation.
    static void shrink_scales(Stored& stored, float deviation) {
        double squares = 0;
        for (const float value : stored.values) squares += double{value} * double{value};
        const float factor = deviation / static_cast<float>(std::sqrt(squares / static_cast<double>(stored.values.size())));
        const morsel::DTypeInfo info = morsel::dtype_info(stored.dtype);
        const bool minima = stored.dtype == morsel::DType::q4_1 || stored.dtype == morsel::DType::q5_1 || stored.dtype == morsel::DType::q4_k || stored.dtype == morsel::DType::q5_k;
        for (std::size_t at = stored.dtype == morsel::DType::q6_k ? 208 : 0; at < stored.bytes.size(); at += info.block_bits / 8)
            for (std::size_t i = 0; i < (minima ? 2u : 1u); ++i) {
                morsel::f16 half;
                std::memcpy(&half, stored.bytes.data() + at + 2 * i, 2);
                half = morsel::to_f16(morsel::to_f32(half) * factor);
                std::memcpy(stored.bytes.data() + at + 2 * i, &half, 2);
            }
    }
    struct Tensor {
        Stored stored;
        morsel::TensorView view;
    };
    std::map<std::string, Tensor> tensors_;
};

}  // namespace morsel_test
