// Token ids of a file of any size, one a line, in memory that does not grow with it: the ids are those of encoding the whole text.
//   stream_file TOKENIZER FILE
#include <morsel/tokenizer.hpp>

#include <cstdio>

int main(int argc, char** argv) {
    if (argc != 3) return std::fprintf(stderr, "usage: stream_file TOKENIZER FILE\n"), 2;
    try {
        const auto tokenizer = morsel::Tokenizer::from_pretrained(argv[1]);
        const auto count = morsel::encode_file(tokenizer, argv[2], [](std::span<const morsel::TokenId> ids) {
            for (const morsel::TokenId id : ids) std::printf("%u\n", id);
            return true;
        });
        std::fprintf(stderr, "%llu tokens\n", static_cast<unsigned long long>(count));
    } catch (const morsel::Error& e) {
        return std::fprintf(stderr, "%s\n", e.what()), 1;
    }
}
