#!/usr/bin/env python3
"""Encoders on the CPU beside torch, onnxruntime, openvino and ctranslate2: same weights, f32, same threads, one run.

    bench/compare/embedding.py --morsel build/release/bin/morsel-bench-embed [--threads 1,2] [--rounds 3] [--tools morsel,torch,...]

Everything it needs comes from PyPI into a scratch folder (--work, default build/compare). The models have the shapes of all-MiniLM-L6-v2 and
deberta-base and random weights. Each measurement is its own process; rounds go over all tools in turn, so that noise meets every tool alike;
the table has each tool's best round. What is timed: the forward pass from token ids to the last hidden states, all tokens shown.
onnxruntime and openvino get a graph of the former's fused operators (EmbedLayerNormalization, Attention, SkipLayerNormalization,
BiasGelu), ctranslate2 what its converter makes. Before the times, every tool's hidden states are compared with torch's.
morsel packs the sentences as its embedders do; the peers get those of drawn lengths sorted and padded in batches of --peer-batch, all others
at once. "GFLOP/s" counts the products and the attention; the share is of what one
thread reaches in fused multiply-adds of f32 alone, times the threads.
"""
import argparse, json, os, pathlib, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
SHAPES = {"MiniLM": ["32x128", "32x256", "1x12", "32x16-128", "256x4~128"], "deberta-base": ["8x128", "2x512"]}
PEERS = {"MiniLM": ["torch", "onnxruntime", "openvino", "ctranslate2"], "deberta-base": ["torch"]}
SEED = 6  # of drawn lengths


def parts_of(shape):
    """"32x128", "32x16-128" (lengths evenly spread), "256x4~128" (lengths drawn): sentences, shortest, longest, drawn."""
    count, tokens = shape.split("x")
    lengths = [int(x) for x in tokens.replace("~", "-").split("-")]
    return int(count), lengths[0], lengths[-1], "~" in tokens


def ids_of(shape):
    """The token ids of morsel-bench-embed, as rows."""
    n, low, high, drawn = parts_of(shape)
    rows, state = [], SEED
    for i in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        length = low + ((state >> 33) % (high - low + 1) if drawn else (high - low) * i // max(n - 1, 1))
        rows.append([(i * 7919 + t * 104729) % 20000 for t in range(length)])
    return rows


def batches_of(shape, size):
    """What a peer's users do, as sentence-transformers does it: sentences of mixed lengths sorted, longest first, and `size` of them padded together."""
    rows = ids_of(shape)
    if parts_of(shape)[3]:
        rows.sort(key=len, reverse=True)
        return [padded(rows[i:i + size]) for i in range(0, len(rows), size)]
    return [padded(rows)]


def padded(rows):
    import numpy as np
    width = max(map(len, rows))
    ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, :len(row)], mask[i, :len(row)] = row, 1
    return ids, mask


def torch_model(path):
    import torch, transformers
    torch.set_grad_enabled(False)
    return transformers.AutoModel.from_pretrained(path).eval()


def load_torch(path, threads):
    import torch
    torch.set_num_threads(threads)
    model = torch_model(path)
    return lambda ids, mask: model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state.numpy()


def load_onnxruntime(path, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path / "fused.onnx"), options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(None, {"ids": ids.astype("int32"), "types": (ids * 0).astype("int32"), "mask": mask.astype("int32")})[0]


def load_openvino(path, threads):
    import openvino as ov
    core = ov.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(path / "fused.onnx"), "CPU", settings)
    return lambda ids, mask: compiled({"ids": ids.astype("int32"), "types": (ids * 0).astype("int32"), "mask": mask.astype("int32")})[0]


def load_ctranslate2(path, threads):
    import ctranslate2, numpy
    encoder = ctranslate2.Encoder(str(path / "ctranslate2"), intra_threads=threads, compute_type="float32")

    def run(ids, mask):
        rows = [row[:n].tolist() for row, n in zip(ids, mask.sum(1))]
        return numpy.array(encoder.forward_batch(rows).last_hidden_state)
    return run


