"""Looks for texts on which morsel and the reference differ, and shrinks the first one it finds.

    python bench/compare/tokenizer_fuzz.py --morsel build/dev/examples/morsel [--count 2000] [--seed 1] [--corpora DIRECTORY] PATH ...

PATH is a tokenizer.json (or a directory with one), compared with the package tokenizers; a *.model, with sentencepiece; or a *.tiktoken
(its encoding is its name, or stands behind a colon: ranks.tiktoken:o200k_base), with tiktoken. Texts are made of fragments, random characters, the tokenizer's
own tokens and pieces of the corpora. Compared are ids, with and without offsets (two code paths), byte offsets, pairs, and decoding.
Exit status 1 where anything differs.
"""
import argparse, json, os, pathlib, random, subprocess, sys, tempfile

FRAGMENTS = (["", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\r", "\x00", "\x07", "\x7f", "\x85", "\u00a0", "\u3000", "\u2028", "\u200b", "\u200d", "\ufeff", "\u00ad", "\ufffd", "\u2581",
              "\u2581\u2581", "\u0120", "##a", "</w>", "<0x41>", "<0xE2>", "'s", "'S", "'\u017f", "'re", "'LL", "n't", "\u2019s", "1", "12", "123", "1234567", "\u0663", "\u00b2", "\u2167",
              "\u00bd", "\u4e00", "\u4e8c\u4e09", "\u3042\u3044", "\u30ab\u30bf", "\u30fc", "\uac00\uac01", "\u1100\u1161\u11a8", "e\u0301", "\u00e9", "A\u0301\u0323", "\u0301", "\ufb01", "\u2126", "\u212b",
              "\uff21\uff22", "\uff76\uff9e", "\u0130", "\u1e9e", "\u03a3\u03c2", "\u01c5", "\u02b0", "\u00aa\u0301", "\u0e33", "\u0915\u094d\u0937", "\u0628\u0651", "\u05d0\u05b0", "\U0001f468\u200d\U0001f469",
              "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3", "\u2122", "\u2160\u0301", "\U0001d15e", "\U0001d400", "\U0002f800", "\U00010400", "\U0010ffff", "\U000e0041", "\u1885", "\ua9bd", "_", "__", "-", "--", "...",
              "!?", "#", "@", "``", "''", "(", ")]}", "//", "/\n", "$5.00", "%", "^", "~", "a", "A", "aB", "Ab", "ABC", "hello", "World", "HTTPServer", "i", "I", "the", " the", " The", " and", "ing",
              "supercalifragilistic", "x" * 40, "\ud55c\uad6d\uc5b4", "\u0440\u0443\u0441\u0441\u043a\u0438\u0439", "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", "def f(x):\n    return x", "    ", "\t\t"])
RANGES = [(0x20, 0x7F)] * 6 + [(0, 0x20), (0x80, 0x250), (0x250, 0x600), (0x600, 0x900), (0x900, 0xE00), (0xE00, 0x1200), (0x1E00, 0x2100), (0x2000, 0x2700), (0x2E80, 0x3400), (0x4E00, 0x9FFF),
                               (0xAC00, 0xD7A4), (0xF900, 0xFFFF), (0x10000, 0x20000), (0x1F000, 0x1FB00), (0xE0000, 0xE0200)]


class Hf:
    def __init__(self, path):
        from tokenizers import Tokenizer
        self.t = Tokenizer.from_file(str(path))
        self.t.no_padding(), self.t.no_truncation()
        self.pairs, self.specials = True, True
        added = self.t.get_added_tokens_decoder()
        self.own = [token.content for token in added.values()]
        # Of tokens that take white space along, morsel shows the token, the reference the stretch of text.
        self.shown = {id: self.t.id_to_token(id) for id, token in added.items() if token.lstrip or token.rstrip}
        vocabulary = list(self.t.get_vocab())
        self.own += random.Random(1).sample(vocabulary, min(400, len(vocabulary)))

    def encode(self, text, pair=None, specials=True):
        e = self.t.encode(text, pair, add_special_tokens=specials)
        starts = [byte_starts(text), byte_starts(pair or "")]
        return dict(ids=e.ids, tokens=[self.shown.get(id, token) for id, token in zip(e.ids, e.tokens)], type_ids=e.type_ids, offsets=[[starts[s or 0][a], starts[s or 0][b]] for (a, b), s in zip(e.offsets, e.sequence_ids)])

    def decode(self, ids, skip):
        return self.t.decode(ids, skip_special_tokens=skip)


