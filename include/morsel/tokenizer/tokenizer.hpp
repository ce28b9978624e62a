// The tokenizer: text → ids with offsets, and back. A pipeline of values, as tokenizer.json describes it:
//   text → added tokens cut out → normalizer → normalized added tokens cut out → pre-tokenizer → model → post-processor → Encoding.
// Every call has two ways: the plain pipeline (plain_pipeline.hpp), and for most tokenizers the fast way (fast/fast_encoder.hpp), which is held
// equal to it. Reference: Hugging Face tokenizers.
// Immutable after loading: one Tokenizer serves any number of threads.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/threads.hpp"
#include "morsel/tokenizer/decoding/decoders.hpp"
#include "morsel/tokenizer/encoding.hpp"
#include "morsel/tokenizer/fast/fast_decoder.hpp"
#include "morsel/tokenizer/fast/fast_encoder.hpp"
#include "morsel/tokenizer/id_batch.hpp"
#include "morsel/tokenizer/plain_pipeline.hpp"
#include "morsel/tokenizer/special_tokens_in_text.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel {

struct EncodeOptions {
    bool add_special_tokens = true;                   // what the post-processor adds: [CLS], <s>
    std::optional<std::string_view> text_pair = {};   // a second text
    SpecialTokensInText special_tokens_in_text = SpecialTokensInText::parse;  // "<|end|>" in the text: its id, text, or an Error
    std::optional<Truncation> truncation = {};
    std::optional<Padding> padding = {};
    std::optional<BpeDropout> dropout = {};           // for BPE models; without it merging is never random, whatever the file says
};

struct DecodeOptions {
    bool skip_special_tokens = false;
    bool clean_up_tokenization_spaces = false;  // transformers' own step after decoding; Tokenizer::clean_up_tokenization_spaces
};

// A text, or a text and its pair, of a batch.
struct EncodeInput {
    std::string_view text = {};
    std::optional<std::string_view> pair = {};
};

class Tokenizer {
  public:
    // Loads a directory as Hugging Face ships it, or one file: tokenizer.json, vocab.json (with merges.txt beside it), vocab.txt,
    // tokenizer.model or a GGUF. Throws Error that names file and key. Defined in tokenizer/from_pretrained.hpp.
    static Tokenizer from_pretrained(const std::filesystem::path& path, const TokenizerOptions& options = {});

    // Takes parts that a loader has checked. cache_bytes: see TokenizerOptions.
    explicit Tokenizer(TokenizerParts parts, std::size_t cache_bytes = TokenizerOptions().cache_bytes) : parts_(std::move(parts)) {
        parts_.added_tokens.finish([&](std::string_view content) {
            if (!parts_.normalizer) return std::string(content);
            AlignedText text = aligned(content);
            normalize(*parts_.normalizer, text);
            return text.text;
        });
        fast_ = fast::FastEncoder::create(parts_, cache_bytes);
        fast_decoder_ = fast::FastDecoder::create(parts_.decoders, id_bound());
    }

    // Text of any bytes: what is no UTF-8 counts as U+FFFD, one for each maximal subpart (for SentencePiece: for each byte). Offsets
    // name bytes of `text`. Throws Error where truncation or padding cannot be done, the model lacks a token for unknown text, or the text
    // has special tokens that the options refuse.
    Encoding encode(std::string_view text, const EncodeOptions& options = {}) const { return encode_by(text, options, true); }
    // The same by the plain pipeline: the reference of the fast way.
    Encoding encode_plainly(std::string_view text, const EncodeOptions& options = {}) const { return encode_by(text, options, false); }

    // The ids alone. Equal to encode(text, options).ids.
    std::vector<TokenId> encode_ids(std::string_view text, const EncodeOptions& options = {}) const {
        const auto wrap = ids_wrap(options);
        if (!wrap) return encode(text, options).ids;
        std::vector<TokenId> out;
        with_ids([&](fast::Workspace* workspace, fast::Buffer<TokenId>& ids) {
            append_ids(text, *wrap, options, workspace, ids);
            out.assign(ids.values().begin(), ids.values().end());
        });
        return out;
    }

