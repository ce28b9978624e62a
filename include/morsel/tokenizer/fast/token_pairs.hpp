// Which characters may stand side by side within a token. Where two characters never do, no merge of byte-pair encoding can cross
// between them, so the text may be cut there and both sides treated by themselves, with the same result: that makes short words, which
// come again, out of what is one long word for the model (a SentencePiece text, a run of ideographs).
// A set of hashes: it may say "perhaps" where the answer is no, which costs a cut, never the other way round. Of ASCII characters, and of
// U+2581 in tokens for the space in text, a table besides.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace morsel::fast {

class TokenPairs {
  public:
    // Room for the pairs of tokens of so many bytes together.
    explicit TokenPairs(std::size_t bytes = 0) {
        std::size_t bits = 1 << 12;
        while (bits < 8 * bytes && bits < std::size_t{1} << 24) bits *= 2, --shift_;
        hashed_.assign(bits / 64, 0);
    }

    // Every place within `token` where a character begins. Of a character at either end some bytes may be missing (byte-level BPE).
    void add(std::string_view token) {
        for (std::size_t i = 1; i < token.size(); ++i) {
            if (is_inner(token[i])) continue;
            if (const int left = ascii_before(token, i), right = ascii_at(token, i); left >= 0 && right >= 0) set(ascii_.data(), pair_of_ascii(left, right));
            const std::size_t left = is_inner(token[i - 1]) ? 2 : 1, right = bytes_of(token[i]);
            if (i < left || token.size() - i < right) {
                set(partial_.data(), pair_of_bytes(token[i - 1], token[i]));
            } else {
                char bytes[8] = {};
                for (std::size_t k = 0; k < left; ++k) bytes[3 - k] = token[i - 1 - k];
                for (std::size_t k = 0; k < right; ++k) bytes[4 + k] = token[i + k];
                set(hashed_.data(), slot(bytes + 4));
            }
        }
    }

    // Has no cut be made right before what begins as `token` does, nor right behind what ends as it does; whole characters, not empty.
    void keep_whole(std::string_view token) {
        keeps_ = true;
        char bytes[8] = {};
        for (std::size_t k = 0; k < std::min<std::size_t>(3, token.size()); ++k) bytes[4 + k] = token[k];
        set(hashed_.data(), slot_of(key_behind(bytes + 4)));
        for (std::size_t k = 0; k < std::min<std::size_t>(2, token.size()); ++k) bytes[3 - k] = token[token.size() - 1 - k];
        set(hashed_.data(), slot_of(key_before(bytes + 4)));
    }

    // To be called when all tokens have been added: makes the set as small as it can be with one bit of 64 taken, so that it stays in a near cache.
    void shrink() {
        std::size_t taken = 0;
        for (const std::uint64_t word : hashed_) taken += static_cast<std::size_t>(std::popcount(word));
        while (hashed_.size() > 64 && hashed_.size() / 2 >= taken) {
            std::vector<std::uint64_t> half(hashed_.size() / 2);
            for (std::size_t w = 0; w < hashed_.size(); ++w)
                for (std::uint64_t left = hashed_[w]; left != 0; left &= left - 1) set(half.data(), 32 * w + static_cast<std::size_t>(std::countr_zero(left)) / 2);
            hashed_ = std::move(half), ++shift_;
        }
    }

    // Whether the characters before and at `text`, of which 2 bytes before and 3 from it on are readable, may be in one token, or must not be
    // cut apart.
    bool may_meet(const char* text) const noexcept {
        if (keeps_ && (test(hashed_.data(), slot_of(key_before(text))) || test(hashed_.data(), slot_of(key_behind(text))))) return true;
        return test(hashed_.data(), slot(text)) || test(partial_.data(), pair_of_bytes(text[-1], text[0]));
    }

    // Whether simple_may_meet gives the same, where the character before has two bytes or more and the one at `text` three; 6 bytes from it on are readable.
    bool is_simple() const noexcept { return !keeps_ && std::endian::native == std::endian::little; }
    [[gnu::always_inline]] bool simple_may_meet(const char* text) const noexcept {
        std::uint64_t bytes;
        std::memcpy(&bytes, text - 2, 8);
        const bool hashed = test(hashed_.data(), slot_of(bytes & 0xffffffffffu)), partial = test(partial_.data(), bytes >> 8 & 0xffff);
        return hashed | partial;
    }

    // Likewise for ASCII characters of a text whose spaces are U+2581 in tokens.
    bool ascii_may_meet(char left, char right) const noexcept { return test(ascii_.data(), pair_of_ascii(left, right)); }

  private:
    // The ASCII character before, or at, a place of a token, a space for U+2581; -1 where there is another.
    static int ascii_before(std::string_view token, std::size_t i) noexcept {
        return !is_high(token[i - 1]) ? token[i - 1] : token.substr(0, i).ends_with("\u2581") ? ' ' : -1;
    }
    static int ascii_at(std::string_view token, std::size_t i) noexcept { return !is_high(token[i]) ? token[i] : token.substr(i).starts_with("\u2581") ? ' ' : -1; }
    static std::size_t pair_of_ascii(int left, int right) noexcept { return static_cast<std::size_t>(left) * 128 + static_cast<std::size_t>(right); }

    static bool is_high(char c) noexcept { return static_cast<unsigned char>(c) >= 0x80; }
    static bool is_inner(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
    // Bytes that tell a character apart: of one before, the last two; of one behind, the first three.
    static std::size_t bytes_of(char lead) noexcept {
        const auto byte = static_cast<unsigned char>(lead);
        return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : 3;
    }
    static std::uint64_t byte(const char* at, int i) noexcept { return static_cast<unsigned char>(at[i]); }
    // In the order of the text: bytes −2 … 2.
    static std::uint64_t key_before(const char* at) noexcept { return byte(at, -1) << 8 | (is_inner(at[-1]) ? byte(at, -2) : 0); }
    static std::uint64_t key_behind(const char* at) noexcept { return byte(at, 0) << 16 | (byte(at, 0) >= 0xC0 ? byte(at, 1) << 24 : 0) | (byte(at, 0) >= 0xE0 ? byte(at, 2) << 32 : 0); }
    std::size_t slot_of(std::uint64_t key) const noexcept { return (key * 0x9e3779b97f4a7c15u) >> shift_; }
    std::size_t slot(const char* at) const noexcept { return slot_of(key_before(at) | key_behind(at)); }
    static std::size_t pair_of_bytes(char left, char right) noexcept {
        return std::size_t{static_cast<unsigned char>(right)} << 8 | static_cast<unsigned char>(left);
    }
    static bool test(const std::uint64_t* bits, std::size_t i) noexcept { return (bits[i / 64] >> (i % 64) & 1) != 0; }
    static void set(std::uint64_t* bits, std::size_t i) noexcept { bits[i / 64] |= std::uint64_t{1} << (i % 64); }

    int shift_ = 64 - 12;
    bool keeps_ = false;                             // keep_whole has been called
    std::vector<std::uint64_t> hashed_;              // pairs of characters; with the other one 0, characters that no cut may be beside
    std::array<std::uint64_t, 1024> partial_ = {};   // pairs of bytes, where a token has but part of a character
    std::array<std::uint64_t, 256> ascii_ = {};      // pairs of ASCII characters
};

}  // namespace morsel::fast
