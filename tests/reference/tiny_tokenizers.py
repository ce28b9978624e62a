"""Trains tiny tokenizers and writes what the reference makes of some hundred texts: tests/data/tokenizers.

    python tests/reference/tiny_tokenizers.py tests/data/tokenizers

Needs tokenizers, tiktoken and sentencepiece (with protobuf). Each tokenizer takes another way through the pipeline, so that every component is tested
without any published model: see the list at the end. A line of NAME.jsonl: text (or text_hex), ids, offsets (bytes), decoded,
decoded_skip_special; of some files tokens too.
"""
import base64, io, json, pathlib, random, sys, tempfile
import sentencepiece, tiktoken
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = """A token is a small chunk of text, and a tokenizer cuts text into tokens. The first step counts which pairs of symbols stand
side by side most often; the next step merges them. Don't we've seen this before? They'll say it's simple, I'm not so sure.
Lower, lowest, newer, newest, wider, widest: the endings come back, so they become tokens of their own. In 1998, 42 + 7 = 49.
Grüße aus München, café crème, naïve façade, Ελληνικά γράμματα, русские слова и ещё слова. 日本語の文章、中文的句子。
def encode(self, text): return [self.vocab[t] for t in self.split(text)]  # so it is written
""" * 4

HOSTILE = ["", " ", "  ", "\n", "\t\r\n", "a", " a", "a ", " a  b ", "don't we've they'll I'M 'S", "1234567890 12 3", "e\u0301 \u00e9 \u212b \ufb01", "\U0001F4CC",
           "\U0001F468\u200d\U0001F469\u200d\U0001F467", "a\u0000b", "\ufeffbom", "\u200b\u00ad\u2028x\u0085y\u00a0z", "\u3000全角　ＡＢＣ", "İstanbul ẞ ς Σ",
           "<s>", "a<s>b </s>", "[MASK] x", "x [MASK]", "x[MASK]y", "<|end|>  \n next", "  <|end|>", "word wordy swordy word", "\u2581 \u0120 ##a <0x41>", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
           "x" * 120, "!?.,;:", "$+<=>^`|~", "\u0915\u094d\u0937", "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab", "ab\u0300cd\u0301\u0327", "\U0010ffff", "\ufffd"]
CL100K = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""

BAD = [b"\xff", b"a\xffb", b"\xc3", b"\xe4\xb8", b"ok \x80\x80 ok", b"\xed\xa0\x80"]


def texts(seed, extra):
    r = random.Random(seed)
    parts = CORPUS.split() + [x for x in HOSTILE if x] + extra
    out = HOSTILE + [CORPUS[:300]]
    for _ in range(90):
        out.append("".join(r.choice(parts) + r.choice(["", " ", " ", "  ", "\n"]) for _ in range(r.randint(1, 8))))
    return out


def byte_starts(text):
    starts = [0]
    for c in text:
        starts.append(starts[-1] + len(c.encode()))
    return starts


def write(path, records):
    path.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in records))


def expected(t, path, seed, extra):
    lines = []
    for text in texts(seed, extra):
        e = t.encode(text)
        starts = byte_starts(text)
        lines.append(dict(text=text, ids=e.ids, tokens=e.tokens, offsets=[[starts[a], starts[b]] for a, b in e.offsets], decoded=t.decode(e.ids, skip_special_tokens=False), decoded_skip_special=t.decode(e.ids)))
    write(path, lines)


def save(t, out, name, extra):
    t.save(str(out / f"{name}.json"), pretty=False)
    expected(Tokenizer.from_file(str(out / f"{name}.json")), out / f"{name}.jsonl", name, extra)


def byte_characters():
    """The byte alphabet of GPT-2."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def fields(message):
    """(number, value) of a protobuf message: all that sentencepiece's own file needs."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(key & 7) or varint()
        yield key >> 3, message[at:at + size]
        at += size


def charsmap(rules):
    """SentencePiece's precompiled map of these rules."""
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.write("".join("\t".join(" ".join(f"{ord(c):X}" for c in side) for side in rule) + "\n" for rule in rules.items()))
        file.flush()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f"] * 9), model_writer=model, vocab_size=14, model_type="char", hard_vocab_limit=False,
                                                 normalization_rule_tsv=file.name, minloglevel=2)
    return dict(fields(dict(fields(model.getvalue()))[3]))[2]


