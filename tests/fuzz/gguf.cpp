// Any bytes as a GGUF file: an object whose tensors, strings and arrays can all be read and dequantised, or an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "morsel/formats/dequantize.hpp"
#include "morsel/formats/gguf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const morsel::GgufFile file(std::as_bytes(std::span(data, size)));
        std::size_t sum = 0, total = 0;
        for (const std::string_view key : file.keys()) {
            const morsel::GgufValue& value = *file.value(key);
            if (const auto text = morsel::gguf_value_as<std::string_view>(value))
                for (const char c : *text) sum += static_cast<unsigned char>(c);
            if (const auto texts = morsel::gguf_value_as<std::span<const std::string_view>>(value))
                for (const std::string_view text : *texts)
                    for (const char c : text) sum += static_cast<unsigned char>(c);
            if (const auto numbers = morsel::gguf_value_as<std::vector<std::int64_t>>(value)) sum += numbers->size();
            if (const auto numbers = morsel::gguf_value_as<std::vector<float>>(value)) sum += numbers->size();
        }
        for (const std::string& name : file.names()) {
            const morsel::TensorView& view = file.at(name);
            total += view.bytes.size();
            std::uint64_t elements = 1;
            for (const std::uint64_t dim : view.shape) elements *= dim;
            std::vector<float> values(elements);
            try {
                morsel::dequantize(view, values);
            } catch (const morsel::Error&) {  // integers
            }
        }
        if (total > size) std::abort();
        volatile std::size_t used = sum;
        (void)used;
        morsel::check_gguf_vocabulary(file);
    } catch (const morsel::Error&) {
    }
    return 0;
}
