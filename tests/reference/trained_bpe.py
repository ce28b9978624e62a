"""Makes tests/data/training/bpe.json: vocabularies and merges that Hugging Face tokenizers learns from small corpora, and how
it then encodes.

    python tests/reference/trained_bpe.py        (needs `tokenizers` 0.23)
"""
import json
import pathlib
import random

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

WHITESPACE = {"type": "WhitespaceSplit"}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PREFIXED = dict(BYTES, add_prefix_space=True)
META = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
BERT = {"type": "BertPreTokenizer"}

PROSE = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch
of belief, it was the epoch of incredulity, it was the season of Light, it was the season of Darkness, it was the spring of hope,
it was the winter of despair, we had everything before us, we had nothing before us; 1775, 1776, 1777 ... we're, they'll, I've.""".split("\n")
CODE = ["for (int i = 0; i < n; ++i) {\n", "    if (values[i] < values[i + 1]) swap(values[i], values[i + 1]);\n", "}\n", "\n", "\treturn\tvalues;\r\n",
        "int main() {\n", "    std::vector<int> values = {3, 1, 2};\n", "                        sort(values);\n", "}\n"]
CJK = ["我们学习语言模型。语言模型学习我们。", "日本語の文章を学習する。学習する言語モデル、言語モデルの学習。", "한국어 문장도 배운다. 한국어 모델도 배운다."]
EMOJI = ["👩‍👩‍👧 family 👩‍👩‍👧 👨‍👩‍👧", "🇩🇪🇫🇷🇩🇪 flags 🇩🇪", "👍🏽👍🏽👍 ok 👍🏽"]


def words_of(seed, count, alphabet, longest):
    rng = random.Random(seed)
    return [" ".join("".join(rng.choice(alphabet) for _ in range(rng.randint(1, longest))) for _ in range(12)) for _ in range(count)]


def long_words(seed, letters):
    rng = random.Random(seed)
    return ["".join(rng.choice(letters) for _ in range(1000)) for _ in range(4)]


CASES = {
    "seed document": (["low lower newest wider"], WHITESPACE, {}),
    "Sennrich": (["low " * 5 + "lower " * 2 + "newest " * 6 + "widest " * 3], WHITESPACE, {}),
    "prose, byte-level": (PROSE, BYTES, {"vocab_size": 200}),
    "prose, all bytes": (PROSE, PREFIXED, {"vocab_size": 320, "initial_alphabet": "bytes", "special_tokens": ["<|endoftext|>", "<pad>"]}),
    "prose, Metaspace": (PROSE, META, {"vocab_size": 150, "special_tokens": ["<unk>", "<s>", "</s>"]}),
    "prose, at least twice": (PROSE, BERT, {"min_frequency": 3}),
    "prose, short tokens": (PROSE, BERT, {"max_token_length": 4, "vocab_size": 300}),
    "prose, tokens of two": (PROSE, BERT, {"max_token_length": 1, "vocab_size": 300}),
    "a special token that merges reach": (PROSE, WHITESPACE, {"special_tokens": ["was", "t", "the", "of"], "vocab_size": 120}),
    "code": (CODE, BYTES, {"vocab_size": 160}),
    "code, all bytes": (CODE, BYTES, {"vocab_size": 330, "initial_alphabet": "bytes", "special_tokens": ["<|endoftext|>"]}),
    "CJK, characters": (CJK, WHITESPACE, {"vocab_size": 120}),
    "CJK, bytes": (CJK, BYTES, {"vocab_size": 200}),
    "emoji, characters": (EMOJI, WHITESPACE, {"vocab_size": 80}),
    "emoji, bytes": (EMOJI, BYTES, {"vocab_size": 120}),
    "runs of one letter": (["a" * n for n in (1, 2, 3, 4, 5, 7, 8, 16, 31, 100, 1000)] + ["ab" * 9 + "a" * 6], WHITESPACE, {"vocab_size": 40}),
    "ties": (words_of(1, 20, "ab", 6), WHITESPACE, {"vocab_size": 60}),
    "many ties": (words_of(2, 40, "abcdé日", 8), WHITESPACE, {"vocab_size": 300}),
    "words of 1000 letters": (long_words(3, "ACGT"), WHITESPACE, {"vocab_size": 400}),
    "a word of 1000 letters of two kinds": (long_words(4, "ab"), WHITESPACE, {"vocab_size": 300, "max_token_length": 9}),
    "limited alphabet": (["aaaa aaab aabc abcd abcde", "abc abd acd aab"], WHITESPACE, {"limit_alphabet": 3, "initial_alphabet": "az"}),
    "vocabulary smaller than the alphabet": (PROSE, WHITESPACE, {"vocab_size": 5}),
    "no pre-tokenizer": (PROSE, None, {"vocab_size": 150}),
    "lower case": (PROSE, WHITESPACE, {"vocab_size": 100, "lowercase": True}),
}


def train(texts, pre_tokenizer, options):
    tokenizer = Tokenizer(models.BPE())
    if pre_tokenizer:
        state = json.loads(tokenizer.to_str())
        state["pre_tokenizer"] = pre_tokenizer
        tokenizer = Tokenizer.from_str(json.dumps(state))
    options = dict(options)
    if options.pop("lowercase", False):
        tokenizer.normalizer = normalizers.Lowercase()
    initial = options.get("initial_alphabet")
    if initial:
        options["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet() if initial == "bytes" else list(initial)
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(show_progress=False, **options))
    model = json.loads(tokenizer.to_str())["model"]
    probes = [text[:400] for text in texts[:4]] + [" ".join(texts)[300:0:-1]]  # characters that were seen, in words that were and were not
    return {"tokens": [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])], "merges": model["merges"],
            "probes": [{"text": text, "ids": tokenizer.encode(text).ids, "decoded": decoded(tokenizer, text)} for text in probes]}


def decoded(tokenizer, text):
    """By the decoder that belongs to the pre-tokenizer, which the trainer does not set."""
    if not isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        return None
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer.decode(tokenizer.encode(text).ids)


def main():
    out = []
    for name, (texts, pre_tokenizer, options) in CASES.items():
        out.append({"name": name, "texts": texts, "pre_tokenizer": pre_tokenizer, "options": options, **train(texts, pre_tokenizer, options)})
    path = pathlib.Path(__file__).parent.parent / "data" / "training" / "bpe.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in out) + "\n]\n")


if __name__ == "__main__":
    main()
