#!/usr/bin/env python3
"""Write tests/data/text_pipeline.json: what Hugging Face tokenizers' normalizers and pre-tokenizers make of hard texts.

    python tests/reference/text_pipeline.py [--random N --seed S --output FILE]

Needs the package tokenizers (0.23). Every case: a normalizer, a pre-tokenizer, texts, and for each text the pieces with the
bytes of the original text they come from. "by_character" cuts the pieces into single characters, which shows the alignment of each.
--random adds N random texts to every case, for larger runs that are not committed.
"""
import argparse
import json
import pathlib
import random

import tokenizers
from tokenizers import PreTokenizedString, Tokenizer, models

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|""" r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             r"\s*[\r\n]+|\s+(?!\S)|\s+")
CJK = "[一-龥぀-ゟ゠-ヿ]+"

TEXTS = [
    "", " ", "a", "Hello World", "  two  spaces  ", "I'm DON'T we'LL it'\u017f 'S", "x\n\n y \n  ", "tab\tnew\r\n\r\nline \u2028 end ",
    "caf\u00e9 cafe\u0301 \u1e69 s\u0323\u0307 s\u0307\u0323", "\u0130stanbul I\u0307 \u03a3\u03a3 \u00df", "\ufb01ne \uff21\uff22 \u2460 \u00bd \u3392",
    "\uac00\uac01 \u1100\u1161\u11a8 \u1112", "\u4e2d\u6587 kanji\u30ab\u30bf\u30ab\u30ca\u3072\u3089\u30fc\u3002", "a\u200bb\u00adc\ufeffd\u200d",
    "e\u0301\u0323\u0302\u0345", "\u0301\u0308a\u0344\u0323", "1234567 12\u0663\u2167\u00b2 3.14", "price: $5,000.00! (50%)", "\u2581a \u2581 \u2581\u2581b",
    "\x00\x01\x7f\x85\ufffd\n", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea 1\ufe0f\u20e3", "\u0915\u094d\u0937\u093f \u0e40\u0e19",
    "  \u00a0\u3000x\u3000 ", "_under-score__ a_b", "\u0958\u0f73\u0f71\u2126\u212b\u01c4", "ABCdef GHI \u01c5\u02b0\u00aa", "a/b//c\n/d\r\n", "--- ===\n\n ...",
    "\u0625\u0644\u0649 \u0623\u0651\u064e", "\U0002f800\U0001d15e\u1e9b\u0323 \u09c7\u09be", "  leading", "trailing  ", " a  1 b22  \n 3", "\u3042\u30a2\u4e9c a\u4e9c",
]

NORMALIZERS = [
    {"type": "NFC"}, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"},
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False},
    {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": True},
    {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Strip", "strip_left": True, "strip_right": False},
    {"type": "Strip", "strip_left": False, "strip_right": True}, {"type": "Nmt"}, {"type": "ByteLevel"},
    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}]},
    {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
    {"type": "Replace", "pattern": {"String": "a"}, "content": "xyz"}, {"type": "Replace", "pattern": {"String": "\u0301"}, "content": ""},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": "\u2581\u2581"},
    {"type": "Replace", "pattern": {"Regex": "(?=[A-Z])|x"}, "content": "<>"}, {"type": "Replace", "pattern": {"Regex": "[a-c]*"}, "content": "-"},
    {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Strip", "strip_left": True, "strip_right": True},
                                         {"type": "Replace", "pattern": {"Regex": "[^a-z ]"}, "content": "?"}, {"type": "NFKD"}, {"type": "Prepend", "prepend": "ab"}]},
]


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PRE_TOKENIZERS = [
    BYTE_LEVEL, dict(BYTE_LEVEL, add_prefix_space=True), dict(BYTE_LEVEL, use_regex=False), {"type": "BertPreTokenizer"},
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True},
    {"type": "Metaspace", "replacement": "_", "prepend_scheme": "never", "split": True},
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": False},
    {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"},
    {"type": "UnicodeScripts"}, {"type": "CharDelimiterSplit", "delimiter": "a"}, {"type": "FixedLength", "length": 3},
    *({"type": "Punctuation", "behavior": behavior} for behavior in BEHAVIORS),
    *(split(" ", behavior, invert, "String") for behavior in BEHAVIORS for invert in (False, True)),
    *(split("[a-c]+| $", behavior, invert) for behavior in BEHAVIORS for invert in (False, True)),
    *(split(LLAMA3, behavior, invert) for behavior in BEHAVIORS for invert in (False, True)),
    split("", "Isolated", False, "String"), split("", "Removed", False), split("", "MergedWithNext", False), split("x*", "Isolated"), split("\\d", "MergedWithPrevious"),
    split(GPT2), split(QWEN2), split(QWEN35), split(O200K), split(DEEPSEEK3),
    {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL]},
    {"type": "Sequence", "pretokenizers": [split(r"\p{N}{1,3}"), split(CJK), split(DEEPSEEK3), dict(BYTE_LEVEL, use_regex=False)]},
    {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}]},
    {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}]},
    {"type": "Sequence", "pretokenizers": [split(LLAMA3), dict(BYTE_LEVEL, use_regex=False)]},
]


def random_text(rng, pool):
    kind = rng.random()
    size = rng.randint(0, 24)
    if kind < 0.3:
        return "".join(rng.choice(" \n\r\t aAbBsStTeErRvVlLmMdD''123.,!\u017f\u00e9\u0301\u4e2d\u00a0\u3000\u2581_/") for _ in range(size))
    if kind < 0.6:
        return "".join(rng.choice((" ", "\n", "a", "B", "'s", "\u0301", chr(rng.choice(pool)), chr(rng.choice(pool)))) for _ in range(size))
    return "".join(chr(rng.choice(pool)) for _ in range(size))


def pool_of_characters(everything):
    if everything:
        return [c for c in range(0x40000) if not 0xD800 <= c < 0xE000] + list(range(0xE0000, 0xE0200))
    pool = []
    for line in pathlib.Path("/usr/share/unicode/DerivedAge.txt").read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line:
            points, age = (part.strip() for part in line.split(";"))
            first, _, last = points.partition("..")
            first, last = int(first, 16), int(last or first, 16)
            if last - first < 5000 and not 0xD800 <= first < 0xE000:
                pool.extend(range(first, last + 1))
    return pool


def component(kind, description):
    empty = json.loads(Tokenizer(models.WordLevel({"x": 0}, unk_token="x")).to_str())
    empty[kind] = description
    return getattr(Tokenizer.from_str(json.dumps(empty)), kind)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--all-code-points", action="store_true", help="unassigned and newer ones too, in random texts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "data/text_pipeline.json")
    options = parser.parse_args()
    rng, pool = random.Random(options.seed), pool_of_characters(options.all_code_points) if options.random else []
    single = component("pre_tokenizer", {"type": "FixedLength", "length": 1})
    pairs = [(n, None, True) for n in NORMALIZERS] + [(None, p, p["type"] == "ByteLevel") for p in PRE_TOKENIZERS]
    pairs += [(NORMALIZERS[4], {"type": "BertPreTokenizer"}, False), (NORMALIZERS[0], PRE_TOKENIZERS[0], True), (NORMALIZERS[13], PRE_TOKENIZERS[4], True),
              (NORMALIZERS[8], PRE_TOKENIZERS[5], True)]
    cases = []
    for normalizer, pre_tokenizer, by_character in pairs:
        texts = [] if options.random else list(TEXTS)
        texts += [random_text(rng, pool) for _ in range(options.random)]
        n = normalizer and component("normalizer", normalizer)
        p = pre_tokenizer and component("pre_tokenizer", pre_tokenizer)
        results = []
        for text in texts:
            pieces = PreTokenizedString(text)
            if n:
                pieces.normalize(n.normalize)
            if p:
                p.pre_tokenize(pieces)
            if by_character:
                single.pre_tokenize(pieces)
            splits = pieces.get_splits(offset_referential="original", offset_type="byte")
            pieces = [piece for piece, _, _ in splits]
            results.append(["".join(pieces) if by_character else pieces, [o for _, span, _ in splits for o in span]])
        cases.append({"normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "by_character": by_character, "texts": texts if options.random else None,
                      "results": results})
    document = {"made_with": "tokenizers " + tokenizers.__version__, "texts": TEXTS, "cases": cases}
    options.output.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