    // The ids of many texts in one array, over the threads of `pool` where there is one; `batch` is filled anew, its memory used again. Text by text
    // equal to encode_ids, so options.padding makes no lengths equal. Throws what encode throws, and then `batch` is empty.
    void encode_ids_batch(std::span<const std::string_view> texts, IdBatch& batch, const EncodeOptions& options = {}, ThreadPool* pool = nullptr) const {
        const auto wrap = ids_wrap(options);
        detail::fill_batch(texts, batch, pool, [&](std::size_t first, std::size_t last, auto&& append) {
            std::vector<std::size_t> ends;
            with_ids([&](fast::Workspace* workspace, fast::Buffer<TokenId>& ids) {
                for (std::size_t i = first; i < last; ++i) {
                    if (wrap) append_ids(texts[i], *wrap, options, workspace, ids);
                    else ids.append(encode(texts[i], options).ids);
                    ends.push_back(ids.size());
                }
                append(ids.values(), ends);
            });
        });
    }
    IdBatch encode_ids_batch(std::span<const std::string_view> texts, const EncodeOptions& options = {}, ThreadPool* pool = nullptr) const {
        IdBatch batch;
        encode_ids_batch(texts, batch, options, pool);
        return batch;
    }

    // Ids and offsets, nothing else: several times as fast as encode where the tokenizer has a fast way. Equal to encode(text, options).
    IdsWithOffsets encode_with_offsets(std::string_view text, const EncodeOptions& options = {}) const {
        IdsWithOffsets out;
        const TemplateProcessing* wrap = nullptr;
        const TrimOffsets* trim = nullptr;
        bool simple = fast_ && text.size() <= detail::max_text_bytes && !options.text_pair && !options.truncation && !options.padding && !options.dropout;
        for (const PostProcessor& p : parts_.post_processors) {
            const auto* is_template = std::get_if<TemplateProcessing>(&p);
            const auto* is_trim = std::get_if<TrimOffsets>(&p);
            if (wrap != nullptr && (is_template != nullptr || is_trim != nullptr)) simple = false;
            if (trim != nullptr && is_trim != nullptr) simple = false;
            if (is_template != nullptr) wrap = is_template;
            if (is_trim != nullptr) trim = is_trim;
        }
        const auto append_text = [&] {
            const auto workspace = fast_->workspace();
            if (!place_fast(text, parse_special_tokens(text, options), false, *workspace)) return false;
            const auto marks = workspace->placed.marks.values();
            const auto spans = workspace->placed.spans.values();
            const std::size_t first = out.ids.size();
            out.ids.resize(first + marks.size()), out.offsets.resize(first + marks.size());
            for (std::size_t i = 0; i < marks.size(); ++i) out.ids[first + i] = marks[i] >> 1;
            for (std::size_t i = 0; i < spans.size(); ++i) out.offsets[first + i] = {spans[i].begin, spans[i].end};
            for (std::size_t i = 0; trim != nullptr && i < marks.size(); ++i)
                detail::trim_span(out.offsets[first + i], id_to_token(marks[i] >> 1).value_or(""), marks[i] >> 1, i == 0, text, *trim, &parts_.added_tokens);
            return true;
        };
        static const TemplateProcessing no_template{.single = {TemplatePiece{.sequence = 0}}};
        for (const TemplatePiece& piece : (wrap != nullptr ? wrap : &no_template)->single) {
            if (piece.sequence) {
                simple = simple && append_text();
            } else if (options.add_special_tokens) {
                out.ids.insert(out.ids.end(), piece.ids.begin(), piece.ids.end());
                out.offsets.insert(out.offsets.end(), piece.ids.size(), Span{});
            }
        }
        if (simple) return out;
        Encoding encoding = encode(text, options);
        return {std::move(encoding.ids), std::move(encoding.offsets)};
    }

