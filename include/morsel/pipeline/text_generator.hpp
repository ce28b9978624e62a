// Text in, text out: tokenizer, decoder model and generation loop from one model directory or GGUF file. Here the tokenizer and
// the model meet; they share nothing but token ids.
#pragma once
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/chat_template.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/generation/generate.hpp"
#include "morsel/pipeline/decode_tokens.hpp"
#include "morsel/pipeline/generated_text.hpp"
#include "morsel/pipeline/load_decoder.hpp"
#include "morsel/tokenizer/from_pretrained.hpp"
#include "morsel/tokenizer/tokenizer.hpp"

namespace morsel {

template <class D>
struct TextGeneratorOptions {
    typename D::Options device = {};
    TokenizerOptions tokenizer = {};
    ProgressCallback progress = {};  // while weights load
};

// One per calling thread; copies made by `share` have the weights in common.
template <class D>
class TextGenerator {
  public:
    using Options = TextGeneratorOptions<D>;

    // A directory as Hugging Face ships it, its file of weights, a GGUF file, or a directory with one. Throws Error.
    static TextGenerator from_pretrained(const std::filesystem::path& path, Options options = {}) {
        auto device = std::make_unique<D>(options.device);
        const bool weights_file = path.extension() == ".safetensors" || path.filename() == "model.safetensors.index.json";
        auto tokenizer = std::make_shared<const Tokenizer>(Tokenizer::from_pretrained(weights_file ? std::filesystem::absolute(path).parent_path() : path, options.tokenizer));
        LoadedDecoder<D> decoder = load_decoder(*device, path, options.progress);
        return TextGenerator(std::move(device), std::move(tokenizer), std::move(decoder));
    }

    // Continues `prompt`, which is encoded as the tokenizer does it, special tokens added. What `config` leaves open is taken from
    // the model's generation_config.json, then from Hugging Face's defaults. Throws Error on bad options and on a prompt longer
    // than the model's context.
    GeneratedText generate(std::string_view prompt, const GenerationConfig& config = {}, const TextCallback& on_text = {}) {
        return generate_from_ids(tokenizer_->encode_ids(prompt), config, on_text);
    }

    // The same for a prompt that is tokens already.
    GeneratedText generate_from_ids(std::vector<TokenId> prompt_ids, const GenerationConfig& config = {}, const TextCallback& on_text = {}) {
        reset(state_);
        return run(std::move(prompt_ids), config, on_text);
    }

    // Continues several prompts, each with its own options: at most `at_once` go through the model together, a new one as soon as one stops, so
    // that its weights are read once for all of them. Each text is what `generate` gives for it alone. Up to 4 at once that is so to the last bit of
    // the logits on every device; beyond, other kernels multiply, except on Cpu with MatrixPrecision::f32. Throws Error, before any work, on what
    // `generate` throws for any of them.
    std::vector<GeneratedText> generate(std::span<const GenerationRequest> requests, std::size_t at_once = 4) {
        std::vector<detail::TextInProgress> texts;
        texts.reserve(requests.size());
        for (const GenerationRequest& request : requests)
            texts.push_back(text_in_progress(request.prompt_ids.empty() ? tokenizer_->encode_ids(request.prompt) : request.prompt_ids, request.config, request.on_text));
        DecoderState<D> state = make_decoder_state(*device_, *model_, std::clamp<std::size_t>(at_once, 1, std::max<std::size_t>(requests.size(), 1)));
        return run(state, texts);
    }

    // Answers a conversation: renders the model's chat template with the assistant's turn opened, and generates. Tokens that the
    // last call's cache holds already, at the start, are not computed again.
    GeneratedText chat(std::span<const ChatMessage> messages, const GenerationConfig& config = {}, const TextCallback& on_text = {}) {
        EncodeOptions as_rendered;  // the template writes the special tokens itself
        as_rendered.add_special_tokens = false;
        std::vector<TokenId> prompt_ids = tokenizer_->encode_ids(render_chat(messages), as_rendered);
        // At least the last token is run again: its logits are needed.
        std::vector<TokenId>& cached = state_.tokens(0);
        const std::size_t most = std::min(cached.size(), prompt_ids.empty() ? 0 : prompt_ids.size() - 1);
        const auto differ = std::mismatch(cached.begin(), cached.begin() + static_cast<std::ptrdiff_t>(most), prompt_ids.begin()).first;
        const auto common = static_cast<std::size_t>(differ - cached.begin());
        cached.resize(cache_reusable(*model_, cached.size(), prompt_ids.size()) ? common : 0);
        return run(std::move(prompt_ids), config, on_text);
    }

