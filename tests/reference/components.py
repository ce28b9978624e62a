"""Every component of a tokenizer.json with every option, alone: tests/data/components.jsonl.

    python tests/reference/components.py tests/data/components.jsonl

Needs tokenizers (0.23). A line: "name", "tokenizer" (a whole tokenizer.json), "encoded": for each text [text, pair or null, add_special_tokens, what the
reference gives], "decoded": [ids, skip_special_tokens, text]. What the reference gives is a list of windows, the first one the encoding itself; a
window is [ids, tokens, offsets in bytes, type ids, special tokens mask, attention mask]; or the string "error". Truncation and padding are
those of the tokenizer.json. Normalizers and pre-tokenizers have their own file, text_pipeline.py, and appear here where they matter to others.
"""
import itertools, json, sys
from tokenizers import Tokenizer

TEXTS = ["", " ", "abc", "abcabc", "ab c", "  abc  ab ", "xyz", "axb", "xxabxx", "aé", "éé", "a\U0001f600b", "ab\nc", "abab cab", "<s>", "a<s>b", "Abc", "cab. a's b'd", "a" * 9, "▁ab", "\u0301a"]
PAIRS = [("abc ab", "ca"), ("a", ""), ("", "b"), ("ab ca bc ab", "abc x")]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def number(tokens):
    return {token: i for i, token in enumerate(tokens)}


def whole(model, **parts):
    return dict(dict(version="1.0", truncation=None, padding=None, added_tokens=[], normalizer=None, pre_tokenizer=None, post_processor=None, decoder=None, model=model), **parts)


def added(content, id, **flags):
    return dict(dict(id=id, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=False), **flags)


def bpe(prefix="", suffix="", bytes=False, extra=(), **options):
    letters = ["a", "b", "c", " ", "▁"]
    tokens = ["<unk>", "<s>", "</s>"] + letters
    merges = []
    if prefix or suffix:
        tokens += [prefix + c for c in letters if prefix] + [c + suffix for c in letters if suffix] + [prefix + c + suffix for c in letters if prefix and suffix]
        for left, right in (("a", prefix + "b"), (prefix + "a", prefix + "b"), ("a", prefix + "b" + suffix), (prefix + "b", prefix + "c" + suffix), ("ab", prefix + "c" + suffix)):
            if left in tokens and right in tokens and [left, right] not in merges:
                merges.append([left, right])
                tokens.append(left + right[len(prefix):])
    else:
        merges = [["a", "b"], ["c", "a"], ["ab", "c"], ["a", "a"], ["aa", "a"], ["▁", "ab"], [" ", "a"]]
        tokens += [left + right for left, right in merges]
    tokens = list(dict.fromkeys(tokens + list(extra) + (BYTES if bytes else [])))
    return dict(dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=prefix or None, end_of_word_suffix=suffix or None, fuse_unk=False, byte_fallback=bytes, ignore_merges=False,
                     vocab=number(tokens), merges=merges), **options)


def word_level(tokens, unk="<unk>"):
    return dict(type="WordLevel", vocab=number(tokens), unk_token=unk)


