// The ids of many texts in one array, as data sets for training keep them: no memory of its own for each text, and nothing copied twice.
// Tokenizer::encode_ids_batch makes it.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/huge_pages.hpp"
#include "morsel/core/threads.hpp"

namespace morsel {

struct IdBatch {
    std::vector<TokenId> ids;       // of all texts, one after another
    std::vector<std::size_t> ends;  // [texts]; where the ids of each end

    std::size_t size() const noexcept { return ends.size(); }
    std::span<const TokenId> operator[](std::size_t text) const noexcept {
        const std::size_t begin = text == 0 ? 0 : ends[text - 1];
        return {ids.data() + begin, ends[text] - begin};
    }
};

namespace detail {

// Fills `batch`, whose memory is used again, section by section of some 128 KB of text: encode(first, last, append) calls append(ids, ends) with the
// ids of texts [first, last) and the number of ids there are after each. Sections are appended in order: one that is ready too early waits in memory of
// its own, nobody waits for it.
template <class Encode> void fill_batch(std::span<const std::string_view> texts, IdBatch& batch, ThreadPool* pool, Encode&& encode) {
    constexpr std::size_t section_bytes = std::size_t{1} << 17;
    batch.ids.clear(), batch.ends.clear();
    batch.ends.reserve(texts.size());
    std::vector<std::size_t> firsts, bytes_before;  // of each section
    std::size_t bytes = 0;                          // of all texts
    for (std::size_t i = 0; i < texts.size(); bytes += texts[i++].size())
        if (i == 0 || bytes - bytes_before.back() >= section_bytes) firsts.push_back(i), bytes_before.push_back(bytes);
    firsts.push_back(texts.size()), bytes_before.push_back(bytes);
    struct Waiting {
        bool ready = false;
        std::vector<TokenId> ids;
        std::vector<std::size_t> ends;
    };
    std::vector<Waiting> waiting(firsts.size());
    std::mutex appending;
    std::size_t appended = 0;  // sections
    std::atomic<std::size_t> next{0};
    const auto append = [&](std::span<const TokenId> ids, const std::vector<std::size_t>& ends) {
        const std::size_t before = batch.ids.size();
        ++appended;
        // Room for what the texts to come should need, and a sixteenth more: moving ids costs more than it costs to write them. But for no more than an id
        // for every two bytes, whatever the first texts were like.
        if (const std::size_t now = before + ids.size(); now > batch.ids.capacity()) {
            const std::size_t seen = bytes_before[appended], to_come = bytes - seen;
            const double expected = static_cast<double>(now) / static_cast<double>(std::max<std::size_t>(seen, 1)) * static_cast<double>(to_come) * 17 / 16;
            reserve_more(batch.ids, now + static_cast<std::size_t>(std::min(expected, static_cast<double>(to_come) / 2)));
        }
        batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
        for (const std::size_t end : ends) batch.ends.push_back(before + end);
    };
    const auto work = [&](unsigned) {
        for (std::size_t section; (section = next.fetch_add(1, std::memory_order_relaxed)) + 1 < firsts.size();) {
            encode(firsts[section], firsts[section + 1], [&](std::span<const TokenId> ids, const std::vector<std::size_t>& ends) {
                const std::scoped_lock lock(appending);
                if (section != appended) {
                    waiting[section] = {true, {ids.begin(), ids.end()}, ends};
                    return;
                }
                append(ids, ends);
                for (; waiting[appended].ready; waiting[appended - 1] = {}) append(waiting[appended].ids, waiting[appended].ends);
            });
        }
    };
    try {
        if (pool != nullptr) pool->run(work);
        else work(0);
    } catch (...) {
        batch = {};
        throw;
    }
}

}  // namespace detail

}  // namespace morsel
