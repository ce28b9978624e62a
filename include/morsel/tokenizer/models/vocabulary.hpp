// The vocabulary of a tokenizer: token (any bytes) ↔ id. Built once by a loader, then only read.
// Ids need not be dense: a file may name id 2^32-1, so the table id → token is an array only where that costs no more than the
// entries themselves, else a hash table. Of a token listed twice the last id holds, of an id listed twice the last token (as
// Hugging Face tokenizers do).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/flat_map.hpp"

namespace morsel {

class Vocabulary {
  public:
    void reserve(std::size_t count) { ids_.reserve(count); }

    // Adds a token, or gives a known one another id. Throws Error on a token of 4 GiB or more.
    void add(std::string_view token, TokenId id) {
        const std::size_t entry = ids_.set(token, id);
        id_bound_ = std::max(id_bound_, std::uint64_t{id} + 1);
        entry_of_id_.push_back({id, static_cast<std::uint32_t>(entry)});
    }

    // Must be called once after the last `add`: makes the table id → token.
    void finish() {
        if (id_bound_ <= 64 * std::uint64_t{ids_.size()} + 1024) {
            dense_.assign(static_cast<std::size_t>(id_bound_), none);
            for (const auto& [id, entry] : entry_of_id_) dense_[id] = entry;
        } else {
            for (const auto& [id, entry] : entry_of_id_) sparse_.set(id, entry);
        }
        entry_of_id_ = {};
    }

    // Distinct tokens.
    std::size_t size() const noexcept { return ids_.size(); }
    // One more than the largest id.
    std::uint64_t id_bound() const noexcept { return id_bound_; }

    std::optional<TokenId> id(std::string_view token) const noexcept { return ids_.find(token); }

    static constexpr std::size_t batch = StringMap::batch;
    // The ids of at most `batch` tokens, faster than one by one.
    void ids(std::span<const std::string_view> tokens, std::optional<TokenId>* out) const noexcept { ids_.find(tokens, out); }

    // The token of that id, or nothing. The text lives as long as the vocabulary.
    std::optional<std::string_view> token(TokenId id) const noexcept {
        std::uint32_t entry = none;
        if (!dense_.empty()) {
            if (id < dense_.size()) entry = dense_[id];
        } else if (const std::uint32_t* found = sparse_.find(id)) {
            entry = *found;
        }
        if (entry == none || ids_.entries()[entry].value != id) return std::nullopt;  // the token has moved to another id
        return ids_.text(ids_.entries()[entry]);
    }

    // f(token, id) for every token, in the order of the file.
    template <class F> void for_each(F&& f) const {
        for (const StringMap::Entry& entry : ids_.entries()) f(ids_.text(entry), TokenId{entry.value});
    }

  private:
    static constexpr std::uint32_t none = 0xffffffffu;
    StringMap ids_;
    std::vector<std::pair<TokenId, std::uint32_t>> entry_of_id_;  // until `finish`
    std::vector<std::uint32_t> dense_;                            // [id_bound] entry
    FlatMap<std::uint32_t> sparse_;                               // id → entry
    std::uint64_t id_bound_ = 0;
};

}  // namespace morsel