    // Every input alone, in order, then padded to one length where options.padding says so. options.text_pair is not used.
    std::vector<Encoding> encode_batch(std::span<const EncodeInput> inputs, const EncodeOptions& options = {}, ThreadPool* pool = nullptr) const {
        std::vector<Encoding> batch(inputs.size());
        const auto encode_one = [&](std::size_t i) {
            EncodeOptions one = options;
            one.text_pair = inputs[i].pair;
            one.padding.reset();
            batch[i] = encode(inputs[i].text, one);
        };
        if (pool == nullptr) {
            for (std::size_t i = 0; i < inputs.size(); ++i) encode_one(i);
        } else {
            std::atomic<std::size_t> next{0};
            pool->run([&](unsigned) {
                for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < inputs.size();) encode_one(i);
            });
        }
        if (options.padding) pad(batch, *options.padding);
        return batch;
    }

    // The text of these ids, always valid UTF-8. Ids that are no token are left out, as the reference does.
    std::string decode(std::span<const TokenId> ids, const DecodeOptions& options = {}) const {
        std::string text;
        if (fast_decoder_) {
            const auto token = [&](TokenId id) { return decoder_token(id, false); };
            const auto special = [&](TokenId id) { return !decoder_token(id, true).has_value(); };
            text = fast_decoder_->decode(parts_.decoders, ids, options.skip_special_tokens, token, special);
        } else {
            text = decode_plainly(ids, options.skip_special_tokens);
        }
        return options.clean_up_tokenization_spaces ? morsel::clean_up_tokenization_spaces(std::move(text)) : text;
    }

    // The same by the decoders themselves, without clean_up_tokenization_spaces: the reference of the fast way.
    std::string decode_plainly(std::span<const TokenId> ids, bool skip_special_tokens = false) const {
        std::vector<std::string> tokens;
        tokens.reserve(ids.size());
        for (const TokenId id : ids)
            if (const auto text = decoder_token(id, skip_special_tokens)) tokens.emplace_back(*text);
        return decode_tokens(parts_.decoders, std::move(tokens));
    }

    // What decoding feeds to the decoders for this id: nothing where the id is no token, or is special and to be skipped.
    std::optional<std::string_view> decoder_token(TokenId id, bool skip_special_tokens) const {
        const auto token = id_to_token(id);
        if (!token || (skip_special_tokens && parts_.added_tokens.is_special(*token))) return std::nullopt;
        if (!parts_.decoded_as.empty())
            if (const auto other = parts_.decoded_as.find(id); other != parts_.decoded_as.end()) return other->second;
        return token;
    }

    std::optional<TokenId> token_to_id(std::string_view token) const {
        if (const auto id = parts_.added_tokens.id(token)) return id;
        return model_token_id(parts_.model, token);
    }
    // The text lives as long as the tokenizer.
    std::optional<std::string_view> id_to_token(TokenId id) const {
        if (const auto text = parts_.added_tokens.text(id)) return text;
        return model_token(parts_.model, id);
    }

    // Distinct tokens, added ones included.
    std::size_t vocab_size() const {
        std::size_t count = model_size(parts_.model);
        for (const AddedToken& token : parts_.added_tokens.tokens()) count += !model_token_id(parts_.model, token.content).has_value();
        return count;
    }
    // One more than the largest id: what an embedding table must have rows for.
    std::uint64_t id_bound() const {
        std::uint64_t bound = model_id_bound(parts_.model);
        for (const AddedToken& token : parts_.added_tokens.tokens()) bound = std::max(bound, std::uint64_t{token.id} + 1);
        return bound;
    }

    const SpecialTokens& special_tokens() const noexcept { return parts_.special_tokens; }
    std::optional<TokenId> bos_id() const { return id_of(parts_.special_tokens.bos); }
    std::optional<TokenId> eos_id() const { return id_of(parts_.special_tokens.eos); }
    std::optional<TokenId> unk_id() const { return id_of(parts_.special_tokens.unk); }
    std::optional<TokenId> sep_id() const { return id_of(parts_.special_tokens.sep); }
    std::optional<TokenId> pad_id() const { return id_of(parts_.special_tokens.pad); }
    std::optional<TokenId> cls_id() const { return id_of(parts_.special_tokens.cls); }
    std::optional<TokenId> mask_id() const { return id_of(parts_.special_tokens.mask); }
    bool is_special(TokenId id) const {
        const AddedToken* token = parts_.added_tokens.find(id);
        return token != nullptr && token->special;
    }

    const std::vector<AddedToken>& added_tokens() const noexcept { return parts_.added_tokens.tokens(); }
    const std::string& chat_template() const noexcept { return parts_.chat_template; }
    const std::optional<Truncation>& truncation() const noexcept { return parts_.truncation; }
    const std::optional<Padding>& padding() const noexcept { return parts_.padding; }
    std::optional<std::size_t> model_max_length() const noexcept { return parts_.model_max_length; }
    bool clean_up_tokenization_spaces() const noexcept { return parts_.clean_up_tokenization_spaces; }
    const TokenizerParts& parts() const noexcept { return parts_; }
    const Vocabulary& vocabulary() const { return vocabulary_of(parts_.model); }

  private:
    std::optional<TokenId> id_of(const std::optional<std::string>& token) const { return token ? token_to_id(*token) : std::nullopt; }

    static void check(const Truncation& t, std::size_t added_to_one, std::size_t added) {
        if (t.max_length < added)
            throw Error("max_length has no room for the special tokens", {.key = "truncation.max_length", .expected = "at least " + std::to_string(added), .found = std::to_string(t.max_length)});
        if (t.max_length < added_to_one || t.max_length - added_to_one < t.stride)
            throw Error("stride is larger than the room for tokens", {.key = "truncation.stride", .found = std::to_string(t.stride)});
    }

    Encoding encode_by(std::string_view text, const EncodeOptions& options, bool fast) const {
        const std::size_t added = options.add_special_tokens ? count_added_tokens(parts_.post_processors, options.text_pair.has_value()) : 0;
        if (options.truncation) check(*options.truncation, options.add_special_tokens ? count_added_tokens(parts_.post_processors, false) : 0, added);
        Encoding first = sequence(text, 0, options, fast);
        std::optional<Encoding> second;
        if (options.text_pair) second = sequence(*options.text_pair, 1, options, fast);
        if (options.truncation) truncate(first, second, options.truncation->max_length - added, *options.truncation);
        const PostProcessContext context{{text, options.text_pair.value_or("")}, &parts_.added_tokens};
        Encoding result = post_process(parts_.post_processors, std::move(first), std::move(second), options.add_special_tokens, context);
        if (options.padding) pad(std::span(&result, 1), *options.padding);
        return result;
    }

    // Whether special tokens are to be looked for. Throws Error where they are refused and there is one.
    bool parse_special_tokens(std::string_view text, const EncodeOptions& options) const {
        if (options.special_tokens_in_text == SpecialTokensInText::refuse) refuse_special_tokens(parts_, text);
        return options.special_tokens_in_text == SpecialTokensInText::parse;
    }

    // The template around a single text's ids, or null where there is none; nothing where ids cannot be had without a whole encoding.
    std::optional<const TemplateProcessing*> ids_wrap(const EncodeOptions& options) const {
        if (options.text_pair || options.truncation || options.padding || options.dropout) return std::nullopt;
        const TemplateProcessing* wrap = nullptr;
        for (const PostProcessor& p : parts_.post_processors) {
            const auto* is_template = std::get_if<TemplateProcessing>(&p);
            if (is_template != nullptr && wrap != nullptr) return std::nullopt;
            if (is_template != nullptr) wrap = is_template;
        }
        return wrap;
    }

    // f(workspace, ids) with ids empty, those of the workspace where there is one.
    template <class F> void with_ids(F&& f) const {
        if (fast_) {
            const auto workspace = fast_->workspace();
            workspace->ids.clear();
            return f(&*workspace, workspace->ids);
        }
        fast::Buffer<TokenId> ids;
        f(nullptr, ids);
    }

    // Appends the ids of a text: by the fast encoder where there is one for this tokenizer, else by the plain pipeline. `ids` are the workspace's.
    void append_ids(std::string_view text, const TemplateProcessing* wrap, const EncodeOptions& options, fast::Workspace* workspace, fast::Buffer<TokenId>& ids) const {
        const bool parse_special = parse_special_tokens(text, options);
        const auto append_text = [&] {
            const std::size_t before = ids.size();
            if (workspace != nullptr && text.size() <= detail::max_text_bytes && append_ids_fast(text, parse_special, *workspace)) return;
            ids.finish(ids.data() + before);
            for (const detail::PipelineToken& token : detail::run_plainly(parts_, text, parse_special)) ids.push_back(token.id);
        };
        if (wrap == nullptr) return append_text();
        for (const TemplatePiece& piece : wrap->single) {
            if (piece.sequence) append_text();
            else if (options.add_special_tokens) ids.append(piece.ids);
        }
    }

    bool append_ids_fast(std::string_view text, bool parse_special, fast::Workspace& workspace) const {
        const AddedTokens& added = parts_.added_tokens;
        return added.for_each_raw(text, parse_special, [&](const AddedSplit& raw) {
            if (raw.token != nullptr) return workspace.ids.push_back(raw.token->id), true;
            const std::string_view section = text.substr(raw.begin, raw.end - raw.begin);
            return added.for_each_normalized(section, parse_special, [&](const AddedSplit& part) {
                if (part.token != nullptr) return workspace.ids.push_back(part.token->id), true;
                return fast_->encode(parts_, section.substr(part.begin, part.end - part.begin), raw.begin + part.begin, workspace);
            });
        });
    }

    // Their marks and places, as workspace.placed. Added tokens must have ids that fit.
    bool place_fast(std::string_view text, bool parse_special, bool pieces, fast::Workspace& workspace) const {
        workspace.placed.marks.clear(), workspace.placed.spans.clear();
        const AddedTokens& added = parts_.added_tokens;
        return added.for_each_raw(text, parse_special, [&](const AddedSplit& raw) {
            if (raw.token != nullptr) return workspace.placed.push_back(raw.token->id << 1 | 1, raw.begin, raw.end), true;
            const std::string_view section = text.substr(raw.begin, raw.end - raw.begin);
            return added.for_each_normalized(section, parse_special, [&](const AddedSplit& part) {
                if (part.token != nullptr) return workspace.placed.push_back(part.token->id << 1 | 1, raw.begin + part.begin, raw.begin + part.end), true;
                return fast_->place(parts_, section.substr(part.begin, part.end - part.begin), raw.begin + part.begin, pieces, workspace);
            });
        });
    }

    Encoding sequence(std::string_view text, std::uint32_t type, const EncodeOptions& options, bool fast) const {
        const bool parse_special = parse_special_tokens(text, options);
        Encoding e;
        if (!fast || options.dropout || !sequence_fast(text, parse_special, e)) {
            detail::Surfaces surfaces;
            const std::vector<detail::PipelineToken> tokens = detail::run_plainly(parts_, text, parse_special, &surfaces, options.dropout);
            const std::size_t n = tokens.size();
            e.ids.reserve(n), e.tokens.reserve(n), e.offsets.reserve(n), e.word_ids.reserve(n);
            for (const detail::PipelineToken& token : tokens) {
                e.ids.push_back(token.id);
                e.tokens.emplace_back(id_to_token(token.id).value_or(""));
                e.offsets.push_back(token.origin);
                e.word_ids.emplace_back(token.word);
            }
            for (auto& [i, surface] : surfaces) e.tokens[i] = std::move(surface);
        }
        const std::size_t n = e.ids.size();
        e.type_ids.assign(n, type);
        e.special_tokens_mask.assign(n, 0);
        e.attention_mask.assign(n, 1);
        e.sequence_ids.assign(n, type);
        return e;
    }

    // Ids, tokens, offsets and words by the fast encoder. Gives false, and leaves `e` as it is, where that cannot be.
    bool sequence_fast(std::string_view text, bool parse_special, Encoding& e) const {
        if (!fast_ || text.size() > detail::max_text_bytes) return false;
        const auto workspace = fast_->workspace();
        if (!place_fast(text, parse_special, true, *workspace)) return false;
        const auto marks = workspace->placed.marks.values();
        const auto spans = workspace->placed.spans.values();
        if (const auto* unigram = std::get_if<Unigram>(&parts_.model); unigram != nullptr && unigram->unk_id)  // whose text the tokens show
            for (const std::uint32_t mark : marks)
                if (mark >> 1 == *unigram->unk_id) return false;
        const std::size_t n = marks.size();
        e.ids.resize(n), e.tokens.reserve(n), e.offsets.resize(n), e.word_ids.resize(n);
        std::uint32_t words = 0;
        for (std::size_t i = 0; i < n; ++i) {
            e.ids[i] = marks[i] >> 1;
            e.offsets[i] = {spans[i].begin, spans[i].end};
            words += marks[i] & 1;
            e.word_ids[i] = words - 1;
            e.tokens.emplace_back(id_to_token(e.ids[i]).value_or(""));
        }
        return true;
    }

    TokenizerParts parts_;
    std::shared_ptr<fast::FastEncoder> fast_;            // null where the pipeline is another
    std::shared_ptr<const fast::FastDecoder> fast_decoder_;  // likewise
};

}  // namespace morsel
