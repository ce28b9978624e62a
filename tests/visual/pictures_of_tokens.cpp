// Pictures show the whole text once, name the tokens, and let no text out of its place: no escape sequence, no tag, no hidden character.
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "morsel/visual.hpp"
#include "support/catch.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/text.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

// An encoding written by hand: spans of the text; {id, token, begin, end, special}.
struct Token {
    TokenId id;
    std::string token;
    std::size_t begin, end;
    bool special = false;
    std::uint32_t sequence = 0;
};
Encoding encoding_of(const std::vector<Token>& tokens) {
    Encoding e;
    for (const Token& t : tokens) {
        e.ids.push_back(t.id), e.tokens.push_back(t.token), e.offsets.push_back({t.begin, t.end});
        e.special_tokens_mask.push_back(t.special), e.sequence_ids.push_back(t.special ? std::nullopt : std::optional(t.sequence));
    }
    return e;
}

// What a page or a terminal shows: the text between tags.
std::string without_tags(std::string_view html) {
    std::string out;
    bool in_tag = false;
    for (const char c : html) {
        if (c == '<') in_tag = true;
        if (!in_tag) out += c;
        if (c == '>') in_tag = false;
    }
    return out;
}

const std::string hostile = std::string("<script>alert('x')</script> & \"q\" \x1b[31m\x9b") + '\0' + "\r\n\t\u202Eabc\u2028\u009B31m\xF0\x9F<b>👩\u200D🚀";

}  // namespace

TEST_CASE("pieces are the whole text, once, with every token in one of them") {
    std::mt19937 random(5);
    for (int round = 0; round < 2000; ++round) {
        const std::size_t sizes[] = {random() % 12, random() % 12};
        std::vector<Token> tokens;
        const std::uint32_t sequences = 1 + random() % 2;
        for (std::uint32_t s = 0; s < sequences; ++s) {
            if (random() % 2) tokens.push_back({1, "[S]", 0, 0, true});
            std::size_t at = 0;
            for (std::size_t i = 0, n = random() % 8; i < n; ++i) {
                const bool lie = random() % 10 == 0;  // offsets that go back, or beyond the text
                const std::size_t begin = lie ? random() % 20 : at + random() % 2, end = begin + random() % 4;
                tokens.push_back({7, "t", begin, end, random() % 12 == 0, s});
                at = end;
            }
        }
        const Encoding e = encoding_of(tokens);
        std::size_t next_token = 0, covered[] = {0, 0};
        for (const TextPiece& piece : text_pieces(e, sizes[0], sizes[1])) {
            REQUIRE(piece.bytes.begin == covered[piece.sequence]);
            covered[piece.sequence] = piece.bytes.end;
            if (piece.count > 0) {
                REQUIRE(piece.token == next_token);
                next_token += piece.count;
            } else {
                REQUIRE(piece.bytes.begin < piece.bytes.end);
            }
            REQUIRE(piece.special == (piece.count == 1 && e.special_tokens_mask[piece.token] != 0));
        }
        REQUIRE(next_token == e.size());
        REQUIRE(covered[0] == sizes[0]);
        REQUIRE(covered[1] == sizes[1]);
    }
}

TEST_CASE("tokens that share a character share a piece; what ends a text stands behind all of it") {
    const Encoding e = encoding_of({{0, "[CLS]", 0, 0, true}, {1, "a", 0, 1}, {2, "Ġð", 2, 6}, {3, "Ł", 2, 6}, {4, "▁", 7, 7}, {5, "b", 7, 8}, {6, "[SEP]", 0, 0, true}});
    const auto pieces = text_pieces(e, 10);
    std::vector<std::pair<std::size_t, std::size_t>> got;
    for (const TextPiece& p : pieces) got.emplace_back(p.bytes.begin, p.count);
    CHECK(got == std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {0, 1}, {1, 0}, {2, 2}, {6, 0}, {7, 2}, {8, 0}, {10, 1}});
}

