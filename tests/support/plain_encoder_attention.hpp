// What bidirectional attention of whole sequences is, in plain loops: what the kernels of every device are held equal to.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "morsel/ops/device.hpp"

namespace morsel_test {

// softmax(scale · (q·k + q·keys[r] + k·queries[r])) · v in double; without tables plain attention.
inline std::vector<float> plain_encoder_attention(const std::vector<float>& qkv, const morsel::AttentionShape& s, const std::vector<morsel::Segment>& segments,
                                                  const std::vector<morsel::TokenId>& positions, const morsel::PositionTables& tables) {
    const std::size_t d = s.head_dim, width = s.qkv_width(), group = s.n_heads / s.n_kv_heads;
    const std::size_t longest = (tables.row_of_distance.size() + 1) / 2;
    std::vector<float> out(qkv.size() / width * s.n_heads * d);
    const auto dot = [d](const float* a, const float* b) {
        double sum = 0;
        for (std::size_t i = 0; i < d; ++i) sum += double(a[i]) * double(b[i]);
        return sum;
    };
    for (const morsel::Segment& segment : segments)
        for (std::size_t i = segment.row_begin; i < segment.row_begin + segment.row_count; ++i)
            for (std::size_t head = 0; head < s.n_heads; ++head) {
                const float* q = qkv.data() + i * width + head * d;
                std::vector<double> weight;
                double best = -1e300, total = 0;
                for (std::size_t j = segment.row_begin; j < segment.row_begin + segment.row_count; ++j) {
                    const float* k = qkv.data() + j * width + (s.n_heads + head / group) * d;
                    double score = dot(q, k);
                    if (longest > 0) {
                        const std::size_t r = tables.row_of_distance[positions[i] + longest - 1 - positions[j]];
                        if (tables.keys != nullptr) score += dot(q, tables.keys + (r * s.n_heads + head) * d);
                        if (tables.queries != nullptr) score += dot(k, tables.queries + (r * s.n_heads + head) * d);
                    }
                    weight.push_back(score * s.scale);
                    best = std::max(best, weight.back());
                }
                for (double& w : weight) total += w = std::exp(w - best);
                for (std::size_t e = 0; e < d; ++e) {
                    double sum = 0;
                    for (std::size_t j = 0; j < weight.size(); ++j)
                        sum += weight[j] * double(qkv[(segment.row_begin + j) * width + (s.n_heads + s.n_kv_heads + head / group) * d + e]);
                    out[(i * s.n_heads + head) * d + e] = static_cast<float>(sum / total);
                }
            }
    return out;
}

}  // namespace morsel_test
