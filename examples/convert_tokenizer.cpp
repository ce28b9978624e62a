// Any tokenizer that morsel reads (tokenizer.json, vocab files, a SentencePiece model, GGUF) as tokenizer.json with tokenizer_config.json.
//   convert_tokenizer PATH OUTPUT_DIRECTORY
#include <morsel/tokenizer.hpp>

#include <iostream>

int main(int argc, char** argv) {
    if (argc != 3) return std::cerr << "usage: convert_tokenizer PATH OUTPUT_DIRECTORY\n", 2;
    try {
        morsel::save_tokenizer(morsel::Tokenizer::from_pretrained(argv[1]), argv[2]);
    } catch (const morsel::Error& e) {
        return std::cerr << e.what() << '\n', 1;
    }
}
