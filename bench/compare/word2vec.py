"""word2vec beside gensim: words a second, and how good the vectors are, on the same text with the same settings.

    python bench/compare/word2vec.py --morsel build/release/bin/morsel-bench-train --text FILE [--threads 1,2] [--rounds 2] [--epochs 5]

The text is brought to what text8 is, lower-case letters and spaces, a line a sentence. Speed is of one epoch of training alone, the vocabulary being known,
rounds in turn, the best of each; gensim reads the file itself (corpus_file), its fastest way. Beside the clock, which a shared machine makes unfair, words a
second of processor time. Quality is of --epochs epochs by one thread: Spearman's correlation with WordSim-353 and the share of analogies that are right, from
the lists that come with gensim, judged by gensim for both, among all words (the 30,000 most frequent are not the same for both: equal counts). Several
seeds show the noise. Needs gensim and scipy.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ONE = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")


def prepare(source, target):
    with open(source, encoding="utf8", errors="ignore") as text, open(target, "w") as out:
        for line in text:
            if words := re.findall("[a-z]+", line.lower()):
                out.write(" ".join(words) + "\n")


def gensim_run(text, model, threads, epochs, seed, out):
    from gensim.models import Word2Vec
    m = Word2Vec(vector_size=100, window=5, negative=5, sample=1e-3, min_count=5, sg=int(model == "skip-gram"), workers=threads, epochs=epochs, seed=seed)
    m.build_vocab(corpus_file=text)
    start, processor = time.time(), time.process_time()
    m.train(corpus_file=text, total_words=m.corpus_total_words, total_examples=m.corpus_count, epochs=epochs)
    seconds, processor = time.time() - start, time.process_time() - processor
    if out:
        m.wv.save_word2vec_format(out, binary=True)
    words = m.corpus_total_words * epochs
    print(json.dumps(dict(words_per_s=words / seconds, words_per_processor_s=words / processor)))


def run(tool, args, text, model, threads, epochs, seed, out=None):
    if tool == "gensim":
        command = [sys.executable, __file__, "--child", json.dumps([text, model, threads, epochs, seed, out])]
    else:
        command = [args.morsel, "--algorithm", "word2vec", "--file", text, "--model", model, "--threads", str(threads), "--epochs", str(epochs), "--seed", str(seed)] + (["--out", out] if out else [])
    return json.loads(subprocess.run(command, env=ONE, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def quality(path):
    from gensim.models import KeyedVectors
    from gensim.test.utils import datapath
    wv = KeyedVectors.load_word2vec_format(path, binary=True)
    _, spearman, unknown = wv.evaluate_word_pairs(datapath("wordsim353.tsv"), restrict_vocab=None)
    score, sections = wv.evaluate_word_analogies(datapath("questions-words.txt"), restrict_vocab=None)
    return spearman[0], unknown, score, sum(len(s["correct"]) + len(s["incorrect"]) for s in sections if s["section"] == "Total accuracy")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--morsel", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--models", default="skip-gram,cbow")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        text = str(pathlib.Path(directory) / "text")
        prepare(args.text, text)
        for model in args.models.split(","):
            for threads in map(int, args.threads.split(",")):
                best = {}
                for _ in range(args.rounds):
                    for tool in ("morsel", "gensim"):
                        for key, value in run(tool, args, text, model, threads, 1, 1).items():
                            if key.startswith("words_per"):
                                best[tool, key] = max(best.get((tool, key), 0), value)
                for key in ("words_per_s", "words_per_processor_s") if args.rounds else ():
                    ours, theirs = best["morsel", key], best["gensim", key]
                    print(f"{model:9} {threads} threads {key:22} morsel {ours:9.0f}  gensim {theirs:8.0f}  {ours / theirs:.2f} times", flush=True)
            scores = {"morsel": [], "gensim": []}
            for seed in range(1, args.seeds + 1):
                for tool in ("morsel", "gensim"):
                    out = str(pathlib.Path(directory) / "vectors.bin")
                    run(tool, args, text, model, 1, args.epochs, seed, out)
                    spearman, unknown, score, asked = quality(out)
                    scores[tool].append((spearman, 100 * score))
                    print(f"{model:9} seed {seed} {tool:7} WordSim-353 {spearman:.3f} ({unknown:.0f} % unknown)  analogies {100 * score:.1f} % of {asked}", flush=True)
            for tool, found in scores.items():
                if len(found) > 1:
                    spearman, right = zip(*found)
                    print(f"{model:9} {len(found)} seeds {tool:7} WordSim-353 {statistics.mean(spearman):.3f} ± {statistics.stdev(spearman):.3f}  analogies {statistics.mean(right):.2f} ± {statistics.stdev(right):.2f} %")


if sys.argv[1:2] == ["--child"]:
    gensim_run(*json.loads(sys.argv[2]))
else:
    main()