    // The conversation as the model's chat template writes it. Throws Error where the model has none.
    std::string render_chat(std::span<const ChatMessage> messages, bool add_generation_prompt = true) const {
        if (tokenizer_->chat_template().empty()) throw Error("the model has no chat template", {.key = "chat_template"});
        ChatTemplateArguments arguments;
        arguments.add_generation_prompt = add_generation_prompt;
        const SpecialTokens& special = tokenizer_->special_tokens();
        arguments.bos_token = special.bos, arguments.eos_token = special.eos, arguments.unk_token = special.unk, arguments.pad_token = special.pad;
        return ChatTemplate(tokenizer_->chat_template()).render(messages, arguments);
    }

    // Another generator with the same weights and tokenizer and its own device and cache, for another thread. Throws Error where the options name
    // another GPU.
    TextGenerator share(const typename D::Options& options = {}) const {
        require_same_memory(*device_, options);
        return TextGenerator(std::make_unique<D>(options), tokenizer_, {model_, defaults_});
    }

    const Tokenizer& tokenizer() const noexcept { return *tokenizer_; }
    const DecoderModel<D>& model() const noexcept { return *model_; }
    const GenerationConfig& generation_defaults() const noexcept { return defaults_; }
    D& device() noexcept { return *device_; }

  private:
    TextGenerator(std::unique_ptr<D> device, std::shared_ptr<const Tokenizer> tokenizer, LoadedDecoder<D> decoder)
        : device_(std::move(device)), tokenizer_(std::move(tokenizer)), model_(std::move(decoder.model)), defaults_(std::move(decoder.generation)),
          state_(make_decoder_state(*device_, *model_)) {
        if (tokenizer_->id_bound() > model_->vocab_size())
            throw Error("the tokenizer has more tokens than the model has embeddings", {.key = "vocab_size", .expected = "at least " + std::to_string(tokenizer_->id_bound()),
                                                                                        .found = std::to_string(model_->vocab_size())});
        if (!defaults_.eos_token_id)
            if (const auto eos = tokenizer_->eos_id()) defaults_.eos_token_id = {*eos};
        if (!defaults_.bos_token_id) defaults_.bos_token_id = tokenizer_->bos_id();
    }

    detail::TextInProgress text_in_progress(std::vector<TokenId> prompt_ids, const GenerationConfig& config, const TextCallback& on_text) const {
        GenerationSettings settings = resolve(merged(config, defaults_), prompt_ids.size(), model_->vocab_size());
        settings.context_limit = model_->max_tokens();
        settings.sampled_vocab = static_cast<std::size_t>(tokenizer_->id_bound());
        return detail::TextInProgress(*tokenizer_, std::move(prompt_ids), std::move(settings), on_text);
    }

    GeneratedText run(std::vector<TokenId> prompt_ids, const GenerationConfig& config, const TextCallback& on_text) {
        detail::TextInProgress text = text_in_progress(std::move(prompt_ids), config, on_text);
        return std::move(run(state_, std::span(&text, 1)).front());
    }

    std::vector<GeneratedText> run(DecoderState<D>& state, std::span<detail::TextInProgress> texts) {
        std::vector<GeneratedText> results(texts.size());
        std::vector<DecodedSequence> sequences;
        for (std::size_t i = 0; i < texts.size(); ++i)
            sequences.push_back({.continuation = Continuation(texts[i].prompt_ids(), texts[i].settings()),
                                 .on_token = [&text = texts[i]](TokenId id) { return text.push(id); },
                                 .on_done = [&text = texts[i], &result = results[i]](GenerationResult generated) { result = text.finish(std::move(generated)); }});
        decode_tokens(*device_, *model_, state, work_, std::span(sequences));
        return results;
    }

    std::unique_ptr<D> device_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::shared_ptr<const DecoderModel<D>> model_;
    GenerationConfig defaults_;
    DecoderState<D> state_;
    DecodeWork<D> work_;
};

}  // namespace morsel
