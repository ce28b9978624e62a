#!/usr/bin/env python3
"""Makes tests/data/sentence: tiny models with random weights, and what the reference libraries give for them.

    sentence_models.py tests/data/sentence

Needs torch, transformers, sentence-transformers, model2vec.
`encoder` is a BERT with its masked-language head: hidden states of every layer, attention probabilities, means over the tokens of words and fill-mask
results by transformers;
`deberta` a DeBERTa-v3 with its head, fill-mask results.
`dense`, `poolings`, `static` are sentence-transformers directories, `model2vec` is what its name says; expected vectors in each.
"""
import json, os, shutil, sys
import numpy as np
import torch
from model2vec import StaticModel
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from tokenizers import Tokenizer
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast, DebertaV2Config, DebertaV2ForMaskedLM, pipeline

out = sys.argv[1]
shutil.rmtree(out, ignore_errors=True)
torch.set_grad_enabled(False)
torch.manual_seed(3)
WORDS = "the cat sat on a mat dog ran to river moon rain and light query document embedding".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?:-'", *LETTERS, *("##" + c for c in LETTERS), *WORDS, "##ing", "##s"]
TEXTS = ["The cat sat on the mat.", "A dog ran to the river!", "moon", "", "Rain, and light?", "embeddings of tokens", "日本 🌧", "the cat " * 20, "[MASK] ran"]
path = lambda *parts: os.path.join(out, *parts)
os.makedirs(path("encoder"))
with open(path("encoder", "vocab.txt"), "w") as f:
    f.write("\n".join(VOCAB) + "\n")
tokenizer = BertTokenizerFast(vocab={t: i for i, t in enumerate(VOCAB)}, model_max_length=24)
config = BertConfig(vocab_size=len(VOCAB), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=24, type_vocab_size=2)
model = BertForMaskedLM._from_config(config, attn_implementation="eager").eval()


def fill_randomly(model):
    for name, p in model.named_parameters():
        p.copy_(torch.randn_like(p) * (0.3 if p.ndim > 1 else 0.1) + (1.0 if name.endswith("LayerNorm.weight") else 0.0))


def filled_masks(model):
    """What the fill-mask pipeline gives for texts of one mask and of two."""
    fill, filled = pipeline("fill-mask", model=model, tokenizer=tokenizer), []
    for one in ["the [MASK] sat on a mat.", "[MASK] cat and [MASK]"]:
        masks = fill(one, top_k=4)
        masks = [masks] if isinstance(masks[0], dict) else masks
        filled.append({"text": one, "masks": [[{"id": g["token"], "token": g["token_str"], "probability": g["score"]} for g in m] for m in masks]})
    return filled


fill_randomly(model)
model.save_pretrained(path("encoder"))
tokenizer.save_pretrained(path("encoder"))

text = "The cat sat, embeddings!"
result = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True, output_attentions=True)
tensors = {f"hidden_states.{i}": h[0] for i, h in enumerate(result.hidden_states)} | {f"attentions.{i}": a[0] for i, a in enumerate(result.attentions)}
words_text, spans, counts, means, end = "Café moon — embeddings, l'été ends", [], [], [], 0
inputs = tokenizer(words_text, return_tensors="pt", return_offsets_mapping=True)
offsets = inputs.pop("offset_mapping")[0].tolist()
hidden = model(**inputs, output_hidden_states=True).hidden_states[-1][0]
for word in ["Café", "moon", "—", "embeddings", ",", "l'été", "ends"]:
    begin = words_text.index(word, end)
    end = begin + len(word)
    rows = [i for i, (b, e) in enumerate(offsets) if b < e and b < end and e > begin]
    spans.append([len(words_text[:begin].encode()), len(words_text[:end].encode())])
    counts.append(len(rows))
    means.append(hidden[rows].mean(0))
tensors["words"] = torch.stack(means)
save_file({k: v.contiguous().numpy() for k, v in tensors.items()}, path("encoder", "expected.safetensors"))
with open(path("encoder", "expected.json"), "w") as f:
    json.dump({"text": text, "words": {"text": words_text, "spans": spans, "tokens": counts}, "filled": filled_masks(model)}, f, indent=1)

write = lambda name, **vectors: save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in vectors.items()}, path(name, "expected.safetensors"))
base = BertForMaskedLM.from_pretrained(path("encoder")).bert
base.save_pretrained(path("plain"))
tokenizer.save_pretrained(path("plain"))
transformer = Transformer(path("plain"))
transformer.max_seq_length = 12
dense = Dense(16, 5, activation_function=torch.nn.Tanh())
dense.linear.weight.copy_(torch.randn(5, 16) * 0.5), dense.linear.bias.copy_(torch.randn(5) * 0.2)
prompts = {"query": "query: ", "document": "document: "}
st = SentenceTransformer(modules=[transformer, Pooling(16, "mean"), dense, Normalize()], prompts=prompts)
st.save_pretrained(path("dense"), create_model_card=False)
write("dense", plain=st.encode(TEXTS), query=st.encode(TEXTS, prompt_name="query"), prompt=st.encode(TEXTS, prompt="a dog: "))
poolings = Pooling(16, ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"), include_prompt=False)
st = SentenceTransformer(modules=[transformer, poolings], prompts=prompts, default_prompt_name="document")
st.save_pretrained(path("poolings"), create_model_card=False)
write("poolings", plain=st.encode(TEXTS, prompt=""), document=st.encode(TEXTS))
shutil.rmtree(path("plain"))

fast = Tokenizer.from_file(path("encoder", "tokenizer.json"))
fast.no_truncation(), fast.no_padding()
table = np.random.default_rng(5).standard_normal((len(VOCAB), 6)).astype(np.float16)
st = SentenceTransformer(modules=[StaticEmbedding(fast, embedding_weights=table.astype(np.float32)), Normalize()])
st.save_pretrained(path("static"), create_model_card=False)
write("static", plain=st.encode(TEXTS))
rng = np.random.default_rng(6)
m2v = StaticModel(table[:30].astype(np.float32), fast, normalize=True, weights=rng.random(len(VOCAB)).astype(np.float32), token_mapping=rng.integers(0, 30, len(VOCAB)), max_length=10)
m2v.save_pretrained(path("model2vec"))
write("model2vec", plain=m2v.encode(TEXTS))
deberta = DebertaV2ForMaskedLM._from_config(DebertaV2Config(
    vocab_size=len(VOCAB), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=24, type_vocab_size=0, relative_attention=True,
    position_buckets=8, share_att_key=True, norm_rel_ebd="layer_norm", pos_att_type="p2c|c2p", position_biased_input=False, legacy=False), attn_implementation="eager").eval()
fill_randomly(deberta)
deberta.save_pretrained(path("deberta"))
tokenizer.save_pretrained(path("deberta"))
with open(path("deberta", "expected.json"), "w") as f:
    json.dump({"filled": filled_masks(deberta)}, f, indent=1)
with open(path("texts.json"), "w") as f:
    json.dump(TEXTS, f, ensure_ascii=False, indent=0)
for root, _, files in os.walk(out):
    for name in files:
        if name in ("README.md", "special_tokens_map.json", ".gitattributes"):
            os.remove(os.path.join(root, name))
        else:
            os.chmod(os.path.join(root, name), 0o644)
