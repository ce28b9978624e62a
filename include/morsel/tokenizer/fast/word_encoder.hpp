// Ids of the words of a text out of a memory of words (word_cache.hpp): the second half of the fast way from text to ids. First the
// keys and places of 64 words are computed and their cache lines asked for, then each is looked at: by that time it is there. A word
// costs one line and one branch that is nearly always taken the same way; ids are written three at a time, needed or not.
// New words go to `miss`, which computes their ids by the model.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "morsel/tokenizer/fast/buffer.hpp"
#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/tokenizer/fast/word_cache.hpp"

namespace morsel::fast {

namespace detail {

// The word that its home line does not hold: elsewhere, long, of many ids, or new. Gives whether it was new.
template <class Miss>
[[gnu::noinline]] bool encode_other_word(std::string_view word, const WordKey& key, std::size_t home, WordCache& cache, std::vector<TokenId>& scratch, Buffer<TokenId>& out, Miss& miss) {
    const bool is_short = word.size() <= short_word;
    const std::uint64_t hash = is_short ? 0 : cache.hash(word);
    if (const auto ids = is_short ? cache.find(key, home) : cache.find_long(word, hash); ids.data() != nullptr) return out.append(ids), false;
    scratch.clear();
    miss(word, scratch);
    out.append(scratch);
    if (is_short) cache.insert(key, scratch);
    else cache.insert_long(word, hash, scratch);
    return true;
}

// Remembers words [begin, end) of a batch that are new, all that `miss` can take into its lanes: of many that merge together each costs half of what it
// does alone. Gives their number. Word i is bytes starts[i] … starts[i + 1] of text.
template <class Miss>
[[gnu::noinline]] std::size_t learn_words(WordBatch& batch, const char* text, const std::uint32_t* starts, std::size_t begin, std::size_t end, WordCache& cache, std::vector<TokenId>& scratch,
                                   Miss& miss) {
    const auto word = [&](std::size_t i) { return std::string_view(text + starts[i], starts[i + 1] - starts[i]); };
    std::size_t learnt = 0;
    const auto learn = [&](auto& lanes, const std::uint8_t* places, auto&& insert) {
        const unsigned version = cache.version();
        miss.merge(lanes);
        for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
            scratch.clear();
            lanes.for_each_token(lane, [&](TokenId id, std::size_t, std::size_t) { scratch.push_back(id); });
            insert(places[lane]);
        }
        learnt += lanes.size();
        lanes.clear();
        if (cache.version() != version) batch.move_homes(begin, end, cache);
    };
    auto& lanes = miss.lanes();
    auto& wide_lanes = miss.wide_lanes();
    std::uint8_t places[std::decay_t<decltype(lanes)>::most], wide_places[std::decay_t<decltype(wide_lanes)>::most];
    std::uint64_t hashes[WordBatch::most];
    const auto learn_short = [&] { learn(lanes, places, [&](std::size_t i) { cache.insert(batch.keys[i], scratch); }); };
    const auto learn_long = [&] {
        learn(wide_lanes, wide_places, [&](std::size_t i) {
            if (cache.find_long(word(i), hashes[i]).data() == nullptr) cache.insert_long(word(i), hashes[i], scratch);
        });
    };
    lanes.clear(), wide_lanes.clear();
    for (std::size_t i = begin; i < end; ++i) {
        if (batch.find(i, cache).second) continue;
        const std::size_t size = starts[i + 1] - starts[i];
        if (size <= short_word) {
            if (cache.find(batch.keys[i], batch.homes[i]).data() != nullptr) continue;
            places[lanes.size()] = static_cast<std::uint8_t>(i);
            if (miss.add(word(i), lanes) && lanes.full()) learn_short();
        } else if (size <= wide_lanes.most_symbols) {
            hashes[i] = cache.hash(word(i));
            if (cache.find_long(word(i), hashes[i]).data() != nullptr) continue;
            wide_places[wide_lanes.size()] = static_cast<std::uint8_t>(i);
            if (miss.add(word(i), wide_lanes) && wide_lanes.full()) learn_long();
        }
    }
    learn_short(), learn_long();
    return learnt;
}

}  // namespace detail

// Appends the ids of these words: word i is bytes starts[i] … starts[i + 1] of text, of which 16 from starts[i] on are readable.
// miss(word, ids) appends the ids of a word.
template <class Miss>
void encode_words(const char* text, const std::uint32_t* starts, std::size_t count, WordCache& cache, std::vector<TokenId>& scratch, Buffer<TokenId>& out, Miss&& miss) {
    WordBatch batch;
    std::size_t new_words = 0;  // of the batch before: where they are few, looking for more would cost more than it gives
    for (std::size_t first = 0; first < count; first += batch.most) {
        const std::size_t n = std::min(batch.most, count - first);
        batch.ask_for(text, starts + first, n, cache);
        TokenId* at = out.reserve(batch.most * WordCache::inline_ids + 4);
        bool learn = new_words >= 4;
        new_words = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const auto [slot, known] = batch.find(i, cache);
            std::memcpy(at, slot.ids, 16);
            if (known) [[likely]] {
                at += slot.count;
                continue;
            }
            if constexpr (requires { miss.lanes(); }) {
                if (learn) {
                    new_words = detail::learn_words(batch, text, starts + first, i--, n, cache, scratch, miss);
                    learn = false;
                    continue;
                }
            }
            out.finish(at);
            const std::uint32_t begin = starts[first + i];
            const unsigned version = cache.version();
            new_words += detail::encode_other_word({text + begin, starts[first + i + 1] - begin}, batch.keys[i], batch.homes[i], cache, scratch, out, miss);
            at = out.reserve(batch.most * WordCache::inline_ids + 4);
            if (cache.version() != version) batch.move_homes(i + 1, n, cache);
        }
        out.finish(at);
    }
}

}  // namespace morsel::fast
