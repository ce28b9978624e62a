"""How fast vocabularies are trained, and in how much memory, beside peers from PyPI.

    python bench/compare/training.py --morsel build/release/bin/morsel-bench-train --files TEXT_FILE... [--threads 2] [--rounds 3]
        [--peers gigabpe,tokenizers,rustbpe,bpeasy,sentencepiece] [--vocab-size 32768] [--wordpiece TEXT_FILE]

Everything runs as a process of its own, in turn, round after round; the least time of each counts. BPE is byte-level with GPT-2's pattern
(sentencepiece: its own characters and words). A peer's counting is what it takes to train a vocabulary of 257 tokens, all but no merges;
merging is the rest. morsel tells both apart itself. Memory is the peak of the whole process, and in brackets what the call added to
what a process has that only imported the peer. Merges are compared with those of the first peer that has the same rule.
--wordpiece also times WordPiece by ratio: morsel at 30,000 tokens on the whole file beside BPE, and both morsel and real-wordpiece on its
first --small bytes. Needs the peers (pip install; real-wordpiece with --no-deps).
"""
import argparse
import hashlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def digest(merges):
    return hashlib.sha256("\n".join(f"{a} {b}" for a, b in merges).encode()).hexdigest()[:12]


def lines_of(path):
    with open(path, encoding="utf-8", newline="") as f:
        yield from f


def gigabpe(path, size, threads):
    import gigabpe
    yield
    _, merges = gigabpe.train_bpe([path], size, threads=threads, pretokenizer="bytelevel")
    yield merges


def tokenizers(path, size, threads):
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    yield
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train([path], trainers.BpeTrainer(vocab_size=size, show_progress=False))
    yield [tuple(m) for m in json.loads(t.to_str())["model"]["merges"]] if size > 300 else []


def rustbpe(path, size, threads):
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    import rustbpe
    yield
    rustbpe.Tokenizer().train_from_iterator(lines_of(path), size, pattern=GPT2)
    yield None


def bpeasy(path, size, threads):
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    import bpeasy
    yield
    bpeasy.train_bpe(lines_of(path), GPT2, 128, size)
    yield None


def sentencepiece(path, size, threads):
    import sentencepiece
    yield
    with tempfile.TemporaryDirectory() as directory:
        sentencepiece.SentencePieceTrainer.train(input=path, model_prefix=directory + "/m", vocab_size=max(size, 2000), model_type="bpe", num_threads=threads, max_sentence_length=1 << 20,
                                                 character_coverage=0.9995, minloglevel=2, hard_vocab_limit=False)
    yield None


def real_wordpiece(path, size, threads):
    from real_wordpiece.trainer import RealWordPieceTrainer
    from tokenizers import Tokenizer, models, pre_tokenizers
    yield
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    RealWordPieceTrainer(vocab_size=size, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]).train_tokenizer(list(lines_of(path)), t)
    yield None


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_peer(name, path, size, threads):
    steps = globals()[name](path, size, threads)
    next(steps)
    before, start = peak(), time.perf_counter()
    merges = next(steps)
    print(json.dumps({"seconds": time.perf_counter() - start, "rss": peak(), "added": peak() - before, "merges": digest(merges) if merges else None}))


