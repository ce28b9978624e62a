"""python encoders.py OUT [NAME ...]  ->  OUT/<name>/{config.json, model.safetensors, cases.safetensors} and OUT/relative_rows.json; with names only these encoders

Tiny encoders with random weights and what transformers gives for them (float32, eager attention), for the tests that run without the
reference data: every architecture and switch once, and attention masks with holes. cases.safetensors holds, for each case,
<case>.input_ids, .attention_mask, .token_type_ids (where given) and the expected .hidden_states.N, .pooler_output, .logits.
"""
import json, os, shutil, sys
import torch
from safetensors.torch import save_file
import transformers as T

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "checkpoints"))
from tiny import fill

BERT = dict(vocab_size=48, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=40, type_vocab_size=2)
DEBERTA = dict(vocab_size=48, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=12, type_vocab_size=0,
               relative_attention=True, position_biased_input=False, pos_att_type="c2p|p2c", layer_norm_eps=1e-7)
V2 = dict(DEBERTA, max_position_embeddings=32, position_buckets=6, share_att_key=True, norm_rel_ebd="layer_norm", pos_att_type="p2c|c2p")


def cases(config, seed, types):
    g = torch.Generator().manual_seed(seed)
    pad = config.pad_token_id if config.pad_token_id is not None else 0
    draw = lambda *shape: torch.randint(5, config.vocab_size, shape, generator=g)
    padded, mask = draw(3, 9), torch.ones(3, 9, dtype=torch.long)
    for row, length in enumerate((9, 4, 1)):
        padded[row, length:], mask[row, length:] = pad, 0
    holes = draw(2, 30)
    holes_mask = (torch.rand(2, 30, generator=g) < 0.6).long()
    holes_mask[:, 0] = 1
    holes[1, 7] = pad                                       # a padding token that the mask shows
    holes_mask[1, 7] = 1
    result = {"padded": dict(input_ids=padded, attention_mask=mask), "holes": dict(input_ids=holes, attention_mask=holes_mask), "one": dict(input_ids=draw(1, 1))}
    if config.model_type == "gpt2":                        # its positions count what the mask shows
        for inputs in result.values():
            if "attention_mask" in inputs:
                inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    if types:
        result["holes"]["token_type_ids"] = (torch.arange(30)[None] >= 11).long().repeat(2, 1)
    return result


def publish(root, name, cls, config, seed, types=False, rename=lambda state: state):
    if sys.argv[2:] and name not in sys.argv[2:]:
        return
    d = os.path.join(root, name)
    shutil.rmtree(d, ignore_errors=True)
    os.makedirs(d)
    torch.manual_seed(seed)
    model = cls._from_config(config, attn_implementation="eager").eval()
    fill(model, seed)
    state = rename({k: v.clone() for k, v in model.state_dict().items()})
    save_file(state, os.path.join(d, "model.safetensors"))
    with open(os.path.join(d, "config.json"), "w") as f:
        f.write(json.dumps(config.to_dict(), indent=1) + "\n")
    tensors = {}
    for case, inputs in cases(config, seed + 1, types).items():
        with torch.no_grad():
            out = model(**inputs, output_hidden_states=True)
        tensors.update({f"{case}.{k}": v for k, v in inputs.items()})
        tensors.update({f"{case}.hidden_states.{i}": h for i, h in enumerate(out.hidden_states)})
        if getattr(out, "pooler_output", None) is not None:
            tensors[f"{case}.pooler_output"] = out.pooler_output
        for key in ("logits", "prediction_logits"):
            if getattr(out, key, None) is not None:
                tensors[f"{case}.logits"] = getattr(out, key)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, os.path.join(d, "cases.safetensors"))


def untied(keep):
    """without the tensors that repeat the word embeddings, as published files are"""
    return lambda state: {k: v for k, v in state.items() if keep(k)}


