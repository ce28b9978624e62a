// A web page that shows a text's tokens: coloured pieces, and on hover each token's id, string, bytes and place. One file without
// scripts or anything fetched; its own policy forbids both, so that hostile text has nothing to reach even if an escape were
// forgotten. A page is a head, any number of sections, and an end, so that documents can be written as they come.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "morsel/tokenizer/encoding.hpp"
#include "morsel/visual/printable.hpp"
#include "morsel/visual/text_pieces.hpp"

namespace morsel {

inline std::string html_head(std::string_view title) {
    return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
           "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" + markup(title) + "</title>\n"
           "<style>\n"
           "body { font: 16px/1.9 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }\n"
           "h1 { font-size: 1.3em } h2 { font-size: 1.05em; margin: 1.6em 0 0 } .count { color: #666; font-size: .85em; margin: 0 }\n"
           ".text { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3em 0 } .text span { border-radius: 3px; padding: .12em 0 }\n"
           ".a { background: #cfe8fc } .b { background: #fde3c0 } .c { background: #cdf1cf } .d { background: #fbd3e6 }\n"
           ".s { background: #444; color: #fff; font: .8em monospace } .e { opacity: .55; font-size: .8em } .text span:hover { outline: 2px solid #d22 }\n"
           "</style>\n</head>\n<body>\n<h1>" + markup(title) + "</h1>\n";
}

inline std::string html_end() { return "</body>\n</html>\n"; }

namespace detail {

// The bytes of a stretch of text, "e2 96 81"; a long one is cut.
inline std::string byte_list(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size() && i < 32; ++i) out += (i > 0 ? " " : "") + hexadecimal(static_cast<unsigned char>(text[i]), 2);
    return text.size() > 32 ? out + " …" : out;
}

// What hovering over a piece shows.
inline std::string hover(const Encoding& encoding, const TextPiece& piece, std::string_view text) {
    std::string out;
    for (std::size_t i = piece.token; i < piece.token + piece.count; ++i) {
        if (!out.empty()) out += "&#10;&#10;";
        out += "id " + std::to_string(encoding.ids[i]) + "&#10;token " + markup(encoding.tokens[i]);
        if (!piece.special)
            out += "&#10;bytes " + byte_list(text.substr(piece.bytes.begin, piece.bytes.end - piece.bytes.begin)) + "&#10;offsets " +
                   std::to_string(encoding.offsets[i].begin) + "–" + std::to_string(encoding.offsets[i].end);
    }
    return out;
}

}  // namespace detail

// One text, or a text and its pair, under a heading (none where that is empty).
inline std::string html_section(const Encoding& encoding, std::string_view text, std::string_view pair = {}, std::string_view heading = {}) {
    std::string out = "<section>\n";
    if (!heading.empty()) out += "<h2>" + markup(heading) + "</h2>\n";
    const std::size_t bytes = text.size() + pair.size();
    const std::string ratio = encoding.size() == 0 ? "" : ", " + detail::decimal(static_cast<double>(bytes) / static_cast<double>(encoding.size()), 2) + " bytes per token";
    out += "<p class=\"count\">" + std::to_string(encoding.size()) + " tokens, " + std::to_string(bytes) + " bytes" + ratio + "</p>\n<div class=\"text\">";
    std::size_t coloured = 0;
    for (const TextPiece& piece : text_pieces(encoding, text.size(), pair.size())) {
        const std::string_view of = piece.sequence == 0 ? text : pair;
        if (piece.count > 0) {
            const char colour = piece.special ? 's' : "abcd"[coloured++ % 4];
            out += std::string("<span class=\"") + colour + "\" title=\"" + detail::hover(encoding, piece, of) + "\">";
        }
        for_each_printable(
            piece.special ? std::string_view(encoding.tokens[piece.token]) : of.substr(piece.bytes.begin, piece.bytes.end - piece.bytes.begin),
            [&](std::string_view shown) { out += markup(shown); },
            [&](std::string_view escape, std::string_view character) {
                out += "<i class=\"e\">" + markup(escape) + "</i>";
                if (character == "\n") out += '\n';
            });
        if (piece.count > 0) out += "</span>";
    }
    return out + "</div>\n</section>\n";
}

// A whole page for one text.
inline std::string html_tokens(const Encoding& encoding, std::string_view text, std::string_view title = "Tokens") {
    return html_head(title) + html_section(encoding, text) + html_end();
}

}  // namespace morsel
