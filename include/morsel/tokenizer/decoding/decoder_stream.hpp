// The decoders of decoders.hpp, token by token: every step holds back only what later tokens can still change. What comes out,
// joined, is what decode_tokens gives for the whole list.
// After a step that makes one token of all (Fuse, ByteLevel, SentencePiece, Bytes) only Strip can follow in the streamed form; any other
// chain is decoded as a whole at the end.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/decoding/decoders.hpp"

namespace morsel {

// Keeps a reference to the decoders: they must outlive it.
class DecoderStream {
  public:
    explicit DecoderStream(const Decoders& decoders) : decoders_(&decoders), states_(decoders.size()) {
        bool fused = false;
        for (const Decoder& d : decoders) {
            if (fused && !std::holds_alternative<StripDecoder>(d)) streamed_ = false;
            if (!fused) ++first_fused_;
            fused = fused || std::holds_alternative<FuseDecoder>(d) || std::holds_alternative<ByteLevelDecoder>(d) || std::holds_alternative<SentencePieceDecoder>(d) || std::holds_alternative<BytesDecoder>(d);
        }
    }

    // The text that this token makes final; empty where none is. Valid until the next call.
    std::string_view push(std::string_view token) {
        out_.clear();
        if (streamed_) step(0, std::string(token));
        else held_.emplace_back(token);
        return out_;
    }

    // The rest, at the end of the tokens. The stream is then as new.
    std::string_view flush() {
        out_.clear();
        if (streamed_) {
            for (std::size_t i = 0; i < decoders_->size(); ++i) end(i);
            emit_valid(true);
        } else {
            out_ = decode_tokens(*decoders_, std::move(held_));
        }
        states_.assign(decoders_->size(), State{});
        held_.clear();
        tail_.clear();
        return out_;
    }

  private:
    struct State {
        std::string pending = {};  // bytes or text held back
        std::string last = {};     // previous token (CTC), or the token held back (BPE)
        bool first = true;         // nothing has come yet
        bool text = false;         // there is text before (SentencePiece)
        bool stripped = false;
        std::size_t cut = 0;       // characters stripped at the start (Strip behind Fuse)
    };

    // Emits the part of the UTF-8 in `tail_` that is complete; at the end all of it.
    void emit_valid(bool at_end) {
        std::size_t at = 0;
        while (at < tail_.size()) {
            const auto point = unicode::decode(tail_, at);
            if (!point.valid && at + point.size == tail_.size() && !at_end && may_continue(std::string_view(tail_).substr(at))) break;
            if (point.valid) out_.append(tail_, at, point.size);
            else unicode::append(out_, unicode::replacement_character);
            at += point.size;
        }
        tail_.erase(0, at);
    }
    // Whether these bytes, no character yet, can begin one.
    static bool may_continue(std::string_view bytes) {
        const auto lead = static_cast<unsigned char>(bytes[0]);
        return lead >= 0xC2 && lead <= 0xF4 && bytes.size() < (lead < 0xE0 ? 2u : lead < 0xF0 ? 3u : 4u);
    }

    // Hands `text` to step `i`.
    void step(std::size_t i, std::string text) {
        if (i == decoders_->size()) {
            tail_ += text;
            emit_valid(false);
            return;
        }
        State& state = states_[i];
        std::visit([&](const auto& d) { take(d, i, state, std::move(text)); }, (*decoders_)[i]);
    }

