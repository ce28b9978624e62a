// Odd and hostile tokenizer.model files: each loads or is an Error. Models are put together here, field by field, as in
// sentencepiece_model.proto.
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "morsel/tokenizer.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

std::string varint(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    return out + static_cast<char>(value);
}
std::string number(unsigned field, std::uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(unsigned field, const std::string& value) { return varint(field << 3 | 2) + varint(value.size()) + value; }
std::string real(unsigned field, float value) {
    std::string raw(4, '\0');
    std::memcpy(raw.data(), &value, 4);
    return varint(field << 3 | 5) + raw;
}
std::string piece(const std::string& text, float score = 0, unsigned type = 1) { return bytes(1, bytes(1, text) + real(2, score) + number(3, type)); }
std::string trainer(const std::string& more = "") { return bytes(2, number(3, 2) + more); }
std::string normalizer(bool prefix, bool extra, const std::string& charsmap = "") { return bytes(3, bytes(2, charsmap) + number(3, prefix) + number(4, extra)); }

// Pieces of the first `count` bytes.
std::string byte_pieces(int count) {
    std::string pieces;
    for (int b = 0; b < count; ++b) {
        const char* digits = "0123456789ABCDEF";
        pieces += piece(std::string("<0x") + digits[b >> 4 & 15] + digits[b & 15] + ">", 0, 6);
    }
    return pieces;
}

const std::string start = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
std::string plain(const std::string& pieces) { return start + pieces + trainer() + normalizer(false, false); }
std::string with_map(const std::string& blob) { return start + piece("a") + trainer() + normalizer(false, false, blob); }

std::vector<TokenId> ids_of_model(const std::string& model, const std::string& text) {
    const SentencePieceFile file = parse_sentencepiece(model);
    std::vector<TokenId> out;
    for (const auto& token : encode_section(file.model, text)) out.push_back(token.id);
    return out;
}

using Ids = std::vector<TokenId>;

}  // namespace

