// The fast way to cut pieces, by bit masks, cuts as the scanners do: every short text over an alphabet that has each kind of character
// in each size, and long random ones, in which pieces cross the borders of words and chunks.
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/tokenizer/fast/unit_cutter.hpp"
#include "support/catch.hpp"
#include "support/rounds.hpp"

using namespace morsel;

namespace {

const std::vector<std::string> alphabet = {"a", "S", "\u00aa", "\u4e2d", "1", "\u0663", " ", "\t", "\u3000", "\n", "!", "'", "/", "\u0301", "\U0001f4cc"};

struct NamedPattern {
    const char* name;
    SplitScanner scanner;
};
const std::vector<NamedPattern> patterns = {{"gpt2", split::gpt2}, {"smollm", split::smollm}, {"llama3", split::llama3}, {"cl100k", split::cl100k_tiktoken}, {"qwen2", split::qwen2},
                                       {"qwen35", split::qwen35}, {"o200k", split::o200k}, {"tekken", split::tekken}, {"deepseek", split::deepseek}};

// Every form of the masks that this machine has.
std::vector<fast::MaskForm> forms() {
    std::vector<fast::MaskForm> all{fast::MaskForm::plain};
    for (const fast::MaskForm form : {fast::MaskForm::avx2, fast::MaskForm::avx512})
        if (form <= fast::mask_form()) all.push_back(form);
    return all;
}

std::vector<fast::PieceCutter> cutters(const SplitScanner& scanner) {
    std::vector<fast::PieceCutter> all;
    for (const fast::MaskForm form : forms()) all.emplace_back(scanner, nullptr, form);
    return all;
}

bool same_as_scanner(const fast::PieceCutter& cutter, fast::CutSpace& space, const SplitScanner& scanner, std::string_view text) {
    std::size_t expected = 0;  // the scanner's position
    for (std::size_t at = 0; at < text.size();) {
        const fast::Pieces pieces = cutter.cut(text, at, space);
        if (pieces.count == 0 || pieces.bytes == 0) return false;
        for (std::size_t i = 0; i < pieces.count; ++i) {
            if (at + space.starts[i] != expected) return false;
            expected = scanner.next(text, expected);
        }
        if (space.starts[pieces.count] != pieces.bytes || std::string_view(pieces.text, pieces.bytes) != text.substr(at, pieces.bytes)) return false;
        at += pieces.bytes;
        if (at != expected) return false;
    }
    return expected == text.size();
}

}  // namespace

TEST_CASE("masks cut every short text as the scanners do") {
    const auto space = std::make_unique<fast::CutSpace>();
    for (const NamedPattern& pattern : patterns) {
        const std::size_t n = alphabet.size();
        for (const fast::PieceCutter& cutter : cutters(pattern.scanner))
            for (std::size_t length = 1, count = n; length <= 5; ++length, count *= n)
                for (std::size_t code = 0; code < count; ++code) {
                    std::string text;
                    for (std::size_t rest = code, i = 0; i < length; ++i, rest /= n) text += alphabet[rest % n];
                    if (!same_as_scanner(cutter, *space, pattern.scanner, text)) {
                        INFO(pattern.name << ": " << text);
                        REQUIRE(same_as_scanner(cutter, *space, pattern.scanner, text));
                    }
                }
    }
}

TEST_CASE("masks cut long texts as the scanners do") {
    const auto space = std::make_unique<fast::CutSpace>();
    const std::vector<std::string> more = {"'s", "'LL", "'\u017f", "the", " The", "international", "   ", "\n\n", "123", "4567890", "camelCase", "HTTPServer", "\u0663\u0664",
                                           "東京です", "한국어", "e\u0301", "\u093f", "...", "//", "--", "\r\n", "\u00a0", "\ufeff", "\u01c5", "ß"};
    for (const NamedPattern& pattern : patterns) {
        const auto all = cutters(pattern.scanner);
        std::mt19937 random(11);
        for (int round = 0; round < morsel_test::rounds(3000); ++round) {
            const std::size_t goal = round < 2000 ? random() % 400 : 3500 + random() % 12000;
            std::string text;
            while (text.size() < goal) {
                const auto kind = random() % 40;
                const std::string& part = kind < 22 ? more[random() % more.size()] : alphabet[random() % alphabet.size()];
                const std::size_t times = kind == 0 ? random() % (goal / 2 + 1) / part.size() : 1;
                for (std::size_t i = 0; i <= times; ++i) text += part;
            }
            for (const fast::PieceCutter& cutter : all)
                if (!same_as_scanner(cutter, *space, pattern.scanner, text)) {
                    INFO(pattern.name << ": " << text.size() << " bytes: " << text);
                    REQUIRE(same_as_scanner(cutter, *space, pattern.scanner, text));
                }
        }
    }
}

