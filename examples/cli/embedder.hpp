// How `morsel embed` and `morsel search` turn texts into vectors. In a file of its own, since the models behind it are most of what
// these commands cost to compile.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "command.hpp"
#include "morsel/pipeline/embeddings.hpp"

namespace cli {

// The options that both commands have, before their own.
std::vector<Option> with_embedding_options(std::vector<Option> options);

class Embedder {
  public:
    // Reads --model and the shared options.
    explicit Embedder(const Arguments& arguments);
    ~Embedder();

    // A vector a text. Progress goes to stderr where that is a terminal.
    morsel::Embeddings embed(std::span<const std::string> texts, const std::string& prompt_name = {});
    std::size_t dimensions() const;
    // Of these names the first that the model has a prompt for; empty where it has none.
    std::string first_prompt(std::initializer_list<const char*> names) const;

  private:
    struct Model;
    std::unique_ptr<Model> model_;
    std::string prompt_, prompt_name_;
};

// A vector a token, for `--pooling none`.
std::vector<morsel::TokenVectors> token_vectors(const Arguments& arguments, std::span<const std::string> texts);

// All lines of standard input, without their ends.
std::vector<std::string> input_lines();

}  // namespace cli
