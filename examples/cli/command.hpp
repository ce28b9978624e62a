// The frame of the `morsel` command: options of one command, declared as data, parsed in one place.
// Data goes to stdout, messages to stderr; exit status 0, 1 (bad input: one line "morsel: file: key: what") or 2 (usage).
#pragma once
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cli {

// Wrong flags: exit status 2.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Option {
    std::string_view name;   // "--tokenizer"
    std::string_view value;  // "PATH", or empty for a flag; "F…" takes all words up to the next option
    std::string_view help;
    bool required = false;
};

class Arguments;

struct Command {
    std::string_view name;
    std::string_view summary;             // one line
    std::string_view positional;          // "PATH", or empty where none is taken
    std::vector<Option> options;
    int (*run)(const Arguments&);         // gives the exit status
};

class Arguments {
  public:
    // Throws UsageError on an unknown or repeated option, a missing value, or a missing required option.
    Arguments(const Command& command, std::span<const std::string_view> words) {
        for (std::size_t i = 0; i < words.size();) {
            const std::string_view word = words[i++];
            if (!word.starts_with("--")) {
                if (command.positional.empty()) throw UsageError("unexpected '" + std::string(word) + "'");
                positional_.emplace_back(word);
                continue;
            }
            const std::size_t equals = word.find('=');
            const std::string_view name = word.substr(0, equals);
            const Option* option = nullptr;
            for (const Option& candidate : command.options)
                if (candidate.name == name) option = &candidate;
            if (option == nullptr) throw UsageError("unknown option '" + std::string(name) + "'");
            auto& values = values_[std::string(name)];
            if (!values.empty() && !option->value.ends_with("…")) throw UsageError(std::string(name) + " is given twice");
            if (option->value.empty()) {
                if (equals != word.npos) throw UsageError(std::string(name) + " takes no value");
                values.emplace_back("");
            } else if (equals != word.npos) {
                values.emplace_back(word.substr(equals + 1));
            } else {
                if (i == words.size()) throw UsageError(std::string(name) + " needs a value: " + std::string(option->value));
                do values.emplace_back(words[i++]);
                while (option->value.ends_with("…") && i < words.size() && !words[i].starts_with("--"));
            }
        }
        for (const Option& option : command.options)
            if (option.required && !has(option.name)) throw UsageError(std::string(option.name) + " is missing");
        if (!command.positional.empty() && positional_.size() != 1) throw UsageError("one " + std::string(command.positional) + " is needed");
    }

    bool has(std::string_view name) const { return values_.contains(std::string(name)); }
    std::string text(std::string_view name, std::string otherwise = {}) const {
        const auto found = values_.find(std::string(name));
        return found == values_.end() ? otherwise : found->second.front();
    }
    std::vector<std::string> texts(std::string_view name) const {
        const auto found = values_.find(std::string(name));
        return found == values_.end() ? std::vector<std::string>{} : found->second;
    }
    // The value as a number; throws UsageError where it is none or does not fit.
    template <class T> std::optional<T> number(std::string_view name) const {
        const auto found = values_.find(std::string(name));
        if (found == values_.end()) return std::nullopt;
        const std::string& text = found->second.front();
        T value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || end != text.data() + text.size())
            throw UsageError(std::string(name) + " needs a number, not '" + text + "'");
        return value;
    }
    // One of `allowed`, the first where it is not given; throws UsageError on anything else.
    std::string choice(std::string_view name, std::initializer_list<std::string_view> allowed) const {
        const std::string value = text(name, std::string(*allowed.begin()));
        for (const std::string_view one : allowed)
            if (value == one) return value;
        throw UsageError(std::string(name) + " cannot be '" + value + "'");
    }
    const std::vector<std::string>& positional() const { return positional_; }

  private:
    std::map<std::string, std::vector<std::string>> values_;
    std::vector<std::string> positional_;
};

}  // namespace cli
