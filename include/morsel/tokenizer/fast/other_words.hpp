// Words that are not in their home line of the memory of words (word_cache.hpp): set aside while the others get their ids, then treated
// together. What they need from memory is asked for before any is looked at; those that are new become ids by the model, many in step
// where it can (merge_lanes.hpp), and are remembered; in the end their ids are put between those of the others.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "morsel/tokenizer/fast/buffer.hpp"
#include "morsel/tokenizer/fast/word_batch.hpp"
#include "morsel/tokenizer/fast/word_cache.hpp"

namespace morsel::fast {

// Of the words of one text, of which word i is bytes starts[i] … starts[i + 1] and 16 from starts[i] on are readable. miss(word, ids) appends the ids of a word.
template <class Miss>
class OtherWords {
  public:
    static constexpr std::size_t enough = 64;                      // to be treated
    static constexpr std::size_t most = enough + WordBatch::most;  // numbers of 8 bits tell one

    // `scratch`: for ids.
    OtherWords(const char* text, const std::uint32_t* starts, WordCache& cache, std::vector<TokenId>& scratch, Miss& miss) noexcept
        : text_(text), starts_(starts), cache_(cache), ids_(scratch), miss_(miss) {}

    std::size_t size() const noexcept { return size_; }
    // Writes the ids of a short word that the memory has, at most WordCache::most_ids, to `at`, which comes to stand behind them; gives false for a new or a longer one.
    [[gnu::noinline]] bool find_short(const WordKey& key, const WordCache::Line* home, TokenId*& at) const noexcept {
        if (!fast::is_short(key)) return false;
        const auto ids = cache_.find(key, home);
        at = std::copy(ids.begin(), ids.end(), at);
        return ids.data() != nullptr;
    }
    // Sets word i of the text aside, a long one or one that find_short did not find; `before` ids are before it.
    [[gnu::always_inline]] void add(std::size_t i, std::size_t before) noexcept { words_[size_] = static_cast<std::uint32_t>(i), before_[size_++] = before; }

    // Puts the ids of all words that were set aside into `out`, which has those of the others.
    [[gnu::noinline]] void finish(Buffer<TokenId>& out) {
        ids_.clear(), total_ = 0;
        for (std::size_t k = 0; k < size_; ++k) {
            if (is_short(k)) hashes_[k] = cache_.home_number(key(k));
            else cache_.ask_for_long(hashes_[k] = cache_.hash(word(k)));
        }
        for (std::size_t k = 0; k < size_; ++k)
            if (!is_short(k)) cache_.ask_for_long_word(hashes_[k]);
        std::uint8_t fresh[most], again[most], same[most];  // words to learn; words that come again among these, and as which
        std::size_t many_fresh = 0, many_again = 0;
        std::uint8_t seen[256];  // words to learn, by bits of their hashes
        std::memset(seen, most, sizeof seen);
        static_assert(most < 256);
        for (std::size_t k = 0; k < size_; ++k) {
            if (!is_short(k) && find_long(k)) continue;
            std::uint8_t& one = seen[hashes_[k] % sizeof seen];
            if (one != most && word(one) == word(k)) {
                again[many_again] = static_cast<std::uint8_t>(k), same[many_again++] = one;
            } else {
                one = fresh[many_fresh++] = static_cast<std::uint8_t>(k);
            }
        }
        learn({fresh, many_fresh});
        for (std::size_t i = 0; i < many_again; ++i) {
            begin_[again[i]] = begin_[same[i]];
            total_ += count_[again[i]] = count_[same[i]];
        }
        put_between(out);
        size_ = 0;
    }

  private:
    std::string_view word(std::size_t k) const noexcept { return {text_ + starts_[words_[k]], starts_[words_[k] + 1] - starts_[words_[k]]}; }
    bool is_short(std::size_t k) const noexcept { return word(k).size() <= short_word; }
    WordKey key(std::size_t k) const noexcept { return word_key(word(k).data(), word(k).size()); }