def old_bert(state):
    """bert-base-cased's names, its position numbers, and the head it was trained with"""
    old = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v for k, v in state.items() if "decoder" not in k}
    return old | {"bert.embeddings.position_ids": torch.arange(40)[None]}


def main(root):
    publish(root, "bert-old-names", T.BertForPreTraining, T.BertConfig(**BERT), 1, types=True, rename=old_bert)
    publish(root, "bert", T.BertModel, T.BertConfig(**BERT, hidden_act="relu"), 2, types=True)
    publish(root, "roberta", T.RobertaForMaskedLM, T.RobertaConfig(**dict(BERT, type_vocab_size=1, max_position_embeddings=34), pad_token_id=1), 3,
            rename=untied(lambda k: "decoder" not in k and "position_ids" not in k))
    publish(root, "distilbert", T.DistilBertForMaskedLM, T.DistilBertConfig(vocab_size=48, dim=24, n_layers=2, n_heads=3, hidden_dim=40, max_position_embeddings=40), 4,
            rename=untied(lambda k: k != "vocab_projector.weight"))
    publish(root, "deberta", T.DebertaModel, T.DebertaConfig(**DEBERTA), 5, rename=lambda state: {"deberta." + k: v for k, v in state.items()})
    publish(root, "deberta-c2p-wide", T.DebertaModel,
            T.DebertaConfig(**dict(DEBERTA, pos_att_type="c2p", position_biased_input=True, type_vocab_size=2, embedding_size=16, max_position_embeddings=40,
                                   max_relative_positions=7)), 6, types=True)
    publish(root, "deberta-absolute", T.DebertaModel, T.DebertaConfig(**dict(DEBERTA, relative_attention=False, position_biased_input=True, max_position_embeddings=40)), 7)
    publish(root, "deberta-v2-conv", T.DebertaV2Model, T.DebertaV2Config(**V2, conv_kernel_size=3, conv_act="gelu"), 8)
    publish(root, "deberta-v2-p2c", T.DebertaV2Model, T.DebertaV2Config(**dict(V2, pos_att_type=["p2c"], share_att_key=False, norm_rel_ebd="none", position_buckets=-1)), 9)
    # masked-language heads: with a decoder of its own behind a narrower transform, tied to the word embeddings, and the later one
    one = dict(num_hidden_layers=1, vocab_size=40)
    publish(root, "deberta-mlm", T.DebertaForMaskedLM, T.DebertaConfig(**dict(DEBERTA, **one, embedding_size=16, hidden_act="silu", tie_word_embeddings=False)), 11)
    publish(root, "deberta-v2-mlm", T.DebertaV2ForMaskedLM, T.DebertaV2Config(**dict(V2, **one)), 12, rename=untied(lambda k: "decoder" not in k))
    publish(root, "deberta-v2-later-mlm", T.DebertaV2ForMaskedLM, T.DebertaV2Config(**dict(V2, **one, legacy=False, tie_word_embeddings=False)), 13,
            rename=lambda state: state | {"mask_predictions.dense.bias": torch.ones(24)})
    publish(root, "gpt2", T.GPT2Model, T.GPT2Config(vocab_size=48, n_embd=24, n_layer=2, n_head=3, n_positions=40, n_inner=36, scale_attn_by_inverse_layer_idx=True,
                                                    bos_token_id=1, eos_token_id=1), 10)
    if sys.argv[2:]:
        return
    # the rows of the relative embeddings that distances take, by the reference's own functions
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position
    rows = {}
    for buckets, most in ((256, 512), (8, 64), (6, 32), (2, 9), (33, 100), (-1, 50)):
        distance = torch.arange(-700, 701)
        bucket = make_log_bucket_position(distance, buckets, most).long() if buckets > 0 else distance
        span = buckets if buckets > 0 else most
        rows[f"{buckets} {most}"] = torch.clamp(bucket + span, 0, 2 * span - 1).tolist()
    with open(os.path.join(root, "relative_rows.json"), "w") as f:
        json.dump(rows, f)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
