// Lines of the reference files, which are packed with xz.
#pragma once
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

namespace morsel_test {

// Every line of an .xz file as JSON. Needs the program xz.
inline std::vector<nlohmann::json> gold_lines(const std::filesystem::path& file) {
    std::string text;
    std::FILE* pipe = ::popen(("xz -dc '" + file.string() + "'").c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::array<char, 65536> buffer;
    for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) text.append(buffer.data(), n);
    REQUIRE(::pclose(pipe) == 0);
    std::vector<nlohmann::json> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(nlohmann::json::parse(text.substr(at, end - at)));
        at = end + 1;
    }
    return lines;
}

// Bytes written as hexadecimal digits.
inline std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

}  // namespace morsel_test
