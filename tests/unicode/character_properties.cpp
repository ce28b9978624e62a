// Properties: single characters whose class Unicode states in words, and totals that Unicode publishes.
#include "support/catch.hpp"

#include "morsel/tokenizer/text/reference_classes.hpp"
#include "morsel/unicode/properties.hpp"

using namespace morsel;
using unicode::Category;

TEST_CASE("general categories of characters everybody knows") {
    const std::pair<char32_t, Category> cases[] = {
        {'A', Category::Lu}, {'a', Category::Ll}, {0x1C5, Category::Lt}, {0x2B0, Category::Lm}, {0x4E2D, Category::Lo}, {0x301, Category::Mn}, {0x93E, Category::Mc},
        {0x20E3, Category::Me}, {'7', Category::Nd}, {0x2167, Category::Nl}, {0xB2, Category::No}, {'_', Category::Pc}, {'-', Category::Pd}, {'(', Category::Ps},
        {')', Category::Pe}, {0xAB, Category::Pi}, {0xBB, Category::Pf}, {'!', Category::Po}, {'+', Category::Sm}, {'$', Category::Sc}, {'^', Category::Sk}, {0xA9, Category::So},
        {' ', Category::Zs}, {0x2028, Category::Zl}, {0x2029, Category::Zp}, {0, Category::Cc}, {0xAD, Category::Cf}, {0xD800, Category::Cs}, {0xE000, Category::Co},
        {0x378, Category::Cn}, {0x10FFFF, Category::Cn}, {0x110000, Category::Cn}, {0xFFFFFFFF, Category::Cn},
        {0x31350, Category::Lo}, {0x2EBF0, Category::Lo}, {0x1C89, Category::Lu}};  // added with 15.0, 15.1, 16.0
    for (const auto& [c, expected] : cases) {
        INFO("U+" << std::hex << static_cast<std::uint32_t>(c));
        CHECK(unicode::category(c) == expected);
    }
}

TEST_CASE("White_Space is exactly the 25 characters of PropList.txt") {
    std::vector<char32_t> found;
    for (char32_t c = 0; c <= 0x110010; ++c)
        if (unicode::is_white_space(c)) found.push_back(c);
    const std::vector<char32_t> expected = {9, 10, 11, 12, 13, 0x20, 0x85, 0xA0, 0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
    CHECK(found == expected);
}

TEST_CASE("totals per category are those of Unicode 16.0") {
    std::size_t count[30] = {};
    for (char32_t c = 0; c <= 0x10FFFF; ++c) ++count[static_cast<std::size_t>(unicode::category(c))];
    CHECK(count[static_cast<std::size_t>(Category::Nd)] == 760);
    CHECK(count[static_cast<std::size_t>(Category::Cc)] == 65);
    CHECK(count[static_cast<std::size_t>(Category::Cs)] == 2048);
    CHECK(count[static_cast<std::size_t>(Category::Co)] == 137468);
    CHECK(count[static_cast<std::size_t>(Category::Zs)] == 17);
    std::size_t assigned = 0;  // 154,998 graphic and format characters, the controls, private use and surrogates
    for (std::size_t i = 1; i < 30; ++i) assigned += count[i];
    CHECK(assigned == 154998 + 65 + 137468 + 2048);
}

TEST_CASE("lower case and folding") {
    CHECK(unicode::simple_lower('A') == 'a');
    CHECK(unicode::simple_lower(0x178) == 0xFF);
    CHECK(unicode::simple_lower(0x2126) == 0x3C9);
    CHECK(unicode::simple_lower(0x10400) == 0x10428);
    CHECK(unicode::simple_lower(0xDF) == 0xDF);
    CHECK(unicode::lower(0x3A3).first == 0x3C3);  // never the final form
    CHECK(unicode::lower(0x130).first == 'i');
    CHECK(unicode::lower(0x130).second == 0x307);
    CHECK(unicode::simple_fold(0x17F) == 's');
    CHECK(unicode::simple_fold(0x212A) == 'k');
    CHECK(unicode::simple_fold(0x3C2) == 0x3C3);
    CHECK(unicode::simple_lower(0x110000) == 0x110000);
}

TEST_CASE("scripts, word characters, BERT's ideographs") {
    CHECK(unicode::script_name(unicode::script('a')) == "Latin");
    CHECK(unicode::script_name(unicode::script(0x430)) == "Cyrillic");
    CHECK(unicode::script_name(unicode::script(0x4E2D)) == "Han");
    CHECK(unicode::script_name(unicode::script('1')) == "Common");
    CHECK(unicode::script_name(unicode::script(0x301)) == "Inherited");
    CHECK(unicode::script(0x110000) == 0);
    for (const char32_t c : {U'_', U'a', U'9', U'\u0301', U'\u203F', U'\u24B6', U'\u200D'}) CHECK(unicode::is_word(c));
    for (const char32_t c : {U'-', U' ', U'\u00B2', U'\u2192'}) CHECK(!unicode::is_word(c));
    CHECK(unicode::is_bert_cjk(0x4E00));
    CHECK(!unicode::is_bert_cjk(0x3042));
    CHECK(!unicode::is_bert_cjk(0x2B820));
    CHECK(unicode::is_bert_cjk(0x2B820, true));
}

TEST_CASE("the reference's older classes") {
    CHECK(reference::is_punctuation('$'));
    CHECK(reference::is_punctuation(0x3002));
    CHECK(!reference::is_punctuation(0x2E52));  // 14.0
    CHECK(reference::is_punctuation(0x166D));   // a symbol since 12.0
    CHECK(!reference::is_control(0x8E2));       // 9.0
    CHECK(reference::is_control(0xAD));
    CHECK(reference::is_nonspacing_mark(0x1734));
    CHECK(!reference::is_nonspacing_mark(0x8D4));
    CHECK(reference::is_mark(0x8D4));
    CHECK(reference::is_number(0x11DE0));
}
