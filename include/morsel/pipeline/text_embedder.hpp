// Texts to vectors: sentence embeddings as sentence_transformers computes them, from its directories, from plain directories of an
// encoder (mean pooling), and from static tables (model2vec, wordllama, StaticEmbedding). Texts of any lengths run packed, without
// padding.
//
//   auto embedder = TextEmbedder<Cpu>::from_pretrained("all-MiniLM-L6-v2");
//   Embeddings vectors = embedder.embed(texts);              // one row a text
//   float same = cosine(vectors[0], vectors[1]);
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/core/threads.hpp"
#include "morsel/formats/open_weights.hpp"
#include "morsel/models/static_embedding.hpp"
#include "morsel/models/weights.hpp"
#include "morsel/pipeline/batch_runner.hpp"
#include "morsel/pipeline/embeddings.hpp"
#include "morsel/pipeline/load_encoder.hpp"
#include "morsel/pipeline/sentence_config.hpp"
#include "morsel/pipeline/sequence_encoder.hpp"
#include "morsel/pipeline/token_batches.hpp"
#include "morsel/tokenizer/from_pretrained.hpp"

namespace morsel {

template <class D>
struct TextEmbedderOptions {
    typename D::Options device = {};
    TokenizerOptions tokenizer = {};
    ProgressCallback progress = {};                   // while weights load
    std::optional<Pooling> pooling = {};              // in place of the directory's
    std::optional<bool> normalize = {};               // unit length, whatever the directory says
    std::optional<std::size_t> max_seq_length = {};   // tokens; longer texts are cut
};

struct EmbedOptions {
    std::string_view prompt = {};          // put in front of every text
    std::string_view prompt_name = {};     // or one of the model's own: "query"; without either the model's default
    ProgressCallback progress = {};        // texts done
    std::size_t batch_tokens = 0;       // run together at most; 0: 2048, on a GPU 4096
};

// One per calling thread; copies made by `share` have the weights in common.
template <class D>
class TextEmbedder {
  public:
    using Options = TextEmbedderOptions<D>;

    // A directory as sentence_transformers or Hugging Face ship it, or one of a static table; also a file of weights with its
    // configuration beside it. Throws Error.
    static TextEmbedder from_pretrained(const std::filesystem::path& path, const Options& options = {}) {
        return from_pretrained(path, std::make_shared<const Tokenizer>(Tokenizer::from_pretrained(model_directory(path), options.tokenizer)), options);
    }
    // The same with a tokenizer from elsewhere.
    static TextEmbedder from_pretrained(const std::filesystem::path& path, std::shared_ptr<const Tokenizer> tokenizer, const Options& options = {}) {
        auto device = std::make_unique<D>(options.device);
        auto parts = std::make_shared<Parts>();
        load(*device, path, std::move(tokenizer), options, *parts);
        return TextEmbedder(std::move(device), std::move(parts));
    }

    // Throws Error on an unknown prompt name, and when the progress callback cancels.
    Embeddings embed(std::span<const std::string_view> texts, const EmbedOptions& options = {}) {
        Embeddings result = {.dimensions = dimensions()};
        result.values.resize(texts.size() * result.dimensions);
        const std::string prompt = prompt_of(options);
        // Parts of many texts bound the memory that token ids take.
        constexpr std::size_t part = 16384;
        for (std::size_t begin = 0; begin < texts.size(); begin += part) {
            const auto some = texts.subspan(begin, std::min(part, texts.size() - begin));
            std::vector<std::vector<TokenId>> ids(some.size());
            const auto tokenize = [&](std::size_t first, std::size_t last, unsigned) {
                for (std::size_t i = first; i < last; ++i) ids[i] = parts_->sequences->encode(some[i], prompt);
            };
            if constexpr (requires { device_->pool(); }) device_->pool().split(some.size(), 8, tokenize);
            else tokenize(0, some.size(), 0);
            const Progress progress = {.phase = "embeddings", .done = begin, .total = texts.size()};
            embed_ids(ids, parts_->sequences->prompt_length(prompt), options, progress, std::span(result.values).subspan(begin * result.dimensions));
        }
        return result;
    }
    Embeddings embed(std::span<const std::string> texts, const EmbedOptions& options = {}) {
        const std::vector<std::string_view> views(texts.begin(), texts.end());
        return embed(std::span(views), options);
    }
    // The vector of one text: [dimensions].
    std::vector<float> embed(std::string_view text, const EmbedOptions& options = {}) { return embed(std::span(&text, 1), options).values; }

    std::size_t dimensions() const noexcept { return parts_->dimensions; }
    const Tokenizer& tokenizer() const noexcept { return parts_->sequences->tokenizer(); }
    std::size_t max_seq_length() const noexcept { return parts_->sequences->max_length(); }  // tokens
    const SentenceConfig& config() const noexcept { return parts_->config; }
    D& device() noexcept { return *device_; }

    // Another embedder with the same weights and its own device, for another thread. Throws Error where the options name another GPU.
    TextEmbedder share(const typename D::Options& options = {}) const {
        require_same_memory(*device_, options);
        return TextEmbedder(std::make_unique<D>(options), parts_);
    }

