// The fast way from ids to text: what most decoders make of a token does not depend on its neighbours, so it is computed once for every
// id, and decoding copies 16 bytes an id. Chains it knows: ByteLevel; WordPiece; Metaspace; Replace, ByteFallback, Fuse, Strip as Llama 2
// has them. Others, and what depends on the place (a first token, runs of bytes), are as in decoding/decoders.hpp, the plain reference.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/tokenizer/decoding/decoders.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel::fast {

class FastDecoder {
  public:
    // The decoder of this chain for ids below `id_bound`, or null where it is another.
    static std::shared_ptr<FastDecoder> create(const Decoders& decoders, std::uint64_t id_bound) {
        if (decoders.empty() || id_bound > most_ids) return nullptr;
        std::shared_ptr<FastDecoder> decoder(new FastDecoder(static_cast<std::size_t>(id_bound)));
        if (decoders.size() == 1 && std::holds_alternative<ByteLevelDecoder>(decoders[0])) decoder->kind_ = Kind::byte_level;
        else if (decoders.size() == 1 && std::holds_alternative<WordPieceDecoder>(decoders[0])) decoder->kind_ = Kind::wordpiece;
        else if (decoders.size() == 1 && std::holds_alternative<MetaspaceDecoder>(decoders[0])) decoder->kind_ = Kind::metaspace;
        else if (!is_fallback_chain(decoders)) return nullptr;
        return decoder;
    }

    // The text of these ids. token(id): what the decoders are fed for that id, nothing where it is no token; special(id): whether it is
    // to be left out. Both must always answer the same.
    template <class Token, class Special> std::string decode(const Decoders& decoders, std::span<const TokenId> ids, bool skip_special, Token&& token, Special&& special) const {
        std::call_once(filled_, [&] { fill(decoders, token, special); });
        std::string text;
        text.reserve(ids.size() * 4 + 16);
        std::string bytes;  // of a run of byte tokens
        const auto end_run = [&] {
            for (const std::string& part : morsel::detail::byte_fallback_tokens(bytes)) text += part;
            bytes.clear();
        };
        bool first = true;
        constexpr std::size_t batch = 1024;
        char buffer[batch * 16 + 16];
        for (std::size_t at = 0; at < ids.size();) {
            const std::size_t end = std::min(ids.size(), at + batch);
            char* out = buffer;
            for (; at < end && !first; ++at) {
                const Entry& entry = entries_[std::min<std::size_t>(ids[at], entries_.size() - 1)];
                std::memcpy(out, &entry, 16);
                if (entry.length >= unusual) break;
                out += entry.length;
            }
            if (out != buffer) {
                if (!bytes.empty()) end_run();
                text.append(buffer, static_cast<std::size_t>(out - buffer));
            }
            if (at == end) continue;
            // The first token, or an unusual one.
            const TokenId id = ids[at++];
            const Entry& entry = entries_[std::min<std::size_t>(id, entries_.size() - 1)];
            if (entry.length == absent || ((entry.flags & is_special) != 0 && skip_special)) continue;
            if ((entry.flags & is_byte) != 0) {
                bytes += entry.text[0];
            } else {
                if (!bytes.empty()) end_run();
                if (first) append_first(decoders, *token(id), text);
                else text += text_of(entry);
            }
            first = false;
        }
        if (!bytes.empty()) end_run();
        if (kind_ == Kind::fallback)
            for (const Decoder& step : decoders)
                if (const auto* strip = std::get_if<StripDecoder>(&step)) text = morsel::detail::strip_text(*strip, text);
        return unicode::is_valid_utf8(text) ? text : unicode::to_valid_utf8(text);
    }

  private:
    enum class Kind { byte_level, wordpiece, metaspace, fallback };
    static constexpr std::uint64_t most_ids = std::uint64_t{1} << 23;
    static constexpr std::uint8_t unusual = 15, elsewhere = 253, absent = 254, listed = 255;  // values of Entry::length
    static constexpr std::uint8_t is_special = 1, is_byte = 2;

    // What an id becomes, unless it is the first.
    struct alignas(16) Entry {
        char text[14] = {};         // or, where length says `elsewhere`, place and length in arena_
        std::uint8_t flags = 0;
        std::uint8_t length = absent;  // below `unusual`: bytes of text; `listed`: as many, in text[13], but look at the flags
    };

