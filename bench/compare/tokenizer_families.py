"""Trains stand-ins for well-known tokenizers: the true pipeline of each, with a vocabulary of our own.

    python bench/compare/tokenizer_families.py CORPORA_DIRECTORY OUTPUT_DIRECTORY [NAME ...]

Needs tokenizers and sentencepiece. Reads *.txt of CORPORA_DIRECTORY, writes OUTPUT_DIRECTORY/NAME/tokenizer.json. What is compared or timed
on them behaves like the published model, whose weights of the vocabulary nobody needs to download.
"""
import base64, io, json, pathlib, sys
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

VOCABULARY = 32000
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL
QWEN2 = LLAMA3.replace("{1,3}", "")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTION}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTION}?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL)
DEEPSEEK = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|""" + TAIL
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def special(*names, **kind):
    return [AddedToken(name, special=True, normalized=False, **kind) for name in names]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert=invert)


def bytes_only():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def changed(tokenizer, **model):
    """The tokenizer with other values in its model."""
    data = json.loads(tokenizer.to_str())
    data["model"].update(model)
    return Tokenizer.from_str(json.dumps(data))


def byte_level(lines, pre_tokenizer, normalizer=None, **options):
    t = Tokenizer(models.BPE(**options.pop("model", {})))
    if normalizer is not None:
        t.normalizer = normalizer
    t.pre_tokenizer = pre_tokenizer
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, **options))
    t.decoder = decoders.ByteLevel()
    return t


def llama3(lines):
    t = changed(byte_level(lines, pre_tokenizers.Sequence([split(LLAMA3), bytes_only()])), ignore_merges=True)
    t.add_special_tokens(special("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", *(f"<|reserved_special_token_{i}|>" for i in range(8))))
    bos = ("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))
    t.post_processor = processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(single=f"{bos[0]} $A", pair=f"{bos[0]} $A {bos[0]}:1 $B:1", special_tokens=[bos])])
    return t


def qwen3(lines):
    t = byte_level(lines, pre_tokenizers.Sequence([split(QWEN2), bytes_only()]), normalizers.NFC())
    t.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False)
    t.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    t.add_tokens([AddedToken(name, normalized=False) for name in ("<tool_call>", "</tool_call>", "<think>", "</think>")])
    return t


def gpt4o(lines):
    t = byte_level(lines, pre_tokenizers.Sequence([split(O200K, "removed", invert=True), bytes_only()]))
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    t.add_special_tokens(special("<|endoftext|>", "<|endofprompt|>"))
    return t


def deepseek3(lines):
    t = byte_level(lines, pre_tokenizers.Sequence([split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK), bytes_only()]), normalizers.Sequence([]))
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens(special("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"))
    t.add_tokens([AddedToken(name, normalized=False) for name in ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>")])
    return t


def gemma3(lines):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(Regex("▁+|\n+|[0-9]"), "merged_with_next")  # for training; the model itself sees whole texts
    specials = special("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=VOCABULARY, limit_alphabet=6000, special_tokens=specials, show_progress=False))
    data = json.loads(t.to_str())
    vocab, merges = data["model"]["vocab"], data["model"]["merges"]
    for token in [f"<0x{b:02X}>" for b in range(256)] + ["\n" * n for n in range(1, 5)] + ["▁" * n for n in range(1, 9)] + [">▁</"]:
        vocab.setdefault(token, len(vocab))
    merges += [pair for pair in ([["\n" * n, "\n"] for n in range(1, 4)] + [["▁" * n, "▁"] for n in range(1, 8)]) if pair not in merges]
    if ">▁" in vocab and "</" in vocab:
        merges.append([">▁", "</"])
    t = Tokenizer.from_str(json.dumps(data))
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.add_special_tokens(special("<start_of_turn>", "<end_of_turn>", "<start_of_image>"))
    t.add_tokens([AddedToken(text, normalized=False) for text in ["<unused0>", "<table>", "\n\n", "\n\n\n", "▁▁", "▁▁▁▁", "\t\t"]])
    t.post_processor = processors.TemplateProcessing(single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", 2)])
    return t


def falcon(lines):
    cuts = [pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.Digits(False), split("[0-9][0-9][0-9]")]
    t = byte_level(lines, pre_tokenizers.Sequence(cuts))
    t.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False)
    t.add_special_tokens(special(">>TITLE<<", ">>ABSTRACT<<", "<|endoftext|>"))
    return t


def clip(lines):
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    cuts = pre_tokenizers.Sequence([split(CLIP, "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    specials = special("<|startoftext|>", "<|endoftext|>")
    t = byte_level(lines, cuts, normalizer, end_of_word_suffix="</w>", model=dict(unk_token="<|endoftext|>"), special_tokens=specials)
    data = json.loads(t.to_str())
    vocab = data["model"]["vocab"]
    for byte in pre_tokenizers.ByteLevel.alphabet():
        vocab.setdefault(byte + "</w>", len(vocab))
    data["model"].update(end_of_word_suffix="</w>", continuing_subword_prefix="")
    t = Tokenizer.from_str(json.dumps(data))
    begin, end = ((name.content, t.token_to_id(name.content)) for name in specials)
    t.post_processor = processors.RobertaProcessing(end, begin, trim_offsets=False, add_prefix_space=False)
    return t


def whisper(lines):
    t = byte_level(lines, pre_tokenizers.ByteLevel(add_prefix_space=False))
    t.add_special_tokens(special("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"))
    t.add_tokens([AddedToken(f"<|{i / 50:.2f}|>", normalized=False) for i in range(1501)])
    pieces = [(name, t.token_to_id(name)) for name in ("<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>")]
    around = " ".join(name for name, _ in pieces[:2])
    t.post_processor = processors.TemplateProcessing(single=f"{around} $A <|endoftext|>", pair=f"{around} $A $B <|endoftext|>", special_tokens=pieces)
    return t


def fields(message):
    """(number, value) of a protobuf message: all that sentencepiece's own file needs."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        size = {1: 8, 2: None, 5: 4}.get(kind)
        if kind == 0:
            yield key >> 3, varint()
            continue
        if kind == 2:
            size = varint()
        yield key >> 3, message[at:at + size]
        at += size


