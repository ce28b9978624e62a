// From sequences of text to word counts, by the normalizer and pre-tokenizer that the tokenizer will use. Byte-level pre-tokenizers of known
// patterns are counted as raw bytes by the cutter of the fast encoder. Where white space ends every word, text is counted by what stands
// between ASCII spaces, and only distinct stretches are cut further; for BERT's pre-tokenizer those of printable ASCII are words and
// punctuation at once. All others go the plain way.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/tokenizer/splitting/byte_level_scanner.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"
#include "morsel/training/word_counts.hpp"

namespace morsel {

// How text becomes words.
struct WordSplitting {
    std::optional<Normalizer> normalizer = {};
    std::optional<PreTokenizer> pre_tokenizer = {};
};

// Counts sequence after sequence into one table. For one thread at a time.
class WordCounter {
  public:
    explicit WordCounter(const WordSplitting& splitting) : splitting_(splitting) {
        if (splitting.pre_tokenizer && !splitting.normalizer) bytes_ = byte_level_scanner(*splitting.pre_tokenizer);
        if (bytes_) cutter_ = fast::PieceCutter(bytes_->scanner), space_ = std::make_unique<fast::CutSpace>();
        by_spaces_ = splits_at_spaces(splitting);
        cuts_ascii_ = by_spaces_ && splitting.pre_tokenizer->steps.size() == 1 && std::holds_alternative<BertPreTokenizer>(splitting.pre_tokenizer->steps.front());
        lowercase_ = splitting.normalizer && std::any_of(splitting.normalizer->steps.begin(), splitting.normalizer->steps.end(), [](const auto& step) {
            const auto* bert = std::get_if<BertNormalizer>(&step);
            return (bert != nullptr && bert->lowercase) || std::holds_alternative<LowercaseNormalizer>(step);
        });
        counts_ = WordCounts(bytes_.has_value());
    }

    // Gives false, having counted some of it, where the sequence is no UTF-8.
    [[nodiscard]] bool add(std::string_view sequence, std::uint64_t times = 1) {
        if (sequence.empty()) return true;
        if (bytes_) return add_bytes(sequence, times);
        if (!unicode::is_valid_utf8(sequence)) return false;
        if (cuts_ascii_ && times == 1) add_ascii(sequence);
        else if (by_spaces_) add_stretches(sequence, times);
        else add_plain(sequence, times);
        return true;
    }

    // Bytes, of the tables.
    std::size_t memory() const noexcept { return stretches_.memory() + counts_.memory(); }

    // All that was counted so far; begins anew.
    WordCounts take() {
        const WordCounts stretches = std::exchange(stretches_, WordCounts());
        stretches.for_each([&](std::string_view stretch, std::uint64_t times) { add_plain(stretch, times); });
        return std::exchange(counts_, WordCounts(bytes_.has_value()));
    }

  private:
    // Whether what lies between two of ' ', \t, \n, \r gives the same words by itself: the pre-tokenizer ends words at white space, and the
    // normalizer neither changes these characters nor looks beyond them.
    static bool splits_at_spaces(const WordSplitting& splitting) {
        if (!splitting.pre_tokenizer || splitting.pre_tokenizer->steps.empty()) return false;
        const auto& first = splitting.pre_tokenizer->steps.front();
        if (!std::holds_alternative<BertPreTokenizer>(first) && !std::holds_alternative<WhitespacePreTokenizer>(first) && !std::holds_alternative<WhitespaceSplitPreTokenizer>(first)) return false;
        if (!splitting.normalizer) return true;
        return std::all_of(splitting.normalizer->steps.begin(), splitting.normalizer->steps.end(), [](const auto& step) {
            return std::holds_alternative<UnicodeNormalizer>(step) || std::holds_alternative<BertNormalizer>(step) || std::holds_alternative<LowercaseNormalizer>(step) ||
                   std::holds_alternative<StripAccentsNormalizer>(step);
        });
    }