namespace {

template <fast::MaskRules rules> bool masks_by(fast::MaskForm form, const std::string& padded, std::size_t words, std::vector<fast::CharacterMasks>& masks) {
    masks.assign(words + 1, {});
    return fast::with_mask_form(form, [&]<fast::MaskForm known>() { return fast::detail::masks_of<rules, known>(padded.data(), words, masks.data()); });
}

// Whether every form gives the plain form's masks, or refuses the text where that does.
template <fast::MaskRules rules> bool same_masks(std::string text, bool& valid) {
    const std::size_t words = (text.size() + 63) / 64;
    text.resize(64 * words + 16);
    std::vector<fast::CharacterMasks> plain, other;
    valid = masks_by<rules>(fast::MaskForm::plain, text, words, plain);
    for (const fast::MaskForm form : forms()) {
        if (masks_by<rules>(form, text, words, other) != valid) return false;
        if (valid && std::memcmp(plain.data(), other.data(), plain.size() * sizeof(fast::CharacterMasks)) != 0) return false;
    }
    return true;
}
bool same_masks_by_any_rules(const std::string& text, bool& valid) {
    return same_masks<fast::MaskRules{}>(text, valid) && same_masks<fast::MaskRules{.cases = true}>(text, valid) && same_masks<fast::MaskRules{.marks_are_letters = true}>(text, valid);
}

}  // namespace

TEST_CASE("every form of the masks gives every character its class, wherever it stands") {
    bool valid = false;
    for (const std::size_t before : {0, 1, 2, 61, 62, 63}) {
        std::string text(before, 'x');
        for (char32_t c = 0; c <= 0x10FFFF; ++c)
            if (c < 0xD800 || c > 0xDFFF) unicode::append(text, c);
        CHECK(same_masks_by_any_rules(text, valid));
        CHECK(valid);
    }
}

TEST_CASE("every form of the masks refuses what is no UTF-8") {
    std::mt19937 random(12);
    const std::vector<std::string> parts = {"a", " ", "\u00e9", "\u0434", "\u05d0", "\u0645", "\u4e2d", "\u306e", "\u30ab", "\ud55c", "\U0001f4cc", "\u3000"};
    std::size_t refused = 0, rounds = 0;
    for (int round = 0; round < morsel_test::rounds(40000); ++round, ++rounds) {
        std::string text;
        while (text.size() < 150) text += parts[random() % parts.size()];
        for (std::size_t i = 0; i < random() % 3; ++i) text[random() % text.size()] = static_cast<char>(random());
        bool valid = false;
        REQUIRE(same_masks_by_any_rules(text, valid));
        REQUIRE(valid == unicode::is_valid_utf8(text));
        refused += !valid;
    }
    CHECK(refused > rounds / 4);
    // Every first byte with every second one, and then what may follow.
    for (int lead = 0x80; lead < 0x100; ++lead)
        for (int second = 0; second < 0x100; ++second)
            for (const std::string& rest : {std::string(), std::string("\x80"), std::string("\xBF\x90"), std::string("z")})
                for (const std::size_t before : {0, 61, 62, 63}) {
                    const std::string text = std::string(before, 'y') + static_cast<char>(lead) + static_cast<char>(second) + rest + "end";
                    bool valid = false;
                    REQUIRE(same_masks_by_any_rules(text, valid));
                    REQUIRE(valid == unicode::is_valid_utf8(text));
                }
}

