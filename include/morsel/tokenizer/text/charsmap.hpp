// SentencePiece's precompiled character map: longest-prefix replacement rules (NFKC and the like) as a double array trie.
// Layout of the blob: u32 size of the trie in bytes, the trie's 32-bit units (little endian), then the replacements, each ended by
// NUL. Units as in darts-clone: label, has-leaf bit, offset. Every index is checked, so a hostile blob can only fail to match.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

class Charsmap {
  public:
    Charsmap() = default;

    // Throws Error where the blob contradicts itself.
    explicit Charsmap(std::string_view blob) {
        const auto fail = [](std::string expected, std::size_t found) {
            return Error("broken character map", {.key = "precompiled_charsmap", .expected = std::move(expected), .found = std::to_string(found) + " bytes"});
        };
        std::uint32_t trie_bytes = 0;
        if (blob.size() < sizeof trie_bytes) throw fail("4 bytes or more", blob.size());
        std::memcpy(&trie_bytes, blob.data(), sizeof trie_bytes);
        blob.remove_prefix(sizeof trie_bytes);
        if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > blob.size()) throw fail("a trie of " + std::to_string(trie_bytes) + " bytes, a multiple of 4 and not 0", blob.size());
        units_.resize(trie_bytes / 4);
        std::memcpy(units_.data(), blob.data(), trie_bytes);
        replacements_.assign(blob.substr(trie_bytes));
        if (offset_of(units_[0]) >= units_.size()) throw fail("a root within the trie", trie_bytes);
        if (!unicode::is_valid_utf8(replacements_)) throw fail("replacements in UTF-8", replacements_.size());
    }

    bool empty() const noexcept { return units_.empty(); }
    // What the constructor takes.
    std::string blob() const {
        const auto trie_bytes = static_cast<std::uint32_t>(4 * units_.size());
        std::string bytes(sizeof trie_bytes + trie_bytes, '\0');
        std::memcpy(bytes.data(), &trie_bytes, sizeof trie_bytes);
        if (trie_bytes > 0) std::memcpy(bytes.data() + sizeof trie_bytes, units_.data(), trie_bytes);
        return bytes + replacements_;
    }

    struct Match {
        std::size_t length;            // bytes of the text that are replaced
        std::string_view replacement;  // lives as long as the map
    };

    // The longest rule that begins the text: SentencePiece's choice.
    std::optional<Match> longest_prefix(std::string_view text) const noexcept { return prefix(text, false); }
    // The shortest: what Hugging Face tokenizers take.
    std::optional<Match> shortest_prefix(std::string_view text) const noexcept { return prefix(text, true); }
    // Whether there is a rule for a text that begins with `start`, or that `start` begins with.
    bool has_rule_with(std::string_view start) const noexcept {
        if (units_.empty()) return false;
        std::size_t node = offset_of(units_[0]);
        for (const char c : start) {
            const auto byte = static_cast<unsigned char>(c);
            node ^= byte;
            if (node >= units_.size() || (units_[node] & 0x800000ffu) != byte) return false;
            if ((units_[node] >> 8) & 1) return true;
            node ^= offset_of(units_[node]);
        }
        return true;
    }

  private:
    std::optional<Match> prefix(std::string_view text, bool shortest) const noexcept {
        if (units_.empty()) return std::nullopt;
        std::optional<Match> longest;
        std::size_t node = offset_of(units_[0]);
        for (std::size_t i = 0; i < text.size(); ++i) {
            const auto byte = static_cast<unsigned char>(text[i]);
            node ^= byte;
            if (node >= units_.size()) break;
            const std::uint32_t unit = units_[node];
            if ((unit & 0x800000ffu) != byte) break;
            node ^= offset_of(unit);
            if (node >= units_.size()) break;
            if ((unit >> 8) & 1) {
                const std::size_t at = units_[node] & 0x7fffffffu;
                if (at >= replacements_.size()) break;
                const std::string_view rest = std::string_view(replacements_).substr(at);
                longest = Match{i + 1, rest.substr(0, rest.find('\0'))};
                if (shortest) break;
            }
        }
        return longest;
    }

    static std::size_t offset_of(std::uint32_t unit) noexcept { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

    std::vector<std::uint32_t> units_;
    std::string replacements_;
};

}  // namespace morsel
