// Text on its way through normalizers and pre-tokenizers, with the origin of every byte, so that offsets always name bytes of
// what the caller passed. Same information as the reference's NormalizedString (Hugging Face tokenizers), kept per byte.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace morsel {

// Bytes [begin, end).
struct Span {
    std::size_t begin = 0, end = 0;
    friend bool operator==(const Span&, const Span&) = default;
};

struct AlignedText {
    std::string text = {};           // UTF-8
    std::vector<Span> origin = {};   // one per byte of `text`: the original bytes it stands for; equal for all bytes of a character
};

}  // namespace morsel