    // ---- one overload for each step: `text` is one token, or behind a fusing step the next part of the one token
    void take(const ByteLevelDecoder&, std::size_t i, State&, std::string text) {
        std::string bytes;
        detail::append_byte_level(text, bytes);
        step(i + 1, std::move(bytes));  // may end within a character: emit_valid waits for the rest
    }
    void take(const WordPieceDecoder& d, std::size_t i, State& s, std::string text) { step(i + 1, detail::wordpiece_text(d, std::move(text), std::exchange(s.first, false))); }
    void take(const MetaspaceDecoder& d, std::size_t i, State& s, std::string text) { step(i + 1, detail::metaspace_text(d, text, std::exchange(s.first, false))); }
    void take(const ByteFallbackDecoder&, std::size_t i, State& s, std::string text) {
        if (const auto byte = detail::named_byte(text)) {
            s.pending += static_cast<char>(*byte);  // one bad byte spoils the whole run, so nothing of it is final yet
            return;
        }
        end(i);
        step(i + 1, std::move(text));
    }
    void take(const FuseDecoder&, std::size_t i, State&, std::string text) { step(i + 1, std::move(text)); }
    void take(const StripDecoder& d, std::size_t i, State& s, std::string text) {
        if (i < first_fused_) return step(i + 1, detail::strip_text(d, text));
        s.pending += text;
        std::string content;
        unicode::append(content, d.content);
        while (s.first && s.cut < d.start && s.pending.starts_with(content)) s.pending.erase(0, content.size()), ++s.cut;
        if (s.first && s.cut < d.start && std::string_view(content).starts_with(s.pending)) return;  // not enough bytes to tell
        s.first = false;
        std::size_t keep = 0;  // bytes that may be stripped at the end, or begin what may be
        for (std::size_t n = 0; n < d.stop && std::string_view(s.pending).substr(0, s.pending.size() - keep).ends_with(content); ++n) keep += content.size();
        if (d.stop > 0)
            for (std::size_t part = content.size() - 1; part > 0 && keep == 0; --part)
                if (s.pending.ends_with(std::string_view(content).substr(0, part))) keep = part;
        std::string ready = s.pending.substr(0, s.pending.size() - keep);
        s.pending.erase(0, ready.size());
        if (!ready.empty()) step(i + 1, std::move(ready));
    }
    void take(const ReplaceDecoder& d, std::size_t i, State&, std::string text) { step(i + 1, detail::replace_text(d, text)); }
    void take(const BpeDecoder& d, std::size_t i, State& s, std::string text) {
        if (!std::exchange(s.first, false)) step(i + 1, detail::replace_all(s.last, d.suffix, " "));
        s.last = std::move(text);
    }
    void take(const CtcDecoder& d, std::size_t i, State& s, std::string text) {
        if (!s.first && s.last == text) return;
        s.first = false;
        std::string shown = detail::ctc_text(d, text);
        s.last = std::move(text);
        if (!shown.empty()) step(i + 1, std::move(shown));
    }
    void take(const SentencePieceDecoder& d, std::size_t i, State& s, std::string text) {
        if (const auto byte = detail::named_byte(text)) {
            s.pending += static_cast<char>(*byte);
            // Whole characters, and bytes that no later byte can make one, are final.
            std::size_t at = 0;
            while (at < s.pending.size()) {
                const auto point = unicode::decode(s.pending, at);
                if (!point.valid && at + point.size == s.pending.size() && may_continue(std::string_view(s.pending).substr(at))) break;
                at += point.valid ? point.size : 1;
            }
            if (at == 0) return;
            std::string ready = detail::sentencepiece_byte_text(std::string_view(s.pending).substr(0, at));
            s.pending.erase(0, at);
            s.text = true;
            return step(i + 1, std::move(ready));
        }
        end(i);
        std::string_view piece = text;
        if (!s.text && !s.stripped && d.strip_first && piece.starts_with(detail::space_symbol)) {
            piece.remove_prefix(detail::space_symbol.size());
            s.stripped = !d.strip_all_leading;
        }
        std::string shown = detail::replace_all(piece, detail::space_symbol, " ");
        s.text = s.text || !shown.empty();
        step(i + 1, std::move(shown));
    }
    void take(const BytesDecoder&, std::size_t i, State& s, std::string text) {
        s.pending += detail::byte_token_text(text);
        std::size_t open = s.pending.size();  // where a character begins that the next byte may complete
        for (std::size_t back = 1; back <= 3 && back <= s.pending.size(); ++back) {
            const std::size_t at = s.pending.size() - back;
            const auto point = unicode::decode(s.pending, at);
            if (!point.valid && point.size == back && may_continue(std::string_view(s.pending).substr(at))) open = at;
        }
        std::string ready = detail::only_valid_utf8(std::string_view(s.pending).substr(0, open));
        s.pending.erase(0, open);
        if (!ready.empty()) step(i + 1, std::move(ready));
    }
    void take(const JoinDecoder&, std::size_t i, State& s, std::string text) {
        if (!std::exchange(s.first, false)) text.insert(0, 1, ' ');
        step(i + 1, std::move(text));
    }

    // What step `i` still holds goes on.
    void end(std::size_t i) {
        State& s = states_[i];
        std::string rest = std::exchange(s.pending, {});
        const Decoder& d = (*decoders_)[i];
        if (std::holds_alternative<ByteFallbackDecoder>(d)) {
            for (std::string& text : detail::byte_fallback_tokens(rest)) step(i + 1, std::move(text));
        } else if (std::holds_alternative<SentencePieceDecoder>(d)) {
            if (!rest.empty()) s.text = true, step(i + 1, detail::sentencepiece_byte_text(rest));
        } else if (const auto* strip = std::get_if<StripDecoder>(&d)) {
            StripDecoder at_end = *strip;
            at_end.start = 0;  // has been done
            if (!rest.empty()) step(i + 1, detail::strip_text(at_end, rest));
        } else if (const auto* bpe = std::get_if<BpeDecoder>(&d)) {
            if (!s.first) step(i + 1, detail::replace_all(s.last, bpe->suffix, ""));
        }
    }

    const Decoders* decoders_;
    std::vector<State> states_;
    std::size_t first_fused_ = 0;  // steps from here on see one token in parts
    bool streamed_ = true;
    std::vector<std::string> held_ = {};  // where the chain cannot be streamed
    std::string tail_ = {}, out_ = {};
};

}  // namespace morsel