def charsmap(rule):
    """SentencePiece's precompiled map of that name."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f"] * 9), model_writer=model, vocab_size=14, model_type="char", hard_vocab_limit=False, normalization_rule_name=rule, minloglevel=2)
    normalizer = dict(fields(model.getvalue()))[3]
    return dict(fields(normalizer))[2]


def unigram(lines, normalizer, specials, unk, post):
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizer
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=VOCABULARY, special_tokens=special(*specials), unk_token=unk, show_progress=False))
    t.decoder = decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(special_tokens=[(name, t.token_to_id(name)) for name in specials], **post)
    return t


def t5(lines):
    t = unigram(lines, normalizers.Precompiled(charsmap("nmt_nfkc")), ["<pad>", "</s>", "<unk>"], "<unk>", dict(single="$A </s>", pair="$A </s> $B </s>"))
    t.add_special_tokens(special(*(f"<extra_id_{i}>" for i in range(100))))
    return t


def xlm_r(lines):
    normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap("nmt_nfkc")), normalizers.Replace(Regex(" {2,}"), " ")])
    t = unigram(lines, normalizer, ["<s>", "<pad>", "</s>", "<unk>"], "<unk>", dict(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>"))
    t.add_special_tokens(special("<mask>", lstrip=True))
    return t


def albert(lines):
    normalizer = normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(),
                                       normalizers.Lowercase(), normalizers.Precompiled(charsmap("nmt_nfkc_cf")), normalizers.Replace(Regex(" {2,}"), " ")])
    t = unigram(lines, normalizer, ["<pad>", "<unk>", "[CLS]", "[SEP]"], "<unk>", dict(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1"))
    t.add_special_tokens([AddedToken("[MASK]", special=True, lstrip=True, normalized=False)])
    return t


def bert_uncased(lines):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=VOCABULARY, limit_alphabet=6000, special_tokens=special("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), show_progress=False))
    pieces = [(name, t.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=pieces)
    t.decoder = decoders.WordPiece()
    return t


FAMILIES = dict(llama3=llama3, qwen3=qwen3, gpt4o=gpt4o, gemma3=gemma3, bert_uncased=bert_uncased, t5=t5, deepseek3=deepseek3, falcon=falcon, clip=clip, whisper=whisper, xlm_r=xlm_r,
                albert=albert)


def sample(folder, limit=4_000_000):
    lines = []
    for path in sorted(folder.glob("*.txt")):
        if path.stem != "hostile":
            lines += path.read_bytes()[:limit].decode("utf-8", "ignore").splitlines(keepends=True)
    return lines


def main(corpora, out, names):
    lines = sample(pathlib.Path(corpora))
    for name in names or FAMILIES:
        t = FAMILIES[name](lines)
        folder = pathlib.Path(out) / name
        folder.mkdir(parents=True, exist_ok=True)
        t.save(str(folder / "tokenizer.json"), pretty=False)
        print(name, t.get_vocab_size(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
