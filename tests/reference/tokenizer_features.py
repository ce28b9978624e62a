"""What the reference implementations say about offsets in code points, CANINE and ByT5: tests/data/tokenizer_features.json.

    python tests/reference/tokenizer_features.py tests/data

Needs tokenizers and transformers. Reads the tiny tokenizers of tiny_tokenizers.py.
"""
import json, pathlib, random, sys, tempfile
from tokenizers import Tokenizer
from transformers import AddedToken, ByT5Tokenizer, CanineTokenizer

TEXTS = ["", " ", "Hi é📌", "a 👩‍🚀 b 👨‍👩‍👧 c", "Don't we've seen  this\n before? 1998", "Grüße, café e\u0301 \ufb01n", "日本語の文章。中文", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒯ext", "x<s>y 📌</s>", "ab\u0300cd\u0301\u0327 📌", "İstanbul ẞ", "\u0000a\u0000"]


def utf16(text, at):
    return len(text[:at].encode("utf-16-le")) // 2


def units(data):
    r = random.Random(4)
    out = []
    for name in ("byte_level", "byte_fallback", "wordpiece", "unigram", "suffix"):
        t = Tokenizer.from_file(str(data / "tokenizers" / f"{name}.json"))
        for text in TEXTS + ["".join(r.choice(TEXTS + list("ab é📌𝔘語")) for _ in range(r.randint(2, 60))) for _ in range(12)]:
            e = t.encode(text)
            out.append(dict(tokenizer=name, text=text, code_points=e.offsets, utf16=[[utf16(text, a), utf16(text, b)] for a, b in e.offsets]))
        text, pair = "Grüße 📌 x", "日本 𝔘 e\u0301"
        e = t.encode(text, pair)
        sources = [(text, pair)[s or 0] for s in e.sequence_ids]
        out.append(dict(tokenizer=name, text=text, pair=pair, code_points=e.offsets, utf16=[[utf16(s, a), utf16(s, b)] for s, (a, b) in zip(sources, e.offsets)]))
    return out


def cases(t, texts, ids):
    out = []
    for text in texts:
        e = t(text)["input_ids"]
        out.append(dict(text=text, ids=e, tokens=t.convert_ids_to_tokens(e), decoded=t.decode(e, clean_up_tokenization_spaces=False),
                        decoded_skip_special=t.decode(e, skip_special_tokens=True, clean_up_tokenization_spaces=False)))
    for one in ids:
        out.append(dict(decode=one, decoded=t.decode(one, clean_up_tokenization_spaces=False), decoded_skip_special=t.decode(one, skip_special_tokens=True, clean_up_tokenization_spaces=False)))
    e = t("ab c", "dé")
    out.append(dict(text="ab c", pair="dé", ids=e["input_ids"], type_ids=e.get("token_type_ids", [0] * len(e["input_ids"]))))
    return out


def config(t):
    with tempfile.TemporaryDirectory() as directory:
        t.save_pretrained(directory)
        return json.loads((pathlib.Path(directory) / "tokenizer_config.json").read_text())


def main(data):
    r = random.Random(5)
    canine_parts = TEXTS[1:] + ["\ue000", "\ue001", "\ue002", "\ue003", " \ue003 ", "\ue004", "[CLS]", "\U0010ffff", "\ufffd"]
    mixed = lambda parts: ["".join(r.choice(parts) for _ in range(r.randint(1, 6))) for _ in range(30)]
    scalar = lambda: r.choice([r.randrange(0x80), r.randrange(0xD800), r.randrange(0xE000, 0xE010), r.randrange(0xE000, 0x110000)])
    canine = CanineTokenizer()
    byt5_parts = TEXTS[1:-1] + ["<pad>", " </s> ", "  <unk>", "<extra_id_0>", " <extra_id_124> ", "<extra_id_125>", " "]
    byt5 = ByT5Tokenizer()
    byt5_few = ByT5Tokenizer(extra_ids=3, eos_token="<end>")
    no_end = lambda texts, end: [x for x in texts if not x.rstrip().endswith(end)]  # see load_vocabulary_free.hpp
    record = dict(
        units=units(data),
        canine=dict(config=config(canine), cases=cases(canine, TEXTS + mixed(canine_parts), [[scalar() for _ in range(r.randint(1, 9))] for _ in range(30)])),
        canine_mask=dict(config=config(CanineTokenizer(mask_token=AddedToken("\ue003", lstrip=True, special=True))), cases=cases(CanineTokenizer(mask_token=AddedToken("\ue003", lstrip=True, special=True)), mixed(canine_parts), [])),
        byt5=dict(config=config(byt5), cases=cases(byt5, no_end(TEXTS + mixed(byt5_parts), "</s>"), [[r.choice([r.randrange(384), r.randrange(131, 259), r.randrange(131, 259)]) for _ in range(r.randint(1, 12))] for _ in range(60)])),
        byt5_few=dict(config=config(byt5_few), cases=cases(byt5_few, no_end(TEXTS + mixed(byt5_parts + ["<end>"]), "<end>"), [])),
    )
    (data / "tokenizer_features.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
