// A GPT-2 of any size with random weights, as a file would give them.
#pragma once
#include <string>

#include "morsel/models/gpt2.hpp"
#include "support/random_tensors.hpp"

namespace morsel_test {

class RandomGpt2 : public RandomTensors {
  public:
    RandomGpt2(const morsel::Gpt2Config& c, morsel::DType type) {
        const std::size_t h = c.hidden_size;
        const auto norm = [&](const std::string& name) { vector(name + ".weight", h), vector(name + ".bias", h); };
        const auto conv1d = [&](const std::string& name, std::size_t in, std::size_t out) { matrix(name + ".weight", type, in, out, 0.2f), vector(name + ".bias", out); };
        matrix("wte.weight", type, c.vocab_size, h, 0.5f), matrix("wpe.weight", type, c.max_position_embeddings, h, 0.5f);
        norm("ln_f");
        for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
            const std::string at = "h." + std::to_string(i) + ".";
            norm(at + "ln_1"), norm(at + "ln_2");
            conv1d(at + "attn.c_attn", h, 3 * h), conv1d(at + "attn.c_proj", h, h), conv1d(at + "mlp.c_fc", h, c.intermediate_size), conv1d(at + "mlp.c_proj", c.intermediate_size, h);
        }
    }
};

// A small one whose head size the fast kernels have.
inline morsel::Gpt2Config small_gpt2_config() {
    morsel::Gpt2Config c;
    c.vocab_size = 50, c.hidden_size = 64, c.intermediate_size = 72, c.num_hidden_layers = 2, c.num_attention_heads = 2, c.max_position_embeddings = 600;
    return c;
}

}  // namespace morsel_test
