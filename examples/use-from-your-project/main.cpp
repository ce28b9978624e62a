// A program outside the project that tokenizes: proves that the library can be used as installed and as a subdirectory.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <morsel/tokenizer.hpp>
#include <morsel/version.hpp>

int main() {
    const auto path = std::filesystem::temp_directory_path() / "morsel-consumer-vocab" / "vocab.txt";
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nwor\n##ld\n";
    const auto tokenizer = morsel::Tokenizer::from_pretrained(path);
    const std::vector<morsel::TokenId> expected = {2, 5, 6, 7, 1, 3};  // [CLS] hello wor ##ld [UNK] [SEP]
    const auto ids = tokenizer.encode_ids("hello world?");
    std::printf("morsel %s: %zu tokens\n", morsel::version.data(), ids.size());
    return ids == expected && morsel::version.substr(0, 2) == "0." && MORSEL_VERSION_MAJOR == 0 ? 0 : 1;
}