    // The ids of word k are what write() appends to ids_.
    template <class F> std::span<const TokenId> set(std::size_t k, F&& write) {
        begin_[k] = ids_.size();
        write();
        total_ += count_[k] = ids_.size() - begin_[k];
        return {ids_.data() + begin_[k], count_[k]};
    }

    // Whether the memory has word k, a long one.
    bool find_long(std::size_t k) {
        const auto known = cache_.find_long(word(k), hashes_[k]);
        if (known.data() != nullptr) set(k, [&] { ids_.insert(ids_.end(), known.begin(), known.end()); });
        return known.data() != nullptr;
    }
    void remember(std::size_t k, std::span<const TokenId> ids) {
        if (is_short(k)) cache_.insert(key(k), ids);
        else cache_.insert_long(word(k), hashes_[k], ids);
    }
    void learn_alone(std::size_t k) { remember(k, set(k, [&] { miss_(word(k), ids_); })); }

    void learn(std::span<const std::uint8_t> words) {
        if constexpr (requires { miss_.lanes(); }) return learn_in_lanes(words);
        for (const std::size_t k : words) learn_alone(k);
    }
    void learn_in_lanes(std::span<const std::uint8_t> words)
        requires requires(Miss& miss) { miss.lanes(); }
    {
        auto& narrow = miss_.lanes();
        auto& wide = miss_.wide_lanes();
        std::uint8_t in_narrow[std::decay_t<decltype(narrow)>::most], in_wide[std::decay_t<decltype(wide)>::most], alone[most];  // words of the lanes; of none
        std::size_t many_alone = 0;
        const auto learn_all = [&](auto& lanes, std::uint8_t* in) {
            miss_.merge(lanes);
            for (std::size_t lane = 0; lane < lanes.size(); ++lane)
                remember(in[lane], set(in[lane], [&] { lanes.for_each_token(lane, [&](TokenId id, std::size_t, std::size_t) { ids_.push_back(id); }); }));
            lanes.clear();
        };
        const auto add = [&](auto& lanes, std::uint8_t* in, std::uint8_t k) {
            in[lanes.size()] = k;
            if (!miss_.add(word(k), lanes)) alone[many_alone++] = k;
            else if (lanes.full()) learn_all(lanes, in);
        };
        narrow.clear(), wide.clear();
        for (const std::uint8_t k : words) {
            if (is_short(k)) add(narrow, in_narrow, k);
            else if (word(k).size() <= wide.most_symbols) add(wide, in_wide, k);
            else alone[many_alone++] = k;
        }
        learn_all(narrow, in_narrow), learn_all(wide, in_wide);
        for (std::size_t i = 0; i < many_alone; ++i) learn_alone(alone[i]);
    }

    void put_between(Buffer<TokenId>& out) const {
        out.reserve(total_);
        TokenId* from = out.data() + out.size();
        TokenId* to = from + total_;
        const TokenId* const end = to;
        for (std::size_t k = size_; k-- > 0;) {
            const auto behind = static_cast<std::size_t>(from - out.data()) - before_[k];
            from -= behind, to -= behind;
            std::memmove(to, from, behind * sizeof(TokenId));
            to -= count_[k];
            std::copy_n(ids_.data() + begin_[k], count_[k], to);
        }
        out.finish(end);
    }

    const char* text_;
    const std::uint32_t* starts_;
    WordCache& cache_;
    std::vector<TokenId>& ids_;  // of the words set aside, in the order they become known
    Miss& miss_;
    std::size_t size_ = 0, total_ = 0;                                // words; ids of all of them
    std::uint32_t words_[most];                                       // numbers in the text
    std::size_t before_[most], begin_[most], count_[most];            // ids of others; in ids_
    std::uint64_t hashes_[most];                                      // of a short word its home line
};

}  // namespace morsel::fast
