// Contextual embeddings: a vector for every token of a text, which depends on the text around it, with the token's piece and its place.
// For features of words and spans (span_vectors.hpp), and for looking into a model layer by layer.
//
//   auto embedder = ContextualEmbedder<Cpu>::from_pretrained("deberta-base");
//   TokenVectors tokens = embedder.encode("I love DeBERTa!");
//   for (std::size_t i = 0; i < tokens.size(); ++i) … tokens.encoding.tokens[i], tokens.encoding.offsets[i], tokens[i]
#pragma once
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/pipeline/batch_runner.hpp"
#include "morsel/pipeline/embeddings.hpp"
#include "morsel/pipeline/load_encoder.hpp"
#include "morsel/pipeline/token_batches.hpp"
#include "morsel/tokenizer/from_pretrained.hpp"

namespace morsel {

template <class D>
struct ContextualEmbedderOptions {
    typename D::Options device = {};
    TokenizerOptions tokenizer = {};
    ProgressCallback progress = {};              // while weights load
    std::optional<std::size_t> max_length = {};  // tokens; longer texts are cut on the right; nothing: what the model takes
};

struct ContextualOptions {
    std::optional<std::size_t> layer = {};  // hidden states of the embeddings (0) or behind layer i; nothing: the last
    bool add_special_tokens = true;
    ProgressCallback progress = {};         // texts done
    std::size_t batch_tokens = 0;        // run together at most; 0: 2048, on a GPU 4096
};

// One per calling thread; copies made by `share` have the weights in common.
template <class D>
class ContextualEmbedder {
  public:
    using Options = ContextualEmbedderOptions<D>;

    // A directory as Hugging Face ships it, or its file of weights. Throws Error.
    static ContextualEmbedder from_pretrained(const std::filesystem::path& path, const Options& options = {}) {
        return from_pretrained(path, std::make_shared<const Tokenizer>(Tokenizer::from_pretrained(model_directory(path), options.tokenizer)), options);
    }
    // The same with a tokenizer from elsewhere.
    static ContextualEmbedder from_pretrained(const std::filesystem::path& path, std::shared_ptr<const Tokenizer> tokenizer, const Options& options = {}) {
        auto device = std::make_unique<D>(options.device);
        auto model = std::make_shared<const Encoder<D>>(load_encoder(*device, path, options.progress));
        if (tokenizer->id_bound() > model->vocab_size())
            throw Error("the tokenizer has more tokens than the model has embeddings", {.file = path.string(), .key = "vocab_size", .expected = "at least " + std::to_string(tokenizer->id_bound()), .found = std::to_string(model->vocab_size())});
        const std::size_t most = model->max_tokens(), wanted = options.max_length.value_or(tokenizer->model_max_length().value_or(most));
        return ContextualEmbedder(std::move(device), std::move(model), std::move(tokenizer), std::min(wanted, most));
    }

    TokenVectors encode(std::string_view text, const ContextualOptions& options = {}) { return std::move(encode(std::span(&text, 1), options).front()); }

    // In the order of the texts; they run packed, without padding. Throws Error on a layer that there is not, and when cancelled.
    std::vector<TokenVectors> encode(std::span<const std::string_view> texts, const ContextualOptions& options = {}) {
        const std::size_t layer = options.layer.value_or(model_->num_layers()), width = model_->hidden_size();
        if (layer > model_->num_layers()) throw Error("there is no such layer", {.key = "layer", .expected = "at most " + std::to_string(model_->num_layers()), .found = std::to_string(layer)});
        std::vector<TokenVectors> all(texts.size());
        std::vector<std::size_t> lengths(texts.size());
        const auto tokenize = [&](std::size_t begin, std::size_t end, unsigned) {
            EncodeOptions encode;
            encode.add_special_tokens = options.add_special_tokens;
            encode.truncation = Truncation{.max_length = max_length_};
            for (std::size_t i = begin; i < end; ++i) {
                all[i].encoding = tokenizer_->encode(texts[i], encode);
                all[i].encoding.overflowing.clear();
                all[i].dimensions = width;
                all[i].values.resize(all[i].size() * width);
                lengths[i] = all[i].size();
            }
        };
        if constexpr (requires { device_->pool(); }) device_->pool().split(texts.size(), 8, tokenize);
        else tokenize(0, texts.size(), 0);
        Progress progress = {.phase = "embeddings", .total = texts.size()};
        const std::vector<std::vector<std::size_t>> batches = plan_batches(lengths, BatchRunner<D>::batch_tokens(options.batch_tokens));
        const auto run = [&](D& device, EncoderWork<D>& work, std::size_t number) {
            const std::vector<std::size_t>& batch = batches[number];
            EncoderBatch input;
            for (const std::size_t i : batch) add_sequence(input, *model_, std::span<const TokenId>(all[i].encoding.ids));
            const auto take = [&](std::size_t at, const float* hidden) {
                if (at != layer) return;
                for (std::size_t k = 0; k < batch.size(); ++k) download(device, hidden + input.segments[k].row_begin * width, all[batch[k]].values);
            };
            const float* last = forward(device, *model_, work, input, take);
            if (layer == model_->num_layers()) take(layer, last);
            return batch.size();
        };
        runner_.run(*device_, batches.size(), run, [&](std::size_t done) {
            progress.done += done;
            if (options.progress && !options.progress(progress)) throw Error("cancelled");
        });
        return all;
    }

    std::size_t dimensions() const { return model_->hidden_size(); }
    std::size_t num_layers() const { return model_->num_layers(); }
    std::size_t max_length() const noexcept { return max_length_; }  // tokens
    const Tokenizer& tokenizer() const noexcept { return *tokenizer_; }
    const Encoder<D>& model() const noexcept { return *model_; }
    D& device() noexcept { return *device_; }

    // Another embedder with the same weights and its own device, for another thread. Throws Error where the options name another GPU.
    ContextualEmbedder share(const typename D::Options& options = {}) const {
        require_same_memory(*device_, options);
        return ContextualEmbedder(std::make_unique<D>(options), model_, tokenizer_, max_length_);
    }

  private:
    ContextualEmbedder(std::unique_ptr<D> device, std::shared_ptr<const Encoder<D>> model, std::shared_ptr<const Tokenizer> tokenizer, std::size_t max_length)
        : device_(std::move(device)), model_(std::move(model)), tokenizer_(std::move(tokenizer)), max_length_(max_length) {}

    std::unique_ptr<D> device_;
    std::shared_ptr<const Encoder<D>> model_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::size_t max_length_ = 0;
    BatchRunner<D> runner_;
};

}  // namespace morsel
