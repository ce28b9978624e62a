// The fast way from text to ids: cut the text into words that the tokenizer treats one by one (piece_cutter.hpp), and look each up in
// a memory of words met before (word_encoder.hpp). What a tokenizer's words are, and how a new one becomes ids, is decided once, when
// it is loaded. The plain pipeline in tokenizer.hpp is the reference; tests hold the two equal.
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "morsel/tokenizer/fast/byte_pair_merger.hpp"
#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/tokenizer/fast/workspace.hpp"
#include "morsel/tokenizer/splitting/byte_level_scanner.hpp"
#include "morsel/tokenizer/tokenizer_parts.hpp"

namespace morsel::fast {

class FastEncoder {
  public:
    // The encoder of these parts, or null where they are not of a kind it knows.
    static std::shared_ptr<FastEncoder> create(const TokenizerParts& parts, std::size_t cache_bytes) {
        const auto* bpe = std::get_if<Bpe>(&parts.model);
        if (bpe == nullptr || parts.normalizer || !parts.pre_tokenizer) return nullptr;
        std::shared_ptr<FastEncoder> encoder(new FastEncoder(cache_bytes));
        if (!encoder->take_byte_level(*parts.pre_tokenizer)) return nullptr;
        auto merger = BytePairMerger::create(*bpe);
        if (!merger) return nullptr;
        encoder->merger_ = std::move(*merger);
        return encoder;
    }

    WorkspacePool::Loan workspace() { return pool_.take(); }

    // Appends to workspace.ids the ids of one section, the text between added tokens. `parts` are those it was made for. Gives false
    // where the section is no UTF-8; what ids there are then mean nothing.
    bool encode(const TokenizerParts& parts, std::string_view section, Workspace& workspace) const {
        if (prefix_space_ && !section.empty() && section.front() != ' ') {
            workspace.text.assign(1, ' ').append(section);
            section = workspace.text;
        }
        const Bpe& model = std::get<Bpe>(parts.model);
        const auto miss = [&](std::string_view word, std::vector<TokenId>& ids) {
            if (model.ignore_merges)
                if (const auto id = whole_word(model, word)) return ids.push_back(*id);
            merger_.encode(model, word, workspace.merge, ids);
        };
        for (std::size_t at = 0; at < section.size();) {
            const Pieces pieces = cutter_.cut(section, at, workspace.cut);
            if (pieces.count == 0) return false;
            encode_words(pieces.text, workspace.cut.starts, pieces.count, workspace.cache, workspace.word_ids, workspace.ids, miss);
            at += pieces.bytes;
        }
        return true;
    }

  private:
    explicit FastEncoder(std::size_t cache_bytes) : pool_(cache_bytes) {}

    bool take_byte_level(const PreTokenizer& pre_tokenizer) {
        const auto known = byte_level_scanner(pre_tokenizer);
        if (!known) return false;
        cutter_ = PieceCutter(known->scanner);
        prefix_space_ = known->prefix_space;
        return true;
    }

    static std::optional<TokenId> whole_word(const Bpe& model, std::string_view word) {
        std::string characters;
        for (const char byte : word) unicode::append(characters, byte_to_character[static_cast<unsigned char>(byte)]);
        return model.vocabulary.id(characters);
    }

    PieceCutter cutter_;
    bool prefix_space_ = false;
    BytePairMerger merger_;
    mutable WorkspacePool pool_;
};

}  // namespace morsel::fast
