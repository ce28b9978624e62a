// The fast way from text to ids for byte-level BPE (GPT-2, RoBERTa, Llama-3, SmolLM2, Qwen2 and their kin): a hand-written scanner cuts
// pieces out of the text as it is, and most pieces are one token, found by one probe of a table keyed by the raw bytes. No mapping of
// bytes to characters, no offsets, no allocation per piece. The plain pipeline in tokenizer.hpp is its reference; tests hold the two equal.
// A piece that is in the vocabulary is not always that token: merges may never reach it. So each entry remembers whether it encodes
// to itself, found out by merging when it is first met; the memory is one relaxed atomic, so a tokenizer stays shareable.
// Leaves out normalizers, and pre-tokenizers other than the three shapes of `create`: those take the plain way.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/flat_map.hpp"
#include "morsel/tokenizer/models/bpe.hpp"
#include "morsel/tokenizer/splitting/pre_tokenizers.hpp"
#include "morsel/tokenizer/text/byte_level.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"
#include "morsel/unicode/utf8.hpp"

namespace morsel {

class ByteLevelEncoder {
  public:
    // The encoder of these parts, or null where they are not of its kind: a tokenizer without normalizer whose pre-tokenizer is
    // ByteLevel, Split by a known pattern and then ByteLevel, or Digits and then ByteLevel; all 256 bytes must be tokens.
    static std::shared_ptr<const ByteLevelEncoder> create(const Bpe& model, bool has_normalizer, const std::optional<PreTokenizer>& pre_tokenizer) {
        if (has_normalizer || !pre_tokenizer || !model.continuing_subword_prefix.empty() || !model.end_of_word_suffix.empty()) return nullptr;
        if (model.vocabulary.id_bound() > std::uint64_t{id_mask} + 1) return nullptr;
        std::shared_ptr<ByteLevelEncoder> encoder(new ByteLevelEncoder);
        if (!encoder->take_pre_tokenizer(*pre_tokenizer) || !encoder->take_bytes(model)) return nullptr;
        encoder->fill_tables(model);
        return encoder;
    }

    // Appends the ids of one section, the text between added tokens. `model` is the one it was made for; `section` must be valid UTF-8.
    void encode(const Bpe& model, std::string_view section, std::vector<TokenId>& ids) const {
        std::string prefixed;
        if (add_prefix_space_ && !section.empty() && section.front() != ' ') {
            prefixed.reserve(section.size() + 1);
            prefixed += ' ';
            prefixed += section;
            section = prefixed;
        }
        for (std::size_t at = 0; at < section.size();) {
            const std::size_t end = scanner_.next(section, at);
            encode_piece(model, section, at, end, ids);
            at = end;
        }
    }

  private:
    static constexpr std::size_t short_bytes = 15;  // longest piece that fits a key
    static constexpr std::uint32_t id_mask = (1u << 30) - 1, is_itself = 1u << 30, is_other = 1u << 31;
    static constexpr std::uint32_t free_slot = 0xffffffffu;

    // A piece of at most 15 bytes, zero-padded, its length in the last byte.
    struct Key {
        std::uint64_t low = 0, high = 0;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct Slot {
        Key key = {};
        std::atomic<std::uint32_t> id_and_state = free_slot;  // id, and is_itself or is_other where that is known
    };

    ByteLevelEncoder() : seed_(HashSeed::random()), long_tokens_(seed_) {}

    bool take_pre_tokenizer(const PreTokenizer& pre_tokenizer) {
        const auto& steps = pre_tokenizer.steps;
        if (steps.empty() || steps.size() > 2) return false;
        const auto* bytes = std::get_if<ByteLevelPreTokenizer>(&steps.back());
        if (bytes == nullptr) return false;
        if (steps.size() == 1) {
            scanner_ = split::gpt2;
            add_prefix_space_ = bytes->add_prefix_space;
            return bytes->use_regex;
        }
        if (bytes->add_prefix_space) return false;
        if (const auto* digits = std::get_if<DigitsPreTokenizer>(&steps[0])) {
            scanner_ = split::smollm;
            return digits->individual_digits && bytes->use_regex;
        }
        const auto* by_pattern = std::get_if<SplitPreTokenizer>(&steps[0]);
        if (by_pattern == nullptr || bytes->use_regex) return false;
        const auto* scanner = std::get_if<SplitScanner>(&by_pattern->pattern.matcher);
        if (scanner == nullptr || scanner->is_match != nullptr) return false;
        scanner_ = *scanner;
        // Every piece is a match, so matches isolated and gaps removed are the same.
        return by_pattern->invert ? by_pattern->behavior == SplitBehavior::removed : by_pattern->behavior == SplitBehavior::isolated;
    }

