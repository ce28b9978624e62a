// Byte-level BPE of one piece, without any memory of earlier ones: what the fast way (word_encoder.hpp) does with a word that it meets
// for the first time. pair_merger.hpp on bytes, whose first pairs are looked up in a table of 256 × 256.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/tokenizer/fast/pair_merger.hpp"
#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"

namespace morsel::fast {

class BytePairMerger {
  public:
    // Gives nothing where the model is not byte-level: a byte is no token, or there are prefixes or suffixes.
    static std::optional<BytePairMerger> create(const Bpe& model) {
        if (!model.continuing_subword_prefix.empty() || !model.end_of_word_suffix.empty()) return std::nullopt;
        BytePairMerger merger;
        for (std::size_t b = 0; b < 256; ++b) {
            std::string character;
            unicode::append(character, byte_to_character[b]);
            const auto id = model.vocabulary.id(character);
            if (!id) return std::nullopt;
            merger.byte_ids_[b] = *id;
        }
        auto pairs = PairMerger::create(model.merges, model.vocabulary.id_bound());
        if (!pairs) return std::nullopt;
        merger.pairs_ = std::move(*pairs);
        merger.byte_pairs_.resize(std::size_t{256} * 256);
        for (std::size_t left = 0; left < 256; ++left)
            for (std::size_t right = 0; right < 256; ++right) merger.byte_pairs_[256 * left + right] = merger.pairs_.rank(merger.byte_ids_[left], merger.byte_ids_[right]);
        return merger;
    }

    // Appends the ids of one piece, not empty.
    void encode(std::string_view piece, MergeSpace& space, std::vector<TokenId>& ids) const {
        with_bytes(piece, [&](auto&& symbol, auto&& first_rank) { pairs_.merge(piece.size(), symbol, first_rank, space, ids); });
    }
    // The same for many short pieces: adds one, and merges those that were added.
    template <std::size_t Symbols> void add(std::string_view piece, MergeLanes<Symbols>& lanes) const noexcept {
        with_bytes(piece, [&](auto&& symbol, auto&& first_rank) { lanes.add(piece.size(), symbol, first_rank); });
    }
    template <std::size_t Symbols> void merge(MergeLanes<Symbols>& lanes) const noexcept { pairs_.merge(lanes); }

  private:
    // Calls f(symbol, first_rank) for the bytes of a piece.
    template <class F> [[gnu::always_inline]] void with_bytes(std::string_view piece, F&& f) const {
        const auto byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(piece[i])}; };
        f([&](std::size_t i) { return byte_ids_[byte(i)]; }, [&](std::size_t i) { return byte_pairs_[256 * byte(i) + byte(i + 1)]; });
    }

    std::array<TokenId, 256> byte_ids_ = {};
    std::vector<std::uint32_t> byte_pairs_;  // [256 × 256] rank of the merge of two bytes
    PairMerger pairs_;
};

}  // namespace morsel::fast