def fused_onnx(model, path):
    """A BERT as onnxruntime's own operators have it."""
    import onnx
    from onnx import helper, numpy_helper
    c, w = model.config, {k: v.numpy() for k, v in model.state_dict().items()}
    constants, nodes = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(value.copy(), name))
        return name

    def node(kind, inputs, output, domain="com.microsoft", **attributes):
        nodes.append(helper.make_node(kind, inputs, [output] if isinstance(output, str) else output, domain=domain, **attributes))

    def matmul(x, name, out):
        node("MatMul", [x, constant(name, w[name + ".weight"].T)], out, domain="")
    e = "embeddings."
    node("EmbedLayerNormalization", ["ids", "types"] + [constant(e + n, w[e + n + ".weight"]) for n in ("word_embeddings", "position_embeddings", "token_type_embeddings")]
         + [constant(e + "g", w[e + "LayerNorm.weight"]), constant(e + "b", w[e + "LayerNorm.bias"]), "mask"], ["h0", "mask_index"], epsilon=c.layer_norm_eps)
    import numpy as np
    for i in range(c.num_hidden_layers):
        at, x, s = f"encoder.layer.{i}.", f"h{i}", f".{i}"
        join = lambda part: np.concatenate([w[f"{at}attention.self.{n}.{part}"] for n in ("query", "key", "value")])
        node("Attention", [x, constant("qkv" + s, join("weight").T), constant("qkvb" + s, join("bias")), "mask_index"], "a" + s, num_heads=c.num_attention_heads)
        matmul("a" + s, at + "attention.output.dense", "ao" + s)
        norm = lambda n: [constant(at + n + ".g", w[at + n + ".LayerNorm.weight"]), constant(at + n + ".b", w[at + n + ".LayerNorm.bias"]), constant(at + n + ".d", w[at + n + ".dense.bias"])]
        node("SkipLayerNormalization", ["ao" + s, x] + norm("attention.output"), "an" + s, epsilon=c.layer_norm_eps)
        matmul("an" + s, at + "intermediate.dense", "i" + s)
        node("BiasGelu", ["i" + s, constant("ib" + s, w[at + "intermediate.dense.bias"])], "ig" + s)
        matmul("ig" + s, at + "output.dense", "o" + s)
        node("SkipLayerNormalization", ["o" + s, "an" + s] + norm("output"), f"h{i + 1}", epsilon=c.layer_norm_eps)
    f32, i32 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32
    graph = helper.make_graph(nodes, "bert", [helper.make_tensor_value_info(n, i32, ["b", "t"]) for n in ("ids", "types", "mask")],
                              [helper.make_tensor_value_info(f"h{c.num_hidden_layers}", f32, ["b", "t", c.hidden_size])], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=9), str(path / "fused.onnx"))


def make_models(work, tools):
    """Run inside the venv: the weights, and each peer's form of them."""
    import numpy, torch, transformers
    torch.manual_seed(0)
    configs = {"MiniLM": transformers.BertConfig(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
               "deberta-base": transformers.DebertaConfig(vocab_size=50265, max_position_embeddings=512, relative_attention=True, pos_att_type=["c2p", "p2c"],
                                                          position_biased_input=False, type_vocab_size=0)}
    for name, config in configs.items():
        path = work / ("random-" + name)
        if not (path / "model.safetensors").exists():
            transformers.AutoModel.from_config(config).save_pretrained(path)
        model = torch_model(path)
        if {"onnxruntime", "openvino"} & set(tools) & set(PEERS[name]) and not (path / "fused.onnx").exists():
            fused_onnx(model, path)
        if "ctranslate2" in tools and "ctranslate2" in PEERS[name] and not (path / "ctranslate2").exists():
            import ctranslate2
            settings = json.loads((path / "config.json").read_text())
            (path / "config.json").write_text(json.dumps(settings | {"position_embedding_type": "absolute"}))  # its converter asks for it
            (path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(config.vocab_size - 5)]) + "\n")
            ctranslate2.converters.TransformersConverter(str(path)).convert(str(path / "ctranslate2"), force=True)
        ids, mask = padded(ids_of("4x5-31"))
        expected = load_torch(path, 1)(ids, mask)
        for tool in PEERS[name]:
            if tool in tools and tool != "torch":
                got = globals()["load_" + tool](path, 1)(ids, mask)
                print(f"{name} {tool}: hidden states differ from torch's by at most {numpy.abs(got - expected)[mask.astype(bool)].max():.1e}", file=sys.stderr)


