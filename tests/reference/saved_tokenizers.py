"""Whether the reference gives the same ids for tokenizers that morsel saved.

    python tests/reference/saved_tokenizers.py CONVERT_TOKENIZER TOKENIZER... -- TEXT_FILE...

CONVERT_TOKENIZER is the example program of that name. A TOKENIZER is a tokenizer.json, compared with what tokenizers itself makes of it, or a
SentencePiece tokenizer.model, compared with sentencepiece; in both cases tokenizers reads the saved file. Needs tokenizers and sentencepiece.
"""
import pathlib, random, subprocess, sys, tempfile
import sentencepiece
from tokenizers import Tokenizer

HOSTILE = [" ", "  ", "\n", "\t", "a", "aa", "=", "-", "#", "x", "'s", "1", "é", "e\u0301", "東京", "\u2581", "\U0001F468\u200d\U0001F469", "\u00a0", "\u200b"]


def texts(files):
    r = random.Random(1)
    for file in files:
        raw = pathlib.Path(file).read_bytes()
        for _ in range(200):
            begin = r.randrange(max(1, len(raw) - 2000))
            yield raw[begin:begin + r.randint(1, 2000)].decode("utf-8", "ignore")
    for _ in range(500):
        yield "".join(r.choice(HOSTILE) * r.choice([1, 1, 1, r.randint(1, 40)]) for _ in range(r.randint(1, 30)))


def main(convert, tokenizers, files):
    wrong = 0
    for path in tokenizers:
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run([convert, path, directory], check=True)
            saved = Tokenizer.from_file(directory + "/tokenizer.json")
        if path.endswith(".model"):
            model = sentencepiece.SentencePieceProcessor(model_file=path)
            expected = model.encode
        else:
            original = Tokenizer.from_file(path)
            expected = lambda text: original.encode(text, add_special_tokens=False).ids
        count = bad = 0
        for text in texts(files):
            count += 1
            if saved.encode(text, add_special_tokens=False).ids != expected(text):
                bad += 1
                if bad == 1:
                    print(repr(text[:200]))
        print(f"{path}: {count} texts, {bad} differ")
        wrong += bad
    return 1 if wrong else 0


if __name__ == "__main__":
    split = sys.argv.index("--")
    sys.exit(main(sys.argv[1], sys.argv[2:split], sys.argv[split + 1:]))