def measure(command, limit):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        print(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else command, file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def best(runs):
    runs = [r for r in runs if r]
    if not runs:
        return None
    out = {key: min(r[key] for r in runs) for key in runs[0] if isinstance(runs[0][key], float)}
    out["merges"] = runs[0].get("merges")
    return out


def morsel(options, path, size, threads, *more):
    with tempfile.TemporaryDirectory() as directory:
        run = measure([options.morsel, "--file", path, "--vocab-size", str(size), "--threads", str(threads), "--out", directory, *more], options.limit)
        if run is None:
            return None
        saved = json.loads((pathlib.Path(directory) / "tokenizer.json").read_text())["model"]
        return {"seconds": run["counting_s"] + run["merging_s"], "counting": run["counting_s"], "merging": run["merging_s"], "rss": run["peak_rss_mb"], "added": run["peak_rss_mb"],
                "merges": digest(saved["merges"]) if saved["type"] == "BPE" else None}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", nargs=4)
    parser.add_argument("--morsel")
    parser.add_argument("--files", nargs="+", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="gigabpe,tokenizers,rustbpe,bpeasy,sentencepiece")
    parser.add_argument("--vocab-size", type=int, default=32768)
    parser.add_argument("--limit", type=float, default=900)
    parser.add_argument("--wordpiece")
    parser.add_argument("--small", type=int, default=100_000)
    options = parser.parse_args()
    if options.peer:
        name, path, size, threads = options.peer
        return run_peer(name, path, int(size), int(threads))
    here = [sys.executable, __file__, "--peer"]
    for path in options.files:
        peers = [p for p in options.peers.split(",") if p]
        runs = {name: [] for name in ["morsel", *peers]}
        counting = {name: [] for name in peers}
        for _ in range(options.rounds):
            runs["morsel"].append(morsel(options, path, options.vocab_size, options.threads))
            for name in peers:
                runs[name].append(measure([*here, name, path, str(options.vocab_size), str(options.threads)], options.limit))
                counting[name].append(measure([*here, name, path, "257", str(options.threads)], options.limit))
        ours, size = best(runs["morsel"]), os.path.getsize(path) / 1e6
        print(f"\n{path}: {size:.0f} MB, {options.vocab_size} tokens, {options.threads} threads, best of {options.rounds}\n")
        print("| | seconds | counting | merging | MB/s | morsel is faster | peak MB | merges |\n|---|---|---|---|---|---|---|---|")
        for name in runs:
            b = best(runs[name])
            if b is None:
                print(f"| {name} | failed, or more than {options.limit:.0f} s | | | | | | |")
                continue
            count = b.get("counting") or (best(counting[name]) or {"seconds": float("nan")})["seconds"]
            merging = b.get("merging") or b["seconds"] - count
            same = "" if not b["merges"] else "the same" if b["merges"] == ours["merges"] else "OTHERS"
            memory = f"{b['rss']:.0f}" if name == "morsel" else f"{b['rss']:.0f} (+{b['added']:.0f})"
            print(f"| {name} | {b['seconds']:.2f} | {count:.2f} | {merging:.2f} | {size / b['seconds']:.0f} | {b['seconds'] / ours['seconds']:.2f} | {memory} | {same} |", flush=True)
    if options.wordpiece:
        path = options.wordpiece
        with tempfile.TemporaryDirectory() as directory:
            small = directory + "/small.txt"
            with open(path, "rb") as f:
                pathlib.Path(small).write_bytes(f.read(options.small).decode("utf-8", "ignore").encode())
            rounds = range(options.rounds)
            rows = {"BPE, 30000": [], "WordPiece by ratio, 30000": [], "WordPiece by likelihood, 30000": []}
            for _ in rounds:
                rows["BPE, 30000"].append(morsel(options, path, 30000, options.threads))
                rows["WordPiece by ratio, 30000"].append(morsel(options, path, 30000, options.threads, "--algorithm", "wordpiece", "--objective", "ratio"))
                rows["WordPiece by likelihood, 30000"].append(morsel(options, path, 30000, options.threads, "--algorithm", "wordpiece", "--objective", "log_likelihood"))
            tiny = f"ratio, 1000, {options.small} bytes"
            rows["morsel, " + tiny] = [morsel(options, small, 1000, 1, "--algorithm", "wordpiece", "--objective", "ratio") for _ in rounds]
            rows["real-wordpiece, " + tiny] = [measure([*here, "real_wordpiece", small, "1000", "1"], options.limit)]
            print(f"\n{path}\n\n| | seconds | counting | merging | peak MB |\n|---|---|---|---|---|")
            for name, row in rows.items():
                b = best(row)
                print(f"| {name} | " + (f"{b['seconds']:.4g} | {b.get('counting', float('nan')):.3f} | {b.get('merging', float('nan')):.4f} | {b['rss']:.0f} |" if b else "failed | | | |"), flush=True)


if __name__ == "__main__":
    main()
