// Ids of the words of a text out of a memory of words (word_cache.hpp): the second half of the fast way from text to ids. First the
// keys and places of 64 words are computed and their cache lines asked for, then each is looked at: by that time it is there. A word
// costs one line and one branch that is nearly always taken the same way; ids are written three at a time, needed or not.
// Words that their line does not hold, new ones among them, are set aside for a while (other_words.hpp).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "morsel/tokenizer/fast/buffer.hpp"
#include "morsel/tokenizer/fast/other_words.hpp"
#include "morsel/tokenizer/fast/word_batch.hpp"
#include "morsel/tokenizer/fast/word_cache.hpp"

namespace morsel::fast {

// Appends the ids of these words: word i is bytes starts[i] … starts[i + 1] of text, of which 16 from starts[i] on are readable.
// miss(word, ids) appends the ids of a word.
template <class Miss>
void encode_words(const char* text, const std::uint32_t* starts, std::size_t count, WordCache& cache, std::vector<TokenId>& scratch, Buffer<TokenId>& out, Miss&& miss) {
    WordBatch batch;
    OtherWords<std::remove_reference_t<Miss>> others(text, starts, cache, scratch, miss);
    bool many = false;  // of the words of the batch before were of many ids
    for (std::size_t first = 0; first < count; first += batch.most) {
        const std::size_t n = std::min(batch.most, count - first);
        batch.ask_for(text, starts + first, n, cache);
        TokenId* at = out.reserve(batch.most_written);
        std::size_t found = 0;  // elsewhere than in their home line
        for (std::size_t i = 0; (i = batch.look(i, n, many, cache, at)) < n; ++i) {
            if (others.find_short(batch.key(i), batch.home(i), at)) ++found;
            else others.add(first + i, static_cast<std::size_t>(at - out.data()));
        }
        if (!many) many = found > 4;
        out.finish(at);
        if (others.size() >= others.enough) others.finish(out);
    }
    if (others.size() > 0) others.finish(out);
}

}  // namespace morsel::fast
