"""Makes tests/data/word_vectors: what gensim trains where nothing is left to chance, the same words in its file formats, and its answers to
queries.

    python tests/reference/word_vectors.py        (needs `gensim` 4.4)
"""
import itertools
import json
import pathlib
import random

import numpy as np
from gensim.models import KeyedVectors, Word2Vec

OUT = pathlib.Path(__file__).resolve().parents[1] / "data/word_vectors"


def philox4x32(counter, key):
    """Ten rounds, after Salmon et al. 2011: the starting weights, which gensim is given in place of its own."""
    (a, b, c, d), (j, k) = counter, key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = q >> 32 ^ b ^ j, q & 0xFFFFFFFF, p >> 32 ^ d ^ k, p & 0xFFFFFFFF
        j, k = j + 0x9E3779B9 & 0xFFFFFFFF, k + 0xBB67AE85 & 0xFFFFFFFF
    return a, b, c, d


def starting_weights(words, dimension, seed):
    rows = [[x for draw in range(-(-dimension // 4)) for x in philox4x32((word, 0, 1, draw), (seed, 0))][:dimension] for word in range(words)]
    uniform = (np.array(rows, dtype=np.uint32) >> 8).astype(np.float32) * np.float32(2**-24)
    return (2 * uniform - 1) / np.float32(dimension)


def sentences():
    """Words whose counts give one Huffman tree only: no two nodes that are compared weigh the same."""
    words = dict(the=97, of=61, and_=37, king=29, queen=17, größe=11, 東京=7, rare=3, once=1)
    rng = random.Random(4)
    pool = [word for word, count in words.items() for _ in range(count)]
    rng.shuffle(pool)
    out = []
    while pool:
        n = rng.randint(1, 9)
        out.append(pool[:n])
        pool = pool[n:]
    weights = sorted(c for c in words.values() if c >= 2)
    while len(weights) > 1:
        assert len(set(weights)) == len(weights)
        weights = sorted([weights[0] + weights[1]] + weights[2:])
    return out


def train(corpus, **options):
    dimension = 10
    options = dict(vector_size=dimension, window=2, min_count=2, hs=1, negative=0, sample=0, shrink_windows=False, workers=1, epochs=3, alpha=0.2, min_alpha=0.05, **options)
    model = Word2Vec(**options)
    model.build_vocab(corpus)
    model.wv.vectors[:] = starting_weights(len(model.wv), dimension, seed=9)
    model.train(corpus, total_examples=model.corpus_count, epochs=model.epochs)
    return {word: [float(x) for x in model.wv[word]] for word in model.wv.index_to_key}


def vocabulary(corpus, **options):
    model = Word2Vec(vector_size=4, workers=1, **options)
    model.build_vocab(corpus)
    wv = model.wv
    keep = [min(int(x), 2**32 - 1) / 2**32 for x in wv.expandos["sample_int"]] if options.get("sample") else None
    cumulative = [0] + [int(x) for x in model.cum_table]
    return dict(options=options, words=wv.index_to_key, counts=[int(wv.get_vecattr(word, "count")) for word in wv.index_to_key], keep=keep,
                negative=[(b - a) / cumulative[-1] for a, b in itertools.pairwise(cumulative)])


def queries(wv):
    similar = [dict(positive=p, negative=n, restrict=r, result=[[w, float(s)] for w, s in wv.most_similar(positive=p, negative=n, topn=5, restrict_vocab=r)])
               for p, n, r in ((["w0"], [], None), (["w1", "w2"], ["w3"], None), (["größe"], ["東京", "w4"], 8), ([], ["w5"], None))]
    return dict(most_similar=similar, similarity=[[a, b, float(wv.similarity(a, b))] for a, b in (("w0", "w1"), ("größe", "東京"), ("w7", "w7"))],
                doesnt_match=[[words, wv.doesnt_match(words)] for words in (["w0", "w1", "w2", "w3"], ["größe", "w5", "w9"], ["東京", "w8"])])


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    corpus = sentences()
    wv = KeyedVectors(7)
    rng = np.random.default_rng(6)
    names = [f"w{i}" for i in range(10)] + ["größe", "東京", "a|b"]
    wv.add_vectors(names, (rng.standard_normal((len(names), 7)) * 10 ** rng.uniform(-3, 2, (len(names), 1))).astype(np.float32))
    wv.save_word2vec_format(str(OUT / "gensim.txt"), binary=False)
    wv.save_word2vec_format(str(OUT / "gensim.bin"), binary=True)
    wv.save_word2vec_format(str(OUT / "glove.txt"), binary=False, write_header=False)
    result = dict(sentences=corpus, trained=[dict(skip_gram=sg, cbow_mean=mean, vectors=train(corpus, sg=sg, cbow_mean=mean)) for sg, mean in ((1, 1), (0, 1), (0, 0))],
                  vocabularies=[vocabulary(corpus, min_count=2, sample=1e-2), vocabulary(corpus, min_count=1, sample=0.5, ns_exponent=-0.5), vocabulary(corpus, min_count=1, max_final_vocab=4)],
                  words=names, vectors=[[float(x) for x in wv[name]] for name in names], queries=queries(wv))
    (OUT / "gensim.json").write_text(json.dumps(result, ensure_ascii=False), encoding="utf8")


main()
