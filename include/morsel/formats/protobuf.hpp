// The wire format of protocol buffers, as much as reading a message field by field takes. No schema, no generated code, no
// recursion: a field that holds a message gives its bytes, which a new reader reads. Groups are refused.
// Specification: protobuf.dev/programming-guides/encoding.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "morsel/core/error.hpp"

namespace morsel {

// One field of a message.
struct ProtobufField {
    std::uint32_t number = 0;
    std::uint32_t wire_type = 0;   // 0 varint, 1 fixed 64, 2 bytes, 5 fixed 32
    std::uint64_t integer = 0;     // of varints and fixed fields
    std::string_view bytes = {};   // of wire type 2

    float as_float() const {  // of wire type 5
        const auto bits = static_cast<std::uint32_t>(integer);
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }
};

class ProtobufReader {
  public:
    // `message` must outlive the reader.
    explicit ProtobufReader(std::string_view message) : rest_(message), size_(message.size()) {}

    // The next field into `field`; false at the end of the message. Throws Error where the bytes are no message.
    bool next(ProtobufField& field) {
        if (rest_.empty()) return false;
        const std::uint64_t tag = varint();
        if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff) throw broken("a field number", std::to_string(tag >> 3));
        field = {static_cast<std::uint32_t>(tag >> 3), static_cast<std::uint32_t>(tag & 7), 0, {}};
        switch (field.wire_type) {
            case 0: field.integer = varint(); break;
            case 1: field.integer = fixed<std::uint64_t>(); break;
            case 2: {
                const std::uint64_t length = varint();
                if (length > rest_.size()) throw broken("at most " + std::to_string(rest_.size()) + " bytes", std::to_string(length));
                field.bytes = rest_.substr(0, static_cast<std::size_t>(length));
                rest_.remove_prefix(field.bytes.size());
                break;
            }
            case 5: field.integer = fixed<std::uint32_t>(); break;
            default: throw broken("wire type 0, 1, 2 or 5", std::to_string(field.wire_type));
        }
        return true;
    }

  private:
    Error broken(std::string expected, std::string found) const {
        return Error("broken protocol buffer", {.key = "byte " + std::to_string(size_ - rest_.size()), .expected = std::move(expected), .found = std::move(found)});
    }
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 70; shift += 7) {
            if (rest_.empty()) throw broken("the rest of a number", "the end");
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            if (shift == 63 && byte > 1) break;
            value |= std::uint64_t{byte & 0x7fu} << shift;
            if (byte < 0x80) return value;
        }
        throw broken("a number of at most 64 bits", "more");
    }
    template <class T> std::uint64_t fixed() {
        T value;
        if (rest_.size() < sizeof value) throw broken(std::to_string(sizeof value) + " bytes", std::to_string(rest_.size()));
        std::memcpy(&value, rest_.data(), sizeof value);  // little endian, as the machines this runs on
        rest_.remove_prefix(sizeof value);
        return value;
    }

    std::string_view rest_;
    std::size_t size_;
};

}  // namespace morsel
