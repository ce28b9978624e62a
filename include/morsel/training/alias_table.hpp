// Draws an index with given probabilities in constant time, whatever their number: Walker's alias method, tables built as by M. Vose, "A
// linear algorithm for generating random numbers with a given distribution", 1991. One random number of 32 bits gives both the slot and
// the choice inside it, so probabilities are exact to 2⁻³².
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "morsel/core/error.hpp"

namespace morsel {

class AliasTable {
  public:
    AliasTable() = default;
    // In proportion to the weights. Throws Error where one is negative or not finite, all are 0, or there are more than 2³¹.
    explicit AliasTable(std::span<const double> weights) : slots_(weights.size()) {
        double sum = 0;
        for (const double weight : weights) {
            if (!(weight >= 0) || !std::isfinite(weight)) throw Error("not a weight", {.expected = "a finite number of at least 0", .found = std::to_string(weight)});
            sum += weight;
        }
        if (!(sum > 0) || !std::isfinite(sum) || weights.size() > std::size_t{1} << 31) throw Error("no weights to draw by", {.expected = "a finite sum greater than 0"});
        std::vector<double> share(weights.size());  // 1: as much as one slot holds
        std::vector<std::uint32_t> poor, rich;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            share[i] = weights[i] / sum * static_cast<double>(weights.size());
            (share[i] < 1 ? poor : rich).push_back(static_cast<std::uint32_t>(i));
        }
        while (!poor.empty() && !rich.empty()) {
            const std::uint32_t to = poor.back(), from = rich.back();
            poor.pop_back();
            slots_[to] = {static_cast<std::uint32_t>(std::min(share[to] * 0x1p32, 0x1p32 - 1)), from};
            share[from] -= 1 - share[to];
            if (share[from] < 1) rich.pop_back(), poor.push_back(from);
        }
        for (const std::vector<std::uint32_t>& rest : {poor, rich})  // full but for rounding
            for (const std::uint32_t i : rest) slots_[i] = {std::numeric_limits<std::uint32_t>::max(), i};
    }

    std::size_t size() const noexcept { return slots_.size(); }

    // The index that these 32 random bits stand for.
    std::uint32_t operator()(std::uint32_t bits) const noexcept {
        const std::uint64_t product = std::uint64_t{bits} * slots_.size();
        const Slot slot = slots_[product >> 32];
        return static_cast<std::uint32_t>(product) < slot.own ? static_cast<std::uint32_t>(product >> 32) : slot.other;
    }

    // Asks for the memory that these bits will need.
    void prefetch(std::uint32_t bits) const noexcept { __builtin_prefetch(&slots_[std::uint64_t{bits} * slots_.size() >> 32]); }

  private:
    struct Slot {
        std::uint32_t own = 0;    // of 2³²: how much of the slot is its index's own
        std::uint32_t other = 0;  // index of the rest
    };
    std::vector<Slot> slots_;
};

}  // namespace morsel
