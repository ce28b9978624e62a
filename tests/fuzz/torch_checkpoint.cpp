// Any bytes as a torch checkpoint: an object whose every promised byte can be read, or an Error.
#include <cstddef>
#include <cstdint>
#include <string>

#include "formats/torch_builder.hpp"
#include "morsel/formats/torch_checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // Three readings: the bytes as they are, as the pickle of a sound archive, and as what follows the magic of the older form.
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    const std::string inside = morsel_test::torch_archive(bytes).build(), older = std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15) + bytes;
    for (const std::string* file : {&bytes, &inside, &older}) {
        try {
            const morsel::TorchCheckpoint read(morsel_test::as_bytes(*file), {}, {.verify_checksums = false});
            unsigned sum = 0;
            for (const std::string& name : read.names())
                for (const std::byte b : read.at(name).bytes) sum += static_cast<unsigned>(b);
            volatile unsigned used = sum;
            (void)used;
        } catch (const morsel::Error&) {
        }
    }
    return 0;
}