TEST_CASE("hidden characters become visible escapes") {
    CHECK(printable("plain, Größe 東京 👩\u200D🚀") == "plain, Größe 東京 👩\u200D🚀");
    CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
    CHECK(printable(std::string("\x1b[31m\x7f\xff\0", 8)) == "\\x1B[31m\\x7F\\xFF\\x00");
    CHECK(printable("\u202Ex\u0085\u2028\U000E0041") == "\\u{202E}x\\u{0085}\\u{2028}\\u{E0041}");
    CHECK(printable("\xF0\x9F") == "\\xF0\\x9F");
    CHECK(markup("<a href=\"x\">'&'") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;");
}

TEST_CASE("the terminal shows pieces, and nothing steers it but our own colours") {
    const Encoding e = encoding_of({{0, "[CLS]", 0, 0, true}, {1, "un", 0, 2}, {2, "##happy", 2, 7}});
    CHECK(terminal_tokens(e, "unhappy!", {}, {.colour = false}) == "⟨[CLS]⟩│un│happy│!");
    CHECK(terminal_tokens(e, "unhappy!") == "\x1b[7m[CLS]\x1b[0m\x1b[30;48;5;153mun\x1b[0m\x1b[30;48;5;223mhappy\x1b[0m!");
    const Encoding whole = encoding_of({{1, "\x1b]0;title\x07", 0, hostile.size()}, {2, "\x1b[2J", 0, 0, true}});
    const std::string plain = terminal_tokens(whole, hostile, {}, {.colour = false});
    for (const char c : plain) CHECK((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
    CHECK(plain.find("\u202E") == plain.npos);
    CHECK(plain.find("\u009B") == plain.npos);
    CHECK(count(terminal_tokens(whole, hostile), "\x1b") == 4);
}

TEST_CASE("the page holds id, token, bytes and offsets of every token, and no tag from the text") {
    const std::string text = "a<b>📌";
    const Encoding e = encoding_of({{11, "a<", 0, 2}, {12, "b\"", 2, 4}, {13, "ðŁ", 4, 8}, {14, "ĵĮ", 4, 8}});
    const std::string page = html_tokens(e, text, "<Title>");
    CHECK(page.starts_with("<!DOCTYPE html>"));
    CHECK(page.find("<title>&lt;Title&gt;</title>") != page.npos);
    CHECK(page.find("title=\"id 11&#10;token a&lt;&#10;bytes 61 3C&#10;offsets 0–2\">a&lt;</span>") != page.npos);
    CHECK(page.find("id 12&#10;token b&quot;&#10;bytes 62 3E") != page.npos);
    CHECK(page.find("id 13&#10;token ðŁ&#10;bytes F0 9F 93 8C&#10;offsets 4–8&#10;&#10;id 14&#10;token ĵĮ") != page.npos);
    CHECK(page.find("4 tokens, 8 bytes, 2.00 bytes per token") != page.npos);
    CHECK(count(page, "<span ") == 3);

    // Against the same page of harmless text: hostile text and token add no tag and no attribute.
    const Encoding bad = encoding_of({{1, hostile, 0, hostile.size()}, {2, "\"><img src=x onerror=alert(1)>", 0, 0, true}});
    const std::string section = html_section(bad, hostile, {}, hostile);
    CHECK(count(section, "<span ") == 2);
    CHECK(count(section, "<script") == 0);
    CHECK(count(section, "<img") == 0);
    CHECK(count(section, "<b>") == 0);
    for (const char c : section) CHECK((static_cast<unsigned char>(c) >= 0x20 || c == '\n'));
    CHECK(section.find("\u202E") == section.npos);
    const std::string begin = "title=\"", shown = without_tags(section);
    CHECK(shown.find('"') == shown.npos);
    for (std::size_t at = section.find(begin); at != section.npos; at = section.find(begin, at + 1)) CHECK(section.find('"', at + begin.size()) == section.find("\">", at));
}

TEST_CASE("the bars of a chart are in proportion, and labels are text") {
    const std::vector<Bar> bars = {{"<gpt2>", 4}, {"byte", 1}, {"none", 0}, {"wrong", std::numeric_limits<double>::quiet_NaN()}, {"less", -3}};
    const std::string svg = svg_bar_chart(bars, {.title = "a & b", .unit = "bytes"});
    CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    CHECK(svg.find("a &amp; b") != svg.npos);
    CHECK(svg.find("&lt;gpt2&gt;") != svg.npos);
    CHECK(count(svg, "width=\"420.0\"") == 1);
    CHECK(count(svg, "width=\"105.0\"") == 1);
    CHECK(count(svg, "width=\"0.0\"") == 3);
    CHECK(svg.find(">4.00 bytes<") != svg.npos);
    CHECK(svg.find(">nan bytes<") != svg.npos);
    CHECK(count(svg, "<") == count(svg, ">"));
    CHECK(svg_bar_chart({}).ends_with("</svg>\n"));
}

TEST_CASE("the lines of a chart join their points, in proportion, and break where there is none") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<ChartLine> lines = {{"a < b", {{0, 0}, {50, 10}, {100, 5}}}, {"", {{0, 5}, {25, nan}, {50, 5}, {100, std::numeric_limits<double>::infinity()}, {75, 5}, {100, 5}}}};
    const std::string svg = svg_line_chart(lines, {.title = "t & u", .x_label = "x", .y_label = "y"});
    CHECK(svg.find("d=\"M70.0 350.0L345.0 44.0L620.0 197.0\"") != svg.npos);           // 550 × 306 pixels from (70, 350)
    CHECK(svg.find("d=\"M70.0 197.0M345.0 197.0M482.5 197.0L620.0 197.0\"") != svg.npos);  // alone, alone, joined
    CHECK(svg.find("a &lt; b") != svg.npos);
    CHECK(svg.find("t &amp; u") != svg.npos);
    CHECK(svg.find("nan") == svg.npos);
    CHECK(svg.find("inf") == svg.npos);
    CHECK(count(svg, "<") == count(svg, ">"));
    const std::vector<ChartLine> powers = {{"", {{1, 1}, {10, 2}, {0, 3}, {1000, 4}}}};
    const std::string logarithmic = svg_line_chart(powers, {.logarithmic_x = true});
    CHECK(logarithmic.find("d=\"M70.0 350.0L253.3 248.0M620.0 44.0\"") != logarithmic.npos);  // 10 is a third of the way to 1000
    CHECK(logarithmic.find(">1000<") != logarithmic.npos);
    CHECK(svg_line_chart({}).ends_with("</svg>\n"));
    const std::vector<ChartLine> flat = {{"", {{3, 7}}}};
    CHECK(svg_line_chart(flat).find("nan") == std::string::npos);
    CHECK(detail::round_numbers(0, 10) == std::vector<double>{0, 2, 4, 6, 8, 10});
    CHECK(detail::short_number(2.5) == "2.5");
    CHECK(detail::short_number(30000) == "30000");
}

TEST_CASE("a real tokenizer's pieces joined are the text") {
    for (const char* name : {"byte_level.json", "wordpiece.json", "unigram.json", "byte_fallback.json"}) {
        const auto tokenizer = morsel_test::load_tokenizer(test_data() / "tokenizers" / name);
        for (const std::string text : {"A token is a small chunk of text.", "  Größe, 東京 and 📌\n", "", " "}) {
            std::string joined;
            for (const TextPiece& piece : text_pieces(tokenizer.encode(text), text.size())) joined += text.substr(piece.bytes.begin, piece.bytes.end - piece.bytes.begin);
            INFO(name);
            CHECK(joined == text);
        }
    }
}

TEST_CASE("a heat map has a square for every value and lets no label out of its place") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<std::string> rows = {"a<b>", "line\nbreak"}, columns = {"x", "\"y\"", std::string(50, 'z')};
    const std::vector<float> values = {0, 0.5f, 1, nan, -1, 0.25f};
    const std::string svg = svg_heat_map(values, rows, columns, {.title = "<t>", .row_title = "r", .column_title = "c", .write_values = true});
    CHECK(count(svg, "<rect x=") == 6);
    CHECK(count(svg, "<title>") == 6);
    CHECK(count(svg, "a<b>") == 0);
    CHECK(count(svg, "<t>") == 0);
    CHECK(count(svg, "a&lt;b&gt;") == 4);  // its label and three tooltips
    CHECK(count(svg, "fill=\"#ccc\"") == 1);
    CHECK(count(svg, "rgb(247,251,255)") == 1);  // the smallest
    CHECK(count(svg, "rgb(8,64,129)") == 1);     // the largest
    CHECK(count(svg, "zzz…") == 1);
    CHECK(count(svg, "<") == count(svg, ">"));
    CHECK(svg.find("line\nbreak") == std::string::npos);
    CHECK(count(svg_heat_map(values, rows, columns), "text-anchor=\"middle\"") == 0);
    CHECK(svg_heat_map({}, {}, {}).ends_with("</svg>\n"));
    CHECK(count(svg_heat_map(std::vector<float>{3, 3, 3, 3}, std::vector<std::string>{"a", "b"}, std::vector<std::string>{"a", "b"}), "rgb(247,251,255)") == 4);
}
