#!/usr/bin/env python3
"""Makes tests/data/dequantize.bin: random blocks of every GGUF quantisation, and what the gguf package dequantises them to.

Records, little endian: 8 bytes name (NUL-padded), u32 bytes of blocks, u32 values, the blocks, the values as f32.
Blocks are random bytes; the f16 scales in them are replaced by sane ones (random, of either sign, some zero or subnormal).
"""
import pathlib
import sys

import gguf
import numpy as np

# type: byte offsets of its f16 scales
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208]}


def main(path):
    random = np.random.default_rng(20240607)
    out = bytearray()
    for name, places in SCALES.items():
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        n = 8 if elements == 256 else 12
        blocks = random.integers(0, 256, (n, size), dtype=np.uint8)
        for place in places:
            scales = (random.standard_normal(n) * 0.05).astype(np.float16)
            scales[0], scales[1] = 0, 6e-7  # zero and subnormal
            blocks[:, place:place + 2] = scales.view(np.uint8).reshape(n, 2)
        values = gguf.quants.dequantize(blocks, kind).astype("<f4").reshape(-1)
        assert values.size == n * elements
        out += name.encode().ljust(8, b"\0") + np.array([blocks.size, values.size], "<u4").tobytes() + blocks.tobytes() + values.tobytes()
    pathlib.Path(path).write_bytes(bytes(out))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "data" / "dequantize.bin")
