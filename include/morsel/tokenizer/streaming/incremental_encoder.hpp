// Encoding a text that grows: at any time the ids are those of the whole text so far. What lies before the last stable cut (stable_cuts.hpp) is
// encoded once and never again; only the section behind it, a few words of ordinary text, is encoded anew. Where nothing can be proven the
// section is the whole text, and the ids are still right.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/streaming/stable_cuts.hpp"
#include "morsel/tokenizer/tokenizer.hpp"

namespace morsel {

// What the post-processor puts before and behind the ids of one text.
struct AddedIds {
    std::vector<TokenId> before = {}, behind = {};
};

// Throws Error where the template does not hold the text exactly once.
inline AddedIds added_ids(const TokenizerParts& parts, const EncodeOptions& options) {
    AddedIds out;
    std::size_t texts = 0, templates = 0;
    for (const PostProcessor& p : parts.post_processors) {
        const auto* t = std::get_if<TemplateProcessing>(&p);
        if (t == nullptr) continue;
        ++templates;
        for (const TemplatePiece& piece : t->single) {
            if (piece.sequence) ++texts;
            else if (options.add_special_tokens) (texts == 0 ? out.before : out.behind).insert((texts == 0 ? out.before : out.behind).end(), piece.ids.begin(), piece.ids.end());
        }
    }
    if (templates > 1 || (templates == 1 && texts != 1)) throw Error("the template does not hold the text once", {.key = "post_processor"});
    return out;
}

// Takes text piece by piece and gives out the ids that are settled. The tokenizer must outlive it. Ids are those of the text alone, without what
// the post-processor adds.
class SectionEncoder {
  public:
    explicit SectionEncoder(const Tokenizer& tokenizer, SpecialTokensInText special = SpecialTokensInText::parse) : tokenizer_(&tokenizer), cuts_(tokenizer.parts()), special_(special) {}

    void append(std::string_view text) { section_ += text; }

    // Appends the ids before the last stable cut to `ids`. Throws Error as encoding does.
    void settle(std::vector<TokenId>& ids) {
        const std::size_t from = std::max<std::size_t>(searched_, 1);
        const auto cut = cuts_.last(section_, from, section_.size());
        // Near the end a cut may be found only when more is known.
        const std::size_t open = tokenizer_->parts().added_tokens.longest() + 12;
        searched_ = section_.size() > open ? section_.size() - open + 1 : 0;
        if (!cut) return;
        encode(std::string_view(section_).substr(0, *cut), ids);
        section_.erase(0, *cut);
        searched_ -= *cut;
        begin_ += *cut;
    }
    // Appends the ids behind the last cut, as if the text ended here.
    void encode_rest(std::vector<TokenId>& ids) const { encode(section_, ids); }

    std::size_t settled_bytes() const noexcept { return begin_; }
    std::size_t open_bytes() const noexcept { return section_.size(); }

  private:
    void encode(std::string_view text, std::vector<TokenId>& ids) const {
        if (text.empty()) return;
        if (special_ == SpecialTokensInText::refuse) refuse_special_tokens(tokenizer_->parts(), text, begin_);
        const StableCuts::Start start = begin_ > 0 ? cuts_.start(text) : StableCuts::Start{};
        if (start.without_space) text.remove_prefix(1);
        const EncodeOptions options{.add_special_tokens = false, .special_tokens_in_text = special_ == SpecialTokensInText::plain_text ? SpecialTokensInText::plain_text : SpecialTokensInText::parse};
        const std::vector<TokenId> part = tokenizer_->encode_ids(text, options);
        ids.insert(ids.end(), part.begin() + (start.without_first_token && !part.empty() ? 1 : 0), part.end());
    }

    const Tokenizer* tokenizer_;
    StableCuts cuts_;
    SpecialTokensInText special_;
    std::string section_ = {};    // the text behind the last cut
    std::size_t begin_ = 0;       // its first byte in the whole text
    std::size_t searched_ = 0;    // bytes of the section that hold no cut
};

// The ids of a growing text. The tokenizer must outlive it.
class IncrementalEncoder {
  public:
    // Of the options add_special_tokens and special_tokens_in_text count. Throws Error for a pair, truncation, padding, or a template that holds
    // the text more than once.
    explicit IncrementalEncoder(const Tokenizer& tokenizer, const EncodeOptions& options = {})
        : encoder_(tokenizer, options.special_tokens_in_text), added_(added_ids(tokenizer.parts(), options)), ids_(added_.before), stable_(ids_.size()) {
        if (options.text_pair || options.truncation || options.padding || options.dropout)
            throw Error("one text can be encoded incrementally, without truncation, padding and dropout", {.key = "options"});
    }

    // Adds text of any bytes; a character may come in parts.
    void append(std::string_view text) {
        ids_.resize(stable_);
        current_ = false;
        encoder_.append(text);
        encoder_.settle(ids_);
        stable_ = ids_.size();
    }

    // Equal to tokenizer.encode_ids(everything so far, options). Valid until the next call that is not const.
    const std::vector<TokenId>& ids() {
        if (!current_) {
            ids_.resize(stable_);
            encoder_.encode_rest(ids_);
            ids_.insert(ids_.end(), added_.behind.begin(), added_.behind.end());
            current_ = true;
        }
        return ids_;
    }

    // So many of the first ids no further text will change.
    std::size_t stable_count() const noexcept { return stable_; }
    // Bytes of text that those stand for.
    std::size_t stable_bytes() const noexcept { return encoder_.settled_bytes(); }
    // Bytes so far.
    std::size_t text_bytes() const noexcept { return encoder_.settled_bytes() + encoder_.open_bytes(); }

  private:
    SectionEncoder encoder_;
    AddedIds added_;
    std::vector<TokenId> ids_;
    std::size_t stable_;
    bool current_ = false;
};

}  // namespace morsel