  private:
    struct Layer {  // behind the pooling
        std::optional<Dense<D>> dense;  // nothing: to unit length
        Activation activation = Activation::none;
        std::size_t out_features = 0;
    };
    struct Parts {  // immutable once loaded
        SentenceConfig config;
        std::shared_ptr<const SequenceEncoder> sequences;
        std::variant<Encoder<D>, StaticEmbedding> model;
        std::vector<Layer> layers;
        std::size_t pooled = 0, dimensions = 0;
        std::optional<TokenId> left_out;  // model2vec drops the unknown token
    };

    TextEmbedder(std::unique_ptr<D> device, std::shared_ptr<const Parts> parts) : device_(std::move(device)), parts_(std::move(parts)) {}

    static void load(D& device, const std::filesystem::path& path, std::shared_ptr<const Tokenizer> tokenizer, const Options& options, Parts& parts) {
        namespace fs = std::filesystem;
        std::error_code ignored;
        const fs::path directory = model_directory(path);
        SentenceConfig& config = parts.config;
        config = read_sentence_config(directory);
        const fs::path weights = fs::is_directory(path, ignored) ? config.directory : path;
        std::size_t most = std::size_t{1} << 24;  // tokens
        std::size_t width = 0;
        bool specials = true;
        if (config.static_embedding || !fs::exists(config.directory / "config.json", ignored)) {
            StaticEmbedding table = load_static_embedding(open_weights(weights));
            width = table.dimensions(), specials = false;
            config.pooling = {Pooling::mean_tokens};
            parts.model = std::move(table);
        } else {
            Encoder<D> encoder = load_encoder(device, weights, options.progress);
            width = encoder.hidden_size(), most = encoder.max_tokens();
            parts.model = std::move(encoder);
        }
        const std::size_t rows = std::visit([](const auto& model) { return model.vocab_size(); }, parts.model);
        if (tokenizer->id_bound() > rows)
            throw Error("the tokenizer has more tokens than the model has embeddings", {.file = directory.string(), .key = "vocab_size", .expected = "at least " + std::to_string(tokenizer->id_bound()), .found = std::to_string(rows)});
        SequenceOptions sequence = {.special_tokens = specials, .lower_case = config.do_lower_case};
        const std::size_t usual = specials ? tokenizer->model_max_length().value_or(most) : tokenizer->truncation() ? tokenizer->truncation()->max_length : most;
        sequence.max_length = std::min(options.max_seq_length.value_or(config.max_seq_length.value_or(usual)), most);
        if (config.model2vec) {
            parts.left_out = tokenizer->unk_id();
            sequence.max_characters = sequence.max_length * median_token_length(*tokenizer);
        }
        parts.sequences = std::make_shared<const SequenceEncoder>(tokenizer, sequence);

        if (options.pooling) config.pooling = {*options.pooling};
        if (options.normalize) {
            std::erase_if(config.layers, [](const auto& layer) { return !layer; });
            if (*options.normalize) config.layers.emplace_back();
        }
        parts.pooled = width * config.pooling.size();
        parts.dimensions = parts.pooled;
        for (const std::optional<DenseConfig>& layer : config.layers) {
            if (layer) parts.layers.push_back(load_dense(device, *layer, parts.dimensions));
            else parts.layers.emplace_back();
            if (layer) parts.dimensions = layer->out_features;
        }
    }

    // In code points, over the vocabulary; of an even number the mean of the two in the middle, rounded down.
    static std::size_t median_token_length(const Tokenizer& tokenizer) {
        std::vector<std::size_t> lengths;
        for (TokenId id = 0; id < tokenizer.id_bound(); ++id)
            if (const auto token = tokenizer.id_to_token(id)) lengths.push_back(unicode::count_code_points(*token));
        if (lengths.empty()) return 1;
        std::sort(lengths.begin(), lengths.end());
        return (lengths[(lengths.size() - 1) / 2] + lengths[lengths.size() / 2]) / 2;
    }

    static Layer load_dense(D& device, const DenseConfig& config, std::size_t width) {
        const std::unique_ptr<TensorSource> source = open_weights(config.directory);
        if (config.in_features != width)
            throw Error("a dense layer that does not fit", {.file = (config.directory / "config.json").string(), .key = "in_features", .expected = std::to_string(width), .found = std::to_string(config.in_features)});
        WeightReader reader(*source);
        const MatrixPart weight = {.view = reader.take("linear.weight", {config.out_features, config.in_features})};
        Layer layer = {.dense = Dense<D>{.weight = prepare_matrix(device, std::span(&weight, 1)), .bias = {}}, .activation = config.activation, .out_features = config.out_features};
        if (config.bias) layer.dense->bias = prepare_vector(device, reader.take("linear.bias", {config.out_features}));
        return layer;
    }

    std::string prompt_of(const EmbedOptions& options) const {
        if (!options.prompt.empty()) return std::string(options.prompt);
        const std::string name(options.prompt_name.empty() ? parts_->config.default_prompt_name.value_or("") : options.prompt_name);
        if (name.empty()) return {};
        const auto found = parts_->config.prompts.find(name);
        if (found != parts_->config.prompts.end()) return found->second;
        std::string known;
        for (const auto& [one, text] : parts_->config.prompts) known += (known.empty() ? "" : ", ") + one;
        throw Error("the model has no such prompt", {.key = "prompt_name", .expected = known.empty() ? "none: it has no prompts" : known, .found = name});
    }

