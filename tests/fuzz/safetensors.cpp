// Any bytes as a safetensors file: an object whose every promised byte can be read, or an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "morsel/formats/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // Two readings: the bytes as they are, and as a header with a fitting length in front, which gets further.
    std::string with_length(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) with_length[i] = static_cast<char>(size >> (8 * i) & 0xFF);
    with_length.append(reinterpret_cast<const char*>(data), size);
    for (const auto bytes : {std::as_bytes(std::span(data, size)), std::as_bytes(std::span(with_length))}) {
        try {
            const morsel::SafetensorsFile file(bytes);
            std::size_t total = 0;
            for (const std::string& name : file.names()) {
                const auto part = file.at(name).bytes;
                total += part.size();
                for (const std::byte b : part) total += static_cast<std::size_t>(b) & 0;
            }
            if (total > size) std::abort();  // tensors neither overlap nor lie outside
            file.metadata();
        } catch (const morsel::Error&) {
        }
    }
    return 0;
}
