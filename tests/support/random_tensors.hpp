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
    // Normal values of that deviation. type: f32 or bf16.
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
    struct Tensor {
        Stored stored;
        morsel::TensorView view;
    };
    std::map<std::string, Tensor> tensors_;
};

}  // namespace morsel_test
