// The one error of the library. Thrown while loading and at the edge of the public interface, never in hot loops.
// It names what is wrong, and where known the file, the key inside it, what was expected and what was found, so that a bad file
// or a bad argument is one clear line for a person.
#pragma once
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

namespace morsel {

// The parts of a message; leave empty what does not apply.
struct ErrorContext {
    std::string file = {};      // path of the file at fault
    std::string key = {};       // key, tensor name or argument at fault
    std::string expected = {};  // what would have been right
    std::string found = {};     // what was there
};

class Error : public std::runtime_error {
  public:
    explicit Error(std::string what, ErrorContext context = {})
        : std::runtime_error(message(what, context)), context_(std::move(context)), reason_(std::move(what)) {}

    const std::string& file() const noexcept { return context_.file; }
    const std::string& key() const noexcept { return context_.key; }
    const std::string& expected() const noexcept { return context_.expected; }
    const std::string& found() const noexcept { return context_.found; }
    // The reason alone, without file and key; what() is the whole line "file: key: reason (expected …, found …)".
    const std::string& reason() const noexcept { return reason_; }

    // The same error, seen from a caller who knows the file.
    Error in_file(const std::filesystem::path& file) const {
        ErrorContext context = context_;
        if (context.file.empty()) context.file = file.string();
        return Error(reason_, std::move(context));
    }

  private:
    // Keys and names come from files: control characters would cut the message, break the line or steer a terminal.
    static std::string one_line(std::string text) {
        for (char& c : text)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
        return text;
    }

    static std::string message(const std::string& reason, const ErrorContext& c) {
        std::string text;
        if (!c.file.empty()) text += one_line(c.file) + ": ";
        if (!c.key.empty()) text += one_line(c.key) + ": ";
        text += reason;
        if (!c.expected.empty() || !c.found.empty()) {
            text += " (";
            if (!c.expected.empty()) text += "expected " + c.expected;
            if (!c.expected.empty() && !c.found.empty()) text += ", ";
            if (!c.found.empty()) text += "found " + one_line(c.found);
            text += ')';
        }
        return text;
    }

    ErrorContext context_;
    std::string reason_;
};

}  // namespace morsel