TEST_CASE("models that must be refused") {
    const std::string all_bytes = byte_pieces(255);
    const std::string good = plain(piece("a", -1) + piece("b", -2));
    std::string groups;
    for (int i = 0; i < 200'000; ++i) groups += static_cast<char>(15 << 3 | 3);
    const std::vector<std::pair<const char*, std::string>> cases = {
        {"P01 empty", ""},
        {"P02 no unknown piece", piece("<s>", 0, 3) + piece("</s>", 0, 3) + trainer()},
        {"P03 garbage", "\x13\x37garbage"},
        {"P04 HTML", "<!DOCTYPE html><html>"},
        {"P05 zip", "PK\x03\x04zip"},
        {"P06 cut in half", good.substr(0, good.size() / 2)},
        {"P07 cut by a byte", good.substr(0, good.size() - 1)},
        {"P08 number of 11 bytes", std::string("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12)},
        {"P09 length beyond the end", std::string("\x0a\x7f\x0a", 3)},
        {"P10 length of 2^64-1", std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)},
        {"P11 two unknown pieces", plain(piece("u", 0, 2))},
        {"P12 piece twice", plain(piece("a") + piece("a"))},
        {"P13 empty piece", plain(piece(""))},
        {"P14 only the unknown piece", piece("<unk>", 0, 2) + trainer()},
        {"P15 two models", good + good},
        {"P16 byte piece without byte_fallback", plain(piece("<0x41>", 0, 6))},
        {"P17 byte_fallback with 255 byte pieces", start + all_bytes + trainer(number(35, 1)) + normalizer(false, false)},
        {"P18 <0x-1>", start + all_bytes + piece("<0x-1>", 0, 6) + trainer(number(35, 1)) + normalizer(false, false)},
        {"P19 200 K groups", groups},
        {"P20 map cut short", with_map(std::string("\x10\0", 2))},
        {"P21 map with a lying length", with_map(std::string("\xff\xff\xff\x7f\0\0\0\0", 8))},
        {"P22 root beyond the trie", with_map(std::string("\x04\0\0\0\xff\xff\xff\xff", 8))},
        {"P23 trie not of whole units", with_map(std::string("\x05\0\0\0\0\0\0\0\0", 9))},
        {"P27 score not a number", plain(piece("a", std::numeric_limits<float>::quiet_NaN()))},
        {"P28 model type 99", start + piece("a") + bytes(2, number(3, 99))},
        {"P28 piece type 99", plain(piece("a", 0, 99))},
    };
    for (const auto& [name, model] : cases) {
        CAPTURE(name);
        CHECK_THROWS_AS(parse_sentencepiece(model), Error);
    }
    CHECK_NOTHROW(parse_sentencepiece(good));
}

TEST_CASE("models that load, with what they then do") {
    CHECK(ids_of_model(plain(piece("a", -1) + piece("b", -2) + piece("ab", -3)), "ab") == Ids{5});
    CHECK(ids_of_model(plain(piece("a", -1) + piece("b", -2) + piece("ab", -3) + piece("ba", -2)), "aba") == Ids{3, 6});  // the higher score first
    CHECK(ids_of_model(plain(piece("a") + piece("aa")), "aaa") == Ids{4, 3});                                              // then the leftmost
    CHECK(ids_of_model(plain(piece("a")), "axya") == Ids{3, 0, 3});                                                        // neighbouring unknowns are one
    // P25 a piece of NUL, P29 of invalid UTF-8 (which no text can reach: its bytes become U+FFFD), P30 unknown fields
    CHECK(ids_of_model(plain(piece(std::string(1, '\0')) + piece("a")), std::string("a\0a", 3)) == Ids{4, 3, 4});
    CHECK(ids_of_model(plain(piece("\xff") + piece("a")), "a\xff") == Ids{4, 0});
    CHECK(ids_of_model(plain(piece("a")) + number(77, 5) + bytes(78, "x"), "a") == Ids{3});
    // P27 infinite scores order as usual
    CHECK(ids_of_model(plain(piece("a") + piece("b") + piece("ab", -std::numeric_limits<float>::infinity()) + piece("ba", std::numeric_limits<float>::infinity())), "aba") == Ids{3, 6});
    // P24 pieces of 200 KB and 4 MB
    for (const std::size_t size : {std::size_t{200'000}, std::size_t{4'000'000}}) CHECK(ids_of_model(plain(piece(std::string(size, 'x')) + piece("a", 0)), "axa") == Ids{4, 0, 4});
    // P26 user-defined pieces within one another: the longest counts
    std::string pieces;
    for (std::size_t n = 1; n < 80; ++n) pieces += piece(std::string(n, 'z'), 0, 4);
    CHECK(ids_of_model(plain(pieces), std::string(79, 'z') + "zz") == Ids{81, 4});
    CHECK(ids_of_model(plain(piece("a") + piece("b") + piece("ab", 5) + piece("b", 0, 4).substr(0, 0) + piece("abc", 0, 4) + piece("c")), "ababc") == Ids{5, 6});
    // an unused piece is taken apart again
    CHECK(ids_of_model(plain(piece("a") + piece("b") + piece("ab", 0, 5) + piece("abc", 0) + piece("c")), "ab") == Ids{3, 4});
    CHECK(ids_of_model(plain(piece("a") + piece("b") + piece("ab", 0, 5) + piece("abc", 0) + piece("c")), "abc") == Ids{6});
}

TEST_CASE("a character map that lies within its bounds cannot do harm") {
    // Every unit of a small trie set to hostile values: only Error or some text may come out.
    for (std::uint32_t unit : {0u, 1u, 0x100u, 0x161u, 0xffffffffu, 0x7fffffffu, 0x80000061u, 0xfffffe61u, 0x00000561u, 0x00018561u}) {
        for (std::size_t where = 0; where < 4; ++where) {
            std::vector<std::uint32_t> trie = {0x400u, 0x161u, 0x0u, 0x80000000u};
            trie[where] = unit;
            std::string blob(4, '\0');
            const auto size = static_cast<std::uint32_t>(trie.size() * 4);
            std::memcpy(blob.data(), &size, 4);
            blob.append(reinterpret_cast<const char*>(trie.data()), size);
            blob += std::string("xy\0", 3);
            try {
                ids_of_model(with_map(blob), "abcaa\xff");
            } catch (const Error&) {
            }
        }
    }
    CHECK(true);
}

TEST_CASE("the fast way takes the leftmost of pairs that make one piece, as the plain one") {
    const std::string all_bytes = byte_pieces(256);
    std::mt19937 random(6);
    const std::vector<std::string> characters{"a", "b", "\u2581", "\u4e2d"};
    for (int round = 0; round < 300; ++round) {
        std::string pieces = all_bytes;
        for (const std::string& character : characters) pieces += piece(character, -1000);
        std::set<std::string> known;
        const std::size_t kinds = 1 + random() % characters.size();
        for (std::size_t i = 0; i < 3 + random() % 40; ++i) {  // pieces of two characters and more; together they are often periodic
            std::string text;
            for (std::size_t n = 2 + random() % 5; n > 0; --n) text += characters[random() % kinds];
            if (known.insert(text).second) pieces += piece(text, -static_cast<float>(known.size()) * (random() % 2 ? 1 : 0.37f));
        }
        if (round % 3 == 0)  // runs of one score
            for (std::size_t n = 2; n < 2 + random() % 9; ++n)
                if (known.insert(std::string(n, 'c')).second) pieces += piece(std::string(n, 'c'), -1e9f);
        if (round % 3 == 0) pieces += piece("c", -1000);
        TokenizerParts parts;
        parts.model = parse_sentencepiece(start + pieces + trainer(number(35, 1)) + normalizer(round % 2, false)).model;
        const bool fast = fast::sentencepiece_merges(std::get<SentencePiece>(parts.model)).has_value();
        CHECK(fast);
        const Tokenizer tokenizer(std::move(parts));
        for (int i = 0; i < 20; ++i) {
            std::string text;
            for (std::size_t n = random() % (i % 4 == 0 ? 400 : 30); n > 0; --n) text += random() % 20 == 0 ? "xé " : random() % 6 == 0 ? "c" : characters[random() % kinds];
            INFO(round << ": " << text);
            const Encoding expected = tokenizer.encode_plainly(text), got = tokenizer.encode(text);
            REQUIRE(tokenizer.encode_ids(text) == expected.ids);
            REQUIRE((got.ids == expected.ids && got.offsets == expected.offsets && got.tokens == expected.tokens && got.word_ids == expected.word_ids));
        }
    }
}
