// A text in the terminal with its tokens on alternating backgrounds, on one line. What the post-processor added is shown reversed.
// Without colour the pieces stand between bars. Any bytes are safe to print: what could steer a terminal is escaped.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "morsel/tokenizer/encoding.hpp"
#include "morsel/visual/printable.hpp"
#include "morsel/visual/text_pieces.hpp"

namespace morsel {

struct TerminalOptions {
    bool colour = true;  // 256-colour ANSI sequences; programs should ask isatty and the variable NO_COLOR
};

inline std::string terminal_tokens(const Encoding& encoding, std::string_view text, std::string_view pair = {}, const TerminalOptions& options = {}) {
    static constexpr std::string_view backgrounds[] = {"\x1b[30;48;5;153m", "\x1b[30;48;5;223m", "\x1b[30;48;5;157m", "\x1b[30;48;5;218m"};
    std::string out;
    std::size_t coloured = 0;
    for (const TextPiece& piece : text_pieces(encoding, text.size(), pair.size())) {
        const std::string_view of = piece.sequence == 0 ? text : pair;
        const std::string shown = printable(piece.special ? std::string_view(encoding.tokens[piece.token]) : of.substr(piece.bytes.begin, piece.bytes.end - piece.bytes.begin));
        if (!options.colour) {
            if (!out.empty()) out += "│";
            out += piece.special ? "⟨" + shown + "⟩" : shown;
        } else if (piece.special) {
            out += "\x1b[7m" + shown + "\x1b[0m";
        } else if (piece.count == 0) {
            out += shown;
        } else {
            out.append(backgrounds[coloured++ % 4]) += shown + "\x1b[0m";
        }
    }
    return out;
}

}  // namespace morsel
