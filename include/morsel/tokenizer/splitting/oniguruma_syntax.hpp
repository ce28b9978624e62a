// Rewrites a regular expression from Oniguruma's (Ruby) syntax, in which tokenizer.json files are written, to PCRE2's. The two
// agree on nearly everything; where they do not, this either translates or refuses, so that no pattern silently means something
// else. Compile the result with UTF, UCP and MULTILINE (in Ruby ^ and $ are always those of a line).
//   \s     White_Space (PCRE2 adds U+180E)            \w   Alphabetic, M, Nd, Pc (PCRE2: L, N, _)
//   \h     a hexadecimal digit (PCRE2: a blank)       {1,3}+   a repeated {1,3}, so {1,} (PCRE2: possessive)
// Refused: classes inside classes and && (PCRE2 takes them literally), \W and \H inside a class, (?m) (Ruby's dot-all).
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "morsel/core/error.hpp"

namespace morsel {

// The same expression for PCRE2. Throws Error for what cannot be said there.
inline std::string oniguruma_to_pcre2(std::string_view regex) {
    const auto refuse = [&](std::string what) {
        return Error("regular expression \"" + std::string(regex) + "\" uses " + what + ", which PCRE2 reads differently");
    };
    std::string out;
    bool in_class = false, class_begins = false;  // class_begins: right behind [ or [^, where ] is literal
    for (std::size_t i = 0; i < regex.size(); ++i) {
        const char c = regex[i];
        if (c == '\\' && i + 1 < regex.size()) {
            const char e = regex[++i];
            class_begins = false;
            if (e == 's') out += "\\p{White_Space}";
            else if (e == 'S') out += "\\P{White_Space}";
            else if (e == 'w') out += in_class ? "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}" : "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]";
            else if (e == 'W' && !in_class) out += "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]";
            else if (e == 'h') out += in_class ? "0-9A-Fa-f" : "[0-9A-Fa-f]";
            else if (e == 'H' && !in_class) out += "[^0-9A-Fa-f]";
            else if (e == 'W' || e == 'H') throw refuse("a negated shorthand inside a class");
            else out += c, out += e;
            continue;
        }
        if (in_class) {
            if (c == ']' && !class_begins) in_class = false;
            else if (c == '[' && i + 1 < regex.size() && regex[i + 1] == ':') {
                const std::size_t end = regex.find(":]", i + 2);
                if (end == std::string_view::npos) throw refuse("a class inside a class");
                out.append(regex, i, end + 2 - i);
                i = end + 1;
                class_begins = false;
                continue;
            } else if (c == '[') throw refuse("a class inside a class");
            else if (c == '&' && i + 1 < regex.size() && regex[i + 1] == '&') throw refuse("an intersection of classes");
            class_begins = class_begins && c == '^' && regex[i - 1] == '[';
            out += c;
            continue;
        }
        if (c == '[') in_class = class_begins = true;
        if (c == '(' && i + 2 < regex.size() && regex[i + 1] == '?') {
            const std::size_t end = regex.find_first_not_of("imx-", i + 2);
            if (end != std::string_view::npos && (regex[end] == ':' || regex[end] == ')') && regex.substr(i + 2, end - i - 2).find('m') != std::string_view::npos)
                throw refuse("(?m)");
        }
        if (c == '{') {
            std::size_t end = i + 1;
            while (end < regex.size() && (regex[end] == ',' || (regex[end] >= '0' && regex[end] <= '9'))) ++end;
            if (end > i + 1 && end + 1 < regex.size() && regex[end] == '}' && regex[end + 1] == '+') {
                const std::string_view least = regex.substr(i + 1, regex.find_first_of(",}", i) - i - 1);
                if (least != "0" && least != "1" && !least.empty()) throw refuse("a repeated interval");
                out += least == "1" ? "{1,}" : "{0,}";
                i = end + 1;
                continue;
            }
        }
        out += c;
    }
    return out;
}

}  // namespace morsel
