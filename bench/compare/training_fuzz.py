"""Whether morsel learns what Hugging Face tokenizers learns, on fresh random corpora.

    python bench/compare/training_fuzz.py --morsel build/release/bin/morsel [--rounds 200] [--seed N] [--files TEXT_FILE...]

Every round makes a corpus (few letters or many, ties, runs, long words, CJK, emoji, white space; or pieces of the files), draws options, trains
with both, and compares tokens, ids and merges (a quarter of the rounds: WordPiece, which only morsel trains); then both load morsel's tokenizer.json and encode the corpus and other text, and
the ids are compared. What differs is printed with its seed, which makes the round again. Needs `tokenizers`.
Options by which the reference is random (limit_alphabet at ties, prefix and suffix) are left out.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ALPHABETS = ["ab", "abc", "abcdefgh", "etaoin shrdlu", "01 ,.", "aàáâ ", "日本語学習する中文 ", "👍🏽👩‍🔬🇩🇪 x", "a\tb\r \u00a0\u3000", "ACGT", "'strelvmd ", "_(){};=+ ifor"]
SPLITS = {
    "byte-level": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "whitespace": pre_tokenizers.Whitespace,
    "whitespace-split": pre_tokenizers.WhitespaceSplit,
    "bert": pre_tokenizers.BertPreTokenizer,
    "metaspace": pre_tokenizers.Metaspace,
    "none": lambda: None,
}
NORMALIZERS = {"none": lambda: None, "nfc": normalizers.NFC, "nfkc": normalizers.NFKC, "lowercase": normalizers.Lowercase, "bert-uncased": normalizers.BertNormalizer}


def corpus(rng, files):
    if files and rng.random() < 0.4:
        raw = rng.choice(files)
        begin = rng.randrange(max(1, len(raw) - 60000))
        return raw[begin:begin + rng.randint(200, 60000)].decode("utf-8", "ignore")
    letters = rng.choice(ALPHABETS) + rng.choice(["", " ", "  \n", rng.choice(ALPHABETS)])
    words = ["".join(rng.choice(letters) * rng.choice([1, 1, 1, 1, rng.randint(2, 9)]) for _ in range(rng.randint(1, 12))) for _ in range(rng.randint(1, 60))]
    if rng.random() < 0.2:
        words.append("".join(rng.choice(letters.strip() or "a") for _ in range(rng.randint(130, 900))))
    return "".join(rng.choice(words) + rng.choice([" ", " ", " ", "\n", "", "\r\n"]) for _ in range(rng.randint(1, 400)))


def ids_of(command, path, lines):
    encode = subprocess.run([command, "encode", "--input", "jsonl", "--tokenizer", str(path), "--format", "ids"], input="".join(json.dumps(t) + "\n" for t in lines), capture_output=True, text=True)
    return [[int(i) for i in shown.replace(",", " ").strip("[]").split()] for shown in encode.stdout.split("\n")] if encode.returncode == 0 else encode.stderr


def ids_differ(rng, command, files, directory, text, what, reference=None):
    """Where the saved tokenizer encodes differently here, in the reference, and in the tokenizer that the reference trained; None where nowhere."""
    loaded = Tokenizer.from_file(str(directory / "tokenizer.json"))
    lines = [t for t in [text[:3000], text[-500:]] + [corpus(rng, files)[:500] for _ in range(3)] if t]
    ours = ids_of(command, directory, lines)
    if isinstance(ours, str):
        return f"{what}: {ours}"
    for line, ids in zip(lines, ours):
        if loaded.encode(line).ids != ids:
            return f"{what}: ids differ on {line[:80]!r}"
        if reference is not None and reference.encode(line).ids != ids:
            return f"{what}: the reference's own tokenizer encodes differently {line[:80]!r}"
    return None


def wordpiece(rng, command, files, directory):
    """What morsel learned is read by the reference and encodes the same there."""
    text = corpus(rng, files)
    (directory / "corpus.txt").write_bytes(text.encode())
    split, normalizer, objective = rng.choice(["bert", "whitespace", "whitespace-split"]), rng.choice(["none", "bert", "bert-uncased", "nfkc"]), rng.choice(["ratio", "log_likelihood", "count"])
    what = {"wordpiece": objective, "split": split, "normalizer": normalizer, "size": len(text)}
    run = subprocess.run([command, "train", "wordpiece", "--quiet", "--files", str(directory / "corpus.txt"), "--output", str(directory), "--pre-tokenizer", split, "--normalizer", normalizer,
                          "--objective", objective, "--vocab-size", str(rng.choice([50, 300, 2000])), "--min-frequency", str(rng.choice([0, 2, 5]))], capture_output=True, text=True)
    if run.returncode != 0:
        return None if "no words" in run.stderr else f"{what}: {run.stderr}"
    return ids_differ(rng, command, files, directory, text, what)


def one(rng, command, files, directory):
    if rng.random() < 0.25:
        return wordpiece(rng, command, files, directory)
    text = corpus(rng, files)
    split, normalizer = rng.choice(list(SPLITS)), rng.choice(list(NORMALIZERS) + ["none"] * 4)
    options = {"vocab_size": rng.choice([30, 80, 300, 1000, 5000]), "min_frequency": rng.choice([0, 0, 0, 2, 5])}
    if rng.random() < 0.3:
        options["max_token_length"] = rng.randint(1, 9)
    if rng.random() < 0.4:
        options["special_tokens"] = rng.sample(["<s>", "</s>", "<|endoftext|>", "ab", "the", "a", "[UNK]"], rng.randint(1, 4))
    all_bytes = split == "byte-level" and rng.random() < 0.5
    path = directory / "corpus.txt"
    path.write_bytes(text.encode())
    arguments = [command, "train", "bpe", "--quiet", "--files", path, "--output", directory, "--formats", "tokenizer.json", "--pre-tokenizer", split, "--normalizer", normalizer,
                 "--vocab-size", options["vocab_size"], "--min-frequency", options["min_frequency"], "--threads", rng.choice([1, 2, 3])]
    if "max_token_length" in options:
        arguments += ["--max-token-length", options["max_token_length"]]
    if "special_tokens" in options:
        arguments += ["--special-tokens", *options["special_tokens"]]
    if all_bytes:
        arguments.append("--all-bytes")
    what = dict(options, split=split, normalizer=normalizer, all_bytes=all_bytes, size=len(text))

    # morsel takes "[UNK]" among the special tokens for the unknown token
    reference = Tokenizer(models.BPE(unk_token="[UNK]") if "[UNK]" in options.get("special_tokens", []) and split != "byte-level" else models.BPE())
    if NORMALIZERS[normalizer]() is not None:
        reference.normalizer = NORMALIZERS[normalizer]()
    if SPLITS[split]() is not None:
        reference.pre_tokenizer = SPLITS[split]()
    special = [AddedToken(t, special=True, normalized=False) for t in options.pop("special_tokens", [])]
    trainer = trainers.BpeTrainer(show_progress=False, special_tokens=special, **options,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if all_bytes else [])
    reference.train([str(path)], trainer)
    expected = json.loads(reference.to_str())["model"]

    run = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if run.returncode != 0:
        return None if not expected["merges"] and "no words" in run.stderr else f"{what}: {run.stderr}"
    saved = json.loads((directory / "tokenizer.json").read_text())["model"]
    if saved["vocab"] != expected["vocab"]:
        return f"{what}: vocabularies differ: {len(saved['vocab'])} and {len(expected['vocab'])}"
    if saved["merges"] != expected["merges"]:
        at = next((i for i, (a, b) in enumerate(zip(saved["merges"], expected["merges"])) if a != b), "the end")
        return f"{what}: merges differ from {at} on"

    return ids_differ(rng, command, files, directory, text, what, reference)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--morsel", required=True)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--files", nargs="*", default=[])
    options = parser.parse_args()
    files = [pathlib.Path(f).read_bytes()[:8_000_000] for f in options.files]
    bad = 0
    for seed in range(options.seed, options.seed + options.rounds):
        with tempfile.TemporaryDirectory() as directory:
            wrong = one(random.Random(seed), options.morsel, files, pathlib.Path(directory))
        if wrong:
            bad += 1
            print(f"seed {seed}: {wrong}", flush=True)
    print(f"{options.rounds} rounds from seed {options.seed}, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
