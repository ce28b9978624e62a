// morsel trace: how a model comes to the tokens of a word, step by step.
#include <cstdio>
#include <morsel/tokenizer/trace.hpp>
#include <morsel/visual/printable.hpp>
#include <string>

#include "commands.hpp"
#include "load_tokenizer.hpp"

namespace {

using namespace morsel;

// With spaces up to `width` characters; printf counts bytes.
std::string padded(std::string text, std::size_t width) {
    std::size_t characters = 0;
    for (const char c : text) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return characters < width ? text + std::string(width - characters, ' ') : text;
}

// Prints the steps of one word; one overload for each kind of model.
struct Printer {
    const Tokenizer& tokenizer;
    std::string_view word;

    std::string name(TokenId id) const { return printable(tokenizer.id_to_token(id).value_or("?")); }
    std::string names(const ModelTokens& tokens) const {
        std::string out;
        for (const ModelToken& token : tokens) out += (out.empty() ? "" : " ") + name(token.id);
        return out;
    }
    std::string part(std::size_t begin, std::size_t end) const { return printable(word.substr(begin, end - begin)); }

    void operator()(const Bpe& model) const {
        const BpeTrace steps = trace(model, word);
        if (steps.whole_word) std::printf("  the word is a token, and ignore_merges takes it as it is\n");
        std::printf("%42s %s\n", "", names(steps.characters).c_str());
        std::size_t number = 0;
        for (const MergeStep& step : steps.steps) {
            const std::string merge = "rank " + std::to_string(step.merge.rank) + ": " + name(step.left) + " + " + name(step.right);
            std::printf("  %4zu  %s %s\n", ++number, padded(merge, 34).c_str(), names(step.symbols).c_str());
        }
    }
    void operator()(const WordPiece& model) const {
        const WordPieceTrace steps = trace(model, word);
        if (steps.too_long) std::printf("  more than %zu characters\n", model.max_input_chars_per_word);
        for (const WordPieceStep& step : steps.steps) {
            std::printf("  at %zu:", step.begin);
            for (std::size_t i = 0; i < step.tried.size(); ++i)
                std::printf(" %s%s", printable(step.tried[i]).c_str(), step.token && i + 1 == step.tried.size() ? " is a token" : ",");
            std::printf("%s\n", step.token ? "" : " none is a token: the word is unknown");
        }
        std::printf("  tokens: %s\n", names(steps.tokens).c_str());
    }
    void operator()(const Unigram& model) const {
        const UnigramTrace steps = trace(model, word);
        std::printf("  %9s  %-20s %10s %12s\n", "bytes", "candidate", "score", "best total");
        for (const UnigramCandidate& c : steps.candidates)
            std::printf("%s %4zu-%-4zu  %s %10.4f %12.4f%s\n", c.on_best_path ? "*" : " ", c.token.begin, c.token.end, padded(part(c.token.begin, c.token.end), 20).c_str(), c.score,
                        c.total, c.unknown ? "  unknown" : "");
        std::printf("  tokens: %s, score %.4f\n", names(steps.tokens).c_str(), steps.score);
    }
    void operator()(const auto& model) const {  // models without steps of their own to show
        ModelTokens tokens;
        tokenize(model, word, tokens);
        std::printf("  tokens: %s\n", names(tokens).c_str());
    }
};

int run_trace(const cli::Arguments& arguments) {
    const auto tokenizer = cli::load_tokenizer(arguments.text("--tokenizer"));
    for (const std::string& word : model_words(tokenizer.parts(), arguments.positional().front())) {
        std::printf("%s\n", printable(word).c_str());
        std::visit(Printer{tokenizer, word}, tokenizer.parts().model);
    }
    return 0;
}

}  // namespace

cli::Command cli::trace_command() {
    return {"trace",
            "Shows how the model comes to the tokens of a word: merges, tries, or the best path.",
            "WORD",
            {{"--tokenizer", "PATH", "model directory, or one file of it", true}},
            run_trace};
}