def cases():
    split = dict(type="WhitespaceSplit")
    for unk, fuse, bytes, ignore in itertools.product([None, "<unk>"], [False, True], [False, True], [False, True]):
        yield f"BPE unk {unk} fuse {fuse} bytes {bytes} ignore_merges {ignore}", whole(bpe(bytes=bytes, unk_token=unk, fuse_unk=fuse, ignore_merges=ignore, extra=["abab", "cab", "abcabc"]))
    for prefix, suffix, unk in itertools.product(["", "##"], ["", "</w>"], [None, "<unk>"]):
        yield f"BPE prefix {prefix} suffix {suffix} unk {unk}", whole(bpe(prefix, suffix, unk_token=unk, fuse_unk=True), pre_tokenizer=split)
    yield "BPE unknown token missing", whole(bpe(unk_token="<none>"))
    yield "BPE some byte tokens", whole(bpe(extra=BYTES[:0xA0], byte_fallback=True, unk_token="<unk>"))
    for prefix, most in itertools.product(["##", "", "@@"], [100, 4]):
        tokens = ["[UNK]", "a", "ab", "abc", "c"] + [prefix + t for t in ("a", "b", "c", "bc", "ca")]
        yield f"WordPiece prefix {prefix} at most {most}", whole(dict(type="WordPiece", unk_token="[UNK]", continuing_subword_prefix=prefix, max_input_chars_per_word=most, vocab=number(dict.fromkeys(tokens))), pre_tokenizer=split)
    yield "WordPiece unknown token missing", whole(dict(type="WordPiece", unk_token="[none]", continuing_subword_prefix="##", max_input_chars_per_word=100, vocab=number(["a", "ab"])), pre_tokenizer=split)
    pieces = [["<unk>", 0.0], ["a", -1.5], ["b", -2.0], ["c", -2.5], ["ab", -2.25], ["abc", -4.0], ["ca", -3.0], [" ", -3.0], ["abab", -9.0], ["é", -5.0], ["aa", -3.0]]
    for unk, bytes in itertools.product([None, 0], [False, True]):
        yield f"Unigram unk {unk} bytes {bytes}", whole(dict(type="Unigram", unk_id=unk, byte_fallback=bytes, vocab=pieces + [[b, -20.0] for b in BYTES if bytes]))
    yield "Unigram unk with text", whole(dict(type="Unigram", unk_id=1, byte_fallback=True, vocab=pieces + [[b, -20.0] for b in BYTES]))
    yield "WordLevel", whole(word_level(["<unk>", "abc", "ab", "a", "<s>"]), pre_tokenizer=split)
    yield "WordLevel unknown token missing", whole(word_level(["abc", "ab"]), pre_tokenizer=split)

    # added tokens: every combination of flags, in a text that is lower-cased
    for single, left, right, normalized in itertools.product([False, True], repeat=4):
        tokens = [added("<s>", 1, special=True), added("Ab", 20, single_word=single, lstrip=left, rstrip=right, normalized=normalized), added("ab ca", 21, single_word=single, lstrip=right, normalized=normalized)]
        yield f"added single_word {single} lstrip {left} rstrip {right} normalized {normalized}", whole(bpe(unk_token="<unk>"), added_tokens=tokens, normalizer=dict(type="Lowercase"))

    words = word_level(["<unk>", "abc", "ab", "a", "b", "ca", "<s>", "</s>", "x", "bc"])
    special = [added("<s>", 6, special=True), added("</s>", 7, special=True)]
    template = lambda single, pair, **tokens: dict(type="TemplateProcessing", single=single, pair=pair, special_tokens={k: dict(id=k, ids=v[0], tokens=v[1]) for k, v in tokens.items()})
    S = lambda id, type: dict(SpecialToken=dict(id=id, type_id=type))
    A = lambda id, type: dict(Sequence=dict(id=id, type_id=type))
    one = dict(s=([6], ["<s>"]), e=([7], ["</s>"]))
    around = template([S("s", 0), A("A", 0), S("e", 0)], [S("s", 0), A("A", 0), S("e", 1), A("B", 1), S("e", 2)], **one)
    processors = dict(template=around,
                      template_many=template([A("A", 3), S("m", 5)], [A("B", 1), S("m", 2), A("A", 0)], m=([6, 7, 6], ["<s>", "</s>", "<s>"])),
                      template_twice=template([A("A", 0), S("s", 1), A("A", 1)], [A("A", 0), A("B", 1), A("A", 2)], **one),
                      template_bare=template([A("A", 0)], [A("A", 0), A("B", 1)]),
                      bert=dict(type="BertProcessing", sep=["</s>", 7], cls=["<s>", 6]), sequence=dict(type="Sequence", processors=[dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True), around]),
                      sequence_empty=dict(type="Sequence", processors=[]))
    for trim, space in itertools.product([False, True], repeat=2):
        processors[f"roberta trim {trim} space {space}"] = dict(type="RobertaProcessing", sep=["</s>", 7], cls=["<s>", 6], trim_offsets=trim, add_prefix_space=space)
        processors[f"bytelevel trim {trim} space {space}"] = dict(type="ByteLevel", trim_offsets=trim, add_prefix_space=space, use_regex=True)
    for name, processor in processors.items():
        yield f"post-processor {name}", whole(words, added_tokens=special, pre_tokenizer=split, post_processor=processor)
    spaced = bpe(extra=["Ġ", "ĠĠ", "Ġa", "ab", "ĠĠĠ", "aĠ", "Ċ", "."])
    spaced["merges"] = [["Ġ", "Ġ"], ["a", "b"], ["Ġ", "a"], ["ĠĠ", "Ġ"], ["a", "Ġ"]]
    for trim, space, front in itertools.product([False, True], repeat=3):
        pre = dict(type="ByteLevel", add_prefix_space=front, trim_offsets=True, use_regex=False)
        yield f"bytelevel offsets trim {trim} space {space} in front {front}", whole(spaced, pre_tokenizer=pre, post_processor=dict(type="ByteLevel", trim_offsets=trim, add_prefix_space=space, use_regex=True))

    for strategy, direction, stride, most in itertools.product(["LongestFirst", "OnlyFirst", "OnlySecond"], ["Right", "Left"], [0, 1], [0, 3, 4, 6]):
        cut = dict(direction=direction, max_length=most, strategy=strategy, stride=stride)
        if most > 3 + stride:
            yield f"truncation {strategy} {direction} {stride} {most}", whole(words, added_tokens=special, pre_tokenizer=split, post_processor=around, truncation=cut)
        if most and stride < most:
            yield f"truncation alone {strategy} {direction} {stride} {most}", whole(words, pre_tokenizer=split, truncation=cut)
    for length, direction, multiple in itertools.product(["BatchLongest", dict(Fixed=6)], ["Right", "Left"], [None, 4]):
        pad = dict(strategy=length, direction=direction, pad_to_multiple_of=multiple, pad_id=8, pad_type_id=2, pad_token="x")
        yield f"padding {length} {direction} {multiple}", whole(words, added_tokens=special, pre_tokenizer=split, post_processor=around, padding=pad)
    yield "truncation and padding", whole(words, pre_tokenizer=split, post_processor=around, padding=pad, truncation=dict(direction="Right", max_length=5, strategy="LongestFirst", stride=1))