TEST_CASE("units are cut at the same places by every form of the masks") {
    const auto space = std::make_unique<fast::CutSpace>(), wide_space = std::make_unique<fast::CutSpace>();
    auto pairs = std::make_shared<fast::TokenPairs>(1000);
    for (const char* token : {"ab", "\u2581a", "\u4e2d\u6587", "S!", "  "}) pairs->add(token);
    const auto same = [&](const auto& plain, const auto& wide, std::string_view text) {
        for (std::size_t at = 0; at < text.size();) {
            const fast::Pieces a = plain.cut(text, at, *space), b = wide.cut(text, at, *wide_space);
            if (a.count == 0 || a.count != b.count || a.bytes != b.bytes || !std::equal(space->starts, space->starts + a.count + 1, wide_space->starts)) return false;
            at += a.bytes;
        }
        return true;
    };
    using namespace fast::detail;
    const auto bert = fast::unit_cutter<BertUnits>({}, fast::MaskForm::plain);
    const auto spaced = fast::unit_cutter<SpacedUnits>({{}, pairs}, fast::MaskForm::plain);
    std::mt19937 random(15);
    for (int round = 0; round < morsel_test::rounds(3000); ++round) {
        std::string text;
        for (std::size_t n = 1 + random() % (round % 20 == 0 ? 9000 : 200); n > 0; --n) text += random() % 3 == 0 ? alphabet[random() % alphabet.size()] : std::string(1, static_cast<char>(random() % 128));
        INFO(text);
        for (const fast::MaskForm form : forms()) {
            REQUIRE(same(bert, fast::unit_cutter<BertUnits>({}, form), text));
            REQUIRE(same(spaced, fast::unit_cutter<SpacedUnits>({{}, pairs}, form), text));
        }
    }
}

TEST_CASE("text that is no UTF-8 is refused by the cutter, whole pieces before it or not") {
    const auto space = std::make_unique<fast::CutSpace>();
    for (const NamedPattern& pattern : patterns) {
        for (const fast::PieceCutter& cutter : cutters(pattern.scanner))
            for (const char* bad : {"\xff", "\x80", "\xc3", "\xe4\xb8", "\xed\xa0\x80", "\xf0\x82\x82\xac", "\xf4\x90\x80\x80", "\xc0\xaf", "a\xe4", "\xe4\xb8\xad\xad"})
                for (const std::size_t before : {0, 1, 60, 61, 62, 63, 64, 4000, 4030, 4031, 4032, 4095, 5000, 9000})
                    for (const std::size_t behind : {0, 1, 2, 70, 5000}) {
                        const std::string text = std::string(before, 'x') + bad + std::string(behind, 'y');
                        bool refused = false;
                        for (std::size_t at = 0; at < text.size() && !refused;) {
                            const fast::Pieces pieces = cutter.cut(text, at, *space);
                            refused = pieces.count == 0;
                            at += pieces.bytes;
                        }
                        INFO(pattern.name << " " << before << " " << behind);
                        REQUIRE(refused);
                    }
    }
}

TEST_CASE("DeepSeek's three patterns at once cut as one after the other") {
    const auto piece_ends = [](std::string_view text) {
        std::vector<std::size_t> ends;
        const SplitScanner steps[] = {split::deepseek_numbers, split::deepseek_cjk, split::deepseek_text};
        const auto cut = [&](auto&& self, std::size_t begin, std::size_t end, std::size_t step) -> void {
            if (step == std::size(steps)) return ends.push_back(end);
            const std::string_view piece = text.substr(begin, end - begin);
            for (std::size_t at = 0; at < piece.size();) {
                const std::size_t next = steps[step].next(piece, at);
                self(self, begin + at, begin + next, step + 1);
                at = next;
            }
        };
        cut(cut, 0, text.size(), 0);
        return ends;
    };
    // Of each kind one in each zone: kana that are marks, symbols, or no characters at all; controls.
    const std::vector<std::string> parts = {"a", "b", "\u00e9", "1", "\u0663", " ", "\u3000", "\n", "\r\n", "!", "'", "\u20ac", "\u0301", "\u4e2d", "\u30a2", "\u30fb", "\u309b", "\u3099", "\u3097", "\u3041", "\x01", "\u200b", "\u9fa6", "\U0001f4cc"};
    std::mt19937 random(12);
    for (int round = 0; round < morsel_test::rounds(60000); ++round) {
        std::string text;
        for (std::size_t n = 1 + random() % (round % 10 == 0 ? 60 : 7); n > 0; --n) text += parts[random() % parts.size()];
        std::vector<std::size_t> got;
        for (std::size_t at = 0; at < text.size();) got.push_back(at = split::deepseek.next(text, at));
        INFO(text);
        REQUIRE(got == piece_ends(text));
    }
}