def worker(tool, path, threads, shape, repeat, clock, batch):
    now = time.process_time if clock == "cpu" else time.perf_counter
    run = globals()["load_" + tool](pathlib.Path(path), threads)
    batches, best = batches_of(shape, int(batch)), 1e30
    for i in range(repeat + 1):
        start = now()
        for ids, mask in batches:
            run(ids, mask)
        if i:
            best = min(best, now() - start)
    print(json.dumps({"tool": tool, "ms": best * 1e3}))


def gflop(name, shape):
    layers, width, inner, attention = (6, 384, 1536, 4) if name == "MiniLM" else (12, 768, 3072, 8)  # DeBERTa: two more products with distances
    rows = ids_of(shape)
    return sum(layers * len(r) * (2 * (4 * width * width + 2 * width * inner) + attention * width * len(r)) for r in rows) / 1e9


def prepare(work, tools):
    work.mkdir(parents=True, exist_ok=True)
    venv, marker = work / "venv-encoders", work / "venv-encoders" / "ready"
    python = venv / "bin" / "python"
    if not marker.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "numpy", "safetensors", "torch", "transformers", "onnx", *(t for t in tools if t not in ("morsel", "torch"))], check=True)
        marker.touch()
    subprocess.run([python, __file__, "--work", work, "--tools", ",".join(tools), "--make-models"], check=True)
    return python


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--morsel", default="build/release/bin/morsel-bench-embed")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--shapes", default="", help="only these: 32x128,1x12 …")
    p.add_argument("--tools", default="morsel,torch,onnxruntime,openvino,ctranslate2")
    p.add_argument("--precision", default="bf16x3", help="of morsel's products: bf16x3 and f32 are exact to f32, bf16x2 and bf16 are not")
    p.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: the processes' processor time, for one thread on a machine that is shared")
    p.add_argument("--peak", type=float, default=0, help="GFLOP/s of f32 multiply-adds of one thread, for the share")
    p.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/compare"))
    p.add_argument("--make-models", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--peer-batch", type=int, default=32, help="sentences that a peer pads together where their lengths are drawn; sentence-transformers' default")
    p.add_argument("--worker", nargs=7, help=argparse.SUPPRESS)
    a = p.parse_args()
    tools = a.tools.split(",")
    if a.worker:
        tool, path, threads, shape, repeat, clock, batch = a.worker
        return worker(tool, path, int(threads), shape, int(repeat), clock, batch)
    if a.make_models:
        return make_models(a.work, tools)
    work = a.work.absolute()
    python = prepare(work, tools)
    for threads in map(int, a.threads.split(",")):
        for name, shapes in SHAPES.items():
            for shape in [s for s in shapes if not a.shapes or s in a.shapes.split(",")]:
                best, repeat = {}, 40 if shape.startswith("1x") else 2
                for _ in range(a.rounds):
                    for tool in ["morsel"] + [t for t in PEERS[name] if t in tools]:
                        if tool == "morsel":
                            count, low, high, drawn = parts_of(shape)
                            command = [a.morsel, "--model", work / ("random-" + name), "--threads", threads, "--batch", count, "--tokens", high, "--short", low,
                                       "--precision", a.precision, "--repeat", repeat, "--clock", a.clock] + ["--draw", SEED] * drawn
                        else:
                            command = [python, __file__, "--worker", tool, work / ("random-" + name), threads, shape, repeat, a.clock, a.peer_batch]
                        done = subprocess.run([str(x) for x in command], capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
                        if done.returncode != 0:
                            sys.exit(f"{tool}: {done.stderr[-800:]}")
                        best[tool] = min(best.get(tool, 1e30), json.loads(done.stdout.splitlines()[-1])["ms"])
                work_done, peers = gflop(name, shape), [best[t] for t in best if t != "morsel"]
                print(f"\n{name} {shape}, {threads} thread{'s' if threads > 1 else ''}, best of {a.rounds}" + (f": morsel {min(peers) / best['morsel']:.2f} times the best peer" if peers else ""))
                for tool, ms in sorted(best.items(), key=lambda x: x[1]):
                    share = f"  {100 * work_done / ms * 1e3 / (a.peak * threads):4.0f} % of the f32 peak" if a.peak else ""
                    print(f"  {tool:12} {ms:9.2f} ms  {len(ids_of(shape)) / ms * 1e3:9.1f} sentences/s  {work_done / ms * 1e3:6.1f} GFLOP/s{share}", flush=True)


if __name__ == "__main__":
    main()