ODD = ["a", "b", "ab", " ", "  ", " a ", "▁", "▁▁a", "##b", "<0xE2>", "<0x96>", "<0x81>", "<0x41>", "<0xFF>", "<0xg1>", "</w>", "b</w>", "c</w>d", "Ġ", "â", "ĸ", "ģ", "<pad>", "|", "\ufffd", "do not", "n't", " .", "!", "'s", "a|b", "<s>", "Ġa",
       "▁b", "##", "é", "_x", "aa"]


def decoders():
    strip = lambda content, start, stop: dict(type="Strip", content=content, start=start, stop=stop)
    replace = lambda content, **pattern: dict(type="Replace", pattern=pattern, content=content)
    simple = [dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True), dict(type="ByteFallback"), dict(type="Fuse"), strip(" ", 1, 0), strip("a", 1, 1), strip("▁", 0, 2), strip("b", 3, 3),
              replace(" ", String="▁"), replace("", String="a"), replace("ab", String="b"), replace("_", Regex="\\s+"), replace("a", Regex="[0-9][0-9][0-9]")]
    simple += [dict(type="WordPiece", prefix=prefix, cleanup=cleanup) for prefix in ("##", "@@", "") for cleanup in (True, False)]
    simple += [dict(type="Metaspace", replacement=mark, prepend_scheme=scheme, split=cut) for mark in ("▁", "_") for scheme in ("always", "first", "never") for cut in (True, False)]
    simple += [dict(type="BPEDecoder", suffix=suffix) for suffix in ("</w>", "b", "_")]
    simple += [dict(type="CTC", pad_token=pad, word_delimiter_token=mark, cleanup=cleanup) for pad in ("<pad>", "a") for mark in ("|", "b") for cleanup in (True, False)]
    yield None
    yield from simple
    yield dict(type="Sequence", decoders=[])
    llama = [simple[7], simple[1], simple[2], simple[3]]
    yield dict(type="Sequence", decoders=llama)
    yield dict(type="Sequence", decoders=[simple[1], dict(type="Sequence", decoders=[simple[12], simple[2]]), simple[8]])
    yield dict(type="Sequence", decoders=[simple[0], simple[3]])


