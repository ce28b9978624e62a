// JSON files with errors that name file, line, key, expected and found. The parser is nlohmann/json; this header adds a limit on
// nesting, strictness (no byte order mark, nothing after the value) and typed access. For configurations: large vocabularies are
// read with a SAX handler in their loaders, never as a tree.
#pragma once
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"

namespace morsel {

using Json = nlohmann::json;

inline constexpr int max_json_depth = 128;

// Parses `text`; `file` is for messages. Throws Error with line and column.
Json parse_json(std::string_view text, const std::filesystem::path& file = {});
inline Json parse_json_file(const std::filesystem::path& path) { return parse_json(MappedFile(path).text(), path); }

// A JSON object with the file it came from and the way to it ("model.vocab"): typed access that throws an Error that says both.
class JsonObject {
  public:
    JsonObject(const Json& value, std::filesystem::path file, std::string key = {});

    // The value of that name as T (bool, an integer, a float type, std::string); throws where it is absent or of another type,
    // or does not fit T.
    template <class T> T get(std::string_view name) const;
    // The same, or `otherwise` where it is absent or null.
    template <class T> T get_or(std::string_view name, T otherwise) const;
    // The same, or nothing where it is absent or null.
    template <class T> std::optional<T> find(std::string_view name) const;

    bool has(std::string_view name) const { return value_->contains(name) && !value_->at(std::string(name)).is_null(); }
    // The raw value; throws where it is absent.
    const Json& at(std::string_view name) const;
    // The object of that name; throws where it is absent or something else.
    JsonObject object(std::string_view name) const;

    const Json& json() const noexcept { return *value_; }
    const std::filesystem::path& file() const noexcept { return file_; }
    std::string path_of(std::string_view name) const { return key_.empty() ? std::string(name) : key_ + "." + std::string(name); }
    // An error about the value of that name.
    Error error(std::string_view name, std::string reason, std::string expected = {}, std::string found = {}) const {
        return Error(std::move(reason), {.file = file_.string(), .key = path_of(name), .expected = std::move(expected), .found = std::move(found)});
    }

  private:
    const Json* value_;  // never null
    std::filesystem::path file_;
    std::string key_;
};

// A value as a short text for messages.
inline std::string json_text(const Json& value) {
    std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    return text;
}

// The value as T; throws Error(file, key) where the type or range is wrong. Integers must be written as integers.
template <class T> T json_value(const Json& value, const std::filesystem::path& file, const std::string& key) {
    const auto fail = [&](std::string expected) -> Error {
        return Error("wrong value", {.file = file.string(), .key = key, .expected = std::move(expected), .found = json_text(value)});
    };
    if constexpr (std::is_same_v<T, bool>) {
        if (!value.is_boolean()) throw fail("true or false");
        return value.get<bool>();
    } else if constexpr (std::is_integral_v<T>) {
        if (value.is_number_unsigned()) {
            const auto number = value.get<std::uint64_t>();
            if (number <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return static_cast<T>(number);
        } else if (value.is_number_integer() && std::is_signed_v<T>) {
            const auto number = value.get<std::int64_t>();
            if (number >= static_cast<std::int64_t>(std::numeric_limits<T>::min())) return static_cast<T>(number);
        }
        throw fail(std::is_signed_v<T> ? "an integer" : "an integer that is not negative");
    } else if constexpr (std::is_floating_point_v<T>) {
        if (!value.is_number()) throw fail("a number");
        const auto number = static_cast<T>(value.get<double>());
        if (!std::isfinite(number)) throw fail("a finite number");
        return number;
    } else {
        static_assert(std::is_same_v<T, std::string>, "json_value: bool, integers, floats and std::string");
        if (!value.is_string()) throw fail("a string");
        return value.get<std::string>();
    }
}

template <class T> std::optional<T> JsonObject::find(std::string_view name) const {
    if (!has(name)) return std::nullopt;
    return json_value<T>(at(name), file_, path_of(name));
}
template <class T> T JsonObject::get_or(std::string_view name, T otherwise) const {
    auto value = find<T>(name);
    return value ? *std::move(value) : std::move(otherwise);
}
template <class T> T JsonObject::get(std::string_view name) const { return json_value<T>(at(name), file_, path_of(name)); }

inline JsonObject::JsonObject(const Json& value, std::filesystem::path file, std::string key)
    : value_(&value), file_(std::move(file)), key_(std::move(key)) {
    if (!value.is_object()) throw Error("wrong value", {.file = file_.string(), .key = key_, .expected = "an object", .found = json_text(value)});
}
inline const Json& JsonObject::at(std::string_view name) const {
    const auto found = value_->find(name);
    if (found == value_->end()) throw error(name, "missing");
    return *found;
}
inline JsonObject JsonObject::object(std::string_view name) const { return JsonObject(at(name), file_, path_of(name)); }

namespace detail {

// "line 3, column 7" of a byte position.
inline std::string line_and_column(std::string_view text, std::size_t position) {
    std::size_t line = 1, start = 0;
    position = position < text.size() ? position : text.size();
    for (std::size_t i = 0; i < position; ++i)
        if (text[i] == '\n') ++line, start = i + 1;
    return "line " + std::to_string(line) + ", column " + std::to_string(position - start + 1);
}

// What a file that is no JSON seems to be; empty where nothing is recognised.
inline std::string seems_to_be(std::string_view text) {
    if (text.empty()) return "an empty file";
    if (text.starts_with("version https://git-lfs")) return "a git-LFS pointer: the real file was not downloaded";
    if (text.starts_with("<!") || text.starts_with("<html")) return "an HTML page";
    if (text.starts_with("PK\x03\x04")) return "a zip archive";
    if (text.starts_with("\x1f\x8b")) return "a gzip file";
    if (text.starts_with("\xef\xbb\xbf")) return "a byte order mark";
    return {};
}

// nlohmann's SAX-to-tree handler, stopped at max_json_depth so that hostile nesting cannot exhaust the stack.
inline void check_json_depth(std::string_view text, const std::filesystem::path& file) {
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            else if (c == '"') in_string = false;
        } else if (c == '"') in_string = true;
        else if ((c == '[' || c == '{') && ++depth > max_json_depth)
            throw Error("nested too deeply", {.file = file.string(), .key = line_and_column(text, i), .expected = "at most " + std::to_string(max_json_depth) + " levels"});
        else if (c == ']' || c == '}') --depth;
    }
}

}  // namespace detail

inline Json parse_json(std::string_view text, const std::filesystem::path& file) {
    const std::string guess = detail::seems_to_be(text);
    if (!guess.empty()) throw Error("not JSON", {.file = file.string(), .found = guess});
    detail::check_json_depth(text, file);
    // nlohmann takes a NUL for the end of the text and would pass over what follows.
    if (const std::size_t nul = text.find('\0'); nul != text.npos) throw Error("not valid JSON", {.file = file.string(), .key = detail::line_and_column(text, nul), .found = "a NUL byte"});
    try {
        return Json::parse(text);
    } catch (const Json::parse_error& e) {
        throw Error("not valid JSON", {.file = file.string(), .key = detail::line_and_column(text, e.byte > 0 ? e.byte - 1 : 0)});
    } catch (const Json::exception&) {
        throw Error("not valid JSON", {.file = file.string(), .expected = "numbers within range"});
    }
}

}  // namespace morsel
