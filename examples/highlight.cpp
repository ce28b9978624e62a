// Offsets for highlighting: every token knows its bytes in the text as it was given, whatever the tokenizer made of them on the way
// (lower case, accents stripped, spaces as ▁). Here they mark the words that a vocabulary does not hold in one piece: on the terminal
// with a line of ^ below the text, and with --html as a page whose tokens can be hovered over.
//   morsel-example-highlight PATH TEXT [--html]
#include <cstdio>
#include <exception>
#include <morsel/tokenizer.hpp>
#include <morsel/visual.hpp>
#include <string>
#include <vector>

namespace {

struct Word {
    std::size_t begin = 0, end = 0;  // bytes of the text
    std::size_t tokens = 0;
};

// Tokens with the same word number come from one word: its bytes are those of its first token to those of its last.
std::vector<Word> words_of(const morsel::Encoding& encoding) {
    std::vector<Word> words;
    std::optional<std::uint32_t> current;
    for (std::size_t i = 0; i < encoding.size(); ++i) {
        if (!encoding.word_ids[i]) continue;  // [CLS] and the like are not from the text
        const auto [begin, end] = encoding.offsets[i];
        if (encoding.word_ids[i] != current) words.push_back({begin, end, 0});
        current = encoding.word_ids[i];
        words.back().end = end;
        ++words.back().tokens;
    }
    return words;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 3) return std::fprintf(stderr, "usage: %s PATH TEXT [--html]\n", argv[0]), 2;
    const auto tokenizer = morsel::Tokenizer::from_pretrained(argv[1]);
    const std::string text = argv[2];
    const morsel::Encoding encoding = tokenizer.encode(text);
    if (argc > 3 && std::string(argv[3]) == "--html") {
        std::fputs(morsel::html_tokens(encoding, text, "Tokens").c_str(), stdout);
        return 0;
    }
    std::string marks;
    for (const Word& word : words_of(encoding)) {
        if (word.tokens < 2) continue;
        // A column on screen is a character, an offset is a byte: count the characters before it.
        const auto column = [&](std::size_t byte) {
            std::size_t characters = 0;
            for (std::size_t i = 0; i < byte; ++i) characters += (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
            return characters;
        };
        marks.resize(std::max(marks.size(), column(word.begin)), ' ');
        marks.resize(std::max(marks.size(), column(word.end)), '^');
        std::printf("%zu tokens: %s\n", word.tokens, morsel::printable(text.substr(word.begin, word.end - word.begin)).c_str());
    }
    std::printf("\n%s\n%s\n", text.c_str(), marks.c_str());
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
