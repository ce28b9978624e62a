// The sign of a sum of logarithms, c_1 ln n_1 + c_2 ln n_2 + …, with whole c and n: exactly. Gains of likelihood are such sums, and two of
// them may be equal, or differ by less than any floating number tells.
// The sum is 0 where the product of all n^c is 1. The n are split by greatest common divisors until no two have a common one; then
// the product is 1 only where every exponent is 0 (unique factorization). A sum that is not 0 has a sign that enough digits show: fixed
// point, the number of digits doubled until the sum is further from 0 than its error.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "morsel/core/flat_map.hpp"

namespace morsel {

namespace detail {

__extension__ typedef __int128 int128;

struct LogTerm {
    int128 coefficient = 0;    // less than 2^63, in magnitude
    std::uint64_t number = 1;  // 1 … 2^62
};

// A number ≥ 0 in fixed point: limbs of 64 bits, the lowest first; the last two are whole, the others are the fraction.
class FixedPoint {
  public:
    explicit FixedPoint(std::size_t fraction) : limbs_(fraction + 2) {}

    static FixedPoint of(std::uint64_t whole, std::size_t fraction) {
        FixedPoint out(fraction);
        out.limbs_[fraction] = whole;
        return out;
    }
    // A number of units in the last place.
    static FixedPoint units(uint128 n, std::size_t fraction) {
        FixedPoint out(fraction);
        out.limbs_[0] = static_cast<std::uint64_t>(n), out.limbs_[1] = static_cast<std::uint64_t>(n >> 64);
        return out;
    }
    bool is_zero() const {
        for (const std::uint64_t limb : limbs_)
            if (limb != 0) return false;
        return true;
    }
    FixedPoint& operator*=(std::uint64_t factor) {
        std::uint64_t carry = 0;
        for (std::uint64_t& limb : limbs_) {
            const uint128 product = static_cast<uint128>(limb) * factor + carry;
            limb = static_cast<std::uint64_t>(product), carry = static_cast<std::uint64_t>(product >> 64);
        }
        return *this;
    }
    FixedPoint& operator/=(std::uint64_t divisor) {  // rounds down
        uint128 rest = 0;
        for (std::size_t i = limbs_.size(); i-- > 0;) {
            const uint128 part = rest << 64 | limbs_[i];
            limbs_[i] = static_cast<std::uint64_t>(part / divisor), rest = part % divisor;
        }
        return *this;
    }
    // Adds factor × other.
    void add(const FixedPoint& other, uint128 factor = 1) {
        FixedPoint low = other, high = other;
        low *= static_cast<std::uint64_t>(factor);
        add_shifted(low, 0);
        if ((high *= static_cast<std::uint64_t>(factor >> 64)).is_zero()) return;
        add_shifted(high, 1);
    }
    friend bool operator<(const FixedPoint& a, const FixedPoint& b) {
        for (std::size_t i = a.limbs_.size(); i-- > 0;)
            if (a.limbs_[i] != b.limbs_[i]) return a.limbs_[i] < b.limbs_[i];
        return false;
    }

  private:
    void add_shifted(const FixedPoint& other, std::size_t by) {
        std::uint64_t carry = 0;
        for (std::size_t i = by; i < limbs_.size(); ++i) {
            const uint128 sum = static_cast<uint128>(limbs_[i]) + other.limbs_[i - by] + carry;
            limbs_[i] = static_cast<std::uint64_t>(sum), carry = static_cast<std::uint64_t>(sum >> 64);
        }
    }
    std::vector<std::uint64_t> limbs_;
};

// 2 artanh(p/q) = ln((q+p)/(q-p)), for p/q ≤ 1/3: a ninth less with every term. Each term is rounded down by less than 4 units, and
// there are at most 21 for a limb.
inline FixedPoint twice_artanh(std::uint64_t p, std::uint64_t q, std::size_t fraction) {
    FixedPoint power = FixedPoint::of(2, fraction), sum(fraction);
    (power *= p) /= q;
    for (std::uint64_t odd = 1; !power.is_zero(); odd += 2) {
        FixedPoint term = power;
        sum.add(term /= odd);
        (power *= p) /= q, (power *= p) /= q;
    }
    return sum;
}

// Splits the numbers until no two have a common divisor: none is left where the sum is 0. Ends, since every split makes the product of
// all numbers smaller.
inline std::vector<LogTerm> coprime_terms(std::vector<LogTerm> terms) {
    for (bool split = true; split;) {
        split = false;
        std::erase_if(terms, [](const LogTerm& t) { return t.number == 1 || t.coefficient == 0; });
        for (std::size_t i = 0; i < terms.size(); ++i)
            for (std::size_t j = 0; j < i; ++j) {
                const std::uint64_t common = std::gcd(terms[i].number, terms[j].number);
                if (common == 1) continue;
                const int128 both = terms[i].coefficient + terms[j].coefficient;
                terms[i].number /= common, terms[j].number /= common;
                terms.push_back({both, common});
                split = true;
            }
    }
    return terms;
}

// -1, 0 or 1. At most some 20 terms.
inline int log_sum_sign(std::vector<LogTerm> terms) {
    terms = coprime_terms(std::move(terms));
    if (terms.empty()) return 0;
    for (std::size_t fraction = 2;; fraction *= 2) {  // limbs
        const FixedPoint ln2 = twice_artanh(1, 3, fraction);
        FixedPoint above(fraction), below(fraction);
        // of one logarithm: 62 times that of ln 2 and once its own, each less than 2 × 4 × 21 limbs and a tail of a few units
        const FixedPoint unit = FixedPoint::units(static_cast<uint128>(64) * (8 * 21 * (fraction + 1) + 16), fraction);
        FixedPoint error(fraction);
        for (const LogTerm& term : terms) {
            const auto size = static_cast<uint128>(term.coefficient < 0 ? -term.coefficient : term.coefficient);
            const int exponent = std::bit_width(term.number) - 1;
            const std::uint64_t power = std::uint64_t{1} << exponent;
            FixedPoint logarithm = twice_artanh(term.number - power, term.number + power, fraction);
            logarithm.add(ln2, static_cast<uint128>(exponent));
            (term.coefficient < 0 ? below : above).add(logarithm, size);
            error.add(unit, size);
        }
        FixedPoint least = below, most = above;
        least.add(error), most.add(error);
        if (least < above) return 1;
        if (most < below) return -1;
    }
}

}  // namespace detail

}  // namespace morsel