    void embed_ids(std::vector<std::vector<TokenId>>& ids, std::size_t prompt_length, const EmbedOptions& options, Progress progress, std::span<float> out) {
        const auto report = [&](std::size_t done) {
            progress.done += done;
            if (options.progress && !options.progress(progress)) throw Error("cancelled");
        };
        if (const auto* table = std::get_if<StaticEmbedding>(&parts_->model)) {
            embed_static(*table, ids, out);
            return report(ids.size());
        }
        const Encoder<D>& encoder = std::get<Encoder<D>>(parts_->model);
        std::vector<std::size_t> lengths;
        for (const auto& one : ids) lengths.push_back(one.size());
        const std::size_t width = dimensions();
        const std::vector<std::vector<std::size_t>> batches = plan_batches(lengths, BatchRunner<D>::batch_tokens(options.batch_tokens));
        const auto run = [&](D& device, EncoderWork<D>& work, std::size_t number) {
            const std::vector<std::size_t>& batch = batches[number];
            EncoderBatch input;
            std::vector<PoolRange> ranges;
            for (const std::size_t i : batch) {
                add_sequence(input, encoder, std::span<const TokenId>(ids[i]));
                const Segment& segment = input.segments.back();
                const std::size_t skipped = parts_->config.include_prompt ? 0 : std::min(prompt_length, segment.row_count);
                ranges.push_back({.row_begin = segment.row_begin + skipped, .row_count = segment.row_count - skipped, .position = skipped});
            }
            const float* hidden = forward(device, encoder, work, input);
            std::vector<float> vectors(batch.size() * width);  // [sequences of the batch, width]
            finish(device, hidden, encoder.hidden_size(), ranges, vectors);
            for (std::size_t k = 0; k < batch.size(); ++k) std::copy_n(vectors.data() + k * width, width, out.data() + batch[k] * width);
            return batch.size();
        };
        runner_.run(*device_, batches.size(), run, report);
    }

    // Pooling and what follows it, on the device: vectors [ranges.size(), dimensions].
    void finish(D& device, const float* hidden, std::size_t width, std::span<const PoolRange> ranges, std::span<float> vectors) {
        const std::size_t n = ranges.size();
        typename D::Buffer pooled = allocate(device, n * parts_->pooled);
        for (std::size_t i = 0; i < parts_->config.pooling.size(); ++i) pool(device, hidden, width, ranges, parts_->config.pooling[i], pooled.data() + i * width, parts_->pooled);
        std::size_t features = parts_->pooled;
        for (const Layer& layer : parts_->layers) {
            if (!layer.dense) {
                normalize_rows(device, pooled.data(), n, features);
                continue;
            }
            typename D::Buffer next = allocate(device, n * layer.out_features);
            linear(device, pooled.data(), n, layer.dense->weight, {.bias = layer.dense->bias.size() > 0 ? layer.dense->bias.data() : nullptr, .activation = layer.activation}, next.data());
            pooled = std::move(next), features = layer.out_features;
        }
        download(device, pooled.data(), vectors);
    }

    void embed_static(const StaticEmbedding& table, std::vector<std::vector<TokenId>>& ids, std::span<float> out) {
        const std::size_t n = ids.size(), width = table.dimensions();
        const bool direct = std::all_of(parts_->layers.begin(), parts_->layers.end(), [](const Layer& layer) { return !layer.dense; });
        std::vector<float> means(direct ? 0 : n * width);
        const std::span<float> to = direct ? out : std::span<float>(means);
        const auto run = [&](std::size_t begin, std::size_t end, unsigned) {
            std::vector<float> row(width);
            for (std::size_t i = begin; i < end; ++i) {
                if (parts_->left_out) std::erase(ids[i], *parts_->left_out);
                float* const mean = to.data() + i * width;
                embed_mean(table, ids[i], row, mean);
                if (!direct || parts_->layers.empty()) continue;
                double squares = 0;
                for (std::size_t k = 0; k < width; ++k) squares += double{mean[k]} * double{mean[k]};
                const float length = std::max(static_cast<float>(std::sqrt(squares)), 1e-12f);
                for (std::size_t k = 0; k < width; ++k) mean[k] /= length;
            }
        };
        if constexpr (requires { device_->pool(); }) device_->pool().split(n, 8, run);
        else run(0, n, 0);
        if (direct) return;
        typename D::Buffer rows = allocate(*device_, means.size());
        upload(*device_, means, rows.data());
        std::vector<PoolRange> ranges(n);
        for (std::size_t i = 0; i < n; ++i) ranges[i] = {.row_begin = i, .row_count = 1};
        finish(*device_, rows.data(), width, ranges, out.first(n * dimensions()));
    }

    std::unique_ptr<D> device_;
    std::shared_ptr<const Parts> parts_;
    BatchRunner<D> runner_;
};

}  // namespace morsel
