"""Trains tiny tokenizers and writes what the reference makes of some hundred texts: tests/data/tokenizers.

    python tests/reference/tiny_tokenizers.py tests/data/tokenizers

Needs tokenizers and sentencepiece. Each tokenizer takes another way through the pipeline, so that every component is tested
without any published model: see the list at the end. A line of NAME.jsonl: text (or text_hex), ids, offsets (bytes), decoded,
decoded_skip_special.
"""
import io, json, pathlib, random, sys
import sentencepiece
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
        lines.append(dict(text=text, ids=e.ids, offsets=[[starts[a], starts[b]] for a, b in e.offsets], decoded=t.decode(e.ids, skip_special_tokens=False), decoded_skip_special=t.decode(e.ids)))
    write(path, lines)


def save(t, out, name, extra):
    t.save(str(out / f"{name}.json"), pretty=False)
    expected(Tokenizer.from_file(str(out / f"{name}.json")), out / f"{name}.jsonl", name, extra)


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

    # SentencePiece BPE: with byte fallback and as it is; and with rules, extra white space removed, user-defined pieces, no bytes
    def train(name, **options):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, model_type="bpe", minloglevel=2, num_threads=1, **options)
        folder = out / name
        folder.mkdir(exist_ok=True)
        (folder / "tokenizer.model").write_bytes(model.getvalue())
        sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        records = []
        for text in texts(name, options.get("user_defined_symbols", [])) + BAD:
            e = sp.encode(text, return_type="proto")
            ids = [sp.bos_id()] + [p.id for p in e.pieces]
            record = dict(text=text) if isinstance(text, str) else dict(text_hex=text.hex())
            record.update(ids=ids, offsets=[[0, 0]] + [[p.begin, p.end] for p in e.pieces], decoded=sp.decode(ids), decoded_skip_special=sp.decode(ids))
            records.append(record)
        write(out / f"{name}.jsonl", records)

    train("sentencepiece", vocab_size=600, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=1.0)
    rules = out / "rules.tsv"
    rules.write_text("41\t61\n42\t62\n42 42\t78\nFF21\t41\n2028\t20\n3000\t20\nAD\t\n")
    train("sentencepiece_rules", vocab_size=330, normalization_rule_tsv=str(rules), user_defined_symbols=["<sep>", "token", "<sep2>"], character_coverage=1.0)
    rules.unlink()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
