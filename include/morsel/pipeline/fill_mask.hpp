// What a masked-language model puts in the place of mask tokens: for each mask of a text the likeliest tokens. As the fill-mask pipeline of
// Hugging Face transformers; every mask of a text is filled on its own, the others staying masked.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/pipeline/contextual_embedder.hpp"

namespace morsel {

struct MaskGuess {
    TokenId id = 0;
    std::string token = {};  // its text
    double probability = 0;  // softmax over the vocabulary
};

struct FilledMask {
    Span span = {};                     // of the mask, bytes of the text
    std::vector<MaskGuess> guesses = {};  // likeliest first
};

// One per calling thread.
template <class D>
class FillMask {
  public:
    // A directory as Hugging Face ships it, or its file of weights. Throws Error, also where the model has no masked-language head or the
    // tokenizer no mask token.
    static FillMask from_pretrained(const std::filesystem::path& path, const ContextualEmbedderOptions<D>& options = {}) { return FillMask(ContextualEmbedder<D>::from_pretrained(path, options)); }

    explicit FillMask(ContextualEmbedder<D> embedder) : embedder_(std::move(embedder)) {
        if (!embedder_.tokenizer().mask_id()) throw Error("the tokenizer has no mask token", {.key = "mask_token"});
        if (!embedder_.model().has_mlm_head()) throw Error("the model has no masked-language head");
    }

    // The best `top_k` tokens for every mask. Throws Error where the text has no mask, or a mask lies behind where it is cut.
    std::vector<FilledMask> fill(std::string_view text, std::size_t top_k = 5) {
        const Tokenizer& tokenizer = embedder_.tokenizer();
        const TokenVectors tokens = embedder_.encode(text);
        std::vector<FilledMask> masks;
        std::vector<std::size_t> rows;
        for (std::size_t i = 0; i < tokens.size(); ++i)
            if (tokens.encoding.ids[i] == *tokenizer.mask_id() && tokens.encoding.special_tokens_mask[i] == 0) rows.push_back(i), masks.push_back({.span = tokens.encoding.offsets[i]});
        if (rows.empty()) throw Error("the text has no mask", {.key = "text", .expected = mask_token()});

        D& device = embedder_.device();
        const std::size_t width = tokens.dimensions, vocab = embedder_.model().vocab_size();
        std::vector<float> hidden(rows.size() * width), scores(rows.size() * vocab);
        for (std::size_t m = 0; m < rows.size(); ++m) std::copy_n(tokens.values.data() + rows[m] * width, width, hidden.data() + m * width);
        typename D::Buffer in = allocate(device, hidden.size()), out = allocate(device, scores.size());
        upload(device, hidden, in.data());
        mlm_logits(device, embedder_.model(), in.data(), rows.size(), out.data());
        download(device, out.data(), scores);
        for (std::size_t m = 0; m < masks.size(); ++m) masks[m].guesses = best(std::span(scores).subspan(m * vocab, vocab), top_k);
        return masks;
    }

    // As it is written in texts: "[MASK]", "<mask>".
    std::string mask_token() const { return embedder_.tokenizer().special_tokens().mask.value_or(""); }
    const Tokenizer& tokenizer() const noexcept { return embedder_.tokenizer(); }

  private:
    std::vector<MaskGuess> best(std::span<const float> logits, std::size_t count) const {
        // Ids that are no token, padding of the vocabulary, stay in the sum, as in the reference, but are no guesses.
        const float largest = *std::max_element(logits.begin(), logits.end());
        double sum = 0;
        for (const float logit : logits) sum += std::exp(double{logit} - double{largest});
        std::vector<TokenId> order(std::min<std::size_t>(logits.size(), embedder_.tokenizer().id_bound()));
        std::iota(order.begin(), order.end(), TokenId{0});
        count = std::min(count, order.size());
        std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](TokenId a, TokenId b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
        std::vector<MaskGuess> guesses;
        for (const TokenId id : std::span(order).first(count))
            guesses.push_back({.id = id, .token = embedder_.tokenizer().decode(std::span(&id, 1)), .probability = std::exp(double{logits[id]} - double{largest}) / sum});
        return guesses;
    }

    ContextualEmbedder<D> embedder_;
};

}  // namespace morsel