class SentencePiece:
    def __init__(self, path):
        import sentencepiece
        self.t = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.pairs = self.specials = False
        self.own = [self.t.id_to_piece(i) for i in range(self.t.get_piece_size())][:2000:5]

    def encode(self, text, pair=None, specials=False):
        pieces = self.t.encode(text, return_type="proto").pieces
        return dict(ids=[p.id for p in pieces], offsets=[[p.begin, p.end] for p in pieces])

    def decode(self, ids, skip):
        return self.t.decode(ids)


class Tiktoken:
    PATTERNS = dict(cl100k_base=r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
                    gpt2=r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""",
                    llama3=r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
                    qwen=r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
                    o200k_base="|".join([r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
                                         r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
                                         r"""\p{N}{1,3}""", r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""", r"""\s*[\r\n]+""", r"""\s+(?!\S)""", r"""\s+"""]))

    def __init__(self, path, name):
        import base64
        import tiktoken
        ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in open(path, "rb") if line.strip()}
        pattern = self.PATTERNS[{"r50k_base": "gpt2", "p50k_base": "gpt2"}.get(name, name)]
        specials = {"<|endoftext|>": {"cl100k_base": 100257, "o200k_base": 199999, "qwen": 151643}.get(name, 50256)} if name != "llama3" else {"<|eot_id|>": 128009}
        self.t = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials)
        self.pairs = self.specials = False
        self.own = list(specials)

    def encode(self, text, pair=None, specials=False):
        return dict(ids=self.t.encode(text, allowed_special="all"))

    def decode(self, ids, skip):
        return self.t.decode(ids)


def byte_starts(text):
    starts = [0]
    for c in text:
        starts.append(starts[-1] + len(c.encode()))
    return starts


class Morsel:
    def __init__(self, program, path, options):
        self.program, self.path, self.options = program, str(path), options

    def run(self, command, lines, *options):
        with tempfile.TemporaryFile() as source:
            source.write("".join(line + "\n" for line in lines).encode())
            source.seek(0)
            done = subprocess.run([self.program, command, "--tokenizer", self.path, *self.options, *options], stdin=source, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"morsel {command}: {done.returncode}: {done.stderr.decode()[-500:]}")
        return done.stdout.decode().split("\n")[:-1]

    def encode(self, cases):
        lines = [json.dumps({k: v for k, v in case.items() if v is not None}) for case in cases]
        full = [json.loads(line) for line in self.run("encode", lines, "--input", "jsonl", "--format", "json")]
        fast = [[int(i) for i in line.split()] for line in self.run("encode", lines, "--input", "jsonl", "--format", "ids")]
        return full, fast

    def decode(self, lists, skip):
        return [json.loads(line) for line in self.run("decode", [json.dumps(ids) for ids in lists], "--format", "json", *(["--skip-special-tokens"] if skip else []))]


def random_text(r, own, corpora):
    kind = r.random()
    if corpora and kind < 0.3:
        corpus = r.choice(corpora)
        at = r.randrange(max(1, len(corpus) - 400))
        return corpus[at:at + r.randint(1, 300)]
    parts = []
    for _ in range(r.randint(1, 10)):
        what = r.random()
        if what < 0.55:
            parts.append(r.choice(FRAGMENTS))
        elif what < 0.7 and own:
            parts.append(r.choice(own))
        else:
            low, high = r.choice(RANGES)
            parts += [chr(c) for c in (r.randrange(low, high) for _ in range(r.randint(1, 4))) if not 0xD800 <= c < 0xE000]
        parts.append(r.choice(["", "", "", " ", " ", "  ", "\n"]))
    return "".join(parts)