    bool take_bytes(const Bpe& model) {
        for (std::size_t b = 0; b < 256; ++b) {
            std::string character;
            unicode::append(character, byte_to_character[b]);
            const auto id = model.vocabulary.id(character);
            if (!id) return false;
            byte_ids_[b] = *id;
        }
        return true;
    }

    // Every token that is made of byte characters, under its bytes.
    void fill_tables(const Bpe& model) {
        std::size_t capacity = 1024;
        while (capacity < 2 * model.vocabulary.size()) capacity *= 2;
        slots_ = std::make_unique<Slot[]>(capacity);
        mask_ = capacity - 1;
        std::string bytes;
        model.vocabulary.for_each([&](std::string_view token, TokenId id) {
            bytes.clear();
            for (std::size_t i = 0; i < token.size();) {
                const int byte = character_to_byte(unicode::next_code_point(token, i));
                if (byte < 0) return;
                bytes += static_cast<char>(byte);
            }
            if (bytes.empty()) return;
            if (bytes.size() > short_bytes) return void(long_tokens_.set(bytes, id));
            const Key key = key_of(bytes.data(), bytes.size(), bytes.size());
            std::size_t at = position(key);
            slots_[at].key = key;
            slots_[at].id_and_state.store(id | (model.ignore_merges || bytes.size() == 1 ? is_itself : 0), std::memory_order_relaxed);
        });
    }

    // `readable`: bytes from `text` on that may be read.
    static Key key_of(const char* text, std::size_t length, std::size_t readable) noexcept {
        Key key;
        if (readable >= 16) {
            std::memcpy(&key, text, 16);
            const std::size_t bits = length * 8;  // 8 … 120
            if (bits < 64) {
                key.low &= (std::uint64_t{1} << bits) - 1;
                key.high = 0;
            } else {
                key.high &= (std::uint64_t{1} << (bits - 64)) - 1;
            }
        } else {
            std::memcpy(&key, text, length);
        }
        key.high |= std::uint64_t{length} << 56;
        return key;
    }

    // The slot of that key, or the free slot where it belongs.
    std::size_t position(const Key& key) const noexcept {
        std::size_t at = detail::folded_product(key.low ^ seed_.first, key.high ^ seed_.second) & mask_;
        while (slots_[at].key != key && slots_[at].id_and_state.load(std::memory_order_relaxed) != free_slot) at = (at + 1) & mask_;
        return at;
    }

    void encode_piece(const Bpe& model, std::string_view section, std::size_t begin, std::size_t end, std::vector<TokenId>& ids) const {
        const std::size_t length = end - begin;
        if (length <= short_bytes) {
            Slot& slot = slots_[position(key_of(section.data() + begin, length, section.size() - begin))];
            const std::uint32_t found = slot.id_and_state.load(std::memory_order_relaxed);
            if (found != free_slot) {
                if ((found & is_itself) != 0) return ids.push_back(found & id_mask);
                if ((found & is_other) == 0) {
                    const std::size_t before = ids.size();
                    merge(model, section.substr(begin, length), ids);
                    const bool itself = ids.size() == before + 1 && ids.back() == (found & id_mask);
                    return slot.id_and_state.store(found | (itself ? is_itself : is_other), std::memory_order_relaxed);
                }
            }
        } else if (model.ignore_merges) {
            if (const auto id = long_tokens_.find(section.substr(begin, length))) return ids.push_back(*id);
        }
        merge(model, section.substr(begin, length), ids);
    }

    // The definition of BPE, on bytes.
    void merge(const Bpe& model, std::string_view piece, std::vector<TokenId>& ids) const {
        ModelTokens symbols;
        symbols.reserve(piece.size());
        for (std::size_t i = 0; i < piece.size(); ++i) symbols.push_back({byte_ids_[static_cast<unsigned char>(piece[i])], i, i + 1});
        if (symbols.size() <= detail::bpe_scan_limit) detail::bpe_merge_scan(model.merges, symbols, 0);
        else detail::bpe_merge_heap(model.merges, symbols, 0);
        for (const ModelToken& symbol : symbols) ids.push_back(symbol.id);
    }

    SplitScanner scanner_ = {};
    bool add_prefix_space_ = false;
    std::array<TokenId, 256> byte_ids_ = {};
    HashSeed seed_;
    std::unique_ptr<Slot[]> slots_;  // [mask_ + 1]; the states within change while encoding
    std::size_t mask_ = 0;
    StringMap long_tokens_;
};

}  // namespace morsel
