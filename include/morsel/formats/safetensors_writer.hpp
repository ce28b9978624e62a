// Writes safetensors files: a temporary file beside the target, then a rename, so that no reader ever sees half a file. Tensors are
// laid out in the order given; the header is padded with spaces to a multiple of 8 bytes, as the reference does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/file_replacement.hpp"
#include "morsel/formats/json_scanner.hpp"
#include "morsel/formats/safetensors.hpp"
#include "morsel/formats/tensor_source.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

struct NamedTensor {
    std::string name;
    TensorView view;
};

namespace detail {

inline void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
            out += escape;
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace detail

// Writes tensors and `__metadata__` to `path`. Throws Error, leaving what was there before, where a name is repeated, reserved or no
// UTF-8, the dtype is a quantised one, a tensor's bytes do not fit its shape, or the file cannot be written.
inline void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors, const std::map<std::string, std::string>& metadata = {}) {
    const auto check_text = [&](const std::string& text) {
        if (!unicode::is_valid_utf8(text)) throw Error("not valid UTF-8", {.file = path.string(), .key = text});
    };
    std::string header = "{";
    if (!metadata.empty()) {
        header += "\"__metadata__\":";
        char before = '{';
        for (const auto& [key, value] : metadata) {
            check_text(key), check_text(value);
            header += std::exchange(before, ',');
            detail::append_json_string(header, key);
            header += ':';
            detail::append_json_string(header, value);
        }
        header += '}';
    }
    std::uint64_t end = 0;  // bytes of data so far
    std::set<std::string_view> seen;
    for (const NamedTensor& tensor : tensors) {
        const TensorView& view = tensor.view;
        const auto fail = [&](std::string reason, std::string found = {}) { return Error(std::move(reason), {.file = path.string(), .key = tensor.name, .found = std::move(found)}); };
        check_text(tensor.name);
        if (tensor.name == "__metadata__") throw fail("a reserved name");
        if (!seen.insert(tensor.name).second) throw fail("two tensors of one name");
        const DTypeInfo info = dtype_info(view.dtype);
        if (view.dtype > DType::c64) throw fail("a dtype that safetensors does not have", std::string(info.name));
        std::uint64_t bits = info.block_bits;
        for (const std::uint64_t dim : view.shape)
            if (!detail::checked_multiply(bits, dim, bits)) throw fail("size overflow", shape_text(view.shape));
        if (bits % 8 != 0 || bits / 8 != view.bytes.size()) throw fail("the bytes do not fit dtype and shape", std::to_string(view.bytes.size()) + " bytes for " + shape_text(view.shape));
        if (header.size() > 1) header += ',';
        detail::append_json_string(header, tensor.name);
        header += ":{\"dtype\":\"" + std::string(info.name) + "\",\"shape\":[";
        for (std::size_t i = 0; i < view.shape.size(); ++i) header += (i > 0 ? "," : "") + std::to_string(view.shape[i]);
        header += "],\"data_offsets\":[" + std::to_string(end) + ',' + std::to_string(end + view.bytes.size()) + "]}";
        end += view.bytes.size();
    }
    header += '}';
    header.append((8 - header.size() % 8) % 8, ' ');
    if (header.size() > max_safetensors_header) throw Error("the header would be too large", {.file = path.string()});

    std::string length(8, '\0');  // little endian
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
    FileReplacement file(path);
    file.write(length);
    file.write(header);
    for (const NamedTensor& tensor : tensors) file.write(tensor.view.bytes);
    file.commit();
}

}  // namespace morsel