def differences(reference, morsel, cases):
    """[index, what, expected, found] of the cases that differ, one for each."""
    found = {}
    full, fast = morsel.encode(cases)
    expected = [reference.encode(case["text"], case.get("text_pair"), case.get("add_special_tokens", True)) for case in cases]
    for i, (want, got, ids) in enumerate(zip(expected, full, fast)):
        for key, value in want.items():
            if got[key] != value:
                found.setdefault(i, (key, value, got[key]))
        if ids != want["ids"]:
            found.setdefault(i, ("ids without offsets", want["ids"], ids))
    for skip in (False, True):
        if skip and not reference.specials:
            continue
        for i, (want, text) in enumerate(zip(expected, morsel.decode([e["ids"] for e in expected], skip))):
            should = reference.decode(want["ids"], skip)
            if should != text:
                found.setdefault(i, ("decoded" + (", special tokens skipped" if skip else ""), should, text))
    return [(i, *found[i]) for i in sorted(found)]


def shrink(reference, morsel, case):
    """The shortest case that this finds by leaving out stretches of characters, still different."""
    best = differences(reference, morsel, [case])[0]
    if case.get("text_pair") is not None:
        smaller = {k: v for k, v in case.items() if k != "text_pair"}
        if found := differences(reference, morsel, [smaller]):
            case, best = smaller, found[0]
    size = max(1, len(case["text"]) // 2)
    while True:
        text = case["text"]
        tries = [dict(case, text=text[:at] + text[at + size:]) for at in range(0, len(text), size)] if text else []
        found = differences(reference, morsel, tries) if tries else []
        if found:
            best, case = found[0], tries[found[0][0]]
            size = max(1, min(size, len(case["text"])))
        elif size > 1:
            size //= 2
        else:
            return case, best


def open_reference(argument):
    path, _, name = argument.partition(":")
    path = pathlib.Path(path)
    if path.suffix == ".model":
        return SentencePiece(path), path, ["--no-special-tokens"]
    if path.suffix == ".tiktoken":
        name = name or path.stem
        return Tiktoken(path, name), path, ["--encoding", name]
    if path.is_dir() and not (path / "tokenizer.json").exists() and list(path.glob("*.model")):
        model = next(path.glob("*.model"))
        return SentencePiece(model), model, ["--no-special-tokens"]
    return Hf(path / "tokenizer.json" if path.is_dir() else path), path, []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--morsel", required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpora")
    parser.add_argument("paths", nargs="+")
    arguments = parser.parse_args()
    corpora = []
    for path in sorted(pathlib.Path(arguments.corpora).glob("*.txt")) if arguments.corpora else []:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) // 2))
            corpora.append(file.read(1 << 20).decode("utf-8", "ignore"))
    failed = False
    for argument in arguments.paths:
        reference, path, options = open_reference(argument)
        common = [o for o in options if o != "--no-special-tokens"]
        morsel = Morsel(arguments.morsel, path, common)
        r = random.Random(arguments.seed)
        cases = []
        for _ in range(arguments.count):
            case = dict(text=random_text(r, reference.own, corpora), add_special_tokens=reference.specials and r.random() < 0.7)
            if reference.pairs and r.random() < 0.2:
                case["text_pair"] = random_text(r, reference.own, corpora)
            cases.append(case)
        found = differences(reference, morsel, cases)
        print(f"{argument}: {len(cases)} texts, {len(found)} differ", flush=True)
        if found:
            failed = True
            for kind in dict.fromkeys(f[1] for f in found):
                first = next(f for f in found if f[1] == kind)
                case, (_, what, want, got) = shrink(reference, morsel, cases[first[0]])
                print(f"  {what}: {json.dumps(case)}\n    expected {want!r}\n    found    {got!r}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
