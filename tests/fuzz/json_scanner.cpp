// Any bytes as JSON: the strict scanner and the JSON parser agree on what is valid (up to the scanner's depth).
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "morsel/formats/json_scanner.hpp"
#include "morsel/unicode/utf8.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    bool ours = false, deep = false;
    if (morsel::unicode::is_valid_utf8(text)) {
        try {
            morsel::detail::JsonScanner scan(text, "fuzz");
            scan.skip();
            scan.end();
            ours = true;
        } catch (const morsel::Error& error) {
            deep = error.reason().find("deep") != std::string::npos;
        }
    }
    if (text.find('\0') != std::string_view::npos) {  // the other parser takes it for the end of the text
        if (ours) std::abort();
        return 0;
    }
    if (deep || text.starts_with("\xef\xbb\xbf")) return 0;  // the other parser skips a byte order mark
    bool theirs = true;
    try {
        [[maybe_unused]] const auto value = nlohmann::json::parse(text);
    } catch (const nlohmann::json::parse_error&) {
        theirs = false;
    } catch (const nlohmann::json::out_of_range&) {  // a number beyond double: JSON so far, the rest was not read
        return 0;
    }
    if (theirs != ours) std::abort();
    return 0;
}
