#!/usr/bin/env python3
"""Makes models to compare with from a quantised Llama-family GGUF file.

    python make_bf16.py MODEL.gguf --gguf OUT.gguf                 a bf16 GGUF: same metadata, matrices dequantised and rounded
    python make_bf16.py MODEL.gguf --hf DIRECTORY [--f32]          a Hugging Face directory, bf16 or f32
    python make_bf16.py MODEL.gguf --check DIRECTORY               greedy text with transformers, to see that it is sensible

Needs the packages gguf and numpy; --check also transformers and torch. The vocabulary must be byte-level BPE with
single digits split off (tokenizer.ggml.pre "smollm"). The rows of q and k are stored by GGUF in the order of its rotary embedding
(pairs side by side) and go back to Hugging Face's order (halves).
"""
import argparse
import json
import pathlib

import gguf
import numpy as np


def field(reader, key, default=None):
    found = reader.get_field(key)
    return default if found is None else found.contents()


def to_bf16(values):
    """Nearest even, as uint16."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def values_of(tensor):
    """f32, row-major, outermost dimension first."""
    shape = [int(n) for n in reversed(tensor.shape)]
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)


def write_gguf(reader, path):
    writer = gguf.GGUFWriter(path, field(reader, "general.architecture"))
    for key, item in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type", "general.quantization_version"):
            continue
        inner = item.types[-1] if item.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, item.contents(), item.types[0], inner)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    for tensor in reader.tensors:
        values = values_of(tensor)
        if values.ndim == 1:
            writer.add_tensor(tensor.name, values)  # norms stay f32, as llama.cpp's own converter leaves them
        else:
            writer.add_tensor(tensor.name, to_bf16(values).view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def unpermute(values, heads):
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def hf_name(name):
    fixed = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}
    if name in fixed:
        return fixed[name]
    _, layer, part, _ = name.split(".")
    parts = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj"}
    return f"model.layers.{layer}.{parts[part]}.weight"


def write_weights(reader, path, f32):
    heads, kv_heads = field(reader, "llama.attention.head_count"), field(reader, "llama.attention.head_count_kv")
    header, blobs, end = {"__metadata__": {"format": "pt"}}, [], 0
    for tensor in reader.tensors:
        values = values_of(tensor)
        if tensor.name.endswith("attn_q.weight"):
            values = unpermute(values, heads)
        elif tensor.name.endswith("attn_k.weight"):
            values = unpermute(values, kv_heads)
        data = np.ascontiguousarray(values) if f32 else to_bf16(values)
        blobs.append(data.tobytes())
        header[hf_name(tensor.name)] = {"dtype": "F32" if f32 else "BF16", "shape": list(values.shape), "data_offsets": [end, end + len(blobs[-1])]}
        end += len(blobs[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(blobs)


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def write_hf(reader, directory, f32):
    directory.mkdir(parents=True, exist_ok=True)
    get = lambda key, default=None: field(reader, key, default)
    bos, eos, pad = (get(f"tokenizer.ggml.{kind}_token_id") for kind in ("bos", "eos", "padding"))
    tied = not any(tensor.name == "output.weight" for tensor in reader.tensors)
    write_json(directory / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad, "hidden_act": "silu", "hidden_size": get("llama.embedding_length"),
        "initializer_range": 0.041666666666666664, "intermediate_size": get("llama.feed_forward_length"),
        "max_position_embeddings": get("llama.context_length"), "mlp_bias": False, "num_attention_heads": get("llama.attention.head_count"),
        "num_hidden_layers": get("llama.block_count"), "num_key_value_heads": get("llama.attention.head_count_kv"), "pretraining_tp": 1,
        "rms_norm_eps": float(f"{get('llama.attention.layer_norm_rms_epsilon'):.6g}"), "rope_scaling": None,
        "rope_theta": int(get("llama.rope.freq_base")), "tie_word_embeddings": tied, "torch_dtype": "float32" if f32 else "bfloat16",
        "use_cache": True, "vocab_size": len(get("tokenizer.ggml.tokens"))})
    write_json(directory / "generation_config.json", {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad})
    tokens, types = get("tokenizer.ggml.tokens"), get("tokenizer.ggml.token_type")
    special = [i for i, kind in enumerate(types) if kind == 3]  # control tokens
    added = [{"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i in special]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    write_json(directory / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "ignore_merges": False, "vocab": {token: i for i, token in enumerate(tokens)},
                  "merges": get("tokenizer.ggml.merges")}})
    write_json(directory / "tokenizer_config.json", {
        "add_prefix_space": False, "added_tokens_decoder": {str(entry["id"]): {key: entry[key] for key in entry if key != "id"} for entry in added},
        "additional_special_tokens": [tokens[bos], tokens[eos]], "bos_token": tokens[bos], "eos_token": tokens[eos], "pad_token": tokens[pad],
        "unk_token": tokens[get("tokenizer.ggml.unknown_token_id")], "chat_template": get("tokenizer.chat_template"),
        "clean_up_tokenization_spaces": False, "model_max_length": get("llama.context_length"), "tokenizer_class": "GPT2Tokenizer"})
    write_weights(reader, directory / "model.safetensors", f32)


def check(directory):
    import torch
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    inputs = tokenizer.apply_chat_template([{"role": "user", "content": "Write a 5 line paragraph on global warming."}],
                                           add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    print(tokenizer.decode(out[0]))
    ids = tokenizer("The capital of France is", return_tensors="pt")
    print(tokenizer.decode(model.generate(**ids, max_new_tokens=24, do_sample=False)[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a GGUF file of the Llama family")
    parser.add_argument("--gguf", help="write a bf16 GGUF file")
    parser.add_argument("--hf", help="write a Hugging Face directory")
    parser.add_argument("--f32", action="store_true", help="weights of --hf in f32, not rounded")
    parser.add_argument("--check", help="generate with transformers from this directory")
    arguments = parser.parse_args()
    reader = gguf.GGUFReader(arguments.model)
    if arguments.gguf:
        write_gguf(reader, arguments.gguf)
    if arguments.hf:
        write_hf(reader, pathlib.Path(arguments.hf), arguments.f32)
    if arguments.check:
        check(arguments.check)


if __name__ == "__main__":
    main()