    void add_plain(std::string_view sequence, std::uint64_t times) {
        std::vector<AlignedText> pieces{aligned(sequence)};
        if (splitting_.normalizer) normalize(*splitting_.normalizer, pieces[0]);
        if (splitting_.pre_tokenizer) pre_tokenize(*splitting_.pre_tokenizer, pieces);
        for (const AlignedText& piece : pieces) counts_.add(piece.text, times);
    }

    void add_stretches(std::string_view sequence, std::uint64_t times) {
        const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
        for (std::size_t i = 0; i < sequence.size(); ++i) {
            const std::size_t begin = i;
            while (i < sequence.size() && !is_space(sequence[i])) ++i;
            stretches_.add(sequence.substr(begin, i - begin), times);
        }
    }

    // A sequence whose stretches of printable ASCII are cut here: at punctuation, which is a word each. All that the normalizers of
    // splits_at_spaces do to such characters is to make them small.
    void add_ascii(std::string_view sequence) {
        enum : unsigned char { letter = 0, punctuation = 1, space = 2, other = 4 };
        static constexpr auto kinds = [] {
            std::array<unsigned char, 256> of{};
            for (unsigned c = 0; c < 256; ++c)
                of[c] = c == ' ' || c == '\t' || c == '\n' || c == '\r' ? space : c < ' ' || c > '~' ? other : unicode::is_ascii_punctuation(static_cast<char32_t>(c)) ? punctuation : letter;
            return of;
        }();
        const auto kind_at = [&](std::size_t i) { return kinds[static_cast<unsigned char>(sequence[i])]; };
        copy_.assign(sequence).append(16, '\0');
        if (lowercase_)
            for (char& c : copy_) c = static_cast<char>(c | ((c >= 'A' && c <= 'Z') ? 0x20 : 0));
        constexpr std::size_t most = 256;
        std::uint32_t starts[most], ends[most];
        std::size_t n = 0;
        for (std::size_t i = 0; i < sequence.size(); ++i) {  // i: a stretch or, of several spaces, the next one
            const std::size_t begin = i, words = n;
            unsigned char seen = 0;
            for (std::size_t word = i;; ++i) {
                const unsigned char kind = i < sequence.size() ? kind_at(i) : static_cast<unsigned char>(space);
                seen |= kind;
                if (kind == letter) continue;
                if (kind == other || n + 2 > most) {
                    seen |= other;
                    break;
                }
                if (word < i) starts[n] = static_cast<std::uint32_t>(word), ends[n++] = static_cast<std::uint32_t>(i);
                if (kind == space) break;
                starts[n] = static_cast<std::uint32_t>(i), ends[n++] = static_cast<std::uint32_t>(word = i + 1);
            }
            if ((seen & other) != 0) {
                n = words;
                while (i < sequence.size() && kind_at(i) != space) ++i;
                stretches_.add(sequence.substr(begin, i - begin));
            }
            if (n > most / 2) counts_.add_pieces(copy_.data(), starts, ends, std::exchange(n, 0));
        }
        counts_.add_pieces(copy_.data(), starts, ends, n);
    }

    bool add_bytes(std::string_view sequence, std::uint64_t times) {
        if (bytes_->prefix_space && sequence.front() != ' ') {
            prefixed_.assign(1, ' ').append(sequence);
            sequence = prefixed_;
        }
        for (std::size_t at = 0; at < sequence.size();) {
            const fast::Pieces pieces = cutter_.cut(sequence, at, *space_);
            if (pieces.count == 0) return false;
            if (times == 1) counts_.add_pieces(pieces.text, space_->starts, space_->starts + 1, pieces.count);
            else
                for (std::size_t i = 0; i < pieces.count; ++i) counts_.add({pieces.text + space_->starts[i], space_->starts[i + 1] - space_->starts[i]}, times);
            at += pieces.bytes;
        }
        return true;
    }

    WordSplitting splitting_;
    std::optional<ByteLevelScanner> bytes_ = {};
    fast::PieceCutter cutter_;
    std::unique_ptr<fast::CutSpace> space_ = {};
    std::string prefixed_ = {}, copy_ = {};
    bool by_spaces_ = false, cuts_ascii_ = false, lowercase_ = false;
    WordCounts stretches_;  // between spaces; cut into words at the end
    WordCounts counts_;
};

}  // namespace morsel
