#!/usr/bin/env python3
"""Prefill and decode speed of morsel on a GPU beside torch + transformers and llama.cpp, on the same model and the same prompt.

    bench/compare/gpu.py --model DIR [--gguf FILE] [--morsel build/cuda/bin/morsel] [--prompt-words 400] [--new-tokens 128] [--rounds 3]

DIR is a Hugging Face model directory; torch reads it in bfloat16, where torch is installed. llama.cpp is its llama-bench on PATH, and needs
the same model as a GGUF file. A peer that is not there is left out, with a line that says so. Rounds go over all tools in turn, and each
tool's best counts. What is timed: prefill of the prompt up to the logits of its last token; then greedy tokens one by one, none of which ends
the text. morsel-bench-cuda has the rest: shares of the copy's bandwidth and of cuBLAS, attention, sampling.
"""
import argparse, json, shutil, subprocess, sys, time


def run_morsel(a, prompt):
    done = subprocess.run([a.morsel, "generate", "--device", a.device, "--model", a.model, "--format", "json", "--batch", "1", "--max-new-tokens", str(a.new_tokens),
                           "--min-new-tokens", str(a.new_tokens), "--prompt", *[prompt] * 3], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"morsel: {done.stderr.strip()}")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    prefill = max(r["timings"]["prompt_tokens"] / r["timings"]["prefill_seconds"] for r in results)
    decode = max((r["timings"]["new_tokens"] - 1) / r["timings"]["decode_seconds"] for r in results)
    return prefill, decode, results[0]["prompt_ids"]


class Torch:
    def __init__(self, a):
        import torch
        from transformers import AutoModelForCausalLM
        self.torch, self.device = torch, a.device
        torch.set_grad_enabled(False)
        self.model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.bfloat16).to(a.device).eval()

    def now(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()
        return time.perf_counter()

    def run(self, ids, new_tokens):
        start = self.now()
        out = self.model(input_ids=self.torch.tensor([ids], device=self.device), use_cache=True, logits_to_keep=1)
        prefilled = self.now()
        for _ in range(new_tokens - 1):
            out = self.model(input_ids=out.logits[:, -1:].argmax(-1), past_key_values=out.past_key_values, use_cache=True)
        return len(ids) / (prefilled - start), (new_tokens - 1) / (self.now() - prefilled)


def run_llama_bench(a, prompt_tokens):
    layers = "99" if a.device == "cuda" else "0"
    done = subprocess.run(["llama-bench", "-m", a.gguf, "-p", str(prompt_tokens), "-n", str(a.new_tokens), "-ngl", layers, "-o", "json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"llama-bench: {done.stderr.strip()[-500:]}")
    rows = json.loads(done.stdout)
    speed = lambda kind: max(r["avg_ts"] for r in rows if r[kind] > 0)
    return speed("n_prompt"), speed("n_gen")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--gguf")
    p.add_argument("--morsel", default="build/cuda/bin/morsel")
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--prompt-words", type=int, default=400)
    p.add_argument("--new-tokens", type=int, default=128)
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    prompt = " ".join(["The", "model", "reads", "a", "long", "text", "of", "many", "words", "and"][i % 10] for i in range(a.prompt_words))
    torch = None
    try:
        torch = Torch(a)
    except ImportError as missing:
        print(f"torch is left out: {missing}")
    llama = a.gguf and shutil.which("llama-bench")
    if not llama:
        print("llama.cpp is left out: it needs --gguf, and llama-bench on PATH")
    best = {}
    for _ in range(a.rounds):
        prefill, decode, ids = run_morsel(a, prompt)
        rows = {"morsel": (prefill, decode)}
        if torch:
            rows["torch"] = torch.run(ids, a.new_tokens)
        if llama:
            rows["llama.cpp"] = run_llama_bench(a, len(ids))
        for tool, row in rows.items():
            best[tool] = tuple(map(max, zip(row, best.get(tool, row))))
    print(f"{a.model} on {a.device}, {len(ids)} + {a.new_tokens} tokens, best of {a.rounds}")
    print(f"{'':10} {'prefill tok/s':>14} {'morsel is':>10} {'decode tok/s':>13} {'morsel is':>10}")
    for tool, (prefill, decode) in best.items():
        print(f"{tool:10} {prefill:14.1f} {best['morsel'][0] / prefill:9.2f}× {decode:13.1f} {best['morsel'][1] / decode:9.2f}×")


if __name__ == "__main__":
    main()
