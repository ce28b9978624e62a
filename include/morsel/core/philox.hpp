// Philox4x32-10: random numbers as a pure function of a counter and a key, so that every draw of a run can be made anywhere, in any
// order and at any thread count, and gives the same bits on every device.
// Follows J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; its known answers are tests.
// morsel keys it by (seed; step, sequence). Leaves out the other widths and round counts of that paper.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace morsel {

// Ten rounds on a 128-bit counter under a 64-bit key; words are least significant first.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
    constexpr std::uint64_t multiplier_0 = 0xD2511F53, multiplier_1 = 0xCD9E8D57;
    constexpr std::uint32_t weyl_0 = 0x9E3779B9, weyl_1 = 0xBB67AE85;  // golden ratio, √3 − 1
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product_0 = multiplier_0 * counter[0], product_1 = multiplier_1 * counter[2];
        counter = {static_cast<std::uint32_t>(product_1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product_1),
                   static_cast<std::uint32_t>(product_0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product_0)};
        key = {key[0] + weyl_0, key[1] + weyl_1};
    }
    return counter;
}

// Which draw of a run: the step of generation and the sequence of a batch.
struct RandomPosition {
    std::uint64_t step = 0;
    std::uint32_t sequence = 0;
    std::uint32_t draw = 0;  // for a caller who needs more than 128 bits at one position
};

// The 128 random bits of that position under `seed`.
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t seed, RandomPosition at) {
    return philox4x32({static_cast<std::uint32_t>(at.step), static_cast<std::uint32_t>(at.step >> 32), at.sequence, at.draw},
                      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

// The first 64 of them.
constexpr std::uint64_t philox_bits(std::uint64_t seed, RandomPosition at) {
    const auto words = philox(seed, at);
    return static_cast<std::uint64_t>(words[1]) << 32 | words[0];
}

// Uniform in [0, 1), a multiple of 2⁻²⁴: the top bits, so that it never rounds up to 1.
constexpr float uniform_float(std::uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24F; }

// Uniform in [0, 1), a multiple of 2⁻⁵³.
constexpr double uniform_double(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

// The numbers of one place one after another, 32 bits each: draws 0, 1, 2, … of that step and sequence. Made 64 at a time, which lets
// the rounds of 16 counters overlap.
class PhiloxStream {
  public:
    constexpr PhiloxStream(std::uint64_t seed, std::uint64_t step, std::uint32_t sequence = 0) : seed_(seed), step_(step), sequence_(sequence) {}

    constexpr std::uint32_t next() {
        if (at_ == words_.size()) refill();
        return words_[at_++];
    }

  private:
    constexpr void refill() {
        for (std::size_t i = 0; i < words_.size(); i += 4) {
            const auto four = philox(seed_, {step_, sequence_, draw_++});
            for (std::size_t j = 0; j < 4; ++j) words_[i + j] = four[j];
        }
        at_ = 0;
    }

    std::uint64_t seed_, step_;
    std::uint32_t sequence_, draw_ = 0;
    std::array<std::uint32_t, 64> words_ = {};
    std::size_t at_ = 64;
};

// Uniform in [0, bound), 0 for bound 0: the high half of bits · bound. The bias is at most bound · 2⁻⁶⁴.
constexpr std::uint64_t uniform_below(std::uint64_t bits, std::uint64_t bound) {
    const std::uint64_t a = bits >> 32, b = bits & 0xFFFFFFFF, c = bound >> 32, d = bound & 0xFFFFFFFF;
    const std::uint64_t middle = a * d + (b * d >> 32);  // < 2⁶⁴: (2³²−1)² + 2³² − 1
    return a * c + (middle >> 32) + ((b * c + (middle & 0xFFFFFFFF)) >> 32);
}

}  // namespace morsel
