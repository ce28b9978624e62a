// From sequences of text to word counts, by the normalizer and pre-tokenizer that the tokenizer will use. Byte-level pre-tokenizers of known
// patterns are counted as raw bytes by the cutter of the fast encoder. Where white space ends every word, text is counted by what stands
// between ASCII spaces, and only distinct stretches are cut further. All others go the plain way.
#pragma once
#include <algorithm>
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
        counts_ = WordCounts(bytes_.has_value());
    }

    // Gives false, having counted some of it, where the sequence is no UTF-8.
    [[nodiscard]] bool add(std::string_view sequence, std::uint64_t times = 1) {
        if (sequence.empty()) return true;
        if (bytes_) return add_bytes(sequence, times);
        if (!unicode::is_valid_utf8(sequence)) return false;
        if (by_spaces_) add_stretches(sequence, times);
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

    bool add_bytes(std::string_view sequence, std::uint64_t times) {
        if (bytes_->prefix_space && sequence.front() != ' ') {
            prefixed_.assign(1, ' ').append(sequence);
            sequence = prefixed_;
        }
        for (std::size_t at = 0; at < sequence.size();) {
            const fast::Pieces pieces = cutter_.cut(sequence, at, *space_);
            if (pieces.count == 0) return false;
            if (times == 1) counts_.add_pieces(pieces.text, space_->starts, pieces.count);
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
    std::string prefixed_ = {};
    bool by_spaces_ = false;
    WordCounts stretches_;  // between spaces; cut into words at the end
    WordCounts counts_;
};

}  // namespace morsel