def id_lists():
    tokens = number(ODD)
    texts = [[], ["a"], ["a", "##b", "ab"], ["▁", "▁b", "a", "▁▁a"], ["<0xE2>", "<0x96>", "<0x81>", "a"], ["<0xE2>", "<0x96>", "a", "<0xFF>", "<0x41>", "<0xg1>"], ["a", "a", "<pad>", "a", "|", "b", "b", "aa"], ["b</w>", "c</w>d", "a", "b</w>"],
             ["â", "ĸ", "ģ", "Ġ", "a"], ["â", "ĸ", "é", "Ġa", "ĸ"], ["do not", "n't", " .", "!", "'s", "a|b"], ["<s>", "a", "<s>", "  ", " a "], ["\ufffd", "_x", "##", " ", "</w>", "|"], ["b", "b", "ab", "ab", "ab"]]
    return [[tokens[t] for t in text] for text in texts] + [[1000, 0, 1000]]


def starts(text):
    out = [0]
    for c in text:
        out.append(out[-1] + len(c.encode()))
    return out


def windows(e, texts):
    positions = [starts(t) for t in texts]
    out = []
    for w in [e, *e.overflowing]:
        offsets = []
        for (a, b), s in zip(w.offsets, w.sequence_ids):
            at = positions[s or 0]
            offsets += [at[a], at[b]]
        out.append([w.ids, w.tokens, offsets, w.type_ids, w.special_tokens_mask, w.attention_mask])
    return out


def quietly(f):
    try:
        return f()
    except BaseException:  # also the reference's panics
        return "error"


def main(path):
    with open(path, "w") as out:
        for name, data in cases():
            text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
            t = Tokenizer.from_str(text)
            texts = TEXTS if not name.startswith(("truncation", "padding", "post")) else ["", "a", "ab <s> x", "abc ab a", " ab ca bc ab  abc x a", "ab  zé"]
            encoded = []
            for one, pair, add in [(x, None, True) for x in texts] + [(*p, True) for p in PAIRS] + [(*PAIRS[0], False), (texts[3], None, False)]:
                encoded.append([one, pair, add, quietly(lambda: windows(t.encode(one, pair, add_special_tokens=add), [one, pair or ""]))])
            out.write(json.dumps(dict(name=name, tokenizer=data, encoded=encoded, decoded=[]), ensure_ascii=False, separators=(",", ":")) + "\n")
        for decoder in decoders():
            data = whole(word_level(ODD, "a"), decoder=decoder, added_tokens=[added("<s>", ODD.index("<s>"), special=True)])
            t = Tokenizer.from_str(json.dumps(data))
            decoded = [[ids, skip, quietly(lambda: t.decode(ids, skip_special_tokens=skip))] for ids in id_lists() for skip in ((False, True) if ODD.index("<s>") in ids else (False,))]
            decoded = [d for d in decoded if d[2] != "error"]  # the reference dies of a Strip that would cut more than there is
            out.write(json.dumps(dict(name=f"decoder {decoder and {k: v for k, v in decoder.items() if k != 'decoders'}}", tokenizer=data, encoded=[], decoded=decoded), ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