# Single characters, clusters with and without a rule for their first character, growth, shrinkage, deletion.
RULES = {"A": "a", "A\u0301": "\u00e1", "B": "b", "e\u0301": "\u00e9", "e\u0301\u0323": "E", "\u00b5": "\u03bc", "\u00aa": "a", "\u2160": "I", "\ufb01": "fi", "\u3392": "MHz", "\uff21": "A", "\uff22": "B",
         "\uff76": "\u30ab", "\uff76\uff9e": "\u30ac", "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\r": " ", "\r\n": " ", "\u0007": "", "\u0001": "", "\u200b": " ", "\u00ad": "", "\u1112\u1161\u11ab": "\ud55c",
         "o\u0308\u0304": "xyz", "\U0001f468\u200d": "m", "\u0130": "i\u0307"}


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    lines = CORPUS.splitlines()

    # byte-level BPE as GPT-2, prefix space, trimmed offsets, added tokens of every kind
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>"], show_progress=False))
    t.add_tokens([AddedToken("word", single_word=True), AddedToken("[MASK]", lstrip=True, normalized=False), AddedToken("<|end|>", rstrip=True, normalized=False)])
    t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")), trim_offsets=True, add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    save(t, out, "byte_level", ["[MASK]", "<|end|>", "word"])

    # Llama-style: metaspace in the normalizer, one word, byte fallback
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = pre_tokenizers.Split(Regex("(?<=▁)|(?=▁)"), "isolated")  # for training only
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=620, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)], show_progress=False))
    data = json.loads(t.to_str())
    data["pre_tokenizer"] = None
    data["added_tokens"] = data["added_tokens"][:3]
    t = Tokenizer.from_str(json.dumps(data))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    save(t, out, "byte_fallback", ["<s>", "</s>"])

    # WordPiece, uncased
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=350, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))
    t.decoder = decoders.WordPiece()
    save(t, out, "wordpiece", ["[MASK]", "[SEP]"])
    vocab = sorted(t.get_vocab().items(), key=lambda x: x[1])
    (out / "wordpiece").mkdir(exist_ok=True)
    (out / "wordpiece" / "vocab.txt").write_text("".join(token + "\n" for token, _ in vocab))

    # Unigram with metaspace, NFKC and a normalized added token
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>", "<s>"], unk_token="<unk>", show_progress=False))
    t.add_tokens([AddedToken("WORD", normalized=True), AddedToken(" \n", normalized=False)])
    t.decoder = decoders.Metaspace()
    save(t, out, "unigram", ["WORD", "Word", "<s>"])

    # split pattern and digits, end-of-word suffix, BPE decoder
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Whitespace()])
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False))
    t.decoder = decoders.BPEDecoder()
    save(t, out, "suffix", [])

    # T5-style: a character map, words, metaspace; SentencePiece's own map of that name
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap(RULES)), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    t.decoder = decoders.Metaspace()
    save(t, out, "charsmap", ["A\u0301", "e\u0301\u0323", "o\u0308\u0304", "\u00b5\u0301", "\u2160\u0323", "\uff76\uff9e", "\u00a0\u0301\u0301", "a\u0007", "\u0001", "\u3392", "\u0600a", "\u00aa\u200d"])

    # Ranks as tiktoken keeps them, with the split of GPT-4 and one special token
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CL100K), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    byte_of = {character: byte for byte, character in byte_characters().items()}
    ranks = {bytes(byte_of[c] for c in token): rank for token, rank in t.get_vocab().items()}
    ranks = {token: (rank * 7 + 3) % 4096 if len(token) > 3 else rank for token, rank in ranks.items()}  # some tokens cannot be reached any more
    assert len(set(ranks.values())) == len(ranks)
    (out / "cl100k_base.tiktoken").write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in sorted(ranks.items(), key=lambda x: x[1])))
    encoding = tiktoken.Encoding("cl100k_base", pat_str=CL100K, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 100257})
    records = []
    for text in texts("tiktoken", ["<|endoftext|>", "\n \n", "it'S"]):
        ids = encoding.encode(text, allowed_special="all")
        assert encoding.decode(ids) == text
        records.append(dict(text=text, ids=ids, decoded=text, decoded_skip_special=text.replace("<|endoftext|>", "")))
    write(out / "cl100k_base.jsonl", records)

    # SentencePiece BPE: with byte fallback and as it is; and with rules, extra white space removed, user-defined pieces, no bytes
    def train(name, **options):
        model = io.BytesIO()
        options = dict(dict(model_type="bpe"), **options)
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, minloglevel=2, num_threads=1, **options)
        folder = out / name
        folder.mkdir(exist_ok=True)
        (folder / "tokenizer.model").write_bytes(model.getvalue())
        sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        records = []
        for text in texts(name, options.get("user_defined_symbols", [])) + BAD:
            e = sp.encode(text, return_type="proto")
            ids = [sp.bos_id()] * (sp.bos_id() >= 0) + [p.id for p in e.pieces]
            record = dict(text=text) if isinstance(text, str) else dict(text_hex=text.hex())
            record.update(ids=ids, offsets=[[0, 0]] * (sp.bos_id() >= 0) + [[p.begin, p.end] for p in e.pieces], decoded=sp.decode(ids), decoded_skip_special=sp.decode(ids))
            records.append(record)
        write(out / f"{name}.jsonl", records)

    train("sentencepiece", vocab_size=600, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=1.0)
    rules = out / "rules.tsv"
    rules.write_text("41\t61\n42\t62\n42 42\t78\nFF21\t41\n2028\t20\n3000\t20\nAD\t\n")
    train("sentencepiece_rules", vocab_size=330, normalization_rule_tsv=str(rules), user_defined_symbols=["<sep>", "token", "<sep2>"], character_coverage=1.0)
    rules.unlink()
    train("sentencepiece_unigram", model_type="unigram", vocab_size=330, bos_id=-1, normalization_rule_name="identity", user_defined_symbols=["<sep>", "token", "\u2581of"], character_coverage=1.0, hard_vocab_limit=False)
    train("sentencepiece_unigram_bytes", model_type="unigram", vocab_size=480, byte_fallback=True, normalization_rule_name="identity", treat_whitespace_as_suffix=True, character_coverage=0.98, hard_vocab_limit=False)
    train("sentencepiece_words", model_type="word", vocab_size=120, normalization_rule_name="identity", hard_vocab_limit=False)
    train("sentencepiece_characters", model_type="char", vocab_size=370, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
          user_defined_symbols=["<sep>", "token"], character_coverage=0.99, hard_vocab_limit=False)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
