// What one call of the fast encoder writes to, and the pool that lends it: a Tokenizer stays shareable between threads, and what one
// call has learnt serves the next. A thread gets the workspace that it had before where it can.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "morsel/tokenizer/fast/byte_pair_merger.hpp"
#include "morsel/tokenizer/fast/piece_cutter.hpp"
#include "morsel/tokenizer/fast/placed_words.hpp"
#include "morsel/tokenizer/fast/unigram_words.hpp"
#include "morsel/tokenizer/fast/word_cache.hpp"
#include "morsel/tokenizer/fast/word_encoder.hpp"

namespace morsel::fast {

struct Workspace {
    explicit Workspace(std::size_t cache_bytes) : cache(cache_bytes) {}
    WordCache cache;
    CutSpace cut;
    Buffer<TokenId> ids;
    std::vector<TokenId> word_ids;  // of a new word
    std::unique_ptr<WordCache> placed_cache;  // for ids with places; made when they are first asked for
    PlacedIds placed;
    std::vector<PlacedToken> word_tokens;
    MergeSpace merge;
    std::string text;  // a section with something put before it
    std::string word;  // a word in lower case
    UnigramSpace unigram;

    // Gives back what an unusually long text has needed.
    void trim() {
        constexpr std::size_t usual = std::size_t{1} << 20;
        if (ids.capacity() > usual) ids = {};
        if (placed.marks.capacity() > usual) placed = {};
        if (word_tokens.capacity() > usual) word_tokens = {};
        if (word_ids.capacity() > usual) word_ids = {};
        if (merge.symbols.capacity() > usual || merge.candidates.capacity() > usual || merge.characters.capacity() > usual || merge.ranks.capacity() > usual) merge = {};
        if (text.capacity() > usual) text = {};
        if (word.capacity() > usual) word = {};
        if (unigram.word.capacity() > usual) unigram = {};
    }
};

class WorkspacePool {
  public:
    // `cache_bytes`: what each workspace may remember.
    explicit WorkspacePool(std::size_t cache_bytes) noexcept : cache_bytes_(cache_bytes) {}
    WorkspacePool(const WorkspacePool&) = delete;
    WorkspacePool& operator=(const WorkspacePool&) = delete;
    ~WorkspacePool() {
        for (auto& place : places_) delete place.load(std::memory_order_relaxed);
    }

    // Goes back to the pool at the end of its life.
    class Loan {
      public:
        Loan(WorkspacePool& pool, std::unique_ptr<Workspace> workspace, std::size_t home) noexcept : pool_(pool), workspace_(std::move(workspace)), home_(home) {}
        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        ~Loan() { pool_.give_back(std::move(workspace_), home_); }
        Workspace& operator*() const noexcept { return *workspace_; }
        Workspace* operator->() const noexcept { return workspace_.get(); }

      private:
        WorkspacePool& pool_;
        std::unique_ptr<Workspace> workspace_;
        std::size_t home_;
    };

    std::size_t cache_bytes() const noexcept { return cache_bytes_; }

    Loan take() {
        const std::size_t home = (std::hash<std::thread::id>{}(std::this_thread::get_id()) * 0x9e3779b97f4a7c15u) >> 58;
        for (std::size_t i = 0; i < places_.size(); ++i) {
            std::atomic<Workspace*>& place = places_[(home + i) % places_.size()];
            if (place.load(std::memory_order_relaxed) == nullptr) continue;
            if (Workspace* found = place.exchange(nullptr, std::memory_order_acquire)) return {*this, std::unique_ptr<Workspace>(found), (home + i) % places_.size()};
        }
        return {*this, std::make_unique<Workspace>(cache_bytes_), home};
    }

  private:
    void give_back(std::unique_ptr<Workspace> workspace, std::size_t home) noexcept {
        workspace->trim();
        for (std::size_t i = 0; i < places_.size(); ++i) {
            Workspace* empty = nullptr;
            if (places_[(home + i) % places_.size()].compare_exchange_strong(empty, workspace.get(), std::memory_order_release, std::memory_order_relaxed)) {
                static_cast<void>(workspace.release());
                return;
            }
        }
    }  // every place taken: it is let go

    std::array<std::atomic<Workspace*>, 64> places_ = {};
    std::size_t cache_bytes_;
};

}  // namespace morsel::fast