    explicit FastDecoder(std::size_t id_bound) : id_bound_(id_bound) {}

    // Replace and ByteFallback in any order, then Fuse, then Strip.
    static bool is_fallback_chain(const Decoders& decoders) {
        std::size_t i = 0, fallbacks = 0;
        for (; i < decoders.size() && (std::holds_alternative<ReplaceDecoder>(decoders[i]) || std::holds_alternative<ByteFallbackDecoder>(decoders[i])); ++i) {
            if (fallbacks > 0) return false;  // a Replace behind ByteFallback would see the bytes' text
            fallbacks += std::holds_alternative<ByteFallbackDecoder>(decoders[i]);
        }
        if (fallbacks != 1 || i == decoders.size() || !std::holds_alternative<FuseDecoder>(decoders[i])) return false;
        return std::all_of(decoders.begin() + static_cast<std::ptrdiff_t>(i) + 1, decoders.end(), [](const Decoder& d) { return std::holds_alternative<StripDecoder>(d); });
    }

    std::string replaced(const Decoders& decoders, std::string_view token) const {
        std::string text(token);
        for (const Decoder& step : decoders)
            if (const auto* replace = std::get_if<ReplaceDecoder>(&step)) text = morsel::detail::replace_text(*replace, text);
        return text;
    }

    std::string rest_text(const Decoders& decoders, std::string_view token) const {
        std::string bytes;
        switch (kind_) {
            case Kind::byte_level: morsel::detail::append_byte_level(token, bytes); return bytes;
            case Kind::wordpiece: return morsel::detail::wordpiece_text(std::get<WordPieceDecoder>(decoders[0]), std::string(token), false);
            case Kind::metaspace: return morsel::detail::metaspace_text(std::get<MetaspaceDecoder>(decoders[0]), token, false);
            case Kind::fallback: return replaced(decoders, token);
        }
        return bytes;
    }
    void append_first(const Decoders& decoders, std::string_view token, std::string& text) const {
        if (kind_ == Kind::wordpiece) text += morsel::detail::wordpiece_text(std::get<WordPieceDecoder>(decoders[0]), std::string(token), true);
        else if (kind_ == Kind::metaspace) text += morsel::detail::metaspace_text(std::get<MetaspaceDecoder>(decoders[0]), token, true);
        else text += rest_text(decoders, token);
    }

    template <class Token, class Special> void fill(const Decoders& decoders, Token& token, Special& special) const {
        entries_.assign(id_bound_ + 1, Entry{});  // one more, for ids beyond
        for (std::size_t id = 0; id < id_bound_; ++id) {
            const std::optional<std::string_view> source = token(static_cast<TokenId>(id));
            if (!source) continue;
            Entry& entry = entries_[id];
            const std::string text = rest_text(decoders, *source);
            if (special(static_cast<TokenId>(id))) entry.flags |= is_special;
            if (const auto byte = morsel::detail::named_byte(text); byte && kind_ == Kind::fallback) {
                entry.flags |= is_byte;
                entry.text[0] = static_cast<char>(*byte);
                entry.length = listed;
            } else if (text.size() < unusual && (entry.flags == 0 || text.size() < sizeof entry.text)) {
                std::copy(text.begin(), text.end(), entry.text);
                if (entry.flags == 0) entry.length = static_cast<std::uint8_t>(text.size());
                else entry.text[13] = static_cast<char>(text.size()), entry.length = listed;
            } else {
                const std::uint32_t place[2] = {static_cast<std::uint32_t>(arena_.size()), static_cast<std::uint32_t>(text.size())};
                std::memcpy(entry.text, place, sizeof place);
                entry.length = elsewhere;
                arena_ += text;
            }
        }
    }
    std::string_view text_of(const Entry& entry) const noexcept {
        if (entry.length < unusual) return {entry.text, entry.length};
        if (entry.length == listed) return {entry.text, static_cast<std::size_t>(entry.text[13])};
        std::uint32_t place[2];
        std::memcpy(place, entry.text, sizeof place);
        return std::string_view(arena_).substr(place[0], place[1]);
    }

    Kind kind_ = Kind::fallback;
    std::size_t id_bound_;
    // Filled when the first text is decoded: many programs never do.
    mutable std::once_flag filled_;
    mutable std::vector<Entry> entries_;  // [id_bound_ + 1]
    mutable std::string arena_;           // longer texts
};

}  // namespace morsel::fast
