// A Llama of any size with random weights, as a file would give them.
#pragma once
#include <string>

#include "morsel/models/llama.hpp"
#include "support/random_tensors.hpp"

namespace morsel_test {

class RandomWeights : public RandomTensors {
  public:
    // values: of what GGUF files keep at higher precision, the value and down projections.
    RandomWeights(const morsel::LlamaConfig& c, morsel::DType type) : RandomWeights(c, type, type) {}
    RandomWeights(const morsel::LlamaConfig& c, morsel::DType type, morsel::DType values) {
        const std::size_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim, h = c.hidden_size;
        matrix("model.embed_tokens.weight", type, c.vocab_size, h, 1.0f);
        matrix("lm_head.weight", type, c.vocab_size, h, 0.3f);
        vector("model.norm.weight", h);
        for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
            const std::string at = "model.layers." + std::to_string(i) + ".";
            vector(at + "input_layernorm.weight", h), vector(at + "post_attention_layernorm.weight", h);
            matrix(at + "self_attn.q_proj.weight", type, q, h, 0.2f), matrix(at + "self_attn.k_proj.weight", type, kv, h, 0.2f), matrix(at + "self_attn.v_proj.weight", values, kv, h, 0.2f);
            matrix(at + "self_attn.o_proj.weight", type, h, q, 0.2f);
            matrix(at + "mlp.gate_proj.weight", type, c.intermediate_size, h, 0.2f), matrix(at + "mlp.up_proj.weight", type, c.intermediate_size, h, 0.2f);
            matrix(at + "mlp.down_proj.weight", values, h, c.intermediate_size, 0.2f);
        }
    }
};

// A small one whose head size the fast kernels have.
inline morsel::LlamaConfig small_llama_config() {
    morsel::LlamaConfig c;
    c.vocab_size = 50, c.hidden_size = 48, c.intermediate_size = 72, c.num_hidden_layers = 2, c.num_attention_heads = 4, c.num_key_value_heads = 2, c.head_dim = 32;
    c.max_position_embeddings = 600;
    return c;
}

}  // namespace morsel_test
